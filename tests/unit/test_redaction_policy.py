"""Redaction policies: what they decide, and how everything that is wrong with one is named by file, line and key."""

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from collectors.redact.custom import CONTEXT_CHARACTERS, check_trigger, compile_pattern, make_find
from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.detectors import DETECTORS
from collectors.redact.policy import FieldRule
from collectors.redact.policy_changes import describe_changes
from collectors.redact.policy_compiler import compile_policy, default_bundle, strict_policy
from collectors.redact.policy_config import Action, Contents, Identity
from warehouse.errors import SettingsError
from warehouse.policies import Bundle, PolicyError

NAMES = (
    "email", "phone", "card", "iban", "ssn", "national_id", "ip", "date_of_birth", "url_credentials", "address", "person",
    "secret",
)  # fmt: skip
WITH_PARTIAL = {"card", "iban"}


def last_four(text):
    return "****" + text[-4:]


KNOWN = {
    name: Detector(
        name,
        Category.PII,
        DataClass.CONFIDENTIAL,
        ("@",),
        lambda _text: [],
        partial=last_four if name in WITH_PARTIAL else None,
    )
    for name in NAMES
}

FULL = r"""
redaction:
  - name: bank
    tenants: [bank, bank-test]
    default: mask
    detectors: {email: token, card: partial, ip: keep}
    classes: {ip: internal, email: restricted}
    identity: mask
    contents: drop
    default_class: public
    contents_class: restricted
    tables:
      contents: {detectors: {person: keep, email: mask}}
      logs: {default: drop}
    attributes:
      - {keys: ["patient.*"], action: drop, class: restricted, categories: [phi]}
      - {keys: ["user.email"], action: token}
      - {keys: ["gen_ai.request.model"], action: keep, tables: [spans]}
      - {keys: ["notes", "Memo?"], detectors: {phone: keep}}
    custom:
      - {name: employee_id, pattern: 'EMP-\d{6}', category: pii, class: public, action: token, context: [employee, staff],
         trigger: 'EMP-', examples: ['employee EMP-123456']}
      - {name: badge, pattern: 'B#\d{4}', trigger: 'B#[0-9]'}
  - name: others
    tenants: ["*"]
    default: reject
"""


def compiled(text, **more):
    return compile_policy(Bundle("redaction", {"a.yaml": text, **more}), KNOWN)


@pytest.fixture(scope="module")
def bank():
    return compiled(FULL).for_tenant("bank")


def one(line, *, before="  - name: a\n    tenants: [acme]\n"):
    """A file with one policy, whose line 4 is `line`."""
    return f"redaction:\n{before}    {line}\n"


def problems(text, **more):
    with pytest.raises(PolicyError) as refused:
        compiled(text, **more)
    return [str(problem) for problem in refused.value.problems]


ACTIONS = [
    ("named", "email", "spans", None, Action.TOKEN),
    ("not named: default", "phone", "spans", None, Action.MASK),
    ("table's word before the policy's", "email", "contents", None, Action.MASK),
    ("table's word", "person", "contents", None, Action.KEEP),
    ("other tables are not changed", "person", "spans", None, Action.MASK),
    ("table's default before the policy's", "phone", "logs", None, Action.DROP),
    ("policy's word before the table's default", "card", "logs", None, Action.PARTIAL),
    ("field's word", "phone", "logs", "notes", Action.KEEP),
    ("field's word by pattern", "phone", "logs", "Memo1", Action.KEEP),
    ("keys are told apart by case", "phone", "logs", "memo1", Action.DROP),
    ("a field without a word on this detector", "email", "logs", "notes", Action.TOKEN),
    ("an own detector's action", "employee_id", "spans", None, Action.TOKEN),
    ("an own detector without an action", "badge", "spans", None, Action.MASK),
]


@pytest.mark.parametrize(("detector", "table", "key", "expected"), [pytest.param(*c[1:], id=c[0]) for c in ACTIONS])
def test_the_most_specific_word_decides(bank, detector, table, key, expected):
    """Field before table, table before policy, a named detector before any default."""
    assert bank.action(detector, table, key) is expected


