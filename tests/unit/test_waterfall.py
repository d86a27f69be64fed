"""The waterfall of a run: which steps are drawn, how they are called, and what is marked on them."""

import json

import pytest

from dashboards.waterfall import ERRORS, MOST_BARS, agents_above, label_of, parts_of, waterfall
from warehouse.questions.trace import Event, Span, build_trace

MILLI = 1_000_000
START = 1_795_000_000_000_000_000


def span(number, parent=None, **more):
    """A step of the agent `planner`, 10 ms long, so many milliseconds after the run's begin."""
    told = dict.fromkeys(Span.__dataclass_fields__) | {
        "tenant_id": "acme", "span_id": f"{number:016x}", "parent_span_id": None if parent is None else f"{parent:016x}",
        "name": f"step {number}", "operation": "chat", "agent_name": "planner", "time_unix_nano": START + number * MILLI,
        "end_unix_nano": START + (number + 10) * MILLI, "duration_ns": 10 * MILLI, "shard": "s", "log_index": number,
    }  # fmt: skip
    return Span(**told | more)


def event(name, number, after_millis):
    """An event that the step `number` recorded."""
    told = dict.fromkeys(Event.__dataclass_fields__) | {
        "source": "audit_events", "tenant_id": "acme", "span_id": f"{number:016x}", "event_name": name, "actor_id": "planner",
        "time_unix_nano": START + after_millis * MILLI, "shard": "s", "log_index": 9,
    }  # fmt: skip
    return Event(**told)


def layers_of(trace, *, dark=False):
    """The rows behind each layer of a chart, and what it says to those who hear it."""
    drawn = waterfall(list(trace.walk()), trace, dark=dark).to_dict()
    data = [layer.get("data") or drawn["data"] for layer in drawn["layer"]]
    return [each["values"] if "values" in each else drawn["datasets"][each["name"]] for each in data], drawn[
        "description"
    ]


def test_what_was_masked_and_used_stands_on_its_bar():
    """Redactions, tokens and duration of a step are on its bar; a step that has none of them says none."""
    told = span(1, redactions=json.dumps({"card": 2, "email": 1}), input_tokens=1_000, output_tokens=24)
    (bars, *_), said = layers_of(build_trace("t", [told, span(2, 1, status_code="ERROR")], []))
    assert [row["said"] for row in bars] == ["10 ms · 1,024 tokens · ▮ card 2, email 1", "10 ms"]
    assert [row["status"] for row in bars] == ["", "error"]
    assert said.startswith("Waterfall of 2 of 2 steps of the run, 11 ms long, 1 error.")


def test_handoffs_and_approvals_are_marks_on_the_step_that_recorded_them():
    """Each is drawn at its time on its step; what came after the last step is in the list of events alone."""
    events = [event("handoff.requested", 2, 4), event("approval.granted", 2, 90_000), event("message.sent", 1, 3)]
    rows, _ = layers_of(build_trace("t", [span(1), span(2, 1)], events))
    (mark,) = rows[-1]
    assert (mark["mark"], mark["event"], mark["what"]) == ("handed over", "handoff.requested", rows[0][1]["what"])
    assert mark["at"] == pytest.approx(3.0)


def test_a_step_names_its_agent_where_it_is_another_than_the_one_above():
    """Who is read off the label where it changes; a tool is called by its name."""
    trace = build_trace(
        "t", [span(1), span(2, 1, agent_name="worker"), span(3, 2, agent_name="worker", tool_name="pay")], []
    )
    assert [label_of(*each) for each in agents_above(list(trace.walk()))] == [
        "planner: step 1",
        "worker: step 2",
        "pay",
    ]


def test_a_long_run_is_drawn_in_parts_and_its_errors_with_what_led_to_them():
    """Every step is in one part, in order; the errors come first, each below the steps that called it."""
    steps = [span(0), *(span(number, 0) for number in range(1, 700)), span(700, 650, status_code="ERROR")]
    nodes = list(build_trace("t", steps, []).walk())
    parts = parts_of(nodes)
    assert next(iter(parts)) == ERRORS
    assert [node.span.log_index for node in parts[ERRORS]] == [0, 650, 700]
    drawn = [node for name, part in parts.items() if name != ERRORS for node in part]
    assert (drawn, max(map(len, parts.values()))) == (nodes, MOST_BARS)
    assert list(parts_of(nodes[:5])) == ["all"]
