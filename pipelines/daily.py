"""Assets of a day: SLO windows, derived events, incidents and quality, each a few lines over the work on the lake.

A partition is a UTC day, with every tenant inside a run. A run costs a process start of some seconds of the processor, more than the work
on a day of most tenants; so a month is 31 runs whatever the number of tenants, and not 31 times as many. The run's tag `muniment/tenants`
names those that it is about; without it, it is about all. A tenant whose work fails keeps no other from its own: the run fails at its end.
"""

import datetime as dt
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import dagster as dg

from pipelines.errors import JobError
from pipelines.jobs import LakeJobs
from pipelines.lake import LakeResource, failing_plainly
from pipelines.partitions import FIRST_DAY
from warehouse.tables import TABLES

DAYS = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), timezone="UTC", end_offset=1)
"""Today's partition is among them, and grows."""
TENANTS_TAG = "muniment/tenants"
GROUP = "pipelines"
DAY_HOURS = 26
"""A daily run, and two hours for it to start late and end."""
_FRESH = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=DAY_HOURS), warn_window=dt.timedelta(hours=25))
_RECORDS = sorted(TABLES)
_MOST_SHOWN = 50
_Found = TypeVar("_Found")

Metadata = Mapping[str, Any]


@dataclass(frozen=True)
class Each(Generic[_Found]):
    """What was found for each tenant, and by tenant why its work could not be done."""

    found: Mapping[str, _Found]
    failed: Mapping[str, str]


