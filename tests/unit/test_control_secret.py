"""The text of a key and what is stored of it, against values computed by other means."""

import base64
import hashlib
import itertools

import pytest

from warehouse.control.secret import NO_SECRET, StoredSecret, key_id_of, make_key_id, make_key_text, matches, seal
from warehouse.errors import UnauthenticatedError

SECRET = bytes(range(32))
# RFC 4648 base32 of 00 01 … 1f, as coreutils' `base32` writes it.
SECRET_TEXT = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
KEY_TEXT = f"mun_k000102030405_{SECRET_TEXT}"


def counting(size):
    """Bytes 0, 1, 2, … instead of random ones."""
    return bytes(range(size))


def test_key_text_holds_id_and_256_bits():
    """A key's text is the prefix, the id and 32 random bytes in lower-case base32, and its id is read back from it."""
    assert make_key_id(counting) == "k000102030405"
    assert make_key_text("k000102030405", counting) == KEY_TEXT
    assert key_id_of(KEY_TEXT) == "k000102030405"
    assert base64.b32decode(KEY_TEXT.rsplit("_", 1)[1].upper() + "====") == SECRET


def test_stored_is_the_hash_of_salt_and_text():
    """What is stored is a fresh salt and SHA-256 over salt and text, and only the same text matches it."""
    stored = seal(KEY_TEXT, counting)
    assert stored == StoredSecret(bytes(range(16)), hashlib.sha256(bytes(range(16)) + KEY_TEXT.encode()).digest())
    assert matches(KEY_TEXT, stored)
    assert not matches(KEY_TEXT[:-1] + "a", stored)
    assert not matches(KEY_TEXT, NO_SECRET)
    assert stored.secret_hash.hex() not in repr(stored)


def test_same_secret_is_stored_differently_each_time():
    """Two rows of one secret share neither salt nor hash."""
    fill = itertools.count()
    one, two = (seal(KEY_TEXT, lambda size: bytes([next(fill)]) * size) for _ in range(2))
    assert one.salt != two.salt
    assert one.secret_hash != two.secret_hash


@pytest.mark.parametrize(
    "text",
    ["", "mun_", SECRET_TEXT, KEY_TEXT.upper(), KEY_TEXT + "a", KEY_TEXT[:-1], KEY_TEXT + "\n", KEY_TEXT.replace("a", "1"),
     KEY_TEXT.replace("_", "-"), KEY_TEXT.replace("k0", "k\u0660")],
)  # fmt: skip
def test_other_text_is_no_key(text):
    """A text of another form is refused, and the message says its length and not its content."""
    with pytest.raises(UnauthenticatedError, match=f"got {len(text)} characters") as refused:
        key_id_of(text)
    assert SECRET_TEXT not in str(refused.value).lower()
