"""A page, the command and the pack give the same figure for the same question, figure by figure, of a lake that nothing changes meanwhile."""

import html
import io
import json
import re
import time
from types import SimpleNamespace

import pyarrow.csv as pc
import pytest
from streamlit.testing.v1 import AppTest

from muniment.cli.app import run
from muniment.desk import open_desk
from muniment.incident_handling import list_incidents
from muniment.recorder import Recorder
from muniment.wiring import command_context
from tests.e2e.evidence.conftest import event, events
from tests.e2e.evidence.test_pack import contents
from tests.template import init_lake

DAY = 86_400_000_000_000
SECOND = 1_000_000_000
DAYS = ["--from", "2026-10-01", "--to", "2026-10-31"]
TABLES = {"spans": "steps", "audit_events": "events", "logs": "log lines", "contents": "texts"}
POLICIES = {
    "retention": "retention:\n  - {name: all, tables: ['*'], keep: 2}\n  - {name: audit, tables: [audit_events], keep: 9000}\n",
    "slo": """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout, annotations: {muniment/minimum-events: "3"}}
spec:
  service: agents
  indicator:
    metadata: {name: checkout}
    spec:
      ratioMetric:
        rawType: failure
        raw:
          metricSource:
            type: muniment
            spec: {sql: "select time_unix_nano, shard, log_index, status_code is not distinct from 'ERROR' as bad from spans"}
  timeWindow: [{duration: 1d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.5}]
""",
    "incidents": """\
version: 1
rules:
  - id: failing
    title: Something fails
    severity: high
    runbook: failing.md
    group_by: [agent_id]
    reads: new
    sql: |
      select time_unix_nano, 'spans' as source_table, shard, log_index, trace_id, agent_id, 'It failed.' as detail
      from spans where status_code = 'ERROR'
""",
}


def span(number, days, agent=None):
    """A step of so many days ago; one of an agent failed."""
    start = time.time_ns() - int(days * DAY) - 60 * SECOND
    attributes = {"gen_ai.prompt": "hello", **({"gen_ai.agent.id": agent} if agent else {})}
    return {
        "traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}", "name": "chat",
        "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + SECOND),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
        **({"status": {"code": 2}} if agent else {}),
    }  # fmt: skip


def bring_in(lake, name, body):
    """Import a file."""
    file = lake.parent / name
    file.write_text(json.dumps(body) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(lake)]) == 0


def spans(*made):
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": list(made)}]}]}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake in which each figure is something: findings, incidents open and closed, holds, a purge, what is due, an error budget."""
    folder = init_lake(tmp_path_factory.mktemp("numbers") / "lake", "acme", "globex")
    for kind, text in POLICIES.items():
        for shipped in (folder / "policies" / kind).glob("*.yaml"):
            shipped.unlink()
        (folder / "policies" / kind / "own.yaml").write_text(text)
        assert run(["policy", "apply", kind, "--yes", "--lake", str(folder)]) == 0
    log = event(30, "") | {"body": {"stringValue": "a line"}, "timeUnixNano": str(time.time_ns())}
    log = {name: value for name, value in log.items() if name not in {"eventName", "attributes"}}
    bring_in(folder, "events.jsonl", {"resourceLogs": [{"scopeLogs": [{"logRecords": [*events(), log]}]}]})
    fresh = [span(number, 0, f"bot{number % 3}" if number < 4 else None) for number in range(11)]
    bring_in(folder, "spans.jsonl", spans(*fresh, *(span(number, 9) for number in range(20, 25))))
    acme = ["--tenant", "acme", "--lake", str(folder)]
    assert run(["retention", "apply", "--yes", *acme]) == 0
    bring_in(folder, "late.jsonl", spans(*(span(number, 8) for number in range(30, 33))))
    for number in (1, 2):
        assert run(["hold", "place", "--reason", "a dispute", "--trace", f"{number:032x}", *acme]) == 0
    assert run(["incident", "detect", *acme]) == 0
    (one, *_) = list_incidents(command_context(folder), "acme", states=None)
    assert run(["incident", "close", one.id, "--note", "a test", "--lake", str(folder)]) == 0
    assert run(["slo", "compute", *acme]) == 0
    return folder


