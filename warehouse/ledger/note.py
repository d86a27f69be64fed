"""Signed notes (C2SP signed-note): text, an empty line, signature lines. Ed25519 (type 0x01) here, cosignatures beside. No I/O.

A note's text means nothing until `open_note` has found a signature by a key that the verifier brought along. Signatures by
other keys are ignored; a known key's signature that fails, or that stands there twice, rejects the note.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.ledger import fields
from warehouse.ledger.errors import BadSignatureError, NoteError, UnknownKeyError
from warehouse.ledger.vkey import (
    CONTROL_CHARACTERS,
    ED25519,
    KEY_ID_BYTES,
    PublicKey,
    check_key_name,
    ed25519_fits,
)

_PLAIN_BYTES = bytes([0x0A, *range(0x20, 0x80)])
MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
"""More than the 16 that a verifier must accept (signed-note, Format), and few enough to check."""

_DASH = "\N{EM DASH} "


@dataclass(frozen=True)
class Signature:
    """One signature line: the key's name, its id (4 bytes) and the signature proper."""

    name: str
    key_id: bytes
    value: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, with its newline."""
        return f"{_DASH}{self.name} {fields.encode_base64(self.key_id + self.value)}\n"


class NoteVerifier(Protocol):
    """A public key under a name. `verify` MUST NOT raise on any bytes."""

    @property
    def name(self) -> str:
        """The key's name."""
        ...

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of the key's hash."""
        ...

    def verify(self, text: str, value: bytes) -> bool:
        """Whether `value` is this key's signature of a note's text."""
        ...


class NoteSigner(Protocol):
    """A private key under a name."""

    def sign(self, text: str) -> Signature:
        """Sign a note's text."""
        ...


@dataclass(frozen=True)
class Note:
    """A note in its format, nothing checked: text with its final newline, and all signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The note's bytes."""
        return (self.text + "\n" + "".join(signature.line for signature in self.signatures)).encode()


@dataclass(frozen=True)
class OpenedNote:
    """A note with at least one signature by a known key: `verified` holds those, in the note's order."""

    text: str
    verified: tuple[Signature, ...]


class Ed25519Verifier(PublicKey):
    """A public key that verifies signatures of notes."""

    TYPE = ED25519

    def named(self, name: str) -> Self:
        """The same key under another name: one key signs all logs of a lake, each under its origin's name."""
        return type(self)(name, self.public_key)

    def verify(self, text: str, value: bytes) -> bool:
        """Whether `value` is this key's signature (RFC 8032) of `text`."""
        return ed25519_fits(self.public_key, value, text.encode())


@dataclass(frozen=True)
class Ed25519Signer:
    """Ed25519 private key under a name."""

    name: str
    private_key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        check_key_name(self.name)

    @property
    def verifier(self) -> Ed25519Verifier:
        """The public half."""
        return Ed25519Verifier(self.name, self.private_key.public_key().public_bytes_raw())

    def sign(self, text: str) -> Signature:
        """Sign a note's text."""
        return Signature(self.name, self.verifier.key_id, self.private_key.sign(text.encode()))


def parse_note(content: bytes, *, max_bytes: int = MAX_NOTE_BYTES) -> Note:
    """Read a note of at most `max_bytes` without checking any signature.

    Raises:
        NoteError: not a signed note.
    """
    if len(content) > max_bytes:
        raise NoteError(f"note: expected at most {max_bytes} bytes, got {len(content)}")
    try:
        whole = content.decode("utf8")
    except UnicodeDecodeError as exc:
        raise NoteError(f"note: expected UTF-8, got another byte at {exc.start}") from exc
    _check_characters(whole)
    text, separator, signature_lines = whole.rpartition("\n\n")
    if not separator or not text or not signature_lines:
        raise NoteError("note: expected text, an empty line and signature lines, got no such parts")
    if not signature_lines.endswith("\n"):
        raise NoteError("note: expected a newline at the end of the last signature line, got none")
    lines = signature_lines[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"note: expected at most {MAX_SIGNATURES} signatures, got {len(lines)}")
    return Note(text + "\n", tuple(parse_signature(line) for line in lines))


