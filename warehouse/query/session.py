"""A query session: one consistent list of files, bound to a principal's tenants, behind two walls.

The first wall is `warehouse.query.guard`, which lets through one SELECT over the session's views. The second is the
connection itself: it may open exactly the listed files, has no other access to the machine, and its configuration is
locked. A file of another tenant is refused by both. Rows committed after the session was opened are not seen by it.
"""

import contextlib
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa

from warehouse.errors import DeniedError, QueryError, UnavailableError
from warehouse.lake import Lake
from warehouse.names import LAKE_TENANT, check_name
from warehouse.principals import Principal
from warehouse.query.files import Listing, list_files
from warehouse.query.guard import check_query
from warehouse.query.limits import ReadLimits
from warehouse.query.read_point import ReadPoint, next_point
from warehouse.query.settings import QuerySettings
from warehouse.query.spill import spill_folder
from warehouse.query.views import (
    ALL_PREFIX,
    VIEWS,
    create_new_views,
    create_tables,
    create_views,
    new_sources,
    paths_sql,
)
from warehouse.tables import TABLES

Parameters = Sequence[Any] | Mapping[str, Any] | None
"""Values for `?` in order, or for `$name` by name."""

BATCH_ROWS = 65_536
_NO_ROWS: Mapping[str, pa.Table] = {}
_FILE_IS_GONE = ("No such file", "No files found")


class QuerySession:
    """Runs queries over one list of files. Made by `open_session`; safe to use from several threads."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        tables: frozenset[str],
        tenants: tuple[str, ...],
        principal: Principal,
        timeout_seconds: float,
        read_point: ReadPoint | None = None,
        empty: frozenset[str] = frozenset(),
    ) -> None:
        self._read_point = read_point
        self._empty = empty
        self.tables = tables
        self.tenants = tenants
        self.principal = principal
        self._connection = connection
        self._timeout_seconds = timeout_seconds

    def query(self, sql: str, params: Parameters = None, *, timeout_seconds: float | None = None) -> pa.Table:
        """Run a query that anybody may have written, and return all its rows.

        Raises:
            QueryError: it may not run, it failed, or it took longer than `timeout_seconds`.
        """
        with self.stream(sql, params, timeout_seconds=timeout_seconds) as reader:
            return reader.read_all()

    @contextmanager
    def stream(
        self, sql: str, params: Parameters = None, *, timeout_seconds: float | None = None
    ) -> Iterator[pa.RecordBatchReader]:
        """As `query`, in record batches: for results that do not fit into memory. Read them inside the block.

        Raises:
            QueryError: as `query`; while the batches are read, too.
        """
        statement = check_query(sql, self.tables).statement
        with self._run(statement, params, timeout_seconds) as reader:
            yield reader

    def finds_nothing(self, sql: str) -> bool:
        """Whether a query that anybody may have written is certain to have no row here, as too many of its views have none.

        Told from its text, without running it. False where that cannot be told.

        Raises:
            QueryError: it may not run.
        """
        return any(views <= self._empty for views in check_query(sql, self.tables).empty_without)

    def read_point(self) -> ReadPoint:
        """Where this session ends: what the next one begins at to see what this one did not.

        Raises:
            ValueError: it was not opened at a point.
        """
        if self._read_point is None:
            raise ValueError("expected a session that was opened with `since`, got one over everything")
        return self._read_point

    def run_trusted(self, sql: str, params: Parameters = None, *, timeout_seconds: float | None = None) -> pa.Table:
        """Run a query of Muniment's own: not guarded, but in the same walled connection. Never pass on a user's text.

        Raises:
            QueryError: it is not one SELECT, it failed, or it took longer than `timeout_seconds`.
        """
        statements = duckdb.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise QueryError(f"expected one statement of type SELECT, got {[str(s.type) for s in statements]}")
        with self._run(statements[0], params, timeout_seconds) as reader:
            return reader.read_all()

    @contextmanager
    def _run(
        self, statement: duckdb.Statement, params: Parameters, timeout_seconds: float | None
    ) -> Iterator[pa.RecordBatchReader]:
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        values = list(params) if isinstance(params, Sequence) else params
        with contextlib.closing(self._connection.cursor()) as cursor, _Deadline(cursor, seconds) as deadline:
            try:
                reader = cursor.sql(statement, params=values).to_arrow_reader(BATCH_ROWS)
            except duckdb.Error as exc:
                raise deadline.error(exc) from exc
            yield pa.RecordBatchReader.from_batches(reader.schema, _batches(reader, deadline))


class _Deadline:
    """Interrupts a cursor's query when its time is up."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, seconds: float) -> None:
        self._cursor = cursor
        self._seconds = seconds
        self._expired = False
        self._timer = threading.Timer(seconds, self._stop)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()

    def _stop(self) -> None:
        self._expired = True
        self._cursor.interrupt()

    def error(self, exc: Exception) -> QueryError:
        """Say what stopped the query."""
        if self._expired:
            return QueryError(
                f"query stopped after {self._seconds:g} s", hint="narrow it, e.g. by day, or allow it more time"
            )
        if any(sign in str(exc) for sign in _FILE_IS_GONE):
            return QueryError(
                f"query failed on a file: {exc}", hint="files were replaced since the session was opened: run it again"
            )
        return QueryError(f"query failed: {exc}")


