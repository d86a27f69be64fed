"""Metric points of all five kinds become rows."""

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from collectors.costs import PriceBook
from collectors.decode import DecodedGroup, decode_group
from collectors.exports import Export, IntakeLimits, Outcome, Sender, Signal
from warehouse.tables import METRICS

NOW = 1_790_000_000_000_000_000
SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:5")
TIMES = {"time_unix_nano": NOW, "start_time_unix_nano": NOW - 9}
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def decode(*metrics: Metric, sender: Sender = SENDER) -> DecodedGroup:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    scope.scope.name = "meter"
    scope.metrics.extend(metrics)
    export = Export(Signal.METRICS, request.SerializeToString(), sender, NOW, b"d" * 16)
    return decode_group([export], limits=IntakeLimits(), prices=PriceBook())


def rows(group: DecodedGroup) -> list[dict[str, Any]]:
    batch = group.records.tables["metrics"]
    batch.validate(full=True)
    assert batch.schema == METRICS.decoded_schema
    return batch.to_pylist()


def picked(row: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in expected}


def test_gauge_and_sum():
    """Numbers keep doubles and exact integers; only a sum has temporality and monotonicity."""
    gauge = Metric(name="g", unit="1", description="a gauge")
    point = gauge.gauge.data_points.add(as_double=1.5, flags=1, **TIMES)
    point.attributes.add(key="k", value=AnyValue(string_value="v"))
    total = Metric(name="s")
    total.sum.aggregation_temporality = DELTA
    total.sum.is_monotonic = True
    total.sum.data_points.add(as_int=2**53 + 1, **TIMES)
    total.sum.data_points.add(as_double=-2, time_unix_nano=NOW)
    first, second, third = rows(decode(gauge, total))
    expected = {
        "name": "g",
        "type": "gauge",
        "unit": "1",
        "description": "a gauge",
        "temporality": None,
        "monotonic": None,
        "value": 1.5,
        "value_int": None,
        "start": NOW - 9,
        "time_unix_nano": NOW,
        "flags": 1,
        "attributes": '{"k":"v"}',
        "scope_name": "meter",
        "tenant_id": "acme",
        "histogram": None,
        "exemplars": None,
    }
    assert picked(first, expected) == expected
    assert first["day"].isoformat() == "2026-09-21"
    expected = {"type": "sum", "temporality": "DELTA", "monotonic": True, "value_int": 2**53 + 1, "value": 2.0**53}
    assert picked(second, expected) == expected
    assert picked(third, {"value": -2.0, "value_int": None, "start": None}) == {
        "value": -2.0,
        "value_int": None,
        "start": None,
    }


def test_histogram():
    """Bounds, buckets and optional figures of a histogram are JSON; its value is its sum."""
    metric = Metric(name="h")
    metric.histogram.aggregation_temporality = CUMULATIVE
    metric.histogram.data_points.append(
        HistogramDataPoint(count=3, sum=6.5, min=1, max=4, bucket_counts=[1, 2], explicit_bounds=[2.0], **TIMES)
    )
    metric.histogram.data_points.append(HistogramDataPoint(count=0, **TIMES))
    full, empty = rows(decode(metric))
    assert (full["type"], full["temporality"], full["value"]) == ("histogram", "CUMULATIVE", 6.5)
    assert full["histogram"] == '{"count":3,"sum":6.5,"min":1.0,"max":4.0,"bounds":[2.0],"buckets":[1,2]}'
    assert (empty["value"], empty["histogram"]) == (None, '{"count":0,"bounds":[],"buckets":[]}')


def test_exponential_histogram():
    """Scale, zero bucket and both sides of an exponential histogram are JSON."""
    point = ExponentialHistogramDataPoint(count=5, sum=9, scale=-2, zero_count=1, zero_threshold=0.5, **TIMES)
    point.positive.offset = 3
    point.positive.bucket_counts.extend([1, 3])
    metric = Metric(name="e")
    metric.exponential_histogram.data_points.append(point)
    (row,) = rows(decode(metric))
    assert (row["type"], row["value"]) == ("exponential_histogram", 9.0)
    assert json.loads(row["histogram"]) == {
        "count": 5,
        "sum": 9.0,
        "scale": -2,
        "zero_count": 1,
        "zero_threshold": 0.5,
        "positive": {"offset": 3, "buckets": [1, 3]},
    }


