"""Intents and certificates on every backup target, before a purge reports success: what was erased must not come back.

    mirror_documents(targets, files, *, lake, lake_name, clock) -> None

`targets` are the folders of the setting `backup.targets`, `files` the documents just written to `LAKE/certificates/<sha256>`.
On return each target holds them in `certificates/<sha256>`, durably, and its list (`certificates.note`) names them.

The list is a signed note by the key named `<lake>/backup`: that name, the line `muniment/mirrored-documents@v1` and one line of
canonical JSON (RFC 8785) with the time, the count and the SHA-256 of every document, and how far each log reached then. It never
gets shorter, so a restore notices a document that was taken away, and a list that was cut or is older than the backup.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
import rfc8785

from warehouse.clock import Clock
from warehouse.durable import make_folder, replace_file, replace_files
from warehouse.errors import CorruptionError, UnavailableError
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.errors import CertificateError, NoteError
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.ledger.note import NoteVerifier, open_note, sign_note
from warehouse.ledger.signing import SigningKeys, read_signing_keys
from warehouse.locks import locked

FOLDER = "certificates"
LIST_FILE = "certificates.note"
KIND = "muniment/mirrored-documents@v1"
MAX_LIST_BYTES = 256 * 1024 * 1024
"""Room for three million documents."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOCK_SECONDS = 30.0
_AT_ONCE = 64


class DocumentList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a target's list says. `heads` is the size of each log, by origin, at `time_unix_nano` (in decimal)."""

    lake: str
    time_unix_nano: str
    count: int
    sha256: tuple[str, ...]
    heads: dict[str, int]


def backup_origin(lake_name: str) -> str:
    """Name under which a lake's keys sign what lies on its backup targets."""
    return f"{lake_name}/backup"


def mirror_documents(
    targets: Sequence[Path], files: Sequence[Path], *, lake: Lake, lake_name: str, clock: Clock
) -> None:
    """Copy intents and certificates to every target, durably, and sign each target's list anew; safe to repeat.

    What else lies in `LAKE/certificates` and a target does not hold yet goes along, so a target that was away catches up. Without
    targets nothing is done. A target MUST be a folder that is there: one that is not mounted is not made up.

    Raises:
        UnavailableError: a target cannot be written; those before it may hold the documents already. Call again.
        CorruptionError: a document is not what its name says, or the lake's signing keys cannot be read.
    """
    if not targets:
        return
    known = {file.name: file for file in (*stored_documents(lake.certificates), *files)}
    mirror = _Mirror(
        lake_name, known, {file.name for file in files}, read_signing_keys(lake.keys), log_sizes(lake), clock
    )
    for target in targets:
        try:
            mirror.update(target)
        except OSError as exc:
            raise UnavailableError(
                f"backup target {target}: certificates cannot be written: {exc.strerror or exc}",
                hint="see that it is mounted and has room, or take it out of backup.targets",
            ) from exc


