"""The quality of a tenant's records as a principal asks for it: a day checked, and what was found.

Dagster's assets and the commands call the same functions.
"""

import datetime as dt
from typing import Any

from governance.access import Action
from muniment.tenancy import check_among, lake_tenants
from muniment.wiring import CommandContext
from pipelines.quality.checks import CHECKS
from pipelines.quality.completeness import GRACE_NS, TABLES, CompletenessResult, find_incomplete, write_completeness
from pipelines.quality.counting import CheckResult, count_checks
from pipelines.quality.results import read_results, write_results
from pipelines.quality.suites import METHOD, SUITES
from pipelines.quality.validating import run_suites as validate_suites

_TABLES = ("audit_events", "contents", "logs", "metrics", "spans")


def run_quality(context: CommandContext, tenant: str, day: dt.date) -> tuple[CheckResult, ...]:
    """Check the records of a tenant's UTC day, count by count and for completeness, and keep what was found in `quality_results`.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such tenant.
        UnavailableError: the lake cannot be read, or the results not be written.
    """
    _admit(context, Action.QUALITY_RUN, tenant)
    now = context.clock()
    with context.session([tenant], tables=_TABLES) as session:
        results = count_checks(session, CHECKS, day, now)
        incomplete = find_incomplete(session, day, now)
    write_results(context.lake, tenant, day, results, now)
    write_completeness(context.lake, tenant, day, incomplete, now)
    return results


def check_completeness(
    context: CommandContext, tenant: str, day: dt.date, *, grace_ns: int = GRACE_NS
) -> tuple[CompletenessResult, ...]:
    """Check a tenant's UTC day for completeness alone, and keep what was found in `quality_results`.

    What is younger than the grace time, in nanoseconds, is left for later.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such tenant.
        UnavailableError: the lake cannot be read, or the results not be written.
    """
    _admit(context, Action.QUALITY_RUN, tenant)
    now = context.clock()
    with context.session([tenant], tables=TABLES) as session:
        results = find_incomplete(session, day, now, grace_ns=grace_ns)
    write_completeness(context.lake, tenant, day, results, now)
    return results


def run_suites(context: CommandContext, tenant: str, day: dt.date) -> tuple[CheckResult, ...]:
    """Run each table's suite over a sample of a tenant's UTC day, and keep what was found in `quality_results` beside the exact counts.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such tenant.
        UnavailableError: the results cannot be written.
    """
    _admit(context, Action.QUALITY_RUN, tenant)
    now = context.clock()
    results = validate_suites(lambda table: context.session([tenant], tables=[table]), SUITES, day, now)
    write_results(context.lake, tenant, day, results, now, method=METHOD)
    return results


def show_quality(context: CommandContext, tenant: str, day: dt.date) -> list[dict[str, Any]]:
    """Rows of `quality_results` of a tenant's UTC day; nothing is checked.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such tenant.
        UnavailableError: the table cannot be read.
    """
    _admit(context, Action.QUALITY_READ, tenant)
    return read_results(context.lake, tenant, day)


def _admit(context: CommandContext, action: Action, tenant: str) -> None:
    context.check(action, tenant)
    check_among(lake_tenants(context.control), tenant)
