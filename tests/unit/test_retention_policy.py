"""Retention policies: which rule decides, and how everything that is wrong with one is named by file, line and key."""

import pytest

from collectors.redact.detector import DataClass
from retention.durations import Duration
from retention.patterns import matches, overlap, protected_family
from retention.policy import RETAINED_TABLES
from retention.policy_changes import describe_changes
from retention.policy_compiler import compile_policy, default_bundle, default_policy, example_files
from warehouse.catalogue import CATALOGUE
from warehouse.policies import Bundle, PolicyError
from warehouse.tables import DATA_CLASSES

BASE = """
retention:
  - {name: base, tables: ["*"], keep: P1Y}
  - {name: short-contents, tables: [contents], keep: 30}
"""
FULL = """
retention:
  - {name: acme, tables: [audit_events, logs, spans], tenants: [acme], keep: P2Y}
  - {name: agent, tables: [audit_events, spans], agents: [agent-7], keep: P3Y}
  - {name: approvals, tables: [audit_events], events: ["approval.*"], keep: P4Y}
  - {name: granted, tables: [audit_events], events: ["approval.granted", "approval.den*"], keep: P5Y}
  - {name: restricted, tables: [audit_events, logs, spans], classes: [restricted], keep: P6Y}
  - {name: spans, tables: [spans], keep: P7Y}
  - {name: acme-agent, tables: [spans], tenants: [acme], agents: [agent-7], keep: P8Y}
  - {name: debug-contents, tables: [logs], events: ["debug.*"], action: contents, keep: 7}
  - {name: floor, tables: [spans], minimum: P6M, citation: a law}
  - {name: acme-floor, tables: [spans], tenants: [acme], minimum: P9M, citation: another law}
"""


def compiled(text, *more):
    texts = (text, *more)
    return compile_policy(Bundle("retention", {f"{number}.yaml": each for number, each in enumerate(texts)}))


def problems(text, *more):
    with pytest.raises(PolicyError) as refused:
        compiled(text, *more)
    return [str(problem) for problem in refused.value.problems]


@pytest.fixture(scope="module")
def policy():
    return compiled(BASE, FULL)


DECIDED = [
    ("every table", "metrics", "other", {}, "base"),
    ("a table by name before every table", "spans", "other", {}, "spans"),
    ("a class before a table by name", "spans", "other", {"data_class": "restricted"}, "restricted"),
    ("another class", "spans", "other", {"data_class": "public"}, "spans"),
    ("an agent before a class", "spans", "other", {"data_class": "restricted", "agent": "agent-7"}, "agent"),
    ("a tenant before an agent", "audit_events", "acme", {"agent": "agent-7"}, "acme"),
    ("a tenant and an agent before a tenant", "spans", "acme", {"agent": "agent-7"}, "acme-agent"),
    ("an event by pattern", "audit_events", "other", {"event_name": "approval.requested"}, "approvals"),
    ("an event by name", "audit_events", "other", {"event_name": "approval.granted"}, "granted"),
    ("more literal characters", "audit_events", "other", {"event_name": "approval.denied"}, "granted"),
    ("an agent before an event", "audit_events", "other", {"event_name": "approval.granted", "agent": "agent-7"}, "agent"),
    ("an event before a class", "audit_events", "o", {"event_name": "approval.expired", "data_class": "restricted"}, "approvals"),
    ("rules for contents do not delete", "logs", "other", {"event_name": "debug.dump"}, "base"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "tenant", "said", "rule"), [pytest.param(*case[1:], id=case[0]) for case in DECIDED])
def test_the_most_specific_rule_decides(policy, table, tenant, said, rule):
    """Tenant, then agent, then event, then class, then table: the first difference decides."""
    assert policy.answer(policy.combination(table, tenant, **said)).rule.name == rule


def test_contents_rules_are_a_question_of_their_own(policy):
    """A rule of action contents says when contents go, beside the rule that says when their record goes."""
    answer = policy.answer(policy.combination("logs", "acme", event_name="debug.dump"))
    assert (answer.rule.name, answer.contents_rule.name) == ("acme", "debug-contents")
    assert policy.answer(policy.combination("logs", "acme", event_name="other")).contents_rule is None


def test_the_longest_minimum_holds(policy):
    """Minimums are not chosen by how specific they are: of all that match the longest one holds."""
    now = 1_795_392_000_000_000_000
    assert policy.answer(policy.combination("spans", "acme")).floor(now).name == "acme-floor"
    assert policy.answer(policy.combination("spans", "other")).floor(now).name == "floor"
    assert policy.answer(policy.combination("logs", "acme")).floor(now) is None


