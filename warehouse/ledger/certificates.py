"""Purge intents and certificates: which rows were to be deleted, and were. Types, text, signature, reading.

A file is a signed note of two lines: the kind (`muniment/purge-intent@v1` or `muniment/purge-certificate@v1`) and one line
of canonical JSON (RFC 8785). Its name is the SHA-256 of its bytes, which the ledgered event holds: the signature says
who deleted, the event that it was said at the time. Neither alone excuses an absence.

Runs are exact: every index in one was a deleted row of that table. One log runs through several tables and days, so a run
from the lowest to the highest index would excuse rows that nobody purged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import msgspec
import numpy as np

from warehouse.ledger.errors import CertificateError, NoteError
from warehouse.ledger.note import NoteSigner, NoteVerifier, Signature, open_note, parse_note, sign_note

INTENT = "muniment/purge-intent@v1"
CERTIFICATE = "muniment/purge-certificate@v1"

MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
"""Room for two million runs of scattered rows."""

LedgeredTable = Literal["spans", "audit_events", "logs"]
_CANONICAL = msgspec.json.Encoder(order="sorted")
_MAX_JSON_INTEGER = (1 << 53) - 1
"""RFC 8785 §3.2.2.3: integers beyond it are not the same in every reader."""


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Deleted rows of one table in one log: each index from `first` to `last` was one."""

    table: LedgeredTable
    tenant: str
    shard: str
    first: int
    last: int


class ContentParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Deleted content parts of one owner; the owner itself may remain."""

    tenant: str
    shard: str
    owner_index: int
    parts: tuple[str, ...]


class MetricPoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Deleted metric points, which no log proves: how many, out of which file."""

    tenant: str
    file: str
    count: int


class Deleted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that one purge deletes. Runs are in ascending order within a log and do not overlap."""

    runs: tuple[Run, ...] = ()
    contents: tuple[ContentParts, ...] = ()
    metrics: tuple[MetricPoints, ...] = ()


class PurgeIntent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an apply is about to delete, written before it deletes anything.

    `plan_sha256` and `policy_sha256` name plan and policies by content; `ordered_by` and `approved_by` are principals;
    `replaces` names earlier files, by SHA-256, whose runs this one carries; `details` holds what retention adds.
    """

    lake: str
    purge_id: str
    time_unix_nano: str
    plan_sha256: str
    policy_sha256: str
    ordered_by: str
    deleted: Deleted
    approved_by: str | None = None
    replaces: tuple[str, ...] = ()
    details: dict[str, Any] = {}


class PurgeCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an apply has deleted, written once its absence was checked.

    `intent_sha256` names the intent's file; `deleted` is what is gone, `kept` what a hold placed meanwhile kept of it.
    """

    lake: str
    purge_id: str
    time_unix_nano: str
    intent_sha256: str
    plan_sha256: str
    policy_sha256: str
    ordered_by: str
    deleted: Deleted
    approved_by: str | None = None
    kept: Deleted = Deleted()
    replaces: tuple[str, ...] = ()
    details: dict[str, Any] = {}


PurgeDocument = PurgeIntent | PurgeCertificate
_KINDS: dict[str, type[PurgeIntent] | type[PurgeCertificate]] = {INTENT: PurgeIntent, CERTIFICATE: PurgeCertificate}


@dataclass(frozen=True)
class SignedDocument:
    """An intent or certificate, the known keys that signed it (none where unchecked), and its file's SHA-256 in hex."""

    document: PurgeDocument
    verified: tuple[Signature, ...]
    file_sha256: str


def sign_document(document: PurgeDocument, signers: Sequence[NoteSigner]) -> bytes:
    """The file of an intent or certificate; the same bytes for the same document and keys.

    Raises:
        CertificateError: it breaks a rule that `read_document` checks.
    """
    _check(document)
    kind = INTENT if isinstance(document, PurgeIntent) else CERTIFICATE
    # ASCII escapes would not be canonical; control characters are escaped in JSON, so the note's rule holds
    return sign_note(f"{kind}\n{canonical_json(document).decode()}\n", signers)


def open_document(content: bytes, verifiers: Iterable[NoteVerifier]) -> SignedDocument:
    """Read a file and check its signature against the certificate keys that the verifier knows.

    Raises:
        CertificateError: not an intent or certificate.
        UnknownKeyError: no known key signed it.
        BadSignatureError: a known key's signature does not fit.
    """
    opened = open_note(content, verifiers, max_bytes=MAX_DOCUMENT_BYTES)
    return SignedDocument(_parse(opened.text), opened.verified, sha256(content).hexdigest())


def read_unverified(content: bytes) -> SignedDocument:
    """What a file says, its signature unchecked: to show it, never to excuse an absence.

    Raises:
        CertificateError: not an intent or certificate.
    """
    try:
        text = parse_note(content, max_bytes=MAX_DOCUMENT_BYTES).text
    except NoteError as exc:
        raise CertificateError(f"certificate: {exc}") from exc
    return SignedDocument(_parse(text), (), sha256(content).hexdigest())