RULES = [
    ("whole value", "patient.name", "logs", FieldRule(Action.DROP, DataClass.RESTRICTED, (Category.PHI,), {})),
    ("a pattern needs what it says", "patient", "logs", None),
    ("exact", "user.email", "spans", FieldRule(Action.TOKEN)),
    ("in its table", "gen_ai.request.model", "spans", FieldRule(Action.KEEP)),
    ("in another table", "gen_ai.request.model", "logs", None),
    ("only detectors", "notes", "metrics", FieldRule(detectors={"phone": Action.KEEP})),
    ("a long key", "patient." + "x" * 1000, "logs", FieldRule(Action.DROP, DataClass.RESTRICTED, (Category.PHI,), {})),
    (
        "a key with line breaks",
        "patient.\n\n",
        "spans",
        FieldRule(Action.DROP, DataClass.RESTRICTED, (Category.PHI,), {}),
    ),
]


@pytest.mark.parametrize(("key", "table", "expected"), [pytest.param(*c[1:], id=c[0]) for c in RULES])
def test_field_rules_are_found_by_key_and_table(bank, key, table, expected):
    """A rule is for the keys and tables that it names, and asking again gives the same."""
    assert bank.field_rule(key, table) == bank.field_rule(key, table) == expected


def test_the_first_field_rule_wins():
    """Of two rules that name a key the one that stands first is used."""
    rules = "attributes: [{keys: [a.b], action: keep}, {keys: ['a.*'], action: drop}]"
    policy = compiled(one(rules)).for_tenant("acme")
    assert [policy.field_rule(key, "spans").action for key in ("a.b", "a.c")] == [Action.KEEP, Action.DROP]


def test_classes_identity_and_contents_are_as_written(bank):
    """A detector's class may be raised and lowered; what a policy leaves out has its default."""
    assert [bank.data_class(name).label for name in ("ip", "email", "card", "employee_id", "badge")] == [
        "internal", "restricted", "confidential", "public", "confidential",
    ]  # fmt: skip
    assert (bank.identity, bank.contents) == (Identity.MASK, Contents.DROP)
    assert (bank.default_class, bank.contents_class) == (DataClass.PUBLIC, DataClass.RESTRICTED)
    plain = compiled(one("default: mask")).for_tenant("acme")
    assert (plain.identity, plain.contents) == (Identity.TOKEN, Contents.REDACT)
    assert (plain.default_class, plain.contents_class) == (DataClass.INTERNAL, DataClass.CONFIDENTIAL)


def test_a_tenant_has_its_own_policy_or_that_of_the_others():
    """By name, else `*`, else the strict one that comes with the package; the hash names the files that decided."""
    policy = compiled(FULL)
    assert policy.for_tenant("bank") is policy.for_tenant("bank-test")
    assert policy.for_tenant("acme").name == "others"
    assert policy.for_tenant("acme").hash == policy.content_hash
    without = compiled(one("default: keep"))
    assert without.for_tenant("acme").action("email", "spans") is Action.KEEP
    assert (without.for_tenant("bank").name, without.for_tenant("bank").hash) == (
        "strict",
        default_bundle().content_hash,
    )


def test_own_detectors_search_for_their_policy_alone():
    """A detector that one policy defines does not touch tenants of another, but is among those to search for."""
    policy = compiled(FULL)
    assert {"employee_id", "badge"} <= policy.for_tenant("bank").detectors.keys()
    assert policy.for_tenant("acme").detectors.keys() == KNOWN.keys()
    assert policy.detectors.keys() == {*KNOWN, "employee_id", "badge"}
    assert policy.detectors["employee_id"].triggers == ("EMP-",)


def test_strict_masks_every_detector_everywhere():
    """The policy of the package names every detector that the package has, masks it and tokenises identity."""
    strict = strict_policy(KNOWN).for_tenant("anyone")
    tables = ("spans", "logs", "audit_events", "metrics", "contents")
    assert {strict.action(name, table) for name in NAMES for table in tables} == {Action.MASK}
    assert set(strict._actions) == set(NAMES)
    assert (strict.identity, strict.contents) == (Identity.TOKEN, Contents.REDACT)
    assert strict.field_rule("user.email", "spans") is None


