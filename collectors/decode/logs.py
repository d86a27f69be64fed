"""Log records: parsed requests to batches of `audit_events`, `logs` and `contents` (OTLP logs data model; OTEP 0267)."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.contents import MESSAGE_EVENTS
from collectors.decode.anyvalue import NOTHING, STRING, kinds_of, render, value_sizes
from collectors.decode.attributes import decode_attributes, json_of
from collectors.decode.chosen import Chosen
from collectors.decode.decoded import Decoded
from collectors.decode.frame import Frame, check_window, counted, time_columns, unsigned_instants
from collectors.decode.key_scope import apply_agent_scope, apply_event_scope, scoped_agents
from collectors.decode.parts import Parts, batch_of, content_rows, joined
from collectors.decode.refusals import Checks, Reason, cut_record, raw_record
from collectors.decode.surroundings import surroundings
from collectors.decode.texts import (
    Flags,
    Ints,
    filled_texts,
    fixed_rows,
    hex_texts,
    literal,
    nonzero_rows,
    nulled,
    repeated,
    valid_rows,
    when,
)
from collectors.dialects.roles import AUDIT_ROLES
from collectors.exports import Export, IntakeLimits, Signal
from warehouse.catalogue import EXTERNAL_PREFIX, is_audit, is_own
from warehouse.tables import AUDIT_EVENTS, LOGS

_TABLES = {"audit_events": AUDIT_EVENTS.decoded_schema, "logs": LOGS.decoded_schema}
_LISTS = ("resource_logs", "scope_logs", "log_records")
_AUDIT_TEXTS = (
    "actor_id",
    "actor_type",
    "on_behalf_of",
    "action",
    "resource_type",
    "resource_id",
    "outcome",
    "reason",
    "policy_id",
    "policy_version",
    "approval_id",
    "action_digest",
    "subject_id",
)
_OWN_RECORDER = "muniment:"
_MESSAGES = pa.array(sorted(MESSAGE_EVENTS), pa.string())


def decode_logs(column: pa.ListArray, exports: Sequence[Export], limits: IntakeLimits) -> Decoded | None:
    """Decode all log records of a group's log requests; None where there is none."""
    frame = Frame.of(Signal.LOGS, column, exports)
    records = frame.records
    rows = len(records)
    if not rows:
        return None
    checks = Checks(rows)
    columns, times = _identity(frame, checks, limits)
    around = surroundings(frame, checks, limits)
    columns |= around.columns | time_columns(times, frame.received())
    attributes = decode_attributes(records.field("attributes"), AUDIT_ROLES, limits, contents=True)
    checks.mark_attributes(attributes)
    chosen = Chosen(attributes) if attributes is not None else None
    columns["attributes"] = json_of(attributes, rows)
    named = filled_texts(records.field("event_name"))
    if chosen is not None:
        named = _either(named, chosen.texts("event_name"))
        columns |= {name: chosen.texts(name) for name in _AUDIT_TEXTS}
        columns["expires_unix_nano"] = chosen.counts("expires_unix_nano")
        columns |= {name: chosen.texts(name) for name in ("agent_id", "agent_name")}
    for name, inherited in around.resource_agents.items():
        columns[name] = _either(columns.get(name, repeated(None, rows)), inherited)
    key_bound = _apply_scopes(frame, checks, columns, named)
    columns["event_name"] = _marked_external(frame, named)
    columns["assurance"] = _assurances(named, key_bound)
    columns["body"], body_part = _bodies(records.field("body"), named, checks, limits)
    parts = joined([Parts.of(attributes), body_part])
    batches, rows_of, contents = _split(columns, checks, parts, rows)
    return Decoded(
        signal=Signal.LOGS,
        exports=exports,
        batches=batches,
        rows_of=rows_of,
        contents=contents,
        checks=checks,
        export_of=frame.export_of,
        times=times,
        fields_of=lambda row: raw_record(records, row, ("trace_id", "span_id")),
        cut_of=lambda row: cut_record(_LISTS, frame.place_of(row)[1:]),
        event_names=named,
    )


def _either(first: pa.StringArray, second: pa.StringArray) -> pa.StringArray:
    if first.null_count == 0 or second.null_count == len(second):
        return first
    return pc.coalesce(first, second)


def _identity(frame: Frame, checks: Checks, limits: IntakeLimits) -> tuple[dict[str, pa.Array], Ints]:
    """Columns from the record's own fields, and its time: its own, else when it was observed, else when it came."""
    records = frame.records
    trace_ids, trace_sizes = fixed_rows(records.field("trace_id"), 16)
    span_ids, span_sizes = fixed_rows(records.field("span_id"), 8)
    checks.mark((trace_sizes != trace_ids.shape[1]) & (trace_sizes != 0), Reason.BAD_TRACE_ID)
    checks.mark((span_sizes != span_ids.shape[1]) & (span_sizes != 0), Reason.BAD_SPAN_ID)
    own, too_late = unsigned_instants(records.field("time_unix_nano"))
    observed, observed_too_late = unsigned_instants(records.field("observed_time_unix_nano"))
    checks.mark(too_late | observed_too_late, Reason.TIME_OVERFLOW)
    times = np.where(own != 0, own, np.where(observed != 0, observed, frame.received()))
    check_window(checks, times, frame.received(), limits)
    severity = records.field("severity_number")
    columns = {
        # An id of zeros means that there is none.
        "trace_id": nulled(hex_texts(trace_ids), ~nonzero_rows(trace_ids)),
        "span_id": nulled(hex_texts(span_ids), ~nonzero_rows(span_ids)),
        "severity_number": nulled(counted(severity), severity.to_numpy() == 0),
        "severity_text": filled_texts(records.field("severity_text")),
        "observed_unix_nano": nulled(pa.array(observed), observed == 0),
        "flags": counted(records.field("flags")),
        "dropped_attributes_count": counted(records.field("dropped_attributes_count")),
    }
    return columns, times


