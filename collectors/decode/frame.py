"""The frame around records: which request, resource and scope each belongs to, and the columns that come from there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors.decode.refusals import Checks, Reason
from collectors.decode.texts import (
    Flags,
    Ints,
    offsets_of,
    steps,
)
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
    if array.null_count:
        array = array.fill_null(0)
    return pa.array(array.to_numpy().astype(np.int64))
