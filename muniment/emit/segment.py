"""One file of the disk queue: entries one after the other.

An entry is `length, CRC-32, number` (little-endian, 4 + 4 + 8 bytes) and the request's bytes; the CRC covers number and
bytes. Each entry is fsynced before the next is written, so a crash can only ever leave a torn *last* entry.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from muniment.emit.errors import SpoolCorruptError

HEADER = struct.Struct("<IIQ")
SUFFIX = ".entries"


@dataclass(frozen=True)
class Entry:
    """One queued request: its number in the stream, its bytes, and where the next entry begins."""

    number: int
    body: bytes
    end: int


def segment_path(directory: Path, first_number: int) -> Path:
    """Where the segment lies whose first entry has this number."""
    return directory / f"{first_number:020d}{SUFFIX}"


def first_number(path: Path) -> int:
    """Number of the first entry of the segment in this file."""
    return int(path.name.removesuffix(SUFFIX))


def encode_entry(number: int, body: bytes) -> bytes:
    """The bytes of one entry."""
    return HEADER.pack(len(body), _crc(number, body), number) + body


def decode_entry(data: bytes, offset: int, number: int) -> Entry | None:
    """The entry at an offset, or None where there is no whole, sound entry with this number."""
    if offset + HEADER.size > len(data):
        return None
    length, crc, found = HEADER.unpack_from(data, offset)
    end = offset + HEADER.size + length
    if found != number or end > len(data):
        return None
    body = data[offset + HEADER.size : end]
    return Entry(number, body, end) if _crc(number, body) == crc else None


def read_entries(path: Path) -> Iterator[Entry]:
    """The sound entries of a segment in order, up to its end or to the first that is not sound."""
    data, offset, number = path.read_bytes(), 0, first_number(path)
    while (entry := decode_entry(data, offset, number)) is not None:
        yield entry
        offset, number = entry.end, number + 1


def sound_size(path: Path, *, newest: bool) -> tuple[int, int]:
    """Bytes of a segment up to the end of its last sound entry, and the number that comes next.

    Raises:
        SpoolCorruptError: What follows is not a torn last entry of the newest segment.
    """
    size, number = 0, first_number(path)
    for entry in read_entries(path):
        size, number = entry.end, entry.number + 1
    data = path.read_bytes()
    if size < len(data) and (not newest or _another_follows(data, size, number)):
        raise SpoolCorruptError(
            f"{path.name} is damaged at byte {size}: expected entry {number}, got bytes that are none",
            hint="move the spool directory aside; its sound entries are readable, and a new one starts a new stream",
        )
    return size, number


def _another_follows(data: bytes, offset: int, number: int) -> bool:
    """Whether a later sound entry stands behind a bad one, which no torn write leaves."""
    packed = (number + 1).to_bytes(8, "little")
    position = data.find(packed, offset + HEADER.size)
    while position >= 0:
        if decode_entry(data, position - 8, number + 1) is not None:
            return True
        position = data.find(packed, position + 1)
    return False


def _crc(number: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(number.to_bytes(8, "little")))
