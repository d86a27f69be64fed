"""Counts a check's records of one day exactly, in DuckDB: how many there are, how many are not as expected, and where these are.

A check that cannot be counted has errored, which is neither passed nor failed: nothing is known of its records.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipelines.quality.checks import Check
from pipelines.quality.suites import SuiteCheck
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
    """Records of one sender in one shard that are not as expected, and the range of log indices they lie in.

    The indices are None for points of metrics, which are in no log.
    """

    sender: str | None
    shard: str
    total: int
    unexpected: int
    first_index: int | None
    last_index: int | None


@dataclass(frozen=True)
class CheckResult:
    """What one check found on one day. `total` and the others are None where it errored; `error` is the kind of error then.

    Of a suite's check all counts are of the records that were sampled, and `positions` names a few unexpected ones by shard and log index.
    """

    check: Check | SuiteCheck
    outcome: Outcome
    total: int | None = None
    unexpected: int | None = None
    allowed: int | None = None
    senders: tuple[SenderCount, ...] = ()
    error: str | None = None
    positions: tuple[tuple[str, int | None], ...] = ()


def check_sql(check: Check) -> str:
    """The query that counts a check; it binds `$day`, and `$now` where the check says so."""
    return _SQL.format(
        table=check.table,
        expected=check.expected,
        applies=check.applies,
        sender=sender_sql(check.table),
        index=index_sql(check.table),
    )


def sender_sql(table: str) -> str:
    """SQL of who recorded a row of `rows`; NULL where the table does not say."""
    return "null::varchar" if table == "contents" else "rows.recorded_by"


def index_sql(table: str) -> str:
    """SQL of the log index at which a row of `rows` is proved, of a part that of its owner; NULL for what is in no log."""
    return {"contents": "rows.owner_index", "metrics": "null::bigint"}.get(table, "rows.log_index")


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
    allowed = allowed_count(total, check.allowed_share)
    senders = tuple(SenderCount(**row) for row in rows if row["unexpected"])
    return CheckResult(check, judge(total, unexpected, allowed), total, unexpected, allowed, senders)


def allowed_count(total: int, share: float) -> int:
    """How many of `total` records a share of them is, rounded down; 0.29 of 100 is 29, though floats make it a little less."""
    return int(round(total * share, 6))


def judge(total: int, unexpected: int, allowed: int) -> Outcome:
    """The outcome of a check that was counted: without records nothing was shown, so it is `empty` and not passed."""
    if not total:
        return "empty"
    return "passed" if unexpected <= allowed else "failed"