def stored_documents(folder: Path) -> list[Path]:
    """Documents in a folder of certificates, by name; none where there is no folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in found if _SHA256.fullmatch(file.name))


def log_sizes(lake: Lake) -> dict[str, int]:
    """Signed size of every log by origin; one whose checkpoint cannot be read is left to `verify`."""
    sizes = {}
    for file in sorted((lake.path / "ledger").glob(f"*/*/{CHECKPOINT_FILE}")):
        try:
            checkpoint = read_unverified(file.read_bytes())
        except (OSError, NoteError):
            continue
        sizes[checkpoint.origin] = checkpoint.size
    return sizes


def open_list(content: bytes, verifiers: Iterable[NoteVerifier]) -> DocumentList:
    """Read a target's list and check its signature against keys that the reader knows.

    Raises:
        CertificateError: not such a list, or one that was cut.
        UnknownKeyError: no known key signed it.
        BadSignatureError: a known key's signature does not fit.
        NoteError: not a signed note.
    """
    text = open_note(content, verifiers, max_bytes=MAX_LIST_BYTES).text
    origin, _, rest = text.removesuffix("\n").partition("\n")
    kind, _, line = rest.partition("\n")
    if kind != KIND:
        raise CertificateError(f"list of certificates: expected {KIND} in the second line, got {kind[:60]!r}")
    try:
        listed = msgspec.json.decode(line, type=DocumentList)
    except msgspec.MsgspecError as exc:
        raise CertificateError(f"{KIND}: {exc}") from exc
    if origin != backup_origin(listed.lake):
        raise CertificateError(f"{KIND}: expected the origin {backup_origin(listed.lake)}, got {origin[:60]!r}")
    if listed.count != len(listed.sha256) or not all(map(_SHA256.fullmatch, listed.sha256)):
        raise CertificateError(
            f"{KIND}: expected {listed.count} names of 64 hex digits, got {len(listed.sha256)} or other ones"
        )
    return listed


@dataclass(frozen=True)
class _Mirror:
    """One round over the targets: every document by name, those that were asked for, and what the lists will say."""

    lake_name: str
    known: Mapping[str, Path]
    asked: Collection[str]
    keys: SigningKeys
    heads: Mapping[str, int]
    clock: Clock

    def update(self, target: Path) -> None:
        """Bring one target up to date."""
        if not target.is_dir():
            raise UnavailableError(
                f"backup target {target}: expected a folder that is there, got none",
                hint="mount it, or make the folder once by hand: a missing one is not made, it may be a disk that is away",
            )
        folder = target / FOLDER
        make_folder(folder)
        with locked(folder / ".lock", holder="mirroring of certificates", timeout_seconds=_LOCK_SECONDS):
            listed = self._listed(target)
            found = stored_documents(folder)
            # what a run that was killed has left here counts only once it is what its name says
            whole = {file.name for file in found if file.name in listed or _name_fits(file.name, file.read_bytes())}
            missing = sorted(name for name in self.known if name not in whole or name in self.asked)
            for start in range(0, len(missing), _AT_ONCE):
                replace_files((folder / name, self._read(name)) for name in missing[start : start + _AT_ONCE])
            self._sign(target, listed | whole | self.known.keys())

    def _listed(self, target: Path) -> set[str]:
        """Names in the present list; of one that this lake did not sign nothing is believed, and it is made anew.

        Raises:
            UnavailableError: the target is another lake's.
        """
        file = target / LIST_FILE
        if not file.exists():
            return set()
        content = file.read_bytes()
        own = backup_origin(self.lake_name)
        first = content.partition(b"\n")[0].decode("utf8", "replace")
        if first != own:
            raise UnavailableError(
                f"backup target {target}: expected certificates of {own}, got those of {first[:80]!r}",
                hint="every lake needs a target of its own",
            )
        try:
            return set(open_list(content, self.keys.verifiers(own)).sha256)
        except (CertificateError, NoteError):
            return set()

    def _read(self, name: str) -> bytes:
        content = self.known[name].read_bytes()
        if not _name_fits(name, content):
            raise CorruptionError(
                f"{self.known[name]}: expected the document of that SHA-256, got {sha256(content).hexdigest()}",
                hint="it was altered: take it from a backup target or from whoever was given it",
            )
        return content

    def _sign(self, target: Path, names: Iterable[str]) -> None:
        now = self.clock()
        ordered = tuple(sorted(names))
        content = DocumentList(self.lake_name, str(now), len(ordered), ordered, dict(self.heads))
        own = backup_origin(self.lake_name)
        line = rfc8785.dumps(msgspec.to_builtins(content)).decode()
        replace_file(target / LIST_FILE, sign_note(f"{own}\n{KIND}\n{line}\n", self.keys.signers(own, now)))


def _name_fits(name: str, content: bytes) -> bool:
    return sha256(content).hexdigest() == name
