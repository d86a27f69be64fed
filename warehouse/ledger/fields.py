"""Fields of the C2SP text formats: base64 (RFC 4648 §4, padded, one spelling a value), hashes, decimal numbers."""

import base64
import binascii


def encode_base64(value: bytes) -> str:
    """Base64 text of `value`."""
    return base64.b64encode(value).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Bytes of a base64 text.

    Raises:
        ValueError: another alphabet, wrong padding, or stray bits in the last character: a second spelling of the same bytes.
    """
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError(f"expected base64, got {text[:60]!r}: {exc}") from exc
    if encode_base64(value) != text:
        raise ValueError(f"expected base64 without stray bits, got {text[:60]!r}")
    return value


def decode_hash(text: str, what: str) -> bytes:
    """The 32 bytes of a SHA-256 hash in base64.

    Raises:
        ValueError: not base64, or of another size; the message says which `what` it was.
    """
    value = decode_base64(text)
    if len(value) != 32:  # noqa: PLR2004 - the size of a SHA-256 hash
        raise ValueError(f"{what}: expected 32 bytes in base64, got {len(value)}")
    return value


def decode_number(text: str, what: str) -> int:
    """A decimal number from 0 to 2^63 - 1, without sign and leading zeros.

    Raises:
        ValueError: anything else; the message says which `what` it was.
    """
    if not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0") or len(text) > 19:  # noqa: PLR2004 - digits of 2^63
        raise ValueError(f"{what}: expected a decimal number without leading zeros, got {text[:30]!r}")
    number = int(text)
    if number >= 1 << 63:
        raise ValueError(f"{what}: expected less than 2^63, got {number}")
    return number
