"""What the overview and the page about agents claim: nothing that nobody established, and nothing that no step shows."""

import json
import shutil
import time

import pytest

from muniment import overview
from muniment.cli.app import run
from muniment.desk import open_desk
from muniment.proving import log_states
from muniment.wiring import command_context
from warehouse.errors import NotFoundError

CARD = "card 4111 1111 1111 1111"


def attribute(key, value):
    """One OTLP attribute."""
    return {"key": key, "value": {"stringValue": value}}


def span(number, operation, *more):
    """One OTLP span of the agent, a second ago."""
    start = time.time_ns() - 10**9
    return {
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4701",
        "spanId": f"00f067aa0ba902b{number}",
        "name": operation,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_000),
        "attributes": [attribute("gen_ai.operation.name", operation), attribute("gen_ai.agent.id", "agt-1"), *more],
    }


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Two tenants: of `acme` an agent asked a model and then a tool, with a card's number; of `quiet` nothing came."""
    lake = tmp_path_factory.mktemp("facts") / "lake"
    assert run(["init", "--lake", str(lake)]) == 0
    for tenant in ("acme", "quiet"):
        assert run(["tenant", "add", tenant, "--lake", str(lake)]) == 0
    spans = [
        span(1, "chat", attribute("gen_ai.provider.name", "openai")),
        span(2, "execute_tool", attribute("gen_ai.tool.call.arguments", CARD)),
        span(3, "execute_tool") | {"status": {"code": 2}},
    ]
    file = lake.parent / "spans.jsonl"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(lake)]) == 0
    return open_desk(lake)


def facts(desk, tenant):
    return {fact.what: fact for fact in desk.overview(desk.viewer(None), tenant)}


def test_a_class_of_data_reached_a_provider_only_where_a_step_says_so(desk):
    """What an agent gave to a tool is not said to have reached the provider of the models that it also asks."""
    viewer = desk.viewer(None)
    _, seen = desk.agents(viewer, "acme", 7)
    assert len(seen.column("data_classes")[0].as_py()) == 2
    (row,) = desk.data_map(viewer, "acme", 7).to_pylist()
    assert (row["agent"], row["provider"], row["spans"]) == ("agt-1", "openai", 1)
    assert (row["data_class"], row["log_index"]) == ("internal", 0)


def test_a_day_without_a_known_cost_has_none(desk):
    """No cost is no number, least of all the largest that there is."""
    (row,) = desk.activity(desk.viewer(None), "acme", 7).to_pylist()
    assert (row["runs"], row["spans"], row["cost_microusd"]) == (3, 3, None)


def test_a_tenant_without_agents_is_not_all_right(desk):
    """Where nothing came, and no rule has looked, nothing is claimed; that somebody looked at a page is no agent's record."""
    found = facts(desk, "quiet")
    found = facts(desk, "quiet")
    assert {name: found[name].state for name in ("Records", "Incidents", "SLOs")} == dict.fromkeys(
        ("Records", "Incidents", "SLOs"), "unknown"
    )
    assert "no agent has sent anything" in found["Records"].said
    assert "no rule has looked" in found["Incidents"].said
    assert facts(desk, "acme")["Records"].state == "good"


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-20] + b"\n", id="cut"),
        pytest.param(
            lambda content: content[:-30] + (b"A" if content[-30:-29] != b"A" else b"B") + content[-29:], id="byte"
        ),
        pytest.param(lambda content: content.partition(b"\n\n")[0] + b"\n\n", id="unsigned"),
    ],
)
def test_a_seal_that_does_not_hold_needs_attention(desk, damage):
    """A log whose newest seal cannot be read, does not fit, or is by no key of the lake, is named with what to do."""
    (checkpoint,) = (desk.lake.path / "ledger" / "acme").glob("import*/checkpoint")
    kept = checkpoint.read_bytes()
    checkpoint.write_bytes(damage(kept))
    try:
        seal = facts(desk, "acme")["Seal"]
        (log,) = [each for each in desk.integrity(desk.viewer(None), "acme").logs if "/import" in each.origin]
    finally:
        checkpoint.write_bytes(kept)
    assert seal.state == "bad"
    assert "muniment verify" in seal.advice
    assert log.problem or not log.signed_by
    assert facts(desk, "acme")["Seal"].state == "good"


def test_policy_files_that_are_not_in_force_are_named(desk):
    """A file that was changed on disk is said not to be in force, with what to do; what was in force stays so."""
    file = desk.lake.path / "policies" / "redaction" / "bad.yaml"
    file.write_text("version: [1\n")
    try:
        found = facts(desk, "acme")["Policy redaction"]
    finally:
        file.unlink()
    assert (found.state, "not in force" in found.said, "policy diff redaction" in found.advice) == (
        "unknown",
        True,
        True,
    )
    assert "Policy redaction" not in facts(desk, "acme")


