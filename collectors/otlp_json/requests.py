"""One OTLP/JSON request: resources, scopes and records walked, good records kept, bad ones refused by name.

Invariant: every record of the request is either in the protobuf or named by a `Refusal` (OTLP §partial-success counts
spans, log records and metric data points). A fault in a resource or scope refuses what lies under it, since a record
without its sender is no evidence; something in a record's place that holds no countable record counts as one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import msgspec
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collectors.exports import IntakeLimits, Refusal, Signal
from collectors.otlp_json.schema import MessageReader, Schema
from collectors.otlp_json.values import FieldFault, describe, read_text, wrong_type
from warehouse.errors import DecodeError, LimitError

MAX_REFUSALS = 10_000
"""Refused records of one request beyond which the whole request is refused."""

_SCHEMA = Schema()
_READ_RESOURCE = _SCHEMA.reader(Resource.DESCRIPTOR)
_READ_SCOPE = _SCHEMA.reader(InstrumentationScope.DESCRIPTOR)
_READ_METRIC = _SCHEMA.reader(Metric.DESCRIPTOR)

Names = tuple[str, str]
"""A field's name in OTLP/JSON and in protobuf."""

JsonObject = dict[str, object]

_POINTS: Names = ("dataPoints", "data_points")
_POINT_READERS: dict[Names, MessageReader] = {
    ("gauge", "gauge"): _SCHEMA.reader(NumberDataPoint.DESCRIPTOR),
    ("sum", "sum"): _SCHEMA.reader(NumberDataPoint.DESCRIPTOR),
    ("histogram", "histogram"): _SCHEMA.reader(HistogramDataPoint.DESCRIPTOR),
    ("exponentialHistogram", "exponential_histogram"): _SCHEMA.reader(ExponentialHistogramDataPoint.DESCRIPTOR),
    ("summary", "summary"): _SCHEMA.reader(SummaryDataPoint.DESCRIPTOR),
}


@dataclass(frozen=True)
class _Layout:
    """Where a signal's request holds its resources, scopes and records."""

    request: Callable[..., Message]
    resources: Names
    scopes: Names
    records: Names
    read_record: MessageReader


_LAYOUTS = {
    Signal.TRACES: _Layout(
        ExportTraceServiceRequest,
        ("resourceSpans", "resource_spans"),
        ("scopeSpans", "scope_spans"),
        ("spans", "spans"),
        _SCHEMA.reader(Span.DESCRIPTOR),
    ),
    Signal.LOGS: _Layout(
        ExportLogsServiceRequest,
        ("resourceLogs", "resource_logs"),
        ("scopeLogs", "scope_logs"),
        ("logRecords", "log_records"),
        _SCHEMA.reader(LogRecord.DESCRIPTOR),
    ),
    Signal.METRICS: _Layout(
        ExportMetricsServiceRequest,
        ("resourceMetrics", "resource_metrics"),
        ("scopeMetrics", "scope_metrics"),
        ("metrics", "metrics"),
        _READ_METRIC,
    ),
}


@dataclass(frozen=True)
class ParsedJson:
    """A request's good records as serialized protobuf, and its bad ones."""

    protobuf: bytes
    refused: tuple[Refusal, ...]


def parse(signal: Signal, body: bytes, limits: IntakeLimits) -> ParsedJson:
    """Turn an OTLP/JSON request into serialized protobuf of its good records and refusals of its bad ones.

    Raises:
        DecodeError: the text is not JSON in UTF-8, or its root is not a request of this signal.
        LimitError: more than `MAX_REFUSALS` records are bad.
    """
    try:
        root = msgspec.json.decode(body)
    except RecursionError as exc:
        raise DecodeError("body: expected JSON nested within reason, got it too deep to read") from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        # The reason alone: UnicodeDecodeError's text is short, and neither repeats the body.
        raise DecodeError(f"body: expected JSON in UTF-8, got {len(body)} bytes that are not ({exc})") from exc
    layout = _LAYOUTS[signal]
    if type(root) is not dict:
        raise DecodeError(f"body: expected an object with {layout.resources[0]}, got {describe(root)}")
    entries = _member(root, layout.resources)
    if entries is not None and type(entries) is not list:
        raise DecodeError(f"{layout.resources[0]}: expected an array, got {describe(entries)}")
    walk = _Walk(signal, layout, limits, record_bytes=2 * len(body) + 65_536)
    kept = walk.resources(entries or [])
    try:
        protobuf = layout.request(**{layout.resources[1]: kept}).SerializeToString()
    except (ValueError, TypeError) as exc:
        raise DecodeError(f"body: expected what OTLP's messages can hold, got {type(exc).__name__}") from exc
    return ParsedJson(protobuf=protobuf, refused=tuple(walk.refused))


