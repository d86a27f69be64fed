"""Rule files: what they may say, and that everything wrong with them is named by file, line and key."""

import pytest

from muniment.policy_kinds import KINDS
from pipelines.incidents.changes import describe_changes
from pipelines.incidents.compiler import KIND, compile_rules, default_bundle
from pipelines.incidents.durations import duration_words, parse_duration
from pipelines.incidents.rules import Reads, Severity
from warehouse.policies import Bundle, PolicyError

HOUR = 3_600_000_000_000
RULE = """\
version: 1
rules:
  - id: tool-failing
    title: A tool fails
    severity: high
    runbook: tool-failing.md
    group_by: [agent_id, tool_name]
    cooldown: PT6H
    reads: new
    settle: PT5M
    parameters: {least: 5, names: [a, b]}
    tenants: {acme: {least: 2}}
    legal_clocks: [gdpr-33]
    sql: |
      select time_unix_nano, 'spans' as source_table, shard, log_index, trace_id, agent_id, tool_name, name as detail
      from spans where $least > 1 and not list_contains($names, name)
"""


def bundle(text=RULE, **others):
    return Bundle(KIND, {"a.yaml": text, **{f"{name}.yaml": other for name, other in others.items()}})


def problems(text, **others):
    with pytest.raises(PolicyError) as caught:
        compile_rules(bundle(text, **others))
    return [str(problem) for problem in caught.value.problems]


