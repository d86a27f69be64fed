"""The journal's files: segments of frames, and the two small files beside them.

A segment is a sequence of frames. A frame is `length` and `CRC-32C` (both little-endian u32, RFC 3720 §B.4 polynomial)
and then `length` bytes: a header as JSON, preceded by its own length, and one Arrow IPC record-batch message a table.
The first frame of a segment is its opening: shard, segment number, next index of each tenant, and the tables' schemas,
so that a segment can be replayed by a later version of the program.

Invariants: a frame is acknowledged only after `sync`; after a failed write or sync the file is cut back to its last
synced length, and nothing is written or synced until that cut is durable; an invalid frame may stand only in what was
not synced when the newest segment ended. Each frame's header says how many bytes of its segment were durable when it was
written (`durable`), so a tail that a crash tore (frames of one group reach the disk in any order) is told from damage to
what was acknowledged: damage has a whole frame behind it that vouches for the bytes. The segment's random `nonce` in each
header keeps a sender from forging such a frame inside a record.
"""

import base64
import errno
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
from warehouse.errors import CorruptionError, LimitError, UnavailableError
from warehouse.tables import TABLES

_PREFIX = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_FORMAT = 1
_ALIGNMENT = 8
_HEADER_START = b'{"durable":'
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
    """A segment read back: its opening position, its frames, and the length of its valid part in bytes.

    `opening` is None where the opening frame itself is not whole; then there are no frames. `vouched_bytes` were durable
    according to the frames, those behind an invalid one too: more than `valid_bytes` means that acknowledged rows are
    damaged.
    """

    number: int
    opening: Position | None
    frames: tuple[Frame, ...]
    valid_bytes: int
    size_bytes: int
    vouched_bytes: int


class SegmentWriter:
    """Writes one segment. Not thread-safe: the shard's sequencer owns it."""

    def __init__(self, folder: Path, *, shard: str, opening: Position, nonce: str) -> None:
        self._nonce = nonce
        self.file = segment_file(folder, opening.segment)
        self.synced_bytes = 0
        self._unsynced = 0
        self._torn = False
        try:
            self._descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
            try:
                self.write(_opening_bytes(shard, opening, nonce))
                self.sync()
                sync_folder(folder)
            except BaseException:
                os.close(self._descriptor)
                self.file.unlink(missing_ok=True)
                raise
        except OSError as exc:
            raise UnavailableError(f"journal: cannot open segment {self.file.name}: {exc.strerror}") from exc

    def payload(self, frame: Frame) -> bytes:
        """Bytes of `frame` at the end of what is durable now, for `write`."""
        return frame_payload(frame, durable_bytes=self.synced_bytes, nonce=self._nonce)

    def write(self, payload: bytes) -> None:
        """Append one frame, not durable before `sync`.

        Raises:
            UnavailableError: the disk refused; the segment is cut back to its last synced length.
            LimitError: the frame is longer than `MAX_FRAME_BYTES`.
        """
        if len(payload) > MAX_FRAME_BYTES:
            raise LimitError(f"journal: a frame of {len(payload)} bytes is over the limit of {MAX_FRAME_BYTES}")
        frame = _PREFIX.pack(len(payload), google_crc32c.value(payload)) + payload
        try:
            self._require_usable()
            view = memoryview(frame)
            while view:
                view = view[os.write(self._descriptor, view) :]
            self._unsynced += len(frame)
        except OSError as exc:
            self.abandon()
            raise UnavailableError(f"journal: write failed: {exc.strerror}") from exc

    def sync(self) -> None:
        """Make everything written durable.

        Raises:
            UnavailableError: the flush failed; what was written since the last sync is cut off again.
        """
        try:
            self._require_usable()
            os.fdatasync(self._descriptor)
        except OSError as exc:
            self.abandon()
            raise UnavailableError(f"journal: fdatasync failed: {exc.strerror}") from exc
        self.synced_bytes += self._unsynced
        self._unsynced = 0

    def abandon(self) -> bool:
        """Cut off what was written since the last sync; whether that cut is durable. Safe to repeat until it is."""
        self._torn = True
        try:
            os.ftruncate(self._descriptor, self.synced_bytes)
            os.lseek(self._descriptor, self.synced_bytes, os.SEEK_SET)
            os.fdatasync(self._descriptor)
        except OSError:
            return False
        self._unsynced = 0
        self._torn = False
        return True

    def close(self) -> None:
        """Close the file; what is not synced is cut off first."""
        if self._unsynced or self._torn:
            self.abandon()
        os.close(self._descriptor)

    @property
    def usable(self) -> bool:
        """Whether frames may follow: false after a failure whose cut is not durable yet."""
        return not self._torn

    def _require_usable(self) -> None:
        if self._torn:
            raise OSError(errno.EIO, "what failed before is not cut off yet")


