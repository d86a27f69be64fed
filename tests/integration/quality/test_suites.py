"""Suites over samples of real tables: they agree with the exact counts, tell errored from failed, and let no value out."""

import dataclasses
import datetime as dt
import logging

import pytest

from pipelines.quality.checks import CHECKS
from pipelines.quality.counting import allowed_count, count_checks
from pipelines.quality.results import read_results, write_results
from pipelines.quality.sampling import INDEX, SHARD, read_sample, suite_hash
from pipelines.quality.suites import METHOD, PREFIX, SUITES, Expectation, SuiteCheck
from pipelines.quality.validating import POSITIONS, run_suites
from tests.grids import strided
from tests.quality_cases import CARD, CASES, DAY, HOUR, MAIL, PARENT, SPAN, TRACE, filled

BY_TABLE = {suite.table: suite for suite in SUITES}


def opener(query_lake):
    return lambda table: query_lake.session(tables=[table])


def both(query_lake, table, *, day=DAY, now=None):
    """What the exact counts and the suite of a table say of a day, by the checks' names, with a sample that covers it."""
    now = now or query_lake.noon + 24 * HOUR
    checks = [check for check in CHECKS if check.table == table]
    with query_lake.session() as session:
        counted = {each.check.name: each for each in count_checks(session, checks, day, now)}
    found = {each.check.name: each for each in run_suites(opener(query_lake), [BY_TABLE[table]], day, now)}
    return counted, found


def said(results, *, prefix=""):
    """Everything that two methods must agree on."""
    return {
        name.removeprefix(prefix): (each.outcome, each.total, each.unexpected, each.allowed, each.senders)
        for name, each in results.items()
    }


def suite_of(*checks, table="spans"):
    return dataclasses.replace(BY_TABLE[table], checks=checks)


def run(query_lake, suite, *, rows=10_000):
    return run_suites(opener(query_lake), [suite], DAY, query_lake.noon + 24 * HOUR, rows=rows)


def test_each_exact_check_has_one_of_a_suite_and_no_other_has():
    """Suites and exact counts say the same of the same tables, with the same shares."""
    checks = [check for suite in SUITES for check in suite.checks]
    assert {check.name: check.allowed_share for check in checks} == {
        PREFIX + check.name: check.allowed_share for check in CHECKS
    }
    assert all(check.table == suite.table for suite in SUITES for check in suite.checks)


@pytest.mark.parametrize(("name", "right", "wrong"), strided(CASES, *CASES[::4]))
def test_a_suite_agrees_with_the_exact_counts(query_lake, name, right, wrong):
    """Of records as they should be and the same gone wrong, both say as much of every check of the table, and name the same places."""
    table = next(check.table for check in CHECKS if check.name == name)
    good = filled(table, right, query_lake.noon)
    query_lake.write(table, [good, good | wrong])
    query_lake.write(table, [good | wrong, good], segment=2, shard="self-00000002")
    counted, found = both(query_lake, table)
    assert said(found, prefix=PREFIX) == said(counted)
    assert (found[PREFIX + name].total, found[PREFIX + name].unexpected) == (4, 2)


def test_a_suite_finds_parents_as_the_exact_count_does(query_lake):
    """A parent that is nowhere is unexpected, an hour after its child came; one of the day before is found."""
    child = {"trace_id": TRACE, "span_id": SPAN, "parent_span_id": PARENT, "received_unix_nano": query_lake.noon}
    query_lake.write("spans", [child, child | {"trace_id": "d" * 32}])
    query_lake.write("spans", [{"trace_id": TRACE, "span_id": PARENT, "day": DAY - dt.timedelta(days=1)}], segment=2)
    for now, outcome, unexpected in ((HOUR, "empty", 0), (HOUR + 1, "failed", 1)):
        counted, found = both(query_lake, "spans", now=query_lake.noon + now)
        assert said(found, prefix=PREFIX) == said(counted)
        parents = found["suite-spans-parents-present"]
        assert (parents.outcome, parents.unexpected) == (outcome, unexpected)


@pytest.mark.parametrize(("unknown", "outcome"), [(3, "passed"), (4, "failed")])
def test_a_share_is_the_same_share_in_both(query_lake, unknown, outcome):
    """At a fifth of the spans both let spans of no known dialect pass; at one more both fail."""
    known = {"attributes": '{"gen_ai.system":"x"}'}
    query_lake.write("spans", [{"attributes": "{}"}] * unknown + [known] * (15 - unknown))
    counted, found = both(query_lake, "spans")
    assert counted["spans-dialect-known"].outcome == found["suite-spans-dialect-known"].outcome == outcome
    assert found["suite-spans-dialect-known"].allowed == 3


