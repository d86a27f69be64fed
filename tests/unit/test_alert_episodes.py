"""Which alerts begin, go on and end, from what a round found."""

import pytest

from pipelines.alerts.alert import Alert
from pipelines.alerts.episodes import KEPT_DAYS, Doubt, Evaluation, compare, read_alert, watchdog
from pipelines.alerts.notice import episode_id
from warehouse.clock import NANOS_PER_DAY

SLOS = frozenset({"slo"})


@pytest.fixture
def now(alerting):
    return alerting.NOW + 60 * alerting.SECOND


def test_an_alert_begins_once(alerting, now):
    """What is found for the first time begins; what is found again keeps its beginning, whatever the source says later."""
    first = compare([], [Evaluation(SLOS, (alerting.alert(),))], now)
    assert [row.fingerprint for row in first.began] == [alerting.alert().fingerprint]
    (kept,) = first.keep
    again = compare([kept], [Evaluation(SLOS, (alerting.alert(starts_unix_nano=now),))], now + 1)
    assert (again.keep, again.began, again.ended) == ((), (), ())


def test_what_is_said_of_an_alert_follows_the_source(alerting, now):
    """A new description or severity is taken over while the alert goes on."""
    kept = alerting.record(alerting.alert())
    changes = compare([kept], [Evaluation(SLOS, (alerting.alert(description="worse", value=3.5),))], now)
    (row,) = changes.keep
    assert (read_alert(row).description, read_alert(row).value, row.starts_unix_nano) == ("worse", 3.5, alerting.NOW)
    assert changes.began == ()


def test_what_is_no_longer_found_ends_at_that_round(alerting, now):
    """An alert that its source does not find any more ended, with the round's time."""
    changes = compare([alerting.record(alerting.alert())], [Evaluation(SLOS)], now)
    assert [row.ends_unix_nano for row in changes.ended] == [now]
    assert changes.keep == changes.ended


@pytest.mark.parametrize(
    "looked_at",
    [
        pytest.param(Evaluation(frozenset()), id="its source failed"),
        pytest.param(Evaluation(frozenset({"incident"})), id="another kind"),
        pytest.param(Evaluation(SLOS, doubts=frozenset({Doubt("acme")})), id="its tenant failed"),
        pytest.param(Evaluation(SLOS, doubts=frozenset({Doubt("acme", "sli", "p95")})), id="its indicator failed"),
    ],
)
def test_only_what_was_looked_at_can_end(alerting, now, looked_at):
    """Not knowing is not all clear."""
    changes = compare([alerting.record(alerting.alert(labels={"sli": "p95"}))], [looked_at], now)
    assert (changes.keep, changes.ended) == ((), ())


@pytest.mark.parametrize("doubt", [Doubt("other"), Doubt("acme", "sli", "errors"), Doubt("acme", "rule", "p95")])
def test_a_doubt_keeps_nothing_else_from_ending(alerting, now, doubt):
    """Another tenant's trouble, or another indicator's, is not this alert's."""
    changes = compare(
        [alerting.record(alerting.alert(labels={"sli": "p95"}))], [Evaluation(SLOS, doubts=frozenset({doubt}))], now
    )
    assert len(changes.ended) == 1


def test_an_alert_that_comes_back_is_another_episode(alerting, now):
    """After its end is on record, the same alert begins anew, later than it ended, though its source names an older time."""
    over = alerting.record(alerting.alert(ends_unix_nano=now))
    changes = compare([over], [Evaluation(SLOS, (alerting.alert(),))], now + 5)
    (row,) = changes.began
    assert row.ends_unix_nano is None
    assert row.starts_unix_nano >= now
    assert not row.began_recorded
    assert episode_id(read_alert(row)) != episode_id(read_alert(over))


def test_an_end_that_is_not_on_record_is_taken_back(alerting, now):
    """While its end could not be recorded, an alert that comes back never ended: no episode is left without its events."""
    over = alerting.record(alerting.alert(ends_unix_nano=now), end_recorded=False)
    changes = compare([over], [Evaluation(SLOS, (alerting.alert(),))], now + 5)
    (row,) = changes.keep
    assert (row.starts_unix_nano, row.ends_unix_nano, row.began_recorded) == (alerting.NOW, None, True)
    assert changes.began == ()


def test_of_the_same_alert_the_most_severe_counts(alerting, now):
    """Two findings with one fingerprint are one alert."""
    found = (alerting.alert(severity="ticket"), alerting.alert(severity="page"), alerting.alert(severity="info"))
    (row,) = compare([], [Evaluation(SLOS, found)], now).keep
    assert read_alert(row).severity == "page"


def test_what_ended_is_kept_as_long_as_it_must_be(alerting, now):
    """A week, and as long as a target has to be told or an event to be recorded."""
    over = alerting.record(alerting.alert(ends_unix_nano=now))
    later = now + (KEPT_DAYS + 1) * NANOS_PER_DAY
    assert compare([over], [], now + 1).forget == ()
    assert compare([over], [], later).forget == (over.fingerprint,)
    assert compare([over], [], later, unsettled={over.fingerprint}).forget == ()
    unrecorded = alerting.record(alerting.alert(ends_unix_nano=now), end_recorded=False)
    assert compare([unrecorded], [], later).forget == ()


def test_a_row_gives_its_alert_back(alerting):
    """Nothing of an alert is lost in its row."""
    made = Alert(
        "budget/fast", "incident", "acme", "ticket", "s", "d é", 5, labels={"b": "2", "a": "1"}, runbook="r.md",
        value=0.25, targets=("ops",),
    )  # fmt: skip
    assert read_alert(alerting.record(made)) == made


def test_identity_is_name_tenant_and_labels(alerting):
    """Severity, texts and times are no part of the fingerprint; each label is."""
    base = alerting.alert(labels={"slo": "a"})
    assert (
        alerting.alert(labels={"slo": "a"}, severity="info", summary="x", starts_unix_nano=1).fingerprint
        == base.fingerprint
    )
    others = [
        alerting.alert("fast", labels={"slo": "a"}),
        alerting.alert(labels={"slo": "b"}),
        alerting.alert(tenant="b", labels={"slo": "a"}),
    ]
    assert base.fingerprint not in {other.fingerprint for other in others}


def test_the_watchdog_always_fires(alerting, now):
    """It is found in every round, as one alert."""
    first = compare([], [watchdog(now)], now)
    assert compare(first.keep, [watchdog(now + 1)], now + 1).keep == ()