def segment_file(folder: Path, number: int) -> Path:
    """Path of a segment."""
    return folder / f"{number:010d}.seg"


def list_segments(folder: Path) -> list[tuple[int, Path]]:
    """Segments of a shard's folder, oldest first."""
    return sorted((int(file.stem), file) for file in folder.glob("[0-9]*.seg"))


def frame_payload(frame: Frame, *, durable_bytes: int, nonce: str) -> bytes:
    """Bytes of a frame: header and Arrow IPC messages. `durable_bytes` of its segment are synced already."""
    names = [name for name in TABLES if name in frame.tables and frame.tables[name].num_rows]
    messages = [frame.tables[name].serialize() for name in names]
    header = {
        "durable": durable_bytes,
        "nonce": nonce,
        "tables": [[name, message.size] for name, message in zip(names, messages, strict=True)],
        "requests": frame.requests,
        "transactions": frame.transactions,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + _LENGTH.size) % _ALIGNMENT)
    return b"".join([_LENGTH.pack(len(text)), text, *(memoryview(message) for message in messages)])


def _opening_bytes(shard: str, opening: Position, nonce: str) -> bytes:
    schemas = {name: base64.b64encode(table.schema.serialize().to_pybytes()).decode() for name, table in TABLES.items()}
    header = {
        "format": _FORMAT,
        "nonce": nonce,
        "shard": shard,
        "segment": opening.segment,
        "next_index": dict(opening.next_index),
        "schemas": schemas,
    }
    text = json.dumps(header).encode()
    return _LENGTH.pack(len(text)) + text


def read_segment(file: Path, *, shard: str) -> Segment:
    """Read a segment up to its first invalid frame, and look for frames behind it that vouch for more.

    Raises:
        CorruptionError: the opening is not this shard's, or its format is unknown.
    """
    content = file.read_bytes()
    frames = list(_valid_frames(content))
    end = frames[-1][2] if frames else 0
    vouched = _vouched_bytes(content, end, frames[0][0].get("nonce") if frames else None)
    number = int(file.stem)
    if not frames:
        return Segment(number, None, (), 0, len(content), vouched)
    header = frames[0][0]
    if header.get("format") != _FORMAT or header.get("shard") != shard or header.get("segment") != number:
        raise CorruptionError(
            f"{file}: expected segment {number} of shard {shard} in format {_FORMAT}, got segment "
            f"{header.get('segment')} of shard {header.get('shard')} in format {header.get('format')}"
        )
    schemas = {
        name: pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text))) for name, text in header["schemas"].items()
    }
    opening = Position(number, header["next_index"])
    groups = tuple(_read_frame(group, body, schemas) for group, body, _ in frames[1:])
    return Segment(number, opening, groups, end, len(content), vouched)


def _valid_frames(content: bytes) -> Iterator[tuple[dict[str, Any], memoryview, int]]:
    """Yield (header, rest of the payload, end offset) of each frame until the first that is cut or altered."""
    offset = 0
    while (frame := _frame_at(content, offset)) is not None:
        yield frame
        offset = frame[2]


def _frame_at(content: bytes, offset: int) -> tuple[dict[str, Any], memoryview, int] | None:
    """(header, rest of the payload, end offset) of the frame at `offset`; None where no whole frame stands."""
    start = offset + _PREFIX.size
    if start > len(content):
        return None
    length, checksum = _PREFIX.unpack_from(content, offset)
    end = start + length
    if length < _LENGTH.size or end > len(content) or google_crc32c.value(content[start:end]) != checksum:
        return None
    (header_bytes,) = _LENGTH.unpack_from(content, start)
    header_end = start + _LENGTH.size + header_bytes
    return json.loads(content[start + _LENGTH.size : header_end]), memoryview(content)[header_end:end], end


def _vouched_bytes(content: bytes, invalid: int, nonce: str | None) -> int:
    """How many bytes the whole frames behind the invalid one at `invalid` call durable; 0 when there is none.

    Without a whole opening the nonce is unknown and any frame counts: none is written before the opening is durable.
    """
    vouched = 0
    place = content.find(_HEADER_START, invalid)
    while place >= 0:
        offset = place - _LENGTH.size - _PREFIX.size
        frame = _frame_at(content, offset) if offset > invalid else None
        if frame is not None and nonce in (None, frame[0].get("nonce")):
            vouched = max(vouched, int(frame[0]["durable"]))
        place = content.find(_HEADER_START, place + 1)
    return vouched


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
