"""A day's assets on a real lake in a real Dagster instance: what they leave, what fails them, and which days the sensor asks for."""

import datetime as dt
import time
from pathlib import Path

import dagster as dg
import pytest

from muniment.jobs import ScheduledWork
from pipelines.daily import TENANTS_TAG
from pipelines.daily_checks import missing_result
from pipelines.definitions import defs, make_definitions
from pipelines.errors import JobError
from pipelines.findings import QualityOutcome
from pipelines.jobs import SuiteResult
from pipelines.lake import LakeResource
from pipelines.quality.suites import METHOD
from tests.days import TODAY, YESTERDAY
from tests.processes import start_code
from warehouse.commit import open_stores
from warehouse.lake import find_lake
from warehouse.maintenance import MaintenanceConfig, run_maintenance

WAIT_SECONDS = 480
ASSETS = ("slo_windows", "derived_events", "incidents", "quality_results")


def metadata_of(result, asset):
    (event,) = result.asset_materializations_for_node(asset)
    assert event.partition == YESTERDAY.isoformat()
    return {name: value.value for name, value in event.metadata.items()}


def checks_of(result):
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_a_day_leaves_counts_ranges_and_the_way_to_its_rows(instance, day_lake):
    """What a run shows is what the tables hold, and the command that it names shows the rows; a second run changes neither."""
    result = day_lake.run(instance, "new_records", YESTERDAY)
    assert result.success
    slos, quality = metadata_of(result, "slo_windows"), metadata_of(result, "quality_results")
    query = "select sum(total)::int as n, min(first_index) as a, max(last_index) as b from slo_windows"
    query += f" where day = '{YESTERDAY}'"
    (counted,) = day_lake.rows("acme", query)
    assert slos["events"] == counted["n"] > 0
    assert slos["events_added"] >= counted["n"]  # those of the lake itself are today's
    assert list(slos["ranges"].values()) == [[counted["a"], counted["b"]]]
    assert slos["covered"]["acme"] == round(1 / 288, 4)
    assert quality["tenants_with_records"] == 1
    assert quality["failed"] == quality["errored"] == quality["unexpected"] == 0
    command = quality["rows"].split('"')[1]
    shown = [each for each in day_lake.rows("acme", command) if each["method"] == "sql" and each["shard"] is None]
    assert len(shown) == quality["passed"] + quality["empty"]
    assert metadata_of(result, "derived_events")["tenants"] == metadata_of(result, "incidents")["tenants"] == 3
    found = checks_of(result)
    assert all(each.passed for each in found.values()), found
    assert "spans_sample_sound" not in found  # suites are for the daily job
    assert "logs_sound" not in found  # nothing to look at is no evaluation
    assert {found[name].partition for name in ("spans_sound", "no_indicator_silent")} == {YESTERDAY.isoformat()}
    tables = (
        f"select sli, total, good from slo_windows where day = '{YESTERDAY}' order by all",
        "select check_name, outcome from quality_results order by all",
    )
    before = [day_lake.rows("acme", query) for query in tables]
    again = day_lake.run(instance, "new_records", YESTERDAY)
    assert metadata_of(again, "slo_windows")["events"] == slos["events"]
    assert [day_lake.rows("acme", query) for query in tables] == before


ONE_RUN = """
from pathlib import Path
from muniment.jobs import open_jobs
print(open_jobs(Path({path!r})).compute_slos("acme").events)
"""


def test_two_who_count_at_once_count_once(day_lake):
    """Two processes at the same tenant, as a run and the loop of `up` are, count each record once between them."""
    logs = [day_lake.path.parent / f"{number}.log" for number in range(2)]
    running = [start_code(ONE_RUN.format(path=str(day_lake.path)), log=log) for log in logs]
    assert [process.wait(WAIT_SECONDS) for process in running] == [0, 0]
    added = [int(log.read_text().splitlines()[-1]) for log in logs]
    (counted,) = day_lake.rows("acme", "select (sum(total) + sum(not_valid))::int as n from slo_windows")
    assert sorted(added) == [0, counted["n"]]


