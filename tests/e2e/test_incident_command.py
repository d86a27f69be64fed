"""`muniment incident` on a real lake: what it prints, its exit codes, and what is on record afterwards."""

import json
import time

import pytest

from muniment.cli.app import run
from tests.template import init_lake, made_once
from warehouse.principals import Principal, PrincipalKind

NO, USAGE = 1, 2
RULES = """\
version: 1
rules:
  - id: failing
    title: Something fails
    severity: high
    runbook: failing.md
    group_by: [agent_id]
    reads: new
    legal_clocks: [gdpr-33]
    sql: |
      select time_unix_nano, 'spans' as source_table, shard, log_index, trace_id, agent_id, 'It failed.' as detail
      from spans where status_code = 'ERROR'
"""
BAD = RULES.replace("id: failing", "id: bad").replace(
    "'It failed.'", "(1 // (log_index - log_index))::varchar || name::bigint"
)


def spans(count):
    start = time.time_ns() - 3_600_000_000_000
    found = [
        {
            "traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}", "name": "call", "status": {"code": 2},
            "startTimeUnixNano": str(start + number), "endTimeUnixNano": str(start + number + 1),
            "attributes": [{"key": "gen_ai.agent.id", "value": {"stringValue": "bot"}}],
        }
        for number in range(count)
    ]  # fmt: skip
    return {"resourceSpans": [{"scopeSpans": [{"spans": found}]}]}


def make_lake(folder):
    """A lake with three failed spans and a rule that finds them, alone."""
    init_lake(folder, "acme")
    for shipped in (folder / "policies/incidents").glob("*.yaml"):
        shipped.unlink()
    fill(folder)


def make_whole_lake(folder):
    """The same, where the rule is beside the shipped ones."""
    init_lake(folder, "acme")
    fill(folder)


def fill(folder):
    file = folder.parent / "spans.jsonl"
    file.write_text(json.dumps(spans(3)) + "\n")
    (folder / "policies/incidents/mine.yaml").write_text(RULES)
    for words in (("import", str(file), "--tenant", "acme"), ("policy", "apply", "incidents", "--yes")):
        assert run([*words, "--lake", str(folder)]) == 0


@pytest.fixture
def muniment(request, tmp_path, capfd, monkeypatch):
    """Run a command on such a lake: exit code, standard output, messages on one line."""
    folder = made_once(getattr(request, "param", make_lake), tmp_path / "lake")

    def command(*words, by=None):
        if by is not None:
            monkeypatch.setattr("muniment.wiring.local_principal", lambda: Principal(PrincipalKind.LOCAL_USER, by))
        capfd.readouterr()
        code = run([*map(str, words), "--lake", str(folder)])
        said = capfd.readouterr()
        return code, said.out, " ".join(said.err.split())

    command.lake = folder
    return command


def mine(muniment):
    found = json.loads(muniment("incident", "list", "--rule", "failing", "--json")[1])
    return found[0] if found else None


@pytest.mark.parametrize("muniment", [make_whole_lake], indirect=True, ids=["beside the shipped rules"])
def test_an_incident_lives_from_detection_to_closing(muniment):
    """Detected once, shown, taken on, its clock stopped, closed, reopened: each step on record, in words and for machines."""
    assert "1 opened, 0 updated" in muniment("incident", "detect", "--tenant", "acme")[2]
    assert "0 opened, 0 updated" in muniment("incident", "detect", "--tenant", "acme")[2]
    incident = mine(muniment)
    assert {key: incident[key] for key in ("rule", "severity", "tenant", "state", "agents", "rows")} == {
        "rule": "failing", "severity": "high", "tenant": "acme", "state": "opened", "agents": ["bot"], "rows": 3,
    }  # fmt: skip
    assert incident["trace_ids"] == [f"{number:032x}" for number in (1, 2, 3)]
    shown = muniment("incident", "show", incident["id"])[1]
    assert "records: 3 (3 there)" in shown
    assert "gdpr-33 (Regulation (EU) 2016/679, Article 33(1))" in shown
    assert "2 d 23 h left" in shown
    assert muniment("incident", "ack", incident["id"], "--owner", "claims-team")[0] == 0
    code, _, said = muniment("incident", "close", incident["id"], "--note", "fixed")
    assert (code, "got gdpr-33" in said) == (NO, True)
    stop = ("incident", "clock", incident["id"], "--stop", "gdpr-33")
    assert muniment(*stop)[0] == USAGE
    assert muniment(*stop, "--note", "no person was concerned")[0] == 0
    assert muniment("incident", "mitigate", incident["id"], "--note", "restarted")[0] == 0
    assert muniment("incident", "close", incident["id"], "--note", "call jane.roe@mail.example")[0] == 0
    assert muniment("incident", "ack", incident["id"])[0] == NO
    assert json.loads(muniment("incident", "list", "--open", "--rule", "failing", "--json")[1]) == []
    assert muniment("incident", "reopen", incident["id"], "--note", "again")[0] == 0
    details = json.loads(muniment("incident", "show", incident["id"], "--json")[1])
    assert (details["state"], details["owner"]) == ("reopened", "claims-team")
    assert [line["change"] for line in details["timeline"]] == [
        "opened", "acknowledged", "clock gdpr-33 stopped", "mitigated", "closed", "reopened",
    ]  # fmt: skip
    assert details["timeline"][4]["note"] == "call [EMAIL]"
    assert [record["state"] for record in details["records"]] == ["there"] * 3
    query = "select event_name, action from audit_events where event_name like 'incident.%' order by log_index"
    events = json.loads(muniment("sql", query, "--tenant", "acme", "--format", "json")[1])
    assert [(each["event_name"], each["action"]) for each in events] == [
        ("incident.opened", "open"), ("incident.updated", "acknowledge"), ("incident.updated", "stop clock"),
        ("incident.updated", "mitigate"), ("incident.closed", "close"), ("incident.updated", "reopen"),
    ]  # fmt: skip


def test_a_rule_that_fails_is_told_until_it_works(muniment):
    """`detect` ends with 1 and says why, `status` keeps saying it, and the other rule found what it should."""
    (muniment.lake / "policies/incidents/mine.yaml").write_text(RULES + BAD.partition("rules:\n")[2])
    assert muniment("policy", "apply", "incidents", "--yes")[0] == 0
    code, out, _ = muniment("incident", "detect")
    assert (code, "tenant acme: rule bad: query failed" in out) == (NO, True)
    assert mine(muniment)["rows"] == 3
    assert "incident rule bad fails for acme" in muniment("status")[1]
    (failing,) = json.loads(muniment("status", "--json")[1])["incidents"]["failing_rules"]
    assert (failing["rule"], failing["tenant"]) == ("bad", "acme")


def test_a_wrong_rule_is_refused_with_its_place(muniment):
    """`policy check` names file, line and key before anything is in force."""
    (muniment.lake / "policies/incidents/mine.yaml").write_text(RULES.replace("from spans", "from spam"))
    code, out, _ = muniment("policy", "check", "incidents")
    assert (code, "mine.yaml:10: rules[0].sql" in out) == (NO, True)


def test_who_may_not_look_or_handle_is_refused(muniment):
    """Somebody without a role sees nothing, not even whether an incident exists."""
    muniment("incident", "detect", "--tenant", "acme")
    incident = mine(muniment)["id"]
    for words in (("list",), ("show", incident), ("show", "i000000000000"), ("ack", incident), ("detect",)):
        code, _, said = muniment("incident", *words, by="mallory")
        assert (code, "may not incident." in said) == (NO, True), words