@pytest.mark.parametrize(
    "event",
    ["retention.intended", "retention.purged", "erasure.completed", "hold.placed", "key.rotated", "ledger.x", "lake.restored", "log.opened"],
)  # fmt: skip
def test_evidence_of_deletion_never_expires(policy, event):
    """Intents and certificates outlive every record that they name: no rule matches them, in no tenant and of no agent."""
    for tenant in ("acme", "_lake"):
        answer = policy.answer(policy.combination("audit_events", tenant, event_name=event, agent="agent-7"))
        assert (answer.rule, answer.contents_rule, answer.minimums) == (None, None, ())
    assert policy.answer(policy.combination("audit_events", "acme", event_name=f"external.{event}")).rule is not None
    assert policy.answer(policy.combination("logs", "acme", event_name=event)).rule is not None


def test_combinations_are_as_few_as_the_policy_can_tell_apart(policy):
    """Names that no rule speaks of are one: what senders write does not make the work grow."""
    names = {policy.combination("logs", "t", event_name=f"e{n}", agent=f"a{n}", data_class="public") for n in range(50)}
    assert len(names) == 1


def entry(line):
    """Line 3 of a file is this entry."""
    return f"\nretention:\n  - {{{line}}}\n"


WRONG = [
    ("unknown key", "name: a, tables: [spans], keep: 1, kep: 2", "1.yaml:3: retention[0].kep: got an unknown key, expected name"),
    ("name", "name: A, tables: [spans], tenants: [t], keep: 1", "1.yaml:3: retention[0].name: got 'A', expected [a-z0-9]"),
    ("name twice", "name: base, tables: [spans], tenants: [t], keep: P1Y", "1.yaml:3: retention[0].name: got 'base' twice, expected it once: 0.yaml:3"),
    ("no tables", "name: a, keep: 1", "retention[0].tables: got nothing, expected this key"),
    ("empty tables", "name: a, tables: [], keep: 1", "retention[0].tables: got an empty list, expected one entry or more"),
    ("unknown table", "name: a, tables: [span], tenants: [t], keep: 1", "retention[0].tables[0]: got 'span', expected a table: contents, metrics, logs, audit_events, spans, quarantine"),
    ("every table and one", "name: a, tables: ['*', spans], tenants: [t], keep: P1Y", "retention[0].tables[0]: got '*' beside others"),
    ("tenant", "name: a, tables: [spans], tenants: [Acme], keep: P1Y", "retention[0].tenants[0]: got 'Acme', expected a tenant's id"),
    ("tenant by pattern", "name: a, tables: [spans], tenants: ['a*'], keep: P1Y", "retention[0].tenants[0]: got 'a*', expected a tenant's id"),
    ("class", "name: a, tables: [spans], classes: [secret], keep: P1Y", "retention[0].classes[0]: got 'secret', expected a class: public, internal, confidential, restricted"),
    ("class of metrics", "name: a, tables: [spans, metrics], classes: [public], keep: P1Y", "retention[0].classes: got classes for metrics, expected only tables"),
    ("event of spans", "name: a, tables: [spans], events: [a.b], keep: P1Y", "retention[0].events: got events for spans"),
    ("agent of logs", "name: a, tables: [logs], agents: [a], keep: P1Y", "retention[0].agents: got agents for logs"),
    ("agent by pattern", "name: a, tables: [spans], agents: ['a*'], keep: P1Y", "retention[0].agents[0]: got 'a*', expected an agent's id as it is"),
    ("every event", "name: a, tables: [logs], events: ['*'], keep: P1Y", "retention[0].events[0]: got '*', expected a name or part of one"),
    ("event", "name: a, tables: [logs], events: ['a b'], keep: P1Y", "retention[0].events[0]: got 'a b', expected an event name"),
    ("protected", "name: a, tables: [audit_events], events: [retention.purged], keep: P1Y", "retention[0].events[0]: got 'retention.purged', expected a pattern that matches nothing in retention.*"),
    ("protected by pattern", "name: a, tables: [audit_events], events: [a.b, 'k*'], keep: P1Y", "retention[0].events[1]: got 'k*', expected a pattern that matches nothing in key.*"),
    ("protected by its end", "name: a, tables: [audit_events], events: ['*.completed'], keep: P1Y", "in retention.*"),
    ("neither", "name: a, tables: [spans]", "retention[0].keep: got neither keep nor minimum"),
    ("keep", "name: a, tables: [spans], tenants: [t], keep: 6M", "1.yaml:3: retention[0].keep: got '6M', expected days as an integer, or an ISO 8601 duration"),
    ("keep nothing", "name: a, tables: [spans], tenants: [t], keep: 0", "retention[0].keep: got 0, expected at least a day"),
    ("an octal number", "name: a, tables: [spans], tenants: [t], keep: 010", "retention[0].keep: got '010', expected an integer in plain decimal digits"),
    ("a hexadecimal number", "name: a, tables: [spans], tenants: [t], keep: 0x10", "retention[0].keep: got '0x10', expected an integer in plain decimal digits"),
    ("keep a truth", "name: a, tables: [spans], tenants: [t], keep: true", "retention[0].keep: got true or false, expected integer or text"),
    ("action", "name: a, tables: [spans], tenants: [t], keep: P1Y, action: erase", "retention[0].action: got 'erase', expected delete, contents"),
    ("action alone", "name: a, tables: [spans], minimum: 1, citation: c, action: delete", "retention[0].action: got an action without keep"),
    ("contents of contents", "name: a, tables: [contents, spans], tenants: [t], keep: 1, action: contents", "retention[0].action: got 'contents' for contents"),
    ("citation", "name: a, tables: [spans], minimum: P1M", "retention[0].citation: got nothing, expected the law"),
    ("citation alone", "name: a, tables: [spans], tenants: [t], keep: P1Y, citation: c", "retention[0].citation: got a citation without minimum"),
    ("minimum of contents alone", "name: a, tables: [contents], minimum: 10, citation: c", "retention[0].tables: got a minimum for contents without spans, audit_events, logs"),
    ("minimum of contents by class", "name: a, tables: [contents, spans, logs, audit_events], classes: [public], minimum: 10, citation: c", "retention[0].classes: got classes in a minimum for contents"),
    ("own minimum undercut", "name: a, tables: [spans], tenants: [t], keep: P1Y, minimum: P2Y, citation: c", "1.yaml:3: retention[0].keep: got P1Y, expected P2Y or more: the minimum 'a' (1.yaml:3; c)"),
    ("minimum undercut by another file", "name: a, tables: [spans], minimum: P2Y, citation: c", "0.yaml:3: retention[0].keep: got P1Y, expected P2Y or more: the minimum 'a' (1.yaml:3; c)"),
    ("contents rule under a minimum", "name: a, tables: [contents, spans, logs, audit_events], minimum: P3M, citation: c", "0.yaml:4: retention[1].keep: got P30D, expected P3M or more"),
    ("contents longer than owners", "name: a, tables: [contents], tenants: [t], keep: P2Y", "1.yaml:3: retention[0].keep: got P2Y, expected at most P1Y: contents go before their owners or with them, and the rule 'base' (0.yaml:3)"),
    ("owners shorter than contents", "name: a, tables: [spans], tenants: [t], keep: 10", "0.yaml:4: retention[1].keep: got P30D, expected at most P10D"),
    ("tie", "name: a, tables: [spans, contents], keep: P1Y", "1.yaml:3: retention[0].tables: got the rule 'a' (1.yaml:3) as specific as 'short-contents' (0.yaml:4) for records of contents"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), [pytest.param(*case[1:], id=case[0]) for case in WRONG])