@pytest.mark.parametrize(
    ("found", "passed", "severity"),
    [
        ([("completeness-spans-counted", "failed", 58, 29)], False, dg.AssetCheckSeverity.ERROR),
        ([("completeness-spans-counted", "unmeasured", None, None)], None, None),
        ([("completeness-spans-counted", "errored", None, None, "OutOfMemory")], False, dg.AssetCheckSeverity.WARN),
        (
            [("completeness-spans-counted", "unmeasured", None, None), ("completeness-roots-present", "passed", 3, 0)],
            True,
            dg.AssetCheckSeverity.WARN,
        ),
    ],
)
def test_what_senders_count_decides_how_grave_it_is(found, passed, severity):
    """Less than a sender counted is an error, what could not be counted a warning; of a day that nobody counted nothing is said."""
    results = list(missing_result([QualityOutcome("acme", *each) for each in found]))
    assert [(each.passed, each.severity) for each in results] == ([] if passed is None else [(passed, severity)])


def test_what_is_not_as_it_should_be_fails_its_check(instance, day_lake):
    """A table with a record that may not be is an error, named by tenant and check, one that is not whole a warning; the run succeeds."""
    day_lake.add("beta", YESTERDAY, count=1, tokens=200_000_000, dropped=2)
    result = day_lake.run(instance, "new_records", YESTERDAY, assets=["quality_results"])
    assert result.success
    found = checks_of(result)["spans_sound"]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.metadata["outcome"].value == "failed"
    assert found.metadata["failed"].value == ["beta: spans-tokens-sane"]
    assert found.metadata["unexpected"].value == {"spans-tokens-sane": 1}
    missing = checks_of(result)["nothing_missing"]
    assert (missing.passed, missing.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert missing.metadata["failed"].value == ["beta: completeness-spans-whole"]
    assert missing.metadata["unexpected"].value == {"completeness-spans-whole": 1}
    assert checks_of(result)["every_check_ran"].passed


def test_what_could_not_be_counted_is_no_failure_and_no_pass(instance, day_lake, monkeypatch):
    """A check whose query fails is errored: a warning that nothing is known, and an error that not everything ran."""
    from dataclasses import replace

    from muniment import quality

    broken = [
        replace(each, expected="no_such_column") if each.name == "spans-no-card" else each for each in quality.CHECKS
    ]
    monkeypatch.setattr(quality, "CHECKS", tuple(broken))
    found = checks_of(day_lake.run(instance, "new_records", YESTERDAY, assets=["quality_results"]))
    assert not found["spans_sound"].passed
    assert found["spans_sound"].severity is dg.AssetCheckSeverity.WARN
    assert found["spans_sound"].metadata["outcome"].value == "errored"
    assert found["spans_sound"].metadata["errored"].value == ["acme: spans-no-card"]
    assert not found["every_check_ran"].passed
    assert found["every_check_ran"].severity is dg.AssetCheckSeverity.ERROR


class SuiteWork(ScheduledWork):
    """A lake of which suites find what a test says."""

    def check_suites(self, tenant, day):
        """One that failed, one that errored, one that passed, and one with nothing to look at."""
        return (
            SuiteResult("suite-spans-tokens-sane", "spans", "failed", 3, 1, "unexpected at main-1 0"),
            SuiteResult("suite-logs-no-mail", "logs", "errored", None, None, "ExpectationError"),
            SuiteResult("suite-contents-no-card", "contents", "passed", 3, 0),
            SuiteResult("suite-audit-events-no-card", "audit_events", "empty", 0, 0),
        )


class SuiteLake(LakeResource):
    """The same as a resource."""

    @property
    def jobs(self):
        return SuiteWork(find_lake(Path(self.path)))


def test_each_suite_is_a_check_and_errored_is_told_apart(instance, day_lake):
    """Failed is an error, errored a warning beside the check that not every suite ran, empty is not evaluated."""
    result = day_lake.run(
        instance, "daily_findings", YESTERDAY, lake=SuiteLake(path=str(day_lake.path)), assets=["quality_results"]
    )
    assert result.success
    found = {name: each for name, each in checks_of(result).items() if name.endswith("sample_sound")}
    assert {name: (each.passed, each.severity.value) for name, each in found.items()} == {
        "spans_sample_sound": (False, "ERROR"),
        "logs_sample_sound": (False, "WARN"),
        "contents_sample_sound": (True, "WARN"),
    }
    assert found["logs_sample_sound"].metadata["outcome"].value == "errored"
    assert checks_of(result)["every_suite_ran"].metadata["errored"].value == [
        "acme: suite-logs-no-mail: ExpectationError"
    ]


def test_suites_run_in_the_daily_job(instance, day_lake):
    """The real ones look at the day's sample, and keep what they found beside the exact counts."""
    found = checks_of(day_lake.run(instance, "daily_findings", YESTERDAY, assets=["quality_results"]))
    assert found["spans_sample_sound"].passed
    assert found["every_suite_ran"].passed
    methods = {each["method"] for each in day_lake.rows("acme", "select distinct method from quality_results")}
    assert methods >= {"sql", METHOD}


def test_a_tenant_that_fails_keeps_no_other_from_its_day(instance, day_lake):
    """The run fails at its end and names the tenant; the others' results stand."""
    result = day_lake.run(
        instance, "new_records", YESTERDAY, assets=["quality_results"], tags={TENANTS_TAG: "acme,nobody"}
    )
    assert not result.success
    failures = {each.step_key: each.step_failure_data.user_failure_data for each in result.get_step_failure_events()}
    assert set(failures["quality_results"].metadata["failed"].value) == {"nobody"}
    assert "1 of 2 tenants failed" in failures["quality_results"].description
    assert day_lake.rows("acme", "select count(*)::int as n from quality_results where outcome = 'passed'")[0]["n"] > 0


def test_an_open_grave_incident_fails_a_check_until_it_is_closed(instance, day_lake):
    """One of severity high or critical is an error while it is open, a warning while it is mitigated, and passes once closed."""
    from pipelines.daily_checks import no_grave_incident_open
    from pipelines.findings import FoundIncident

    class Work(ScheduledWork):
        def running_incidents(self):
            return [
                FoundIncident("i1", "acme", "rule", severity, state, "docs/runbooks/rule.md")
                for severity, state in self.said
            ]

    def judged(*said):
        work = Work(find_lake(day_lake.path))
        object.__setattr__(work, "said", said)

        class Lake(LakeResource):
            @property
            def jobs(self):
                return work

        return no_grave_incident_open(Lake(path=str(day_lake.path)))

    assert judged(("medium", "opened")).passed
    opened = judged(("critical", "acknowledged"), ("high", "mitigated"))
    assert (opened.passed, opened.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert opened.metadata["count"].value == 2
    assert judged(("high", "mitigated")).severity is dg.AssetCheckSeverity.WARN


def test_an_indicator_that_falls_silent_is_named(day_lake):
    """Counted the day before and not on this one, though others were: what was measured is not any more."""
    work = ScheduledWork(find_lake(day_lake.path))
    day_lake.add("acme", TODAY, operation="chat")
    work.compute_slos("acme")
    assert work.slo_day("acme", YESTERDAY).silent == ()
    found = work.slo_day("acme", TODAY)
    assert "task-success" in found.silent
    assert not set(found.silent) & set(found.events)
    assert (
        work.slo_day("acme", TODAY + dt.timedelta(days=1)).silent == ()
    )  # nothing was counted: that is another matter


def tick(instance, day_lake, cursor=None):
    """What the sensor asks for: tenants by day, the cursor, and why it asks for nothing."""
    lake = LakeResource(path=str(day_lake.path))
    made = make_definitions(lake)
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=made.get_repository_def(), resources={"lake": lake}
    ) as context:
        data = made.resolve_sensor_def("new_records_sensor").evaluate_tick(context)
    asked = {dt.date.fromisoformat(each.partition_key): each.tags[TENANTS_TAG].split(",") for each in data.run_requests}
    return asked, data.cursor, data


def test_the_sensor_asks_for_exactly_what_is_new(instance, day_lake):
    """Days and tenants whose records came since the last look, nothing twice, and nothing for what was worked out of them."""
    old, older = YESTERDAY - dt.timedelta(days=20), YESTERDAY - dt.timedelta(days=21)
    asked, cursor, data = tick(instance, day_lake)
    own = {day: asked.pop(day) for day in list(asked) if day >= TODAY}
    assert set(map(tuple, own.values())) == {("_lake",)}  # what init and import recorded
    assert asked == {YESTERDAY: ["acme"]}
    observed = {each.asset_key.to_user_string(): each.tags["dagster/data_version"] for each in data.asset_events}
    assert observed["spans"] == str(ScheduledWork(find_lake(day_lake.path)).table_versions()["spans"])
    asked, cursor, data = tick(instance, day_lake, cursor)
    assert asked == {}
    assert data.skip_message == "no new records"
    day_lake.add("beta", old, older)
    day_lake.add("acme", older)
    work = ScheduledWork(find_lake(day_lake.path))
    assert work.compute_slos("acme").windows
    assert work.check_quality("acme", YESTERDAY)
    asked, cursor, _ = tick(instance, day_lake, cursor)
    assert asked == {old: ["beta"], older: ["acme", "beta"]}
    assert tick(instance, day_lake, cursor)[0] == {}


def test_the_sensor_misses_nothing_when_log_entries_are_gone(instance, day_lake):
    """Entries that clean-up took are made up for by the live files; merging files asks for nothing."""
    old, older = YESTERDAY - dt.timedelta(days=20), YESTERDAY - dt.timedelta(days=21)
    _, cursor, _ = tick(instance, day_lake)
    day_lake.add("acme", old)
    lake = find_lake(day_lake.path)
    config = MaintenanceConfig(checkpoint_entries=1)
    for _ in range(2):
        run_maintenance(lake, open_stores(lake), config=config, clock=time.time_ns)
    asked, cursor, _ = tick(instance, day_lake, cursor)
    assert asked[old] == ["acme"]
    day_lake.add("beta", older)
    assert set(tick(instance, day_lake, cursor)[0]) == {older}


def test_tables_are_observed_with_the_version_of_their_log(instance, day_lake):
    """The data version of a table is its Delta version; nothing is opened for it."""
    lake = LakeResource(path=str(day_lake.path))
    made = make_definitions(lake)
    job = made.resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(name) for name in ("spans", "audit_events")]
    result = job.execute_in_process(instance=instance, asset_selection=keys)
    observed = result.asset_observations_for_node("tables")
    seen = {each.asset_key.to_user_string(): each.tags["dagster/data_version"] for each in observed}
    versions = ScheduledWork(find_lake(day_lake.path)).table_versions()
    assert seen == {name: str(versions[name]) for name in ("spans", "audit_events")}


