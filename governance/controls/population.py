"""The population of a control: what its query yields, held to what a population must be.

Invariants: every row names a record that can be proved, and is true, false or cannot be judged; the order depends on the rows alone,
and not on how they were computed. What does not fit is an error that names the control, never a finding.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from governance.controls.framework import Control
from warehouse.errors import QueryError
from warehouse.query import QuerySession
from warehouse.questions.proof import PROVABLE_TABLES

REQUIRED: Mapping[str, pa.DataType] = {
    "record_table": pa.string(),
    "shard": pa.string(),
    "log_index": pa.int64(),
    "time_unix_nano": pa.int64(),
    "ok": pa.bool_(),
    "exception": pa.string(),
}
"""Columns of every population: where the item's record stands, when it happened, whether it is as it should be, and if not why."""
MOST_ROWS = 5_000_000
"""More is no population that a pack can hold: its query joins what it should not, or the period is too long."""
_PLACE = ("record_table", "shard", "log_index")
_NEVER_NULL = (*_PLACE, "time_unix_nano")
_PLAIN = (
    pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_string,
    pa.types.is_large_string, pa.types.is_date, pa.types.is_timestamp, pa.types.is_time, pa.types.is_list, pa.types.is_large_list,
    pa.types.is_struct,
)  # fmt: skip


def read_population(session: QuerySession, control: Control, sql: str, period: Mapping[str, int]) -> pa.Table:
    """What a control's query yields, in order of time, table, shard and record number, and then of the other columns.

    Raises:
        QueryError: it may not run, fails, or yields what is no population.
    """
    rows = _typed(control, _read(session, control, sql, period))
    _check_places(control, rows)
    order = ("time_unix_nano", *_PLACE)
    rows = rows.sort_by([(name, "ascending") for name in order])
    if not _repeats(rows):
        return rows
    more = [
        name for name in rows.column_names if name not in order and not pa.types.is_nested(rows.schema.field(name).type)
    ]
    return rows.sort_by([(name, "ascending") for name in (*order, *more)])


def read_count(session: QuerySession, control: Control, sql: str, period: Mapping[str, int]) -> int:
    """The number that a control's query of coverage yields.

    Raises:
        QueryError: it may not run, fails, or yields no number.
    """
    rows = _read(session, control, sql, period)
    if rows.num_rows != 1 or rows.num_columns != 1:
        raise _wrong(control, f"coverage: expected one number, got {rows.num_rows} rows of {rows.num_columns} columns")
    value = rows.column(0)[0].as_py()
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise _wrong(control, f"coverage: expected a number of records, got {str(value)[:60]!r}")
    return int(value or 0)


def _read(session: QuerySession, control: Control, sql: str, period: Mapping[str, int]) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    count = 0
    try:
        with session.stream(sql, period) as reader:
            for batch in reader:
                count += batch.num_rows
                if count > MOST_ROWS:
                    raise _wrong(control, f"expected at most {MOST_ROWS:,} rows, got more: ask over less time")
                batches.append(batch)
            return pa.Table.from_batches(batches, reader.schema)
    except QueryError as exc:
        if str(exc).startswith("control "):
            raise
        raise QueryError(f"control {control.framework} {control.id}: {exc}", hint=exc.hint) from exc


def _typed(control: Control, rows: pa.Table) -> pa.Table:
    """The rows with required columns in their own types; every other is one that a file can hold."""
    expected = (*REQUIRED, *control.about)
    if missing := [name for name in expected if name not in rows.column_names]:
        raise _wrong(control, f"expected columns {', '.join(expected)}, got none named {', '.join(missing)}")
    if len(set(rows.column_names)) != len(rows.column_names):
        raise _wrong(control, f"expected each column once, got {', '.join(rows.column_names)}")
    for at, field in enumerate(rows.schema):
        wanted = REQUIRED.get(field.name)
        if wanted is None:
            if not any(fits(field.type) for fits in _PLAIN):
                raise _wrong(
                    control, f"column {field.name}: expected a text or a number, got {field.type}: cast it to varchar"
                )
            continue
        column = rows.column(at)
        # a column without any value has no type of its own: `null as exception`
        same = field.type == wanted or (pa.types.is_integer(field.type) and pa.types.is_integer(wanted))
        if not same and column.null_count < len(column):
            raise _wrong(control, f"column {field.name}: expected {wanted}, got {field.type}")
        cast = column.cast(wanted) if same else pa.chunked_array([pa.nulls(len(column), wanted)])
        rows = rows.set_column(at, field.name, cast)
    return rows


def _check_places(control: Control, rows: pa.Table) -> None:
    """Each row names a record of a table whose records can be proved."""
    if empty := [name for name in _NEVER_NULL if rows.column(name).null_count]:
        raise _wrong(control, f"expected the record of each row, got a row without {', '.join(empty)}")
    tables = set(pc.unique(rows.column("record_table")).to_pylist())
    if unknown := sorted(tables - set(PROVABLE_TABLES)):
        raise _wrong(control, f"record_table: expected {', '.join(PROVABLE_TABLES)}, got {unknown[0][:60]!r}")
    if rows.num_rows and pc.min(rows.column("log_index")).as_py() < 0:
        raise _wrong(control, "log_index: expected the number of a record, got one below 0")


def _repeats(rows: pa.Table) -> bool:
    """Whether rows that follow each other name the same record: only then their order is not told by it."""
    if rows.num_rows < 2:  # noqa: PLR2004 - two of them
        return False
    same = [pc.equal(rows.column(name)[1:], rows.column(name)[:-1]) for name in _PLACE]
    return bool(pc.any(pc.and_(pc.and_(same[0], same[1]), same[2])).as_py())


def _wrong(control: Control, what: str) -> QueryError:
    return QueryError(f"control {control.framework} {control.id}: {what}")