@pytest.fixture(scope="module")
def still(lake):
    """Nobody's look is recorded from here on: every question below is asked of the very same records."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "record", lambda _self, _events: None)
        yield lake


@pytest.fixture(scope="module")
def pack(still, tmp_path_factory):
    """The files of a SOC 2 pack of October."""
    out = tmp_path_factory.mktemp("pack") / "pack.zip"
    words = ["evidence", "build", "--framework", "soc2", "--tenant", "acme", *DAYS, "--out", str(out)]
    assert run([*words, "--lake", str(still)]) == 0
    return contents(out)


def draw(name):
    """Draw one page: runs within Streamlit, by its text alone."""
    import importlib

    importlib.import_module(f"dashboards.{name}").show()


@pytest.fixture(scope="module")
def page(still):
    """A page as somebody who may see everything sees it: its texts, and its tables as rows."""
    desk = open_desk(still)
    viewer = desk.viewer(None)

    def look(name, **address):
        app = AppTest.from_function(draw, kwargs={"name": name}, default_timeout=120)
        app.session_state["desk"], app.session_state["tenant"], app.session_state["viewer"] = desk, "acme", viewer
        for key, value in address.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception
        assert not [each.value for each in app.error if "cannot be shown" in each.value]
        kinds = (app.text, app.warning, app.success, app.info, app.error, app.markdown)
        said = "\n".join(str(each.value) for kind in kinds for each in kind)
        return SimpleNamespace(said=said, tables=[frame.value.to_dict("records") for frame in app.dataframe])

    return look


@pytest.fixture
def told(still, capfd):
    """What a command says as JSON."""

    def ask(*words, code=0):
        capfd.readouterr()
        assert run([*words, "--lake", str(still)]) == code
        return json.loads(capfd.readouterr().out)

    return ask


def rows_with(found, column):
    """The table of a page that has this column."""
    (rows,) = [rows for rows in found.tables if rows and column in rows[0]]
    return rows


def number(pattern, text):
    """The figure that a text says."""
    return int(re.search(pattern, text)[1].replace(",", ""))


def test_rows_of_each_table(page, told):
    """Overview, `status` and a query count alike."""
    said = page("overview").said
    status = {row["table"]: row["rows"] for row in told("status", "--json")["tables"] if row["tenant_id"] == "acme"}
    for table, words in TABLES.items():
        query = f"select count(*) as n from {table}"
        (row,) = told("sql", query, "--tenant", "acme", "--format", "json")
        assert number(rf"([\d,]+) {words}", said) == status[table] == row["n"] > 0, table


def test_sizes_of_checkpoints(page, told, pack):
    """Integrity, `ledger list`, `verify` and the checkpoints in the pack name the same logs, sizes and roots; Overview their sum."""
    rows = {
        row["log"]: (row["record numbers"], row["root"])
        for row in rows_with(page("integrity"), "seal")
        if "/acme/" in row["log"]
    }
    listed = {
        log["origin"]: (log["size"], log["root"])
        for log in told("ledger", "list", "--json")
        if "/acme/" in log["origin"]
    }
    notes = [content.decode().split("\n") for name, content in pack.items() if name.startswith("checkpoints/")]
    assert rows == listed == {note[0]: (int(note[1]), note[2]) for note in notes}
    assert number(r"([\d,]+) record numbers are sealed", page("overview").said) == sum(
        size for size, _ in rows.values()
    )
    counted = {log["shard"]: log for log in json.loads(pack["completeness.json"])["logs"]}
    assert {shard: log["size"] for shard, log in counted.items()} == {
        origin.rsplit("/", 1)[1]: size for origin, (size, _) in listed.items()
    }


def test_what_was_deleted(page, told, pack):
    """Retention, `retention certificates` and the certificates in the pack count the same rows; the pack accounts for their numbers."""
    shown = {row["certificate"]: row["records"] for row in rows_with(page("deletion"), "certificate")}
    certificates = told("retention", "certificates", "--tenant", "acme", "--json")
    listed = {
        each["sha256"]: ", ".join(f"{count:,} {table}" for table, count in sorted(each["rows"].items()))
        for each in certificates
    }
    packed = [name.removeprefix("certificates/") for name in pack if name.startswith("certificates/")]
    assert shown == listed
    assert sorted(packed) == sorted(shown)
    purged = sum(log["purged"] for log in json.loads(pack["completeness.json"])["logs"])
    numbered = {"spans", "audit_events", "logs"}
    assert purged == sum(count for each in certificates for table, count in each["rows"].items() if table in numbered)
    assert purged == 5
    assert told("status", "--json")["last_purge"]["certificates"] == len(shown)


def test_what_is_due(page, told):
    """Retention and `retention plan` count the same rows that go, table by table."""
    due = {}
    for row in rows_with(page("deletion"), "records to go"):
        due[row["table"]] = due.get(row["table"], 0) + row["records to go"]
    planned = {}
    for each in told("retention", "plan", "--tenant", "acme", "--json")["partitions"]:
        rows = sum(file["rows_due"] for file in (*each["drop"], *each["rewrite"]))
        planned[each["table"]] = planned.get(each["table"], 0) + rows
    assert due == planned
    assert due["spans"] == 3


def test_holds(page, told, pack):
    """Overview, Retention, `hold list`, `status` and the pack know the same holds."""
    shown = {row["hold"] for row in rows_with(page("deletion"), "keeps")}
    assert shown == {hold["id"] for hold in told("hold", "list", "--tenant", "acme", "--json")}
    assert shown == {hold["id"] for hold in json.loads(pack["holds.json"])}
    assert len(shown) == number(r"(\d+) in force", page("overview").said) == 2
    assert told("status", "--json")["holds"]["in_force"] == 2


def test_incidents(page, told):
    """Overview, Incidents, `incident list` and `status` count the same open incidents, of as many records each."""
    rows = {row["incident"]: row["records"] for row in rows_with(page("incidents"), "incident")}
    listed = told("incident", "list", "--tenant", "acme", "--open", "--json")
    assert rows == {each["id"]: each["rows"] for each in listed}
    assert len(rows) == number(r"(\d+) open", page("overview").said) == told("status", "--json")["incidents"]["open"]
    assert len(told("incident", "list", "--tenant", "acme", "--json")) == len(rows) + 1


def test_error_budgets(page, told):
    """SLOs, `slo status` and what computes them say the same of each promise: kept, budget left, measured, how many events."""
    rows = rows_with(page("slos"), "budget left")
    figures = told("slo", "status", "--tenant", "acme", "--json")["figures"]
    assert len(rows) == len(figures) == 1
    (row,), (figure,) = rows, figures
    assert (figure["total"], figure["good"]) == (11, 7)
    assert row["events"] == figure["total"]
    assert row["kept"] == f"{figure['attainment']:.2%}"
    assert row["budget left"] == f"{figure['budget_remaining']:.0%}"
    assert row["measured"] == f"{figure['coverage']:.0%}"


@pytest.fixture(scope="module")
def found(page):
    """The page Evidence with the findings of October."""
    title = "SOC 2, Trust Services Criteria (2017, points of focus 2022), common criteria 6 to 8"
    return page("evidence", framework=title, findings="shown", **{"from": "2026-10-01", "to": "2026-10-31"})


def test_findings(found, told, pack):
    """Evidence, `evidence exceptions` and the pack say the same of each control: finding, population, exceptions, changes."""
    words = ["evidence", "exceptions", "--framework", "soc2", "--tenant", "acme", *DAYS, "--json"]
    listed = {each["control"]: each for each in told(*words)["controls"]}
    manifest = {each["id"]: each for each in json.loads(pack["manifest.json"])["controls"]}
    rows = {row["control"]: row for row in rows_with(found, "finding")}
    report = pack["report.html"].decode()
    assert rows.keys() == listed.keys() == manifest.keys()
    for name, row in rows.items():
        one, packed = listed[name], manifest[name]
        shown = (row["finding"], row["items"], row["exceptions"])
        assert shown == (one["finding"], one["items"], one["exceptions"]), name
        assert shown == (packed["state"], packed["items"], packed["exceptions"]), name
        assert row["why"] == one["why"], name
        assert html.escape(row["why"]) in report, name
        if packed["state"] != "mapping only":
            changes = (row["new"], row["go on"], row["gone"])
            assert changes == (one["new"], one["continuing"], one["gone"]), name
            assert changes == (packed["new"], packed["continuing"], packed["gone"]), name
    assert sum(row["exceptions"] for row in rows.values()) > 0


def test_populations_and_exceptions_row_by_row(told, pack):
    """What the pack counts stands in it: as many rows of the population, in Parquet and CSV, and the exceptions that are listed."""
    words = ["evidence", "exceptions", "--framework", "soc2", "--tenant", "acme", *DAYS, "--json"]
    listed = {each["control"]: each for each in told(*words)["controls"]}
    for each in json.loads(pack["manifest.json"])["controls"]:
        if "population_sha256" not in each:
            continue
        rows = pc.read_csv(io.BytesIO(pack[f"controls/{each['folder']}/population.csv"]))
        assert rows.num_rows == each["items"], each["id"]
        assert len(listed[each["id"]]["listed"]) == each["exceptions"], each["id"]
