"""What a token looks like, and which spellings of a value are one person's.

A token is `sub_` and the first 128 bits of `HMAC-SHA256(subject key, value)` in lower-case base32 (RFC 4648 §6) without
padding. It tells nothing about the value to whoever lacks the key, and the same value has another one in another tenant.
"""

import base64
import hashlib
import hmac
import re
import unicodedata

PREFIX = "sub_"
DIGEST_BYTES = 16

# 128 bits are 25 digits of five bits and three bits more, so the last digit is one of eight.
_TOKEN = re.compile(PREFIX + "[a-z2-7]{25}[aeimquy4]")
_MAIL = re.compile(r"[^\s@]+@[^\s@]+")


def is_token(text: str) -> bool:
    """Whether `text` has a token's form; whether it is one of a tenant's, `SubjectVault.known` tells."""
    return _TOKEN.fullmatch(text) is not None


def normal_form(value: str) -> str:
    """The spelling under which a value is known: NFC, no white space at its ends, e-mail addresses in lower case.

    Nothing else is folded: two user names that differ in case may be two people. Safe to repeat.
    """
    form = unicodedata.normalize("NFC", value).strip()
    if _MAIL.fullmatch(form):
        # Lower-casing may take a composed letter apart (U+0130), hence NFC once more.
        return unicodedata.normalize("NFC", form.lower())
    return form


def token_of(subject_key: bytes, value: str) -> str:
    """The token of a value in its normal form, under its subject key."""
    digest = hmac.digest(subject_key, value_bytes(value), hashlib.sha256)[:DIGEST_BYTES]
    return PREFIX + base64.b32encode(digest).decode().rstrip("=").lower()


def value_bytes(value: str) -> bytes:
    """The bytes that are digested and sealed; of a lone surrogate too, which UTF-8 has no bytes for."""
    return value.encode("utf-8", "surrogatepass")
