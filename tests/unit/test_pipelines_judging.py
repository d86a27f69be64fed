"""What the checks of retention judge: which tenants were left out, and what is as it should be."""

import pytest

from pipelines.jobs import Overdue, PurgeState, TenantState
from pipelines.judging import Skipped, is_only_expected, skipped_purges

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