LISTED = "keep, mask, partial, token, drop, drop_contents, reject"
BAD = [
    ("nothing", "", ["a.yaml:1: got nothing, expected mapping"]),
    ("a list", "- 1", ["a.yaml:1: got list, expected mapping"]),
    ("another top key", "\nredact: []", ["a.yaml:2: redact: got an unknown key, expected redaction"]),
    ("two top keys", one("default: mask") + "more: 1", ["a.yaml:5: more: got an unknown key, expected redaction"]),
    ("no policies", "redaction: []", ["a.yaml:1: redaction: got an empty list, expected one policy or more"]),
    ("not YAML", "redaction:\n  - [", ["a.yaml:2: got no YAML, expected a mapping: expected the node content, but found '<stream end>'"]),
    ("two documents", "redaction: []\n---\nredaction: []", ["a.yaml:2: got no YAML, expected a mapping: but found another document"]),
    ("an alias", "redaction: &a\n  - *a", ["a.yaml:2: got no YAML, expected a mapping: aliases are not allowed: write the value out"]),
    ("an object tag", "redaction: !!python/object:os.system {}", ["a.yaml:1: redaction: got mapping, expected list"]),
    ("a control character", "redaction: \x07", ["a.yaml:1: got a character that YAML does not allow"]),
    ("a date that is none", one("name2: 2026-13-45"), ["a.yaml:4: redaction[0].name2: got '2026-13-45', expected a value that can be: month must be in 1..12"]),
    ("a key that is no text", one("on: keep"), ["a.yaml:4: redaction[0]: got 'on' as a key, expected text: put it in quotes"]),
    ("a key twice", one("default: keep\n    default: mask"), ["a.yaml:5: redaction[0].default: got it twice, expected it once: it stands in line 4 already"]),
    ("no name", "redaction:\n  - tenants: [a]", ["a.yaml:2: redaction[0].name: got nothing, expected this key"]),
    ("no tenants", "redaction:\n  - name: a", ["a.yaml:2: redaction[0].tenants: got nothing, expected this key"]),
    ("tenants of nothing", "redaction:\n  - name: a\n    tenants: []", ["a.yaml:3: redaction[0].tenants: got an empty list, expected one entry or more"]),
    ("a name that is none", "redaction:\n  - name: A B\n    tenants: [a]", ["a.yaml:2: redaction[0].name: got 'A B', expected [a-z0-9][a-z0-9_-]{0,39}"]),
    ("an unknown key", one("identiti: mask"), ["a.yaml:4: redaction[0].identiti: got an unknown key, expected name, tenants, default, "]),
    ("an unknown key of a rule", one("attributes:\n    - {keys: [a],\n       acton: keep}"), ["a.yaml:6: redaction[0].attributes[0].acton: got an unknown key, expected keys, action, detectors, class, categories, tables"]),
    ("a number for a text", one("default: 3"), ["a.yaml:4: redaction[0].default: got integer, expected text"]),
    ("a text for a list", one("attributes: x"), ["a.yaml:4: redaction[0].attributes: got text, expected list or nothing"]),
    ("an action that is none", one("default: tokenise"), [f"a.yaml:4: redaction[0].default: got 'tokenise', expected {LISTED}"]),
    ("an action of a detector that is none", one("detectors:\n      card: mask\n      email: tokn"), [f"a.yaml:6: redaction[0].detectors.email: got 'tokn', expected {LISTED}"]),
    ("a number as action of a detector", one("detectors:\n      card: mask\n      email: 1"), ["a.yaml:6: redaction[0].detectors.email: got integer, expected text"]),
    ("a number deep in a table", one("tables:\n      logs:\n        detectors:\n          ip: keep\n          email: [1]"), ["a.yaml:8: redaction[0].tables.logs.detectors.email: got list, expected text"]),
    ("a key of dots", one("tables:\n      logs:\n        detectors:\n          ...: 1"), ["a.yaml:7: redaction[0].tables.logs.detectors....: got integer, expected text"]),
    ("a detector that is none", one("detectors:\n      emial: mask"), [f"a.yaml:5: redaction[0].detectors.emial: got 'emial', expected a detector: {', '.join(NAMES)}"]),
    ("a class of no detector", one("classes: {x: public}"), ["a.yaml:4: redaction[0].classes.x: got 'x', expected a detector: "]),
    ("a class that is none", one("classes: {ip: secret}"), ["a.yaml:4: redaction[0].classes.ip: got 'secret', expected public, internal, confidential, restricted"]),
    ("partial without a form", one("detectors: {ip: partial}"), ["a.yaml:4: redaction[0].detectors.ip: got 'partial', which ip has no form for; only card, iban have one"]),
    ("partial for all", one("default: partial"), ["a.yaml:4: redaction[0].default: got 'partial', expected an action that every detector has"]),
    ("partial for a whole field", one("attributes: [{keys: [a], action: partial}]"), ["a.yaml:4: redaction[0].attributes[0].action: got 'partial', expected an action for a whole value"]),
    ("identity partial", one("identity: partial"), ["a.yaml:4: redaction[0].identity: got 'partial', expected token, mask, keep, drop"]),
    ("contents kept", one("contents: keep"), ["a.yaml:4: redaction[0].contents: got 'keep', expected redact, drop"]),
    ("a table that is none", one("tables:\n      span: {}"), ["a.yaml:5: redaction[0].tables.span: got 'span', expected a table: "]),
    ("a rule's table that is none", one("attributes:\n      - keys: [a]\n        action: keep\n        tables:\n          - spans\n          - log"), ["a.yaml:9: redaction[0].attributes[0].tables[1]: got 'log', expected a table: "]),
    ("a rule that says nothing", one("attributes: [{keys: [a]}]"), ["a.yaml:4: redaction[0].attributes[0]: got keys alone, expected action, detectors, class or categories beside them"]),
    ("a rule with action and detectors", one("attributes: [{keys: [a], action: keep, detectors: {ip: keep}}]"), ["a.yaml:4: redaction[0].attributes[0].detectors: got detectors beside an action"]),
    ("a rule for no keys", one("attributes: [{keys: [], action: drop}]"), ["a.yaml:4: redaction[0].attributes[0].keys: got an empty list"]),
    ("a rule that keeps all", one("attributes: [{keys: ['**'], action: keep}]"), ["a.yaml:4: redaction[0].attributes[0].keys[0]: got '**', expected a key or part of one: this would leave every field unsearched"]),
    ("a key of nothing", one("attributes: [{keys: [''], action: keep}]"), ["a.yaml:4: redaction[0].attributes[0].keys[0]: got '', expected 1 to 200 printable characters"]),
    ("a category that is none", one("attributes: [{keys: [a], categories: [pci, gdpr]}]"), ["a.yaml:4: redaction[0].attributes[0].categories[1]: got 'gdpr', expected pii, phi, pci, secret"]),
    ("no attributes", one("attributes: []"), ["a.yaml:4: redaction[0].attributes: got an empty list"]),
    ("no own detectors", one("custom: []"), ["a.yaml:4: redaction[0].custom: got an empty list"]),
    ("an own detector without a trigger", one("custom: [{name: e, pattern: ab}]"), ["a.yaml:4: redaction[0].custom[0].trigger: got nothing, expected this key"]),
    ("an own detector with a name taken", one("custom: [{name: ip, pattern: abc, trigger: abc}]"), ["a.yaml:4: redaction[0].custom[0].name: got 'ip', expected a name that no detector of the package has"]),
    ("own detectors with one name", one("custom:\n    - {name: e, pattern: abc, trigger: abc}\n    - {name: e, pattern: abc, trigger: abc}"), ["a.yaml:6: redaction[0].custom[1].name: got 'e', expected it once in a policy"]),
    ("an own detector with a bad name", one("custom: [{name: E-1, pattern: abc, trigger: abc}]"), ["a.yaml:4: redaction[0].custom[0].name: got 'E-1', expected [a-z][a-z0-9_]{0,39}"]),
    ("an own detector that does not compile", one("custom:\n    - name: e\n      trigger: abc\n      pattern: 'ab('"), ["a.yaml:7: redaction[0].custom[0].pattern: got 'ab(', expected a pattern that compiles: missing )"]),
    ("an own detector of partial form", one("custom: [{name: e, pattern: abc, trigger: abc, action: partial}]"), ["a.yaml:4: redaction[0].custom[0].action: got 'partial', which e has no form for"]),
    ("an own detector with a class that is none", one("custom: [{name: e, pattern: abc, trigger: abc, class: x}]"), ["a.yaml:4: redaction[0].custom[0].class: got 'x', expected public, internal, confidential, restricted"]),
    ("an own detector with a category that is none", one("custom: [{name: e, pattern: abc, trigger: abc, category: x}]"), ["a.yaml:4: redaction[0].custom[0].category: got 'x', expected pii, phi, pci, secret"]),
    ("an own detector with a blank context", one("custom: [{name: e, pattern: abc, trigger: abc, context: [a, ' ']}]"), ["a.yaml:4: redaction[0].custom[0].context[1]: got ' ', expected a word"]),
    ("an example without a match", one("custom: [{name: e, pattern: abc, trigger: abc, examples: [abd]}]"), ["a.yaml:4: redaction[0].custom[0].examples[0]: got 'abd', in which the pattern finds nothing"]),
    ("an example without the trigger", one("custom: [{name: e, pattern: abc, trigger: abd, examples: [abc]}]"), ["a.yaml:4: redaction[0].custom[0].examples[0]: got 'abc', whose match does not hold the trigger"]),
    ("a tenant that is none", "redaction:\n  - name: a\n    tenants:\n      - b\n      - A!", ["a.yaml:5: redaction[0].tenants[1]: tenant name: expected [a-z0-9]"]),
    ("a tenant twice", "redaction:\n  - name: a\n    tenants: [b]\n  - name: c\n    tenants:\n      - b", ["a.yaml:6: redaction[1].tenants[0]: got 'b' twice, expected it once: a.yaml:3 has it already"]),
    ("two for all others", "redaction:\n  - name: a\n    tenants: ['*']\n  - name: c\n    tenants: ['*']", ["a.yaml:5: redaction[1].tenants[0]: got '*' twice, expected it once: a.yaml:3 has it already"]),
    ("a name twice", "redaction:\n  - name: a\n    tenants: [b]\n  - name: a\n    tenants: [c]", ["a.yaml:4: redaction[1].name: got 'a' twice, expected it once: a.yaml:2 has it already"]),
    ("two entries, one problem each", "redaction:\n  - name: a\n    x: 1\n  - tenants: [a]", ["a.yaml:3: redaction[0].x: got an unknown key", "a.yaml:4: redaction[1].name: got nothing, expected this key"]),
    ("several problems of one entry", one("default: x\n    identity: x\n    contents: x"), ["a.yaml:4: redaction[0].default: got 'x'", "a.yaml:5: redaction[0].identity: got 'x'", "a.yaml:6: redaction[0].contents: got 'x'"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*case[1:], id=case[0]) for case in BAD])