def _member(holder: JsonObject, names: Names) -> object:
    value = holder.get(names[0])
    return holder.get(names[1]) if value is None else value


class _Walk:
    """One request's way through resources and scopes, gathering refusals."""

    def __init__(self, signal: Signal, layout: _Layout, limits: IntakeLimits, *, record_bytes: int) -> None:
        self._signal = signal
        self._layout = layout
        self._depth = limits.depth
        # A large resource over many bad records would multiply the body: past this the records' text is left out.
        self._record_bytes_left = record_bytes
        self.refused: list[Refusal] = []

    def resources(self, entries: list[object]) -> list[JsonObject]:
        kept: list[JsonObject] = []
        for position, entry in enumerate(entries):
            path = f"{self._layout.resources[0]}[{position}]"
            try:
                holder, head, scopes = self._open(entry, ("resource", "resource"), _READ_RESOURCE, self._layout.scopes)
            except FieldFault as fault:
                self._refuse_resource(fault, path, entry)
                continue
            kept_scopes = self._scopes(scopes, path, holder)
            if kept_scopes:
                head[self._layout.scopes[1]] = kept_scopes
                kept.append(head)
        return kept

    def _scopes(self, entries: list[object], above: str, resource_entry: JsonObject) -> list[JsonObject]:
        kept: list[JsonObject] = []
        for position, entry in enumerate(entries):
            path = f"{above}.{self._layout.scopes[0]}[{position}]"
            try:
                holder, head, records = self._open(entry, ("scope", "scope"), _READ_SCOPE, self._layout.records)
            except FieldFault as fault:
                self._refuse_scope(fault, path, resource_entry, entry)
                continue
            kept_records = self._records(records, path, resource_entry, holder)
            if kept_records:
                head[self._layout.records[1]] = kept_records
                kept.append(head)
        return kept

    def _open(
        self, entry: object, owner: Names, read_owner: MessageReader, inner: Names
    ) -> tuple[JsonObject, JsonObject, list[object]]:
        """Check a resource's or scope's own fields; return it as sent, as constructor arguments, and what it holds."""
        if type(entry) is not dict:
            raise wrong_type("an object", entry)
        head: JsonObject = {}
        if (value := entry.get(owner[0])) is not None:
            with_step = f".{owner[0]}"
            head[owner[1]] = _under(with_step, read_owner, value, self._depth)
        if (schema_url := _member(entry, ("schemaUrl", "schema_url"))) is not None:
            head["schema_url"] = _under(".schemaUrl", read_text, schema_url, self._depth)
        held = _member(entry, inner)
        if held is None:
            return entry, head, []
        if type(held) is not list:
            fault = wrong_type("an array", held)
            fault.steps.append(f".{inner[0]}")
            raise fault
        return entry, head, held

    def _records(
        self, entries: list[object], above: str, resource_entry: JsonObject, scope_entry: JsonObject
    ) -> list[JsonObject]:
        kept: list[JsonObject] = []
        read, depth = self._layout.read_record, self._depth
        metrics = self._signal is Signal.METRICS
        for position, entry in enumerate(entries):
            try:
                if metrics:
                    kept.append(self._metric(entry, f"{above}.metrics[{position}]", resource_entry, scope_entry))
                else:
                    kept.append(read(entry, depth))
            except FieldFault as fault:
                path = f"{above}.{self._layout.records[0]}[{position}]"
                for record in _points_apart(entry) if metrics else (entry,):
                    self._refuse(fault, path, resource_entry, scope_entry, record)
        return kept

    def _metric(
        self, entry: object, path: str, resource_entry: JsonObject, scope_entry: JsonObject
    ) -> dict[str, object]:
        """Read a metric without its points first, then each point by itself: one bad point costs that point alone."""
        points = _points_of(entry)
        if points is None:
            return _READ_METRIC(entry, self._depth)
        names, held = points
        metric = _READ_METRIC(_with_points(entry, names, []), self._depth)
        read = _POINT_READERS[names]
        kept: list[JsonObject] = []
        for position, point in enumerate(held):
            try:
                kept.append(read(point, self._depth))
            except FieldFault as fault:
                one = _with_points(entry, names, [point])
                self._refuse(fault, f"{path}.{names[0]}.dataPoints[{position}]", resource_entry, scope_entry, one)
        cast("JsonObject", metric[names[1]])[_POINTS[1]] = kept
        return metric

    def _refuse_resource(self, fault: FieldFault, path: str, entry: object) -> None:
        scopes = _objects(_member(entry, self._layout.scopes)) if isinstance(entry, dict) else []
        before = len(self.refused)
        for scope_entry in scopes:
            for record in self._countable(scope_entry):
                self._refuse(fault, path, cast("JsonObject", entry), scope_entry, record)
        if len(self.refused) == before:
            self._add(fault, path, {self._layout.resources[0]: [entry]}, None)

    def _refuse_scope(self, fault: FieldFault, path: str, resource_entry: JsonObject, entry: object) -> None:
        before = len(self.refused)
        if isinstance(entry, dict):
            for record in self._countable(entry):
                self._refuse(fault, path, resource_entry, entry, record)
        if len(self.refused) == before:
            resource = {**_without(resource_entry, self._layout.scopes), self._layout.scopes[0]: [entry]}
            self._add(fault, path, {self._layout.resources[0]: [resource]}, None)

    def _countable(self, scope_entry: JsonObject) -> Iterator[object]:
        for record in _objects(_member(scope_entry, self._layout.records)):
            yield from _points_apart(record) if self._signal is Signal.METRICS else (record,)

    def _refuse(
        self, fault: FieldFault, path: str, resource_entry: JsonObject, scope_entry: JsonObject, record: object
    ) -> None:
        scope = {**_without(scope_entry, self._layout.records), self._layout.records[0]: [record]}
        resource = {**_without(resource_entry, self._layout.scopes), self._layout.scopes[0]: [scope]}
        event_name = None
        if self._signal is Signal.LOGS and isinstance(record, dict):
            name = _member(record, ("eventName", "event_name"))
            event_name = name if isinstance(name, str) and name else None
        self._add(fault, path, {self._layout.resources[0]: [resource]}, event_name)

    def _add(self, fault: FieldFault, path: str, request: JsonObject, event_name: str | None) -> None:
        if len(self.refused) >= MAX_REFUSALS:
            raise LimitError(f"bad records of one request: expected at most {MAX_REFUSALS}, got more")
        record = None
        if self._record_bytes_left > 0:
            record = msgspec.json.encode(request).decode()
            self._record_bytes_left -= len(record)
        self.refused.append(Refusal(self._signal, fault.reason, fault.at(path), record, event_name))


