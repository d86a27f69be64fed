"""Dagster's own history: runs that nobody asks about any more, and runs that died with the machine.

What a purge did is proved by its certificate, so no evidence goes with a run.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterRunStatus as Status

from pipelines.jobs import LakeJobs
from pipelines.lake import LakeResource, failing_plainly

BY_COMMAND = "muniment/by-command"
"""A run has this tag that a command runs in its own process, whether `muniment up` runs or not."""
KEEP_DAYS = 90
KEEP_MAINTENANCE_DAYS = 2
"""Maintenance that succeeded runs 288 times a day."""
_FINISHED = [Status.SUCCESS, Status.FAILURE, Status.CANCELED]
_UNDER_WAY = [Status.STARTING, Status.STARTED, Status.CANCELING]
_NANOS = 1_000_000_000
_PAGE = 500


@dg.op(description="Forget runs that ended 90 days ago, and maintenance that succeeded two days ago.")
def forget_old_runs(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Delete them with their events."""
    with failing_plainly():
        now = _instant(lake.jobs)
    forgotten = forget_runs(context.instance, now)
    context.add_output_metadata({"runs": forgotten})


@dg.job(description="Forget old runs.", tags={"muniment/job": "history"})
def history() -> None:
    """Keeps Dagster's own storage small."""
    forget_old_runs()


history_schedule = dg.ScheduleDefinition(
    name="history_daily",
    job=history,
    cron_schedule="45 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


def forget_runs(instance: dg.DagsterInstance, now: datetime) -> int:
    """Delete runs that are older than they are kept; returns how many."""
    old = dg.RunsFilter(statuses=_FINISHED, created_before=now - timedelta(days=KEEP_DAYS))
    maintained = dg.RunsFilter(
        job_name="maintenance", statuses=[Status.SUCCESS], created_before=now - timedelta(days=KEEP_MAINTENANCE_DAYS)
    )
    return sum(_forget(instance, each) for each in (old, maintained))


def fail_lost_runs(instance: dg.DagsterInstance, *, by_command: bool = False) -> int:
    """Mark runs failed that were under way when everything was ended; to be called before anything can start one.

    Nothing else would: their processes are gone, and the next run of their kind would wait for them. Those of commands are left to the
    next command of their kind, which knows that it is alone.
    """
    under_way = instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY))
    lost = [each.dagster_run for each in under_way if (BY_COMMAND in each.dagster_run.tags) is by_command]
    for run in lost:
        instance.report_run_failed(run, "ended with the process that ran it; the next run goes on from there")
    return len(lost)


def _forget(instance: dg.DagsterInstance, which: dg.RunsFilter) -> int:
    return sum(1 for run_id in _ids(instance, which) if instance.delete_run(run_id) is None)


def _ids(instance: dg.DagsterInstance, which: dg.RunsFilter) -> Iterator[str]:
    while page := instance.get_run_records(which, limit=_PAGE):
        yield from (record.dagster_run.run_id for record in page)


def _instant(jobs: LakeJobs) -> datetime:
    return datetime.fromtimestamp(jobs.now() / _NANOS, tz=UTC)
