"""The journal's files: segments of frames, and the two small files beside them.

A segment is a sequence of frames. A frame is `length` and `CRC-32C` (both little-endian u32, RFC 3720 §B.4 polynomial)
and then `length` bytes: a header as JSON, preceded by its own length, and one Arrow IPC record-batch message a table.
The first frame of a segment is its opening: shard, segment number, next index of each tenant, and the tables' schemas,
so that a segment can be replayed by a later version of the program.

Invariants: a frame is acknowledged only after `sync`; after a failed write or sync the file is cut back to its last
synced length, and `sync` is refused until that cut is durable; an invalid frame may stand only at the end of the newest
segment, where a crash leaves it.
"""

import base64
import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import pyarrow as pa

from warehouse.durable import PRIVATE_FILE, replace_file, sync_folder
from warehouse.errors import CorruptionError, UnavailableError
from warehouse.tables import TABLES

_PREFIX = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_FORMAT = 1
_ALIGNMENT = 8
MAX_FRAME_BYTES = 1 << 31


@dataclass(frozen=True)
class Position:
    """Where a shard stands: its next segment and each tenant's next log index."""

    segment: int
    next_index: Mapping[str, int]

    def to_json(self) -> bytes:
        """Bytes of the `head` file."""
        return json.dumps({"segment": self.segment, "next_index": dict(self.next_index)}).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Position":
        """Read back what `to_json` wrote."""
        value = json.loads(content)
        return cls(segment=value["segment"], next_index=value["next_index"])


@dataclass(frozen=True)
class Frame:
    """One acknowledged group: sequenced batches by table, its requests and further transactions.

    `requests` holds [digest hex, accepted, rejected, message] a request.
    """

    tables: Mapping[str, pa.RecordBatch]
    requests: tuple[tuple[str, int, int, str], ...] = ()
    transactions: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Segment:
    """A segment read back: its opening position, its frames, and the length of its valid part in bytes."""

    opening: Position
    frames: tuple[Frame, ...]
    valid_bytes: int
    size_bytes: int


class SegmentWriter:
    """Writes one segment. Not thread-safe: the shard's sequencer owns it."""

    def __init__(self, folder: Path, *, shard: str, opening: Position) -> None:
        self.file = segment_file(folder, opening.segment)
        self.synced_bytes = 0
        self._unsynced = 0
        self._torn = False
        try:
            self._descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
            try:
                self.write(_opening_bytes(shard, opening))
                self.sync()
                sync_folder(folder)
            except BaseException:
                os.close(self._descriptor)
                self.file.unlink(missing_ok=True)
                raise
        except OSError as exc:
            raise UnavailableError(f"journal: cannot open segment {self.file.name}: {exc.strerror}") from exc

    def write(self, payload: bytes) -> None:
        """Append one frame, not durable before `sync`.

        Raises:
            UnavailableError: the disk refused; the segment is cut back to its last synced length.
        """
        frame = _PREFIX.pack(len(payload), google_crc32c.value(payload)) + payload
        try:
            if self._torn:
                self._cut_back()
            view = memoryview(frame)
            while view:
                view = view[os.write(self._descriptor, view) :]
            self._unsynced += len(frame)
        except OSError as exc:
            self._torn = True
            self._try_cut_back()
            raise UnavailableError(f"journal: write failed: {exc.strerror}") from exc

    def sync(self) -> None:
        """Make everything written durable.

        Raises:
            UnavailableError: the flush failed; what was written since the last sync is cut off again.
        """
        try:
            os.fdatasync(self._descriptor)
        except OSError as exc:
            self._torn = True
            self._try_cut_back()
            raise UnavailableError(f"journal: fdatasync failed: {exc.strerror}") from exc
        self.synced_bytes += self._unsynced
        self._unsynced = 0

    def close(self) -> None:
        """Close the file; what is not synced is cut off first."""
        if self._unsynced or self._torn:
            self._try_cut_back()
        os.close(self._descriptor)

    @property
    def usable(self) -> bool:
        """Whether frames may follow: false after a failure whose cut is not durable yet."""
        return not self._torn

    def _cut_back(self) -> None:
        os.ftruncate(self._descriptor, self.synced_bytes)
        os.lseek(self._descriptor, self.synced_bytes, os.SEEK_SET)
        os.fdatasync(self._descriptor)
        self._unsynced = 0
        self._torn = False

    def _try_cut_back(self) -> None:
        try:
            self._cut_back()
        except OSError:
            self._torn = True  # tried again before the next write; until then nothing is acknowledged


