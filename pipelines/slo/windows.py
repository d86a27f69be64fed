"""Rows of `slo_windows`: counts of what is new, added to those that are there.

Addition is all that ever happens to a window: any order of arrival gives the same counts, a late record changes its own window
alone, and what a purge takes from the lake is not taken from the counts.
"""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.slo.definitions import Series
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND
from warehouse.derived.slo_windows import SLO_WINDOWS

_KEYS = ("tenant_id", "day", "time_unix_nano", "end_unix_nano", "sli", "query", "shard")
_ADDED: Sequence[tuple[str, str]] = (
    ("first_index", "min"),
    ("last_index", "max"),
    ("total", "sum"),
    ("good", "sum"),
    ("not_valid", "sum"),
    ("late", "sum"),
    ("computed_unix_nano", "max"),
)


def make_rows(counts: pa.Table, series: Series, tenant: str, now_unix_nano: int) -> pa.Table:
    """Counts as rows of the table, none of them late."""
    rows = counts.num_rows
    starts = counts.column("time_unix_nano").to_numpy()
    given = {
        "tenant_id": pa.repeat(pa.scalar(tenant), rows),
        "day": pa.array((starts // NANOS_PER_DAY).astype(np.int32)).view(pa.date32()),
        "end_unix_nano": pa.array(starts + series.window_seconds * NANOS_PER_SECOND),
        "sli": pa.repeat(pa.scalar(series.name), rows),
        "query": pa.repeat(pa.scalar(series.query_hash), rows),
        "late": pa.array(np.zeros(rows, np.int64)),
        "computed_unix_nano": pa.array(np.full(rows, now_unix_nano)),
    }
    schema = SLO_WINDOWS.schema
    columns = [given[name] if name in given else counts.column(name) for name in schema.names]
    return pa.Table.from_arrays([_flat(column) for column in columns], schema=schema)


def days_of(rows: pa.Table) -> list[dt.date]:
    """The days that rows lie in."""
    return sorted(pc.unique(rows.column("day")).to_pylist())


def add_rows(old: pa.Table, new: pa.Table) -> dict[dt.date, pa.Table]:
    """What each day of `new` holds once that is added to `old`, which are all rows of these days."""
    merged = pa.concat_tables([old, _with_late(old, new)]).group_by(_KEYS).aggregate(list(_ADDED))
    named = merged.rename_columns({f"{name}_{how}": name for name, how in _ADDED})
    rows = named.select(SLO_WINDOWS.schema.names).cast(SLO_WINDOWS.schema)
    order = [(name, "ascending") for name in SLO_WINDOWS.sort_by]
    return {day: rows.filter(pc.equal(rows.column("day"), day)).sort_by(order) for day in days_of(new)}


def _with_late(old: pa.Table, new: pa.Table) -> pa.Table:
    """Mark what is added to windows that had ended when they were counted before."""
    ended = old.filter(pc.greater_equal(old.column("computed_unix_nano"), old.column("end_unix_nano")))
    known = ended.group_by(["query", "time_unix_nano"]).aggregate([("computed_unix_nano", "max")])
    place = pa.table(
        {
            "at": pa.array(np.arange(new.num_rows)),
            "query": new.column("query"),
            "time_unix_nano": new.column("time_unix_nano"),
        }
    )
    found = place.join(known, ["query", "time_unix_nano"], join_type="inner").column("at").to_numpy()
    is_late = np.zeros(new.num_rows, bool)
    is_late[found] = True
    late = np.where(is_late, new.column("total").to_numpy(), 0)
    at = new.schema.get_field_index("late")
    return new.set_column(at, new.schema.field(at), pa.array(late))


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
