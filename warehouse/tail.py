"""The end of a shard's journal, where groups of batches become durable: position, open segment, indices.

Whatever fails, the position moves only with what is durable: an index is given again only after the bytes that held it
are cut off for good, and then in a segment of its own.
"""

import contextlib
import time
from concurrent.futures import Future
from dataclasses import dataclass

from warehouse.clock import Clock
from warehouse.commit import ClosedSegment
from warehouse.errors import UnavailableError
from warehouse.journal import Frame, Position, SegmentWriter, read_segment, segment_file
from warehouse.sequence import RandomBytes, Sequenced, sequence
from warehouse.shard import ShardFolder
from warehouse.treated import RequestMark, TreatedBatch

_NONCE_BYTES = 8


@dataclass(frozen=True)
class Waiting:
    """A batch that waits to be durable, and whom to tell."""

    batch: TreatedBatch
    durable: Future[None]


@dataclass(frozen=True)
class Written:
    """What one group added to the journal; it is durable. `sync_seconds` is what its one fdatasync took."""

    taken: list[Waiting]
    frames: list[Frame]
    rows: int
    size_bytes: int
    sync_seconds: float


@dataclass
class OpenSegment:
    """The segment that takes frames. `failed` once a write did: it takes no more."""

    writer: SegmentWriter
    frames: list[Frame]
    rows: int
    metric_rows: int
    size_bytes: int
    opened_unix_nano: int
    opened_monotonic: float
    failed: bool = False


class JournalTail:
    """Writes groups to the end of one shard's journal. Not thread-safe: the shard's sequencer owns it.

    `segment` and `position` MAY be read by others.
    """

    def __init__(self, shard: ShardFolder, *, position: Position, clock: Clock, random_bytes: RandomBytes) -> None:
        self.position = position
        self.segment: OpenSegment | None = None
        self.problem = ""
        self._shard = shard
        self._clock = clock
        self._random_bytes = random_bytes

    @property
    def newest_segment(self) -> int:
        """Number of the newest segment that holds rows, closed or open."""
        segment, position = self.segment, self.position
        return position.segment if segment is not None and segment.frames else position.segment - 1

    def write(self, group: list[Waiting]) -> Written | None:
        """Make a group durable with one flush; None when nothing of it is, and then its senders have been told why.

        A batch that cannot be sequenced is refused alone.
        """
        try:
            segment = self._open()
        except Exception as exc:  # noqa: BLE001 - as below
            self._refuse(group, exc)
            return None
        taken, frames, after = self._sequence(group, segment)
        try:
            payloads = [segment.writer.payload(frame) for frame in frames]
            for payload in payloads:
                segment.writer.write(payload)
            synced = time.perf_counter()
            segment.writer.sync()
            sync_seconds = time.perf_counter() - synced
        except Exception as exc:  # noqa: BLE001 - whatever it was, the senders must hear of it and nothing is acknowledged
            segment.failed = True
            segment.writer.abandon()
            self._refuse(taken, exc)
            return None
        rows = sum(waiting.batch.records.rows for waiting in taken)
        written = Written(taken, frames, rows, sum(map(len, payloads)), sync_seconds)
        self.position = Position(self.position.segment, after.next_index)
        self.problem = ""
        segment.frames.extend(frames)
        segment.metric_rows = after.metric_rows
        segment.rows += written.rows
        segment.size_bytes += written.size_bytes
        return written

    def can_close(self) -> bool:
        """Whether the segment may be closed: not while the cut after a failure is not durable. Tries that cut again."""
        return self.segment is not None and (self.segment.writer.usable or self.segment.writer.abandon())

    def close(self) -> ClosedSegment | None:
        """Close the segment; None when it held nothing. Only after `can_close`."""
        segment, self.segment = self.segment, None
        if segment is None:
            return None
        with contextlib.suppress(OSError):  # everything acknowledged is synced
            segment.writer.close()
        if not segment.frames:
            with contextlib.suppress(OSError):  # the next opening removes it
                segment.writer.file.unlink(missing_ok=True)
            return None
        number = self.position.segment
        self.position = Position(number + 1, self.position.next_index)
        return ClosedSegment(number, segment.frames, self.position, segment.size_bytes)

    @property
    def failed(self) -> bool:
        """Whether the open segment takes no more frames and must be closed."""
        return self.segment is not None and self.segment.failed

    def _open(self) -> OpenSegment:
        if self.segment is not None:
            if self.segment.failed:
                raise UnavailableError(self.problem)
            return self.segment
        file = segment_file(self._shard.folder, self.position.segment)
        if file.exists() and not read_segment(file, shard=self._shard.identity).frames:
            file.unlink()  # left by an opening that failed halfway: nothing in it was acknowledged
        nonce = self._random_bytes(_NONCE_BYTES).hex()
        writer = SegmentWriter(self._shard.folder, shard=self._shard.identity, opening=self.position, nonce=nonce)
        self.segment = OpenSegment(writer, [], 0, 0, 0, self._clock(), time.monotonic())
        return self.segment

    def _sequence(self, group: list[Waiting], segment: OpenSegment) -> tuple[list[Waiting], list[Frame], Sequenced]:
        after = Sequenced({}, dict(self.position.next_index), segment.metric_rows)
        taken, frames = [], []
        for waiting in group:
            records = waiting.batch.records
            try:
                done = sequence(
                    records,
                    shard=self._shard.identity,
                    segment=self.position.segment,
                    metric_row=after.metric_rows,
                    next_index=after.next_index,
                    random_bytes=self._random_bytes,
                )
            except Exception as exc:  # noqa: BLE001 - rows that no decoder makes; the other senders' batches go on
                waiting.durable.set_exception(UnavailableError(f"cannot sequence: {exc}"))
                continue
            after = Sequenced({}, done.next_index, after.metric_rows + done.metric_rows)
            taken.append(waiting)
            frames.append(Frame(done.tables, tuple(map(_request_row, records.requests)), records.transactions))
        return taken, frames, after

    def _refuse(self, group: list[Waiting], exc: Exception) -> None:
        error = exc if isinstance(exc, UnavailableError) else UnavailableError(f"journal: {exc}")
        self.problem = str(error)
        for waiting in group:
            waiting.durable.set_exception(error)


def _request_row(mark: RequestMark) -> tuple[str, int, int, str]:
    return (mark.digest.hex(), mark.accepted, mark.rejected, mark.message)
