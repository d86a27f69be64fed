"""The intake: takes every request that waits, processes them as one group, and answers each.

One worker thread. Grouping is what makes small requests cheap: sixty-four requests of eight spans cost about as much as
one of five hundred and twelve. So a group that is still small waits a little for more: while the group before it is being
made durable, and after that so long that at most a quarter of the time goes into small groups. A request that comes alone
waits for nothing. A request is answered when its rows are durable in the journal, its refused records are durable in
quarantine, and each refused audit event has left a `record.rejected` event.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated

import msgspec

from collectors.decode import DecodedGroup
from collectors.exports import Export, Outcome, Sender, Signal
from collectors.measures import IntakeMeasures
from collectors.pipeline import GroupPipeline
from warehouse.errors import MunimentError, OverloadedError, UnavailableError
from warehouse.recent import RecentRequests

_POLL_SECONDS = 0.25
_SMALL_GROUP_SHARE = 4
_LINGER_SHARE = 4


class IntakeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much may wait, and how much is processed at once.

    A group below `small_group_bytes` waits for more, never longer than `max_linger_seconds`; from a quarter of that size on
    only up to `linger_seconds` after its last request. A request that comes alone, to an idle intake, does not wait.
    """

    queue_bytes: Annotated[int, msgspec.Meta(ge=1)] = 128 * 1024 * 1024
    queue_requests: Annotated[int, msgspec.Meta(ge=1)] = 4096
    group_bytes: Annotated[int, msgspec.Meta(ge=1)] = 8 * 1024 * 1024
    group_requests: Annotated[int, msgspec.Meta(ge=1)] = 256
    small_group_bytes: Annotated[int, msgspec.Meta(ge=1)] = 512 * 1024
    linger_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.003
    max_linger_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.05


@dataclass(frozen=True)
class _Waiting:
    export: Export
    answer: Future[Outcome]


