"""The trend of a control in a pack's report: bars over the period, and what is said of items that stand in none."""

from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest

from governance.controls.evaluating import Outcome, State
from governance.controls.framework import Control
from governance.evidence.report import trend_of, untimed
from governance.evidence.report_changes import summary_row

DAY = 86_400_000_000_000
GROUND = SimpleNamespace(from_unix_nano=10 * DAY, to_unix_nano=12 * DAY)


def outcome(*days):
    """An outcome whose items are (day, ok)."""
    control = Control("soc2", "C1", "t", "c", "q", "population", "l", "select")
    population = pa.table(
        {
            "time_unix_nano": pa.array([day * DAY for day, _ in days], pa.int64()),
            "ok": pa.array([ok for _, ok in days], pa.bool_()),
        }
    )
    return Outcome(control, State.NOT_SATISFIED, population, sum(not ok for _, ok in days), None, "")


@pytest.mark.parametrize(
    ("days", "bars", "said"),
    [
        ([], [], ""),
        ([(10, True), (10, False), (11, True)], [(2, 1), (1, 0)], ""),
        ([(3, True), (11, False)], [(0, 0), (1, 1)], "1 of 2 items were recorded before the period or after it"),
        ([(3, True), (12, False)], [], "No trend: what is counted here was recorded before the period"),
    ],
)
def test_items_recorded_before_the_period_draw_no_empty_trend(days, bars, said):
    """A control over what was in force before, such as tools that an agent holds, says so where bars would all be empty."""
    found = outcome(*days)
    assert [(bar["items"], bar["exceptions"]) for bar in trend_of(found, GROUND)] == bars
    assert untimed(found, GROUND).startswith(said)
    assert bool(untimed(found, GROUND)) == bool(said)


@pytest.mark.parametrize(
    ("before", "now", "finding", "items"),
    [
        (1, 1, "not satisfied, as before", "1"),
        (0, 2, "insufficient evidence → not satisfied", "0 → 2"),
    ],
)
def test_what_did_not_change_is_said_once(before, now, finding, items):
    """A row of the summary names two findings or figures only where they differ."""
    first, second = (outcome(*[(10, True)] * count) for count in (before, now))
    if not first.items:
        first = replace(first, state=State.INSUFFICIENT)
    difference = SimpleNamespace(before=first, new=0, continuing=1, gone=pa.table({"x": []}))
    assessment = SimpleNamespace(
        control=first.control, difference=difference, outcome=second, dispositions={"open": 1}, overdue=0, review=None
    )
    row = summary_row(assessment)
    assert (row["finding"], row["items"]) == (finding, items)
