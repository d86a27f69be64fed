"""Completeness of a day over real tables: counters of SDKs, numbers of events, traces and dropped parts, each with the sender named."""

import datetime as dt
import json

import pytest

from pipelines.quality.completeness import CHECKS, find_incomplete, is_measured, write_completeness
from pipelines.quality.results import read_results, write_results

DAY = dt.date(2026, 11, 20)
BEFORE = DAY - dt.timedelta(days=1)
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
RESOURCE = json.dumps({"service.name": "shop", "service.instance.id": "i-1"})
SENDER = {"recorded_by": "key:k1", "service_name": "shop", "resource": RESOURCE}
EXPORTED, PROCESSED = "otel.sdk.exporter.span.exported", "otel.sdk.processor.span.processed"
SPANS = "completeness-spans-counted"


def find(query_lake, *, day=DAY, at=20 * HOUR, grace=HOUR):
    """Results by check, as they are found so many nanoseconds after the day's noon."""
    with query_lake.session() as session:
        results = find_incomplete(session, day, query_lake.noon + at, grace_ns=grace)
    assert [result.check for result in results] == list(CHECKS)
    return {result.check.name: result for result in results}


def one(query_lake, check, **more):
    """The one finding of a check."""
    (finding,) = find(query_lake, **more)[check].findings
    return finding


def points(noon, name, *values, start=0, at=60, step=60, temporality="CUMULATIVE", sender=SENDER, **attributes):
    """Points of a counter, `step` seconds apart, the first one `at` seconds after noon."""
    return [
        {
            **sender,
            "name": name,
            "type": "sum",
            "temporality": temporality,
            "monotonic": True,
            "start": None if start is None else noon + start * SECOND,
            "time_unix_nano": noon + (at + number * step) * SECOND,
            "value": float(value),
            "value_int": value,
            "attributes": json.dumps({"otel.component.name": "c/0", **attributes}),
        }
        for number, value in enumerate(values)
    ]


def spans(noon, *ends, sender=SENDER):
    """Spans that end so many seconds after noon, a second after they began."""
    return [
        {**sender, "time_unix_nano": noon + (end - 1) * SECOND, "end_unix_nano": noon + end * SECOND} for end in ends
    ]


def test_what_was_sent_and_did_not_come_is_missing(query_lake):
    """Of six spans that the exporter counts four came: two are missing, with the range of log indices of those that came."""
    query_lake.write("metrics", points(query_lake.noon, EXPORTED, 2, 6))
    query_lake.write("spans", spans(query_lake.noon, 10, 20, 70, 80), segment=2)
    found = one(query_lake, SPANS)
    assert (str(found.sender), found.total, found.missing) == ("key:k1 shop/i-1", 6, 2)
    (place,) = found.places
    assert (place.shard, place.first_index, place.last_index) == (query_lake.shard, 0, 3)
    assert find(query_lake)[SPANS].outcome == "failed"


def test_what_was_dropped_or_failed_is_missing_with_its_reason(query_lake):
    """Drops at a full queue are missing; of a failed export only what did not come all the same."""
    noon = query_lake.noon
    query_lake.write("metrics", points(noon, EXPORTED, 2))
    query_lake.write("metrics", points(noon, EXPORTED, 3, **{"error.type": "Timeout"}), segment=2)
    query_lake.write("metrics", points(noon, PROCESSED, 5), segment=3)
    query_lake.write("metrics", points(noon, PROCESSED, 4, **{"error.type": "queue_full"}), segment=4)
    query_lake.write("spans", spans(noon, 10, 20, 30), segment=5)
    found = one(query_lake, SPANS)
    assert found.details["errors"] == {"Timeout": 3, "queue_full": 4}
    assert (found.total, found.missing, found.details["surplus"]) == (9, 6, 0)


def test_a_counter_is_read_by_increase(query_lake):
    """What it stood at the day before does not count, and nor does what came then; a counter that began anew counts from zero."""
    noon = query_lake.noon
    midnight = noon - 12 * HOUR
    earlier = [point | {"day": BEFORE} for point in points(midnight, EXPORTED, 90, 100, start=-40_000, at=-700)]
    query_lake.write("metrics", earlier)
    query_lake.write("metrics", points(midnight, EXPORTED, 105, start=-40_000, at=300), segment=2)
    query_lake.write("metrics", points(midnight, EXPORTED, 3, start=400, at=900), segment=3)
    old = [row | {"day": BEFORE} for row in spans(midnight, -800, -730)]
    query_lake.write("spans", [*old, *spans(midnight, 10, 20, 30, 40, 500, 600)], segment=4)
    found = one(query_lake, SPANS)
    assert (found.total, found.details["arrived"], found.missing) == (8, 6, 2)