def _daily(
    name: str, description: str, deps: list[str], checks: Sequence[dg.AssetCheckSpec] = ()
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    return dg.asset(
        name=name,
        group_name=GROUP,
        partitions_def=DAYS,
        deps=deps,
        description=description,
        freshness_policy=_FRESH,
        kinds=None if name == "incidents" else {"deltalake"},
        check_specs=checks,
    )


with warnings.catch_warnings(action="ignore", category=dg.PreviewWarning):
    _COUNTED = dg.AssetCheckSpec(
        "every_indicator_counted",
        asset="slo_windows",
        description="No indicator's query fails, in any tenant of the run.",
        partitions_def=DAYS,
    )


@_daily(
    "slo_windows",
    "Events of each indicator, counted by five minutes: what is new is added to its windows.",
    _RECORDS,
    [_COUNTED],
)
def slo_windows(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult[None]]:
    """Whatever is new is counted, on whichever day it lies; nothing that was counted is counted again."""
    day = day_of(context)
    done = for_tenants(context, lake, lambda jobs, tenant: (jobs.compute_slos(tenant), jobs.slo_day(tenant, day)))
    counted = [each for each, _ in done.found.values()]
    days = {tenant: each for tenant, (_, each) in done.found.items()}
    problems = {
        f"{tenant}: {name}": why for tenant, (each, _) in done.found.items() for name, why in each.problems.items()
    }
    yield _result(
        context,
        done,
        {
            "events_added": sum(each.events for each in counted),
            "windows_changed": sum(each.windows for each in counted),
            "events_late": sum(each.late for each in counted),
            "events": sum(sum(each.events.values()) for each in days.values()),
            "good": sum(each.good for each in days.values()),
            "not_valid": sum(each.not_valid for each in days.values()),
            "covered": {tenant: round(each.covered, 4) for tenant, each in days.items()},
            "silent": {tenant: list(each.silent) for tenant, each in days.items() if each.silent},
            "ranges": {
                f"{tenant}/{shard}": [first, last]
                for tenant, each in days.items()
                for shard, (first, last) in each.ranges.items()
            },
            "rows": _sql("slo_windows", day),
        },
        dg.AssetCheckResult(passed=not problems, metadata={"problems": _shown(problems)}),
    )


@_daily("derived_events", "Handoffs, approvals and changes that spans show, each naming its source rows.", ["spans"])
def derived_events(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
    """The days that new spans concern are derived again, whichever they are."""
    day = day_of(context)
    done = for_tenants(context, lake, lambda jobs, tenant: (jobs.derive_events(tenant), jobs.derived_day(tenant, day)))
    kinds: dict[str, int] = {}
    for _, each in done.found.values():
        for kind, count in each.items():
            kinds[kind] = kinds.get(kind, 0) + count
    return _result(
        context,
        done,
        {
            "days_changed": sum(each.days for each, _ in done.found.values()),
            "events": sum(kinds.values()),
            "events_by_kind": kinds,
            "rows": _sql("derived_events", day),
        },
    )


@_daily(
    "incidents",
    "What the rules find in what is new, kept in the control database and in the tenant's own log.",
    ["derived_events", "slo_windows", *_RECORDS],
)
def incidents(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
    """The rules that are due; the metadata is about the incidents whose first record lies on the day."""
    day = day_of(context)
    done = for_tenants(context, lake, lambda jobs, tenant: jobs.detect_incidents(tenant))
    with failing_plainly():
        found = [each for each in lake.jobs.incidents_of(day) if each.tenant in done.found]
    severities = sorted({each.severity for each in found})
    return _result(
        context,
        done,
        {
            "opened_now": sum(len(each.opened) for each in done.found.values()),
            "joined_now": sum(len(each.updated) for each in done.found.values()),
            "incidents": len(found),
            "by_severity": {name: sum(each.severity == name for each in found) for name in severities},
            "ids": [each.id for each in found[:_MOST_SHOWN]],
            "runbooks": sorted({each.runbook for each in found}),
            "rows": dg.MetadataValue.text("muniment incident list"),
        },
    )


@_daily(
    "quality_results",
    "What the checks of quality found in every record of the day, counted exactly.",
    _RECORDS,
)
def quality_results(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
    """Each check counted over the day anew; the checks of this asset say which failed."""
    day = day_of(context)
    done = for_tenants(context, lake, lambda jobs, tenant: jobs.check_quality(tenant, day))
    results = [each for found in done.found.values() for each in found]
    outcomes = ("passed", "failed", "errored", "empty")
    return _result(
        context,
        done,
        {
            "tenants_with_records": sum(bool(found) for found in done.found.values()),
            **{outcome: sum(each.outcome == outcome for each in results) for outcome in outcomes},
            "unexpected": sum(each.unexpected or 0 for each in results),
            "rows": _sql("quality_results", day),
        },
    )


DAILY = (slo_windows, derived_events, incidents, quality_results)


def day_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> dt.date:
    """The partition of a run, which is about one day."""
    return dt.date.fromisoformat(context.partition_key)


def tenants_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, jobs: LakeJobs) -> list[str]:
    """The tenants that a run is about: those of its tag, or all.

    Raises:
        JobError: the lake cannot say who there is.
    """
    named = context.run.tags.get(TENANTS_TAG)
    return [tenant.id for tenant in jobs.tenants()] if named is None else named.split(",")


def for_tenants(
    context: dg.AssetExecutionContext, lake: LakeResource, work: Callable[[LakeJobs, str], _Found]
) -> Each[_Found]:
    """Do something for each tenant of the run; one that fails is left to the end."""
    found: dict[str, _Found] = {}
    failed: dict[str, str] = {}
    with failing_plainly():
        jobs = lake.jobs
        tenants = tenants_of(context, jobs)
    for tenant in tenants:
        try:
            found[tenant] = work(jobs, tenant)
        except JobError as exc:
            failed[tenant] = str(exc)
    return Each(found, failed)


def _result(
    context: dg.AssetExecutionContext, done: Each[Any], metadata: dict[str, Any], *checks: dg.AssetCheckResult
) -> dg.MaterializeResult[None]:
    """Counts as numbers, maps as JSON cut to what a page can show.

    Raises:
        Failure: a tenant's work could not be done.
    """
    shown = {"tenants": len(done.found), **{name: _shown(value) for name, value in metadata.items()}}
    if done.failed:
        raise dg.Failure(
            f"{day_of(context)}: {len(done.failed)} of {len(done.failed) + len(done.found)} tenants failed; the others are done",
            metadata={**shown, "failed": _shown(done.failed)},
        )
    return dg.MaterializeResult(metadata=shown, check_results=checks)


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dg.MetadataValue.json(dict(list(value.items())[:_MOST_SHOWN]))
    if isinstance(value, list):
        return dg.MetadataValue.json(value[:_MOST_SHOWN])
    return value


def _sql(table: str, day: dt.date) -> dg.TextMetadataValue:
    """The command that shows the rows; whose is the reader's to say."""
    return dg.MetadataValue.text(f"muniment sql \"from {table} where day = '{day}'\" --tenant T")
