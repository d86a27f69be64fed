"""The frame around records: which request, resource and scope each belongs to, and the columns that come from there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors.decode.attributes import Attributes, decode_attributes, json_of
from collectors.decode.chosen import Chosen
from collectors.decode.refusals import Checks, Reason
from collectors.decode.texts import (
    Flags,
    Ints,
    filled_texts,
    integer_texts,
    json_objects,
    lengths_of,
    literal,
    nulled,
    offsets_of,
    quote,
    repeated,
    steps,
)
from collectors.dialects.roles import NO_ROLES, RESOURCE_ROLES
from collectors.exports import Export, IntakeLimits, Signal
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND

FIELDS = {
    Signal.TRACES: ("scope_spans", "spans"),
    Signal.LOGS: ("scope_logs", "log_records"),
    Signal.METRICS: ("scope_metrics", "metrics"),
}
"""Names of the lists below a resource and below a scope."""
SKEW_SECONDS = 3_600
"""A record's own time this far from its receipt, or farther, is marked on the row."""
_LAST_INSTANT = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Frame:
    """All records of one signal in a group, and where each comes from.

    The three `…_starts` are offsets: of resources by export, scopes by resource, records by scope.
    """

    signal: Signal
    exports: Sequence[Export]
    resources: pa.StructArray
    scopes: pa.StructArray
    records: pa.StructArray
    resource_starts: npt.NDArray[np.int32]
    scope_starts: npt.NDArray[np.int32]
    record_starts: npt.NDArray[np.int32]
    export_of: Ints
    resource_of: Ints
    scope_of: Ints

    @classmethod
    def of(cls, signal: Signal, column: pa.ListArray, exports: Sequence[Export]) -> "Frame":
        """The frame of one parsed column of resources."""
        below_resource, below_scope = FIELDS[signal]
        resources = column.values
        scope_lists = resources.field(below_resource)
        scopes = scope_lists.values
        record_lists = scopes.field(below_scope)
        starts = offsets_of(column), offsets_of(scope_lists), offsets_of(record_lists)
        owners = [np.repeat(np.arange(len(offsets) - 1), steps(offsets)) for offsets in starts]
        resource_of = owners[1][owners[2]]
        return cls(
            signal=signal,
            exports=exports,
            resources=resources,
            scopes=scopes,
            records=record_lists.values,
            resource_starts=starts[0],
            scope_starts=starts[1],
            record_starts=starts[2],
            export_of=owners[0][resource_of],
            resource_of=resource_of,
            scope_of=owners[2],
        )

    def place_of(self, row: int) -> tuple[int, int, int, int]:
        """Export, and the position of a record's resource, scope and the record itself in its request."""
        export, resource, scope = int(self.export_of[row]), int(self.resource_of[row]), int(self.scope_of[row])
        return (
            export,
            resource - int(self.resource_starts[export]),
            scope - int(self.scope_starts[resource]),
            row - int(self.record_starts[scope]),
        )

    def received(self) -> Ints:
        """When each record's request came, in nanoseconds since 1970."""
        return np.array([export.received_unix_nano for export in self.exports], np.int64)[self.export_of]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Columns that records take from their request, resource and scope; agent columns that their resource names."""

    columns: dict[str, pa.Array]
    resource_agents: dict[str, pa.StringArray]


def surroundings(frame: Frame, checks: Checks, limits: IntakeLimits) -> Surroundings:
    """Decode resources and scopes once and hand them down to their records."""
    resource = frame.resources.field("resource")
    attributes = decode_attributes(resource.field("attributes"), RESOURCE_ROLES, limits)
    scope = frame.scopes.field("scope")
    scope_attributes = decode_attributes(scope.field("attributes"), NO_ROLES, limits)
    checks.mark_attributes(attributes, shared_by=frame.resource_of)
    checks.mark_attributes(scope_attributes, shared_by=frame.scope_of)
    chosen = Chosen(attributes) if attributes is not None else None
    by_resource, by_scope = pa.array(frame.resource_of), pa.array(frame.scope_of)
    rows = len(frame.records)
    columns: dict[str, pa.Array] = {
        "tenant_id": _by_export(frame, [export.sender.tenant_id for export in frame.exports]),
        "recorded_by": _by_export(frame, [export.sender.recorded_by for export in frame.exports]),
        "peer": _by_export(frame, [export.sender.peer for export in frame.exports]),
        "resource": json_of(attributes, len(frame.resources)).take(by_resource),
        "service_name": repeated(None, rows) if chosen is None else chosen.texts("service_name").take(by_resource),
        "scope_name": filled_texts(scope.field("name").fill_null(literal("")).take(by_scope)),
        "envelope": _envelope(frame, resource, scope, scope_attributes).take(by_scope),
        "schema_version": pa.repeat(pa.scalar(1, pa.int64()), rows),
    }
    agents = {}
    if chosen is not None:
        names = [name for name in ("agent_id", "agent_name", "agent_version") if chosen.has(name)]
        agents = {name: chosen.texts(name).take(by_resource) for name in names}
    return Surroundings(columns, agents)


def _by_export(frame: Frame, texts: list[str]) -> pa.StringArray:
    if len(set(texts)) == 1:
        return repeated(texts[0], len(frame.records))
    return pa.array(texts, pa.string()).take(pa.array(frame.export_of))


def _envelope(
    frame: Frame, resource: pa.StructArray, scope: pa.StructArray, scope_attributes: Attributes | None
) -> pa.StringArray:
    """JSON object of each scope's version, attributes, schema URLs and dropped counts; NULL where there is none."""
    above = pa.array(np.repeat(np.arange(len(frame.resources)), steps(frame.scope_starts)))
    texts = {
        "scope_version": scope.field("version").fill_null(literal("")),
        "schema_url": frame.scopes.field("schema_url"),
        "resource_schema_url": frame.resources.field("schema_url").take(above),
    }
    counts = {
        "scope_dropped_attributes_count": scope.field("dropped_attributes_count"),
        "resource_dropped_attributes_count": resource.field("dropped_attributes_count").take(above),
    }
    members: list[tuple[str, pa.StringArray]] = []
    present = np.zeros(len(frame.scopes), np.bool_)
    for name, array in texts.items():
        filled = lengths_of(array) > 0
        if filled.any():
            members.append((name, nulled(quote(array), ~filled)))
            present |= filled
    if scope_attributes is not None:
        filled = steps(scope_attributes.offsets) > 0
        members.append(("scope_attributes", nulled(scope_attributes.json, ~filled)))
        present |= filled
    for name, array in counts.items():
        filled = array.fill_null(0).to_numpy() > 0
        if filled.any():
            members.append((name, nulled(integer_texts(array), ~filled)))
            present |= filled
    if not members:
        return repeated(None, len(frame.scopes))
    return nulled(json_objects(members), ~present)


