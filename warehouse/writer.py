"""The writer of one shard: sequence, journal, acknowledge; then commit in the background.

Two threads. The *sequencer* takes every batch that waits, gives its rows their places, appends one frame a batch, makes
them durable with one fdatasync, and only then resolves their futures. The *committer* brings closed segments into the
tables. A batch is acknowledged when its frame is durable: a crash afterwards replays it.

Neither thread ends on a failure: senders get the reason, and what failed is tried again until it works.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated

import msgspec

from warehouse.clock import Clock
from warehouse.commit import ClosedSegment, CommitReport, Committer, committed_segment, whole_segment
from warehouse.delta import DeltaStore
from warehouse.errors import OverloadedError, UnavailableError
from warehouse.lake import Lake
from warehouse.ledger.keeper import LedgerKeeper
from warehouse.measures import Measures
from warehouse.openings import LogOpenings
from warehouse.recent import RecentRequests
from warehouse.sequence import RandomBytes
from warehouse.shard import CommittedSegments, ShardClaims, ShardFolder, closing_position, open_shard
from warehouse.tail import JournalTail, Waiting
from warehouse.treated import Redactor, TreatedBatch

_RETRY_SECONDS = 1.0
_COMMIT_SHARE = 2.0
_IDLE_POLL_SECONDS = 0.25
_SHORTEST_POLL_SECONDS = 0.005


class WriterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a shard's writer works.

    The commit interval stretches from `commit_interval_seconds` up to `max_commit_interval_seconds` so that commits take
    at most a third of the time: a lake of hundreds of quiet tenants would otherwise write hundreds of tiny files a second.
    """

    commit_interval_seconds: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    max_commit_interval_seconds: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    segment_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * 1024 * 1024
    pending_bytes: Annotated[int, msgspec.Meta(ge=1)] = 192 * 1024 * 1024
    queue_batches: Annotated[int, msgspec.Meta(ge=1)] = 1024
    retry_window_seconds: Annotated[float, msgspec.Meta(ge=0)] = 600.0


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
        ledger: LedgerKeeper | None = None,
        openings: LogOpenings | None = None,
    ) -> None:
        self.shard = folder.identity
        self.closed_logs = tuple(folder.closed)
        self.recent = RecentRequests(folder.folder / "recent", window_seconds=config.retry_window_seconds, clock=clock)
        self._folder = folder
        self._config = config
        self._clock = clock
        self._measures = measures or Measures()
        self._committer = Committer(lake, self.shard, stores, self.recent, clock=clock, ledger=ledger)
        self._tail = JournalTail(folder, position=folder.head, clock=clock, random_bytes=random_bytes)
        # None only wakes the sequencer
        self._queue: queue.Queue[Waiting | None] = queue.Queue(config.queue_batches)
        self._closed: queue.Queue[ClosedSegment | None] = queue.Queue()
        self._state = threading.Condition()
        self._appended = 0
        self._handled = 0
        self._committed = folder.head.segment - 1
        self._uncommitted_bytes = 0
        self._openings = openings
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
            replayed = ClosedSegment(segment.number, segment.frames, closing)
            self._report(self._committer.commit(replayed), 0.0)
            self.recent.add(replayed.requests)
            self._tail.position = closing
            self._committed = segment.number
        self._folder.waiting.clear()
        # their announcement may have been torn off with the crash; a second one does no harm
        if self._openings is not None:
            self._openings.note(self._tail.position.next_index.keys() - self._folder.head.next_index.keys())
        for thread in self._threads:
            thread.start()

    def append(self, batch: TreatedBatch) -> Future[None]:
        """Queue a batch; the future resolves once its rows are durable.

        Raises:
            OverloadedError: the queue is full, or the tables lag too far behind.
            UnavailableError: the last commit failed; the message has the reason.
            TypeError: it is not a `TreatedBatch`.
        """
        if type(batch) is not TreatedBatch:
            raise TypeError(f"append takes a TreatedBatch made by Redactor.treat, got {type(batch).__name__}")
        waiting = Waiting(batch, Future())
        waiting.durable.set_running_or_notify_cancel()  # whoever gives up waiting must not undo what others see
        with self._state:
            if self._stopping:
                raise UnavailableError("the writer is stopping")
            if self._problem:
                raise UnavailableError(self._problem)
            if self._uncommitted_bytes > self._config.pending_bytes:
                raise OverloadedError(
                    f"{self._uncommitted_bytes} bytes wait for their commit, "
                    f"limit pending_bytes {self._config.pending_bytes}",
                    retry_after_seconds=1.0,
                )
            try:
                self._queue.put_nowait(waiting)
            except queue.Full:
                raise OverloadedError(
                    f"the writer's queue is full: limit queue_batches {self._config.queue_batches}",
                    retry_after_seconds=1.0,
                ) from None
            self._appended += 1
        return waiting.durable

    def flush(self, timeout_seconds: float = 60.0) -> None:
        """Wait until everything appended so far is committed and can be queried.

        Raises:
            UnavailableError: it was not within `timeout_seconds`.
        """
        deadline = time.monotonic() + timeout_seconds
        with self._state:
            self._flush_wanted += 1
            appended = self._appended
            self._wake()
            try:
                self._wait_for(lambda: self._handled >= appended, deadline, timeout_seconds)
                newest = self._tail.newest_segment
                self._wait_for(lambda: self._committed >= newest, deadline, timeout_seconds)
            finally:
                self._flush_wanted -= 1

    def stop(self) -> None:
        """Commit what was accepted and give the shard back; what cannot be committed stays in the journal."""
        with self._state:
            self._stopping = True
            self._state.notify_all()
            self._wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._folder.release()

    def state(self) -> WriterState:
        """Describe the writer as it is now."""
        segment = self._tail.segment
        return WriterState(
            shard=self.shard,
            queued_batches=self._appended - self._handled,
            pending_rows=segment.rows if segment else 0,
            pending_bytes=self._uncommitted_bytes,
            oldest_pending_unix_nano=segment.opened_unix_nano if segment else 0,
            last_commit_unix_nano=self._last_commit[0],
            last_commit_seconds=self._last_commit[1],
            commit_interval_seconds=self._interval,
            problem=self._problem or self._tail.problem,
        )

    def _wake(self) -> None:
        with contextlib.suppress(queue.Full):  # a full queue keeps the sequencer awake anyway
            self._queue.put_nowait(None)

    def _wait_for(self, done: Callable[[], bool], deadline: float, timeout_seconds: float) -> None:
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or not any(thread.is_alive() for thread in self._threads):
                problem = self._problem or self._tail.problem or "commits are slow"
                raise UnavailableError(f"not committed within {timeout_seconds:g} s: {problem}")
            self._state.wait(min(left, _IDLE_POLL_SECONDS))

    # -- sequencer thread

    def _run_sequencer(self) -> None:
        while True:
            group = self._take_group()
            if group:
                self._write_group(group)
                with self._state:
                    self._handled += len(group)
                    self._state.notify_all()
            elif self._stopping and self._queue.empty():
                if self._tail.can_close():
                    self._close_segment()
                self._closed.put(None)
                return
            if self._should_close():
                self._close_segment()

    def _take_group(self) -> list[Waiting]:
        taken = []
        with contextlib.suppress(queue.Empty):
            taken.append(self._queue.get(timeout=self._seconds_to_wait()))
            while True:
                taken.append(self._queue.get_nowait())
        return [waiting for waiting in taken if waiting is not None]

    def _seconds_to_wait(self) -> float:
        segment = self._tail.segment
        if segment is None or segment.failed:
            return _IDLE_POLL_SECONDS
        if self._stopping or (self._flush_wanted and not self._closed.unfinished_tasks):
            return 0.0
        due = segment.opened_monotonic + self._interval - time.monotonic()
        return min(_IDLE_POLL_SECONDS, max(_SHORTEST_POLL_SECONDS, due))

    def _write_group(self, group: list[Waiting]) -> None:
        started = time.perf_counter()
        if self._tail.failed and self._tail.can_close():
            self._close_segment()
        before = self._tail.position.next_index
        written = self._tail.write(group)
        if written is None:
            return
        with self._state:
            self._uncommitted_bytes += written.size_bytes
        self.recent.add(request for frame in written.frames for request in frame.requests)
        self._measures.journaled(
            rows=written.rows,
            size_bytes=written.size_bytes,
            seconds=time.perf_counter() - started,
            sync_seconds=written.sync_seconds,
        )
        self._announce_logs(before)
        for waiting in written.taken:
            waiting.durable.set_result(None)

    def _announce_logs(self, before: Mapping[str, int]) -> None:
        """Record the logs that the last group began; what fails comes with the next group."""
        known = self._tail.position.next_index
        if self._openings is None:
            return
        if len(known) != len(before):
            self._openings.note(known.keys() - before.keys())
        due = self._openings.due(known)
        if due is None or (written := self._tail.write([Waiting(due, Future())])) is None or not written.taken:
            return
        with self._state:
            self._uncommitted_bytes += written.size_bytes
        self._openings.said()

    def _should_close(self) -> bool:
        segment = self._tail.segment
        if segment is None:
            return False
        if segment.failed:
            return self._tail.can_close()
        if not segment.frames:
            return False
        if self._stopping or segment.writer.synced_bytes >= self._config.segment_bytes:
            return True
        if self._closed.unfinished_tasks:  # one commit at a time: the open segment grows meanwhile
            return False
        return bool(self._flush_wanted) or time.monotonic() - segment.opened_monotonic >= self._interval

    def _close_segment(self) -> None:
        with self._state:
            if (closed := self._tail.close()) is not None:
                self._closed.put(closed)

    # -- committer thread

    def _run_committer(self) -> None:
        while (segment := self._closed.get()) is not None:
            if not self._commit_until_done(segment):
                return
            self._closed.task_done()
            self._wake()
            with contextlib.suppress(OSError):  # an old file that stays costs nothing
                self.recent.forget_old()

    def _commit_until_done(self, segment: ClosedSegment) -> bool:
        """Whether it was committed; not when the writer stops before that works."""
        while True:
            started = time.perf_counter()
            try:
                report = self._committer.commit(segment)
            except Exception as exc:  # noqa: BLE001 - a commit must be tried again whatever stopped it; senders get the reason
                self._measures.commit_failed()
                with self._state:
                    self._problem = f"tables cannot be written: {exc}"
                    if self._stopping:
                        return False
                    self._state.wait_for(lambda: self._stopping, _RETRY_SECONDS)
                continue
            self._report(report, time.perf_counter() - started)
            with self._state:
                self._problem = ""
                self._committed = segment.number
                self._uncommitted_bytes -= segment.size_bytes
                self._state.notify_all()
            return True

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
    lake_name: str | None = None,
    redactor: Redactor | None = None,
) -> Writer:
    """Take the shard called `name`, replay its journal, and start its writer.

    `lake_name` is the first part of the logs' origins; without it the rows are sequenced and no log is kept. With the
    `redactor` that own events pass, the beginning of each log is recorded.

    Raises:
        ShardHeldError: another process writes this shard.
        CorruptionError: the journal is damaged where no crash damages it.
        UnavailableError: the tables or the control database cannot be written.
    """
    committed = CommittedSegments(
        in_any_table=lambda shard: committed_segment(stores, shard),
        in_all_tables=lambda shard: whole_segment(stores, shard),
    )
    folder = open_shard(lake, name, claims, committed=committed, clock=clock)
    try:
        ledger = LedgerKeeper(lake, lake_name=lake_name, shard=folder.identity, clock=clock) if lake_name else None
        openings = None
        if lake_name and redactor:
            openings = LogOpenings(folder.identity, folder.closed, redactor=redactor, lake_name=lake_name, clock=clock)
        writer = Writer(
            lake, folder, stores, config=config, clock=clock, measures=measures, ledger=ledger, openings=openings
        )
        writer.start()
    except BaseException:
        folder.release()
        raise
    return writer
