"""Public keys of signed notes as text (C2SP signed-note, verifier keys), and the rules for their names. No I/O."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from warehouse.ledger import fields
from warehouse.ledger.errors import NoteError

ED25519 = 0x01
"""Type byte of an Ed25519 key that signs notes."""
KEY_ID_BYTES = 4

CONTROL_CHARACTERS = re.compile(r"[\x00-\x09\x0b-\x1f]")
"""ASCII control characters but newline: none may stand in a note."""

_PUBLIC_KEY_BYTES = 32


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key (32 bytes) under a name; what it signs is its subclass's matter, told apart by the type byte."""

    TYPE: ClassVar[int]

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        check_public_key(self.public_key)

    @property
    def key_id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4]."""
        return compute_key_id(self.name, self.TYPE, self.public_key)

    @property
    def vkey(self) -> str:
        """The key as text: `name+id+key`."""
        return format_vkey(self.name, self.TYPE, self.public_key)

    @classmethod
    def from_vkey(cls, vkey: str) -> Self:
        """Read a key's text.

        Raises:
            NoteError: not a vkey, a wrong key id, or a key of another type.
        """
        return cls(*parse_vkey(vkey, cls.TYPE))


def compute_key_id(name: str, kind: int, public_key: bytes) -> bytes:
    """SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4]."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:KEY_ID_BYTES]


def format_vkey(name: str, kind: int, public_key: bytes) -> str:
    """`name+hex(key id)+base64(type ‖ public key)`."""
    return f"{name}+{compute_key_id(name, kind, public_key).hex()}+{fields.encode_base64(bytes([kind]) + public_key)}"


def parse_vkey(vkey: str, kind: int) -> tuple[str, bytes]:
    """Name and public key of a vkey of this type.

    Raises:
        NoteError: not a vkey, a wrong key id, or a key of another type.
    """
    name, _, rest = vkey.partition("+")
    check_key_name(name)
    key_id, _, encoded = rest.partition("+")
    try:
        typed_key = fields.decode_base64(encoded)
    except ValueError as exc:
        raise NoteError(f"vkey of {name}: {exc}") from exc
    if typed_key[:1] != bytes([kind]):
        raise NoteError(f"vkey of {name}: expected a key of type 0x{kind:02x}, got 0x{typed_key[:1].hex()}")
    expected = compute_key_id(name, kind, typed_key[1:]).hex()
    if key_id != expected:
        raise NoteError(f"vkey of {name}: expected key id {expected}, got {key_id[:20]!r}")
    check_public_key(typed_key[1:])
    return name, typed_key[1:]


def check_key_name(name: str) -> None:
    """Check a key's name: not empty, neither spaces nor `+` nor control characters.

    Raises:
        NoteError: it is not one.
    """
    if not name or "+" in name or any(character.isspace() for character in name) or CONTROL_CHARACTERS.search(name):
        raise NoteError(f"key name: expected text without spaces and '+', got {name[:60]!r}")


def check_public_key(public_key: bytes) -> None:
    """Check the size of an Ed25519 public key.

    Raises:
        NoteError: it is another.
    """
    if len(public_key) != _PUBLIC_KEY_BYTES:
        raise NoteError(f"public key: expected {_PUBLIC_KEY_BYTES} bytes, got {len(public_key)}")


def ed25519_fits(public_key: bytes, value: bytes, message: bytes) -> bool:
    """Whether `value` is the key's Ed25519 signature of `message`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(value, message)
    except (InvalidSignature, ValueError):
        return False
    return True