def unsigned_instants(array: pa.UInt64Array) -> tuple[Ints, Flags]:
    """Times as int64 and which of them lie beyond int64 (after the year 2262)."""
    raw = array.to_numpy()
    return raw.view(np.int64), raw > _LAST_INSTANT


def check_window(checks: Checks, times: Ints, received: Ints, limits: IntakeLimits) -> None:
    """Refuse records whose own time lies outside the window around their receipt."""
    ahead = times - received
    late = (ahead < -limits.past_seconds * NANOS_PER_SECOND) | (ahead > limits.future_seconds * NANOS_PER_SECOND)
    checks.mark(late | (times < 0), Reason.TIME_OUT_OF_WINDOW)


def time_columns(times: Ints, received: Ints) -> dict[str, pa.Array]:
    """Columns `time_unix_nano`, `received_unix_nano`, `day` and `skew_seconds` of records with these times."""
    skew = (times - received) // NANOS_PER_SECOND
    skewed = np.abs(skew) >= SKEW_SECONDS
    return {
        "time_unix_nano": pa.array(times),
        "received_unix_nano": pa.array(received),
        "day": pa.array(days_of(times)).view(pa.date32()),
        "skew_seconds": pa.array(skew, mask=~skewed) if skewed.any() else pa.nulls(len(times), pa.int64()),
    }


def days_of(times: Ints) -> npt.NDArray[np.int32]:
    """UTC days since 1970."""
    return (times // NANOS_PER_DAY).astype(np.int32)


def counted(array: pa.Array) -> pa.Int64Array:
    """An unsigned column as int64, null as 0."""
    return (array.fill_null(0) if array.null_count else array).cast(pa.int64())
