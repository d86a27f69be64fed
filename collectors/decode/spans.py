"""Spans: parsed requests to batches of the tables `spans` and `contents` (OTLP trace data model)."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.costs import PriceBook
from collectors.decode.agent_columns import agent_columns
from collectors.decode.attributes import decode_attributes, json_of
from collectors.decode.chosen import Chosen
from collectors.decode.decoded import Decoded
from collectors.decode.frame import Frame, check_window, counted, days_of, time_columns, unsigned_instants
from collectors.decode.key_scope import apply_agent_scope, scoped_agents
from collectors.decode.parts import Parts, batch_of, content_rows, joined
from collectors.decode.refusals import Checks, Reason, cut_record, raw_record
from collectors.decode.span_parts import event_columns, link_columns
from collectors.decode.surroundings import surroundings
from collectors.decode.texts import Ints, filled_texts, fixed_rows, hex_texts, literal, nonzero_rows, nulled
from collectors.dialects.roles import SPAN_ROLES
from collectors.exports import Export, IntakeLimits, Signal
from warehouse.tables import SPANS

_SCHEMA = SPANS.decoded_schema
_LISTS = ("resource_spans", "scope_spans", "spans")
_KINDS = pa.array(["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"], pa.string())
_STATUSES = pa.array(["UNSET", "OK", "ERROR"], pa.string())


def decode_spans(
    column: pa.ListArray, exports: Sequence[Export], limits: IntakeLimits, prices: PriceBook
) -> Decoded | None:
    """Decode all spans of a group's trace requests; None where there is no span."""
    frame = Frame.of(Signal.TRACES, column, exports)
    spans = frame.records
    if not len(spans):
        return None
    checks = Checks(len(spans))
    columns, times = _identity(frame, checks, limits)
    around = surroundings(frame, checks, limits)
    columns |= around.columns | time_columns(times, frame.received())
    attributes = decode_attributes(spans.field("attributes"), SPAN_ROLES, limits, contents=True)
    checks.mark_attributes(attributes)
    events = event_columns(spans.field("events"), checks, limits)
    chosen = Chosen(attributes) if attributes is not None else None
    agents = agent_columns(chosen, spans.field("name"), days_of(times), prices)
    columns |= agents.columns
    columns["attributes"] = json_of(attributes, len(spans))
    columns["events"] = events.json
    columns["links"] = link_columns(spans.field("links"), checks, limits)
    columns["error_type"] = _either(columns.get("error_type"), events.error_types)
    for name, inherited in around.resource_agents.items():
        columns[name] = _either(columns.get(name), inherited)
    scope = scoped_agents(exports, frame.export_of)
    if scope is not None:
        apply_agent_scope(scope, checks, columns)
    batch = batch_of(_SCHEMA, columns, len(spans))
    parts = joined([Parts.of(attributes), events.parts])
    if (kept := checks.kept) is not None:
        batch = batch.filter(pa.array(kept))
        parts = parts.where(kept) if parts is not None else None
    contents = [] if parts is None else [content_rows("spans", batch, batch.column("agent_id"), parts)]
    return Decoded(
        signal=Signal.TRACES,
        exports=exports,
        batches={"spans": batch},
        rows_of={"spans": np.arange(len(spans)) if kept is None else np.flatnonzero(kept)},
        contents=contents,
        checks=checks,
        export_of=frame.export_of,
        times=times,
        fields_of=lambda row: raw_record(spans, row, ("trace_id", "span_id", "parent_span_id")),
        cut_of=lambda row: cut_record(_LISTS, frame.place_of(row)[1:]),
        unknown_costs=agents.unknown_costs,
    )


def _either(first: pa.StringArray | None, second: pa.StringArray) -> pa.StringArray:
    if first is None or second.null_count == len(second):
        return second if first is None else first
    return pc.coalesce(first, second)


def _identity(frame: Frame, checks: Checks, limits: IntakeLimits) -> tuple[dict[str, pa.Array], Ints]:
    """Columns from the span's own fields, and its start."""
    spans = frame.records
    trace_ids, trace_sizes = fixed_rows(spans.field("trace_id"), 16)
    span_ids, span_sizes = fixed_rows(spans.field("span_id"), 8)
    parents, parent_sizes = fixed_rows(spans.field("parent_span_id"), 8)
    has_parent = nonzero_rows(parents)
    checks.mark((trace_sizes != trace_ids.shape[1]) | ~nonzero_rows(trace_ids), Reason.BAD_TRACE_ID)
    checks.mark((span_sizes != span_ids.shape[1]) | ~nonzero_rows(span_ids), Reason.BAD_SPAN_ID)
    checks.mark((parent_sizes != parents.shape[1]) & (parent_sizes != 0), Reason.BAD_PARENT_SPAN_ID)
    starts, too_late = unsigned_instants(spans.field("start_time_unix_nano"))
    ends, end_too_late = unsigned_instants(spans.field("end_time_unix_nano"))
    checks.mark(too_late | end_too_late, Reason.TIME_OVERFLOW)
    checks.mark(starts == 0, Reason.TIME_MISSING)
    check_window(checks, starts, frame.received(), limits)
    status = spans.field("status")
    no_end = ends == 0
    columns = {
        "trace_id": hex_texts(trace_ids),
        "span_id": hex_texts(span_ids),
        "parent_span_id": nulled(hex_texts(parents), ~has_parent),
        "trace_state": filled_texts(spans.field("trace_state")),
        "flags": counted(spans.field("flags")),
        "name": spans.field("name"),
        "kind": _named(spans.field("kind"), _KINDS),
        "status_code": _named(status.field("code").fill_null(0), _STATUSES),
        "status_message": filled_texts(status.field("message").fill_null(literal(""))),
        "end_unix_nano": nulled(pa.array(ends), no_end),
        # A clock that went backwards leaves no duration; both instants are kept as they came.
        "duration_ns": nulled(pa.array(ends - starts), no_end | (ends < starts)),
        "dropped_attributes_count": counted(spans.field("dropped_attributes_count")),
        "dropped_events_count": counted(spans.field("dropped_events_count")),
        "dropped_links_count": counted(spans.field("dropped_links_count")),
    }
    return columns, starts


def _named(numbers: pa.Int32Array, names: pa.StringArray) -> pa.StringArray:
    """Names of an enum's numbers; a number without a name as its decimal text."""
    values = numbers.to_numpy()
    known = (values >= 0) & (values < len(names))
    if known.all():
        return names.take(numbers)
    return pc.coalesce(names.take(pa.array(values, mask=~known)), numbers.cast(pa.string()))