def _batches(reader: pa.RecordBatchReader, deadline: _Deadline) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except (pa.ArrowException, duckdb.Error, OSError) as exc:
        raise deadline.error(exc) from exc


@contextmanager
def open_session(
    lake_dir: Path,
    *,
    tenants: Sequence[str],
    principal: Principal,
    settings: QuerySettings,
    tables: Collection[str] = VIEWS,
    since: ReadPoint | None = None,
    received_before: int | None = None,
    now_unix_nano: int | None = None,
    also_all: bool = False,
    extra: Mapping[str, pa.Table] = _NO_ROWS,
    limits: ReadLimits | None = None,
    keep_bytes: int = 0,
) -> Iterator[QuerySession]:
    """Open a session over what is committed now and belongs to `tenants`.

    The caller has asked `governance.access`; a principal bound to tenants is held to them here too.

    Args:
        lake_dir: the lake's folder.
        tenants: whose rows; with `since` one.
        principal: who asks.
        settings: memory, threads, time.
        tables: open these only, which saves time where it is known what will be asked. With `since` always all.
        since: show in the tables' own views what came after this point, and everything in views `all_<name>`.
        received_before: with `since`: records received at or after this (nanoseconds since 1970) wait for a later session, and
            with them what their shard recorded after them.
        now_unix_nano: with `received_before`, the instant: what a clock that was ahead received long after it does not wait.
        also_all: without `since`: the views `all_<name>` too, which then hold the same, for queries written for both.
        extra: rows of the caller's own, as tables under these names.
        limits: what of the rows and columns the principal may read. Rows that may not be read are not there, columns are NULL.
            Tables that may not be read are left away where `tables` are all, and refused where it names them. None: no limits.
        keep_bytes: views with files of at most so many bytes together are read once, into memory; for sessions of many queries.

    Raises:
        QueryError: no tenant was named.
        NameRuleError: what was named cannot be a tenant.
        DeniedError: the principal is bound to other tenants, or may not read a table that was asked for.
        UnavailableError: the lake cannot be read now, or a file of it is no Parquet file.
    """
    _check_tenants(tenants, principal)
    tables = _readable(tables, limits, principal)
    lake = Lake(lake_dir.absolute())
    if since is not None and (len(set(tenants)) != 1 or frozenset(tables) != _readable(VIEWS, limits, principal)):
        raise ValueError(f"since: expected one tenant and every table, got {tenants} and {sorted(tables)}")
    listing = list_files(lake, tenants, tables)
    files = listing.files
    with spill_folder(lake) as spill, contextlib.closing(connect(settings, spill)) as connection:
        until = None if since is None else _until(connection, since, listing, received_before, now_unix_nano)
        with _opening():
            if since is None or until is None:
                empty = create_views(connection, files, limits=limits, also_all=also_all, keep_bytes=keep_bytes)
            else:
                empty = create_new_views(connection, files, since, until, limits=limits, keep_bytes=keep_bytes)
        create_tables(connection, extra)
        lock(connection, [file for paths in files.values() for file in paths])
        yield QuerySession(
            connection,
            tables=frozenset({*files, *extra, *(_all_names(files) if also_all or since is not None else ())}),
            tenants=tuple(sorted(set(tenants))),
            principal=principal,
            timeout_seconds=settings.timeout_seconds,
            read_point=until,
            empty=empty | {name for name, rows in extra.items() if not rows.num_rows},
        )


