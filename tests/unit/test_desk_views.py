"""Which views are on record: one for each look, however many sessions draw it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from muniment.desk_views import ONCE_SECONDS, Views
from warehouse.clock import NANOS_PER_SECOND
from warehouse.errors import UnavailableError


class Log:
    """A lake whose log takes a view as long as it is told to, and can be out of order."""

    def __init__(self):
        self.principal = SimpleNamespace(recorded_by="user:ada")
        self.seconds = 1_000
        self.views = []
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()
        self.broken = False

    def clock(self):
        return self.seconds * NANOS_PER_SECOND

    def record(self, event, tenant, **what):
        self.begun.set()
        assert self.goes_on.wait(60)
        if self.broken:
            raise UnavailableError("the log takes nothing")
        self.views.append((event, tenant, what["resource_type"], what["resource_id"]))


@pytest.fixture
def log():
    return Log()


def test_a_view_that_is_being_recorded_is_not_recorded_again(log):
    """The server draws a page first and the program after it: who comes while it is recorded waits, and it is one view."""
    views = Views()
    log.goes_on.clear()
    with ThreadPoolExecutor(3) as drawing:
        first = drawing.submit(views.record, log, "acme", "page", "overview")
        assert log.begun.wait(60)
        second = drawing.submit(views.record, log, "acme", "page", "overview")
        with pytest.raises(TimeoutError):
            second.result(0.1)  # nothing is given out before it is on record
        log.goes_on.set()
        first.result(60)
        second.result(60)
    assert log.views == [("record.viewed", "acme", "page", "overview")]


def test_a_view_that_could_not_be_recorded_is_not_taken_as_recorded(log):
    """Who waited for it tries it anew, and is told so if it fails again."""
    views = Views()
    log.broken = True
    for _ in range(2):
        with pytest.raises(UnavailableError):
            views.record(log, "acme", "page", "overview")
    log.broken = False
    views.record(log, "acme", "page", "overview")
    assert len(log.views) == 1


def test_another_view_is_recorded_by_itself(log):
    """Another tenant, another thing, a minute later, and whatever has no name: each is a view of its own."""
    views = Views()
    for tenant, what in [("acme", "audit"), ("globex", "audit"), ("acme", "slos"), ("acme", None), ("acme", None)]:
        views.record(log, tenant, "page", what)
    assert len(log.views) == 5
    log.seconds += ONCE_SECONDS
    views.record(log, "acme", "page", "audit")
    assert len(log.views) == 6
