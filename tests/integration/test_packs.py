"""Packs on schedule: one a framework and month, once; kept as long as the settings say, and longer under a hold."""

import dataclasses
import json
import os
import sqlite3
import zipfile
from contextlib import closing
from datetime import UTC, datetime

import dagster as dg
import pytest

from governance.evidence.standalone import PROVED, verify_pack
from muniment.cli.app import run
from muniment.evidence import build_pack
from muniment.jobs import ScheduledWork
from muniment.pack_months import Month
from muniment.packs import _forget, list_lacking, list_packs, run_packs
from muniment.proving import public_keys
from muniment.wiring import command_context
from pipelines.definitions import make_definitions
from pipelines.lake import LakeResource
from tests.template import init_lake, made_once
from warehouse.errors import SettingsError, UnavailableError
from warehouse.lake import find_lake

DAY = 86_400_000_000_000
OCTOBER = 1_790_812_800_000_000_000  # 2026-10-01T00:00:00Z
NOVEMBER_2 = OCTOBER + 32 * DAY


def make_lake(folder):
    """A lake with one change of October that nobody approved."""
    init_lake(folder, "acme")
    attributes = {"event.name": "model.switched", "audit.actor.id": "bob", "audit.outcome": "success"}
    record = {
        "timeUnixNano": str(OCTOBER + DAY),
        "eventName": "model.switched",
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
    file = folder.parent / "events.jsonl"
    file.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(folder)]) == 0
    created(folder, OCTOBER)


def created(lake, unix_nano):
    """Say since when the tenant is there."""
    with closing(sqlite3.connect(lake / "control.db")) as database, database:
        database.execute("update tenants set created_unix_nano = ?", [unix_nano])


@pytest.fixture
def lake(tmp_path):
    """Such a lake."""
    return made_once(make_lake, tmp_path / "lake")


def configure(lake, text):
    """Add to the lake's settings."""
    settings = lake / "muniment.yaml"
    settings.write_text(settings.read_text() + text)


def context_at(lake, now):
    """A context whose clock says `now`."""
    return dataclasses.replace(command_context(lake), clock=lambda: now)


def purged(lake, capfd):
    """Names of the packs whose deletion is in the tenant's log."""
    capfd.readouterr()
    query = "select resource_id from audit_events where event_name = 'retention.purged' and resource_type = 'pack'"
    assert run(["sql", query, "--tenant", "acme", "--format", "json", "--lake", str(lake)]) == 0
    return [row["resource_id"] for row in json.loads(capfd.readouterr().out)]


@pytest.mark.parametrize(
    ("now", "month"),
    [
        (OCTOBER - 1, "2026-08"),
        (OCTOBER, "2026-09"),
        (NOVEMBER_2, "2026-10"),
        (OCTOBER + 92 * DAY, "2026-12"),
        (OCTOBER + 92 * DAY - 1, "2026-11"),
    ],
)
def test_the_month_is_the_last_that_ended(now, month):
    """To the nanosecond, over the end of a year too."""
    found = Month.before(now)
    assert str(found) == month
    assert found.from_unix_nano < found.to_unix_nano <= now


def test_a_month_is_built_once(lake):
    """A pack for each framework that the settings name; the next round finds it there; the lake's key proves it."""
    configure(lake, "\nevidence: {frameworks: [soc2, gdpr]}\n")
    context = context_at(lake, NOVEMBER_2)
    first = run_packs(context, "acme")
    assert [each.file.name for each in first.built] == ["soc2-2026-10.zip", "gdpr-2026-10.zip"]
    assert run_packs(context, "acme").built == ()
    vkey = public_keys(context)[0].vkey
    with zipfile.ZipFile(first.built[0].file) as archive:
        findings = {each["id"]: each["state"] for each in json.loads(archive.read("manifest.json"))["controls"]}
    assert findings["CC8.1"] == "not satisfied"
    assert all(verify_pack(each.file, [vkey]).result == PROVED for each in first.built)
    assert all(each.file.stat().st_mode & 0o077 == 0 for each in first.built)


def test_months_that_were_missed_are_built_the_oldest_first(lake, capfd):
    """As many at once as a round takes; the next rounds go on, until each month since the tenant is there has its pack."""
    configure(lake, "\nevidence: {frameworks: [soc2]}\n")
    created(lake, OCTOBER - 40 * DAY)
    context = context_at(lake, NOVEMBER_2)
    first = run_packs(context, "acme", most=2)
    assert [each.file.name for each in first.built] == ["soc2-2026-08.zip", "soc2-2026-09.zip"]
    assert first.left == ("soc2-2026-10.zip",)
    assert list_lacking(context, "acme") == [("acme/soc2-2026-10.zip", "not built yet")]
    second = run_packs(context, "acme", most=2)
    assert ([each.file.name for each in second.built], second.left) == (["soc2-2026-10.zip"], ())
    assert run_packs(context, "acme").built == ()
    assert list_lacking(context, None) == []


def test_no_month_is_built_that_would_go_at_once(lake):
    """Years of downtime are built as far back as packs are kept."""
    configure(lake, "\nevidence: {frameworks: [soc2], keep_days: 45}\n")
    created(lake, OCTOBER - 400 * DAY)
    done = run_packs(context_at(lake, NOVEMBER_2), "acme")
    assert ([each.file.name for each in done.built], done.deleted) == (["soc2-2026-09.zip", "soc2-2026-10.zip"], ())


