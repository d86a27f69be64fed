"""One service's OpenTelemetry SDK: tracer, logger and meter whose ids and times come from the simulation.

Everything goes through the SDK's own providers, processors and aggregations. What is replaced are its clock (each span,
record and point names its time), its random ids, and the batch processors: those drop when their queue is full, so
here a full buffer goes to the outlet at once, which blocks until it has room.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordLimits,
    LogRecordProcessor,
    ReadableLogRecord,
    ReadWriteLogRecord,
)
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics import Histogram as HistogramInstrument
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NoOpTracer
from opentelemetry.util.types import AttributeValue
from opentelemetry.version import __version__ as sdk_version

from muniment.demo.fleet import Agent, Service
from muniment.demo.ids import SeededIds
from muniment.demo.truth import Tally
from warehouse.errors import InputError

SPANS_PER_REQUEST = 512
LOGS_PER_REQUEST = 512

_SPAN_LIMITS = SpanLimits(
    max_span_attributes=128, max_events=128, max_links=128, max_event_attributes=128, max_link_attributes=128,
    max_attributes=128, max_attribute_length=SpanLimits.UNSET, max_span_attribute_length=SpanLimits.UNSET,
)  # fmt: skip
_LOG_LIMITS = LogRecordLimits(
    max_attributes=128,
    max_attribute_length=LogRecordLimits.UNSET,
    max_log_record_attributes=128,
    max_log_record_attribute_length=LogRecordLimits.UNSET,
)
# Buckets that the GenAI conventions advise for gen_ai.client.token.usage and gen_ai.client.operation.duration.
_TOKEN_BOUNDS = tuple(float(4**power) for power in range(14))
_DURATION_BOUNDS = tuple(0.01 * 2**power for power in range(14))


class Outlet(Protocol):
    """Where a service's telemetry goes.

    Each function MUST take the whole batch or raise, MAY block, and is called from one thread.
    """

    def spans(self, batch: Sequence[ReadableSpan]) -> None:
        """Take ended spans."""
        ...

    def logs(self, batch: Sequence[ReadableLogRecord]) -> None:
        """Take log records."""
        ...

    def metrics(self, data: MetricsData, points: int) -> None:
        """Take metric points, `points` of them."""
        ...


class _SpanTap(SpanProcessor):
    def __init__(self, recorder: "Recorder") -> None:
        self._recorder = recorder

    def on_end(self, span: ReadableSpan) -> None:
        self._recorder.keep_span(span)


class _LogTap(LogRecordProcessor):
    def __init__(self, recorder: "Recorder") -> None:
        self._recorder = recorder

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self._recorder.keep_log(log_record)

    def shutdown(self) -> None:
        """Nothing is held back here."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's signature
        return True


@dataclass(frozen=True)
class _Instruments:
    provider: MeterProvider
    reader: InMemoryMetricReader
    tokens: Histogram
    duration: Histogram


