"""Absences that were accounted for: purge certificates and intents, and what a restore lost.

A file in `LAKE/certificates` excuses nothing by itself. It counts where a key that the verifier knows signed it and an event
that Muniment recorded, and that stands in a log, holds its SHA-256.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warehouse.lake import Lake
from warehouse.ledger.certificates import (
    MAX_DOCUMENT_BYTES,
    PurgeCertificate,
    PurgedIndices,
    PurgeDocument,
    SignedDocument,
    open_document,
)
from warehouse.ledger.errors import CertificateError, NoteError
from warehouse.ledger.note import Ed25519Verifier, parse_note
from warehouse.ledger.verify.events import OwnRow
from warehouse.ledger.verify.heads import LogName

FOLDER = "certificates"
LOST = "muniment.restore.lost"
"""Attribute of `lake.restored`: a list of [origin, first, last], the indices of each log that the backup did not hold."""

_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")
_EVENTS = {"retention.purged": True, "retention.intended": False}


@dataclass(frozen=True)
class Excuses:
    """Certificates and intents that count, and indices lost in restores by origin."""

    certificates: tuple[PurgeDocument, ...] = ()
    intents: tuple[PurgeDocument, ...] = ()
    lost: tuple[tuple[str, int, int], ...] = ()

    def purged(self, name: LogName) -> PurgedIndices:
        """Indices of one log that certificates account for."""
        return _of_log(self.certificates, name)

    def intended(self, name: LogName) -> PurgedIndices:
        """Indices of one log that intents name, carried out or not."""
        return _of_log(self.intents, name)

    def is_lost(self, origin: str, indices: np.ndarray) -> np.ndarray:
        """For each index whether a restore lost it."""
        found = np.zeros(len(indices), bool)
        for log, first, last in self.lost:
            if log == origin:
                found |= (indices >= first) & (indices <= last)
        return found

    def content_owners(self, tenant: str) -> dict[str, frozenset[int]]:
        """Indices, by shard, of records of which certificates say that contents were deleted."""
        owners: dict[str, set[int]] = {}
        for document in self.certificates:
            for content in document.deleted.contents:
                if content.tenant == tenant:
                    owners.setdefault(content.shard, set()).add(content.owner_index)
        return {shard: frozenset(indices) for shard, indices in owners.items()}

    def deleted_contents(self, tenant: str) -> set[tuple[str, int, str]]:
        """Content parts that certificates account for: shard, owner's index, part."""
        return {
            (content.shard, content.owner_index, part)
            for document in self.certificates
            for content in document.deleted.contents
            if content.tenant == tenant
            for part in content.parts
        }


def read_excuses(lake: Lake, lake_name: str, rows: Iterable[OwnRow], keys: Sequence[bytes]) -> Excuses:
    """Read the certificates that these events name; `keys` are the public keys that the verifier knows."""
    named: dict[str, bool] = {}
    lost: list[tuple[str, int, int]] = []
    for row in rows:
        if row.name in _EVENTS and row.by_muniment:
            for digest in _SHA256.findall(row.attributes_text or ""):
                named[digest] = named.get(digest, False) or _EVENTS[row.name]
        elif row.name == "lake.restored":
            lost += _lost_ranges(row.attributes.get(LOST))
    certificates, intents = [], []
    for document in _documents(lake.path / FOLDER, named, keys):
        if document.document.lake != lake_name:
            continue
        if isinstance(document.document, PurgeCertificate):
            if named[document.file_sha256]:
                certificates.append(document.document)
        else:
            intents.append(document.document)
    return Excuses(tuple(certificates), tuple(intents), tuple(lost))


def _documents(folder: Path, named: Iterable[str], keys: Sequence[bytes]) -> list[SignedDocument]:
    """Sound files among those named; who alters one takes its excuse away."""
    wanted = frozenset(named)
    found = {}
    for file in sorted(folder.rglob("*")) if folder.is_dir() and wanted else ():
        if not file.is_file() or file.stat().st_size > MAX_DOCUMENT_BYTES:
            continue
        content = file.read_bytes()
        try:
            names = {signature.name for signature in parse_note(content, max_bytes=MAX_DOCUMENT_BYTES).signatures}
            verifiers = [Ed25519Verifier(name, key) for name in sorted(names) for key in dict.fromkeys(keys)]
            document = open_document(content, verifiers)
        except (CertificateError, NoteError):
            continue
        if document.file_sha256 in wanted:
            found[document.file_sha256] = document
    return list(found.values())


def _of_log(documents: Sequence[PurgeDocument], name: LogName) -> PurgedIndices:
    try:
        return PurgedIndices.of_log(documents, tenant=name.tenant, shard=name.shard)
    except CertificateError:
        # two documents contradict each other: neither is believed
        return PurgedIndices.of_log((), tenant=name.tenant, shard=name.shard)


def _lost_ranges(value: Any) -> list[tuple[str, int, int]]:
    found = []
    for entry in value if isinstance(value, list) else ():
        match entry:
            case [str(origin), int(first), int(last)]:
                found.append((origin, first, last))
    return found
