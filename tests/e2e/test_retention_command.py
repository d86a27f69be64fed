"""`muniment retention` on a real lake: what applies to a record, what is due, and that nothing is deleted."""

import json
import time

import pytest

from muniment.cli.app import run
from retention.plan import read_plan
from tests.template import init_lake, made_once

USAGE = 2
DAY = 86_400_000_000_000
START = time.time_ns() - DAY
SPAN = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "desk"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                            "spanId": "00f067aa0ba902b7",
                            "name": "chat",
                            "startTimeUnixNano": str(START),
                            "endTimeUnixNano": str(START + 1),
                            "attributes": [
                                {"key": "gen_ai.agent.id", "value": {"stringValue": "bot-1"}},
                                {"key": "gen_ai.prompt", "value": {"stringValue": "hello"}},
                            ],
                        }
                    ]
                }
            ],
        }
    ]
}


def make_lake(folder):
    """A new lake with one tenant and one span."""
    init_lake(folder, "acme")
    file = folder.parent / "spans.jsonl"
    file.write_text(json.dumps(SPAN) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(folder)]) == 0


@pytest.fixture
def muniment(tmp_path, capfd):
    """Run a command on such a lake: exit code, standard output, standard error."""
    lake = str(made_once(make_lake, tmp_path / "lake"))

    def command(*words):
        capfd.readouterr()
        code = run([*map(str, words), "--lake", lake])
        said = capfd.readouterr()
        return code, said.out, said.err

    return command


def test_show_explains_a_record(muniment):
    """The rule that decides and its place, since when it counts, until when the record is kept, under which law; on record."""
    code, out, _ = muniment("retention", "show", "--tenant", "acme", "--table", "spans", "--index", 0)
    assert code == 0
    for said in (
        "rule traces (defaults.yaml:5): keep P1Y1M, then delete: logs, spans; every tenant",
        "counts from its own time: ",
        "minimum eu-ai-act (eu_ai_act.yaml:5): at least P6M from receipt (Regulation (EU) 2024/1689",
        "contents: rule contents-30-days (contents_30_days.yaml:4): keep P30D",
        ": not due yet",
    ):
        assert said in out, out
    shown = json.loads(muniment("retention", "show", "--tenant", "acme", "--table", "spans", "--index", 0, "--json")[1])
    assert (shown["rule"]["name"], shown["due"], shown["never"], shown["holds"]) == ("traces", False, False, [])
    assert shown["since_unix_nano"] == START
    assert shown["contents"]["until_unix_nano"] == START + 30 * DAY
    assert 394 * DAY <= shown["until_unix_nano"] - START <= 398 * DAY
    assert shown["until_unix_nano"] > shown["minimums"][0]["until_unix_nano"] > START + 181 * DAY
    query = "select resource_id, action from audit_events where event_name = 'record.viewed'"
    events = json.loads(muniment("sql", query, "--tenant", "acme", "--format", "json")[1])
    assert [event["action"] for event in events] == ["retention", "retention"]


def test_show_explains_a_kind_of_record(muniment, tmp_path):
    """Without a record what applies to a table, tenant, class, event and agent; why it goes before others; what never expires."""
    mine = (
        "retention:\n  - {name: mine, tables: [audit_events], tenants: [acme], events: ['approval.*'], keep: P7Y}\n"
        "  - {name: acme, tables: [audit_events], tenants: [acme], keep: P4Y}\n"
    )
    (tmp_path / "lake/policies/retention/mine.yaml").write_text(mine)
    assert muniment("policy", "apply", "retention", "--yes")[0] == 0
    asked = ("retention", "show", "--table", "audit_events", "--event", "approval.granted")
    _, out, _ = muniment(*asked, "--tenant", "acme")
    assert "rule mine (mine.yaml:2): keep P7Y" in out
    assert out.index("more specific than acme (mine.yaml:3)") < out.index(
        "more specific than audit-trail (defaults.yaml:8)"
    )
    assert "counts from receipt\n" in out
    assert "tenants that no entry names" in muniment(*asked)[1]
    _, out, _ = muniment("retention", "show", "--table", "audit_events", "--event", "retention.purged")
    assert "kept for ever: evidence of deletion" in out
    assert json.loads(muniment("retention", "show", "--table", "quarantine", "--json")[1])["rule"]["keep"] == "P30D"


WRONG = [
    ("table", ("--table", "spam"), USAGE, "table: expected contents, metrics, logs, audit_events, spans, quarantine, got 'spam'"),
    ("class", ("--table", "spans", "--class", "secret"), USAGE, "class: expected public"),
    ("tenant", ("--table", "spans", "--tenant", "nobody"), USAGE, "nobody"),
    ("no record", ("--table", "spans", "--tenant", "acme", "--index", "77"), USAGE, "no record of tenant acme at index 77"),
    ("no log index", ("--table", "metrics", "--tenant", "acme", "--index", "0"), USAGE, "expected one whose records have a log index"),
    ("index alone", ("--table", "spans", "--index", "0"), USAGE, "expected --tenant beside --index"),
    ("shard alone", ("--table", "spans", "--shard", "s"), USAGE, "expected --index beside --shard"),
    ("both", ("--table", "spans", "--tenant", "acme", "--index", "0", "--class", "public"), USAGE, "got both"),
]  # fmt: skip


def test_what_cannot_be_shown_is_said(muniment):
    """Each wrong question is answered with what was expected."""
    for name, words, expected_code, message in WRONG:
        code, _, err = muniment("retention", "show", *words)
        assert (code, message in err) == (expected_code, True), (name, err)


def test_plan_deletes_nothing(muniment, tmp_path):
    """What is due is listed and written to a file that can be read back; the records stay."""
    code, out, _ = muniment("retention", "plan")
    assert (code, "nothing is due" in out, "nothing was deleted" in out) == (0, True, True)
    policy = tmp_path / "lake/policies/retention/defaults.yaml"
    (tmp_path / "lake/policies/retention/eu_ai_act.yaml").unlink()
    policy.write_text(
        "retention:\n  - {name: all, tables: ['*'], keep: 1}\n  - {name: parts, tables: [contents], keep: 1}\n"
    )
    (tmp_path / "lake/policies/retention/contents_30_days.yaml").unlink()
    assert muniment("policy", "apply", "retention", "--yes")[0] == 0
    file = tmp_path / "plan.json"
    code, out, _ = muniment("retention", "plan", "--tenant", "acme", "--out", file)
    assert code == 0
    found = read_plan(file.read_bytes())
    assert found.content_hash in out
    shown = json.loads(muniment("retention", "plan", "--tenant", "acme", "--json")[1])
    assert {each["table"] for each in shown["partitions"]} == {each.table for each in found.partitions}
    assert (shown["tenant"], shown["policy_hash"]) == ("acme", found.policy_hash)
    count = json.loads(muniment("sql", "select count(*) as n from spans", "--tenant", "acme", "--format", "json")[1])
    assert count == [{"n": 1}]
    code, _, err = muniment("retention", "plan", "--tenant", "nobody")
    assert (code, "nobody" in err) == (USAGE, True)
