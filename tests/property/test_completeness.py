"""Completeness: whatever the order of arrival, with points that came twice or not at all and processes that began anew, what is missing is right."""

import datetime as dt
import json

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.quality.counters import Account, find_uncounted
from pipelines.quality.sequences import find_gaps
from warehouse.query import check_query
from warehouse.tables import TABLES

DAY = dt.date(2026, 11, 20)
SECOND = 1_000_000_000
MIDNIGHT = (DAY - dt.date(1970, 1, 1)).days * 86_400 * SECOND
STEP = 200 * SECOND
"""Spans end at whole steps and points are taken between them: a minute at the border then decides nothing."""
CAME, LOST, DROPPED, FAILED = range(4)
FATES = st.lists(st.sampled_from([CAME, CAME, LOST, DROPPED, FAILED]), max_size=3)
PROCESS = st.lists(st.tuples(FATES, st.booleans()), min_size=1, max_size=6)
SENDER = {"recorded_by": "key:k1", "service_name": "shop"}


class RowsInMemory:
    """The views of a session over rows in memory, behind the same guard."""

    def __init__(self, **rows):
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        for name, table in TABLES.items():
            self._connection.register(name, pa.Table.from_pylist(rows.get(name, []), schema=table.schema))

    def query(self, sql, values):
        """As a session does it."""
        statement = check_query(sql, frozenset(TABLES)).statement
        return self._connection.sql(statement, params=values).to_arrow_table()


def date_of(nanos):
    """The UTC date of a time."""
    return DAY + dt.timedelta(days=(nanos - MIDNIGHT) // (86_400 * SECOND))


def point(name, error, start, moment, value, temporality, resource):
    """A point of a counter."""
    attributes = {"otel.component.name": "c/0"} | ({"error.type": error} if error else {})
    return SENDER | {
        "resource": resource, "name": name, "type": "sum", "temporality": temporality, "start": start, "shard": "s",
        "time_unix_nano": moment, "day": date_of(moment), "value_int": value, "attributes": json.dumps(attributes),
    }  # fmt: skip


COUNTERS = {
    ("otel.sdk.exporter.span.exported", None): {CAME, LOST},
    ("otel.sdk.exporter.span.exported", "Timeout"): {FAILED},
    ("otel.sdk.processor.span.processed", None): {CAME, LOST, FAILED},
    ("otel.sdk.processor.span.processed", "queue_full"): {DROPPED},
}


def simulate(process, first, temporality, resource):
    """Rows of one process, and the fates of what its points of the day are about.

    `process` has a step for each entry: the fates of the spans that end then, and whether the point after it is kept. The last one is.
    """
    start = MIDNIGHT + first * STEP - STEP // 2
    spans, points, told, waiting, since = [], [], [], [], start
    totals = dict.fromkeys(range(4), 0)
    for number, (fates, kept) in enumerate(process):
        moment = MIDNIGHT + (first + number) * STEP
        waiting += fates
        spans += [
            SENDER | {"resource": resource, "time_unix_nano": moment - SECOND, "end_unix_nano": moment, "shard": "s"}
            | {"day": date_of(moment - SECOND), "log_index": 0}
            for fate in fates
            if fate == CAME
        ]  # fmt: skip
        if not kept and number < len(process) - 1:
            continue
        at = moment + STEP // 2
        for fate in waiting:
            totals[fate] += 1
        seen = totals if temporality == "CUMULATIVE" else {fate: waiting.count(fate) for fate in range(4)}
        begins = start if temporality == "CUMULATIVE" else since
        points += [
            point(name, error, begins, at, sum(seen[fate] for fate in fates), temporality, resource)
            for (name, error), fates in COUNTERS.items()
        ]
        if date_of(at) == DAY:
            told += waiting
        waiting, since = [], at
    return spans, points, told


@settings(max_examples=25, deadline=None)
@given(
    st.lists(PROCESS, min_size=1, max_size=3),
    st.integers(-8, 3),
    st.sampled_from(["CUMULATIVE", "DELTA"]),
    st.sampled_from(["{}", '{"service.instance.id":"i-1"}']),
    st.data(),
)
def test_what_is_missing_is_counted(processes, first, temporality, resource, data):
    """One process after the other of a sender, over midnight or not: of the day's spans exactly those that did not come are missing."""
    spans, points, told = [], [], []
    for process in processes:
        more = simulate(process, first, temporality, resource)
        spans, points, told = spans + more[0], points + more[1], told + more[2]
        first += len(process) + 1
    again = data.draw(st.lists(st.sampled_from(points), max_size=4))
    session = RowsInMemory(
        spans=data.draw(st.permutations(spans)), metrics=data.draw(st.permutations([*points, *again]))
    )
    findings = {each.check: each for each in find_uncounted(session, DAY, MIDNIGHT + 86_400 * SECOND)}
    found = findings.get("completeness-spans-counted")
    if not any(each["day"] == DAY for each in points):
        assert found is None or found.missing is None
        return
    assert found.total == len(told)
    assert found.missing == len(told) - told.count(CAME)
    assert found.details["surplus"] == 0
    assert found.details["errors"].get("queue_full", 0) == told.count(DROPPED)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 40), min_size=1), st.lists(st.integers(0, 40), max_size=5), st.data())
def test_numbers_that_did_not_come_are_missing(numbers, again, data):
    """Below the highest number that came, from the lowest, every other one is missing, in any order and however often one came."""
    came = data.draw(st.permutations([*numbers, *(number for number in again if number in numbers)]))
    rows = [
        SENDER
        | {"day": DAY, "shard": "s", "log_index": index, "received_unix_nano": index, "resource": "{}"}
        | {
            "attributes": json.dumps(
                {"audit.sequence.stream": "x", "audit.sequence.number": number, "audit.record.id": f"r{number}"}
            )
        }
        for index, number in enumerate(came)
    ]
    (found,) = find_gaps(RowsInMemory(audit_events=rows), DAY, MIDNIGHT)
    missing = set(range(min(numbers), max(numbers))) - numbers
    assert found.missing == len(missing)
    listed = [range(gap["first_missing"], gap["last_missing"] + 1) for gap in found.details["gaps"]]
    assert {number for gap in listed for number in gap} == missing
    for gap in found.details["gaps"]:
        assert came[gap["index_before"]] == gap["first_missing"] - 1
        assert came[gap["index_after"]] == gap["last_missing"] + 1


COUNT = st.integers(0, 1000)


@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_an_account_adds_up(sent, failed, dropped, arrived, less):
    """What is missing is never more than what was said, what came of it and what is missing are all of it, and surplus excludes loss in transit."""
    account = Account(sent, failed, dropped, arrived, max(0, arrived - less))
    assert dropped <= account.missing <= account.said
    assert account.missing == account.said - min(arrived, sent + failed)
    assert account.surplus == max(0, account.certain - sent - failed)
    assert not (account.surplus and account.missing > dropped)
