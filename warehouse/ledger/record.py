"""One record as the ledger sees it: its text, its salt, its commitment. No I/O.

`record_text` is the table's name, the schema version, then the values of the ledger columns in order, each as
`<byte length>:<text>` and NULL as `-`. Two different records never have the same text, since every part says where it ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from warehouse.ledger.columns import LEDGER_COLUMNS, Kind
from warehouse.ledger.errors import RecordTextError

SALT_BYTES = 16
_LENGTH_DIGITS = 10


@dataclass(frozen=True)
class Record:
    """A record read back from its text: values by column, as text; lists as tuples; None for NULL."""

    table: str
    schema_version: int
    values: Mapping[str, str | tuple[str | None, ...] | None]


def commitment(salt: bytes, text: bytes) -> bytes:
    """SHA-256(salt ‖ record_text): the 32 bytes that stand in the log.

    Raises:
        RecordTextError: the salt is not 16 bytes; with another size one byte string could be cut in two ways.
    """
    if len(salt) != SALT_BYTES:
        raise RecordTextError(f"salt: expected {SALT_BYTES} bytes, got {len(salt)}")
    return sha256(salt + text).digest()


def text_beginning(table: str, schema_version: int) -> bytes:
    """What every text of this table and version begins with."""
    return b"".join(b"%d:%s" % (len(part), part) for part in (table.encode(), b"%d" % schema_version))


def parse_record_text(text: bytes) -> Record:
    """Read a record's text.

    Raises:
        RecordTextError: not a record's text, or of a table and version that have no ledger columns.
    """
    table, at = _part(text, 0)
    version, at = _part(text, at)
    if table is None or version is None or not _is_number(version) or len(version) > _LENGTH_DIGITS:
        raise RecordTextError(f"record text: expected a table and its version first, got {text[:40]!r}")
    columns = LEDGER_COLUMNS.get((table, int(version)))
    if columns is None or text_beginning(table, int(version)) != text[:at]:
        raise RecordTextError(f"record text: expected a known table and version, got {table!r} and {version!r}")
    values: dict[str, str | tuple[str | None, ...] | None] = {}
    for column in columns:
        value, at = _part(text, at)
        values[column.name] = value if value is None or column.kind is not Kind.TEXTS else _elements(value)
    if at != len(text):
        raise RecordTextError(f"record text: expected {len(columns)} values, got {len(text) - at} bytes more")
    return Record(table, int(version), values)


def _is_number(text: str) -> bool:
    return (
        text.isascii() and text.isdigit()
    )  # isdigit alone takes the digits of every script, and a superscript is no integer


def _elements(text: str) -> tuple[str | None, ...]:
    content, at, found = text.encode(), 0, []
    while at < len(content):
        element, at = _part(content, at)
        found.append(element)
    return tuple(found)


def _part(text: bytes, at: int) -> tuple[str | None, int]:
    """The value that begins at `at`, and where the next one begins."""
    if text[at : at + 1] == b"-":
        return None, at + 1
    colon = text.find(b":", at, at + _LENGTH_DIGITS + 1)
    digits = text[at : max(colon, at)]
    if not digits.isdigit() or (digits[:1] == b"0" and digits != b"0"):
        raise RecordTextError(f"record text: expected <byte length>: or - at byte {at}, got {text[at : at + 12]!r}")
    end = colon + 1 + int(digits)
    if end > len(text):
        raise RecordTextError(
            f"record text: expected {int(digits)} bytes after byte {colon}, got {len(text) - colon - 1}"
        )
    try:
        return text[colon + 1 : end].decode("utf8"), end
    except UnicodeDecodeError as exc:
        raise RecordTextError(f"record text: expected UTF-8 at byte {colon + 1}") from exc
