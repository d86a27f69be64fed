"""The writer of one shard: sequence, journal, acknowledge; then commit in the background.

Two threads. The *sequencer* takes every batch that waits, gives its rows their places, appends one frame a batch, makes
them durable with one fdatasync, and only then resolves their futures. The *committer* brings closed segments into the
tables. A batch is acknowledged when its frame is durable: a crash afterwards replays it.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from warehouse.clock import Clock
from warehouse.commit import ClosedSegment, CommitReport, Committer, committed_segment
from warehouse.delta import DeltaStore
from warehouse.errors import OverloadedError, UnavailableError
from warehouse.journal import Frame, Position, SegmentWriter, frame_payload, read_segment, segment_file
from warehouse.lake import Lake
from warehouse.measures import Measures
from warehouse.recent import RecentRequests
from warehouse.sequence import RandomBytes, sequence
from warehouse.shard import ShardClaims, ShardFolder, closing_position, open_shard
from warehouse.treated import RequestMark, TreatedBatch

_RETRY_SECONDS = 1.0
_COMMIT_SHARE = 4.0
_IDLE_POLL_SECONDS = 0.25


class WriterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a shard's writer works.

    The commit interval stretches from `commit_interval_seconds` up to `max_commit_interval_seconds` so that commits take
    at most a fifth of the time: a lake of hundreds of quiet tenants would otherwise write hundreds of tiny files a second.
    """

    commit_interval_seconds: float = 2.0
    max_commit_interval_seconds: float = 30.0
    segment_bytes: int = 64 * 1024 * 1024
    pending_bytes: int = 192 * 1024 * 1024
    queue_batches: int = 1024
    retry_window_seconds: float = 600.0


@dataclass(frozen=True)
class WriterState:
    """What `status` shows of a running writer. Times in nanoseconds since 1970, 0 for never."""

    shard: str
    queued_batches: int
    pending_rows: int
    pending_bytes: int
    oldest_pending_unix_nano: int
    last_commit_unix_nano: int
    last_commit_seconds: float
    commit_interval_seconds: float
    problem: str


@dataclass
class _OpenSegment:
    writer: SegmentWriter
    frames: list[Frame]
    rows: int
    metric_rows: int
    opened_unix_nano: int
    opened_monotonic: float