def test_a_share_of_a_hundred_loses_nothing_to_floats():
    """0.29 of 100 is 29, of 103 it is 29 too."""
    assert (allowed_count(100, 0.29), allowed_count(103, 0.29), allowed_count(0, 0.29)) == (29, 29, 0)


def test_nanoseconds_stay_exact_beside_a_null(query_lake):
    """A span that ends a nanosecond before it starts is found in a column that also holds NULL."""
    row = filled("spans", {"end_unix_nano": query_lake.noon - 1}, query_lake.noon)
    query_lake.write("spans", [row, row | {"end_unix_nano": query_lake.noon, "received_unix_nano": None}])
    _, found = both(query_lake, "spans")
    assert found["suite-spans-times-ordered"].positions == ((query_lake.shard, 0), (query_lake.shard, 1))


@pytest.mark.parametrize(
    "broken",
    [
        Expectation("ExpectColumnValuesToNotBeNull", {"column": "no_such_column"}),
        Expectation("ExpectColumnValuesToMatchRegex", {"column": "trace_id", "regex": "("}),
        Expectation("ExpectColumnValuesToBeBetween", {"column": "trace_id", "min_value": 1}),
        Expectation("ExpectColumnValuesToBeBetween", {"column": "input_tokens", "min_value": 2, "max_value": 1}),
        Expectation("ExpectNothingOfTheKind", {"column": "trace_id"}),
    ],
)
def test_errored_is_neither_failed_nor_passed(query_lake, broken):
    """An expectation that cannot be evaluated makes its check errored, though another of it holds, and no check beside it."""
    query_lake.write("spans", [{"trace_id": TRACE, "span_id": SPAN, "input_tokens": -1, "recorded_by": "key:k1"}])
    holds = Expectation("ExpectColumnValuesToNotBeNull", {"column": "trace_id"})
    errs = SuiteCheck("suite-spans-broken", "spans", "cannot be", (holds, broken))
    sound = {check.name: check for check in BY_TABLE["spans"].checks}
    first, second, third = run(
        query_lake, suite_of(errs, sound["suite-spans-tokens-sane"], sound["suite-spans-ids-well-formed"])
    )
    assert (first.outcome, first.total, first.unexpected, first.senders) == ("errored", None, None, ())
    assert first.error == "ExpectationError"
    assert (second.outcome, third.outcome) == ("failed", "passed")


def test_a_table_that_cannot_be_read_is_errored(query_lake):
    """Where the sample fails, every check of the table is errored and the others are looked at."""
    (file,) = query_lake.write("logs", [filled("logs", {"body": "late"}, query_lake.noon)])
    query_lake.write("spans", [filled("spans", {"trace_id": TRACE, "span_id": SPAN}, query_lake.noon)])
    file.write_bytes(b"PAR1 is what it begins with and no more")
    found = run_suites(opener(query_lake), [BY_TABLE["logs"], BY_TABLE["spans"]], DAY, query_lake.noon)
    logs = [each for each in found if each.check.table == "logs"]
    assert {(each.outcome, each.total, each.unexpected) for each in logs} == {("errored", None, None)}
    assert all(each.error for each in logs)
    assert "errored" not in {each.outcome for each in found if each.check.table == "spans"}


def test_a_day_without_records_shows_nothing(query_lake):
    """On an empty day, and on a lake without tables, no check passes."""
    query_lake.write("spans", [{"trace_id": TRACE, "span_id": SPAN}])
    for day in (DAY - dt.timedelta(days=1), DAY + dt.timedelta(days=1)):
        found = run_suites(opener(query_lake), SUITES, day, query_lake.noon)
        assert {(each.outcome, each.total, each.unexpected) for each in found} == {("empty", 0, 0)}


