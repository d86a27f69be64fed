"""A harness around the real receivers: an intake that remembers what it was given, and keys held in memory."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors.config import ReceiversConfig
from collectors.exports import IntakeLimits, Outcome, Signal
from collectors.server import Receivers
from warehouse.errors import DecodeError, UnauthenticatedError

KEY = "mk-acme-0123456789"
DIGEST_KEY = b"d" * 32
REQUESTS = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}


@dataclass(frozen=True)
class FakeKey:
    """A key as receivers see it."""

    tenant_id: str
    key_id: str
    agent: str | None = None
    event_patterns: tuple[str, ...] | None = None


class FakeKeys:
    """Keys in memory; each is resolved once before `peek` knows it, as with the real cache."""

    def __init__(self):
        self.keys = {KEY: FakeKey("acme", "k1"), "mk-narrow": FakeKey("acme", "k2", "billing", ("approval.*",))}
        self.error = None
        self._seen = set()
        self.resolved_on = []

    def peek(self, key_text):
        """Tell a key that was resolved before."""
        return self.keys[key_text] if key_text in self._seen and self.error is None else None

    def resolve(self, key_text):
        """Find a key, or raise what the test asks for."""
        self.resolved_on.append(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        if key_text not in self.keys:
            raise UnauthenticatedError("API key is not known here")
        self._seen.add(key_text)
        return self.keys[key_text]


class RecordingIntake:
    """Remembers exports and answers them from another thread, as the real intake does.

    `errors` are raised by the next calls of `submit`, one each; `outcome` overrides the answer; while `hold` is set nothing
    is answered.
    """

    def __init__(self):
        self.exports = []
        self.undecoded = []
        self.errors = []
        self.outcome = None
        self.hold = threading.Event()
        self.submitted = 0
        self._thread = ThreadPoolExecutor(1)

    def submit(self, export):
        """Take an export, or raise what the test asks for."""
        self.submitted += 1
        if self.errors:
            raise self.errors.pop(0)
        return self._thread.submit(self._answer, export)

    def _answer(self, export):
        while self.hold.is_set():
            time.sleep(0.005)
        try:
            message = REQUESTS[export.signal].FromString(export.body)
        except ProtobufError as exc:
            raise DecodeError("body: expected protobuf, got bytes that are not") from exc
        self.exports.append(export)
        return self.outcome or Outcome(
            count_records(message), len(export.refused), "; ".join(r.message for r in export.refused)
        )

    def undecodable(self, signal, sender, *, content_type, size_bytes, reason, digest):
        """Remember what was reported."""
        self.undecoded.append((signal, sender, content_type, size_bytes, reason, digest))

    def messages(self):
        """Every request kept, as protobuf messages."""
        return [REQUESTS[export.signal].FromString(export.body) for export in self.exports]

    def close(self):
        """Answer what waits, then end."""
        self.hold.clear()
        self._thread.shutdown()


def count_records(message):
    """Records of a request: spans, log records or metrics."""
    paths = {
        "ExportTraceServiceRequest": ("resource_spans", "scope_spans", "spans"),
        "ExportLogsServiceRequest": ("resource_logs", "scope_logs", "log_records"),
        "ExportMetricsServiceRequest": ("resource_metrics", "scope_metrics", "metrics"),
    }
    resources, scopes, records = paths[message.DESCRIPTOR.name]
    return sum(
        len(getattr(scope, records)) for resource in getattr(message, resources) for scope in getattr(resource, scopes)
    )


@dataclass
class Harness:
    """Receivers that listen, with their intake and keys."""

    receivers: Receivers
    intake: RecordingIntake
    keys: FakeKeys
    problems: list = field(default_factory=list)
    key: str = KEY

    @property
    def http(self):
        """Base URL of the HTTP receiver."""
        return f"http://127.0.0.1:{self.receivers.http_port}"

    @property
    def grpc(self):
        """Target of the gRPC receiver."""
        return f"127.0.0.1:{self.receivers.grpc_port}"


@pytest.fixture
def make_harness():
    """Start receivers with settings and limits of a test's own; all are stopped at its end."""
    started = []

    def make(limits=None, **settings):
        intake, keys, problems = RecordingIntake(), FakeKeys(), []
        receivers = Receivers(
            ReceiversConfig(**{"grpc_port": 0, "http_port": 0, **settings}),
            intake=intake,
            keys=keys,
            limits=limits or IntakeLimits(),
            clock=lambda: 1_764_000_000_000_000_000,
            digest_key=DIGEST_KEY,
            ready=lambda: problems,
            metrics_text=lambda: b"muniment_up 1\n",
        )
        receivers.start()
        started.append((receivers, intake))
        return Harness(receivers, intake, keys, problems)

    yield make
    for receivers, intake in started:
        intake.hold.clear()
        receivers.stop(1)
        intake.close()


@pytest.fixture
def harness(make_harness):
    """Receivers with default settings on free ports."""
    return make_harness()