def test_what_is_wrong_is_named_by_file_line_and_key(line, expected):
    """Each mistake is refused with its place, what was got and what was expected."""
    found = problems(BASE, entry(line))
    assert any(expected in problem for problem in found), found


TIES = [
    ("same tenant", "tenants: [a, b]", "tenants: [b, c]", True),
    ("other tenants", "tenants: [a]", "tenants: [b]", False),
    ("same event", "events: [x.y]", "events: [x.y]", True),
    ("patterns that meet", "events: ['x.a*']", "events: ['x.*b']", True),
    ("patterns that never meet", "events: ['x.a*']", "events: ['x.b*']", False),
    ("patterns of which one says more", "events: ['x.*']", "events: ['x.a*']", False),
    ("class and class", "classes: [public]", "classes: [public, restricted]", True),
    ("class and agent", "classes: [public]", "agents: [a]", False),
    ("tenant and class against tenant", "tenants: [a], classes: [public]", "tenants: [a]", False),
]


@pytest.mark.parametrize(("one", "other", "tied"), [pytest.param(*case[1:], id=case[0]) for case in TIES])
def test_ties_are_found_before_a_record_meets_them(one, other, tied):
    """Two rules that could match the same record, neither the more specific, are refused, and both places are named."""
    texts = [
        entry(f"name: {name}, tables: [audit_events], keep: P1Y, {scope}") for name, scope in (("x", one), ("y", other))
    ]
    if not tied:
        assert compiled(BASE, *texts).rules
        return
    (problem,) = problems(BASE, *texts)
    assert ("2.yaml:3" in problem, "1.yaml:3" in problem, "'x'" in problem, "'y'" in problem) == (True,) * 4


