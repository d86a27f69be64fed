"""When which job runs, in UTC. A schedule starts runs; whether one of its kind is under way the job itself finds out."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Any

import dagster as dg

from pipelines.assets import (
    TENANTS,
    evidence_packs,
    maintained_tables,
    purged_records,
    searched_files,
    verified_checkpoints,
    verified_records,
)
from pipelines.daily import DAILY
from pipelines.daily_checks import suite_checks
from pipelines.lake import LakeResource, failing_plainly
from warehouse.names import LAKE_TENANT

JOB_TAG = "muniment/job"
"""At most one run at a time has each value of this tag."""
_RETRY = dg.RetryPolicy(max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL)
_TICK_SECONDS = 300
_PACKS_DAY = 2
"""Of a month: what was sent late in the last one has come by then."""
_RUNNING = dg.DefaultScheduleStatus.RUNNING


def _job(name: str, selection: Any, description: str, **more: Any) -> Any:
    tag = more.pop("alone_with", name)
    return dg.define_asset_job(name, selection, description=description, tags={JOB_TAG: tag}, **more)


maintenance = _job(
    "maintenance", [maintained_tables], "Merge small files, delete replaced ones, sweep what crashes left."
)
retention = _job(
    "retention",
    dg.AssetSelection.assets(purged_records).without_checks(),
    "Delete what is due of one tenant, certify it, search for it.",
    op_retry_policy=_RETRY,
)
retention_checks = _job(
    "retention_checks",
    dg.AssetSelection.checks_for_assets(purged_records),
    "Whether retention does what the policy says.",
)
rescan = _job(
    "rescan", [searched_files, verified_records], "Search for all that was ever deleted, and verify every record."
)
packs = _job(
    "evidence",
    [evidence_packs],
    "Build one tenant's evidence packs of the months that have none.",
    op_retry_policy=_RETRY,
)
daily_findings = _job(
    "daily_findings",
    dg.AssetSelection.assets(*DAILY),
    "A day's SLO windows, derived events, incidents and quality, with every check of them.",
)
new_records = _job(
    "new_records",
    dg.AssetSelection.assets(*DAILY) - dg.AssetSelection.checks(suite_checks),
    "The same without suites, for the tenants of which records came.",
    alone_with="daily_findings",
)
verification = _job("verification", [verified_checkpoints], "Verify checkpoints and what came since the last run.")


@dg.schedule(
    job=maintenance,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=_RUNNING,
    name="maintenance_every_5_minutes",
)
def every_five_minutes(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> dg.RunRequest | dg.SkipReason:
    """Every tick whose time has come by the setting `maintenance.interval_seconds`."""
    with failing_plainly():
        interval = lake.jobs.maintenance_interval_seconds()
    tick = int(context.scheduled_execution_time.timestamp())
    ticks = max(1, round(interval / _TICK_SECONDS))
    if tick // _TICK_SECONDS % ticks:
        return dg.SkipReason(f"maintenance runs every {ticks * _TICK_SECONDS} s")
    return dg.RunRequest(run_key=_key(context))


@dg.schedule(
    job=retention, cron_schedule="15 2 * * *", execution_timezone="UTC", default_status=_RUNNING, name="retention_daily"
)
def daily(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> Sequence[dg.RunRequest]:
    """A run for each tenant that there is now; one that was added today is among them."""
    tenants = keep_partitions(context.instance, lake)
    return [dg.RunRequest(run_key=f"{_key(context)}/{tenant}", partition_key=tenant) for tenant in tenants]


@dg.schedule(
    job=packs,
    cron_schedule="30 4 2-31 * *",
    execution_timezone="UTC",
    default_status=_RUNNING,
    name="evidence_packs_monthly",
)
def monthly(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> Sequence[dg.RunRequest]:
    """A run for each tenant, once what was sent late in the month has come; on later days for those of which a pack is still lacking.

    So what a machine missed that was off on the day is built on the next one, and what is left of a long time off day by day.
    """
    tenants = [name for name in keep_partitions(context.instance, lake) if name != LAKE_TENANT]
    if context.scheduled_execution_time.astimezone(UTC).day != _PACKS_DAY:
        with failing_plainly():
            tenants = [name for name in tenants if lake.jobs.lacks_packs(name)]
    return [dg.RunRequest(run_key=f"{_key(context)}/{tenant}", partition_key=tenant) for tenant in tenants]


checks_schedule = dg.ScheduleDefinition(
    name="retention_checks_every_6_hours",
    job=retention_checks,
    cron_schedule="45 */6 * * *",
    execution_timezone="UTC",
    default_status=_RUNNING,
)
weekly = dg.ScheduleDefinition(
    name="rescan_weekly", job=rescan, cron_schedule="30 3 * * 0", execution_timezone="UTC", default_status=_RUNNING
)
hourly = dg.ScheduleDefinition(
    name="verification_hourly",
    job=verification,
    cron_schedule="5 * * * *",
    execution_timezone="UTC",
    default_status=_RUNNING,
)


@dg.schedule(
    job=daily_findings,
    cron_schedule="20 1 * * *",
    execution_timezone="UTC",
    default_status=_RUNNING,
    name="findings_daily",
)
def findings_daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Yesterday, for every tenant, once what its senders held back for an hour has come."""
    yesterday = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
    return dg.RunRequest(run_key=_key(context), partition_key=yesterday.isoformat())


def keep_partitions(instance: dg.DagsterInstance, lake: LakeResource) -> list[str]:
    """Make the partitions those of the tenants that there are now; returns them."""
    with failing_plainly():
        tenants = [tenant.id for tenant in lake.jobs.tenants()]
    instance.add_dynamic_partitions(str(TENANTS.name), tenants)
    return tenants


def _key(context: dg.ScheduleEvaluationContext) -> str:
    return context.scheduled_execution_time.astimezone(UTC).isoformat()
