"""Metric points: parsed requests to batches of the table `metrics` (OTLP metrics data model).

A point is a row. The five kinds of metrics are decoded one after the other, each in columns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.decode import points
from collectors.decode.attributes import decode_attributes, json_of
from collectors.decode.chosen import Chosen
from collectors.decode.decoded import Decoded
from collectors.decode.frame import Frame, check_window, time_columns, unsigned_instants
from collectors.decode.key_scope import apply_agent_scope, scoped_agents
from collectors.decode.parts import batch_of
from collectors.decode.refusals import Checks, Cut, Reason
from collectors.decode.surroundings import surroundings
from collectors.decode.texts import (
    Flags,
    filled_texts,
    lengths_of,
    literal,
    nulled,
    offsets_of,
    repeated,
    steps,
    wrapped,
)
from collectors.dialects.roles import NO_ROLES, RESOURCE_ROLES
from collectors.exports import Export, IntakeLimits, Signal
from warehouse.tables import METRICS

_SCHEMA = METRICS.decoded_schema
_KINDS: dict[str, Callable[[pa.StructArray], dict[str, pa.Array]]] = {
    "gauge": points.number_columns,
    "sum": points.number_columns,
    "histogram": points.histogram_columns,
    "exponential_histogram": points.exponential_columns,
    "summary": points.summary_columns,
}
_TEMPORALITIES = pa.array([None, "DELTA", "CUMULATIVE"], pa.string())


@dataclass(frozen=True, slots=True)
class _Metrics:
    """The metrics of a group, and the columns that their points take from them."""

    frame: Frame
    columns: dict[str, pa.Array]
    checks: Checks


def decode_metrics(column: pa.ListArray, exports: Sequence[Export], limits: IntakeLimits) -> list[Decoded]:
    """Decode all points of a group's metric requests, one entry for each kind of metric that is there."""
    frame = Frame.of(Signal.METRICS, column, exports)
    metrics = frame.records
    if not len(metrics):
        return []
    checks = Checks(len(metrics))
    around = surroundings(frame, checks, limits)
    metadata = decode_attributes(metrics.field("metadata"), NO_ROLES, limits)
    checks.mark_attributes(metadata)
    checks.mark(lengths_of(metrics.field("name")) == 0, Reason.NO_NAME)
    columns = around.columns | around.resource_agents
    columns |= {
        "name": metrics.field("name"),
        "unit": filled_texts(metrics.field("unit")),
        "description": filled_texts(metrics.field("description")),
    }
    if metadata is not None:
        columns["envelope"] = _with_metadata(columns["envelope"], metadata.json, steps(metadata.offsets) == 0)
    shared = _Metrics(frame, columns, checks)
    decoded = (_decode_kind(kind, shared, limits) for kind in _KINDS if metrics.field(kind).null_count < len(metrics))
    return [entry for entry in decoded if entry is not None]


def _with_metadata(envelope: pa.StringArray, metadata: pa.StringArray, is_empty: Flags) -> pa.StringArray:
    """The envelope with one member more, where a metric has metadata."""
    opened = pc.utf8_slice_codeunits(envelope, 0, -1)
    longer = pc.binary_join_element_wise(wrapped("", opened, ","), literal('"metric_metadata":'), metadata, literal(""))
    alone = wrapped('{"metric_metadata":', metadata, "")
    return pc.coalesce(nulled(wrapped("", pc.coalesce(longer, alone), "}"), is_empty), envelope)