def segment_file(folder: Path, number: int) -> Path:
    """Path of a segment."""
    return folder / f"{number:010d}.seg"


def list_segments(folder: Path) -> list[tuple[int, Path]]:
    """Segments of a shard's folder, oldest first."""
    return sorted((int(file.stem), file) for file in folder.glob("[0-9]*.seg"))


def frame_payload(frame: Frame) -> bytes:
    """Bytes of a frame: header and Arrow IPC messages."""
    names = [name for name in TABLES if name in frame.tables and frame.tables[name].num_rows]
    messages = [frame.tables[name].serialize() for name in names]
    header = {
        "tables": [[name, message.size] for name, message in zip(names, messages, strict=True)],
        "requests": frame.requests,
        "transactions": frame.transactions,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + _LENGTH.size) % _ALIGNMENT)
    return b"".join([_LENGTH.pack(len(text)), text, *(memoryview(message) for message in messages)])


def _opening_bytes(shard: str, opening: Position) -> bytes:
    schemas = {name: base64.b64encode(table.schema.serialize().to_pybytes()).decode() for name, table in TABLES.items()}
    header = {
        "format": _FORMAT,
        "shard": shard,
        "segment": opening.segment,
        "next_index": dict(opening.next_index),
        "schemas": schemas,
    }
    text = json.dumps(header).encode()
    return _LENGTH.pack(len(text)) + text


def read_segment(file: Path, *, shard: str) -> Segment:
    """Read a segment up to its first invalid frame.

    Raises:
        CorruptionError: the opening is not this shard's, or its format is unknown. A segment whose opening frame
            itself is torn is returned as None-like: no frames and `valid_bytes` 0, with the number from its name.
    """
    content = file.read_bytes()
    frames = _valid_frames(content)
    first = next(frames, None)
    if first is None:
        return Segment(Position(int(file.stem), {}), (), 0, len(content))
    header, _, end = first
    if header.get("format") != _FORMAT or header.get("shard") != shard:
        raise CorruptionError(
            f"{file}: expected a segment of shard {shard} in format {_FORMAT}, "
            f"got shard {header.get('shard')} in format {header.get('format')}"
        )
    schemas = {
        name: pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text))) for name, text in header["schemas"].items()
    }
    opening = Position(header["segment"], header["next_index"])
    groups = []
    for group, body, group_end in frames:
        groups.append(_read_frame(group, body, schemas))
        end = group_end
    return Segment(opening, tuple(groups), end, len(content))


def _valid_frames(content: bytes) -> Iterator[tuple[dict[str, Any], memoryview, int]]:
    """Yield (header, rest of the payload, end offset) of each frame until the first that is cut or altered."""
    view = memoryview(content)
    offset = 0
    while offset + _PREFIX.size <= len(content):
        length, checksum = _PREFIX.unpack_from(content, offset)
        start, end = offset + _PREFIX.size, offset + _PREFIX.size + length
        if length < _LENGTH.size or end > len(content) or google_crc32c.value(content[start:end]) != checksum:
            return
        (header_bytes,) = _LENGTH.unpack_from(content, start)
        header_end = start + _LENGTH.size + header_bytes
        yield json.loads(content[start + _LENGTH.size : header_end]), view[header_end:end], end
        offset = end


def _read_frame(header: dict[str, Any], body: memoryview, schemas: Mapping[str, pa.Schema]) -> Frame:
    tables, offset = {}, 0
    for name, size in header["tables"]:
        # a copy, because Arrow wants its buffers aligned and a frame starts anywhere
        message = pa.py_buffer(bytes(body[offset : offset + size]))
        tables[name] = pa.ipc.read_record_batch(message, schemas[name])
        offset += size
    return Frame(
        tables=tables,
        requests=tuple(tuple(item) for item in header["requests"]),
        transactions=tuple((app, version) for app, version in header["transactions"]),
    )


def read_position(file: Path) -> Position | None:
    """Read a `head` file; None when it does not exist.

    Raises:
        CorruptionError: it exists and is not whole; a rename cannot leave that.
    """
    try:
        return Position.from_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as exc:
        raise CorruptionError(f"{file}: expected a JSON object with segment and next_index, got {exc}") from exc


def write_position(file: Path, position: Position) -> None:
    """Replace a `head` file durably."""
    replace_file(file, position.to_json())
