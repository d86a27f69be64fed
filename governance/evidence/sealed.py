"""What seals say: keys, signed notes (C2SP signed-note), and proofs that a record stands in a log (RFC 9162, 2.1.3.2).

Standard library and `cryptography` alone: a copy of this file stands inside of each pack's `verify_pack.py`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

ED25519 = 1
COSIGNATURE = 4
_KEY_BYTES = 32
KEY_ID_BYTES = 4
_SALT_BYTES = 16
DASH = "\u2014 "
_PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_TABLE, _TENANT, _SHARD, _INDEX, _TIME = 0, 2, 4, 5, 7


class PackError(Exception):
    """Something in the pack is not what it should be."""


def fingerprint(key: bytes) -> str:
    """SHA-256 of a public key, in hexadecimal."""
    return hashlib.sha256(key).hexdigest()


def parse_vkey(text: str, kind: int = ED25519) -> tuple[str, bytes]:
    """Name and public key of a vkey (C2SP signed-note): one that signs logs, or with `COSIGNATURE` one of a witness."""
    name, _, rest = text.strip().partition("+")
    hexed, _, encoded = rest.partition("+")
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error as exc:
        raise PackError(f"key: expected name+id+key, got {text.strip()[:60]!r}") from exc
    if len(content) != 1 + _KEY_BYTES or content[0] != kind or key_id(name, content[1:], kind).hex() != hexed:
        raise PackError(f"key: expected an Ed25519 key of type {kind} as name+id+key, got {text.strip()[:60]!r}")
    return name, content[1:]


def check_proof(
    content: bytes,
    manifest: dict[str, Any],
    key: tuple[str, str, int],
    time: str | None,
    keys: list[tuple[str, bytes]],
    heads: Mapping[str, tuple[int, bytes]] | None = None,
) -> list[str | None]:
    """Check that a record stands at its place of a sealed log; returns what the record says, column by column.

    `heads` are the heads of the logs that the pack holds: the proof leads to that of its log, and to no other.
    """
    head, separator, note = content.partition(b"\n\n")
    lines = head.decode("ascii").split("\n")
    if lines[0] != _PROOF_HEADER or not separator or not lines[1].startswith("extra "):
        raise PackError("not a proof that holds its record")
    extra = base64.b64decode(lines[1][6:], validate=True)
    index = int(lines[2].removeprefix("index "))
    hashes = [base64.b64decode(line, validate=True) for line in lines[3:]]
    table, shard, place = key
    origin = f"{manifest['lake']}/{manifest['tenant']}/{shard}"
    said = note.decode().partition("\n\n")[0].split("\n")
    if said[0] != origin or index != place:
        raise PackError(f"expected index {place} of {origin}, got index {index} of {said[0]}")
    if not is_signed(note.decode(), origin, keys, None):
        raise PackError("its checkpoint is not signed by a key that you trust")
    size, root = int(said[1]), base64.b64decode(said[2], validate=True)
    if heads is not None and heads.get(shard) != (size, root):
        raise PackError("its checkpoint is not the one of its log that the pack holds")
    leaf = hashlib.sha256(b"\x00" + hashlib.sha256(extra).digest()).digest()
    if _root(leaf, index, size, hashes) != root:
        raise PackError("the record does not lead to the sealed root")
    parts = _parts(extra[_SALT_BYTES:])
    got = (parts[_TABLE], parts[_TENANT], parts[_SHARD], int(parts[_INDEX] or -1), parts[_TIME])
    expected = (table, manifest["tenant"], shard, place)
    if got[:4] != expected or (time is not None and table == "audit_events" and got[4] != time):
        raise PackError(f"expected the record {expected}, got one that says {got} of itself")
    return parts


def _root(leaf: bytes, index: int, size: int, hashes: list[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2); None where it has the wrong length."""
    if not 0 <= index < size:
        return None
    first, last, found = index, size - 1, leaf
    for each in hashes:
        if last == 0:
            return None
        if first % 2 or first == last:
            found = hash_children(each, found)
            while first % 2 == 0 and first:
                first //= 2
                last //= 2
        else:
            found = hash_children(found, each)
        first //= 2
        last //= 2
    return found if last == 0 else None


def _parts(text: bytes) -> list[str | None]:
    """The values of a record's text: `<byte length>:<text>` or `-`, one after another."""
    at = 0
    found: list[str | None] = []
    while at < len(text):
        if text[at : at + 1] == b"-":
            found.append(None)
            at += 1
            continue
        colon = text.index(b":", at)
        end = colon + 1 + int(text[at:colon])
        found.append(text[colon + 1 : end].decode("utf-8"))
        at = end
    return found


def is_signed(note: str, name: str, keys: list[tuple[str, bytes]], expected: str | None) -> bool:
    """Whether a note is signed, under this name, by one of the keys, and is `expected` where that is given."""
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    if not separator or (expected is not None and text != expected):
        return False
    for line in signatures.splitlines():
        signer, _, encoded = line.removeprefix(DASH).partition(" ")
        if signer != name or not line.startswith(DASH):
            continue
        content = base64.b64decode(encoded)
        for own, key in keys:
            known = name == own or name.startswith(f"{own}/")
            if known and content[:KEY_ID_BYTES] == key_id(name, key):
                return fits(key, content[KEY_ID_BYTES:], text.encode())
    return False


def key_id(name: str, key: bytes, kind: int = ED25519) -> bytes:
    """The four bytes by which a signature names its key."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:KEY_ID_BYTES]


def hash_children(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fits(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature is this Ed25519 key's of this message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
