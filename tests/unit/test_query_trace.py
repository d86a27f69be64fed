"""Traces as trees: what senders send in every shape, and how it is shown."""

import io
import json
import random
import sys

import pytest
from rich.console import Console

from muniment.cli.trace import cost_text, duration_text, print_trace, trace_json
from warehouse.questions.trace import Event, Place, Span, build_trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
START = 1_795_176_000_000_000_000


def span(span_id, parent=None, *, at=0, **more):
    """One span that starts `at` milliseconds and takes 10."""
    filled = dict.fromkeys(Span.__dataclass_fields__) | {"tenant_id": "acme", "shard": "main-1a2b3c4d", "log_index": at}
    begin = START + at * 1_000_000
    times = {"time_unix_nano": begin, "end_unix_nano": begin + 10_000_000, "duration_ns": 10_000_000}
    return Span(**filled | times | {"span_id": span_id, "parent_span_id": parent, "name": f"span {span_id}"} | more)


def event(span_id, name, *, at=0, **more):
    """One audit event `at` milliseconds."""
    filled = dict.fromkeys(Event.__dataclass_fields__) | {
        "source": "audit_events",
        "tenant_id": "acme",
        "shard": "s",
        "log_index": at,
    }
    return Event(**filled | {"span_id": span_id, "event_name": name, "time_unix_nano": START + at * 1_000_000} | more)


def outline(trace):
    """The tree as (depth, span id, place)."""
    return [(node.depth, node.span.span_id, node.place.value) for node in trace.walk()]


def shown(trace):
    """What the terminal gets."""
    out = io.StringIO()
    print_trace(trace, Console(file=out, width=160))
    return out.getvalue()


SHAPES = [
    ("one", [("a", None)], [(0, "a", "root")]),
    ("a chain", [("a", None), ("b", "a"), ("c", "b")], [(0, "a", "root"), (1, "b", "child"), (2, "c", "child")]),
    ("children in order of time", [("a", None), ("b", "a"), ("c", "a")], [(0, "a", "root"), (1, "b", "child"), (1, "c", "child")]),
    ("a child that began before its parent", [("b", "a"), ("a", None)], [(0, "a", "root"), (1, "b", "child")]),
    ("two roots", [("a", None), ("b", None)], [(0, "a", "root"), (0, "b", "root")]),
    ("an orphan and its child", [("b", "x"), ("c", "b")], [(0, "b", "orphan"), (1, "c", "child")]),
    ("its own parent", [("a", "a")], [(0, "a", "cycle")]),
    ("a cycle of two", [("a", "b"), ("b", "a")], [(0, "a", "cycle"), (1, "b", "child")]),
    ("a cycle beside a root", [("r", None), ("a", "b"), ("b", "a")], [(0, "r", "root"), (0, "a", "cycle"), (1, "b", "child")]),
    ("a tail on a cycle", [("t", "a"), ("a", "b"), ("b", "a")], [(0, "t", "cycle"), (0, "a", "cycle"), (1, "b", "child")]),
    ("the same id twice", [("a", None), ("b", "a"), ("b", "a"), ("c", "b")],
     [(0, "a", "root"), (1, "b", "child"), (2, "c", "child"), (1, "b", "child")]),
    ("no id", [(None, None), (None, None)], [(0, None, "root"), (0, None, "root")]),
]  # fmt: skip


