"""Controls on unused tools, late detection, the age of logs, readings and deletions: what satisfies each, and what does not."""

import json

import pytest

from governance.controls.evaluating import State, evaluate
from governance.controls.framework import default_controls
from muniment.cli.app import run
from muniment.wiring import command_context
from tests.template import init_lake
from warehouse.clock import utc_text
from warehouse.own_events import OwnEvent

DAY = 86_400_000_000_000
YEAR = 365 * DAY


@pytest.fixture
def lake(tmp_path, capfd):
    """An empty lake with one tenant."""
    folder = init_lake(tmp_path / "lake", "acme")
    capfd.readouterr()
    return folder


def now(lake):
    """The time of the lake's clock."""
    return command_context(lake).clock()


def send_spans(lake, *spans):
    """Import spans of agent `desk`, each (time, tool or None)."""
    records = [
        {
            "traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}", "name": "step",
            "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 1),
            "attributes": [
                {"key": key, "value": {"stringValue": value}}
                for key, value in {
                    "gen_ai.agent.id": "desk",
                    "gen_ai.operation.name": "execute_tool" if tool else "chat",
                    **({"gen_ai.tool.name": tool} if tool else {}),
                }.items()
            ],
        }
        for number, (at, tool) in enumerate(spans)
    ]  # fmt: skip
    file = lake.parent / "spans.jsonl"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": records}]}]}) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(lake)]) == 0


def record(lake, name, recorder=None, **fields):
    """An event as this system records it; `recorder` is the job that does."""
    context = command_context(lake)
    if recorder is not None:
        attributes = fields.pop("attributes", {})
        context.recorder.record([OwnEvent("acme", name, recorder, fields=fields, attributes=attributes)])
    else:
        context.record(name, "acme", **fields)


def found(lake, framework, control_id):
    """State of a control over ten days about now, and its exceptions."""
    context = command_context(lake)
    control = next(each for each in default_controls().frameworks[framework].controls if each.id == control_id)
    at = context.clock()
    with context.session(["acme"]) as session:
        outcome = evaluate(session, control, from_unix_nano=at - 5 * DAY, to_unix_nano=at + 5 * DAY)
    reasons = outcome.population.column("exception").to_pylist() if outcome.items else []
    return outcome.state, sorted(reason for reason in reasons if reason)


@pytest.mark.parametrize(
    ("tools", "used", "exceptions"),
    [
        (["refund", "search"], ["refund", "search"], []),
        (["refund", "search"], ["search"], ["1 of 2 tools were not used"]),
        (["refund"], [], ["1 of 1 tools were not used"]),
    ],
)
def test_a_tool_that_an_agent_may_use_and_does_not_is_an_exception(lake, tools, used, exceptions):
    """By the newest entry in the registry; one that is retired is asked for nothing."""
    record(lake, "agent.registered", resource_id="desk", attributes={"muniment.agent.tools": ["old"]})
    record(lake, "agent.updated", resource_id="desk", attributes={"muniment.agent.tools": tools})
    record(lake, "agent.registered", resource_id="gone", attributes={"muniment.agent.tools": ["old"]})
    record(lake, "agent.retired", resource_id="gone", attributes={"muniment.agent.tools": ["old"]})
    send_spans(lake, (now(lake), None), *((now(lake), tool) for tool in used))
    assert found(lake, "soc2", "CC6.3-unused")[1] == exceptions


@pytest.mark.parametrize(("hours", "exceptions"), [(23, []), (25, ["found after more than a day"])])
def test_an_incident_is_found_within_a_day(lake, hours, exceptions):
    """From when it happened, which its event says."""
    happened = utc_text(now(lake) - hours * DAY // 24)[:19] + "Z"
    record(
        lake, "incident.opened", action="open", resource_type="incident", resource_id="inc-1",
        attributes={"muniment.incident.opened": happened, "muniment.incident.rule": "r"},
    )  # fmt: skip
    assert found(lake, "soc2", "CC7.2")[1] == exceptions


def purged(lake, **rows):
    """A purge of this many rows a table."""
    record(
        lake, "retention.purged", "muniment:retention", resource_type="purge", resource_id="p1",
        attributes={"muniment.purge.rows": rows},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("age_days", "rows", "state"),
    [
        (0, None, State.SATISFIED),
        (0, {"contents": 5}, State.SATISFIED),
        (0, {"spans": 5}, State.NOT_SATISFIED),
        (200, {"spans": 5}, State.SATISFIED),
    ],
)
def test_a_young_log_is_an_exception_where_runs_were_deleted(lake, age_days, rows, state):
    """Six months of records, or nothing deleted but contents."""
    send_spans(lake, (now(lake), None), (now(lake) - age_days * DAY, None))
    if rows is not None:
        purged(lake, **rows)
    assert found(lake, "eu-ai-act", "19(1)-age")[0] == state


@pytest.mark.parametrize(
    ("rows", "age", "state"),
    [
        ({"spans": 5}, 0, State.SATISFIED),
        ({"audit_events": 5}, 0, State.NOT_SATISFIED),
        ({"audit_events": 5}, YEAR + DAY, State.SATISFIED),
    ],
)
def test_audit_events_reach_back_a_year_after_a_deletion(lake, rows, age, state):
    """Those that are left, from the time of the deletion."""
    event = {
        "timeUnixNano": str(now(lake) - age),
        "eventName": "consent.granted",
        "attributes": [{"key": "event.name", "value": {"stringValue": "consent.granted"}}],
    }
    file = lake.parent / "events.jsonl"
    file.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [event]}]}]}) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(lake)]) == 0
    purged(lake, **rows)
    assert found(lake, "pci-dss", "10.5.1")[0] == state


def test_readings_name_who_read(lake):
    """A query is a reading by whoever ran it; before the first there is nothing to say."""
    assert found(lake, "pci-dss", "10.3.1")[0] == State.INSUFFICIENT
    assert run(["sql", "select count(*) from spans", "--tenant", "acme", "--lake", str(lake)]) == 0
    assert found(lake, "pci-dss", "10.3.1") == (State.SATISFIED, [])


def at(lake, days_ago, name, **fields):
    """Record an event as if the clock stood so many days ago."""
    context = command_context(lake)
    then = context.clock() - days_ago * DAY
    context.clock = lambda: then
    context.record(name, "acme", **fields)
    return context


@pytest.mark.parametrize(
    ("days_ago", "records", "state", "exceptions"),
    [
        (None, 99, State.INSUFFICIENT, []),
        (3, 99, State.SATISFIED, []),
        (3, 1, State.NOT_SATISFIED, ["in no backup", "in no backup"]),  # nor is the event that tells of it
        (1, 99, State.NOT_SATISFIED, ["backed up more than a day later"]),
    ],
)
def test_each_day_is_in_a_backup_a_day_later(lake, days_ago, records, state, exceptions):
    """By the size of each log that the backup tells; what is not due yet counts for nothing, and no backup at all establishes nothing."""
    for name in ("key.issued", "key.revoked"):
        context = at(lake, 4, name, resource_id="k1")
    with context.session(["acme"]) as session:
        (shard,) = session.run_trusted("select distinct shard from audit_events", {})["shard"].to_pylist()
    if days_ago is not None:
        backed_up = {"muniment.backup.records": {shard: records}}
        at(lake, days_ago, "lake.backed_up", resource_type="tenant", resource_id="acme", attributes=backed_up)
    at(lake, 0, "key.issued", resource_id="k2")
    assert found(lake, "pci-dss", "10.3.3") == (state, exceptions)
