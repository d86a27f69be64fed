"""Intents and certificates of a lake as purges read and write them: signed files in `LAKE/certificates/`, named by their SHA-256.

An intent is open until a certificate names it. Only files that the lake's own keys signed count: nobody else can make a purge begin.

A certificate excuses nothing before an event in the log names it. Until that event is durable a mark in `unrecorded/`, made before the
certificate, says that somebody has to see to it still.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from warehouse.durable import make_folder, replace_file
from warehouse.errors import CorruptionError, NotFoundError
from warehouse.lake import Lake
from warehouse.ledger.certificates import (
    CERTIFICATE,
    INTENT,
    PurgeCertificate,
    PurgeDocument,
    PurgeIntent,
    SignedDocument,
    open_document,
    sign_document,
)
from warehouse.ledger.errors import CertificateError, NoteError
from warehouse.ledger.key_destruction import KIND as KEY_KIND
from warehouse.ledger.key_destruction import KeyDestruction, open_destruction
from warehouse.ledger.note import Ed25519Verifier
from warehouse.ledger.signing import read_signing_keys

_KINDS = (INTENT.encode(), CERTIFICATE.encode())
_FIRST_BYTES = max(map(len, _KINDS)) + 1
_UNRECORDED = "unrecorded"


@dataclass(frozen=True)
class StoredDocument:
    """A document and its file, whose name is `sha256`."""

    document: PurgeDocument
    sha256: str
    file: Path


@dataclass(frozen=True)
class Begun:
    """A tenant's purges, oldest first: all intents, those without a certificate, and certificates that no event names yet."""

    intended: list[StoredDocument] = field(default_factory=list)
    unfinished: list[StoredDocument] = field(default_factory=list)
    unrecorded: list[StoredDocument] = field(default_factory=list)


@dataclass(frozen=True)
class Documents:
    """The intents and certificates of one lake."""

    lake: Lake
    lake_name: str

    def write(self, document: PurgeDocument, now_unix_nano: int) -> StoredDocument:
        """Sign a document and put it in its place, durably. A certificate counts as unrecorded until `note_recorded`.

        Raises:
            CorruptionError: the lake's signing keys are gone.
            CertificateError: it breaks a rule of its format.
        """
        signers = read_signing_keys(self.lake.keys).signers(self.signer_name, now_unix_nano)
        content = sign_document(document, signers)
        digest = sha256(content).hexdigest()
        make_folder(self.lake.certificates)
        if isinstance(document, PurgeCertificate):
            make_folder(self._marks)
            replace_file(self._marks / digest, b"")
        replace_file(self.lake.certificates / digest, content)
        return StoredDocument(document, digest, self.lake.certificates / digest)

    @property
    def signer_name(self) -> str:
        """The name under which the lake signs certificates."""
        return f"{self.lake_name}/certificates"

    @property
    def _marks(self) -> Path:
        return self.lake.certificates / _UNRECORDED

    def note_recorded(self, certificate: StoredDocument) -> None:
        """Note that an event in the log names a certificate; safe to repeat."""
        (self._marks / certificate.sha256).unlink(missing_ok=True)

    def begun(self, tenant_id: str | None = None) -> "dict[str, Begun]":
        """What was begun and has not ended, by tenant: of one or of all. Reads every document once."""
        stored = [each for each in self.read() if tenant_id in {None, each.document.details.get("tenant")}]
        marked = {file.name for file in self._marks.glob("*")}
        ended = {each.document.intent_sha256 for each in stored if isinstance(each.document, PurgeCertificate)}
        found: dict[str, Begun] = {}
        for each in sorted(stored, key=lambda each: (int(each.document.time_unix_nano), each.sha256)):
            begun = found.setdefault(each.document.details["tenant"], Begun())
            if isinstance(each.document, PurgeIntent):
                begun.intended.append(each)
                if each.sha256 not in ended:
                    begun.unfinished.append(each)
            elif each.sha256 in marked:
                begun.unrecorded.append(each)
        return found

    def read(self) -> Iterator[StoredDocument]:
        """Every intent and certificate that this lake signed; other files are passed over."""
        for file in sorted(self.lake.certificates.glob("*")) if self.lake.certificates.is_dir() else ():
            if len(file.name) == len(sha256().hexdigest()) and file.is_file() and _is_purge_document(file):
                try:
                    signed = open_document(file.read_bytes(), self.verifiers())
                except (CertificateError, NoteError):
                    continue
                if signed.document.lake == self.lake_name and signed.file_sha256 == file.name:
                    yield StoredDocument(signed.document, signed.file_sha256, file)

    def destructions(self) -> Iterator[tuple[KeyDestruction, Path]]:
        """Every certificate of a destroyed subject key that this lake signed; other files are passed over."""
        for file in sorted(self.lake.certificates.glob("*")) if self.lake.certificates.is_dir() else ():
            if len(file.name) == len(sha256().hexdigest()) and file.is_file() and _kind(file) == KEY_KIND.encode():
                content = file.read_bytes()
                try:
                    document = open_destruction(content, self.verifiers())
                except (CertificateError, NoteError):
                    continue
                if document.lake == self.lake_name and sha256(content).hexdigest() == file.name:
                    yield document, file

    def verifiers(self) -> list[Ed25519Verifier]:
        """What the lake's own keys verify, those that were replaced too."""
        return read_signing_keys(self.lake.keys).verifiers(self.signer_name)

    def find(self, name: str) -> tuple[SignedDocument, Path]:
        """A certificate by its SHA-256, the beginning of it, or its file, with its signature checked by the lake's own keys.

        Raises:
            NotFoundError: there is none, or several begin so.
            CorruptionError: it is none, or not as it was signed.
        """
        path = Path(name)
        files = (
            [path]
            if path.is_file()
            else [file for file in sorted(self.lake.certificates.glob(f"{path.name}*")) if file.is_file()]
        )
        if len(files) != 1:
            raise NotFoundError(
                f"certificate: expected one by {name!r}, got {len(files)}",
                hint=f"they lie in {self.lake.certificates}; `muniment retention certificates` lists them",
            )
        content = files[0].read_bytes()
        found = sha256(content).hexdigest()
        if files[0].parent == self.lake.certificates and files[0].name != found:
            raise CorruptionError(
                f"{files[0]}: expected a file whose SHA-256 is its name, got {found}",
                hint="somebody changed or renamed it: the certificate of this hash is another, or gone",
            )
        try:
            return open_document(content, self.verifiers()), files[0]
        except (CertificateError, NoteError) as exc:
            raise CorruptionError(
                f"{files[0]}: {exc}", hint="it is not what this lake signed: trust nothing of it"
            ) from exc


def last_purge(lake: Lake) -> dict[str, int | None]:
    """When a purge was certified last (nanoseconds since 1970, by the file's own time), and how many intents and certificates there are.

    Told by the first line of each file: cheap enough to be asked often, and nothing to rely on.
    """
    kinds = [(_kind(file), file) for file in lake.certificates.glob("*") if file.is_file()]
    times = [file.stat().st_mtime_ns for kind, file in kinds if kind == CERTIFICATE.encode()]
    return {
        "unix_nano": max(times, default=None),
        "certificates": len(times),
        "intents": sum(kind == INTENT.encode() for kind, _ in kinds),
    }


def _is_purge_document(file: Path) -> bool:
    return _kind(file) in _KINDS


def _kind(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_FIRST_BYTES).partition(b"\n")[0]
