"""Scheduled work on a real lake in a real Dagster instance: what it does, what it leaves in Dagster's storage, and that repeating is safe."""

import json
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from muniment.cli.app import run
from muniment.jobs import ScheduledWork, open_jobs
from pipelines.definitions import defs, make_definitions
from pipelines.errors import JobError
from pipelines.history import fail_lost_runs, forget_runs
from pipelines.lake import LakeResource
from tests.days import YESTERDAY, unix_nano
from tests.template import init_lake, made_once
from warehouse.clock import system_clock
from warehouse.lake import find_lake

DAY_NANOS = 86_400_000_000_000
LATER_DAYS = 800
PERSON = "jane.roe@mail.example"


class LaterLake(LakeResource):
    """The lake as it is some days from now."""

    days: int = 0

    @property
    def jobs(self):
        return ScheduledWork(find_lake(Path(self.path)), lambda: system_clock() + self.days * DAY_NANOS)


def spans(count):
    start = unix_nano(YESTERDAY)
    return {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}", "name": f"call {PERSON}",
                                "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 1),
                                "attributes": [{"key": "gen_ai.prompt", "value": {"stringValue": "hello"}}],
                            }
                            for number in range(count)
                        ]
                    }
                ]
            }
        ]
    }  # fmt: skip


def make_lake(folder):
    """A lake with the tenant acme and eight spans."""
    init_lake(folder, "acme")
    file = folder.parent / "spans.jsonl"
    file.write_text(json.dumps(spans(8)) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(folder)]) == 0


@pytest.fixture
def lake_path(tmp_path):
    """Such a lake."""
    return made_once(make_lake, tmp_path / "lake")


def execute(job, instance, lake, days=0, **more):
    """One run of a job on the lake as it is some days from now."""
    made = make_definitions(LaterLake(path=str(lake), days=days))
    return made.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **more)


