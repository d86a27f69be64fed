"""Figures against numbers worked out by hand: attainment, budget, coverage, maintenance, burn rates and alerts."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.slo.alerts import find_alerts
from pipelines.slo.definitions import Maintenance, SloPolicy
from pipelines.slo.figures import holding_cells, measure_between, measure_slo
from pipelines.slo.grid import make_grid
from pipelines.slo.policy_changes import describe_changes
from pipelines.slo.reading import Counts
from warehouse.clock import utc_text

MONTH = json.loads((Path(__file__).parent / "golden" / "month.json").read_text(encoding="utf8"))
METHODS = {
    "Occurrences": {},
    "Timeslices": {"more": ", timeSliceWindow: 5m, timeSliceTarget: 0.95"},
    "RatioTimeslices": {"more": ", timeSliceWindow: 5m"},
}
SECOND = 1_000_000_000
FIVE = 300 * SECOND
HOUR = 3_600 * SECOND


def nanos(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


BEGIN, END = nanos("2026-11-01"), nanos("2026-12-01")


def counts(windows):
    """Rows with the columns that figures read: {begin: (total, good)}."""
    return Counts.from_table(
        pa.table(
            {
                "time_unix_nano": pa.array(list(windows), pa.int64()),
                "total": pa.array([total for total, _ in windows.values()], pa.int64()),
                "good": pa.array([good for _, good in windows.values()], pa.int64()),
            }
        )
    )


def month():
    """The windows of the golden month."""
    found = {}
    for day in range(1, 31):
        bad = MONTH["bad"].get(f"2026-11-{day:02}", [0] * 4)
        for number, lost in enumerate(bad):
            begin = nanos(f"2026-11-{day:02}T09:00") + number * FIVE
            found[begin] = (MONTH["day_events"] // 4, MONTH["day_events"] // 4 - lost)
    return counts(found)


def planned():
    """The golden month's maintenance."""
    begin, end = (nanos(MONTH["maintenance"][key].removesuffix("Z")) for key in ("from", "to"))
    return Maintenance("move", begin, end, "new disks")


def grid_of(slo, rows, *, maintenance=(), begin=BEGIN, end=END):
    return make_grid(rows, slo.objectives[0], maintenance, begin_unix_nano=begin, end_unix_nano=end)


@pytest.mark.parametrize("method", METHODS)
def test_a_month_worked_out_by_hand(slo_lakes, method):
    """Each budgeting method gives the golden file's numbers over the same month, planned maintenance left out of all of them."""
    (slo,) = slo_lakes.slo_policy(method=method, target=MONTH["target"], settle=None, **METHODS[method]).slos
    figure = measure_between(slo, slo.objectives[0], "acme", grid_of(slo, month(), maintenance=[planned()]), BEGIN, END)
    expected = MONTH["expected"]
    for name in ("windows", "excluded_windows", "excluded_total", "measured_windows", "total", "good"):
        assert (name, getattr(figure, name)) == (name, expected[name])
    assert figure.coverage == pytest.approx(expected["coverage"], abs=5e-7)
    assert figure.attainment == pytest.approx(expected[method]["attainment"], abs=1e-9)
    assert figure.budget_remaining == pytest.approx(expected[method]["budget_remaining"], abs=1e-8)
    assert figure.state == expected[method]["state"]


def test_maintenance_is_never_good(slo_lakes):
    """Without the maintenance its bad events count; with it neither its bad nor its good ones do."""
    (slo,) = slo_lakes.slo_policy(settle=None).slos
    whole = measure_between(slo, slo.objectives[0], "acme", grid_of(slo, month()), BEGIN, END)
    assert (whole.total, whole.good, whole.excluded_windows) == (30_000, 30_000 - 680, 0)
    assert whole.state == "spent"


def test_alerts_of_the_month(slo_lakes):
    """The page holds at the ends of the windows that the golden file names, and at no others."""
    (slo,) = slo_lakes.slo_policy(settle=None).slos
    grid = grid_of(slo, month(), maintenance=[planned()])
    due = holding_cells(slo, slo.objectives[0], slo.policies[0].conditions[0], grid)
    ends = [utc_text(BEGIN + (int(cell) + 1) * FIVE) for cell in due.nonzero()[0]]
    assert ends == [begin for begin, _ in MONTH["expected_alerts"]]


