"""The emitter: stamps events, delivers them, and says what became of each.

Without a disk queue a call returns once the receiver has acknowledged, and raises otherwise. With one it returns once
the event is fsynced on this machine, and a thread delivers the queue in order. Either way every event of a stream has the
next number, so the lake can tell that one is missing; nothing is batched, sampled or dropped.
"""

import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from opentelemetry.trace import get_current_span

from muniment.emit.change_events import ChangeEvents
from muniment.emit.errors import EmitError, RefusedError, UndeliveredError
from muniment.emit.event import Actor, Common, Draft, Entropy, Receipt, Resource, Value, draft
from muniment.emit.identity_events import IdentityEvents
from muniment.emit.spool import Spool
from muniment.emit.transport import Address, Later, Transport, undelivered
from muniment.emit.wire import Stamp, encode_request, new_record_id
from muniment.emit.work_events import WorkEvents
from warehouse.clock import Clock, system_clock

BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_LIMIT_SECONDS = 30.0
DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
DEFAULT_SPOOL_BYTES = 64 * 1024 * 1024
_log = logging.getLogger("muniment.emit")


@dataclass(frozen=True)
class Flushed:
    """What a flush did: entries acknowledged and refused since the emitter began, those left, and why they are left."""

    acknowledged: int
    refused: int
    waiting: int
    problem: str | None


