"""Sends the fleet's telemetry with the real OTLP exporters, and knows that all of it arrived.

Each protocol has a lane, a thread with a short queue: the simulation waits when it is full, nothing is dropped. A batch is delivered when an answer came that rejects nothing; a failed one is sent again, with
the same bytes; one that is still refused ends the demo with an error.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from muniment.demo.exporters import Channel, Channels, Endpoints, Exporter, channels_for
from muniment.demo.fleet import Protocol as Transport
from muniment.demo.fleet import Service
from muniment.demo.recorder import Outlet
from warehouse.errors import MunimentError, UnavailableError

_ATTEMPTS = 6
_WAITING_BATCHES = 6

Pause = Callable[[float], None]
"""Waits for some seconds."""


class DeliveryError(MunimentError):
    """A receiver refused records of the demo, or did not answer in spite of retries."""


@dataclass
class Delivered:
    """Records sent and acknowledged, by signal, and how many requests that took."""

    sent: dict[str, int] = field(default_factory=lambda: {"spans": 0, "logs": 0, "metric_points": 0})
    acknowledged: dict[str, int] = field(default_factory=lambda: {"spans": 0, "logs": 0, "metric_points": 0})
    requests: int = 0
    retries: int = 0


class _Lane:
    """One thread that sends batches in order; a full queue makes `put` wait, a failed batch makes it raise."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"demo-{name}")
        self._room = threading.BoundedSemaphore(_WAITING_BATCHES)
        self._failure: BaseException | None = None

    def put(self, send: Callable[[], None]) -> None:
        self._room.acquire()
        self._raise()
        self._pool.submit(self._guard, send).add_done_callback(self._done)

    def _guard(self, send: Callable[[], None]) -> None:
        if self._failure is None:
            send()

    def _done(self, future: Future[None]) -> None:
        self._failure = self._failure or future.exception()
        self._room.release()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Wait for what was put; raises what went wrong."""
        self._pool.shutdown(wait=True)
        self._raise()

    def abandon(self) -> None:
        """Drop what still waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Sender:
    """The exporters of all services; use as a context manager, and call `finish` before reading `delivered`."""

    def __init__(self, endpoints: Endpoints, keys: Mapping[str, str], *, pause: Pause = time.sleep) -> None:
        self.delivered = Delivered()
        self._endpoints = endpoints
        self._keys = keys
        self._pause = pause
        self._lock = threading.Lock()
        self._lanes = {transport: _Lane(transport.value) for transport in Transport}
        self._exporters: list[Exporter] = []

    def outlet_for(self, service: Service) -> Outlet:
        """Make the exporters of one service, over its protocol, with its tenant's key."""
        headers = {"authorization": f"Bearer {self._keys[service.tenant]}"}
        channels = channels_for(service.protocol, self._endpoints, headers)
        self._exporters.extend(exporter for exporter, _ in channels)
        return _ServiceOutlet(self, self._lanes[service.protocol], channels)

    def deliver(self, signal: str, channel: Channel, batch: Any, count: int) -> None:
        """Send one batch and see that all of it was accepted; runs in a lane.

        Raises:
            DeliveryError: the receiver rejected records.
            UnavailableError: no answer after all retries.
        """
        exporter, answer = channel
        for attempt in range(_ATTEMPTS):
            answer.rejected = None
            if exporter.export(batch).name == "SUCCESS":
                break
            if attempt + 1 == _ATTEMPTS:
                raise UnavailableError(
                    f"demo: {count} {signal} were not accepted in {_ATTEMPTS} attempts",
                    hint="see the collector's log, and `muniment doctor`",
                )
            with self._lock:
                self.delivered.retries += 1
            self._pause(0.5 * 2**attempt)
        if answer.rejected is None:
            raise DeliveryError(f"demo: {count} {signal} were answered without a response that OTLP knows")
        if answer.rejected:
            raise DeliveryError(
                f"demo: expected all of {count} {signal} to be accepted, {answer.rejected} were rejected: {answer.message}"
            )
        with self._lock:
            self.delivered.requests += 1
            self.delivered.acknowledged[signal] += count

    def sending(self, signal: str, count: int) -> None:
        """Count records that go into a lane."""
        with self._lock:
            self.delivered.sent[signal] += count

    def finish(self) -> Delivered:
        """Wait until everything is acknowledged.

        Raises:
            DeliveryError: less was acknowledged than sent.
            UnavailableError: a receiver did not answer in spite of retries.
        """
        for lane in self._lanes.values():
            lane.finish()
        if self.delivered.acknowledged != self.delivered.sent:
            raise DeliveryError(f"demo: sent {self.delivered.sent}, acknowledged {self.delivered.acknowledged}")
        return self.delivered

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for lane in self._lanes.values():
            lane.abandon()
        for exporter in self._exporters:
            exporter.shutdown()


class _ServiceOutlet:
    """The outlet of one service: puts batches into its protocol's lane."""

    def __init__(self, sender: Sender, lane: _Lane, channels: Channels) -> None:
        self._sender = sender
        self._lane = lane
        self._spans, self._logs, self._metrics = channels

    def spans(self, batch: Sequence[ReadableSpan]) -> None:
        self._put("spans", self._spans, batch, len(batch))

    def logs(self, batch: Sequence[ReadableLogRecord]) -> None:
        self._put("logs", self._logs, batch, len(batch))

    def metrics(self, data: MetricsData, points: int) -> None:
        self._put("metric_points", self._metrics, data, points)

    def _put(self, signal: str, channel: Channel, batch: Any, count: int) -> None:
        self._sender.sending(signal, count)
        self._lane.put(lambda: self._sender.deliver(signal, channel, batch, count))
