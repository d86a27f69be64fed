"""The views that a session's queries see: one a table, over exactly the files that were listed for it.

A session that begins at a read point sees the new rows of a table under its name, and all of them as `all_<name>`. One that will be
asked many queries keeps what is small in memory; it then is a table, of the same name, columns and rows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.derived.tables import DERIVED
from warehouse.errors import LakeError
from warehouse.query.limits import ReadLimits
from warehouse.query.read_point import ReadPoint
from warehouse.tables import PARTITION_COLUMNS, TABLES, Table
from warehouse.tables.columns import Column

TIME_COLUMN = "time"
"""`time_unix_nano` as a TIMESTAMP in UTC, to the microsecond: the finest that most programs understand."""

ALL_PREFIX = "all_"
"""Before the name of a table: all of its rows, in a session whose other views hold the new ones."""

READ_TABLES: Mapping[str, Table] = TABLES | DERIVED
"""Every table that can be queried."""

VIEWS: frozenset[str] = frozenset(READ_TABLES)
"""Names of the views: those of the tables."""

_TYPES: Mapping[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    pa.date32(): "DATE",
}


_SEPARATOR = "\x1f"  # ASCII unit separator
_MOST_KEPT_FILES = 256
"""More are not asked for their sizes, nor kept in memory."""


def create_views(
    connection: duckdb.DuckDBPyConnection,
    files: Mapping[str, Sequence[str]],
    *,
    limits: ReadLimits | None,
    also_all: bool = False,
    keep_bytes: int = 0,
) -> frozenset[str]:
    """Create the view of each table named in `files`; one without files has the same columns and no rows.

    With `limits` the views hold only the rows that may be read, and NULL in columns that may not. With `also_all` each stored table
    has a second one, `all_<name>`, that holds the same. What has files of at most `keep_bytes` together is read now and kept in
    memory, where each query takes half the time to plan. Returns the names of those that are found to have no row.
    """
    empty = set()
    for name, paths in files.items():
        empty |= _create(connection, name, _rows_sql(READ_TABLES[name], paths, limits=limits), paths, keep_bytes)
        if also_all and name in TABLES:
            connection.execute(f'create view "{ALL_PREFIX}{name}" as from "{name}"')
            empty |= {f"{ALL_PREFIX}{name}"} if name in empty else set()
    return frozenset(empty)


def create_new_views(
    connection: duckdb.DuckDBPyConnection,
    files: Mapping[str, Sequence[str]],
    since: ReadPoint,
    until: ReadPoint,
    *,
    limits: ReadLimits | None,
    keep_bytes: int = 0,
) -> frozenset[str]:
    """Create two views of each stored table: `<name>` of the rows above `since` and up to `until`, `all_<name>` of all.

    `limits`, `keep_bytes` and what is returned as in `create_views`, for both.
    """
    empty = set()
    for name, paths in files.items():
        table = READ_TABLES[name]
        if name in DERIVED:
            empty |= _create(connection, name, _rows_sql(table, paths, limits=limits), paths, keep_bytes)
            continue
        everything = _rows_sql(table, paths, limits=limits)
        empty |= _create(connection, f"{ALL_PREFIX}{name}", everything, paths, keep_bytes)
        new = [path for path in paths if since.may_hold_new(path)]
        rows = _rows_sql(table, new, limits=limits, where=since.condition(name, until))
        empty |= _create(connection, name, rows, new, keep_bytes)
    return frozenset(empty)


def _create(
    connection: duckdb.DuckDBPyConnection, name: str, rows: str, files: Sequence[str], keep_bytes: int
) -> set[str]:
    """Create a view of rows, or a table where their files are few and small; the name where it has no row."""
    if not files or not _are_small(files, keep_bytes):
        connection.execute(f'create view "{name}" as {rows}')
        return set() if files else {name}
    connection.execute(f'create table "{name}" as {rows}')
    return set() if connection.execute(f'from "{name}" limit 1').fetchall() else {name}


def _are_small(files: Sequence[str], keep_bytes: int) -> bool:
    if not keep_bytes or len(files) > _MOST_KEPT_FILES:
        return False
    try:
        return sum(Path(file).stat().st_size for file in files) <= keep_bytes
    except OSError:
        return False  # one that is gone is told of by the first query that misses it


def new_sources(files: Mapping[str, Sequence[str]], since: ReadPoint) -> dict[str, str]:
    """SQL source of each stored table's files that may hold rows above `since`; tables without such are left out."""
    new = {
        name: [path for path in paths if since.may_hold_new(path)] for name, paths in files.items() if name in TABLES
    }
    return {name: _files_sql(TABLES[name], paths) for name, paths in new.items() if paths}


def create_tables(connection: duckdb.DuckDBPyConnection, rows: Mapping[str, pa.Table]) -> None:
    """Create a table of the session's own from each of `rows`; the caller chose the names."""
    for name, table in rows.items():
        connection.register("given_rows", table)
        connection.execute(f'create table "{name}" as select * from given_rows')  # noqa: S608  the caller's own name
        connection.unregister("given_rows")


def paths_sql(paths: Sequence[str]) -> str:
    """SQL expression of a list of paths.

    One text that is split, not a list of literals: of 11,000 paths DuckDB takes that in a third of the time.

    Raises:
        LakeError: a path holds the separator, a control character.
    """
    if any(_SEPARATOR in path for path in paths):
        raise LakeError(f"the lake's path holds the control character {_SEPARATOR!r}: move it to another folder")
    if not paths:
        return "[]::varchar[]"
    text = _SEPARATOR.join(paths).replace("'", "''")
    return f"string_split('{text}', '{_SEPARATOR}')"


def _rows_sql(table: Table, files: Sequence[str], *, limits: ReadLimits | None, where: str = "true") -> str:
    # A view's definition takes no bound parameters: names are the schema's own, paths are quoted.
    source = _files_sql(table, files) if files else _empty_sql(table)
    columns = [_shown_sql(table, column, limits) for column in table.columns if column.name not in PARTITION_COLUMNS]
    time = "time_unix_nano" if limits is None or limits.shows(table, "time_unix_nano") else "null"
    first = [*PARTITION_COLUMNS, f"make_timestamp({time} // 1000) as {TIME_COLUMN}"]
    if limits is not None:
        where = f"({where}) and {limits.rows_sql(table)}"
    # the conditions are on the file's columns, not on what is shown of them
    inner = f"(select * from {source} where {where})"  # noqa: S608  nothing in it comes from a user
    return f"select {', '.join(first + columns)} from {inner}"  # noqa: S608  as above


def _shown_sql(table: Table, column: Column, limits: ReadLimits | None) -> str:
    if limits is None or limits.shows(table, column.name):
        return f'"{column.name}"'
    return f'null::{_type_name(column.type)} as "{column.name}"'


def _files_sql(table: Table, files: Sequence[str]) -> str:
    types = ", ".join(
        f"{column.name}: {_type_name(column.type)}" for column in table.columns if column.name in PARTITION_COLUMNS
    )
    # Files of an older schema version lack columns; looking for them opens every file before the first query.
    union = ", union_by_name = true" if table.schema_version > 1 else ""
    return f"read_parquet({paths_sql(files)}, hive_partitioning = true, hive_types = {{{types}}}{union})"


def _empty_sql(table: Table) -> str:
    columns = ", ".join(f'null::{_type_name(column.type)} as "{column.name}"' for column in table.columns)
    return f"(select {columns} where false)"


def _type_name(kind: pa.DataType) -> str:
    return f"{_type_name(kind.value_type)}[]" if pa.types.is_list(kind) else _TYPES[kind]