def test_changes_are_judged_as_the_control_judges_them(desk, tmp_path):
    """A model that was switched without an approval stands among the changes with what is wrong, and its record number."""
    event = {
        "timeUnixNano": str(time.time_ns() - 10**9),
        "eventName": "model.switched",
        "attributes": [
            attribute("event.name", "model.switched"),
            attribute("audit.actor.id", "ops-1"),
            attribute("audit.resource.id", "model-2"),
        ],
    }
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [event]}]}]}))
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(desk.lake.path)]) == 0
    (row,) = desk.changes(desk.viewer(None), "acme", 7).to_pylist()
    assert (row["event_name"], row["resource_id"], row["approved"]) == ("model.switched", "model-2", False)
    assert row["exception"] == "no approval is named"


def test_the_worst_events_of_a_promise_are_those_that_it_counts_as_bad(desk):
    """A tool call that failed is what made *tool calls* worse, with its record number; one that went well is not among them."""
    viewer = desk.viewer(None)
    (objective,) = [each.objective for each in desk.objectives(viewer, "acme") if each.slo == "tool-calls"]
    (row,) = desk.worst_events(viewer, "acme", "tool-calls", objective, 10).to_pylist()
    assert (row["name"], row["agent"], row["log_index"]) == ("execute_tool", "agt-1", 2)


def test_every_shipped_promise_can_be_asked_for_its_worst_events(desk):
    """The query of each indicator also gives the rows that it counts as bad, or none; an objective that is not there is refused."""
    viewer = desk.viewer(None)
    found = desk.objectives(viewer, "acme")
    for each in found:
        rows = desk.worst_events(viewer, "acme", each.slo, each.objective, 10)
        assert rows.column_names == ["time", "agent", "name", "measured", "trace_id", "shard", "log_index"]
    with pytest.raises(NotFoundError, match="objective of tool-calls: expected"):
        desk.worst_events(viewer, "acme", "tool-calls", "no such", 10)


def test_when_a_collector_was_heard_is_known_or_said_to_be_unknown(desk):
    """Where no collector ever started, nobody claims that one listened all the time."""
    found = desk.integrity(desk.viewer(None), "acme")
    assert (found.listened, found.silences) == (None, ())
    assert len(found.fingerprints) == len(found.vkeys) == 1


@pytest.fixture(scope="module")
def still(desk, tmp_path_factory):
    """A copy of the lake in which nobody writes anything, and who asks about it."""
    copy = tmp_path_factory.mktemp("still") / "lake"
    shutil.copytree(desk.lake.path, copy, ignore=shutil.ignore_patterns("*.lock", "*.sock"))
    return command_context(copy)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        pytest.param("ledger", "the log is missing", id="ledger"),
        pytest.param("ledger/acme/LOG", "the log is missing", id="log"),
        pytest.param("ledger/acme/LOG/checkpoint", "the log is missing", id="checkpoint"),
        pytest.param("ledger/acme/LOG/tile", "its newest entries are missing", id="tiles"),
        pytest.param("ledger/acme/LOG/tile/0", "its newest hashes are missing", id="hashes"),
    ],
)
def test_what_is_missing_of_a_log_is_missed(still, gone, said):
    """A log of which a part is gone needs attention and is named: not taken for one that never was, nor its tenant for an empty one."""
    (log,) = (still.lake.path / "ledger" / "acme").glob("import*")
    place, aside = still.lake.path / gone.replace("LOG", log.name), still.lake.path / "aside"
    place.rename(aside)
    try:
        found = {fact.what: fact for fact in overview.facts(still, "acme")}
        (state,) = [each for each in log_states(still, "acme") if each.origin.endswith(log.name)]
    finally:
        aside.rename(place)
    assert (found["Seal"].state, found["Records"].state) == ("bad", "good")
    assert said in state.problem
    assert "muniment verify" in found["Seal"].advice
    assert overview.facts(still, "acme")[-1].state == "good"


@pytest.mark.parametrize(
    ("made_anew", "state", "said"),
    [(False, "bad", "the table of steps is missing"), (True, "unknown", "3 of ")],
    ids=["missing", "empty"],
)
def test_records_that_are_sealed_and_in_no_table_are_missed(still, made_anew, state, said):
    """Where a table is gone, or was made anew without what it held, nobody says that all sealed records are there."""
    tables = still.lake.path / "tables"
    (tables / "spans").rename(tables / "aside")
    if made_anew:
        shutil.copytree(tables / "metrics", tables / "spans")
    try:
        found = {fact.what: fact for fact in overview.facts(still, "acme")}
    finally:
        shutil.rmtree(tables / "spans", ignore_errors=True)
        (tables / "aside").rename(tables / "spans")
    assert (found["Tables"].state, said in found["Tables"].said) == (state, True)
    assert "muniment verify" in found["Tables"].advice
    assert "Tables" not in {fact.what for fact in overview.facts(still, "acme")}


def test_what_will_go_within_some_days_is_told_before_it_is_due(desk):
    """Texts that go after thirty days are due within forty, and are not now; nothing is deleted by asking."""
    viewer = desk.viewer(None)
    assert desk.retention(viewer, "acme").due == ()
    (due,) = [each for each in desk.retention(viewer, "acme", 40).due if each.table == "contents"]
    assert (due.rows, due.rules) == (1, "contents-30-days")
    assert desk.retention(viewer, "acme").due == ()
