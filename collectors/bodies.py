"""Bodies as they arrive: content encodings undone within limits, and the digest by which a repeat is recognised.

Invariant: never more than `limit + 1` bytes come out of a compressed body, however far it would inflate. gzip is RFC 1952
(several members allowed), deflate is RFC 9110 §8.4.1.2 (zlib, and the raw form that some clients send).
"""

import hashlib
import hmac
import re

from isal import isal_zlib

from collectors.exports import IntakeLimits, Signal
from warehouse.errors import DecodeError, InputError, LimitError

DIGEST_BYTES = 16
"""Size of a body's digest: HMAC-SHA256 cut short (RFC 2104 §5)."""

MAX_GZIP_MEMBERS = 16
"""Members of one gzip body; each costs a copy of the rest, so half a million empty ones would take a minute."""

_GZIP = 31
_ZLIB = 15
_RAW = -15
_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_METHOD = 0x78
_ZLIB_CHECK = 31


class UnsupportedEncodingError(InputError):
    """A content encoding that is not understood (415, UNIMPLEMENTED)."""


class TooLargeError(LimitError):
    """A body over a limit of size (413, RESOURCE_EXHAUSTED)."""


def body_digest(key: bytes, signal: Signal, key_id: str, body: bytes) -> bytes:
    """16-byte keyed digest of a request's decompressed body.

    Decompressed, because exporters compress again when they retry and gzip headers carry the time. Signal and key id are
    part of it: the same bytes from another sender are another request.
    """
    return hmac.digest(key, b"\0".join((signal.encode(), key_id.encode(), body)), hashlib.sha256)[:DIGEST_BYTES]


def check_size(size_bytes: int, limits: IntakeLimits) -> None:
    """Refuse a body over the limit on the wire.

    Raises:
        TooLargeError: it is; the message names the limit.
    """
    if size_bytes > limits.body_bytes:
        raise TooLargeError(f"body: expected at most limits.body_bytes = {limits.body_bytes} bytes, got {size_bytes}")


def decompress(body: bytes, encoding: str, limits: IntakeLimits) -> bytes:
    """Undo a `Content-Encoding` of gzip, deflate or identity.

    Raises:
        UnsupportedEncodingError: another encoding, or several.
        DecodeError: bytes that are not what the encoding says, are cut short, or go on after its end.
        TooLargeError: it inflates past `limits.decompressed_bytes`.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name in ("gzip", "x-gzip"):
        return _gunzip(body, limits.decompressed_bytes)
    if name == "deflate":
        return _inflate(body, _ZLIB if looks_like_zlib(body) else _RAW, "deflate", limits.decompressed_bytes)
    shown = name if re.fullmatch(r"[a-z0-9, -]{1,40}", name) else f"{len(name)} characters"
    raise UnsupportedEncodingError(f"content encoding: expected gzip, deflate or identity, got {shown}")


def decompress_unlabelled(body: bytes, limits: IntakeLimits) -> bytes:
    """Undo gzip or zlib where the bytes alone tell it, as for gRPC messages whose compression flag is not handed on.

    An OTLP request never begins like gzip (its first byte would be an impossible wire type). A zlib header could be an
    unknown field, so only what inflates with a matching checksum is taken for compressed.

    Raises:
        DecodeError: gzip that is damaged.
        TooLargeError: it inflates past `limits.decompressed_bytes`.
    """
    if body.startswith(_GZIP_MAGIC):
        return _gunzip(body, limits.decompressed_bytes)
    if not looks_like_zlib(body):
        return body
    try:
        return _inflate(body, _ZLIB, "deflate", limits.decompressed_bytes)
    except DecodeError:
        return body


def looks_like_zlib(body: bytes) -> bool:
    """Tell a zlib header (RFC 1950 §2.2: deflate, 32 KiB window, check bits) from anything else."""
    return len(body) > 1 and body[0] == _ZLIB_METHOD and (body[0] << 8 | body[1]) % _ZLIB_CHECK == 0


def _gunzip(body: bytes, limit: int) -> bytes:
    members: list[bytes] = []
    left = limit
    rest = body
    while rest or not members:
        if len(members) == MAX_GZIP_MEMBERS:
            raise TooLargeError(f"body: expected at most {MAX_GZIP_MEMBERS} gzip members, got more")
        plain, rest = _inflate_one(rest, _GZIP, "gzip", left, limit)
        members.append(plain)
        left -= len(plain)
    return members[0] if len(members) == 1 else b"".join(members)


def _inflate(body: bytes, wbits: int, name: str, limit: int) -> bytes:
    plain, rest = _inflate_one(body, wbits, name, limit, limit)
    if rest:
        raise DecodeError(f"body: expected {name} alone, got {len(rest)} bytes after its end")
    return plain


def _inflate_one(body: bytes, wbits: int, name: str, left: int, limit: int) -> tuple[bytes, bytes]:
    """Inflate one stream; return it and what follows it. At most `left + 1` bytes are produced."""
    stream = isal_zlib.decompressobj(wbits=wbits)
    try:
        plain: bytes = stream.decompress(body, left + 1)
    except isal_zlib.error as exc:  # type: ignore[misc]  # its stub declares an instance, it is the class
        raise DecodeError(f"body: expected {name}, got {len(body)} bytes that are not ({exc})") from exc
    if len(plain) > left:
        raise TooLargeError(
            f"body: expected at most limits.decompressed_bytes = {limit} bytes decompressed, got more from {name}"
        )
    if not stream.eof:
        raise DecodeError(f"body: expected {name} to its end, got it cut short after {len(body)} bytes")
    return plain, stream.unused_data
