"""Counts a series' events by window and shard, in one query over a session.

What a session's views hold decides what is counted: in one that begins at a read point, what is new.
"""

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipelines.slo.definitions import SIGNS, Series
from warehouse.clock import NANOS_PER_SECOND, utc_date
from warehouse.query import QuerySession

COUNTS = pa.schema(
    [
        ("time_unix_nano", pa.int64()),
        ("shard", pa.string()),
        ("first_index", pa.int64()),
        ("last_index", pa.int64()),
        ("total", pa.int64()),
        ("good", pa.int64()),
        ("not_valid", pa.int64()),
    ]
)
"""What `count_events` returns: a row a window and shard."""

_PART = "select time_unix_nano, shard, log_index, {says} from ({sql}) as given"  # one of `sources`, in the form of all
_COUNT = """
select
    cast(time_unix_nano // $width * $width as bigint) as time_unix_nano,
    cast(shard as varchar) as shard,
    cast(min(log_index) as bigint) as first_index,
    cast(max(log_index) as bigint) as last_index,
    cast({total} as bigint) as total,
    cast({good} as bigint) as good,
    cast({not_valid} as bigint) as not_valid
from ({events}) as event
where time_unix_nano >= $begin and time_unix_nano < $end
group by all
"""
_PARAMETER = re.compile(r"\$(\w+)")
_EARLIEST = """
select min(time_unix_nano)
from (
    select min(time_unix_nano) as time_unix_nano from spans
    union all
    select min(time_unix_nano) from audit_events
    union all
    select min(time_unix_nano) from logs
)
"""
_WIDEST = (-(2**62), 2**62)


def count_sql(series: Series) -> tuple[str, dict[str, Any]]:
    """The query that counts a series, and its parameters but `begin` and `end`.

    Raises:
        ValueError: the series cannot be computed here.
    """
    parts = _parts(series)
    parameters: dict[str, Any] = {"width": series.window_seconds * NANOS_PER_SECOND}
    if "total" in parts:
        other = "good" if "good" in parts else "bad"
        both = (_PART.format(says=f"'{name}' as part", sql=parts[name]) for name in ("total", other))
        counted = "count(*) filter (where part = 'total')"
        named = f"count(*) filter (where part = '{other}')"
        good = named if other == "good" else f"{counted} - {named}"
        return _COUNT.format(total=counted, good=good, not_valid="0", events="\nunion all\n".join(both)), parameters
    events, more = _judged(series, parts)
    return _COUNT.format(
        total="count(good)",
        good="count(*) filter (where good)",
        not_valid="count(*) - count(good)",
        events=events,
    ), {**parameters, **more}


def event_sql(series: Series) -> tuple[str, dict[str, Any]] | None:
    """The query of a series' events, each with `good` and, of a threshold, its `value`, and its parameters.

    None where totals and good are counted apart, so that no event says itself what it is.

    Raises:
        ValueError: the series cannot be computed here.
    """
    parts = _parts(series)
    return None if "total" in parts else _judged(series, parts)


def _parts(series: Series) -> dict[str, str]:
    parts = {}
    for name, source in series.indicator.sources.items():
        if source.sql is None:
            raise ValueError(
                f"indicator {series.indicator.name}: expected SQL over the lake, got another system's source"
            )
        # a line of its own: the text may end in a comment
        parts[name] = f"{source.sql.rstrip().rstrip(';')}\n"
    return parts


def _judged(series: Series, parts: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    (name, sql) = next(iter(parts.items()))
    if series.operator is None:
        return _PART.format(says="not bad as good" if name == "failure" else "good", sql=sql), {}
    says = f"cast(value as double) as value, cast(value as double) {SIGNS[series.operator]} $bound as good"
    return _PART.format(says=says, sql=sql), {"bound": series.value}


NEW_PARAMETERS = frozenset({"new_from", "new_from_day"})
"""What an indicator's SQL may use beside its views: the earliest time of what is new, and its day. Joins to `all_<name>` that
are bounded by them read a part of the lake and not the whole."""


def count_events(
    session: QuerySession, series: Series, *, bounds: tuple[int, int] = _WIDEST, timeout_seconds: float | None = None
) -> pa.Table:
    """Counts by window and shard, of events in `bounds` (nanoseconds since 1970), with the columns of `COUNTS`.

    Raises:
        QueryError: the indicator's SQL may not run or fails, or lacks a column.
    """
    sql, parameters = count_sql(series)
    values: dict[str, Any] = {**parameters, "begin": bounds[0], "end": bounds[1]}
    values |= read_parameters(session, sql)
    return session.query(sql, values, timeout_seconds=timeout_seconds).cast(COUNTS)


def read_parameters(session: QuerySession, sql: str) -> dict[str, Any]:
    """Values of those of `NEW_PARAMETERS` that a query uses."""
    asked = set(_PARAMETER.findall(sql)) & NEW_PARAMETERS
    if not asked:
        return {}
    known = _new_from(session)
    return {name: known[name] for name in asked}


def _new_from(session: QuerySession) -> dict[str, Any]:
    rows = session.query(_EARLIEST).column(0).to_pylist()
    earliest = rows[0] if rows[0] is not None else 0
    return {"new_from": earliest, "new_from_day": utc_date(earliest)}
