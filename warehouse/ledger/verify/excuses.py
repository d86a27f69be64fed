"""Absences that were accounted for: purge certificates and intents, and what a restore lost.

A file in `LAKE/certificates` excuses nothing by itself. It counts where a key that the verifier knows signed it and an event
that Muniment recorded, and that stands in a log, holds its SHA-256.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from warehouse.lake import Lake
from warehouse.ledger.certificates import (
    MAX_DOCUMENT_BYTES,
    Deleted,
    PurgeCertificate,
    PurgedIndices,
    PurgeDocument,
    SignedDocument,
    open_document,
)
from warehouse.ledger.errors import CertificateError, NoteError
from warehouse.ledger.note import Ed25519Verifier, parse_note
from warehouse.ledger.verify.deleted_contents import DeletedContents
from warehouse.ledger.verify.events import OwnRow
from warehouse.ledger.verify.heads import LogName

FOLDER = "certificates"
LOST = "muniment.restore.lost"
"""Attribute of `lake.restored`: a list of [origin, first, last], the indices of each log that the backup did not hold."""

_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")
_EVENTS = {"retention.purged": True, "retention.intended": False}


@dataclass(frozen=True)
class Excuses:
    """Certificates and intents that count, and indices lost in restores by origin.

    Contents that certificates list one by one are held apart, by tenant and shard, in arrays: the documents are without them.
    """

    certificates: tuple[PurgeDocument, ...] = ()
    intents: tuple[PurgeDocument, ...] = ()
    contents: Mapping[tuple[str, str], DeletedContents] = field(default_factory=dict)
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

    def deleted_contents(self, tenant: str) -> dict[str, DeletedContents]:
        """Content parts that certificates account for, by shard."""
        return {shard: found for (owner, shard), found in self.contents.items() if owner == tenant}


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
    listed: dict[tuple[str, str], list[DeletedContents]] = {}
    for document in _documents(lake.path / FOLDER, named, keys):
        if document.document.lake != lake_name:
            continue
        if isinstance(document.document, PurgeCertificate):
            if named[document.file_sha256]:
                for log, contents in DeletedContents.of_document(document.document).items():
                    listed.setdefault(log, []).append(contents)
                certificates.append(_without_contents(document.document))
        else:
            intents.append(_without_contents(document.document))
    joined = {log: DeletedContents.joined(parts) for log, parts in listed.items()}
    return Excuses(tuple(certificates), tuple(intents), joined, tuple(lost))


def _without_contents(document: PurgeDocument) -> PurgeDocument:
    """The document's runs alone: what it lists one by one would take some hundred bytes each."""
    return msgspec.structs.replace(document, deleted=Deleted(runs=document.deleted.runs))


def _documents(folder: Path, named: Iterable[str], keys: Sequence[bytes]) -> Iterator[SignedDocument]:
    """Sound files among those named, one at a time; who alters one takes its excuse away."""
    wanted = set(named)
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
            wanted.remove(document.file_sha256)
            yield document


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