def metadata_of(result, asset):
    (event,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def retention(instance, lake, days=LATER_DAYS):
    instance.add_dynamic_partitions("tenants", ["acme"])
    return execute("retention", instance, lake, days, partition_key="acme")


def checks(instance, lake, days):
    result = execute("retention_checks", instance, lake, days)
    assert result.success
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_suites_of_a_day_are_run_and_kept(lake_path):
    """Each table's suite looks at the day; where there was nothing to look at nothing passes; results leave without a value."""
    found = {each.name: each for each in open_jobs(lake_path).check_suites("acme", YESTERDAY)}
    assert {each.table for each in found.values()} == {"spans", "audit_events", "logs", "contents", "metrics"}
    ids = found["suite-spans-ids-well-formed"]
    assert (ids.outcome, ids.sampled, ids.unexpected, ids.detail) == ("passed", 8, 0, "")
    # the prompt, which alone told the dialect, is kept in contents
    dialect = found["suite-spans-dialect-known"]
    assert (dialect.outcome, dialect.sampled, dialect.unexpected) == ("failed", 8, 8)
    assert re.fullmatch(r"unexpected at import-\w+ 0(, import-\w+ \d){4}", dialect.detail)
    assert {each.outcome for each in found.values() if each.table == "metrics"} == {"empty"}
    assert "errored" not in {each.outcome for each in found.values()}
    assert PERSON not in repr(found)
    assert run(["quality", "show", "--tenant", "acme", "--day", YESTERDAY.isoformat(), "--lake", str(lake_path)]) == 1
    with pytest.raises(JobError, match="expected one of the lake's"):
        open_jobs(lake_path).check_suites("nobody", YESTERDAY)


def test_a_purge_shows_counts_and_its_certificate(instance, lake_path):
    """A run's metadata has rows by table, bytes, and the certificate's file and hash; a second run finds nothing to do."""
    result = retention(instance, lake_path)
    assert result.success
    found = metadata_of(result, "purged_records")
    assert found["purges"] == 1
    assert found["rows_by_table"]["spans"] == 8
    assert found["bytes_freed"] > 0
    certificate = Path(found["certificate"])
    assert certificate.is_file()
    assert certificate.name == found["certificate_sha256"]
    again = retention(instance, lake_path)
    assert again.success
    assert metadata_of(again, "purged_records")["rows_by_table"].get("spans", 0) == 0


ONE_RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
import dagster as dg
import test_jobs
with dg.DagsterInstance.get() as instance:
    result = test_jobs.retention(instance, sys.argv[2])
    rows = test_jobs.metadata_of(result, "purged_records")["rows_by_table"] if result.success else None
    print(json.dumps(rows))
"""


def test_two_runs_at_once_purge_once(instance, lake_path):
    """Overlapping runs, each a process of its own as the daemon starts them, both end well and delete each record once."""
    instance.add_dynamic_partitions("tenants", ["acme"])
    command = [sys.executable, "-c", ONE_RUN, str(Path(__file__).parent), str(lake_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [process.communicate(timeout=480)[0].splitlines()[-1] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(json.loads(line).get("spans", 0) for line in ended) == [0, 8]


def test_maintenance_under_way_is_left_to_who_does_it(instance, lake_path):
    """A round that finds another one under way does nothing and ends well; the next one works."""
    from warehouse.locks import FileLock

    lock = FileLock(lake_path / "run" / "job-maintenance.lock")
    assert lock.acquire(holder="test")
    skipped = execute("maintenance", instance, lake_path)
    lock.release()
    done = execute("maintenance", instance, lake_path)
    assert metadata_of(skipped, "maintained_tables")["left_to_another_round"] is True
    assert metadata_of(done, "maintained_tables")["left_to_another_round"] is False


def test_what_should_have_gone_fails_a_check_until_it_does(instance, lake_path):
    """Records 26 hours past their rule are named by table; after the purge nothing is."""
    before = checks(instance, lake_path, LATER_DAYS)["nothing_older_than_its_rule"]
    assert not before.passed
    assert before.severity is dg.AssetCheckSeverity.ERROR
    assert {each["table"] for each in before.metadata["overdue"].value if each["tenant"] == "acme"} >= {"spans"}
    assert retention(instance, lake_path).success
    after = checks(instance, lake_path, LATER_DAYS)["nothing_older_than_its_rule"]
    assert [each for each in after.metadata["overdue"].value if each["tenant"] == "acme"] == []


def test_a_new_lake_passes_every_check(instance, lake_path):
    """Nothing is due, nobody was left out, each table has its rule."""
    assert {name: each.passed for name, each in checks(instance, lake_path, 0).items()} == {
        "nothing_older_than_its_rule": True,
        "no_purge_skipped": True,
        "no_table_without_a_rule": True,
    }


def test_a_tenant_without_a_run_fails_a_check(instance, lake_path):
    """Two days after it was added, a tenant that no run purged is named."""
    check = checks(instance, lake_path, 2)["no_purge_skipped"]
    assert not check.passed
    assert {each["tenant"] for each in check.metadata["skipped"].value} == {"_lake", "acme"}


def test_a_run_counts_for_its_tenant(instance, lake_path):
    """A successful run a moment ago is a run within 26 hours, also where nothing was due."""
    assert retention(instance, lake_path, days=0).success
    check = checks(instance, lake_path, 1)["no_purge_skipped"]
    assert check.passed
    check = checks(instance, lake_path, 2)["no_purge_skipped"]
    assert "the last run ended 48 h ago" in {each["why"].partition(";")[0] for each in check.metadata["skipped"].value}


def test_a_table_that_no_rule_knows_fails_a_check(instance, lake_path):
    """A Delta table beside the lake's own would be kept for ever."""
    (lake_path / "tables" / "stray" / "_delta_log").mkdir(parents=True)
    check = checks(instance, lake_path, 0)["no_table_without_a_rule"]
    assert not check.passed
    assert check.metadata["without_rule"].value == ["stray"]


def test_verification_remembers_and_a_cut_log_fails_it(instance, lake_path):
    """The first run is consistent by the lake's keys, the second proved by memory; a log put back is broken and fails the run."""
    checkpoints = {file: file.read_bytes() for file in lake_path.glob("ledger/acme/*/checkpoint")}
    first = execute("verification", instance, lake_path)
    assert metadata_of(first, "verified_checkpoints")["result"] == "consistent"
    second = execute("verification", instance, lake_path)
    assert second.success
    assert metadata_of(second, "verified_checkpoints")["findings"] == {}
    for file in checkpoints:
        file.unlink()
    broken = execute("verification", instance, lake_path)
    assert not broken.success
    (event,) = broken.get_step_failure_events()
    assert event.step_failure_data.user_failure_data.metadata["result"].value == "broken"


def test_what_was_purged_is_searched_for_again(instance, lake_path):
    """The weekly search reads every certificate; a file that was put back fails it."""
    files = {file: file.read_bytes() for file in lake_path.glob("tables/spans/**/*.parquet")}
    assert retention(instance, lake_path).success
    found = metadata_of(execute("rescan", instance, lake_path), "searched_files")
    assert found["certificates"] == 1
    assert found["problems"] == []
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    again = execute("rescan", instance, lake_path)
    assert not again.success
    assert "searched_files" in {event.step_key for event in again.get_step_failure_events()}


def test_an_error_names_no_person(lake_path):
    """What is raised may be stored: a message that quotes a person is redacted first, and has no cause to tell more."""
    with pytest.raises(JobError) as raised:
        ScheduledWork(find_lake(lake_path)).purge(PERSON)
    assert PERSON not in str(raised.value)
    assert "expected one of this lake's" in str(raised.value)
    assert raised.value.__suppress_context__


def test_nothing_of_a_record_is_in_the_storage(instance, lake_path, tmp_path):
    """After purges, checks and failures neither a name nor an attribute of a span stands anywhere below the home."""
    retention(instance, lake_path)
    checks(instance, lake_path, LATER_DAYS)
    execute("retention", instance, lake_path, partition_key="acme")
    files = [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert any(b"purged_records" in file.read_bytes() for file in files)
    assert not [file for file in files if b"jane.roe" in file.read_bytes() or b"gen_ai.prompt" in file.read_bytes()]


def test_a_new_tenant_is_in_the_next_schedule(instance, lake_path, capfd):
    """Partitions are made when the schedule is due: nothing is started again for a new tenant."""
    made = make_definitions(LaterLake(path=str(lake_path)))
    schedule = made.resolve_schedule_def("retention_daily")

    def partitions():
        with dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=system_instant(),
            repository_def=made.get_repository_def(),
            resources={"lake": LaterLake(path=str(lake_path))},
        ) as context:
            requests = schedule.evaluate_tick(context).run_requests
        return {each.partition_key for each in requests}

    assert partitions() == {"_lake", "acme"}
    assert run(["tenant", "add", "beta", "--lake", str(lake_path)]) == 0
    assert partitions() == {"_lake", "acme", "beta"}
    assert instance.has_dynamic_partition("tenants", "beta")


def system_instant():

    return datetime.fromtimestamp(system_clock() // 1_000_000_000, tz=UTC)


def test_runs_that_died_are_failed_and_old_ones_forgotten(instance, lake_path):
    """A run that was under way when the machine died does not block the next; what ended long ago goes with its events."""
    execute("maintenance", instance, lake_path)
    lost = instance.create_run_for_job(
        make_definitions(LaterLake(path=str(lake_path))).resolve_job_def("verification"),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert fail_lost_runs(instance) == 1
    assert instance.get_run_by_id(lost.run_id).status is dg.DagsterRunStatus.FAILURE
    assert forget_runs(instance, system_instant() + timedelta(days=3)) == 1
    assert [each.job_name for each in instance.get_runs()] == ["verification"]
    assert forget_runs(instance, system_instant() + timedelta(days=91)) == 1


def test_definitions_load_without_a_lake(monkeypatch):
    """Loading reads no lake and no variable; opening one that is not there says so."""
    monkeypatch.delenv("MUNIMENT_LAKE", raising=False)
    dg.Definitions.validate_loadable(defs)
    with pytest.raises(JobError, match="no lake in"):
        open_jobs(Path("/nonexistent/lake"))


def test_the_state_of_the_scheduler_is_read_without_dagster(instance, lake_path, tmp_path):
    """Newest run of each job, and None before Dagster ever ran; a file of another kind is reported."""
    from pipelines.state import scheduler_state

    assert scheduler_state(tmp_path / "elsewhere") is None
    execute("maintenance", instance, lake_path)
    state = scheduler_state(tmp_path / "home")
    assert state.last_runs["maintenance"].status == "success"
    assert abs(state.last_runs["maintenance"].asked_unix_nano - system_clock()) < 3600 * 1_000_000_000
    assert state.heartbeat_unix_nano is None
    other = tmp_path / "other" / "history"
    other.mkdir(parents=True)
    sqlite3.connect(other / "runs.db").close()
    assert "no such table" in scheduler_state(tmp_path / "other").problem