@dataclass(frozen=True)
class PurgedIndices:
    """Which indices of one log documents account for, and as rows of which table."""

    firsts: np.ndarray
    lasts: np.ndarray
    tables: tuple[str, ...]

    @classmethod
    def of_log(cls, documents: Iterable[PurgeDocument], *, tenant: str, shard: str) -> "PurgedIndices":
        """Runs of all documents for one log. A document may repeat another's runs; they then count once.

        Raises:
            CertificateError: two documents give the same index to different tables.
        """
        runs = sorted(
            {
                (run.first, run.last, run.table)
                for document in documents
                for run in document.deleted.runs
                if (run.tenant, run.shard) == (tenant, shard)
            }
        )
        merged: list[tuple[int, int, str]] = []
        for first, last, table in runs:
            if not merged or first > merged[-1][1]:
                merged.append((first, last, table))
                continue
            before = merged.pop()
            if before[2] != table:
                raise CertificateError(
                    f"{tenant}/{shard}: expected one table an index, got {before[2]} and {table} for index {first}"
                )
            merged.append((before[0], max(before[1], last), table))
        bounds = np.array([run[:2] for run in merged], np.int64).reshape(-1, 2)
        return cls(bounds[:, 0], bounds[:, 1], tuple(run[2] for run in merged))

    @property
    def count(self) -> int:
        """How many indices."""
        return int((self.lasts - self.firsts + 1).sum())

    def covers(self, indices: np.ndarray) -> np.ndarray:
        """For each log index whether a run covers it."""
        if not len(self.firsts):
            return np.zeros(len(indices), bool)
        place = np.searchsorted(self.firsts, indices, side="right") - 1
        found: np.ndarray = (place >= 0) & (indices <= self.lasts[np.maximum(place, 0)])
        return found

    def table_of(self, index: int) -> str | None:
        """The table whose deleted row stood at this index; None where no run covers it."""
        place = int(np.searchsorted(self.firsts, index, side="right")) - 1
        return self.tables[place] if place >= 0 and index <= self.lasts[place] else None


def canonical_json(document: PurgeDocument) -> bytes:
    """Canonical JSON (RFC 8785) of a document that holds no number with a fraction.

    For such values it is JSON without white space, with sorted keys and the shortest escapes, which msgspec writes a hundred times
    faster than a canonicaliser in Python. Keys are ASCII, so that the orders by code point and by UTF-16 are one.

    Raises:
        CertificateError: `details` hold a fraction, an integer that not every reader has exactly, or a key outside ASCII; or a text
            is not Unicode.
    """
    _check_plain(document.details)
    try:
        return _CANONICAL.encode(document)
    except UnicodeEncodeError as exc:
        raise CertificateError(f"certificate: expected Unicode text, got {exc.object!r:.100}") from exc


def _check_plain(value: Any) -> None:
    match value:
        case bool() | str() | None:
            return
        case int() if abs(value) <= _MAX_JSON_INTEGER:
            return
        case dict() if all(isinstance(key, str) and key.isascii() for key in value):
            for each in value.values():
                _check_plain(each)
        case list() | tuple():
            for each in value:
                _check_plain(each)
        case _:
            raise CertificateError(f"details: expected texts and integers that JSON can hold, got {value!r:.100}")


def runs_of(table: LedgeredTable, tenant: str, shard: str, indices: np.ndarray) -> tuple[Run, ...]:
    """Exact runs over the indices of deleted rows of one table in one log, in any order."""
    if not len(indices):
        return ()
    ordered = np.unique(indices)
    breaks = np.flatnonzero(np.diff(ordered) != 1)
    firsts = ordered[np.concatenate(([0], breaks + 1))]
    lasts = ordered[np.concatenate((breaks, [len(ordered) - 1]))]
    return tuple(
        Run(table, tenant, shard, first, last) for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
    )


def ordered_runs(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Runs of any tables and logs in the order that a document wants."""
    return tuple(sorted(runs, key=lambda run: (run.tenant, run.shard, run.first)))


def _parse(text: str) -> PurgeDocument:
    kind, _, line = text.removesuffix("\n").partition("\n")
    if kind not in _KINDS:
        raise CertificateError(f"certificate: expected {' or '.join(_KINDS)} in the first line, got {kind[:60]!r}")
    try:
        document = msgspec.json.decode(line, type=_KINDS[kind])
        canonical = canonical_json(document)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise CertificateError(f"{kind}: {exc}") from exc
    if canonical != line.encode():
        raise CertificateError(f"{kind}: expected canonical JSON (RFC 8785), one field a name, got another spelling")
    _check(document)
    return document


def _check(document: PurgeDocument) -> None:
    parts = [document.deleted] if isinstance(document, PurgeIntent) else [document.deleted, document.kept]
    for part in parts:
        last_of: dict[tuple[str, str], int] = {}
        for run in part.runs:
            after = last_of.get((run.tenant, run.shard), -1)
            if not after < run.first <= run.last <= _MAX_JSON_INTEGER:
                raise CertificateError(
                    f"run of {run.tenant}/{run.shard}: expected indices above {after} in ascending order, "
                    f"got {run.first} to {run.last}"
                )
            last_of[run.tenant, run.shard] = run.last
        for content in part.contents:
            if not 0 <= content.owner_index <= _MAX_JSON_INTEGER or not content.parts:
                raise CertificateError(f"contents: expected an owner's index and parts, got {content}")
        for points in part.metrics:
            if not 0 < points.count <= _MAX_JSON_INTEGER:
                raise CertificateError(f"metrics: expected a count above 0, got {points.count}")
