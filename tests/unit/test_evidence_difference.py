"""The period before, and what is new, goes on or is gone since."""

import datetime as dt

import pyarrow as pa
import pytest

from governance.controls.evaluating import Outcome, State
from governance.controls.framework import Control
from governance.evidence.difference import compare, period_before


def at(text):
    """Nanoseconds of a time in UTC."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("first", "last", "before"),
    [
        ("2026-10-01", "2026-11-01", "2026-09-01"),
        ("2026-03-01", "2026-04-01", "2026-02-01"),
        ("2026-01-01", "2026-04-01", "2025-10-01"),
        ("2026-01-01", "2027-01-01", "2025-01-01"),
        ("2026-10-05", "2026-10-12", "2026-09-28"),
        ("2026-10-01", "2026-10-02", "2026-09-30"),
        ("2026-10-01T12:00:00", "2026-11-01T12:00:00", "2026-08-31T12:00:00"),
        ("1970-02-01", "1970-08-01", "1970-01-01"),
    ],
)
def test_months_are_compared_with_months_and_other_periods_with_as_much_time(first, last, before):
    """Whole months with as many before, however long; anything else with as much time right before it; never before 1970."""
    assert period_before(at(first), at(last)) == (at(before), at(first))


def outcome(about, *rows):
    """An outcome whose items are (record number, credential, ok)."""
    control = Control("soc2", "C1", "t", "c", "q", "population", "l", "select", about=about)
    population = pa.table(
        {
            "record_table": ["audit_events"] * len(rows),
            "shard": ["s"] * len(rows),
            "log_index": pa.array([number for number, _, _ in rows], pa.int64()),
            "credential": pa.array([name for _, name, _ in rows], pa.string()),
            "ok": pa.array([ok for _, _, ok in rows], pa.bool_()),
            "exception": pa.array([None if ok else "no end" for _, _, ok in rows], pa.string()),
        }
    )
    bad = sum(not ok for _, _, ok in rows)
    return Outcome(control, State.NOT_SATISFIED, population, bad, None, "")


def test_what_an_exception_is_about_tells_whether_it_goes_on():
    """The same credential goes on under another record; what is satisfied now is gone; nothing named counts as one of its own."""
    before = outcome(("credential",), (1, "a", False), (2, "b", False), (3, None, False), (4, "c", True))
    now = outcome(
        ("credential",), (11, "a", False), (12, "b", True), (13, None, False), (14, "c", False), (15, "a", None)
    )
    found = compare(now, before)
    assert found.is_new == (False, False, True, False)
    assert found.gone.column("credential").to_pylist() == ["b"]
    assert (found.new, found.continuing) == (1, 3)
    assert found.new + found.continuing == now.exceptions


def test_without_a_name_an_exception_is_its_record():
    """Another record is another exception; the same one goes on."""
    found = compare(outcome((), (1, "a", False), (2, "a", False)), outcome((), (2, "a", False), (3, "a", False)))
    assert found.is_new == (True, False)
    assert found.gone.column("log_index").to_pylist() == [3]


def test_nothing_compared_with_nothing_is_no_difference():
    """Two periods without exceptions."""
    found = compare(outcome(("credential",)), outcome(("credential",)))
    assert (found.new, found.continuing, found.gone.num_rows) == (0, 0, 0)
