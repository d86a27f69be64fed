"""Explanations: which rule, since when, until when, under which minimum and hold; in agreement with plans."""

import pytest

from retention.explanation import Times, explain
from retention.policy_compiler import compile_policy
from warehouse.policies import Bundle

DAY = 86_400_000_000_000
NOW = 20_000 * DAY
POLICY = compile_policy(
    Bundle(
        "retention",
        {
            "a.yaml": """
retention:
  - {name: base, tables: ["*"], keep: 50}
  - {name: parts, tables: [contents], keep: 10}
  - {name: acme, tables: [spans], tenants: [acme], keep: 100}
  - {name: debug, tables: [logs], events: ["debug.*"], keep: 4, action: contents}
  - {name: short, tables: [logs], minimum: 20, citation: a law}
  - {name: long, tables: [logs], tenants: [acme], minimum: 60, citation: another law}
"""
        },
    )
)
CASES = [
    ("own time", "spans", "other", (-3, 0), "its own time", 47),
    ("receipt before own time", "spans", "other", (3, 0), "its receipt, which is earlier than its own time", 50),
    ("receipt", "audit_events", "other", (-30, 0), "receipt", 50),
    ("the more specific rule", "spans", "acme", (0, 0), "its own time", 100),
    ("a minimum beyond the rule, from receipt", "logs", "acme", (-30, 0), "its own time", 60),
    ("the rule beyond a minimum", "logs", "other", (0, 0), "its own time", 50),
    ("the end of a day", "quarantine", "other", (0, 0), "the end of the day of receipt", 51),
]


@pytest.mark.parametrize(
    ("table", "tenant", "times", "counts_from", "days"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_until_when_a_record_is_kept(table, tenant, times, counts_from, days):
    """The later of the rule's end and of every minimum's, each from where it counts."""
    own, received = (NOW + day * DAY for day in times)
    found = explain(POLICY, POLICY.combination(table, tenant), times=Times(own, received))
    until = NOW + days * DAY - (table == "quarantine")
    assert (found.counts_from, found.until_unix_nano) == (counts_from, until)
    assert [found.is_due(until - 1), found.is_due(until)] == [False, True]


def test_minimums_holds_and_less_specific_rules_are_listed():
    """All that speaks for keeping a record is told, the longest minimum first; a held record is never due."""
    found = explain(POLICY, POLICY.combination("logs", "acme"), times=Times(NOW, NOW), holds=["case-2", "case-1"])
    assert [minimum.name for minimum, _ in found.minimums] == ["long", "short"]
    assert (found.holds, found.is_due(NOW + 9999 * DAY)) == (("case-1", "case-2"), False)
    text = "\n".join(found.lines(NOW + 9999 * DAY))
    assert "hold case-1: kept until it is released" in text
    assert "kept back by a hold" in text
    spans = explain(POLICY, POLICY.combination("spans", "acme"))
    assert ([rule.name for rule in spans.less_specific], spans.until_unix_nano) == (["base"], None)
    assert spans.is_due(NOW) is None


def test_contents_are_explained_with_their_record():
    """Their own rule, or the one for their record's contents where that comes first; none where there are no contents."""
    debug = explain(POLICY, POLICY.combination("logs", "other", event_name="debug.x"), times=Times(NOW, NOW))
    other = explain(POLICY, POLICY.combination("logs", "other", event_name="x"), times=Times(NOW, NOW))
    assert (debug.contents.rule.name, debug.contents.until_unix_nano) == ("debug", NOW + 4 * DAY)
    assert (other.contents.rule.name, other.contents.until_unix_nano) == ("parts", NOW + 10 * DAY)
    assert explain(POLICY, POLICY.combination("metrics", "other")).contents is None


def test_what_never_expires_is_said():
    """Evidence of deletion has no rule and no end."""
    found = explain(POLICY, POLICY.combination("audit_events", "acme", event_name="hold.placed"), times=Times(NOW, NOW))
    assert (found.rule, found.until_unix_nano, found.is_due(NOW + 9999 * DAY)) == (None, None, False)
    assert found.to_json(NOW)["never"] is True
