"""The text of an API key, and what is stored in its stead.

    mun_k3f9a0c12b7de_<52 characters>

`mun_` lets secret scanners find a leaked key, `k…` is the key's id (public: it stands in `recorded_by`), the rest is 256
random bits in base32. The id finds the row, so that exactly one hash is computed and compared for each request.

Stored is `SHA-256(salt ‖ secret)`. A slow password hash would buy nothing here: it makes guessing dear where the secret is
guessable, and 256 random bits are not, at any speed of hashing; it would cost 0.1 s of CPU on each cache miss and hand
anybody with a random key a way to keep the receivers busy.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from warehouse.errors import UnauthenticatedError

RandomBytes = Callable[[int], bytes]
"""Returns that many bytes from a cryptographic source; `secrets.token_bytes` outside of tests."""

SALT_BYTES = 16
SECRET_BYTES = 32
ID_BYTES = 6
_KEY_TEXT = re.compile(r"mun_(k[0-9a-f]{12})_([a-z2-7]{52})", re.ASCII)


@dataclass(frozen=True)
class StoredSecret:
    """What the database keeps of a secret."""

    salt: bytes = field(repr=False)
    secret_hash: bytes = field(repr=False)


NO_SECRET = StoredSecret(salt=bytes(SALT_BYTES), secret_hash=bytes(hashlib.sha256().digest_size))
"""Compared against where the id is unknown, so that the answer takes the same work; nothing hashes to it."""


def make_key_id(random_bytes: RandomBytes) -> str:
    """A new key id: `k` and 12 hex digits."""
    return f"k{random_bytes(ID_BYTES).hex()}"


def make_key_text(key_id: str, random_bytes: RandomBytes) -> str:
    """The text of a new key with this id and 256 random bits."""
    secret = base64.b32encode(random_bytes(SECRET_BYTES)).decode("ascii").rstrip("=").lower()
    return f"mun_{key_id}_{secret}"


def key_id_of(key_text: str) -> str:
    """The id inside a key's text.

    Raises:
        UnauthenticatedError: the text has not the form of a key. The message does not repeat it: it may be a password
            that was put there by mistake.
    """
    match = _KEY_TEXT.fullmatch(key_text)
    if match is None:
        raise UnauthenticatedError(
            f"API key has the wrong form: expected mun_<id>_<secret> (70 characters), got {len(key_text)} characters"
        )
    return match.group(1)


def seal(key_text: str, random_bytes: RandomBytes) -> StoredSecret:
    """What to store of a new key."""
    salt = random_bytes(SALT_BYTES)
    return StoredSecret(salt=salt, secret_hash=_hash(salt, key_text))


def matches(key_text: str, stored: StoredSecret) -> bool:
    """Whether this text is the one that was sealed, compared in constant time."""
    return hmac.compare_digest(_hash(stored.salt, key_text), stored.secret_hash)


def _hash(salt: bytes, key_text: str) -> bytes:
    return hashlib.sha256(salt + key_text.encode("ascii")).digest()