def test_the_graph_is_the_way_of_the_data():
    """Agents, collectors, journal, tables and ledger, then what is worked out of them, then the pages."""
    graph = defs.resolve_asset_graph()
    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    tables = {"audit_events", "contents", "logs", "metrics", "spans"}
    assert parents == {
        "agents": set(),
        "collectors": {"agents"},
        "journal": {"collectors"},
        **{table: {"journal"} for table in tables},
        "ledger": {"journal"},
        "slo_windows": tables,
        "derived_events": {"spans"},
        "incidents": {*tables, "derived_events", "slo_windows"},
        "quality_results": tables,
        "maintained_tables": tables,
        "purged_records": tables,
        "searched_files": tables,
        "verified_checkpoints": {*tables, "ledger"},
        "verified_records": {*tables, "ledger"},
        "evidence_packs": {*tables, "ledger"},
        "dashboards": {"slo_windows", "incidents", "quality_results", "verified_checkpoints", "evidence_packs"},
    }
    groups = {graph.get(dg.AssetKey(name)).group_name for name in ASSETS}
    assert groups == {"pipelines"}
    assert {graph.get(dg.AssetKey(name)).group_name for name in tables} == {"warehouse"}


@pytest.mark.parametrize("name", [*ASSETS, "purged_records", "verified_checkpoints"])
def test_what_is_scheduled_has_a_freshness_policy(name):
    """Each fails where it was not materialized for somewhat longer than its schedule's interval."""
    policy = defs.resolve_asset_graph().get(dg.AssetKey(name)).freshness_policy
    hours = policy.fail_window.to_timedelta() / dt.timedelta(hours=1)
    assert hours == (3 if name == "verified_checkpoints" else 26)


def test_yesterday_is_asked_for_each_night(instance):
    """The daily schedule asks for one run, of the day that has ended."""
    made = make_definitions(LakeResource(path="nowhere"))
    schedule = made.resolve_schedule_def("findings_daily")
    at = dt.datetime(2026, 11, 25, 1, 20, tzinfo=dt.UTC)
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=made.get_repository_def()
    ) as context:
        (asked,) = schedule.evaluate_tick(context).run_requests
    assert asked.partition_key == "2026-11-24"
    assert TENANTS_TAG not in asked.tags


def test_a_problem_quotes_no_value(day_lake):
    """What an engine quotes of the values that it met does not leave a job."""
    with pytest.raises(JobError) as raised:
        ScheduledWork(find_lake(day_lake.path)).compute_slos("jane.roe@mail.example")
    assert "jane.roe" not in str(raised.value)