def _decode_kind(kind: str, shared: _Metrics, limits: IntakeLimits) -> Decoded | None:
    data = shared.frame.records.field(kind)
    lists = data.field("data_points")
    offsets = offsets_of(lists)
    if offsets[-1] == 0:
        return None
    rows = lists.values
    metric_of = np.repeat(np.arange(len(lists)), steps(offsets))
    by_metric = pa.array(metric_of)
    export_of, received = shared.frame.export_of[metric_of], shared.frame.received()[metric_of]
    checks = Checks(len(rows))
    checks.found = shared.checks.found[metric_of]
    times, too_late = unsigned_instants(rows.field("time_unix_nano"))
    starts, start_too_late = unsigned_instants(rows.field("start_time_unix_nano"))
    checks.mark(too_late | start_too_late, Reason.TIME_OVERFLOW)
    checks.mark(times == 0, Reason.TIME_MISSING)
    check_window(checks, times, received, limits)
    columns = {name: array.take(by_metric) for name, array in shared.columns.items()}
    columns |= time_columns(times, received) | _KINDS[kind](rows)
    columns["type"] = repeated(kind, len(rows))
    columns["start"] = nulled(pa.array(starts), starts == 0)
    columns["flags"] = rows.field("flags").cast(pa.int64())
    if "aggregation_temporality" in {field.name for field in data.type}:
        numbers = data.field("aggregation_temporality").take(by_metric).fill_null(0)
        known = numbers.to_numpy() < len(_TEMPORALITIES)
        columns["temporality"] = _TEMPORALITIES.take(pa.array(np.where(known, numbers.to_numpy(), 0)))
    if kind == "sum":
        columns["monotonic"] = data.field("is_monotonic").take(by_metric)
    _add_attributes(columns, rows, scoped_agents(shared.frame.exports, export_of), checks, limits)
    batch = batch_of(_SCHEMA, columns, len(rows))
    kept = checks.kept
    return Decoded(
        signal=Signal.METRICS,
        exports=shared.frame.exports,
        batches={"metrics": batch if kept is None else batch.filter(pa.array(kept))},
        rows_of={"metrics": np.arange(len(rows)) if kept is None else np.flatnonzero(kept)},
        contents=[],
        checks=checks,
        export_of=export_of,
        times=times,
        fields_of=lambda _row: {},
        cut_of=lambda row: _cut_point(
            shared.frame.place_of(int(metric_of[row]))[1:], kind, row - int(offsets[metric_of[row]])
        ),
    )


def _add_attributes(
    columns: dict[str, pa.Array],
    rows: pa.StructArray,
    scope: pa.StringArray | None,
    checks: Checks,
    limits: IntakeLimits,
) -> None:
    """Add attributes and exemplars of points; `scope` is the agent that each point's key is bound to."""
    attributes = decode_attributes(rows.field("attributes"), RESOURCE_ROLES, limits)
    checks.mark_attributes(attributes)
    columns["attributes"] = json_of(attributes, len(rows))
    if "exemplars" in {field.name for field in rows.type}:
        columns["exemplars"] = points.exemplar_column(rows.field("exemplars"), checks, limits)
    if scope is None:
        return
    agents: dict[str, pa.Array] = {name: columns[name] for name in ("agent_id", "agent_name") if name in columns}
    if attributes is not None:
        chosen = Chosen(attributes)
        for name in ("agent_id", "agent_name"):
            own = chosen.texts(name)
            agents[name] = pc.coalesce(own, agents[name]) if name in agents else own
    apply_agent_scope(scope, checks, agents)


def _cut_point(place: tuple[int, int, int], kind: str, point: int) -> Cut:
    """Copies one point with its metric, resource and scope."""

    def cut(whole: Any, single: Any) -> None:
        resource = whole.resource_metrics[place[0]]
        scope = resource.scope_metrics[place[1]]
        only_resource = single.resource_metrics.add(resource=resource.resource, schema_url=resource.schema_url)
        only_scope = only_resource.scope_metrics.add(scope=scope.scope, schema_url=scope.schema_url)
        metric = only_scope.metrics.add()
        metric.CopyFrom(scope.metrics[place[2]])
        kept = getattr(metric, kind).data_points[point]
        chosen = type(kept)()
        chosen.CopyFrom(kept)
        del getattr(metric, kind).data_points[:]
        getattr(metric, kind).data_points.append(chosen)

    return cut
