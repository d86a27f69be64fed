"""Checks of a day's records over real tables: each finds what it is for, and nothing else."""

import dataclasses
import datetime as dt

import pytest

from pipelines.quality.checks import CHECKS, Check
from pipelines.quality.counting import count_checks, query_hash
from pipelines.quality.results import read_results, write_results
from tests.quality_cases import CASES, DAY, HOUR, PARENT, SPAN, TRACE, filled

BY_NAME = {check.name: check for check in CHECKS}


def count(query_lake, check, *, day=DAY, now=None):
    with query_lake.session() as session:
        (result,) = count_checks(session, [check], day, now or query_lake.noon + 24 * HOUR)
    return result


@pytest.mark.parametrize(("name", "right", "wrong"), CASES)
def test_each_check_finds_what_it_is_for(query_lake, name, right, wrong):
    """A record as it should be passes; of two, the one gone wrong is counted and fails the check, or is within what is allowed."""
    table = BY_NAME[name].table
    query_lake.write(table, [filled(table, right, query_lake.noon)])
    good = count(query_lake, BY_NAME[name])
    assert (good.outcome, good.total, good.unexpected) == ("passed", 1, 0)
    query_lake.write(table, [filled(table, right | wrong, query_lake.noon) | wrong], segment=2)
    strict = dataclasses.replace(BY_NAME[name], allowed_share=0.0)
    bad = count(query_lake, strict)
    assert (bad.outcome, bad.total, bad.unexpected) == ("failed", 2, 1)


def test_every_check_has_a_case():
    """No check goes untested; the parents have a test of their own."""
    assert {name for name, _, _ in CASES} | {"spans-parents-present"} == set(BY_NAME)


def test_a_parent_may_come_within_the_hour_and_lie_on_the_day_before(query_lake):
    """A parent that is nowhere is unexpected once an hour has passed; one that began on the day before is found."""
    child = {"trace_id": TRACE, "span_id": SPAN, "parent_span_id": PARENT, "received_unix_nano": query_lake.noon}
    check = dataclasses.replace(BY_NAME["spans-parents-present"], allowed_share=0.0)
    query_lake.write("spans", [child])
    assert count(query_lake, check, now=query_lake.noon + HOUR).outcome == "empty"
    assert count(query_lake, check, now=query_lake.noon + HOUR + 1).outcome == "failed"
    query_lake.write("spans", [{"trace_id": TRACE, "span_id": PARENT, "day": DAY - dt.timedelta(days=1)}], segment=2)
    assert count(query_lake, check).outcome == "passed"


def test_where_the_unexpected_records_are(query_lake):
    """Each sender and shard is named with the range of log indices; the records of other days and tenants are not looked at."""
    query_lake.write("spans", [{"recorded_by": "key:k1", "input_tokens": n} for n in (1, -1, 2, -2)])
    query_lake.write("spans", [{"recorded_by": "key:k2", "input_tokens": -3}], segment=2)
    query_lake.write("spans", [{"input_tokens": -4, "day": DAY - dt.timedelta(days=1)}], segment=3)
    query_lake.write("spans", [{"input_tokens": -5}], segment=4, tenant="globex")
    result = count(query_lake, BY_NAME["spans-tokens-sane"])
    assert (result.total, result.unexpected) == (5, 3)
    found = [(each.sender, each.total, each.unexpected, each.first_index, each.last_index) for each in result.senders]
    assert found == [("key:k1", 4, 2, 1, 3), ("key:k2", 1, 1, 4, 4)]


def test_errored_is_neither_failed_nor_passed(query_lake):
    """A check that cannot be counted says so, says no value, and does not keep the others from being counted."""
    query_lake.write("spans", [{"name": "canary-77", "input_tokens": 1}])
    broken = Check("spans-broken", "spans", "cannot be", "name::bigint > 0")
    with query_lake.session() as session:
        first, second = count_checks(session, [broken, BY_NAME["spans-tokens-sane"]], DAY, query_lake.noon)
    assert (first.outcome, first.total, first.unexpected) == ("errored", None, None)
    assert first.error == "ConversionException"
    assert second.outcome == "passed"
    write_results(query_lake.lake, "acme", DAY, [first, second], query_lake.noon)
    assert "canary" not in repr(read_results(query_lake.lake, "acme", DAY))


def test_a_day_is_replaced_whole(query_lake):
    """Checking a day again leaves one result a check, and other days as they are; what was counted is named by its query."""
    check = BY_NAME["spans-tokens-sane"]
    query_lake.write("spans", [{"recorded_by": "key:k1", "input_tokens": -1}])
    before = DAY - dt.timedelta(days=1)
    for day in (before, DAY, DAY):
        write_results(query_lake.lake, "acme", day, [count(query_lake, check, day=day)], query_lake.noon)
    rows = read_results(query_lake.lake, "acme", DAY)
    assert [(row["outcome"], row["sender"], row["unexpected"], row["allowed"]) for row in rows] == [
        ("failed", "key:k1", 1, None),
        ("failed", None, 1, 0),
    ]
    assert {row["query"] for row in rows} == {query_hash(check)}
    assert [row["outcome"] for row in read_results(query_lake.lake, "acme", before)] == ["empty"]
    with query_lake.session() as session:
        assert session.query("select count(*) as n from quality_results").to_pylist() == [{"n": 3}]
