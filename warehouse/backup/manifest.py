"""The manifest of a backup: every file of its one generation with size and SHA-256, each log's checkpoint, the time. No I/O.

It is a signed note by the key named `<lake>/backup`: that name, the line `muniment/backup@v1` and one line of JSON. A file that it
does not name is no part of the backup, so replacing the manifest is what turns one generation into the next.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from warehouse.backup.documents import backup_origin
from warehouse.errors import InputError
from warehouse.ledger.errors import NoteError
from warehouse.ledger.note import NoteSigner, NoteVerifier, open_note, parse_note, sign_note

MANIFEST_FILE = "manifest.note"
KIND = "muniment/backup@v1"
MAX_MANIFEST_BYTES = 1 << 30
"""Room for five million files."""


class StoredFile(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One file of a generation: its path below the target, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str

    @property
    def lake_path(self) -> str:
        """Where it stands in a lake: without the folder of the target that holds files of its kind."""
        return self.path.partition("/")[2]


class StoredLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One log as the backup holds it: `checkpoint` is its note, verbatim."""

    origin: str
    size: int
    checkpoint: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup holds. `time_unix_nano` (in decimal) is when its view of the lake was taken.

    `lake_id` tells lakes of the same name apart; `vkeys` are the lake's public keys then; `documents` are the certificates that
    its tables already follow; `control` says whether the control database is in it or on a server that is backed up by its own tools.
    """

    lake: str
    lake_id: str
    generation: int
    time_unix_nano: str
    control: str
    vkeys: tuple[str, ...]
    logs: tuple[StoredLog, ...]
    documents: tuple[str, ...]
    files: tuple[StoredFile, ...]

    @property
    def by_path(self) -> Mapping[str, StoredFile]:
        """Files by their path below the target."""
        return {file.path: file for file in self.files}

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def sign_manifest(manifest: Manifest, signers: Sequence[NoteSigner]) -> bytes:
    """The manifest's file."""
    return sign_note(f"{backup_origin(manifest.lake)}\n{KIND}\n{msgspec.json.encode(manifest).decode()}\n", signers)


def open_manifest(content: bytes, verifiers: Iterable[NoteVerifier]) -> Manifest:
    """Read a manifest and check its signature against keys that the reader knows.

    Raises:
        InputError: not a manifest.
        UnknownKeyError: no known key signed it.
        BadSignatureError: a known key's signature does not fit.
        NoteError: not a signed note.
    """
    return _parse(open_note(content, verifiers, max_bytes=MAX_MANIFEST_BYTES).text)


def read_unverified(content: bytes) -> Manifest:
    """What a manifest says, its signature unchecked: to find the keys by which to check it.

    Raises:
        InputError: not a manifest.
    """
    try:
        return _parse(parse_note(content, max_bytes=MAX_MANIFEST_BYTES).text)
    except NoteError as exc:
        raise InputError(f"backup manifest: {exc}") from exc


def _parse(text: str) -> Manifest:
    origin, _, rest = text.removesuffix("\n").partition("\n")
    kind, _, line = rest.partition("\n")
    if kind != KIND:
        raise InputError(f"backup manifest: expected {KIND} in the second line, got {kind[:60]!r}")
    try:
        manifest = msgspec.json.decode(line, type=Manifest)
    except msgspec.MsgspecError as exc:
        raise InputError(f"backup manifest: {exc}") from exc
    if origin != backup_origin(manifest.lake):
        raise InputError(f"backup manifest: expected origin {backup_origin(manifest.lake)}, got {origin[:60]!r}")
    for file in manifest.files:
        parts = file.path.split("/")
        if len(parts) < 2 or any(part in {"", ".", ".."} for part in parts):  # noqa: PLR2004 - a folder and a name
            raise InputError(f"backup manifest: expected paths below the target, got {file.path[:80]!r}")
    return manifest