@contextmanager
def _opening() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as exc:
        raise UnavailableError(
            f"a table cannot be opened: {exc}",
            hint="where files were replaced since they were listed, run it again; `muniment verify` says what is damaged",
        ) from exc


def _until(
    connection: duckdb.DuckDBPyConnection,
    since: ReadPoint,
    listing: Listing,
    received_before: int | None,
    now_unix_nano: int | None,
) -> ReadPoint:
    sources = new_sources(listing.files, since)
    try:
        return next_point(
            connection,
            since,
            sources,
            listing.files,
            listing.marks,
            received_before=received_before,
            now_unix_nano=now_unix_nano,
        )
    except duckdb.Error as exc:
        raise QueryError(
            f"new rows cannot be told from others: {exc}",
            hint="where files were replaced since they were listed, run it again",
        ) from exc


def _all_names(names: Collection[str]) -> list[str]:
    return [f"{ALL_PREFIX}{name}" for name in names if name in TABLES]


def _readable(tables: Collection[str], limits: ReadLimits | None, principal: Principal) -> frozenset[str]:
    wanted = frozenset(tables)
    if limits is None:
        return wanted
    refused = sorted(wanted - limits.columns.keys())
    if refused and wanted != VIEWS:
        raise DeniedError(
            f"{principal.recorded_by} may not read {', '.join(refused)}",
            hint=f"the tables that may be read are {', '.join(sorted(limits.columns))}",
        )
    return wanted & limits.columns.keys()


def _check_tenants(tenants: Sequence[str], principal: Principal) -> None:
    if not tenants:
        raise QueryError("expected at least one tenant to read, got none")
    for tenant in tenants:
        if tenant != LAKE_TENANT:
            check_name(tenant, "tenant")
        if principal.tenants is not None and tenant not in principal.tenants:
            raise DeniedError(f"{principal.recorded_by} may not read tenant {tenant}: it is bound to other tenants")


def connect(settings: QuerySettings, spill: Path) -> duckdb.DuckDBPyConnection:
    """A connection of a session's kind, with its limits and before its walls."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": settings.threads,
            "memory_limit": f"{settings.memory_limit_mib}MiB",
            "temp_directory": str(spill),
            "python_enable_replacements": "false",
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "allow_extension_repositories": "forbidden",
            # On local files waiting in the query's own threads is faster: a trace of 5 million spans in 15 ms instead of 20.
            "async_threads": 0,
        },
    )
    # Given with the others above, DuckDB 2.0 reports this limit and does not keep to it.
    connection.execute(f"set max_temp_directory_size = '{settings.spill_limit_mib}MiB'")
    # Footers are read once a session instead of once a query: a third of the time of a lookup in 90 files.
    connection.execute("set global parquet_metadata_cache = true")
    connection.execute("set global TimeZone = 'UTC'")
    return connection


def lock(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    """Close the walls: from now on the connection reads these files and nothing else."""
    # The order matters: paths can be allowed only while there is access, and nothing can be set once it is locked.
    connection.execute(f"set allowed_paths = {paths_sql(files)}")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
