"""The collector process: receivers, intake, writer and local socket of one lake, started and stopped together."""

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

from opentelemetry import metrics

from collectors.config import LimitsConfig, ReceiversConfig
from collectors.exports import IntakeLimits
from collectors.intake import Intake
from collectors.redact.detectors import BY_NAME
from collectors.server import Receivers
from muniment import __version__
from muniment.alert_measures import observe_alerts
from muniment.heartbeat import Heartbeat, TalliedPipeline, Tally
from muniment.memory import keep_freed_memory
from muniment.policy_watch import PolicyWatch
from muniment.telemetry import prometheus_text, start_telemetry
from muniment.wiring import CommandContext
from muniment.witness_rounds import WitnessRounds
from warehouse.clock import NANOS_PER_SECOND
from warehouse.control import KeyCache
from warehouse.errors import MunimentError
from warehouse.ledger.keeper import CHECKPOINT_FILE, log_folder
from warehouse.local_socket import LocalSocket
from warehouse.measures import Measures
from warehouse.own_events import OwnEvent, own_event_records
from warehouse.quarantine import Quarantine
from warehouse.query import sweep_spill

_RECORD_TIMEOUT_SECONDS = 5.0


class Collector:
    """One running collector. `start` once, then `stop` once; between them it answers senders and local commands."""

    def __init__(
        self,
        context: CommandContext,
        *,
        shard: str = "main",
        receivers: ReceiversConfig | None = None,
        limits: LimitsConfig | None = None,
    ) -> None:
        settings, lake, clock = context.settings, context.lake, context.clock
        checked = (limits or settings.limits).limits()
        keep_freed_memory()
        sweep_spill(lake)
        self._context = context
        self._telemetry = start_telemetry(settings.telemetry, version=__version__)
        context.redactor.prepare()
        self.writer = context.open_writer(shard, measures=Measures())
        tally = Tally(clock)
        self.intake = self._make_intake(checked, tally)
        self._heartbeat = Heartbeat(
            shard=self.writer.shard,
            interval_seconds=settings.heartbeat_seconds,
            append=self._queue_own,
            tally=tally,
            heard_file=lake.run / f"collector-{shard}.heard",
            clock=clock,
            version=__version__,
            checkpoint_age_seconds=self._checkpoint_age_seconds,
        )
        self.receivers = Receivers(
            receivers or settings.receivers,
            intake=self.intake,
            keys=KeyCache(context.control, clock=clock),
            limits=checked,
            digest_key=context.keys.request_digest,
            ready=self.problems,
            metrics_text=prometheus_text,
            clock=clock,
        )
        self._socket = LocalSocket(lake.run / f"collector-{shard}.sock", self._answer_local)
        self._witness_rounds = WitnessRounds(
            lake, settings, append=self._append_own, flush=self.writer.flush, clock=clock
        )
        self._policy_watch = PolicyWatch(
            context.control,
            BY_NAME,
            context.redactor.policy,
            use=context.redactor.use,
            poll_seconds=settings.policy_poll_seconds,
            clock=clock,
        )
        self._stopped = threading.Event()
        self._observe()

    def _make_intake(self, limits: IntakeLimits, tally: Tally) -> Intake:
        context = self._context
        pipeline = TalliedPipeline(
            sink=self.writer,
            redactor=context.redactor,
            quarantine=Quarantine(context.lake, self.writer.shard),
            prices=context.prices,
            action_key=context.keys.action,
            limits=limits,
            clock=context.clock,
            tally=tally,
        )
        return Intake(pipeline, self.writer.recent, config=context.settings.intake)

    def _checkpoint_age_seconds(self, tenant: str) -> float | None:
        """How long ago this shard's log of a tenant was signed; None where it was not yet."""
        file = log_folder(self._context.lake, tenant, self.writer.shard) / CHECKPOINT_FILE
        try:
            return (self._context.clock() - file.stat().st_mtime_ns) / NANOS_PER_SECOND
        except OSError:
            return None

    def start(self) -> None:
        """Listen.

        Raises:
            UnavailableError: a port is taken; the message says which.
        """
        try:
            self.intake.start()
            self._socket.start()
            self._heartbeat.start()
            self.receivers.start()
            self._witness_rounds.start()
            self._policy_watch.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop taking requests, answer those under way, commit, and give the shard back; safe to repeat."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._policy_watch.stop()
        self._witness_rounds.stop()
        self.receivers.stop()
        self._socket.stop()
        self.intake.stop()
        self._heartbeat.stop()
        self.writer.stop()
        self._telemetry.shutdown()

    def problems(self) -> list[str]:
        """Why the collector cannot take records now; empty when it can."""
        found = []
        if problem := self.writer.state().problem:
            found.append(problem)
        try:
            self._context.control.list_tenants()
        except MunimentError as exc:
            found.append(f"control database: {exc}")
        return found

    def _observe(self) -> None:
        """Publish what is only known when asked: queue depth, what waits for its commit, and for how long."""
        meter = metrics.get_meter("muniment.collector")

        def gauge(name: str, unit: str, description: str, read: Callable[[], float]) -> None:
            meter.create_observable_gauge(
                name, [lambda _options: [metrics.Observation(read())]], unit=unit, description=description
            )

        if self._context.settings.alerts.on_metrics:
            observe_alerts(self._context.lake, self._context.clock)
        gauge("muniment.queue.requests", "{request}", "requests waiting", lambda: self.intake.waiting_requests)
        gauge("muniment.queue.batches", "{batch}", "batches waiting", lambda: self.writer.state().queued_batches)
        gauge("muniment.pending.size", "By", "bytes not committed yet", lambda: self.writer.state().pending_bytes)
        gauge("muniment.commit.lag", "s", "age of the oldest row not committed yet", self._lag_seconds)

    def _lag_seconds(self) -> float:
        oldest = self.writer.state().oldest_pending_unix_nano
        return (self._context.clock() - oldest) / NANOS_PER_SECOND if oldest else 0.0

    def _append_own(self, events: list[OwnEvent]) -> None:
        self._queue_own(events).result(_RECORD_TIMEOUT_SECONDS)

    def _queue_own(self, events: list[OwnEvent]) -> Future[None]:
        records = own_event_records(events, now_unix_nano=self._context.clock())
        return self.writer.append(self._context.redactor.treat(records))

    # -- local socket

    def _answer_local(self, payload: bytes) -> bytes:
        operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "record": self._record,
            "state": self._state,
            "flush": self._flush,
        }
        try:
            message = json.loads(payload)
            answer = operations[message["op"]](message)
        except (MunimentError, ValueError, KeyError, TypeError, TimeoutError) as exc:
            return json.dumps({"ok": False, "error": f"{type(exc).__name__}: {exc}"}).encode()
        return json.dumps({"ok": True, **answer}).encode()

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        self._append_own([OwnEvent(**event) for event in message["events"]])
        return {}

    def _state(self, _message: dict[str, Any]) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "writer": asdict(self.writer.state()),
            "waiting_requests": self.intake.waiting_requests,
            "http_port": self.receivers.http_port,
            "grpc_port": self.receivers.grpc_port,
            "problems": self.problems(),
            "witness_rounds": self._witness_rounds.state(),
            "redaction_policy": self._policy_watch.state(),
        }

    def _flush(self, message: dict[str, Any]) -> dict[str, Any]:
        self.writer.flush(float(message.get("timeout_seconds", 30.0)))
        return {}
