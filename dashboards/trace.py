"""What happened in one run: agents, tools, handoffs, tokens and cost as a waterfall, and every record of it."""

from urllib.parse import urlencode

import pyarrow as pa
import streamlit as st

from dashboards.frame import begin, choice, desk_of, explained, line, moment, run_links, show_rows
from dashboards.waterfall import parts_of, took, waterfall
from warehouse.questions.story_lines import redaction_marks
from warehouse.questions.trace import Node, Trace

_NANOS_PER_MILLI = 1_000_000
_TABLE = 420
_TALL, _TALL_PIXELS = 40, 720
"""From so many steps on the waterfall scrolls within itself, so that what follows it stays near."""
_HANDED = ("handoff.requested", "handoff.accepted")
_FIRST = ("time", "name", "agent", "status_code", "duration_ms", "cost_microusd")
"""What of a run is read first; the others stand to the right."""


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Trace", "One run from its beginning to its end: who called what, how long it took, and what it cost.", tenant
    )
    trace_id = line("Run (trace id): 32 hex digits, or at least the first 8", "trace", placeholder="4bf92f35…")
    if not trace_id:
        st.header("Newest runs")
        with explained(), st.spinner("Reading the newest runs…"):
            found = desk.recent_traces(viewer, tenant, 200)
        told = [name for name in found.column_names if found.column(name).null_count < found.num_rows]
        show_rows(
            found.select([name for name in (*_FIRST, *(each for each in told if each not in _FIRST)) if name in told]),
            f"runs-{tenant}",
            empty="No run has come in yet. Have the operator connect an agent (docs/connect).",
            height=560,
            links={"open": run_links(found, tenant)},
        )
        return
    with explained(), st.spinner("Reading the trace…"):
        trace = desk.trace(viewer, tenant, trace_id)
    _totals(trace)
    with st.container(horizontal=True):
        st.link_button(
            "Whole story of this run",
            f"/search?{urlencode({'tenant': tenant, 'find': trace.trace_id})}",
            icon=":material/search:",
        )
        st.link_button("Newest runs", f"/trace?{urlencode({'tenant': tenant})}", icon=":material/list:")
    nodes = list(trace.walk())
    if nodes:
        _draw(nodes, trace)
    show_rows(_spans(nodes), f"trace-{trace.trace_id[:8]}", empty="This run has events and no steps.", height=_TABLE)
    events = [event for node in nodes for event in node.events] + list(trace.events)
    st.header("Events and logs of this run")
    show_rows(
        [
            {
                "time (UTC)": moment(event.time_unix_nano or 0),
                "event": event.event_name,
                "who": event.actor_id,
                "action": event.action,
                "outcome": event.outcome,
                "reason": event.reason,
                "text": event.body,
                "masked": redaction_marks(event.redactions),
                "shard": event.shard,
                "record number": event.log_index,
            }
            for event in sorted(events, key=lambda event: event.time_unix_nano or 0)
        ],
        f"trace-events-{trace.trace_id[:8]}",
        empty="None were recorded.",
        height=_TABLE,
        wide=("reason", "text"),
    )


def _draw(nodes: list[Node], trace: Trace) -> None:
    """The waterfall, of a long run in parts."""
    parts = parts_of(nodes)
    names = list(parts)
    drawn = parts[names[0] if len(names) == 1 else choice(f"Draw, of {len(nodes):,} steps", names, "draw")]
    chart = waterfall(drawn, trace, dark=st.context.theme.type == "dark")
    if len(drawn) > _TALL:
        with st.container(height=_TALL_PIXELS, border=True):
            st.altair_chart(chart, width="stretch")
    else:
        st.altair_chart(chart, width="stretch")
    st.caption(
        "Red: an error. ▮: masked before it was stored, with how much of which kind. ◆ handed over, ▲ approval, ● workflow. An agent's "
        "name stands where it is another than the one above. The table has every step, what it cost and its record number."
    )


def _totals(trace: Trace) -> None:
    totals = trace.totals
    nodes = list(trace.walk())
    cost = "-" if totals.cost_microusd is None else f"${totals.cost_microusd / 1e6:,.4f}"
    events = [*trace.events, *(event for node in nodes for event in node.events)]
    masked = [*(event.redactions for event in events), *(node.span.redactions for node in nodes)]
    told = {
        "Steps": f"{totals.spans:,}",
        "Errors": f"{totals.errors:,}",
        "Duration": took(totals.duration_ns) or "-",
        "Tokens in / out": " / ".join(
            "-" if each is None else f"{each:,}" for each in (totals.input_tokens, totals.output_tokens)
        ),
        "Cost": cost,
        "Agents": f"{len({node.span.agent_name for node in nodes if node.span.agent_name}):,}",
        "Handoffs": f"{max(sum(event.event_name == name for event in events) for name in _HANDED):,}",
        "Records masked": f"{sum(map(bool, masked)):,}",
    }
    with st.container(horizontal=True, gap="medium"):
        for label, value in told.items():
            st.metric(label, value, width="content")


def _spans(nodes: list[Node]) -> pa.Table:
    """Every step, what is asked first at the left; columns in which no step has anything are left out."""
    rows = [
        {
            "step": f"{'  ' * min(node.depth, 12)}{node.span.tool_name or node.span.name or ''}",
            "agent": node.span.agent_name,
            "status_code": node.span.status_code,
            "duration (ms)": None if node.span.duration_ns is None else node.span.duration_ns / _NANOS_PER_MILLI,
            "tokens in": node.span.input_tokens,
            "tokens out": node.span.output_tokens,
            "cost_microusd": node.span.cost_microusd,
            "masked": redaction_marks(node.span.redactions),
            "model": node.span.model,
            "error": node.span.error_type,
            "operation": node.span.operation,
            "step id": node.span.span_id,
            "shard": node.span.shard,
            "record number": node.span.log_index,
        }
        for node in nodes
    ]
    told = [name for name in (rows[0] if rows else ()) if any(row[name] not in {None, ""} for row in rows)]
    return pa.Table.from_pylist([{name: row[name] for name in told} for row in rows])