def _under(step: str, read: Callable[[object, int], object], value: object, depth: int) -> object:
    try:
        return read(value, depth)
    except FieldFault as fault:
        fault.steps.append(step)
        raise


def _without(holder: JsonObject, names: Names) -> JsonObject:
    return {name: value for name, value in holder.items() if name not in names}


def _objects(held: object) -> list[JsonObject]:
    return [entry for entry in held if isinstance(entry, dict)] if isinstance(held, list) else []


def _points_of(entry: object) -> tuple[Names, list[object]] | None:
    """The kind of a metric's data and its points; None where it has none that could be read one by one."""
    if type(entry) is not dict:
        return None
    for names in _POINT_READERS:
        data = _member(entry, names)
        if type(data) is dict and type(points := _member(data, _POINTS)) is list:
            return names, points
    return None


def _with_points(entry: object, names: Names, points: list[object]) -> JsonObject:
    metric = cast("JsonObject", entry)
    data = cast("JsonObject", _member(metric, names))
    return {**_without(metric, names), names[0]: {**_without(data, _POINTS), _POINTS[0]: points}}


def _points_apart(entry: object) -> Iterator[object]:
    """A metric as metrics of one point each, or itself where it has no points to count."""
    points = _points_of(entry)
    if points is None or not points[1]:
        yield entry
        return
    for point in points[1]:
        yield _with_points(entry, points[0], [point])