def test_what_is_wrong_is_named_by_file_line_and_key(text, expected):
    """Each problem has its file, its line and its key, says what was got and what was expected, and none hides another."""
    found = problems(text)
    assert len(found) == len(expected), found
    for said, wanted in zip(found, expected, strict=True):
        assert said.startswith(wanted), said


def test_problems_of_every_file_are_told_at_once():
    """A broken file does not hide what is wrong with another, and names are unique across files."""
    found = problems(one("default: x"), **{"b.yaml": one("default: mask"), "c.yaml": "["})
    assert [said.split(" got ")[0] for said in found] == [
        "a.yaml:4: redaction[0].default:", "b.yaml:2: redaction[0].name:", "b.yaml:3: redaction[0].tenants[0]:", "c.yaml:1:",
    ]  # fmt: skip
    assert "a.yaml:2 has it already" in found[1]


def test_a_folder_without_a_policy_is_no_policy():
    """No file at all is an error, not a policy that lets everything pass; errors are settings errors with a hint."""
    with pytest.raises(SettingsError, match=re.escape("redaction/*.yaml:1: got no file")) as refused:
        compile_policy(Bundle("redaction", {}), KNOWN)
    assert "docs/reference/policies.md" in refused.value.hint


def test_two_policies_may_have_the_same_own_detector_but_not_two_of_one_name():
    """The same search under one name is one detector; another search under that name is an error."""
    custom = "custom: [{{name: e, pattern: {}, trigger: abc, class: {}}}]"
    first = one(custom.format("abc", "public"))
    second = one(custom.format("abc", "restricted"), before="  - name: b\n    tenants: [bank]\n")
    policy = compiled(first, **{"b.yaml": second})
    assert [policy.for_tenant(tenant).data_class("e").label for tenant in ("acme", "bank")] == ["public", "restricted"]
    (said,) = problems(first, **{"b.yaml": second.replace("pattern: abc", "pattern: abcd")})
    assert said == (
        "b.yaml:4: redaction[0].custom[0].pattern: got another pattern than the e of a.yaml:4, expected the same"
    )


