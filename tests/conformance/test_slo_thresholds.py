"""Burn-rate thresholds against the rules that sloth generated for the same objectives: same windows, same numbers."""

import math
import re
from pathlib import Path

import pytest
import yaml

from pipelines.slo.burn import WORKBOOK, error_threshold, why_unreachable
from pipelines.slo.durations import duration_text
from pipelines.slo.policy_compiler import default_policy

SLOTH = Path(__file__).parents[3] / "shared" / "data" / "slo" / "sloth"
PERIOD_SECONDS = 30 * 86_400
CONDITION = re.compile(r"ratio_rate(\w+)\{[^}]*\} > \(([\d.]+) \* ([\d.]+)\)")


def objectives():
    """(slo, objective in percent, the groups of rules generated for it)."""
    for file in ("getting-started.yml", "home-wifi.yml"):
        generated = yaml.safe_load((SLOTH / "generated" / file).read_text(encoding="utf8"))
        source = yaml.safe_load((SLOTH / file).read_text(encoding="utf8"))
        for slo in source["slos"]:
            name = f"sloth-slo-alerts-{source['service']}-{slo['name']}"
            (group,) = [each for each in generated["groups"] if each["name"] == name]
            yield pytest.param(slo["objective"], group["rules"], id=name)


def expected(rules):
    """(severity, windows, factor, threshold) of each pair of windows that the rules hold against a threshold."""
    found = set()
    for rule in rules:
        for pair in rule["expr"].split("\nor\n"):
            (short, factor, budget), (long, again, _) = CONDITION.findall(pair)
            assert factor == again
            found.add((rule["labels"]["sloth_severity"], long, short, float(factor), float(factor) * float(budget)))
    return found


@pytest.mark.parametrize(("objective", "rules"), list(objectives()))
def test_thresholds_are_those_that_sloth_generates(objective, rules):
    """Every pair of windows of the generated rules is one of ours, with its severity, factor and threshold, and no other is."""
    target = objective / 100
    ours = {
        (pair.severity, duration_text(pair.long_seconds), duration_text(pair.short_seconds)): (
            pair.factor(PERIOD_SECONDS),
            error_threshold(pair.factor(PERIOD_SECONDS), target),
        )
        for pair in WORKBOOK
    }
    theirs = expected(rules)
    assert len(theirs) == len(ours) == 4
    for severity, long, short, factor, threshold in theirs:
        found = ours[severity, long, short]
        assert math.isclose(found[0], factor, rel_tol=1e-9)
        assert math.isclose(found[1], threshold, rel_tol=1e-9)


def test_the_conditions_that_come_with_the_package_are_these():
    """The shipped alert conditions are the workbook's pairs, so sloth's too."""
    shipped = {
        (each.severity, each.long_seconds, each.short_seconds, each.threshold)
        for slo in default_policy().slos
        for policy in slo.policies
        for each in policy.conditions
    }
    assert shipped == {
        (pair.severity, pair.long_seconds, pair.short_seconds, pair.factor(PERIOD_SECONDS)) for pair in WORKBOOK
    }


@pytest.mark.parametrize(("target", "reachable"), [(0.9305, False), (0.9306, True), (0.95, True), (0.5, False)])
def test_what_no_burn_rate_reaches_is_told(target, reachable):
    """14.4 within an hour can be reached from a target of 93.06 % on: 1 / (1 - target) is the most there is."""
    assert (why_unreachable(14.4, target, 3_600, PERIOD_SECONDS) is None) == reachable