class Recorder:
    """The SDK of one service of the fleet."""

    def __init__(self, service: Service, ids: SeededIds, outlet: Outlet, tally: Tally, *, start: int) -> None:
        self.service = service
        self.version = service.version
        self._ids = ids
        self._outlet = outlet
        self._tally = tally
        self._spans: list[ReadableSpan] = []
        self._logs: list[ReadableLogRecord] = []
        self._measured_from = start
        self._measured = False
        self._sequence = 0
        self._open()

    def _open(self) -> None:
        """Make the providers for the version that runs now: a release restarts the process."""
        scope, scope_version = "agent-runtime", self.version
        if isinstance(self.service, Agent):
            scope, scope_version = self.service.scope_name, self.service.scope_version
        resource = Resource(_resource(self.service, self.version))
        traces = TracerProvider(
            sampler=ALWAYS_ON,
            resource=resource,
            shutdown_on_exit=False,
            id_generator=self._ids,
            span_limits=_SPAN_LIMITS,
        )
        traces.add_span_processor(_SpanTap(self))
        logs = LoggerProvider(resource=resource, shutdown_on_exit=False, log_record_limits=_LOG_LIMITS)
        logs.add_log_record_processor(_LogTap(self))
        self.tracer = traces.get_tracer(scope, scope_version)
        if isinstance(self.tracer, NoOpTracer):
            raise InputError(
                "OpenTelemetry SDK: expected it to be enabled, got OTEL_SDK_DISABLED=true", hint="unset it"
            )
        self.logger = logs.get_logger(scope, scope_version)
        self.audit_logger = logs.get_logger("audit", scope_version)
        self._instruments = _instruments(resource, scope, scope_version)

    def release(self, version: str, at: int) -> None:
        """Run another version from `at` on."""
        self.measure_until(at)
        self._instruments.provider.shutdown()
        self.version = version
        self._open()

    def keep_span(self, span: ReadableSpan) -> None:
        """Take an ended span from the SDK."""
        self._tally.span(self.service, span.start_time or 0, span.attributes or ())
        self._spans.append(span)
        if len(self._spans) >= SPANS_PER_REQUEST:
            self._outlet.spans(self._spans)
            self._spans = []

    def keep_log(self, record: ReadWriteLogRecord) -> None:
        """Take a log record from the SDK, as its batch processor does, without the context that it drags along."""
        log_record = record.log_record
        log_record.context = Context()
        self._tally.log(self.service, log_record.event_name, log_record.timestamp or 0, log_record.attributes or ())
        resource = record.resource or Resource.get_empty()
        self._logs.append(ReadableLogRecord(log_record, resource, record.instrumentation_scope, record.limits))
        if len(self._logs) >= LOGS_PER_REQUEST:
            self._outlet.logs(self._logs)
            self._logs = []

    def next_sequence(self) -> int:
        """Number of the next audit event of this service, from 0, without gaps."""
        self._sequence += 1
        return self._sequence - 1

    def measure(self, *, seconds: float, tokens: Mapping[str, int], attributes: Mapping[str, AttributeValue]) -> None:
        """Record a model call's duration, and its tokens by type."""
        self._measured = True
        self._instruments.duration.record(seconds, attributes)
        for kind, count in tokens.items():
            self._instruments.tokens.record(count, {**attributes, "gen_ai.token.type": kind})

    def measure_until(self, at: int) -> None:
        """Send what was measured since the last call as delta points that end at `at`; nothing when nothing was."""
        started, self._measured_from = self._measured_from, at
        if not self._measured:
            return
        self._measured = False
        data = self._instruments.reader.get_metrics_data()
        if data is None:
            return
        restamped = _restamp(data, started, at)
        points = sum(
            len(metric.data.data_points)
            for resource in restamped.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        self._tally.points(self.service, points)
        self._outlet.metrics(restamped, points)

    def close(self, at: int) -> None:
        """Send all that is still here; the recorder takes nothing afterwards."""
        self.measure_until(at)
        if self._spans:
            self._outlet.spans(self._spans)
        if self._logs:
            self._outlet.logs(self._logs)
        self._spans, self._logs = [], []
        self._instruments.provider.shutdown()


def _resource(service: Service, version: str) -> dict[str, AttributeValue]:
    """Resource attributes; made by hand because the SDK's detectors read the environment."""
    attributes: dict[str, AttributeValue] = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk_version,
        "service.name": service.service_name,
        "service.version": version,
        "service.namespace": service.tenant,
        "deployment.environment.name": "production",
        "host.ip": (service.source_address,),
    }
    if isinstance(service, Agent):
        attributes["gen_ai.agent.id"] = service.id
        attributes["gen_ai.agent.name"] = service.name
        attributes["cloud.region"] = service.home_region
    return attributes


def _instruments(resource: Resource, scope: str, scope_version: str) -> _Instruments:
    reader = InMemoryMetricReader(preferred_temporality=_delta())
    provider = MeterProvider(
        metric_readers=(reader,),
        resource=resource,
        exemplar_filter=AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
    )
    meter = provider.get_meter(scope, scope_version)
    return _Instruments(
        provider=provider,
        reader=reader,
        tokens=meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used",
            explicit_bucket_boundaries_advisory=_TOKEN_BOUNDS,
        ),
        duration=meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration",
            explicit_bucket_boundaries_advisory=_DURATION_BOUNDS,
        ),
    )


def _delta() -> dict[type, AggregationTemporality]:
    return {HistogramInstrument: AggregationTemporality.DELTA}


def _restamp(data: MetricsData, started: int, ended: int) -> MetricsData:
    """The same points with simulated instead of real times."""
    return MetricsData([_restamp_resource(entry, started, ended) for entry in data.resource_metrics])


def _restamp_resource(entry: ResourceMetrics, started: int, ended: int) -> ResourceMetrics:
    scopes = [
        ScopeMetrics(
            scope.scope, [_restamp_metric(metric, started, ended) for metric in scope.metrics], scope.schema_url
        )
        for scope in entry.scope_metrics
    ]
    return ResourceMetrics(entry.resource, scopes, entry.schema_url)


def _restamp_metric(metric: Metric, started: int, ended: int) -> Metric:
    if not isinstance(metric.data, HistogramData):
        raise TypeError(f"metric {metric.name}: expected a histogram, got {type(metric.data).__name__}")
    points: list[HistogramDataPoint] = [
        replace(point, start_time_unix_nano=started, time_unix_nano=ended) for point in metric.data.data_points
    ]
    return replace(metric, data=HistogramData(points, metric.data.aggregation_temporality))


OutletFor = Callable[[Service], Outlet]
"""Makes the outlet of a service."""
