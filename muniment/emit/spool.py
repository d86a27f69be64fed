"""A bounded queue of requests on disk, for the time in which the receiver does not answer.

A folder of one process holds:
    stream                    name of the sequence stream, made once
    lock                      held by the process that writes, with its id
    acknowledged              number of the first entry that is not settled yet
    <first number>.entries    segments; an entry is fsynced before `append` returns
    events.refused            JSON lines: entries that the receiver refused, each with its message

Numbers go on without a gap across restarts, order is kept, nothing is ever dropped: a full queue refuses the next entry.
Files have mode 0600. The entries hold events as the application gave them; redaction happens in the lake.
"""

import base64
import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from muniment.emit.errors import SpoolCorruptError, SpoolError, SpoolFullError, SpoolHeldError
from muniment.emit.segment import (
    HEADER,
    SUFFIX,
    Entry,
    decode_entry,
    encode_entry,
    first_number,
    segment_path,
    sound_size,
)

SEGMENTS_IN_A_SPOOL = 16
SEGMENT_PATTERN = "[0-9]" * 20 + SUFFIX
MARK_NAME = "acknowledged"
MARK_DIGITS = 20
REFUSED_NAME = "events.refused"
MODE = 0o600


class Spool:
    """The queue. `append` may be called from several threads; `oldest` and the two settling calls from one at a time."""

    def __init__(self, directory: Path, *, max_bytes: int, new_stream: Callable[[], str]) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = max(max_bytes // SEGMENTS_IN_A_SPOOL, 1)
        self._mutex = threading.Lock()
        self._broken: str | None = None
        with _disk_errors():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file = _hold(directory / "lock")
        self._tail = self._mark = -1
        self._segments: list[Path] = []
        self._next_number = self._settled = self._tail_bytes = self._read_offset = 0
        self._reading: Path | None = None
        try:
            with _disk_errors():
                self.stream = self._open_stream(new_stream)
                self._recover()
        except BaseException:
            self.close()
            raise

    def append(self, make: Callable[[int], bytes]) -> int:
        """Queue what `make` returns for the next number, and return that number once it is on disk.

        Raises:
            SpoolFullError: The queue holds as much as it may.
            SpoolError: The disk does not take it; nothing was queued.
        """
        with self._mutex, _disk_errors():
            if self._broken:
                raise SpoolError(f"the spool cannot be written any more: {self._broken}")
            number = self._next_number
            data = encode_entry(number, make(number))
            used = self._used_bytes()
            if used + len(data) > self._max_bytes:
                raise SpoolFullError(
                    f"the spool is full: expected at most {self._max_bytes} bytes, got {used} + {len(data)}",
                    hint="the receiver has not answered for long; see `Emitter.flush` for what it says",
                )
            if self._tail_bytes and self._tail_bytes + len(data) > self._segment_bytes:
                self._begin_segment()
            self._write(data)
            self._next_number = number + 1
            return number

    def oldest(self) -> Entry | None:
        """The first entry that is not settled yet."""
        with self._mutex:
            if self._settled == self._next_number:
                return None
            path = next(path for path in reversed(self._segments) if first_number(path) <= self._settled)
        if path != self._reading:
            self._reading, self._read_offset = path, self._offset_in(path)
        with _disk_errors(), path.open("rb") as file:
            file.seek(self._read_offset)
            head = file.read(HEADER.size)
            data = head + file.read(int.from_bytes(head[:4], "little"))
        entry = decode_entry(data, 0, self._settled)
        if entry is None:
            raise SpoolCorruptError(
                f"{path.name} is damaged at byte {self._read_offset}: expected entry {self._settled}"
            )
        return entry

    def settle(self, entry: Entry) -> None:
        """Take an acknowledged entry off the queue."""
        with self._mutex, _disk_errors():
            self._settled = entry.number + 1
            self._read_offset += entry.end
            # Not synced: after a power cut an older mark sends some entries again, with the same bytes and record ids.
            os.pwrite(self._mark, _mark_text(self._settled), 0)
            if self._settled == self._next_number and self._tail_bytes > self._segment_bytes // 2:
                self._begin_segment()
            self._drop_settled_segments()

    def refuse(self, entry: Entry, message: str, unix_nano: int) -> None:
        """Move an entry that the receiver refused for good into `events.refused`."""
        line = {
            "number": entry.number,
            "refused_unix_nano": str(unix_nano),
            "message": message,
            "request": base64.b64encode(entry.body).decode(),
        }
        path = self._directory / REFUSED_NAME
        with _disk_errors():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE), "ab") as file:
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            _sync_directory(self._directory)
        self.settle(entry)

    @property
    def waiting(self) -> int:
        """Number of entries that are not settled yet."""
        with self._mutex:
            return self._next_number - self._settled

    def close(self) -> None:
        """Give the folder up; what is queued stays there."""
        with self._mutex:
            self._broken = self._broken or "it is closed"
            for opened in (self._tail, self._mark, self._lock_file):
                if opened >= 0:
                    os.close(opened)
            self._tail = self._mark = self._lock_file = -1

    def _open_stream(self, new_stream: Callable[[], str]) -> str:
        path = self._directory / "stream"
        if not path.exists():
            if any(self._directory.glob(SEGMENT_PATTERN)):
                raise SpoolCorruptError(f"{path.name} is missing from a spool that holds entries")
            _replace(path, new_stream())
        return path.read_text().strip()

    def _recover(self) -> None:
        """Cut a torn last entry off, and find the first entry to send and the next number."""
        self._segments = sorted(self._directory.glob(SEGMENT_PATTERN))
        path = self._directory / MARK_NAME
        if not path.exists():
            _replace(path, _mark_text(0).decode())
        self._mark = os.open(path, os.O_RDWR)
        mark = os.pread(self._mark, 21, 0)
        if not (len(mark) == MARK_DIGITS and mark.isdigit()):
            raise SpoolCorruptError(f"{MARK_NAME} is damaged: expected {MARK_DIGITS} digits, got {mark!r}")
        self._settled = int(mark)
        if not self._segments:
            if self._settled:
                raise SpoolCorruptError(f"every segment is missing: expected one at entry {self._settled} or before")
            self._begin_segment()
            return
        expected = first_number(self._segments[0])
        for path in self._segments:
            if first_number(path) != expected:
                raise SpoolCorruptError(f"a segment is missing: expected entry {expected}, got {path.name}")
            size, expected = sound_size(path, newest=path == self._segments[-1])
        self._next_number, self._tail_bytes = expected, size
        if not first_number(self._segments[0]) <= self._settled <= self._next_number:
            raise SpoolCorruptError(
                f"the mark fits no entry: expected {first_number(self._segments[0])} to {expected}, got {self._settled}"
            )
        self._tail = os.open(self._segments[-1], os.O_WRONLY)
        self._cut_back()
        self._drop_settled_segments()

    def _begin_segment(self) -> None:
        path = segment_path(self._directory, self._next_number)
        # No entry with this number exists: a file that is there already is what an attempt before this one left.
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
        try:
            _sync_directory(self._directory)
        except OSError:
            os.close(opened)
            raise
        if self._tail >= 0:
            os.close(self._tail)
        self._tail, self._tail_bytes = opened, 0
        self._segments.append(path)

    def _write(self, data: bytes) -> None:
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._tail, data[written:], self._tail_bytes + written)
            os.fdatasync(self._tail)
        except OSError:
            # What a failed sync left on disk is unknown, so the entry is taken back before its number is used again.
            try:
                self._cut_back()
            except OSError as exc:
                self._broken = str(exc)
            raise
        self._tail_bytes += len(data)

    def _cut_back(self) -> None:
        os.ftruncate(self._tail, self._tail_bytes)
        os.fsync(self._tail)

    def _offset_in(self, path: Path) -> int:
        offset = 0
        with path.open("rb") as file:
            for _ in range(self._settled - first_number(path)):
                file.seek(offset)
                offset += HEADER.size + int.from_bytes(file.read(4), "little")
        return offset

    def _drop_settled_segments(self) -> None:
        while len(self._segments) > 1 and first_number(self._segments[1]) <= self._settled:
            os.fdatasync(self._mark)
            self._segments.pop(0).unlink()

    def _used_bytes(self) -> int:
        files = [*self._segments, self._directory / REFUSED_NAME]
        return sum(path.stat().st_size for path in files if path.exists())


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """Say in the spool's own terms what the operating system refused."""
    try:
        yield
    except OSError as exc:
        raise SpoolError(f"the spool cannot be read or written: {exc}") from exc


def _hold(path: Path) -> int:
    """Lock the folder for this process, for as long as the returned descriptor is open."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT, MODE)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = os.pread(opened, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(opened)
        raise SpoolHeldError(
            f"the spool {path.parent} is in use: expected it free, got process {holder}",
            hint="give each process a spool_dir of its own",
        ) from exc
    os.ftruncate(opened, 0)
    os.pwrite(opened, str(os.getpid()).encode(), 0)
    return opened


def _mark_text(number: int) -> bytes:
    """A number at a fixed width, so that it is overwritten in place within one disk sector."""
    return f"{number:0{MARK_DIGITS}d}".encode()


def _replace(path: Path, text: str) -> None:
    """Write a small file so that a crash leaves the old text or the new one."""
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