class Intake:
    """Queues requests and answers them. `submit` is thread-safe; `start` and `stop` are called once each."""

    def __init__(
        self,
        pipeline: GroupPipeline,
        recent: RecentRequests,
        *,
        config: IntakeConfig,
        measures: IntakeMeasures | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._recent = recent
        self._config = config
        self._measures = measures or IntakeMeasures()
        self._queue: queue.Queue[_Waiting] = queue.Queue()
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._in_flight: dict[bytes, Future[Outcome]] = {}
        self._stopping = False
        self._last_group = 0
        self._last_start = 0.0
        self._last_seconds = 0.0
        self._last_durable: Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begin to take requests."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what was submitted, then end."""
        with self._lock:
            self._stopping = True
        self._thread.join()

    @property
    def waiting_requests(self) -> int:
        """Requests submitted and not yet answered."""
        return len(self._in_flight)

    def submit(self, export: Export) -> Future[Outcome]:
        """Queue a request; the future resolves once what it brought is durable.

        A request sent again within the retry window gets its first answer and is not stored again.

        Raises:
            OverloadedError: too much waits already; the limit is named.
            UnavailableError: the intake is stopping.
        """
        answer: Future[Outcome] = Future()
        answer.set_running_or_notify_cancel()  # a client that goes away must not cancel what others may share
        with self._lock:
            if self._stopping:
                raise UnavailableError("the collector is stopping")
            if (pending := self._in_flight.get(export.digest)) is not None:
                self._measures.repeated()
                return pending
            # only after that: a request is remembered before it leaves the ones in flight
            if (known := self._recent.find(export.digest)) is not None:
                self._measures.repeated()
                answer.set_result(Outcome(known.accepted, known.rejected, known.message))
                return answer
            self._check_room(len(export.body))
            self._in_flight[export.digest] = answer
            self._waiting_bytes += len(export.body)
            self._queue.put(_Waiting(export, answer))
        return answer

    def undecodable(
        self, signal: Signal, sender: Sender, *, content_type: str, size_bytes: int, reason: str, digest: bytes
    ) -> None:
        """Count and quarantine a body that is not what it claims: reason, size, type, key id and digest, nothing of it.

        Raises:
            UnavailableError: quarantine cannot be written.
        """
        self._measures.undecodable(signal.value)
        self._pipeline.quarantine_body(
            signal, sender, content_type=content_type, size_bytes=size_bytes, reason=reason, digest=digest
        )

    def _check_room(self, size_bytes: int) -> None:
        config = self._config
        if len(self._in_flight) >= config.queue_requests:
            raise OverloadedError(
                f"{len(self._in_flight)} requests wait, limit queue_requests {config.queue_requests}",
                retry_after_seconds=1.0,
            )
        if self._waiting_bytes + size_bytes > config.queue_bytes and self._waiting_bytes:
            raise OverloadedError(
                f"{self._waiting_bytes} bytes wait, limit queue_bytes {config.queue_bytes}", retry_after_seconds=1.0
            )

    # -- worker thread

    def _run(self) -> None:
        while True:
            group = self._take_group()
            if group:
                self._process(group)
            elif self._stopping and self._queue.empty():
                return

    def _take_group(self) -> list[_Waiting]:
        config = self._config
        group: list[_Waiting] = []
        size = 0
        with contextlib.suppress(queue.Empty):
            group.append(self._queue.get(timeout=_POLL_SECONDS))
            size = len(group[0].export.body)
            deadline = time.monotonic() + config.max_linger_seconds
            while size < config.group_bytes and len(group) < config.group_requests:
                waiting = self._next(deadline if size < config.small_group_bytes else 0.0, size)
                group.append(waiting)
                size += len(waiting.export.body)
        self._last_group = len(group)
        return group

    def _next(self, deadline: float, size_bytes: int) -> _Waiting:
        """The next request of a group of `size_bytes`; until `deadline` it may be waited for.

        Raises:
            queue.Empty: none came, or it is not worth waiting.
        """
        worthwhile = size_bytes >= self._config.small_group_bytes // _SMALL_GROUP_SHARE
        due = self._last_start + _LINGER_SHARE * self._last_seconds
        while True:
            now = time.monotonic()
            busy = self._last_durable is not None and not self._last_durable.done()
            if not self._queue.empty() or not (busy or self._last_group > 1) or now >= deadline:
                return self._queue.get_nowait()
            try:
                return self._queue.get(timeout=self._config.linger_seconds)
            except queue.Empty:
                if not busy and (worthwhile or now >= due):
                    raise

    def _process(self, group: Sequence[_Waiting]) -> None:
        self._last_start = time.monotonic()
        try:
            decoded, durable = self._pipeline.process([waiting.export for waiting in group])
        except Exception as exc:  # noqa: BLE001 - the senders must hear of whatever went wrong, and the collector lives on
            error = exc if isinstance(exc, MunimentError) else UnavailableError(f"intake failed: {exc}")
            self._answer(group, [error] * len(group))
            return
        self._last_seconds = time.monotonic() - self._last_start
        self._last_durable = durable
        durable.add_done_callback(lambda done: self._answer_all(group, decoded, done))

    def _answer_all(self, group: Sequence[_Waiting], decoded: DecodedGroup, done: Future[None]) -> None:
        error = done.exception()
        if isinstance(error, Exception):
            self._answer(group, [error] * len(group))
            return
        self._answer(group, decoded.outcomes)
        self._measures.taken(
            (waiting.export.signal.value, outcome.accepted, outcome.rejected, len(waiting.export.body))
            for waiting, outcome in zip(group, decoded.outcomes, strict=True)
            if isinstance(outcome, Outcome)
        )

    def _answer(self, group: Sequence[_Waiting], outcomes: Sequence[Outcome | Exception]) -> None:
        with self._lock:
            for waiting in group:
                self._in_flight.pop(waiting.export.digest, None)
                self._waiting_bytes -= len(waiting.export.body)
        for waiting, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Exception):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result(outcome)
