"""Checkpoints (C2SP tlog-checkpoint): a log's origin, size and root as a signed note. No I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from warehouse.ledger import fields
from warehouse.ledger.errors import NoteError
from warehouse.ledger.note import NoteSigner, NoteVerifier, Signature, open_note, parse_note, sign_note
from warehouse.ledger.tree import HASH_BYTES
from warehouse.ledger.vkey import check_key_name

_LINES = 3
_ORIGIN_PARTS = 3


@dataclass(frozen=True)
class Checkpoint:
    """A log's head: origin, number of leaves, root hash; `extensions` are further lines, which logs here do not write."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note's text, with its final newline."""
        return "\n".join((self.origin, str(self.size), fields.encode_base64(self.root), *self.extensions, ""))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a checkpoint's text.

        Raises:
            NoteError: not a checkpoint.
        """
        lines = text.removesuffix("\n").split("\n")
        if not text.endswith("\n") or len(lines) < _LINES or not all(lines):
            raise NoteError(f"checkpoint: expected origin, size and root, one a line, got {text[:80]!r}")
        try:
            size, root = fields.decode_number(lines[1], "size"), fields.decode_hash(lines[2], "root")
        except ValueError as exc:
            raise NoteError(f"checkpoint: {exc}") from exc
        return cls(lines[0], size, root, tuple(lines[_LINES:]))


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint with the signatures by which it is believed, and the note verbatim."""

    checkpoint: Checkpoint
    verified: tuple[Signature, ...]
    note: bytes


def log_origin(lake: str, tenant: str, shard: str) -> str:
    """Origin of a log, and the name of its key: `<lake>/<tenant>/<shard>`.

    Raises:
        NoteError: a part is empty or holds a slash, space or `+`.
    """
    origin = f"{lake}/{tenant}/{shard}"
    split_origin(origin)
    return origin


def split_origin(origin: str) -> tuple[str, str, str]:
    """Lake, tenant and shard of an origin.

    Raises:
        NoteError: not `<lake>/<tenant>/<shard>`.
    """
    check_key_name(origin)
    parts = origin.split("/")
    if len(parts) != _ORIGIN_PARTS or not all(parts):
        raise NoteError(f"origin: expected <lake>/<tenant>/<shard>, got {origin!r}")
    return parts[0], parts[1], parts[2]


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[NoteSigner]) -> bytes:
    """The checkpoint as a signed note. The caller has made sure that it contradicts no earlier one.

    Raises:
        NoteError: the root is no hash, the size is negative, or a line is empty or holds a newline.
    """
    if len(checkpoint.root) != HASH_BYTES or checkpoint.size < 0 or Checkpoint.parse(checkpoint.text) != checkpoint:
        raise NoteError(f"checkpoint: expected one that reads back as it is, got {checkpoint}")
    return sign_note(checkpoint.text, signers)


def open_checkpoint(note: bytes, *, origin: str, verifiers: Iterable[NoteVerifier]) -> SignedCheckpoint:
    """Read a checkpoint of the log `origin`, signed by a key of that log: `verifiers` are the log's keys, not witnesses'.

    Raises:
        NoteError: not a checkpoint, or of another log.
        BadSignatureError: a known key's signature does not fit.
        UnknownKeyError: no known key signed it.
    """
    opened = open_note(note, verifiers)
    checkpoint = Checkpoint.parse(opened.text)
    if checkpoint.origin != origin:
        raise NoteError(f"checkpoint: expected origin {origin!r}, got {checkpoint.origin!r}")
    return SignedCheckpoint(checkpoint, opened.verified, note)


def read_unverified(note: bytes) -> Checkpoint:
    """What a checkpoint says, signatures unchecked: to find its log and keys, never to believe it.

    Raises:
        NoteError: not a checkpoint.
    """
    return Checkpoint.parse(parse_note(note).text)
