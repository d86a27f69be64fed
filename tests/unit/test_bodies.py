"""Content encodings, limits of size and the digest of a body."""

import gzip
import hashlib
import hmac
import resource
import zlib

import pytest

from collectors.bodies import (
    MAX_GZIP_MEMBERS,
    TooLargeError,
    UnsupportedEncodingError,
    body_digest,
    check_size,
    decompress,
    decompress_unlabelled,
)
from collectors.exports import IntakeLimits, Signal
from warehouse.errors import DecodeError

LIMITS = IntakeLimits(body_bytes=1000, decompressed_bytes=10_000)
TEXT = b"\x0a\x10an OTLP request" * 40
RAW = zlib.compress(TEXT, wbits=-15)
GZIP = gzip.compress(TEXT, mtime=0)
ZLIB = zlib.compress(TEXT)
EMPTY = gzip.compress(b"", mtime=0)


@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        (TEXT, "", TEXT),
        (TEXT, "identity", TEXT),
        (GZIP, "gzip", TEXT),
        (GZIP, " GZip ", TEXT),
        (GZIP, "x-gzip", TEXT),
        (EMPTY, "gzip", b""),
        (GZIP + gzip.compress(b"more", mtime=0), "gzip", TEXT + b"more"),
        (EMPTY * MAX_GZIP_MEMBERS, "gzip", b""),
        (ZLIB, "deflate", TEXT),
        (RAW, "deflate", TEXT),
        (gzip.compress(bytes(10_000), mtime=0), "gzip", bytes(10_000)),
    ],
)
def test_what_is_undone(body, encoding, expected):
    """Gzip with one or several members, deflate with and without the zlib header, and identity."""
    assert decompress(body, encoding, LIMITS) == expected


@pytest.mark.parametrize(
    ("body", "encoding", "error", "said"),
    [
        (GZIP, "br", UnsupportedEncodingError, "gzip, deflate or identity, got br"),
        (GZIP, "gzip, gzip", UnsupportedEncodingError, "got gzip, gzip"),
        (GZIP, "x" * 100, UnsupportedEncodingError, "got 100 characters"),
        (GZIP, "a\x1b[31m", UnsupportedEncodingError, "got 6 characters"),
        (b"", "gzip", DecodeError, "cut short"),
        (GZIP[:-1], "gzip", DecodeError, "cut short"),
        (GZIP[:5], "gzip", DecodeError, "cut short"),
        (GZIP + b"junk", "gzip", DecodeError, "expected gzip"),
        (GZIP[:-8] + bytes(8), "gzip", DecodeError, "expected gzip"),
        (TEXT, "gzip", DecodeError, "expected gzip"),
        (ZLIB, "gzip", DecodeError, "expected gzip"),
        (ZLIB + b"junk", "deflate", DecodeError, "4 bytes after its end"),
        (ZLIB[:-2], "deflate", DecodeError, "cut short"),
        (ZLIB[:-4] + bytes(4), "deflate", DecodeError, "expected deflate"),
        (b"\xff\xff", "deflate", DecodeError, "expected deflate"),
        (gzip.compress(bytes(10_001), mtime=0), "gzip", TooLargeError, "limits.decompressed_bytes = 10000"),
        (gzip.compress(bytes(6_000), mtime=0) * 2, "gzip", TooLargeError, "limits.decompressed_bytes = 10000"),
        (zlib.compress(bytes(10_001)), "deflate", TooLargeError, "limits.decompressed_bytes = 10000"),
        (EMPTY * (MAX_GZIP_MEMBERS + 1), "gzip", TooLargeError, f"at most {MAX_GZIP_MEMBERS} gzip members"),
    ],
)
def test_what_is_refused(body, encoding, error, said):
    """What is not what it claims, goes on after its end, or inflates past the limit is refused by name."""
    with pytest.raises(error, match=said):
        decompress(body, encoding, LIMITS)


def test_a_bomb_is_not_inflated():
    """A body of a few hundred kilobytes that would inflate to 300 MB costs no more memory than the limit."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(300)) + packer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooLargeError):
        decompress(bomb, "gzip", IntakeLimits(decompressed_bytes=1_000_000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (TEXT, TEXT),
        (b"", b""),
        (GZIP, TEXT),
        (ZLIB, TEXT),
        (b"\x78\x01" + TEXT, b"\x78\x01" + TEXT),
        (b"\x78\x9c", b"\x78\x9c"),
    ],
)
def test_unlabelled_bodies(body, expected):
    """Without a label gzip and zlib are told from their bytes, and what only looks like zlib is left alone."""
    assert decompress_unlabelled(body, LIMITS) == expected


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (GZIP[:-1], DecodeError),
        (gzip.compress(bytes(10_001), mtime=0), TooLargeError),
        (zlib.compress(bytes(10_001)), TooLargeError),
    ],
)
def test_unlabelled_bodies_are_bounded_too(body, error):
    """Limits and damage are found without a label as well."""
    with pytest.raises(error):
        decompress_unlabelled(body, LIMITS)


def test_a_size_at_its_limit():
    """The limit itself is allowed; one byte more is refused with the limit's name and both numbers."""
    check_size(1000, LIMITS)
    with pytest.raises(TooLargeError, match=r"limits\.body_bytes = 1000 bytes, got 1001"):
        check_size(1001, LIMITS)


def test_a_digest():
    """A digest is HMAC-SHA256 over signal, key id and body, cut to 16 bytes: anything different gives another."""
    digest = body_digest(b"k" * 32, Signal.LOGS, "k1", b"body")
    assert digest == hmac.new(b"k" * 32, b"logs\x00k1\x00body", hashlib.sha256).digest()[:16]
    others = {
        body_digest(b"j" * 32, Signal.LOGS, "k1", b"body"),
        body_digest(b"k" * 32, Signal.TRACES, "k1", b"body"),
        body_digest(b"k" * 32, Signal.LOGS, "k2", b"body"),
        body_digest(b"k" * 32, Signal.LOGS, "k1", b"bodY"),
    }
    assert len(others | {digest}) == 5