@pytest.mark.parametrize(("spans", "expected"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_every_span_stands_in_the_tree_once(spans, expected):
    """Orphans, cycles and repeated ids are shown, marked, and shown once."""
    trace = build_trace(TRACE, [span(*ids, at=i) for i, ids in enumerate(spans)], [])
    assert outline(trace) == expected
    assert "span" in shown(trace)


def test_thousands_of_spans_in_any_shape_neither_hang_nor_recurse():
    """Chains, stars, cycles and random parents of many more spans than calls may nest are built, written as JSON and printed."""
    choose = random.Random(1)
    count = 3 * sys.getrecursionlimit()
    shapes = {
        "chain": [(str(i), str(i - 1) if i else None) for i in range(count)],
        "star": [(str(i), "0" if i else None) for i in range(count)],
        "one cycle": [(str(i), str((i + 1) % count)) for i in range(count)],
        "self loops": [(str(i), str(i)) for i in range(count)],
        "random": [(str(i), str(choose.randrange(count))) for i in range(count)],
    }
    for ids in shapes.values():
        trace = build_trace(TRACE, [span(*pair) for pair in ids], [])
        assert sum(1 for _ in trace.walk()) == count
        assert len(json.loads(json.dumps(trace_json(trace)))["spans"]) == count
    deeper = count // 2
    text = shown(build_trace(TRACE, [span(*pair) for pair in shapes["chain"][:deeper]], []))
    assert f"[{deeper - 1}]" in text


def test_equal_span_ids_of_two_tenants_are_not_mixed():
    """A parent is looked for within the span's own tenant: an id of another tenant's is no parent."""
    trace = build_trace(TRACE, [span("a", tenant_id="acme"), span("b", "a", tenant_id="globex")], [])
    assert outline(trace) == [(0, "a", "root"), (0, "b", "orphan")]
    assert trace.tenants == ("acme", "globex")


def test_events_stand_at_their_span_in_order_of_time():
    """An event goes to its span; one without a span, or of a span that is not here, to the trace."""
    events = [
        event("a", "approval.requested"),
        event("a", "approval.granted", at=5),
        event(None, "handoff.requested"),
        event("x", "gate.evaluated"),
    ]
    trace = build_trace(TRACE, [span("a")], events)
    assert [e.event_name for e in trace.roots[0].events] == ["approval.requested", "approval.granted"]
    assert [e.event_name for e in trace.events] == ["handoff.requested", "gate.evaluated"]
    text = shown(trace)
    assert text.index("approval.requested") < text.index("approval.granted") < text.index("handoff.requested")


def test_tokens_that_an_agent_repeats_are_counted_once():
    """Totals add what the lowest spans say: the agent's own sum over its calls is not added to them."""
    spans = [
        span("agent", input_tokens=30, output_tokens=3, cost_microusd=300),
        span("call 1", "agent", at=1, input_tokens=10, output_tokens=1, cost_microusd=100),
        span("tool", "agent", at=2),
        span("call 2", "tool", at=3, input_tokens=20, output_tokens=2),
        span("other", at=4, input_tokens=5),
    ]
    totals = build_trace(TRACE, spans, []).totals
    assert (totals.input_tokens, totals.output_tokens, totals.cost_microusd) == (35, 3, 100)
    assert (totals.spans, totals.errors, totals.duration_ns) == (5, 0, 14_000_000)


def test_unknown_sums_are_unknown_and_not_zero():
    """Without any tokens or cost the totals are None."""
    totals = build_trace(TRACE, [span("a", time_unix_nano=None, end_unix_nano=None, duration_ns=None)], []).totals
    assert (totals.input_tokens, totals.cost_microusd, totals.start_unix_nano, totals.duration_ns) == (None,) * 4


def test_the_tree_shows_what_a_person_looks_for():
    """A line has name, operation, model, offset, duration, tokens, cost and status; the heading has the totals."""
    text = shown(
        build_trace(
            TRACE,
            [
                span("1" * 16, name="invoke", operation="invoke_agent", agent_name="buyer", status_code="OK"),
                span("2" * 16, "1" * 16, at=1500, operation="chat", model="gpt-x", input_tokens=1200, output_tokens=45, cost_microusd=12_345, status_code="ERROR", error_type="timeout"),
                span("3" * 16, "9" * 16, at=2000),
            ],
            [],
        )
    )  # fmt: skip
    for part in (TRACE, "3 spans, 1 error, 0 events", "duration 2.01 s", "invoke · invoke_agent · buyer", "└─ ", "gpt-x", "+1.50 s", "10.0 ms",
                 "1,200 / 45", "$0.0123", "ERROR timeout", "orphan: parent 9999999999999999 is not here"):  # fmt: skip
        assert part in text, part


def test_figures_survive_80_columns():
    """On a narrow terminal only names are shortened; figures and status stay whole, and a status that nobody set is blank."""
    more = {"input_tokens": 123_456, "output_tokens": 7_890, "cost_microusd": 12_345}
    spans = [
        span("a", name="n" * 100, status_code="UNSET", **more),
        span("b", "a", at=1500, status_code="ERROR", error_type="timeout", **more),
    ]
    out = io.StringIO()
    print_trace(
        build_trace(TRACE, spans, [event("b", "e" * 100, outcome="success")]),
        Console(file=out, width=80, force_terminal=True, color_system=None),
    )
    lines = out.getvalue().splitlines()[2:]
    assert max(map(len, lines)) <= 80
    assert "UNSET" not in out.getvalue()
    for line, parts in zip(
        lines[1:],
        [["n…", "10.0 ms", "123,456 / 7,890", "$0.0123"], ["+1.50 s", "$0.0123", "ERROR timeout"], ["e…", "success"]],
        strict=True,
    ):
        assert all(part in line for part in parts), line


def test_event_lines_say_who_what_and_why():
    """An event is its name, its actor, its body, and its reason in brackets; the heading of a long trace is one line."""
    told = event("a", "route.decided", actor_id="agt", body="home region: model x", reason="cheapest")
    text = shown(build_trace(TRACE, [span("a", tenant_id="t" * 200)], [told]))
    assert "route.decided by agt: home region: model x (reason: cheapest)" in text
    assert text.splitlines()[0].endswith("1 span, 0 errors, 1 event")


def test_names_cannot_steer_the_terminal():
    """Escape sequences, line breaks and direction marks in what agents sent are shown as dots."""
    text = shown(
        build_trace(TRACE, [span("a", name="x\x1b[2Jy\nz\u202e[bold]")], [event("a", "e\x07", body="\x1b]0;t\x07")])
    )
    assert "x·[2Jy·z·[bold]" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_500, "1.50 µs"),
        (340_000_000, "340 ms"),
        (999_900_000, "1000 ms"),
        (12_340_000_000, "12.3 s"),
        (125_000_000_000, "2 min 05 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(nanoseconds, text):
    """A duration is short and says its unit."""
    assert duration_text(nanoseconds) == text


@pytest.mark.parametrize(
    ("micro_usd", "text"), [(0, "$0.000000"), (12, "$0.000012"), (12_345, "$0.0123"), (1_234_567_890, "$1,234.5679")]
)
def test_costs_are_dollars(micro_usd, text):
    """Millionths of a dollar are shown as dollars."""
    assert cost_text(micro_usd) == text


def test_places_are_named_for_machines():
    """JSON says of each span how it came to its place."""
    spans = trace_json(build_trace(TRACE, [span("b", "x")], []))["spans"]
    assert spans[0]["place"] == Place.ORPHAN.value
    assert spans[0]["depth"] == 0
