"""The rules that come with the package, and their runbooks."""

import re
import shlex
from pathlib import Path

import duckdb
import pytest

from pipelines.incidents.compiler import compile_rules, default_bundle
from warehouse.query import ReadPoint, check_query
from warehouse.query.views import VIEWS, create_new_views

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
RULES = compile_rules(default_bundle()).rules
"""Compiling runs each of them on a lake without rows."""
FENCE = re.compile(r"```sh\n(.*?)```", re.DOTALL)
TRUTH = {
    "denied-action-executed", "tool-failing", "latency-regression", "approval-after-expiry", "agent-silent",
    "health-data-outside-region", "model-switched-without-approval", "credential-used-from-two-places",
}  # fmt: skip


def queries(runbook):
    """The SQL of a runbook's `muniment sql` commands."""
    for block in FENCE.findall(runbook):
        for line in block.splitlines():
            words = shlex.split(line)
            if words[:2] == ["muniment", "sql"]:
                yield words[2]


def test_the_troubles_of_the_demo_have_rules():
    """Each trouble that a demo hides is named after the rule that finds it."""
    assert {rule.id for rule in RULES} >= TRUTH


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_has_a_runbook_whose_queries_run(rule):
    """What a runbook tells people to ask can be asked, and it says what the rule means, how to check, what to do."""
    text = (RUNBOOKS / rule.runbook).read_text(encoding="utf8")
    assert f"`{rule.id}`" in text
    connection = duckdb.connect(":memory:")
    create_new_views(connection, {name: [] for name in VIEWS}, ReadPoint(), ReadPoint(), limits=None)
    for query in queries(text):
        connection.sql(check_query(query, VIEWS).statement).fetchall()


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.id in TRUTH or rule.id.startswith("drift-")], ids=lambda rule: rule.id
)
def test_a_runbook_has_its_three_parts(rule):
    """What it means, how to check, what to do."""
    text = (RUNBOOKS / rule.runbook).read_text(encoding="utf8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[:3] == ["What it means", "Check", "Do"]
