"""Queries over a compacted lake of 5 million spans, beside plain DuckDB on one ideally sorted file with the same rows.

Timed on the lake's side is `QuerySession.run_trusted` in an open session over all tables of all three tenants; on the other
side the same SQL in a DuckDB connection with as many threads, its rows fetched as Arrow too, once with its defaults and once
with the Parquet footer cached as a session does it; the bar is held against the faster of the two. All are warm; the runs
alternate, each lookup is of another trace, and medians are compared. A process's first queries are not in it.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.query_lake import TENANTS, QueryLake, query_lake
from benchmarks.results import Figure
from governance.access import local_principal
from warehouse.query import QuerySession, QuerySettings, open_session
from warehouse.questions.trace import TRACE_TABLES, read_trace

BAR_TRACE = 1.5
BAR_AGENTS = 1.3
BAR_SESSION_MILLISECONDS = 300.0
SPANS = 5_000_000
QUICK_SPANS = 500_000
_RUNS = 21
_WARM_RUNS = 4
_TRACE = "select * from spans where trace_id = ? order by time_unix_nano"
_AGENTS = (
    "select agent_name, quantile_cont(duration_ns, 0.95) as p95 from spans"
    " where agent_name is not null group by agent_name order by agent_name"
)

Run = Callable[[str, list[str]], pa.Table]


def run(*, quick: bool) -> list[Figure]:
    """Measure both queries and the opening of a session."""
    made = query_lake(QUICK_SPANS if quick else SPANS)
    settings = QuerySettings()
    figures = _opening(made, settings)
    with (
        open_session(made.lake.path, tenants=TENANTS, principal=local_principal(), settings=settings) as session,
        duckdb.connect(config={"threads": settings.threads}) as plain,
        duckdb.connect(config={"threads": settings.threads}) as cached,
    ):
        cached.execute("set global parquet_metadata_cache = true")
        sides: dict[str, Run] = {
            "lake": session.run_trusted,
            "plain": _on_file(plain, made.ideal),
            "plain, metadata cached": _on_file(cached, made.ideal),
        }
        figures += _compare("trace by id", _TRACE, [[trace] for trace in made.trace_ids], sides, BAR_TRACE)
        figures += _compare("p95 duration by agent", _AGENTS, [[]], sides, BAR_AGENTS)
        figures.append(_whole_trace(made, session))
    return figures


def _on_file(connection: duckdb.DuckDBPyConnection, file: Path) -> Run:
    connection.execute(f"create view spans as select * from read_parquet('{file}')")
    return lambda sql, params: connection.sql(sql, params=params).to_arrow_table()


def _opening(made: QueryLake, settings: QuerySettings) -> list[Figure]:
    def opened(tables: tuple[str, ...] | None) -> float:
        seconds = []
        for _ in range(_RUNS):
            started = time.perf_counter()
            given = {} if tables is None else {"tables": tables}
            with open_session(
                made.lake.path, tenants=TENANTS, principal=local_principal(), settings=settings, **given
            ) as session:
                session.run_trusted("select 1")
                seconds.append(time.perf_counter() - started)
        return statistics.median(seconds[_WARM_RUNS:]) * 1e3

    note = f"{made.spans:,} spans; with a first `select 1`"
    return [
        Figure("query", "opening a session, all tables", opened(None), "ms", BAR_SESSION_MILLISECONDS, note=note),
        Figure("query", "opening a session, a trace's tables", opened(TRACE_TABLES), "ms"),
    ]


def _compare(what: str, sql: str, parameters: list[list[str]], sides: dict[str, Run], bar: float) -> list[Figure]:
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(_RUNS + _WARM_RUNS):
        values = parameters[number % len(parameters)]
        rows = set()
        for side, query in sides.items():
            started = time.perf_counter()
            rows.add(query(sql, values).num_rows)
            seconds[side].append(time.perf_counter() - started)
        if len(rows) != 1 or 0 in rows:
            raise RuntimeError(f"{what}: expected the same rows from every side, got {rows}")
    medians = {side: statistics.median(values[_WARM_RUNS:]) * 1e3 for side, values in seconds.items()}
    note = ", ".join(f"{side} {median:.1f} ms" for side, median in medians.items())
    best = min(median for side, median in medians.items() if side != "lake")
    return [
        Figure("query", f"{what}: lake ÷ plain DuckDB", medians["lake"] / best, "times", bar, note=note),
        Figure("query", f"{what}: lake", medians["lake"], "ms"),
    ]


def _whole_trace(made: QueryLake, session: QuerySession) -> Figure:
    seconds = []
    for trace_id in made.trace_ids[: _RUNS + _WARM_RUNS]:
        started = time.perf_counter()
        read_trace(session, trace_id)
        seconds.append(time.perf_counter() - started)
    return Figure(
        "query", "a trace as a tree", statistics.median(seconds[_WARM_RUNS:]) * 1e3, "ms",
        note="spans, logs and audit events, as `muniment trace` shows them",
    )  # fmt: skip