def test_a_rule_is_read_whole():
    """Every key arrives, lengths of time in nanoseconds, and a tenant's own parameters before the rule's."""
    (rule,) = compile_rules(bundle()).rules
    assert (rule.id, rule.severity, rule.reads) == ("tool-failing", Severity.HIGH, Reads.NEW)
    assert (rule.cooldown, rule.settle, rule.look_back) == (6 * HOUR, HOUR // 12, 0)
    assert (rule.group_by, rule.legal_clocks) == (("agent_id", "tool_name"), ("gdpr-33",))
    assert rule.values("acme") == {"least": 2, "names": ["a", "b"]}
    assert rule.values("globex")["least"] == 5


WRONG = [
    ("severity: high", "severity: bad", "a.yaml:5: rules[0].severity: got 'bad', expected low, medium, high, critical"),
    ("id: tool-failing", "id: Tool", "a.yaml:3: rules[0].id: got 'Tool'"),
    ("runbook: tool-failing.md", "runbook: ../x.md", "a.yaml:6: rules[0].runbook: got '../x.md'"),
    ("cooldown: PT6H", "cooldown: 6h", "a.yaml:8: rules[0].cooldown: got '6h', expected an ISO 8601 duration"),
    ("cooldown: PT6H", "cooldown: PT0S", "a.yaml:8: rules[0].cooldown: got 'PT0S', expected more than none"),
    ("reads: new", "reads: some", "a.yaml:9: rules[0].reads: got 'some', expected new, all"),
    ("reads: new", "reads: all", "a.yaml:3: rules[0].look_back: got nothing"),
    ("settle: PT5M", "look_back: P1D", "a.yaml:10: rules[0].look_back: got it on a rule that reads what is new"),
    ("least: 5", "now: 5", "rules[0].parameters.now: got 'now'"),
    ("acme: {least: 2}", "acme: {most: 2}", "a.yaml:12: rules[0].tenants.acme.most: got an unknown parameter, expected least"),
    ("acme: {least: 2}", "acme: {least: x}", "rules[0].tenants.acme.least: got text, expected a number"),
    ("acme: {least: 2}", "ACME: {least: 2}", "rules[0].tenants.ACME"),
    ("[gdpr-33]", "[gdpr]", "a.yaml:13: rules[0].legal_clocks: got gdpr, expected of ai-act-73"),
    ("[agent_id, tool_name]", "[agent_id, agent_id]", "a.yaml:7: rules[0].group_by: got a column twice"),
    ("group_by: [agent_id, tool_name]", "group_by: [nothing]", "a.yaml:14: rules[0].sql: got the columns"),
    ("version: 1", "version: 2", "a.yaml:1: version: got 2, expected 1"),
    ("version: 1\n", "", "a.yaml:1: version: got nothing, expected 1"),
    ("severity: high", "severity: high\n    colour: red", "a.yaml:6: rules[0].colour: got an unknown key"),
    ("from spans", "from spam", "rules[0].sql"),
    ("$least > 1", "$most > 1", "a.yaml:14: rules[0].sql: got the parameters most, expected of from, least, names, now, tenant"),
    ("$least > 1", "$least > sha1", "a.yaml:14: rules[0].sql: it does not run"),
    ("select time_unix_nano", "select 1; select time_unix_nano", "rules[0].sql"),
    ("name as detail", "name as sentence", "expected also detail"),
    ("from spans", "from read_csv('/etc/passwd')", "rules[0].sql"),
    ("tool_name, name", "encode(tool_name) as tool_name, name", "a.yaml:14: rules[0].sql: group_by: got bytes in tool_name (binary)"),
    ("tool_name, name", "[encode(tool_name)] as tool_name, name", "rules[0].sql: group_by: got bytes in tool_name (list"),
    ("tool_name, name", "'101'::bit as tool_name, name", "rules[0].sql: group_by: got bytes in tool_name"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "expected"), WRONG, ids=[wrong for _, wrong, _ in WRONG])
def test_what_is_wrong_is_named_by_file_line_and_key(right, wrong, expected):
    """Each mistake is told with its place, what was got and what was expected."""
    assert right in RULE
    found = problems(RULE.replace(right, wrong, 1))
    assert any(expected in problem for problem in found), found


def test_an_id_stands_once_in_all_files():
    """The second one is named, with the place of the first."""
    assert problems(RULE, b=RULE) == [
        "b.yaml:3: rules[0].id: got 'tool-failing' twice, expected it once: a.yaml:3 has it already"
    ]


def test_an_empty_list_of_rules_is_no_rule():
    """A file without rules says so, rather than to pass as one that finds nothing."""
    assert problems("version: 1\nrules: []\n") == ["a.yaml:2: rules: got an empty list, expected one rule or more"]


def test_the_package_s_own_rules_can_be_applied():
    """They compile, run on a lake without rows, and stand in the list of kinds."""
    shipped = default_bundle()
    assert compile_rules(shipped, try_sql=True).rules
    assert KINDS["incidents"].validate(shipped).rules
    assert KINDS["incidents"].changes(None, shipped) == []


def test_changes_are_told_in_words():
    """Added, removed and changed rules, with what changed."""
    old, new = compile_rules(bundle()), compile_rules(bundle(RULE.replace("PT6H", "P1DT12H").replace("high", "low")))
    assert describe_changes(old, new) == ["rule tool-failing: severity: high → low; cooldown: 6 h → 1 d 12 h"]
    renamed = compile_rules(bundle(RULE.replace("id: tool-failing", "id: another")))
    assert describe_changes(old, renamed) == [
        "rule another added (high): A tool fails",
        "rule tool-failing removed: its open incidents stay",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("PT0S", 0), ("P1W", 604_800), ("P1DT2H", 93_600), ("PT1H30M", 5_400), ("PT90S", 90)]
)
def test_durations(text, seconds):
    """Weeks, days, hours, minutes and seconds."""
    assert parse_duration(text) == seconds * 1_000_000_000


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1h", "P1M", "-PT1S", "PT1.5S"])
def test_what_is_no_duration_is_refused(text):
    """A text without a length, and months, whose length nobody can tell."""
    with pytest.raises(ValueError, match="expected an ISO 8601 duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_600, "1 h"), (255_600, "2 d 23 h"), (-7_260, "2 h 1 min")],
)
def test_durations_in_words(seconds, words):
    """The two largest units; whether it is past or to come is said elsewhere."""
    assert duration_words(seconds * 1_000_000_000) == words