def parse_signature(line: str) -> Signature:
    """Read one signature line, without its newline.

    Raises:
        NoteError: not a signature line.
    """
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH):
        raise NoteError(f"signature line: expected an em dash and a space first, got {line[:40]!r}")
    check_key_name(name)
    try:
        value = fields.decode_base64(encoded)
    except ValueError as exc:
        raise NoteError(f"signature by {name}: {exc}") from exc
    if len(value) <= KEY_ID_BYTES:
        raise NoteError(
            f"signature by {name}: expected a key id of {KEY_ID_BYTES} bytes and more, got {len(value)} bytes"
        )
    return Signature(name, value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])


def open_note(content: bytes, verifiers: Iterable[NoteVerifier], *, max_bytes: int = MAX_NOTE_BYTES) -> OpenedNote:
    """Read a note of at most `max_bytes` and check it against the keys that the verifier knows.

    Raises:
        NoteError: not a signed note, or a known key's signature stands there twice.
        BadSignatureError: a known key's signature does not fit.
        UnknownKeyError: no known key signed it.
    """
    note = parse_note(content, max_bytes=max_bytes)
    verified = check_signatures(note, verifiers)
    if not verified:
        names = ", ".join(f"{signature.name}+{signature.key_id.hex()}" for signature in note.signatures)
        raise UnknownKeyError(f"note: expected a signature by a known key, got only {names}")
    return OpenedNote(note.text, verified)


def check_signatures(note: Note, verifiers: Iterable[NoteVerifier]) -> tuple[Signature, ...]:
    """The note's signatures by known keys, all of which fit; none where no known key signed.

    Raises:
        NoteError: a known key's signature stands there twice.
        BadSignatureError: a known key's signature does not fit.
        ValueError: two of the keys given share name and id.
    """
    known: dict[tuple[str, bytes], NoteVerifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise ValueError(
                f"keys: expected one key a name and id, got two of {verifier.name}+{verifier.key_id.hex()}"
            )
    verified: dict[tuple[str, bytes], Signature] = {}
    for signature in note.signatures:
        key = signature.name, signature.key_id
        if key not in known:
            continue
        if key in verified:
            raise NoteError(f"note: expected one signature a key, got two by {signature.name}")
        if not known[key].verify(note.text, signature.value):
            raise BadSignatureError(f"signature by {signature.name}+{signature.key_id.hex()} does not fit the note")
        verified[key] = signature
    return tuple(verified.values())


def sign_note(text: str, signers: Sequence[NoteSigner]) -> bytes:
    """A note of `text` with one signature a signer.

    Raises:
        NoteError: the text is empty, lacks its final newline, or holds control characters.
    """
    if not text.endswith("\n") or text == "\n":
        raise NoteError("note text: expected text that ends in a newline, got none")
    _check_characters(text)
    if not signers:
        raise ValueError("note: expected at least one signer, got none")
    return Note(text, tuple(signer.sign(text) for signer in signers)).encode()


def add_signatures(content: bytes, signatures: Iterable[Signature]) -> bytes:
    """The note with further signatures; one by a key that signed before takes the earlier one's place.

    Raises:
        NoteError: `content` is not a signed note.
    """
    note = parse_note(content)
    by_key = {(signature.name, signature.key_id): signature for signature in (*note.signatures, *signatures)}
    return Note(note.text, tuple(by_key.values())).encode()


def _check_characters(text: str) -> None:
    # certificates of a hundred megabytes are ASCII, and the pattern takes ten times as long as this
    if text.isascii() and not text.encode().translate(None, _PLAIN_BYTES):
        return
    if found := CONTROL_CHARACTERS.search(text):
        raise NoteError(f"note: expected no control characters but newline, got {found[0]!r} at {found.start()}")