def test_the_hash_is_over_names_and_bytes():
    """Another name, another byte or another split of the same text is another hash; the order of files is not."""
    files = {"a.yaml": "x", "b.yaml": "y"}
    first = Bundle("redaction", files).content_hash
    assert Bundle("redaction", dict(reversed(files.items()))).content_hash == first
    others = [
        {"a.yaml": "x", "c.yaml": "y"},
        {"a.yaml": "xy", "b.yaml": ""},
        {"a.yaml": "x"},
        {"a.yamlx": "", "b.yaml": "y"},
    ]
    assert len({first, *(Bundle("redaction", other).content_hash for other in others)}) == 5
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", first)


TRIGGERS = [
    ("EMP-", True), ("[^a]b", True), ("[]^$*+]x", True), (r"\$\^\*\+x", True), ("a{2,4}b", True), ("ab|cd", True),
    ("^ab", False), ("ab$", False), (r"\bab", False), (r"a\Bb", False), (r"\Aab", False), (r"ab\Z", False),
    ("(?:ab)", False), ("(?=ab)", False), (r"(ab)\1", False), ("ab*", False), ("ab+", False), ("ab{2,}", False), ("ab(", False),
    ("", False), ("a", False), ("a?b?", False), (".", False), ("ab|c", False), ("x" * 101, False),
]  # fmt: skip