def test_a_counter_that_falls_began_anew(query_lake):
    """A value below the one before it is all new, even where the sender names the same start."""
    query_lake.write("metrics", points(query_lake.noon, EXPORTED, 50, 2, 3, start=0))
    query_lake.write("spans", spans(query_lake.noon, *[5] * 50, 70, 80), segment=2)
    found = one(query_lake, SPANS)
    assert (found.total, found.missing) == (53, 1)


@pytest.mark.parametrize("start", [None, -200_000])
def test_a_first_point_of_unknown_past_is_only_a_beginning(query_lake, start):
    """Where it is not known since when a counter counts, what it says first is no claim about this day; the next point is."""
    query_lake.write("metrics", points(query_lake.noon, EXPORTED, 1000, start=start))
    found = one(query_lake, SPANS)
    assert (found.missing, found.details["reason"]) == (None, "one point of each counter: nothing to compare it with")
    query_lake.write("metrics", points(query_lake.noon, EXPORTED, 1003, start=start, at=500), segment=2)
    query_lake.write("spans", spans(query_lake.noon, 300, 310), segment=3)
    found = one(query_lake, SPANS)
    assert (found.total, found.missing) == (3, 1)


def test_delta_points_add_up(query_lake):
    """Increments are added, one that came twice once, and where one did not come nothing is said of its time."""
    noon = query_lake.noon
    first, second, _, fourth = (
        points(noon, EXPORTED, value, start=600 * number, at=600 * (number + 1), temporality="DELTA")
        for number, value in enumerate((2, 3, 9, 4))
    )
    query_lake.write("metrics", [*fourth, *first, *second, *first])
    query_lake.write("spans", spans(noon, 100, 200, 700, 1300, 1400, 2000, 2100, 2200, 2300), segment=2)
    found = one(query_lake, SPANS)
    assert (found.total, found.details["arrived"], found.missing) == (9, 7, 2)


def test_a_point_that_came_twice_counts_once(query_lake):
    """Points are ordered by their own time, not by when they came."""
    made = points(query_lake.noon, EXPORTED, 1, 2, 3)
    query_lake.write("metrics", [made[2], made[0], made[2], made[1], made[0]])
    query_lake.write("spans", spans(query_lake.noon, 10, 70, 130), segment=2)
    found = one(query_lake, SPANS)
    assert (found.total, found.missing) == (3, 0)


def test_two_exporters_are_not_counted_together(query_lake):
    """Records that went to two places are counted by what counts them once, where there is such a counter; else they are not measured."""
    noon = query_lake.noon
    for segment, address in enumerate(("a.example", "b.example"), 1):
        query_lake.write("metrics", points(noon, EXPORTED, 3, **{"server.address": address}), segment=segment)
    query_lake.write("spans", spans(noon, 10, 20), segment=3)
    found = one(query_lake, SPANS)
    assert (found.missing, found.details["reason"]) == (
        None,
        "several destinations, and none that counts them together",
    )
    started = {"otel.span.sampling_result": "RECORD_AND_SAMPLE"}
    query_lake.write("metrics", points(noon, "otel.sdk.span.started", 3, **started), segment=4)
    query_lake.write(
        "metrics", points(noon, "otel.sdk.span.started", 70, **{"otel.span.sampling_result": "DROP"}), segment=5
    )
    found = one(query_lake, SPANS)
    assert (found.details["basis"], found.total, found.missing) == ("made", 3, 1)
    query_lake.write("metrics", points(noon, "otel.sdk.span.live", 1, **started), segment=6)
    found = one(query_lake, SPANS)
    assert (found.details["open"], found.total, found.missing) == (1, 2, 0)