def test_a_sample_is_the_same_for_whoever_asks(query_lake):
    """It has as many rows as asked, spread over shards and the day, whichever files they lie in; a greater one holds the smaller."""
    rows = [{"trace_id": TRACE, "span_id": SPAN, "name": "x", "log_index": n} for n in range(400)]
    query_lake.write("spans", rows)
    with query_lake.session() as session:
        whole, small, again = (
            read_sample(session, BY_TABLE["spans"], DAY, query_lake.noon, rows=rows) for rows in (1000, 100, 100)
        )
    assert (whole.num_rows, small.num_rows) == (400, 100)
    assert small.equals(again)
    query_lake.compact("spans", rows)
    with query_lake.session() as session:
        compacted = read_sample(session, BY_TABLE["spans"], DAY, query_lake.noon, rows=100)
        more = read_sample(session, BY_TABLE["spans"], DAY, query_lake.noon, rows=150)
    places = small.column(INDEX).to_pylist()
    assert compacted.column(INDEX).to_pylist() == places == sorted(places)
    assert set(places) < set(more.column(INDEX).to_pylist())
    # a hundred of 400 that lie evenly: 25 expected in each quarter, with a standard deviation of 3.8
    assert all(10 <= sum(place // 100 == quarter for place in places) <= 40 for quarter in range(4))
    assert set(small.column(SHARD).to_pylist()) == {query_lake.shard}


def test_a_sample_counts_itself(query_lake):
    """Counts are of the sampled rows, and no more than a few places are named."""
    query_lake.write("spans", [{"recorded_by": "key:k1", "input_tokens": -1} for _ in range(300)])
    check = next(each for each in BY_TABLE["spans"].checks if each.name == "suite-spans-tokens-sane")
    (found,) = run(query_lake, suite_of(check), rows=50)
    assert (found.outcome, found.total, found.unexpected) == ("failed", 50, 50)
    assert len(found.positions) == POSITIONS
    (sender,) = found.senders
    assert (sender.sender, sender.shard, sender.total, sender.unexpected) == ("key:k1", query_lake.shard, 50, 50)
    assert found.positions[0] == (query_lake.shard, sender.first_index)


def test_no_value_leaves(query_lake, capfd, caplog):
    """Results, what is stored of them, both outputs and the log hold nothing of what was found; nor is there a bar of progress."""
    caplog.set_level(logging.DEBUG)
    row = filled("spans", {"trace_id": "canary-trace", "name": MAIL, "status_message": CARD}, query_lake.noon)
    query_lake.write("spans", [row])
    broken = Expectation("ExpectColumnValuesToBeBetween", {"column": "trace_id", "min_value": 1})
    errs = SuiteCheck("suite-spans-broken", "spans", "cannot be", (broken,))
    found = run(query_lake, suite_of(errs, *BY_TABLE["spans"].checks))
    outcomes = {each.check.name: each.outcome for each in found}
    assert outcomes["suite-spans-broken"] == "errored"
    assert outcomes["suite-spans-no-mail"] == outcomes["suite-spans-no-card"] == "failed"
    write_results(query_lake.lake, "acme", DAY, found, query_lake.noon, method=METHOD)
    said_aloud = capfd.readouterr()
    everything = [
        repr([dataclasses.replace(each, check=None) for each in found]),
        repr(read_results(query_lake.lake, "acme", DAY)),
        caplog.text,
        *said_aloud,
    ]
    assert not [text for text in everything if "canary" in text or "jane.doe" in text or "4111" in text]
    assert (said_aloud.out, said_aloud.err) == ("", "")


def test_each_method_replaces_its_own_results(query_lake):
    """Results of counts and of suites stand beside each other; those of a day and method are replaced whole."""
    query_lake.write("spans", [filled("spans", {"input_tokens": -1}, query_lake.noon)])
    counted, found = both(query_lake, "spans")
    for _ in range(2):
        write_results(query_lake.lake, "acme", DAY, counted.values(), query_lake.noon)
        write_results(query_lake.lake, "acme", DAY, found.values(), query_lake.noon, method=METHOD)
    rows = read_results(query_lake.lake, "acme", DAY)
    whole = [row for row in rows if row["shard"] is None]
    assert {row["check_name"]: row["method"] for row in whole} == dict.fromkeys(counted, "sql") | dict.fromkeys(
        found, METHOD
    )
    assert len(whole) == len(counted) + len(found)
    (place,) = [row for row in rows if row["check_name"] == "suite-spans-tokens-sane" and row["shard"] is not None]
    assert (place["sender"], place["unexpected"], place["first_index"]) == ("key:k1", 1, 0)
    by_name = {check.name: check for check in BY_TABLE["spans"].checks}
    assert place["query"] == suite_hash(BY_TABLE["spans"], by_name["suite-spans-tokens-sane"])
