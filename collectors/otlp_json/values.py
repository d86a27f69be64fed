"""Scalars of OTLP/JSON, each checked for type and range (protobuf's JSON mapping, with OTLP's rule for ids).

No message here repeats a value: it names a type and a size, since refusals travel to places where payloads may not.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping

Reader = Callable[[object, int], object]
"""Takes a value out of JSON and the levels of nesting still allowed; returns what protobuf's constructors take."""

_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_DECIMAL_CHARACTERS = 400
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}", re.ASCII)

INT32 = (-(2**31), 2**31 - 1)
UINT32 = (0, 2**32 - 1)
INT64 = (-(2**63), 2**63 - 1)
UINT64 = (0, 2**64 - 1)


class FieldFault(Exception):  # noqa: N818 - it never leaves this package: it carries a path up to the record that is refused
    """A value that cannot be used; `steps` collects its path, innermost first."""

    def __init__(self, reason: str, expected: str, got: str) -> None:
        super().__init__(reason, expected, got)
        self.reason = reason
        self.expected = expected
        self.got = got
        self.steps: list[str] = []

    def at(self, path: str) -> str:
        """Say where under `path` the fault lies, what was expected there and what came."""
        return f"{path}{''.join(reversed(self.steps))}: expected {self.expected}, got {self.got}"


def describe(value: object) -> str:
    """Name a value's type and size without repeating it."""
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, dict):
        return f"an object of {len(value)} members"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return "an integer" if isinstance(value, int) else "a fraction"


def wrong_type(expected: str, value: object) -> FieldFault:
    """Fault of a value that has another type than its field."""
    return FieldFault("wrong-type", expected, describe(value))


def read_text(value: object, _depth: int) -> str:
    """Text as it is."""
    if type(value) is not str:
        raise wrong_type("text", value)
    return value


def read_boolean(value: object, _depth: int) -> bool:
    """`true` or `false`; the words as text are refused, as in protobuf's JSON mapping."""
    if type(value) is not bool:
        raise wrong_type("true or false", value)
    return value


def integer_reader(kind_of: str, bounds: tuple[int, int]) -> Reader:
    """Reader of integers: a number, a number without a fraction such as `1.0` or `1e3`, or decimal text."""
    lowest, highest = bounds

    def read(value: object, _depth: int) -> int:
        if isinstance(value, int) and value is not True and value is not False:
            number = value
        elif (isinstance(value, str) and _INTEGER.fullmatch(value)) or (
            isinstance(value, float) and value.is_integer()
        ):
            number = int(value)
        else:
            raise wrong_type(f"{kind_of} as number or decimal text", value)
        if not lowest <= number <= highest:
            raise FieldFault("out-of-range", f"{kind_of} from {lowest} to {highest}", "one outside")
        return number

    return read


def read_double(value: object, _depth: int) -> float:
    """A double: a number, decimal text, or the texts NaN, Infinity and -Infinity."""
    if isinstance(value, float):
        return value
    if isinstance(value, str):
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if len(value) > _DECIMAL_CHARACTERS or not _DECIMAL.fullmatch(value):
            raise wrong_type("a double as number or decimal text", value)
    elif not isinstance(value, int) or value is True or value is False:
        raise wrong_type("a double as number or decimal text", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise FieldFault("out-of-range", "a double", "a number too large for one")
    return number


def read_bytes(value: object, _depth: int) -> bytes:
    """Bytes from base64, in the standard or the URL-safe alphabet, padded or not."""
    if not isinstance(value, str):
        raise wrong_type("base64 text", value)
    decoded = decode_base64(value)
    if decoded is None:
        raise FieldFault("bad-base64", "base64 text", f"{describe(value)} that is not")
    return decoded


def decode_base64(text: str) -> bytes | None:
    """Decode base64 in either alphabet, padded or not; None where it is not base64."""
    if not _BASE64.fullmatch(text):
        return None
    bare = text.rstrip("=").translate(_TO_STANDARD_ALPHABET)
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        return None


_TO_STANDARD_ALPHABET = str.maketrans("-_", "+/")


def id_reader(name: str, reason: str, size_bytes: int) -> Reader:
    """Reader of trace and span ids: hex in any case (OTLP), or padded base64 (as protobuf's JSON mapping writes bytes).

    The two never have the same length, so neither is taken for the other. Base64 without padding is refused: any text of
    11 letters would pass for a span id. Empty text is an absent id.
    """
    hex_digits = 2 * size_bytes
    base64_characters = 4 * ((size_bytes + 2) // 3)

    def read(value: object, _depth: int) -> bytes:
        if not isinstance(value, str):
            raise wrong_type(f"{hex_digits} hex digits", value)
        if not value:
            return b""
        decoded: bytes | None = None
        if len(value) == hex_digits:
            try:
                # It skips white space, so the size is compared below.
                decoded = bytes.fromhex(value)
            except ValueError:
                decoded = None
        elif len(value) == base64_characters:
            decoded = decode_base64(value)
        if decoded is None or len(decoded) != size_bytes:
            raise FieldFault(
                reason, f"a {name} of {hex_digits} hex digits or {base64_characters} of base64", describe(value)
            )
        return decoded

    return read


def enum_reader(name: str, numbers: Mapping[str, int]) -> Reader:
    """Reader of an enum: its number (unknown ones are kept, as in proto3) or a name, whole or without its prefix."""
    read_number = integer_reader(f"a {name}", INT32)
    expected = f"a {name} by number or name"

    def read(value: object, depth: int) -> int:
        if isinstance(value, str) and (number := numbers.get(value)) is not None:
            return number
        if isinstance(value, str) and not _INTEGER.fullmatch(value):
            raise FieldFault("bad-enum", expected, f"{describe(value)} that is neither")
        return read_number(value, depth)  # type: ignore[return-value]  # the integer reader returns an int

    return read
