"""Backfills days in this process: a run a day, in the instance that `muniment up` shows, whether that runs or not.

A day that a run has done since its records came is not done again, so what was interrupted goes on where it stopped.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from dagster import DagsterExecutionInterruptedError

from pipelines.daily import TENANTS_TAG
from pipelines.definitions import make_definitions
from pipelines.findings import EventsDerived, IncidentsDetected, SlosCounted
from pipelines.history import BY_COMMAND, fail_lost_runs
from pipelines.home import instance_home
from pipelines.jobs import LakeJobs, open_jobs
from pipelines.lake import LakeResource
from warehouse.lake import Lake

JOB = "daily_findings"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_NANOS = 1_000_000_000
_MOST_RUNS = 20


class OnceOverAll:
    """The work on a lake, where what goes over everything new is done once a tenant: a second time, moments later, would find nothing."""

    def __init__(self, jobs: LakeJobs) -> None:
        self._jobs = jobs
        self._counted: dict[str, SlosCounted] = {}
        self._done: set[tuple[str, str]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def compute_slos(self, tenant: str) -> SlosCounted:
        """As the work on the lake; later what failed is said again."""
        if (known := self._counted.get(tenant)) is not None:
            return SlosCounted(problems=known.problems)
        self._counted[tenant] = self._jobs.compute_slos(tenant)
        return self._counted[tenant]

    def derive_events(self, tenant: str) -> EventsDerived:
        """As the work on the lake."""
        return self._jobs.derive_events(tenant) if self._is_first("derive", tenant) else EventsDerived()

    def detect_incidents(self, tenant: str) -> IncidentsDetected:
        """As the work on the lake."""
        return self._jobs.detect_incidents(tenant) if self._is_first("detect", tenant) else IncidentsDetected()

    def _is_first(self, what: str, tenant: str) -> bool:
        if (what, tenant) in self._done:
            return False
        self._done.add((what, tenant))
        return True


@cache
def _once(path: str) -> LakeJobs:
    return OnceOverAll(open_jobs(Path(path)))


class BackfillLake(LakeResource):
    """The lake of a backfill: one object over all of its runs."""

    @property
    def jobs(self) -> LakeJobs:
        """The work on it.

        Raises:
            JobError: it cannot be opened.
        """
        return _once(self.path)


@dataclass(frozen=True)
class DayOutcome:
    """What became of a day.

    Attributes:
        outcome: `done`; `kept`, as it was done since its records came; `empty`, as it holds no record; `failed`.
        checks: names of checks that did not pass, by their severity in lower case.
        why: what the first step that failed says.
        run_id: of its run, where one was made.
    """

    day: dt.date
    outcome: Literal["done", "kept", "empty", "failed"]
    checks: Mapping[str, tuple[str, ...]]
    why: str | None = None
    run_id: str | None = None


def backfill_days(
    lake: Lake, days: Sequence[dt.date], tenants: Collection[str] | None, *, again: bool = False
) -> Iterator[DayOutcome]:
    """Do one day after the other, for these tenants or for all, and yield what became of it.

    The caller holds the lock that lets one process at a time do so, and asked for access.

    Raises:
        JobError: the lake cannot say which days hold records.
        KeyboardInterrupt: somebody interrupted a run, which is failed; days before it are done.
    """
    _once.cache_clear()
    resource = BackfillLake(path=str(lake.path))
    job = make_definitions(resource).resolve_job_def(JOB)
    jobs = resource.jobs
    named = None if tenants is None else ",".join(sorted(tenants))
    with dg.DagsterInstance.from_config(str(instance_home(lake))) as instance:
        fail_lost_runs(instance, by_command=True)
        changed = jobs.changed_days(_everybody(jobs) if tenants is None else tenants)
        for day in days:
            if day not in changed:
                yield DayOutcome(day, "empty", {})
            elif not again and (run_id := _run_since(instance, day, named, changed[day])):
                yield DayOutcome(day, "kept", {}, run_id=run_id)
            else:
                yield _run(job, instance, day, named)


def _everybody(jobs: LakeJobs) -> list[str]:
    return [tenant.id for tenant in jobs.tenants()]


def _run_since(instance: dg.DagsterInstance, day: dt.date, tenants: str | None, changed_unix_nano: int) -> str | None:
    """The newest successful run of a day, about the same tenants or all, that began after its records came."""
    wanted = dg.RunsFilter(
        job_name=JOB, statuses=[dg.DagsterRunStatus.SUCCESS], tags={"dagster/partition": day.isoformat()}
    )
    for record in instance.get_run_records(wanted, limit=_MOST_RUNS):
        about = record.dagster_run.tags.get(TENANTS_TAG)
        if about in {None, tenants} and (record.start_time or 0) * _NANOS > changed_unix_nano:
            return record.dagster_run.run_id
    return None


def _run(job: dg.JobDefinition, instance: dg.DagsterInstance, day: dt.date, tenants: str | None) -> DayOutcome:
    tags = {BY_COMMAND: "backfill"} | ({} if tenants is None else {TENANTS_TAG: tenants})
    try:
        result = job.execute_in_process(
            run_config=_QUIET, instance=instance, partition_key=day.isoformat(), tags=tags, raise_on_error=False
        )
    except DagsterExecutionInterruptedError:
        raise KeyboardInterrupt from None
    checks: dict[str, tuple[str, ...]] = {}
    for each in result.get_asset_check_evaluations():
        if not each.passed:
            severity = each.severity.value.lower()
            checks[severity] = (*checks.get(severity, ()), each.check_name)
    if result.success:
        return DayOutcome(day, "done", checks, run_id=result.run_id)
    return DayOutcome(day, "failed", checks, _why(result), result.run_id)


def _why(result: dg.ExecuteInProcessResult) -> str:
    for event in result.get_step_failure_events():
        data = event.step_failure_data
        told = data.user_failure_data.description if data.user_failure_data else None
        if told is not None:
            return f"{event.step_key}: {told}"
    return "Dagster itself failed: its pages show the run"
