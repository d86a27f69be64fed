"""Counts a check's records of one day exactly, in DuckDB: how many there are, how many are not as expected, and where these are.

A check that cannot be counted has errored, which is neither passed nor failed: nothing is known of its records.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipelines.quality.checks import Check
from warehouse.errors import QueryError
from warehouse.query import QuerySession

Outcome = Literal["passed", "failed", "errored", "empty"]
METHOD = "sql"
_SQL = """\
select {sender} as sender, rows.shard as shard,
    count(*)::bigint as total,
    count(*) filter (where unexpected)::bigint as unexpected,
    min({index}) filter (where unexpected) as first_index,
    max({index}) filter (where unexpected) as last_index
from (
    select *, not coalesce({expected}, false) as unexpected
    from {table} as rows
    where day = $day and ({applies})
) as rows
group by all order by all
"""


@dataclass(frozen=True)
class SenderCount:
    """Records of one sender in one shard that are not as expected, and the range of log indices they lie in."""

    sender: str | None
    shard: str
    total: int
    unexpected: int
    first_index: int
    last_index: int


@dataclass(frozen=True)
class CheckResult:
    """What one check found on one day. `total` and the others are None where it errored; `error` is the kind of error then."""

    check: Check
    outcome: Outcome
    total: int | None = None
    unexpected: int | None = None
    allowed: int | None = None
    senders: tuple[SenderCount, ...] = ()
    error: str | None = None


def check_sql(check: Check) -> str:
    """The query that counts a check; it binds `$day`, and `$now` where the check says so."""
    contents = check.table == "contents"
    return _SQL.format(
        table=check.table,
        expected=check.expected,
        applies=check.applies,
        sender="null::varchar" if contents else "rows.recorded_by",
        index="owner_index" if contents else "log_index",
    )


def query_hash(check: Check) -> str:
    """SHA-256 of the query, in hex: results with the same one were counted alike."""
    return hashlib.sha256(check_sql(check).encode()).hexdigest()


def count_checks(
    session: QuerySession, checks: Iterable[Check], day: dt.date, now_unix_nano: int
) -> tuple[CheckResult, ...]:
    """Count every check over the records of one UTC day; one that fails to run does not keep the others from it."""
    return tuple(_count(session, check, day, now_unix_nano) for check in checks)


def _count(session: QuerySession, check: Check, day: dt.date, now_unix_nano: int) -> CheckResult:
    sql = check_sql(check)
    values: dict[str, object] = {"day": day} | ({"now": now_unix_nano} if "$now" in sql else {})
    try:
        rows = session.query(sql, values).to_pylist()
    except QueryError as exc:
        # only the kind: what an engine says may quote a value
        return CheckResult(check, "errored", error=type(exc.__cause__ or exc).__name__)
    total = sum(row["total"] for row in rows)
    unexpected = sum(row["unexpected"] for row in rows)
    allowed = int(total * check.allowed_share)
    senders = tuple(SenderCount(**row) for row in rows if row["unexpected"])
    return CheckResult(check, judge(total, unexpected, allowed), total, unexpected, allowed, senders)


def judge(total: int, unexpected: int, allowed: int) -> Outcome:
    """The outcome of a check that was counted: without records nothing was shown, so it is `empty` and not passed."""
    if not total:
        return "empty"
    return "passed" if unexpected <= allowed else "failed"
