"""What a target is told, and when again."""

import pytest

from pipelines.alerts.episodes import read_alert, watchdog
from pipelines.alerts.plan import plan, waiting
from warehouse.control import DeliveryRecord


def told(row, **fields):
    """A delivery of a row as it stands."""
    given = {
        "target": "file",
        "fingerprint": row.fingerprint,
        "starts_unix_nano": row.starts_unix_nano,
        "ended": row.ends_unix_nano is not None,
        "severity": read_alert(row).severity,
        "sent_unix_nano": row.starts_unix_nano,
    }
    return DeliveryRecord(**{**given, **fields})


@pytest.fixture
def due(alerting):
    """Plans for one target, a minute after NOW."""

    def make(target, rows, deliveries=(), *, names=("file",), seconds=60, alive=True):
        return plan(
            target,
            names,
            rows,
            {each.fingerprint: each for each in deliveries},
            now_unix_nano=alerting.NOW + seconds * alerting.SECOND,
            interval_seconds=60,
            alive=alive,
        )

    return make


@pytest.fixture
def file(alerting):
    return alerting.target("file", path="x")


@pytest.fixture
def manager(alerting):
    return alerting.target("alertmanager", url="http://127.0.0.1:9093")


def test_an_alert_is_told_once(alerting, due, file):
    """Told, it is not told again."""
    row = alerting.record(alerting.alert())
    assert [notice.status for notice in due(file, [row]).notices] == ["firing"]
    assert due(file, [row], [told(row)]).notices == ()


def test_an_end_is_told_to_who_was_told_of_the_beginning(alerting, due, file):
    """Its end follows, once; a target that never heard of it, nor was to, hears nothing."""
    row = alerting.record(alerting.alert(ends_unix_nano=alerting.NOW + 5))
    began = told(row, ended=False)
    (notice,) = due(file, [row], [began]).notices
    assert (notice.status, notice.told) == ("resolved", True)
    assert due(file, [row], [told(row)]).notices == ()
    assert due(file, [row]).notices == ()


def test_what_ended_while_a_target_was_away_is_told_as_resolved(alerting, due, file):
    """It was queued for the target, so the target learns of it, with both times."""
    row = alerting.record(alerting.alert(ends_unix_nano=alerting.NOW + 5))
    (notice,) = due(file, [row], [DeliveryRecord("file", row.fingerprint)]).notices
    assert (notice.status, notice.told) == ("resolved", False)


def test_another_episode_is_told_again(alerting, due, file):
    """What was told of an earlier episode counts for that one."""
    row = alerting.record(alerting.alert())
    (notice,) = due(file, [row], [told(row, starts_unix_nano=1, ended=True)]).notices
    assert (notice.status, notice.told) == ("firing", False)


def test_another_severity_is_told(alerting, due, file):
    """Who was told of a ticket hears that it became a page."""
    row = alerting.record(alerting.alert(severity="page"))
    (notice,) = due(file, [row], [told(row, severity="ticket")]).notices
    assert notice.alert.severity == "page"


@pytest.mark.parametrize(
    ("settings", "fields", "goes"),
    [
        ({}, {}, True),
        ({"severities": ["ticket"]}, {}, False),
        ({"tenants": ["other"]}, {}, False),
        ({"tenants": ["acme"]}, {}, True),
        ({}, {"targets": ("file",)}, True),
        ({}, {"targets": ("pager",)}, False),
        pytest.param({}, {"targets": ("unknown",)}, True, id="a target that does not exist must not swallow it"),
        pytest.param({}, {"targets": ("unknown", "pager")}, False, id="one that exists is enough"),
    ],
)
def test_who_an_alert_is_for(alerting, due, settings, fields, goes):
    """Severity, tenant and the targets that the alert itself names decide."""
    target = alerting.target("file", path="x", **settings)
    row = alerting.record(alerting.alert(**fields))
    assert bool(due(target, [row], names=("file", "pager")).notices) == goes


def test_an_alertmanager_is_told_each_round(alerting, due, manager):
    """It forgets what it is not told; half a round later is too early, a whole one is not."""
    row = alerting.record(alerting.alert())
    delivery = told(row, target="alertmanager")
    assert due(manager, [row], [delivery], names=("alertmanager",), seconds=20).notices == ()
    assert len(due(manager, [row], [delivery], names=("alertmanager",), seconds=59).notices) == 1


def test_the_watchdog_goes_where_it_is_wanted(alerting, due, file, manager):
    """To an Alertmanager by itself, elsewhere by settings; and each time anew, or nobody would miss it."""
    row = alerting.record(watchdog(alerting.NOW).alerts[0])
    wanted = alerting.target("file", path="x", watchdog=True)
    assert due(file, [row]).notices == ()
    assert len(due(manager, [row], names=("alertmanager",)).notices) == 1
    assert len(due(wanted, [row], [told(row)]).notices) == 1
    assert due(alerting.target("alertmanager", url="http://127.0.0.1:9093", watchdog=False), [row]).notices == ()


def test_the_watchdog_is_silent_without_rounds(alerting, due, manager):
    """It says that rounds are done, so it is not sent when none are, though the process lives."""
    rows = [alerting.record(watchdog(alerting.NOW).alerts[0]), alerting.record(alerting.alert())]
    (notice,) = due(manager, rows, names=("alertmanager",), alive=False).notices
    assert notice.alert.kind == "slo"


def test_what_failed_waits_for_its_time(alerting, due, file):
    """Before the time of its next attempt nothing is sent, and the plan says when that is."""
    row = alerting.record(alerting.alert())
    failed = DeliveryRecord("file", row.fingerprint, attempts=1, retry_unix_nano=alerting.NOW + 90 * alerting.SECOND)
    early = due(file, [row], [failed])
    assert (early.notices, early.next_unix_nano) == ((), alerting.NOW + 90 * alerting.SECOND)
    assert len(due(file, [row], [failed], seconds=91).notices) == 1


def test_the_queue_holds_what_is_not_told(alerting, file):
    """Firing and not told, or over and not told: both wait; what was told does not."""
    rows = [
        alerting.record(alerting.alert("a")),
        alerting.record(alerting.alert("b", ends_unix_nano=alerting.NOW + 1)),
        alerting.record(alerting.alert("c")),
    ]
    deliveries = {rows[1].fingerprint: told(rows[1], ended=False), rows[2].fingerprint: told(rows[2])}
    assert [row.fingerprint for row in waiting(file, ["file"], rows, deliveries)] == [
        row.fingerprint for row in rows[:2]
    ]


def test_a_clock_that_has_gone_back_silences_no_target(alerting, due, file, manager):
    """What was noted under a clock that was ahead is neither waited for nor taken as told; what is still to come is."""
    row = alerting.record(alerting.alert())
    ahead = alerting.NOW + 86_400 * alerting.SECOND
    failed = DeliveryRecord("file", row.fingerprint, attempts=1, tried_unix_nano=ahead, retry_unix_nano=ahead + 5)
    assert [notice.status for notice in due(file, [row], [failed]).notices] == ["firing"]
    failed = DeliveryRecord("file", row.fingerprint, attempts=1, tried_unix_nano=alerting.NOW, retry_unix_nano=ahead)
    assert due(file, [row], [failed]).next_unix_nano == ahead
    sent = told(row, target="alertmanager", sent_unix_nano=ahead)
    assert len(due(manager, [row], [sent], names=("alertmanager",)).notices) == 1