@pytest.mark.parametrize(("trigger", "fine"), TRIGGERS)
def test_triggers_keep_to_what_a_search_over_joined_texts_takes(trigger, fine):
    """No anchors, no groups with `(?`, no references, no unbounded repeats, and two bytes at least."""
    if fine:
        assert check_trigger(trigger).pattern == trigger.encode()
    else:
        with pytest.raises(ValueError, match="expected"):
            check_trigger(trigger)


@pytest.mark.parametrize(
    "pattern", ["", "a*", "(a", "x" * 1001, "((a{1000}){1000}){1000}", "(?:(a{200}b){100}){2}", "a{99999999}"]
)
def test_patterns_that_cannot_be_used(pattern):
    """A pattern must compile, need something, and not grow beyond bounds once its repeats are written out."""
    with pytest.raises(ValueError, match="expected"):
        compile_pattern(pattern)


def test_a_pattern_finds_what_it_says():
    """Matches ascend in characters; those of nothing are left out."""
    assert make_find(r"EMP-\d{6}|(?=x)", ())("é EMP-123456, xEMP-654321") == [Match(2, 12), Match(15, 25)]


CONTEXTS = [
    ("before", "employee EMP-1", True), ("after", "EMP-1 of staff", True), ("another case", "STAFF EMP-1", True),
    ("none", "EMP-1", False), ("part of a word", "staffing EMP-1", False), ("word's end", "nonstaff EMP-1", False),
    ("too far", "staff" + " " * CONTEXT_CHARACTERS + "EMP-1", False),
    ("cut at the edge", "nonstaff" + " " * (CONTEXT_CHARACTERS - 5) + "EMP-1", False),
    ("just near enough", "staff" + " " * (CONTEXT_CHARACTERS - 5) + "EMP-1", True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "counts"), [pytest.param(*case[1:], id=case[0]) for case in CONTEXTS])
def test_context_words_must_stand_near(text, counts):
    """With context words, a match counts only where one of them stands whole within so many characters."""
    assert bool(make_find(r"EMP-\d", ("employee", "staff"))(text)) is counts


def test_a_pattern_that_takes_too_long_raises():
    """A pattern that backtracks without end is stopped and raises: whoever asked withholds the text."""
    with pytest.raises(TimeoutError):
        make_find(r"(a+)+b", ())("a" * 5000 + "c")


def documented_policies():
    """Each policy file that the how-to prints."""
    page = (Path(__file__).parents[2] / "docs/how-to/write-a-redaction-policy.md").read_text(encoding="utf8")
    return [
        textwrap.dedent(block) for block in re.findall(r"^ *```yaml\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    ], page


def test_the_strict_policy_is_printed_whole_in_the_documentation():
    """What the how-to prints as the strict policy is what the package brings."""
    (strict, _), _ = documented_policies()
    assert yaml.safe_load(strict) == yaml.safe_load(default_bundle().files["strict.yaml"])


def test_the_documented_example_changes_what_the_documentation_says():
    """The policy that the how-to adds compiles, and the words printed about it are those that `diff` prints."""
    (_, bank), page = documented_policies()
    known = {detector.name: detector for detector in DETECTORS}
    before = strict_policy(known)
    after = compile_policy(Bundle("redaction", {**default_bundle().files, "bank.yaml": bank}), known)
    added = f"bank.yaml added (+{len(bank.splitlines())} -0 lines)"
    said = "\n".join(f"     {change}" for change in describe_changes(before, after))
    assert f"   redaction: {added}\n{said}\n   ```" in page
