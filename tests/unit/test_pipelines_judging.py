"""What checks judge: which tenants a purge left out, and how the records of a day stand."""

import pytest

from pipelines.findings import QualityOutcome
from pipelines.jobs import Overdue, PurgeState, TenantState
from pipelines.judging import Skipped, is_only_expected, judge_day, skipped_purges

HOUR = 3_600_000_000_000
NOW = 1000 * HOUR
WHY = "expected one within 26 h"


@pytest.mark.parametrize(
    ("created", "run", "state", "expected"),
    [
        pytest.param(0, NOW - 26 * HOUR, PurgeState(None), [], id="a run at the limit"),
        pytest.param(0, NOW - 26 * HOUR - 1, PurgeState(None), [f"the last run ended 26 h ago; {WHY}"], id="too old"),
        pytest.param(0, None, PurgeState(None), [f"no run is known; {WHY}"], id="none at all"),
        pytest.param(NOW - 26 * HOUR, None, PurgeState(None), [], id="a tenant younger than the limit"),
        pytest.param(0, None, PurgeState(NOW - HOUR), [], id="a purge by the command line"),
        pytest.param(0, NOW - 90 * HOUR, PurgeState(NOW - 50 * HOUR), [f"the last run ended 50 h ago; {WHY}"], id="both old"),
        pytest.param(
            0, NOW, PurgeState(NOW, ("p1",)), ["purge p1 was begun and is not finished"], id="one left unfinished"
        ),
    ],
)  # fmt: skip
def test_a_tenant_whose_purge_was_skipped_is_named(created, run, state, expected):
    """The last run, by Dagster or by certificate, is at most 26 hours old, and nothing is left unfinished."""
    last = {} if run is None else {"acme": run}
    found = skipped_purges([TenantState("acme", created)], last, {"acme": state}, NOW)
    assert found == [Skipped("acme", why) for why in expected]


def test_only_expected_is_no_error():
    """One row that is there without a reason makes all of it an error."""
    fresh = Overdue("spans", "2026-01-01", 1, 1, "the policy is new", expected=True)
    late = Overdue("spans", "2026-01-01", 1, 1, "no run took them")
    assert is_only_expected({"a": [fresh], "b": []})
    assert not is_only_expected({"a": [fresh], "b": [late]})


def outcome(what, *, tenant="acme", name="ids", unexpected=0):
    return QualityOutcome(
        tenant, name, what, None if what == "errored" else 5, None if what == "errored" else unexpected
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], "empty", id="never checked"),
        pytest.param([outcome("empty")], "empty", id="nothing to look at"),
        pytest.param([outcome("empty"), outcome("passed")], "passed", id="one passed"),
        pytest.param([outcome("passed"), outcome("errored", tenant="beta")], "errored", id="unknown is no pass"),
        pytest.param([outcome("errored"), outcome("failed", tenant="beta")], "failed", id="what failed is known"),
    ],
)
def test_the_standing_of_a_day(found, expected):
    """Failed before errored before passed; a day without anything to look at is none of them."""
    assert judge_day(found, ()).outcome == expected


def test_a_standing_names_what_failed_and_what_errored():
    """By tenant and check, with the count of unexpected records by check; only shares is said where each check lets some pass."""
    found = [
        outcome("failed", name="dialect", unexpected=3),
        outcome("failed", tenant="beta", name="dialect", unexpected=4),
        outcome("errored", name="ids"),
    ]
    standing = judge_day(found, {"dialect"})
    assert standing.failed == ("acme: dialect", "beta: dialect")
    assert standing.errored == ("acme: ids",)
    assert standing.unexpected == {"dialect": 7}
    assert standing.only_shares
    assert not judge_day([*found, outcome("failed", name="ids", unexpected=1)], {"dialect"}).only_shares