def figure_at(slo_lakes, windows, now, **more):
    """The figure and alerts of one SLO at an instant."""
    policy = slo_lakes.slo_policy(settle=None, **more)
    (slo,) = policy.slos
    rows = {slo.objectives[0].series.query_hash: counts(windows)}
    (figure,) = measure_slo(slo, policy, "acme", rows, now)
    return figure, find_alerts(policy.slos, [figure])


NOON = nanos("2026-11-20T12:00")


@pytest.mark.parametrize(
    ("name", "windows", "minutes", "fires"),
    [
        pytest.param("both burn", {0: (100, 80), 5: (100, 80)}, 10, True, id="both windows burn"),
        pytest.param(
            "short over", {0: (100, 50), 5: (100, 100), 10: (100, 100)}, 15, False, id="the short window is over it"
        ),
        pytest.param("long fine", {-40: (2000, 2000), 0: (100, 80)}, 5, False, id="the long window lost too little"),
        pytest.param("exactly", {0: (1000, 856)}, 5, False, id="exactly the factor is not over it"),
        pytest.param("just over", {0: (1000, 855)}, 5, True, id="one event more is"),
        pytest.param("open window", {0: (100, 60)}, 2, True, id="a window that is still open"),
        pytest.param("just begun", {0: (100, 60)}, 6, True, id="the window after it has just begun"),
        pytest.param("old", {-65: (100, 0)}, 5, False, id="an hour ago"),
        pytest.param("none", {}, 5, False, id="nothing measured"),
    ],
)
def test_when_an_alert_is_due(slo_lakes, name, windows, minutes, fires):
    """The page (14.4 within an hour and five minutes, target 99 %) is due where both windows burn faster, and only there."""
    found = {NOON + at * 60 * SECOND: counted for at, counted in windows.items()}
    _, alerts = figure_at(slo_lakes, found, NOON + minutes * 60 * SECOND)
    assert bool(alerts) == fires, name


def test_too_few_events_give_no_verdict_and_no_alert(slo_lakes):
    """Below the minimum the state is `few`; at the minimum the same share of bad events pages."""
    for events, state, fires in ((9, "few", False), (10, "spent", True)):
        figure, alerts = figure_at(slo_lakes, {NOON: (events, 0)}, NOON + FIVE, minimum=10)
        assert (figure.state, bool(alerts)) == (state, fires)


def test_nothing_measured_is_no_good(slo_lakes):
    """Without events there is no attainment, no budget and no coverage: unmeasured, not a hundred per cent."""
    figure, _ = figure_at(slo_lakes, {}, NOON)
    assert (figure.state, figure.attainment, figure.budget_remaining, figure.coverage) == ("unmeasured", None, None, 0)


def test_an_alert_says_since_when(slo_lakes):
    """Its start is the begin of the first window since which the condition has held, the same at every later look."""
    windows = {NOON + at * FIVE: (100, 50) for at in range(6)}
    starts = set()
    for minutes in (2, 5, 10, 17, 30, 32):
        _, (alert,) = figure_at(slo_lakes, windows, NOON + minutes * 60 * SECOND)
        starts.add(alert.starts_unix_nano)
    assert starts == {NOON}
    assert alert.labels["slo"] == "checkout"
    assert (alert.severity, alert.kind, alert.value) == ("page", "slo", 50.0)


def test_a_page_does_not_flap_where_little_comes(slo_lakes):
    """A short window without events leaves the page as it was, from its first look on; a good one ends it, and so does the long one."""
    minutes = 60 * SECOND
    rare = {NOON + at * 20 * minutes: (10, 0) for at in range(3)}
    starts = [
        [alert.starts_unix_nano for alert in figure_at(slo_lakes, rare, NOON + at * minutes)[1]]
        for at in range(5, 100, 7)
    ]
    assert starts == [[NOON]] * len(starts)
    (slo,) = slo_lakes.slo_policy(settle=None).slos
    due = holding_cells(slo, slo.objectives[0], slo.policies[0].conditions[0], grid_of(slo, counts(rare)))
    ends = BEGIN + (due.nonzero()[0] + 1) * FIVE
    assert list(ends) == list(range(NOON + FIVE, NOON + 105 * minutes, FIVE))
    later = NOON + 110 * minutes
    assert not figure_at(slo_lakes, rare, later)[1]
    recovered = rare | {NOON + 45 * minutes: (10, 10)}
    for at in (50, 55, 58):
        assert not figure_at(slo_lakes, recovered, NOON + at * minutes)[1]