class Writer:
    """Writes one shard of one lake. Made by `open_writer`; `append` is thread-safe."""

    def __init__(
        self,
        lake: Lake,
        folder: ShardFolder,
        stores: Mapping[str, DeltaStore],
        *,
        config: WriterConfig,
        clock: Clock,
        random_bytes: RandomBytes = os.urandom,
        measures: Measures | None = None,
    ) -> None:
        self.shard = folder.identity
        self.closed_logs = tuple(folder.closed)
        self.recent = RecentRequests(folder.folder / "recent", window_seconds=config.retry_window_seconds, clock=clock)
        self._lake = lake
        self._folder = folder
        self._config = config
        self._clock = clock
        self._random_bytes = random_bytes
        self._measures = measures or Measures()
        self._committer = Committer(lake, self.shard, stores, self.recent, clock=clock)
        self._position = folder.head
        self._segment: _OpenSegment | None = None
        self._queue: queue.Queue[tuple[TreatedBatch, Future[None]]] = queue.Queue(config.queue_batches)
        self._closed: queue.Queue[ClosedSegment] = queue.Queue()
        self._state = threading.Condition()
        self._uncommitted_bytes = 0
        self._interval = config.commit_interval_seconds
        self._last_commit = (0, 0.0)
        self._problem = ""
        self._flush_wanted = 0
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run_sequencer, name=f"sequencer-{self.shard}", daemon=True),
            threading.Thread(target=self._run_committer, name=f"committer-{self.shard}", daemon=True),
        ]

    def start(self) -> None:
        """Commit what an earlier process left in the journal, then take batches.

        Raises:
            UnavailableError: the tables cannot be written; the journal stays as it is.
        """
        self.recent.load()
        for segment in self._folder.waiting:
            closing = closing_position(segment)
            replayed = ClosedSegment(segment.opening.segment, segment.frames, closing)
            self._report(self._committer.commit(replayed), 0.0)
            self.recent.add(replayed.requests)
            self._position = closing
        for thread in self._threads:
            thread.start()

    def append(self, batch: TreatedBatch) -> Future[None]:
        """Queue a batch; the future resolves once its rows are durable.

        Raises:
            OverloadedError: the queue is full, or the tables lag too far behind.
            UnavailableError: the last commit failed; the message has the reason.
            TypeError: it is not a `TreatedBatch`.
        """
        if not isinstance(batch, TreatedBatch):
            raise TypeError(f"append takes a TreatedBatch, got {type(batch).__name__}")
        if self._problem:
            raise UnavailableError(self._problem)
        if self._uncommitted_bytes > self._config.pending_bytes:
            raise OverloadedError(
                f"{self._uncommitted_bytes} bytes wait for their commit, limit pending_bytes {self._config.pending_bytes}",
                retry_after_seconds=1.0,
            )
        future: Future[None] = Future()
        with self._state:
            if self._stopping:
                raise UnavailableError("the writer is stopping")
            try:
                self._queue.put_nowait((batch, future))
            except queue.Full:
                raise OverloadedError(
                    f"the writer's queue is full: limit queue_batches {self._config.queue_batches}",
                    retry_after_seconds=1.0,
                ) from None
        return future

    def flush(self, timeout_seconds: float = 60.0) -> None:
        """Wait until everything appended so far is committed and can be queried.

        Raises:
            UnavailableError: it was not within `timeout_seconds`.
        """
        deadline = time.monotonic() + timeout_seconds
        with self._state:
            self._flush_wanted += 1
            try:
                while self._queue.unfinished_tasks or self._segment or self._closed.unfinished_tasks:
                    if not self._state.wait(max(0.0, min(0.05, deadline - time.monotonic()))) and (
                        time.monotonic() >= deadline
                    ):
                        raise UnavailableError(
                            f"not committed within {timeout_seconds:g} s: {self._problem or 'commits are slow'}"
                        )
            finally:
                self._flush_wanted -= 1

    def stop(self) -> None:
        """Commit what was accepted and give the shard back; what cannot be committed stays in the journal."""
        with self._state:
            self._stopping = True
            self._state.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._folder.release()

    def state(self) -> WriterState:
        """Describe the writer as it is now."""
        segment = self._segment
        return WriterState(
            shard=self.shard,
            queued_batches=self._queue.qsize(),
            pending_rows=segment.rows if segment else 0,
            pending_bytes=self._uncommitted_bytes,
            oldest_pending_unix_nano=segment.opened_unix_nano if segment else 0,
            last_commit_unix_nano=self._last_commit[0],
            last_commit_seconds=self._last_commit[1],
            commit_interval_seconds=self._interval,
            problem=self._problem,
        )

    # -- sequencer thread

    def _run_sequencer(self) -> None:
        while True:
            group = self._take_group()
            if group:
                self._write_group(group)
                for _ in group:
                    self._queue.task_done()
            elif self._stopping and self._queue.empty():
                if self._segment is None or self._segment.writer.usable:
                    self._close_segment()
                self._closed.put(ClosedSegment(-1, (), self._position))
                return
            if self._should_close():
                self._close_segment()

    def _take_group(self) -> list[tuple[TreatedBatch, Future[None]]]:
        group = []
        with contextlib.suppress(queue.Empty):
            group.append(self._queue.get(timeout=self._seconds_to_wait()))
            while True:
                group.append(self._queue.get_nowait())
        return group

    def _seconds_to_wait(self) -> float:
        if self._stopping or self._flush_wanted:
            return 0.005
        if self._segment is None:
            return _IDLE_POLL_SECONDS / 5
        due = self._segment.opened_monotonic + self._interval - time.monotonic()
        return min(_IDLE_POLL_SECONDS, max(0.005, due))

    def _write_group(self, group: list[tuple[TreatedBatch, Future[None]]]) -> None:
        started = time.perf_counter()
        try:
            segment = self._open_segment()
            frames, position, metric_rows = self._sequence_group(group, segment)
            size = 0
            for frame in frames:
                payload = frame_payload(frame)
                size += len(payload)
                segment.writer.write(payload)
            segment.writer.sync()
        except Exception as exc:  # noqa: BLE001 - whatever it was, the senders must hear of it and nothing is acknowledged
            error = exc if isinstance(exc, UnavailableError) else UnavailableError(f"journal: {exc}")
            for _, future in group:
                future.set_exception(error)
            return
        self._position = position
        segment.frames.extend(frames)
        segment.metric_rows = metric_rows
        rows = sum(batch.records.rows for batch, _ in group)
        segment.rows += rows
        with self._state:
            self._uncommitted_bytes += size
        self.recent.add(request for frame in frames for request in frame.requests)
        self._measures.journaled(rows=rows, size_bytes=size, seconds=time.perf_counter() - started)
        for _, future in group:
            future.set_result(None)

    def _sequence_group(
        self, group: list[tuple[TreatedBatch, Future[None]]], segment: _OpenSegment
    ) -> tuple[list[Frame], Position, int]:
        next_index, metric_row, frames = dict(self._position.next_index), segment.metric_rows, []
        for batch, _ in group:
            done = sequence(
                batch.records,
                shard=self.shard,
                segment=self._position.segment,
                metric_row=metric_row,
                next_index=next_index,
                random_bytes=self._random_bytes,
            )
            next_index, metric_row = done.next_index, metric_row + done.metric_rows
            requests = tuple(_request_row(mark) for mark in batch.records.requests)
            frames.append(Frame(done.tables, requests, batch.records.transactions))
        return frames, Position(self._position.segment, next_index), metric_row

    def _open_segment(self) -> _OpenSegment:
        if self._segment is not None:
            return self._segment
        file = segment_file(self._folder.folder, self._position.segment)
        if file.exists() and not read_segment(file, shard=self.shard).frames:
            file.unlink()  # left by an opening that failed halfway: nothing in it was acknowledged
        writer = SegmentWriter(self._folder.folder, shard=self.shard, opening=self._position)
        self._segment = _OpenSegment(writer, [], 0, 0, self._clock(), time.monotonic())
        return self._segment

    def _should_close(self) -> bool:
        segment = self._segment
        if segment is None or not segment.frames or not segment.writer.usable:
            return False  # after a failed sync no later segment may use its indices before the cut is durable
        if self._stopping or segment.writer.synced_bytes >= self._config.segment_bytes:
            return True
        if self._closed.unfinished_tasks:  # one commit at a time: the open segment grows meanwhile
            return False
        return bool(self._flush_wanted) or time.monotonic() - segment.opened_monotonic >= self._interval

    def _close_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        segment.writer.close()
        if not segment.frames:
            segment.writer.file.unlink(missing_ok=True)
            return
        number = self._position.segment
        self._position = Position(number + 1, self._position.next_index)
        self._closed.put(ClosedSegment(number, segment.frames, self._position))

    # -- committer thread

    def _run_committer(self) -> None:
        while True:
            segment = self._closed.get()
            if segment.number < 0:
                return
            self._commit_until_done(segment)
            self._closed.task_done()
            self.recent.forget_old()
            with self._state:
                self._state.notify_all()
            if self._stopping and self._problem:
                return

    def _commit_until_done(self, segment: ClosedSegment) -> None:
        size = segment_file(self._folder.folder, segment.number)
        size_bytes = size.stat().st_size if size.exists() else 0
        while True:
            started = time.perf_counter()
            try:
                report = self._committer.commit(segment)
            except Exception as exc:  # noqa: BLE001 - a commit must be tried again whatever stopped it; senders get the reason
                self._problem = f"tables cannot be written: {exc}"
                self._measures.commit_failed()
                if self._stopping:
                    return
                time.sleep(_RETRY_SECONDS)
                continue
            self._problem = ""
            with self._state:
                self._uncommitted_bytes = max(0, self._uncommitted_bytes - size_bytes)
                if self._closed.qsize() == 0 and self._segment is None:
                    self._uncommitted_bytes = 0
            self._report(report, time.perf_counter() - started)
            return

    def _report(self, report: CommitReport, seconds: float) -> None:
        self._last_commit = (self._clock(), seconds)
        config = self._config
        self._interval = min(
            max(config.commit_interval_seconds, seconds * _COMMIT_SHARE), config.max_commit_interval_seconds
        )
        self._measures.committed(rows=report.rows, files=report.files, size_bytes=report.size_bytes, seconds=seconds)


def open_writer(
    lake: Lake,
    name: str,
    claims: ShardClaims,
    stores: Mapping[str, DeltaStore],
    *,
    config: WriterConfig,
    clock: Clock,
    measures: Measures | None = None,
) -> Writer:
    """Take the shard called `name`, replay its journal, and start its writer.

    Raises:
        ShardHeldError: another process writes this shard.
        CorruptionError: the journal is damaged where no crash damages it.
        UnavailableError: the tables or the control database cannot be written.
    """
    folder = open_shard(lake, name, claims, committed=lambda shard: committed_segment(stores, shard), clock=clock)
    try:
        writer = Writer(lake, folder, stores, config=config, clock=clock, measures=measures)
        writer.start()
    except BaseException:
        folder.release()
        raise
    return writer


def _request_row(mark: RequestMark) -> tuple[str, int, int, str]:
    return (mark.digest.hex(), mark.accepted, mark.rejected, mark.message)