def test_more_than_was_said_is_not_complete(query_lake):
    """Counters that do not know of everything that came cannot show that all of it came."""
    query_lake.write("metrics", points(query_lake.noon, EXPORTED, 1, 1, 1, 1))
    query_lake.write("spans", spans(query_lake.noon, 10, 20, 30), segment=2)
    found = one(query_lake, SPANS)
    assert (found.missing, found.details["surplus"]) == (None, 2)
    assert found.details["reason"] == "more came than the counters say"
    assert find(query_lake)[SPANS].outcome == "unmeasured"


def test_what_waits_in_a_queue_at_the_border_is_neither_missing_nor_surplus(query_lake):
    """A span that ended shortly before a point may be counted in it or in the next one."""
    noon = query_lake.noon
    query_lake.write("metrics", points(noon, EXPORTED, 10, 11, start=None, at=60, step=600))
    query_lake.write("spans", spans(noon, 55, 655), segment=2)
    found = one(query_lake, SPANS)
    assert (found.total, found.missing, found.details["surplus"], found.details["border"]) == (1, 0, 0, 2)


def test_points_younger_than_the_grace_time_wait(query_lake):
    """What was counted a moment ago may still be on its way into the tables."""
    query_lake.write("metrics", points(query_lake.noon, EXPORTED, 1, 5))
    query_lake.write("spans", spans(query_lake.noon, 10), segment=2)
    assert one(query_lake, SPANS, at=HOUR + 61 * SECOND).missing == 0
    assert one(query_lake, SPANS, at=HOUR + 121 * SECOND).missing == 4


def test_senders_are_kept_apart(query_lake):
    """Key, service and instance each tell a sender; one without counters is not measured, and muniment's own records have no sender."""
    noon = query_lake.noon
    others = [
        SENDER | {"recorded_by": "key:k2"},
        SENDER | {"resource": "{}"},
        SENDER | {"service_name": "desk"},
        SENDER | {"recorded_by": "muniment:purge"},
    ]
    query_lake.write("metrics", points(noon, EXPORTED, 2))
    query_lake.write("spans", spans(noon, 10, 20), segment=2)
    for segment, other in enumerate(others, 3):
        query_lake.write("spans", spans(noon, 10, 20, sender=other), segment=segment)
    own = {"recorded_by": "user:alice", "service_name": "muniment", "scope_name": "muniment"}
    query_lake.write("audit_events", [own], segment=7)
    assert find(query_lake)["completeness-logs-counted"].outcome == "empty"
    result = find(query_lake)[SPANS]
    assert {str(each.sender): each.missing for each in result.findings} == {
        "key:k1 shop/i-1": 0,
        "key:k2 shop/i-1": None,
        "key:k1 shop": None,
        "key:k1 desk/i-1": None,
    }
    assert (result.outcome, result.total) == ("passed", 2)


def test_a_key_that_changes_makes_no_gap(query_lake):
    """A process whose key was rotated goes on counting: what lies between the keys' points is not claimed for either."""
    noon = query_lake.noon
    new = SENDER | {"recorded_by": "key:k2"}
    query_lake.write("metrics", points(noon, EXPORTED, 2, at=600))
    query_lake.write("metrics", points(noon, EXPORTED, 4, 5, at=1200, step=600, sender=new), segment=2)
    query_lake.write("spans", spans(noon, 10, 20, 700), segment=3)
    query_lake.write("spans", spans(noon, 1000, 1300, sender=new), segment=4)
    found = {each.sender.recorded_by: (each.total, each.missing) for each in find(query_lake)[SPANS].findings}
    assert found == {"key:k1": (2, 0), "key:k2": (1, 0)}


def test_log_records_and_points_are_counted_too(query_lake):
    """Log records are those of both tables but not those that muniment.emit sent; points are those before the last collection."""
    noon = query_lake.noon
    query_lake.write("metrics", points(noon, "otel.sdk.exporter.log.exported", 3))
    query_lake.write("metrics", points(noon, "otel.sdk.exporter.metric_data_point.exported", 0, 2), segment=2)
    record = SENDER | {"observed_unix_nano": noon + SECOND}
    query_lake.write("logs", [record], segment=3)
    query_lake.write("audit_events", [record, record | {"scope_name": "muniment.emit"}], segment=4)
    results = find(query_lake)
    logs, metrics = (results[f"completeness-{kind}-counted"] for kind in ("logs", "metrics"))
    assert (logs.total, logs.missing) == (3, 1)
    assert (metrics.total, metrics.missing) == (2, 0)


