"""`muniment jobs backfill`: a month in one command, which goes on where it stopped and counts nothing twice."""

import datetime as dt
import json

import dagster as dg
import pytest

from pipelines.history import BY_COMMAND, fail_lost_runs
from pipelines.home import instance_home
from tests.days import TODAY
from warehouse.lake import find_lake
from warehouse.locks import FileLock

LAST = TODAY.replace(day=1) - dt.timedelta(days=1)
FIRST = LAST.replace(day=1)
DAYS = [FIRST, LAST]
"""Of the month before this one."""


def backfill(lake, *more):
    code, out = lake.muniment("jobs", "backfill", "--from", FIRST, "--to", LAST, "--json", *more)
    assert code == 0, out
    found = json.loads(out.splitlines()[-1])
    assert len(found["days"]) == (LAST - FIRST).days + 1
    return {dt.date.fromisoformat(each["day"]): each["outcome"] for each in found["days"] if each["outcome"] != "empty"}


def windows(lake):
    query = f"select * exclude (computed_unix_nano) from slo_windows where day <= '{LAST}' order by all"
    return lake.rows("acme", query)


@pytest.mark.slow
def test_a_month_is_one_command(day_lake):
    """Each day with records has its run in the instance that `up` shows; again it keeps them; a late record brings back its own day."""
    day_lake.add("acme", *DAYS)
    assert backfill(day_lake) == dict.fromkeys(DAYS, "done")
    with dg.DagsterInstance.from_config(str(instance_home(find_lake(day_lake.path)))) as instance:
        for name in ("slo_windows", "derived_events", "incidents", "quality_results"):
            partitions = instance.get_materialized_partitions(dg.AssetKey(name))
            assert partitions == {day.isoformat() for day in DAYS}, name
    checked = day_lake.rows("acme", "select distinct day::varchar as day from quality_results order by 1")
    assert [each["day"] for each in checked] == [day.isoformat() for day in DAYS]
    counted = windows(day_lake)
    assert counted
    assert backfill(day_lake) == dict.fromkeys(DAYS, "kept")
    day_lake.add("acme", DAYS[1])
    assert backfill(day_lake) == {DAYS[0]: "kept", DAYS[1]: "done"}
    assert sum(each["total"] for each in windows(day_lake)) > sum(each["total"] for each in counted)


@pytest.mark.slow
def test_a_day_that_is_gone_keeps_what_was_counted(day_lake):
    """Where the records of a day are not there any more, as after a purge, neither its windows nor its results change."""
    day_lake.add("acme", DAYS[0])
    assert backfill(day_lake) == {DAYS[0]: "done"}
    query = f"select * from quality_results where day = '{DAYS[0]}' order by all"
    before = windows(day_lake), day_lake.rows("acme", query)
    assert all(before)
    empty_day(day_lake, DAYS[0])
    assert backfill(day_lake, "--again") == {}
    assert (windows(day_lake), day_lake.rows("acme", query)) == before


def empty_day(lake, day):
    """Take the files of a day out of every table of records, as a purge's commit does."""
    from deltalake import DeltaTable

    for table in ("spans", "contents", "logs", "audit_events", "metrics"):
        DeltaTable(str(lake.path / "tables" / table)).delete(f"tenant_id = 'acme' and day = '{day}'")


def test_one_at_a_time_and_what_died_is_failed(day_lake):
    """A second backfill beside one is refused; a run that a killed one left is failed by the next, and not by `up`."""
    day_lake.add("acme", DAYS[0])
    lock = FileLock(day_lake.path / "run" / "job-backfill.lock")
    assert lock.acquire(holder="another")
    code, out = day_lake.muniment("jobs", "backfill", "--from", FIRST, "--to", LAST)
    lock.release()
    assert code != 0
    assert "one under way by another" in out
    with dg.DagsterInstance.from_config(str(instance_home(find_lake(day_lake.path)))) as instance:
        run = dg.DagsterRun(
            job_name="daily_findings", status=dg.DagsterRunStatus.STARTED, tags={BY_COMMAND: "backfill"}
        )
        instance.add_run(run)
        assert fail_lost_runs(instance) == 0
        assert backfill(day_lake) == {DAYS[0]: "done"}
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "soon"), "expected a date such as"),
        (("--from", LAST, "--to", FIRST), "the first one first"),
        (("--from", "2020-01-01"), "expected days from 2023-01-01"),
        (("--from", FIRST, "--tenant", "nobody"), "nobody"),
    ],
)
def test_what_is_wrong_is_said(day_lake, words, said):
    """Days that are none, that have no partition, and tenants that are not there, before anything runs."""
    code, out = day_lake.muniment("jobs", "backfill", *words)
    assert code == 2
    assert said in " ".join(out.split())
    assert not (day_lake.path / "dagster").exists()
