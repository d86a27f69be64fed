"""Redaction policies over generated files: whatever is written is compiled or refused by file and line, and decides always."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from collectors.redact.detectors import DETECTORS
from collectors.redact.policy_changes import describe_changes
from collectors.redact.policy_compiler import KIND, compile_policy
from collectors.redact.policy_config import Action
from warehouse.policies import Bundle, PolicyError
from warehouse.policies.yaml_lines import read_document
from warehouse.tables import TABLES

KNOWN = {detector.name: detector for detector in DETECTORS}
NAMES = tuple(KNOWN)
ANYWHERE = [action.value for action in Action if action is not Action.PARTIAL]
CLASSES = ["public", "internal", "confidential", "restricted"]

actions = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ANYWHERE), max_size=4)
keys = st.lists(
    st.text("abc.*?[]!-_", min_size=1, max_size=8).filter(lambda key: key.strip("*?")), min_size=1, max_size=3
)
rules = st.fixed_dictionaries(
    {"keys": keys, "class": st.sampled_from(CLASSES)},
    optional={
        "tables": st.lists(st.sampled_from(list(TABLES)), min_size=1),
        "detectors": actions,
        "categories": st.lists(st.sampled_from(["pii", "phi", "pci", "secret"]), min_size=1),
    },
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "default": st.sampled_from(ANYWHERE),
        "detectors": actions,
        "classes": st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CLASSES), max_size=3),
        "identity": st.sampled_from(["token", "mask", "keep", "drop"]),
        "contents": st.sampled_from(["redact", "drop"]),
        "default_class": st.sampled_from(CLASSES),
        "tables": st.dictionaries(
            st.sampled_from(list(TABLES)), st.fixed_dictionaries({"detectors": actions}), max_size=2
        ),
        "attributes": st.lists(rules, min_size=1, max_size=3),
    },
)
policies = st.lists(bodies, min_size=1, max_size=3).map(
    lambda found: [{"name": f"p{at}", "tenants": [f"t{at}"] if at else ["*"], **body} for at, body in enumerate(found)]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def text_of(content):
    return yaml.safe_dump({"redaction": content}, allow_unicode=True)


def problems_of(read):
    """What is wrong, None when nothing is; any other error is the test's."""
    try:
        read()
    except PolicyError as exc:
        return exc.problems
    return None


@given(policies, st.text(max_size=12))
def test_what_is_well_formed_compiles_and_decides_for_everybody(content, key):
    """Each detector has an action in each table and field for each tenant, as written, and nothing changes against itself."""
    policy = compile_policy(Bundle(KIND, {"a.yaml": text_of(content)}), KNOWN)
    for at, body in enumerate(content):
        tenant = policy.for_tenant(f"t{at}" if at else "anybody-else")
        assert tenant.name == f"p{at}"
        for name in NAMES:
            stated = body.get("detectors", {}).get(name, body.get("default", "mask"))
            for table in TABLES:
                in_table = body.get("tables", {}).get(table, {}).get("detectors", {}).get(name, stated)
                assert tenant.action(name, table) == in_table
                rule = tenant.field_rule(key, table)
                assert tenant.action(name, table, key) == (rule.detectors.get(name, in_table) if rule else in_table)
    assert describe_changes(policy, policy) == []


@given(st.dictionaries(st.sampled_from(["a.yaml", "b.yaml"]), anything | policies, min_size=1, max_size=2))
def test_whatever_is_written_compiles_or_is_refused_with_its_line(contents):
    """No content of a file raises anything but a policy error, whose lines are lines of that file."""
    files = {name: text_of(content) for name, content in contents.items()}
    found = problems_of(lambda: compile_policy(Bundle(KIND, files), KNOWN))
    assert found is None or found
    for problem in found or ():
        assert 1 <= problem.line <= max(1, len(files[problem.file].splitlines()))


@given(st.text(st.sampled_from("redaction:-[]{}&*!|>'\"#%@ \n\tab1~?,\\\0é\u2028"), max_size=60))
def test_whatever_text_is_read_or_refused(text):
    """No text raises anything but a policy error, and what is read is what a plain reader of YAML makes of it."""
    found = problems_of(lambda: read_document("a.yaml", text))
    assert found is None or found
    if found is None:
        assert read_document("a.yaml", text).value == plainly_read(text)


def plainly_read(text):
    """The text's value by libyaml, which takes a few more than the reader in Python, and by that where libyaml refuses it."""
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return yaml.safe_load(text)