def event(number, stream="s", **more):
    """A numbered event."""
    attributes = {"audit.sequence.stream": stream, "audit.sequence.number": number, "audit.record.id": f"r{number}"}
    return SENDER | {"received_unix_nano": 0, "attributes": json.dumps(attributes | more.pop("attributes", {}))} | more


NUMBERED = "completeness-events-numbered"


def test_gaps_are_named_with_the_rows_beside_them(query_lake):
    """Numbers that did not come are missing, in any order of arrival, and each gap has the rows on both sides."""
    query_lake.write("audit_events", [event(number) for number in (9, 0, 1, 4, 1, 8)])
    found = one(query_lake, NUMBERED)
    assert (str(found.sender), found.total, found.missing) == ("key:k1 shop/i-1", 10, 5)
    beside = [
        (gap["first_missing"], gap["last_missing"], gap["index_before"], gap["index_after"])
        for gap in found.details["gaps"]
    ]
    assert beside == [(2, 3, 2, 3), (5, 7, 3, 5)]
    (place,) = found.places
    assert (place.first_index, place.last_index) == (3, 5)


def test_a_gap_belongs_to_the_day_after_it(query_lake):
    """What the stream held long before is looked for; the day before a gap is complete, and so is the day after the one with it."""
    long_ago, after = DAY - dt.timedelta(days=40), DAY + dt.timedelta(days=1)
    query_lake.write("audit_events", [event(0, day=long_ago), event(3), event(4, day=after)])
    assert (one(query_lake, NUMBERED).missing, one(query_lake, NUMBERED).total) == (2, 3)
    assert one(query_lake, NUMBERED, day=long_ago).missing == 0
    assert one(query_lake, NUMBERED, day=after).missing == 0


def test_an_event_of_another_day_by_its_own_time_fills_its_number(query_lake):
    """An event that says that it happened months ago is no gap where it was sent."""
    query_lake.write("audit_events", [event(0), event(1, day=DAY - dt.timedelta(days=90)), event(2)])
    assert (one(query_lake, NUMBERED).total, one(query_lake, NUMBERED).missing) == (2, 0)


def test_a_stream_of_unknown_beginning_misses_nothing(query_lake):
    """What a stream held before anything the lake knows of may have been purged: its beginning is told and not counted."""
    query_lake.write("audit_events", [event(7), event(8)])
    found = one(query_lake, NUMBERED)
    assert (found.total, found.missing, found.details["begins_at"]) == (2, 0, 7)


def test_two_events_under_one_number_are_not_complete(query_lake):
    """A stream that was begun again under its name shows nothing; the same event twice is one."""
    query_lake.write("audit_events", [event(0), event(0), event(1)])
    assert one(query_lake, NUMBERED).missing == 0
    query_lake.write("audit_events", [event(0, attributes={"audit.record.id": "other"})], segment=2)
    found = one(query_lake, NUMBERED)
    assert (found.missing, found.details["surplus"]) == (None, 1)


def test_numbers_as_wide_as_a_sender_may_say_are_counted(query_lake):
    """What is missing up to the highest number there is does not keep the others from being looked at, nor from being kept."""
    wide = [event(number, stream) for stream in ("s", "t") for number in (0, 2**63 - 1)]
    query_lake.write("audit_events", [*wide, event(0, "u"), event(2, "u")])
    results = find(query_lake)
    assert results[NUMBERED].missing == 2 * (2**63 - 2) + 1
    write_completeness(query_lake.lake, "acme", DAY, list(results.values()), query_lake.noon)
    kept = read_results(query_lake.lake, "acme", DAY)
    assert {row["unexpected"] for row in kept if row["check_name"] == NUMBERED and row["shard"] is None} == {2**63 - 1}


def test_a_gap_may_close_within_the_grace_time(query_lake):
    """An event that came a moment ago is not yet what shows a gap."""
    query_lake.write("audit_events", [event(0), event(2, received_unix_nano=query_lake.noon)])
    assert one(query_lake, NUMBERED, at=HOUR).missing == 0
    assert one(query_lake, NUMBERED, at=HOUR + 1).missing == 1


def test_streams_count_as_counters(query_lake):
    """Numbers alone make a day measured, and numbered events are not asked for another counter."""
    query_lake.write("audit_events", [event(0), event(1)])
    results = find(query_lake)
    assert results["completeness-logs-counted"].outcome == "empty"
    assert results[NUMBERED].outcome == "passed"
    assert is_measured(tuple(results.values()))