def test_summary():
    """Quantiles of a summary are JSON."""
    point = SummaryDataPoint(count=2, sum=3, **TIMES)
    point.quantile_values.add(quantile=0.5, value=1)
    point.quantile_values.add(quantile=1, value=float("inf"))
    metric = Metric(name="q")
    metric.summary.data_points.append(point)
    (row,) = rows(decode(metric))
    assert (row["type"], row["value"], row["temporality"]) == ("summary", 3.0, None)
    assert json.loads(row["histogram"]) == {
        "count": 2,
        "sum": 3.0,
        "quantiles": [{"quantile": 0.5, "value": 1.0}, {"quantile": 1.0, "value": {"$double": "Infinity"}}],
    }


def test_exemplars_and_metadata():
    """Exemplars are a JSON array; a metric's metadata stands in the envelope beside what is there already."""
    metric = Metric(name="g")
    metric.metadata.add(key="origin", value=AnyValue(string_value="prometheus"))
    point = metric.gauge.data_points.add(as_int=1, **TIMES)
    exemplar = point.exemplars.add(time_unix_nano=NOW, as_double=2, trace_id=b"\x01" * 16, span_id=b"\x02" * 8)
    exemplar.filtered_attributes.add(key="k", value=AnyValue(int_value=1))
    point.exemplars.add(as_int=7)
    plain = Metric(name="p")
    plain.gauge.data_points.add(as_int=1, **TIMES)
    first, second = rows(decode(metric, plain))
    assert json.loads(first["exemplars"]) == [
        {
            "time_unix_nano": NOW,
            "value": 2.0,
            "trace_id": "01" * 16,
            "span_id": "02" * 8,
            "filtered_attributes": {"k": 1},
        },
        {"time_unix_nano": 0, "value": 7},
    ]
    assert (first["envelope"], second["envelope"]) == ('{"metric_metadata":{"origin":"prometheus"}}', None)
    assert second["exemplars"] is None


def _gauge(name: str = "g", **point: Any) -> Metric:
    metric = Metric(name=name)
    metric.gauge.data_points.append(NumberDataPoint(**{"time_unix_nano": NOW, "as_int": 1} | point))
    return metric


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (_gauge(name=""), "metric-without-name"),
        (_gauge(time_unix_nano=0), "time-missing"),
        (_gauge(time_unix_nano=5), "time-out-of-window"),
        (_gauge(time_unix_nano=2**63), "time-overflow"),
        (_gauge(start_time_unix_nano=2**64 - 1), "time-overflow"),
    ],
)
def test_bad_points_are_refused_alone(metric, reason):
    """A bad point is refused by its reason; points of other metrics are kept."""
    group = decode(_gauge(), metric)
    assert [refusal.reason for _, refusal in group.refusals] == [reason]
    (outcome,) = group.outcomes
    assert isinstance(outcome, Outcome)
    assert (outcome.accepted, outcome.rejected) == (1, 1)


def test_refused_point_can_be_replayed():
    """The record of a refused point is a request with its metric and that point alone."""
    metric = Metric(name="s", unit="By")
    metric.sum.aggregation_temporality = DELTA
    metric.sum.data_points.add(as_int=1, time_unix_nano=NOW)
    metric.sum.data_points.add(as_int=2, time_unix_nano=5)
    ((_, refusal),) = decode(_gauge(), metric).refusals
    assert refusal.record is not None
    assert json.loads(refusal.record)["resourceMetrics"][0]["scopeMetrics"] == [
        {
            "scope": {"name": "meter"},
            "metrics": [
                {
                    "name": "s",
                    "unit": "By",
                    "sum": {"dataPoints": [{"timeUnixNano": "5", "asInt": "2"}], "aggregationTemporality": 1},
                }
            ],
        }
    ]


def test_points_outside_the_keys_agent_are_refused():
    """A key scoped to an agent sends no points of another."""
    points = [_gauge("own"), _gauge("none"), _gauge("other")]
    points[0].gauge.data_points[0].attributes.add(key="gen_ai.agent.id", value=AnyValue(string_value="buyer"))
    points[2].gauge.data_points[0].attributes.add(key="gen_ai.agent.id", value=AnyValue(string_value="seller"))
    group = decode(*points, sender=Sender("acme", "k", "key:k", "p", agent="buyer"))
    assert [row["name"] for row in rows(group)] == ["own", "none"]
    assert [refusal.reason for _, refusal in group.refusals] == ["out-of-scope"]


def test_metrics_without_points():
    """A metric without data or without points is accepted and gives no row."""
    empty = Metric(name="e")
    empty.gauge.SetInParent()
    group = decode(Metric(name="n"), empty)
    assert group.records.tables == {}
    assert group.outcomes == [Outcome(0)]
