"""Events and links of spans as JSON arrays, their contents taken out."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.contents import MESSAGE_EVENTS
from collectors.decode import wire
from collectors.decode.attributes import decode_attributes, json_of
from collectors.decode.chosen import Chosen
from collectors.decode.parts import Parts
from collectors.decode.refusals import Checks, Reason
from collectors.decode.texts import (
    Ints,
    fixed_rows,
    hex_texts,
    integer_texts,
    json_arrays,
    json_objects,
    lengths_of,
    literal,
    nulled,
    offsets_of,
    quote,
    repeated,
    steps,
)
from collectors.dialects.roles import EVENT_ROLES, NO_ROLES
from collectors.exports import IntakeLimits

_MESSAGES = pa.array(sorted(MESSAGE_EVENTS), pa.string())


@dataclass(frozen=True, slots=True)
class EventColumns:
    """JSON arrays of events, the contents they held, and the exception type that a span's events name."""

    json: pa.StringArray
    parts: Parts | None
    error_types: pa.StringArray


def event_columns(lists: pa.ListArray, checks: Checks, limits: IntakeLimits) -> EventColumns:
    """Columns from the event lists of spans."""
    offsets = offsets_of(lists)
    spans = len(lists)
    if offsets[-1] == 0:
        return EventColumns(repeated(None, spans), None, repeated(None, spans))
    events, unreadable = wire.parse(wire.EVENT, lists.values)
    owner = np.repeat(np.arange(spans), steps(offsets))
    checks.mark_rows(owner[unreadable], Reason.UNREADABLE)
    names = events.field("name")
    messages = pc.is_in(names, _MESSAGES).to_numpy(zero_copy_only=False)
    attributes = decode_attributes(events.field("attributes"), EVENT_ROLES, limits, contents=True, messages=messages)
    items = json_objects(
        [
            ("time_unix_nano", integer_texts(events.field("time_unix_nano"))),
            ("name", quote(names)),
            ("attributes", json_of(attributes, len(events))),
            *_dropped(events),
        ]
    )
    json = nulled(json_arrays(offsets, items), steps(offsets) == 0)
    if attributes is None:
        return EventColumns(json, None, repeated(None, spans))
    checks.mark_attributes(attributes, parent_of=owner)
    parts = Parts.of(attributes)
    if parts is not None:
        place = integer_texts(pa.array(parts.owners - offsets[owner[parts.owners]]))
        named = pc.binary_join_element_wise(literal("events"), place, parts.names, literal("/"))
        parts = Parts(owner[parts.owners], named, parts.bodies)
    return EventColumns(json, parts, _error_types(Chosen(attributes), owner, spans))


def _error_types(chosen: Chosen, owner: Ints, spans: int) -> pa.StringArray:
    """The first exception type among each span's events."""
    named = np.flatnonzero(chosen.rows("error_type") >= 0)
    if not len(named):
        return repeated(None, spans)
    first = np.full(spans, -1, np.int64)
    first[owner[named[::-1]]] = named[::-1]
    return chosen.texts("error_type").take(pa.array(first, mask=first < 0))


def link_columns(lists: pa.ListArray, checks: Checks, limits: IntakeLimits) -> pa.StringArray:
    """JSON arrays of the links of spans."""
    offsets = offsets_of(lists)
    spans = len(lists)
    if offsets[-1] == 0:
        return repeated(None, spans)
    links, unreadable = wire.parse(wire.LINK, lists.values)
    owner = np.repeat(np.arange(spans), steps(offsets))
    checks.mark_rows(owner[unreadable], Reason.UNREADABLE)
    trace_ids, trace_sizes = fixed_rows(links.field("trace_id"), 16)
    span_ids, span_sizes = fixed_rows(links.field("span_id"), 8)
    checks.mark_rows(owner[(trace_sizes != trace_ids.shape[1]) | (span_sizes != span_ids.shape[1])], Reason.BAD_LINK_ID)
    attributes = decode_attributes(links.field("attributes"), NO_ROLES, limits)
    state = links.field("trace_state")
    flags = links.field("flags")
    members = [
        ("trace_id", quote(hex_texts(trace_ids))),
        ("span_id", quote(hex_texts(span_ids))),
        ("trace_state", nulled(quote(state), lengths_of(state) == 0)),
        ("flags", nulled(integer_texts(flags), flags.to_numpy() == 0)),
    ]
    if attributes is not None:
        checks.mark_attributes(attributes, parent_of=owner)
        members.append(("attributes", nulled(attributes.json, steps(attributes.offsets) == 0)))
    items = json_objects([*members, *_dropped(links)])
    return nulled(json_arrays(offsets, items), steps(offsets) == 0)


def _dropped(records: pa.StructArray) -> list[tuple[str, pa.StringArray]]:
    """The member `dropped_attributes_count`, where any record has it."""
    counts = records.field("dropped_attributes_count")
    none = counts.to_numpy() == 0
    return [] if none.all() else [("dropped_attributes_count", nulled(integer_texts(counts), none))]