def test_orphans_and_traces_without_a_root(query_lake):
    """A parent that is nowhere is missing, and so is a root, by sender and with the trace, once the grace time is over."""
    noon = query_lake.noon
    a, b, c = "a" * 32, "b" * 32, "c" * 32
    common = SENDER | {"received_unix_nano": noon}
    query_lake.write(
        "spans",
        [
            common | {"trace_id": a, "span_id": "1" * 16},
            common | {"trace_id": a, "span_id": "2" * 16, "parent_span_id": "1" * 16},
            common | {"trace_id": b, "span_id": "3" * 16, "parent_span_id": "9" * 16, "flags": 0x301},
            common | {"trace_id": b, "span_id": "4" * 16, "parent_span_id": "3" * 16, "time_unix_nano": noon + 1}
            | {"recorded_by": "key:k2"},
            common | {"trace_id": c, "span_id": "5" * 16, "parent_span_id": "6" * 16},
            common | {"trace_id": c, "span_id": "6" * 16, "day": BEFORE, "time_unix_nano": noon - 24 * HOUR},
        ],
    )  # fmt: skip
    assert not find(query_lake, at=HOUR)["completeness-parents-present"].findings
    results = find(query_lake, at=HOUR + 1)
    parents, roots = (results[f"completeness-{what}-present"] for what in ("parents", "roots"))
    first, second = parents.findings
    assert (str(first.sender), first.total, first.missing, first.details["remote"]) == ("key:k1 shop/i-1", 3, 1, 1)
    assert first.details["trace_ids"] == [b]
    assert (first.places[0].first_index, first.places[0].last_index) == (2, 2)
    assert (second.sender.recorded_by, second.total, second.missing) == ("key:k2", 1, 0)
    (without,) = roots.findings
    assert (without.total, without.missing, without.details["trace_ids"]) == (2, 1, [b])


def test_dropped_parts_are_counted(query_lake):
    """Records whose SDK dropped attributes, events or links are not whole; how many it dropped is added up."""
    query_lake.write("spans", [SENDER, SENDER | {"dropped_attributes_count": 3, "dropped_links_count": 1}])
    query_lake.write("logs", [SENDER | {"dropped_attributes_count": 2}], segment=2)
    query_lake.write("audit_events", [SENDER], segment=3)
    results = find(query_lake)
    (found,) = results["completeness-spans-whole"].findings
    assert (found.total, found.missing, found.places[0].first_index) == (2, 1, 1)
    assert found.details == {"dropped_attributes": 3, "dropped_events": 0, "dropped_links": 1}
    assert results["completeness-logs-whole"].outcome == "failed"
    assert results["completeness-audit-events-whole"].outcome == "passed"


def test_results_are_kept_beside_others(query_lake):
    """A day's completeness is replaced whole and leaves what else was found; a complete sender has no row, an unmeasured one has."""
    noon = query_lake.noon
    query_lake.write("metrics", points(noon, EXPORTED, 2))
    query_lake.write("spans", spans(noon, 10), segment=2)
    query_lake.write("spans", spans(noon, 10, sender=SENDER | {"service_name": "desk"}), segment=3)
    results = tuple(find(query_lake).values())
    for _ in range(2):
        write_completeness(query_lake.lake, "acme", DAY, results, noon)
    write_results(query_lake.lake, "acme", DAY, [], noon)
    rows = [row for row in read_results(query_lake.lake, "acme", DAY) if row["check_name"] == SPANS]
    assert [(row["sender"], row["outcome"], row["total"], row["unexpected"]) for row in rows] == [
        ("key:k1 desk/i-1", "unmeasured", 1, None),
        ("key:k1 shop/i-1", "failed", 2, 1),
        (None, "failed", 2, 1),
    ]


def test_a_query_that_fails_is_errored(query_lake):
    """A check that could not be made is neither passed nor failed, and the others are made."""
    with query_lake.session(tables=("audit_events", "logs", "spans")) as session:
        results = {each.check.name: each for each in find_incomplete(session, DAY, query_lake.noon)}
    assert (results[SPANS].outcome, results[SPANS].error) == ("errored", "QueryError")
    assert results["completeness-roots-present"].outcome == "empty"