def _apply_scopes(frame: Frame, checks: Checks, columns: dict[str, pa.Array], named: pa.StringArray) -> Flags:
    """Refuse what the keys may not send; returns records whose key is bound to an agent and to their event name."""
    bound = apply_event_scope(frame.exports, frame.export_of, checks, named)
    scope = scoped_agents(frame.exports, frame.export_of)
    if scope is None:
        return np.zeros(len(named), np.bool_)
    bound &= valid_rows(scope)
    actors = None
    if "actor_id" in columns:
        actor, types = columns["actor_id"], pc.utf8_lower(columns["actor_type"])
        persons = pc.is_in(types, value_set=pa.array(["human", "user", "person", "service", "system"]))
        # whoever is said to be anything else may be an agent, and then another one than the key's
        actors = when(pc.and_(pc.is_valid(types), pc.invert(persons)), actor)
        unclear = pc.and_(pc.is_null(types), pc.not_equal(actor, scope).fill_null(False))
        bound &= ~unclear.to_numpy(zero_copy_only=False)
    apply_agent_scope(scope, checks, columns, actors)
    return bound


def _outside_name(name: str | None) -> str | None:
    return EXTERNAL_PREFIX + name if name is not None and is_own(name) else name


def _marked_external(frame: Frame, named: pa.StringArray) -> pa.StringArray:
    """Event names, with `external.` before those of Muniment's own families that somebody else sent."""
    encoded = named.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    marked = [_outside_name(name) for name in names]
    if marked == names:
        return named
    outside = pa.array(marked, pa.string()).take(encoded.indices)
    own = np.array([export.sender.recorded_by.startswith(_OWN_RECORDER) for export in frame.exports])[frame.export_of]
    return pc.if_else(pa.array(own), named, outside) if own.any() else outside


def _assurances(named: pa.StringArray, key_bound: Flags) -> pa.StringArray:
    """How far an approval can be believed: bound to the key that sent it, or only asserted."""
    approvals = pc.starts_with(named, "approval.").fill_null(False)
    if not approvals.true_count:
        return repeated(None, len(named))
    return when(approvals, pc.if_else(pa.array(key_bound), literal("key-bound"), literal("asserted")))


def _bodies(
    body: pa.StructArray, named: pa.StringArray, checks: Checks, limits: IntakeLimits
) -> tuple[pa.StringArray, Parts | None]:
    """Bodies as text, and those that are messages (deprecated GenAI events) as content parts."""
    kinds = kinds_of(body)
    texts = body.field("string_value")
    if ((kinds != STRING) & (kinds != NOTHING)).any():
        rendered = render(body, kinds, np.zeros(len(kinds), np.bool_), depth=limits.depth)
        checks.mark_rows(rendered.too_deep, Reason.TOO_DEEP)
        checks.mark_rows(rendered.unreadable, Reason.UNREADABLE)
        others = (kinds != STRING) & (kinds != NOTHING)
        texts = pc.coalesce(texts, rendered.pieces.take(pa.array(rendered.index, mask=~others)))
    checks.mark(value_sizes(body) > limits.attribute_bytes, Reason.ATTRIBUTE_TOO_LARGE)
    message = pc.is_in(named, _MESSAGES).to_numpy(zero_copy_only=False) & (kinds != NOTHING)
    if not message.any():
        return texts, None
    rows = np.flatnonzero(message)
    return nulled(texts, message), Parts(rows, repeated("body", len(rows)), texts.take(pa.array(rows)))


def _is_audit(name: str | None) -> bool:
    return name is not None and is_audit(name)


def _split(
    columns: dict[str, pa.Array], checks: Checks, parts: Parts | None, rows: int
) -> tuple[dict[str, pa.RecordBatch], dict[str, Ints], list[pa.RecordBatch]]:
    """Audit events apart from other logs, without the records refused; which records each batch holds; their contents."""
    encoded = columns["event_name"].dictionary_encode()
    in_catalogue = [_is_audit(name) for name in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(in_catalogue)).to_numpy()
    audit = np.array([*in_catalogue, False])[codes]
    kept = checks.found == 0
    batches, rows_of, contents = {}, {}, []
    for name, schema in _TABLES.items():
        mine = kept & (audit if name == "audit_events" else ~audit)
        if not mine.any():
            continue
        batch = batch_of(schema, columns, rows)
        agents = columns.get("agent_id")
        mask = pa.array(mine)
        batches[name] = batch if mine.all() else batch.filter(mask)
        rows_of[name] = np.flatnonzero(mine)
        if parts is None:
            continue
        chosen = parts.where(mine)
        if len(chosen.owners):
            contents.append(
                content_rows(name, batches[name], agents if agents is None else agents.filter(mask), chosen)
            )
    return batches, rows_of, contents