def test_the_fingerprint_stays(slo_lakes):
    """What identifies an alert does not change with what was measured."""
    prints = set()
    for bad in (50, 60):
        _, (alert,) = figure_at(slo_lakes, {NOON: (100, 100 - bad)}, NOON + FIVE)
        prints.add(alert.fingerprint)
    assert len(prints) == 1


def changed(slo_lakes, old, new):
    """A policy whose condition or policy was edited in its text."""
    text = slo_lakes.SLO
    assert old in text
    try:
        slo_lakes.SLO = text.replace(old, new)
        return slo_lakes.slo_policy(settle=None)
    finally:
        slo_lakes.SLO = text


def alerts_of(policy, windows, now):
    (slo,) = policy.slos
    (figure,) = measure_slo(slo, policy, "acme", {slo.objectives[0].series.query_hash: counts(windows)}, now)
    return find_alerts(policy.slos, [figure])


def test_a_condition_that_must_hold_for_a_while(slo_lakes):
    """With `alertAfter: 10m` an alert is due once the condition has held over two whole windows, not before."""
    policy = changed(slo_lakes, "lookbackWindow: 1h", "lookbackWindow: 1h, alertAfter: 10m")
    windows = {NOON + at * FIVE: (100, 50) for at in range(3)}
    for minutes, due in ((5, False), (9, False), (10, True), (14, True)):
        assert bool(alerts_of(policy, windows, NOON + minutes * 60 * SECOND)) == due, minutes


def test_silence_is_told_where_that_is_asked_for(slo_lakes):
    """With `alertWhenNoData` an hour without an event is an alert, and one event ends it; without it silence is no alert."""
    policy = changed(
        slo_lakes, "      spec:\n        conditions:", "      spec:\n        alertWhenNoData: true\n        conditions:"
    )
    (alert,) = alerts_of(policy, {}, NOON)
    assert "nothing was measured for 1h" in alert.summary
    assert alert.starts_unix_nano == NOON - HOUR
    assert alerts_of(policy, {NOON - FIVE: (1, 1)}, NOON) == ()
    assert alerts_of(slo_lakes.slo_policy(settle=None), {}, NOON) == ()


def test_what_is_watched_pages_nobody(slo_lakes):
    """A watched SLO has a state of its own and no alert, however bad it is."""
    policy = changed(slo_lakes, '"{minimum}"', '"{minimum}", muniment/watched: "true"')
    (slo,) = policy.slos
    rows = {slo.objectives[0].series.query_hash: counts({NOON: (100, 0)})}
    (figure,) = measure_slo(slo, policy, "acme", rows, NOON + FIVE)
    assert (figure.state, find_alerts(policy.slos, [figure])) == ("watched", ())


def test_changes_are_told_in_words(slo_lakes):
    """Applying says which SLO begins, ends, gets another target, is counted by another query, or is left out for maintenance."""
    before = slo_lakes.slo_policy(settle=None)
    planned = (
        "---\napiVersion: muniment/v1\nkind: Maintenance\nmetadata: {name: move}\n"
        "spec: {from: 2026-11-08T02:00:00Z, to: 2026-11-08T04:00:00Z, reason: new disks}\n"
    )
    sql = slo_lakes.SQL.replace("'OK'", "'UNSET'")
    after = slo_lakes.slo_policy(settle=None, target=0.95, sql=sql, minimum=5, besides=planned)
    assert describe_changes(before, after) == [
        "SLO checkout: is counted by another query, from what the lake still holds; counts of the old one stay beside it",
        "SLO checkout: minimum of events 1, now 5",
        "SLO checkout: objective all: target 0.99, now 0.95",
        "maintenance move: 2026-11-08T02:00:00Z to 2026-11-08T04:00:00Z is excluded (new disks)",
    ]
    none = SloPolicy("")
    assert describe_changes(none, before) == ["SLO checkout: begins"]
    assert describe_changes(before, none) == ["SLO checkout: ends; what was counted for it stays"]
    assert describe_changes(before, before) == []
