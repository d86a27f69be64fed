"""Opens a backup to restore it: by whom it is signed, and which certificates its target holds.

Nothing is believed that no known key signed. Where the reader brings no key, the keys that the backup names itself stand in, and
the signer is not established. A document that the list names and that is missing, altered or of an unknown kind stops a restore:
it may be the one that says what was erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from warehouse.backup.documents import FOLDER, LIST_FILE, DocumentList, backup_origin, open_list, stored_documents
from warehouse.backup.manifest import MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest, read_unverified
from warehouse.errors import CorruptionError, InputError
from warehouse.ledger import key_destruction
from warehouse.ledger.certificates import (
    CERTIFICATE,
    INTENT,
    MAX_DOCUMENT_BYTES,
    PurgeCertificate,
    PurgeIntent,
    open_document,
)
from warehouse.ledger.errors import BadSignatureError, CertificateError, NoteError
from warehouse.ledger.key_destruction import KeyDestruction, open_destruction
from warehouse.ledger.note import Ed25519Verifier, check_signatures, parse_note


@dataclass(frozen=True)
class OpenedBackup:
    """A backup whose manifest was checked. `keys` are the public keys by which, `signed_by` those that signed it."""

    source: Path
    manifest: Manifest
    manifest_sha256: str
    keys: tuple[bytes, ...]
    signed_by: tuple[bytes, ...]
    established: bool


@dataclass(frozen=True)
class MirroredDocuments:
    """What a target's mirror holds, by SHA-256. `listed` is None where there is no list that may be believed."""

    listed: DocumentList | None
    certificates: dict[str, PurgeCertificate]
    intents: dict[str, PurgeIntent]
    destructions: dict[str, KeyDestruction]
    problems: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Every sound document."""
        return sorted((*self.certificates, *self.intents, *self.destructions))


def open_backup(source: Path, vkeys: Sequence[Ed25519Verifier]) -> OpenedBackup:
    """Read the manifest in `source` and check its signature against the keys given, or else those that it names itself.

    Raises:
        InputError: there is no backup, or none of the keys is for its lake.
        CorruptionError: no such key signed it, or the signature does not fit.
    """
    try:
        content = (source / MANIFEST_FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise InputError(
            f"{source}: expected a backup with a file {MANIFEST_FILE}, got none",
            hint="name the folder that `muniment backup` wrote to; a first backup that was interrupted is none",
        ) from exc
    manifest = read_unverified(content)
    mine = [key.public_key for key in vkeys if key.name.partition("/")[0] == manifest.lake]
    if vkeys and not mine:
        raise InputError(f"{source}: expected a key of lake {manifest.lake}, got only keys of others")
    keys = tuple(dict.fromkeys(mine or (Ed25519Verifier.from_vkey(vkey).public_key for vkey in manifest.vkeys)))
    origin = backup_origin(manifest.lake)
    verifiers = {key: Ed25519Verifier(origin, key) for key in keys}
    hint = (
        "another lake's key, an altered manifest, or one from before or after a rotation: give every key that you know"
    )
    try:
        verified = check_signatures(parse_note(content, max_bytes=MAX_MANIFEST_BYTES), verifiers.values())
    except NoteError as exc:
        raise CorruptionError(f"{source / MANIFEST_FILE}: {exc}", hint=hint) from exc
    signed_by = tuple(key for key in keys if verifiers[key].key_id in {each.key_id for each in verified})
    if not signed_by:
        raise CorruptionError(f"{source / MANIFEST_FILE}: expected a signature by a known key, got none", hint=hint)
    return OpenedBackup(source, manifest, sha256(content).hexdigest(), keys, signed_by, established=bool(mine))


def read_documents(opened: OpenedBackup) -> MirroredDocuments:
    """Read the target's list and every document; what is wrong is told in `problems`, and the rest is there."""
    found = MirroredDocuments(None, {}, {}, {})
    problems: list[str] = []
    listed = _read_list(opened, problems)
    folder = opened.source / FOLDER
    names = {file.name for file in stored_documents(folder)} if listed is None else set(listed.sha256)
    if behind := set(opened.manifest.documents) - names:
        problems.append(
            f"{LIST_FILE}: expected the {len(opened.manifest.documents)} documents of the backup and later ones, "
            f"got a list without {min(behind)}: it is older than the backup"
        )
    for name in sorted(names | (set(opened.manifest.documents) & {file.name for file in stored_documents(folder)})):
        try:
            _read_document(folder / name, opened, found)
        except (CertificateError, NoteError, OSError) as exc:
            reason = "it is not there" if isinstance(exc, FileNotFoundError) else str(exc)
            problems.append(f"{FOLDER}/{name}: expected a signed document, got: {reason}")
    return MirroredDocuments(listed, found.certificates, found.intents, found.destructions, tuple(problems))


def _read_list(opened: OpenedBackup, problems: list[str]) -> DocumentList | None:
    origin = backup_origin(opened.manifest.lake)
    try:
        content = (opened.source / LIST_FILE).read_bytes()
        return open_list(content, [Ed25519Verifier(origin, key) for key in opened.keys])
    except FileNotFoundError:
        problems.append(f"{LIST_FILE}: expected the signed list of certificates, got none")
    except BadSignatureError as exc:
        problems.append(f"{LIST_FILE}: altered: {exc}")
    except NoteError as exc:
        problems.append(f"{LIST_FILE}: {exc}: after a rotation of the key, give the new one as well (--vkey, --keys)")
    except CertificateError as exc:
        problems.append(f"{LIST_FILE}: {exc}")
    return None


def _read_document(file: Path, opened: OpenedBackup, found: MirroredDocuments) -> None:
    content = file.read_bytes()
    if sha256(content).hexdigest() != file.name:
        raise CertificateError("other bytes than its name says")
    note = parse_note(content, max_bytes=MAX_DOCUMENT_BYTES)
    names = sorted({signature.name for signature in note.signatures})
    verifiers = [Ed25519Verifier(name, key) for name in names for key in opened.keys]
    kind = note.text.partition("\n")[0]
    if kind == key_destruction.KIND:
        found.destructions[file.name] = open_destruction(content, verifiers)
        return
    if kind not in {INTENT, CERTIFICATE}:
        raise CertificateError(f"the kind {kind[:60]!r}, which this version cannot re-apply")
    document = open_document(content, verifiers).document
    if isinstance(document, PurgeCertificate):
        found.certificates[file.name] = document
    else:
        found.intents[file.name] = document