class Emitter(IdentityEvents, ChangeEvents, WorkEvents):
    """Records audit events in a Muniment lake; usable from several threads, and as a context manager.

    Args:
        endpoint: OTLP/HTTP address of the receiver or of a Collector before it; `/v1/logs` is added.
        api_key: Key of the tenant; it decides whose events these are.
        service_name: `service.name` of the application.
        agent_id: The agent that acts where an event names no actor; also `gen_ai.agent.id` of the resource.
        spool_dir: Folder of the disk queue, one a process; without it there is none.
        spool_max_bytes: The most that the folder may hold.
        timeout_seconds: How long one call waits for its acknowledgement, retries included; also how long `close` waits.
        resource_attributes: More attributes of the resource.
        background: Whether a thread drains the disk queue; otherwise only `flush` does.
        unsafe_plain_http: Allow http to another machine, which shows the key to the network.
        ssl_context: For https; the system's certificates by default.
        clock: Nanoseconds since 1970.
        entropy: Random bytes for record ids, stream names and jitter.

    Raises:
        ValueError: An endpoint, key, name, size or time that cannot be used.
        SpoolHeldError: Another process uses `spool_dir`.
        SpoolCorruptError: The disk queue is damaged in a way no crash explains.
    """

    def __init__(
        self,
        *,
        api_key: str,
        service_name: str,
        endpoint: str = DEFAULT_ENDPOINT,
        agent_id: str | None = None,
        spool_dir: str | os.PathLike[str] | None = None,
        spool_max_bytes: int = DEFAULT_SPOOL_BYTES,
        timeout_seconds: float = 10.0,
        resource_attributes: Mapping[str, Value] | None = None,
        background: bool = True,
        unsafe_plain_http: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        clock: Clock = system_clock,
        entropy: Entropy = os.urandom,
    ) -> None:
        _check_settings(api_key, service_name, timeout_seconds, spool_max_bytes)
        self._address = Address.parse(endpoint, unsafe_plain_http=unsafe_plain_http)
        self._resource = {**(resource_attributes or {}), "service.name": service_name}
        if agent_id:
            self._resource["gen_ai.agent.id"] = agent_id
        self._actor = Actor(agent_id, "agent") if agent_id else None
        self._timeout_seconds = timeout_seconds
        self._clock, self._entropy = clock, entropy
        self._transport = Transport(self._address, api_key, ssl_context)
        self._sending = threading.Lock()
        self._number = 0
        self._acknowledged = self._refused = 0
        self._problem: str | None = None
        self._failures = 0
        self._not_before = 0.0
        self._work = threading.Event()
        self._closed = threading.Event()
        self._spool: Spool | None = None
        self._thread: threading.Thread | None = None
        if spool_dir is None:
            self._stream = self._new_stream()
            return
        self._spool = Spool(Path(spool_dir), max_bytes=spool_max_bytes, new_stream=self._new_stream)
        self._stream = self._spool.stream
        if background:
            self._thread = threading.Thread(target=self._drain_until_closed, name="muniment-emit", daemon=True)
            self._thread.start()

    def __repr__(self) -> str:
        where = f"{self._address.host}:{self._address.port}"
        return f"Emitter(to={where}, service={self._resource['service.name']!r}, stream={self._stream!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def stream(self) -> str:
        """`audit.sequence.stream` of this emitter's events: random, and stable for the life of a disk queue."""
        return self._stream

    def flush(self, timeout_seconds: float | None = None) -> Flushed:
        """Deliver what the disk queue holds, in order, for at most so many seconds (`timeout_seconds` of the emitter by default).

        Safe to call at any time and from any thread; without a disk queue there is nothing to do.
        """
        deadline = time.monotonic() + (self._timeout_seconds if timeout_seconds is None else timeout_seconds)
        while self._spool is not None and not self._closed.is_set():
            if not self._deliver_oldest(deadline):
                break
            pause = self._not_before - time.monotonic()
            if pause > 0 and (time.monotonic() + pause > deadline or self._closed.wait(pause)):
                break
        waiting = self._spool.waiting if self._spool else 0
        return Flushed(self._acknowledged, self._refused, waiting, self._problem if waiting else None)

    def close(self) -> None:
        """Flush for at most `timeout_seconds` and release the connection and the disk queue; what is left stays queued.

        Safe to call again.
        """
        try:
            left = self.flush()
            if left.waiting and not self._closed.is_set():
                _log.warning("%d audit events stay on the disk queue: %s", left.waiting, left.problem)
        finally:
            self._closed.set()
            self._work.set()
            if self._thread is not None:
                self._thread.join()
            with self._sending:
                self._transport.close()
                if self._spool is not None:
                    self._spool.close()

    def _record(
        self,
        name: str,
        common: Common,
        *,
        needs: Sequence[str] = (),
        about: Resource | None = None,
        outcome: str | None = "success",
        details: Mapping[str, Value] | None = None,
    ) -> Receipt:
        if self._closed.is_set():
            raise EmitError("the emitter is closed: expected an open one")
        laid_out = draft(
            name, common, needs=needs, about=about, outcome=outcome, details=details, default_actor=self._actor
        )
        observed = self._clock()
        record_id = new_record_id(observed, self._entropy)
        make = self._maker(laid_out, record_id, observed)
        if self._spool is None:
            return Receipt(record_id, self._stream, self._send_now(make), acknowledged=True)
        number = self._spool.append(make)
        self._work.set()
        return Receipt(record_id, self._stream, number, acknowledged=False)

    def _maker(self, laid_out: Draft, record_id: str, observed: int) -> Callable[[int], bytes]:
        span = get_current_span().get_span_context()

        def make(number: int) -> bytes:
            return encode_request(self._resource, laid_out, Stamp(record_id, self._stream, number, observed), span)

        return make

    def _send_now(self, make: Callable[[int], bytes]) -> int:
        """Send one event under the next number; the number is taken unless the event is certainly not in the lake."""
        deadline = time.monotonic() + self._timeout_seconds
        if not self._sending.acquire(timeout=self._timeout_seconds):
            raise UndeliveredError("no acknowledgement in time: expected a turn to send, got none before the time-out")
        try:
            number = self._number
            body, maybe_stored, failures = make(number), False, 0
            try:
                while (later := self._transport.send(body, max(deadline - time.monotonic(), 0.001))) is not None:
                    maybe_stored = maybe_stored or later.maybe_stored
                    failures += 1
                    pause = self._pause(later, failures)
                    if time.monotonic() + pause >= deadline or self._closed.wait(pause):
                        raise undelivered(later, maybe_stored=maybe_stored)
            except EmitError:
                self._number += maybe_stored
                raise
            self._number += 1
            return number
        finally:
            self._sending.release()

    def _drain_until_closed(self) -> None:
        while not self._closed.is_set():
            self._work.clear()
            try:
                while not self._closed.is_set() and self._deliver_oldest(None):
                    self._closed.wait(max(self._not_before - time.monotonic(), 0.0))
            except EmitError as exc:
                # A disk that cannot be read may come back; the reason is what `flush` reports meanwhile.
                self._problem = str(exc)
                _log.exception("the disk queue of audit events cannot be drained")
                self._closed.wait(BACKOFF_LIMIT_SECONDS)
                self._work.set()
            self._work.wait()

    def _deliver_oldest(self, deadline: float | None) -> bool:
        """Try to settle the oldest entry; True unless the queue is empty or its time has not come."""
        spool = self._spool
        if spool is None or not self._sending.acquire(timeout=-1 if deadline is None else _left(deadline)):
            return False
        try:
            if self._closed.is_set() or (entry := spool.oldest()) is None:
                return False
            if self._not_before > time.monotonic():
                return True
            try:
                later = self._transport.send(entry.body, self._timeout_seconds if deadline is None else _left(deadline))
            except RefusedError as exc:
                if not exc.about_sender:
                    spool.refuse(entry, str(exc), self._clock())
                    self._refused += 1
                    self._failures = 0
                    _log.error("audit event %d of stream %s was refused: %s", entry.number, self._stream, exc)
                    return True
                # A wrong key or address condemns no event: they wait until somebody puts it right.
                later = Later(str(exc), after_seconds=BACKOFF_LIMIT_SECONDS)
            if later is None:
                spool.settle(entry)
                self._acknowledged += 1
                self._failures, self._problem = 0, None
                return True
            self._failures += 1
            self._problem = later.problem
            self._not_before = time.monotonic() + self._pause(later, self._failures)
            return True
        finally:
            self._sending.release()

    def _pause(self, later: Later, failures: int) -> float:
        """Seconds before the next try: what the receiver asked for, else exponential backoff with jitter."""
        if later.after_seconds is not None:
            return later.after_seconds
        jitter: float = 0.5 + int.from_bytes(self._entropy(2)) / 0x20000
        return jitter * min(BACKOFF_FIRST_SECONDS * float(1 << min(failures - 1, 16)), BACKOFF_LIMIT_SECONDS)

    def _new_stream(self) -> str:
        return self._entropy(16).hex()


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)


def _check_settings(api_key: str, service_name: str, timeout_seconds: float, spool_max_bytes: int) -> None:
    if not api_key or not api_key.isascii() or not api_key.isprintable():
        raise ValueError("api_key cannot be used: expected printable ASCII text, got something else")
    if not service_name:
        raise ValueError("service_name is empty: expected the name of the application")
    if timeout_seconds <= 0:
        raise ValueError(f"timeout_seconds is out of range: expected more than 0, got {timeout_seconds}")
    if spool_max_bytes <= 0:
        raise ValueError(f"spool_max_bytes is out of range: expected more than 0, got {spool_max_bytes}")