def test_a_pack_that_cannot_be_built_keeps_no_other_from_it(lake, monkeypatch):
    """The round ends with its error, and the months after it are there: it takes nobody's place in the round."""
    configure(lake, "\nevidence: {frameworks: [soc2]}\n")
    created(lake, OCTOBER - 10 * DAY)

    def build(context, **words):
        if words["to_unix_nano"] == OCTOBER:
            raise UnavailableError("September: records were deleted meanwhile")
        return build_pack(context, **words)

    monkeypatch.setattr("muniment.packs.build_pack", build)
    context = context_at(lake, NOVEMBER_2)
    with pytest.raises(UnavailableError, match="September"):
        run_packs(context, "acme", most=1)
    assert [str(each.month) for each in list_packs(context, "acme")] == ["2026-10"]


def test_the_schedule_goes_on_day_by_day(lake):
    """On the 2nd it asks for every tenant, on other days for those that lack a pack."""

    class November(LakeResource):
        @property
        def jobs(self):
            return ScheduledWork(find_lake(lake), lambda: NOVEMBER_2)

    configure(lake, "\nevidence: {frameworks: [soc2]}\n")

    definitions = make_definitions(November(path=str(lake)))
    schedule = definitions.resolve_schedule_def("evidence_packs_monthly")

    def asked(day):
        with dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 11, day, 4, 30, tzinfo=UTC),
            repository_def=definitions.get_repository_def(),
            resources={"lake": November(path=str(lake))},
        ) as context:
            return [each.partition_key for each in schedule.evaluate_tick(context).run_requests]

    assert schedule.cron_schedule == "30 4 2-31 * *"
    with dg.instance_for_test() as instance:
        assert (asked(2), asked(3)) == (["acme"], ["acme"])
        run_packs(context_at(lake, NOVEMBER_2), "acme")
        assert (asked(2), asked(3)) == (["acme"], [])


def test_what_was_kept_long_enough_goes_and_is_recorded(lake, capfd):
    """Not before `keep_days` after the month's end; then its deletion is an event, and the next months' packs stay."""
    configure(lake, "\nevidence: {frameworks: [soc2], keep_days: 40}\n")
    october = run_packs(context_at(lake, NOVEMBER_2), "acme").built[0].file
    day_before = OCTOBER + 71 * DAY - 1
    assert run_packs(context_at(lake, day_before), "acme").deleted == ()
    assert october.exists()
    done = run_packs(context_at(lake, day_before + 1), "acme")
    assert done.deleted == ("acme/soc2-2026-10.zip",)
    assert not october.exists()
    assert (october.parent / "soc2-2026-11.zip").exists()
    assert purged(lake, capfd) == ["acme/soc2-2026-10.zip"]


def test_a_hold_keeps_packs(lake, capfd):
    """While a hold of the tenant is in force, none goes."""
    configure(lake, "\nevidence: {frameworks: [soc2], keep_days: 40}\n")
    october = run_packs(context_at(lake, NOVEMBER_2), "acme").built[0].file
    words = ["hold", "place", "--tenant", "acme", "--reason", "case 7", "--everything-of-tenant", "--lake", str(lake)]
    assert run(words) == 0, capfd.readouterr()
    done = run_packs(context_at(lake, OCTOBER + 80 * DAY), "acme")
    assert (done.deleted, done.held) == ((), ("acme/soc2-2026-10.zip",))
    assert october.exists()


def test_the_asset_builds_a_tenants_packs(lake, tmp_path, monkeypatch):
    """Dagster's run leaves names and hashes as metadata, and the command lists what is there."""

    class November(LakeResource):
        @property
        def jobs(self):
            return ScheduledWork(find_lake(lake), lambda: NOVEMBER_2)

    configure(lake, "\nevidence: {frameworks: [soc2]}\n")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    definitions = make_definitions(November(path=str(lake)))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("tenants", ["acme"])
        done = definitions.resolve_job_def("evidence").execute_in_process(instance=instance, partition_key="acme")
        metadata = done.asset_materializations_for_node("evidence_packs")[0].metadata
    assert list(metadata["built"].value) == ["acme/soc2-2026-10.zip"]
    assert (lake / "packs" / "acme" / "soc2-2026-10.zip").is_file()
    assert run(["evidence", "packs", "--lake", str(lake)]) == 0


def test_a_framework_that_there_is_not_is_refused(lake):
    """By name, with those that there are."""
    configure(lake, "\nevidence: {frameworks: [iso-9001]}\n")
    with pytest.raises(SettingsError, match=r"soc2.*iso-9001"):
        run_packs(context_at(lake, NOVEMBER_2), "acme")


def test_what_a_killed_build_left_goes_with_time(lake):
    """It holds records as a pack does; one that may still be written stays."""
    folder = lake / "packs" / "acme"
    folder.mkdir(parents=True)
    left = folder / ".soc2-2026-09.zip.1.tmp"
    left.write_bytes(b"half")
    os.utime(left, ns=(NOVEMBER_2, NOVEMBER_2))
    for now, there in ((NOVEMBER_2 + DAY, True), (NOVEMBER_2 + DAY + 1, False)):
        _forget(context_at(lake, now), "acme", 0)
        assert left.exists() == there