def test_every_gap_and_every_mistake_is_told_at_once():
    """A table without a rule for all of its records is an error, not kept for ever; one mistake hides no other."""
    found = problems(
        entry("name: a, tables: [spans], keep: 1"), entry("name: b, tables: [logs], tenants: [t], keep: 1")
    )
    assert [problem.split(": ")[1] for problem in found] == [
        "audit_events",
        "contents",
        "logs",
        "metrics",
        "quarantine",
    ]
    assert len(problems(entry("name: A, tables: [x], keep: 0"))) == 3
    assert problems(BASE.replace("P1Y", "P1Y, action: delete"), "retention: []")[0].startswith(
        "1.yaml:1: retention: got an empty"
    )


def test_a_minimum_for_part_of_a_rule_is_no_mistake():
    """A minimum narrower than a rule keeps part of its records back: said in words when it is applied, not refused."""
    floor = entry("name: pci, tables: [spans], tenants: [shop], minimum: P2Y, citation: PCI")
    changes = describe_changes(compiled(BASE), compiled(BASE, floor))
    assert changes == [
        "minimum pci added: at least P2Y from receipt (PCI): spans; tenants shop",
        "rule base (P1Y) is kept back to P2Y by the minimum pci where that holds: spans; tenants shop",
    ]


def test_changes_are_told_in_words():
    """What is added, removed and changed, and whether it is shorter than before; nothing where only places differ."""
    old = compiled(BASE, entry("name: a, tables: [logs], tenants: [t], keep: P2Y"))
    new = compiled(
        BASE.replace("keep: 30", "keep: 20"),
        entry("name: b, tables: [logs], events: ['x.*'], keep: 9, action: contents"),
    )
    assert describe_changes(old, new) == [
        "rule a removed: keep P2Y, then delete: logs; tenants t",
        "rule b added: keep P9D, then delete the contents: logs; every tenant; events x.*",
        "rule short-contents: keep P30D, then delete: contents; every tenant → keep P20D, then delete: contents; every tenant (shorter than before)",
    ]
    assert (
        describe_changes(old, compiled("\n\n" + BASE, entry("name: a, tables: [logs], tenants: [t], keep: P24M"))) == []
    )


def test_the_package_s_policies_are_in_order():
    """The defaults have a rule for every table and the EU AI Act's minimum; every example can be applied beside them."""
    policy, bundle = default_policy(), default_bundle()
    answers = {table: policy.answer(policy.combination(table, "any")) for table in RETAINED_TABLES}
    assert str(answers["contents"].rule.keep) == "P30D"
    for table in ("spans", "logs", "audit_events"):
        (minimum,) = answers[table].minimums
        assert (minimum.keep, "2024/1689" in minimum.citation) == (Duration(6, 0), True)
    examples = {name: text.decode() for name, text in example_files().items()}
    whole = compile_policy(Bundle("retention", {**bundle.files, **examples}))
    floors = {str(each.keep): each.citation for each in whole.minimums}
    assert sorted(floors) == ["P1Y", "P6M", "P6Y"]
    text = " ".join(each.citation for each in whole.minimums)
    assert ("PCI DSS" in text, "164.316" in text, "240.17a-4" in text) == (True, True, True)


def test_classes_are_those_of_redaction():
    """The classes that rules name are those that redaction gives."""
    assert [each.label for each in DataClass] == list(DATA_CLASSES)


def test_protected_families_are_in_the_catalogue_s_words():
    """Each event of the catalogue that says what was deleted, held, keyed or opened is protected, and approvals are not."""
    protected = {name for name in CATALOGUE if protected_family(name)}
    assert {name.partition(".")[0] for name in protected} == {"retention", "erasure", "hold", "key", "lake", "log"}


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [("a*", "*b", True), ("a*c", "abc", True), ("a*c", "abd", False), ("*", "x", True), ("a", "a", True), ("ab*", "a", False),
     ("**", "", True), ("a*b*c", "*cab*", True), ("a*c", "*b", False), ("a*b*c", "*ba*c", True)],
)  # fmt: skip
def test_whether_two_patterns_can_meet(one, other, meet):
    """Two patterns overlap when some name matches both, whichever comes first."""
    assert (overlap(one, other), overlap(other, one)) == (meet, meet)
    assert matches("a*c", "abc")
