"""Rows of `quality_results`: those of a day and method are replaced whole each time the day is checked."""

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.quality.checks import Check
from pipelines.quality.counting import METHOD, CheckResult, query_hash
from pipelines.quality.sampling import suite_hash
from pipelines.quality.suites import METHOD as SUITE_METHOD
from pipelines.quality.suites import SUITES, SuiteCheck
from warehouse.clock import NANOS_PER_DAY
from warehouse.derived.quality_results import QUALITY_RESULTS
from warehouse.derived.store import DerivedStore
from warehouse.lake import Lake

EPOCH = dt.date(1970, 1, 1)
_SUITES = {suite.table: suite for suite in SUITES}
STATE = json.dumps({"version": 1}).encode()
"""Nothing carries over from day to day: each is checked by itself."""


def write_results(
    lake: Lake,
    tenant: str,
    day: dt.date,
    results: Iterable[CheckResult],
    now_unix_nano: int,
    *,
    method: str = METHOD,
) -> None:
    """Make the results of a tenant's day that were found by `method` exactly these, in one commit; those of others stay.

    Raises:
        UnavailableError: the table cannot be written; nothing changed.
    """
    with DerivedStore(lake, QUALITY_RESULTS).updating(tenant) as update:
        old = update.read([day])
        others = old.filter(pc.not_equal(old.column("method"), method))
        rows = pa.concat_tables([others, result_rows(tenant, day, results, now_unix_nano)])
        order = [(name, "ascending") for name in QUALITY_RESULTS.sort_by]
        update.commit({day: rows.sort_by(order)}, state=STATE)


def read_results(lake: Lake, tenant: str, day: dt.date) -> list[dict[str, Any]]:
    """Rows of a tenant's day as they were written last; none where the day was never checked.

    Raises:
        UnavailableError: the table cannot be read.
    """
    rows: list[dict[str, Any]] = DerivedStore(lake, QUALITY_RESULTS).read(tenant, days=[day]).to_pylist()
    return rows


def result_rows(tenant: str, day: dt.date, results: Iterable[CheckResult], now_unix_nano: int) -> pa.Table:
    """Results as rows of the table: one a check, and one for each sender and shard with unexpected records."""
    begin = (day - EPOCH).days * NANOS_PER_DAY
    rows: list[dict[str, Any]] = []
    for result in results:
        shared = {
            "tenant_id": tenant,
            "day": day,
            "time_unix_nano": begin,
            "end_unix_nano": begin + NANOS_PER_DAY,
            "check_name": result.check.name,
            "source_table": result.check.table,
            **_how(result.check),
            "outcome": result.outcome,
            "computed_unix_nano": now_unix_nano,
        }
        whole = {
            "total": result.total,
            "unexpected": result.unexpected,
            "allowed": result.allowed,
            "error": result.error,
        }
        rows.append(shared | whole)
        rows += [shared | vars(each) for each in result.senders]
    return pa.Table.from_pylist(rows, schema=QUALITY_RESULTS.schema)


def _how(check: Check | SuiteCheck) -> dict[str, str]:
    if isinstance(check, SuiteCheck):
        return {"method": SUITE_METHOD, "query": suite_hash(_SUITES[check.table], check)}
    return {"method": METHOD, "query": query_hash(check)}
