"""What happened in one run: agents, tools, handoffs, tokens and cost as a waterfall, and every record of it."""

from urllib.parse import urlencode

import altair as alt
import pyarrow as pa
import streamlit as st

from dashboards.frame import begin, chart_data, desk_of, explained, line, moment, run_links, show_rows
from warehouse.questions.trace import Node, Place, Trace

_MOST_BARS = 400
_LABEL_PIXELS = 240
_AXIS_PIXELS = 60
_NANOS_PER_MILLI = 1_000_000
_COLORS = ["#1f5fa8", "#5aa0d8", "#6b7a8f", "#8e6bb0", "#3c9d8f", "#b08a3c", "#9aa5b1"]
"""None is red: red bars are errors."""
_INDENT = "\N{NO-BREAK SPACE}" * 3
_FIRST = ("time", "name", "agent", "status_code", "duration_ms", "cost_microusd")
"""What of a run is read first; the others stand to the right."""
_PLACES = {Place.ORPHAN: " (its parent is missing)", Place.CYCLE: " (part of a circle)"}


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Trace", "One run from its beginning to its end: who called what, how long it took, and what it cost.", tenant
    )
    trace_id = line("Run (trace id): 32 hex digits, or at least the first 8", "trace", placeholder="4bf92f35…")
    if not trace_id:
        st.subheader("Newest runs")
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
    st.link_button(
        "Whole story of this run",
        f"/search?{urlencode({'tenant': tenant, 'find': trace.trace_id})}",
        icon=":material/search:",
    )
    nodes = list(trace.walk())
    if len(nodes) > _MOST_BARS:
        st.caption(f"The first {_MOST_BARS} of {len(nodes):,} steps are drawn; the table below has all.")
    if nodes:
        st.altair_chart(_waterfall(nodes[:_MOST_BARS]), width="stretch")
    show_rows(_spans(nodes), f"trace-{trace.trace_id[:8]}", empty="This run has events and no steps.")
    events = [event for node in nodes for event in node.events] + list(trace.events)
    st.subheader("Events and logs of this run")
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
                "shard": event.shard,
                "record number": event.log_index,
            }
            for event in sorted(events, key=lambda event: event.time_unix_nano or 0)
        ],
        f"trace-events-{trace.trace_id[:8]}",
        empty="None were recorded.",
    )


def _totals(trace: Trace) -> None:
    totals = trace.totals
    seconds = "-" if totals.duration_ns is None else f"{totals.duration_ns / 1e9:,.2f} s"
    cost = "-" if totals.cost_microusd is None else f"${totals.cost_microusd / 1e6:,.4f}"
    tokens = (totals.input_tokens or 0) + (totals.output_tokens or 0)
    told = {
        "Steps": f"{totals.spans:,}",
        "Errors": f"{totals.errors:,}",
        "Duration": seconds,
        "Tokens": f"{tokens:,}",
        "Cost": cost,
    }
    with st.container(horizontal=True, gap="large"):
        for label, value in told.items():
            st.metric(label, value, width="content")


def _waterfall(nodes: list[Node]) -> alt.Chart:
    first = min((node.span.time_unix_nano or 0) for node in nodes)
    values = []
    for number, node in enumerate(nodes):
        span = node.span
        begins = ((span.time_unix_nano or first) - first) / _NANOS_PER_MILLI
        values.append(
            {
                "number": number,
                "what": f"{_INDENT * min(node.depth, 12)}{_label(node)}"[:90],
                "begins": begins,
                "ends": begins + max((span.duration_ns or 0) / _NANOS_PER_MILLI, 0.5),
                "kind": span.operation or "other",
                "status": span.status_code or "",
                "agent": span.agent_name or span.service_name or "",
            }
        )
    chart: alt.Chart = (
        alt.Chart(chart_data(values))
        .mark_bar(height=12)
        .encode(
            y=alt.Y(
                "what:N",
                sort=alt.EncodingSortField("number"),
                title=None,
                axis=alt.Axis(
                    labelAlign="left",
                    labelPadding=_LABEL_PIXELS,
                    labelLimit=_LABEL_PIXELS - 10,
                    labelOverlap=False,
                    labelExpr="split(datum.label, ' [')[0]",  # ids tell bars apart; they stand in the table
                ),
            ),
            x=alt.X("begins:Q", title="milliseconds since the run began"),
            x2="ends:Q",
            color=alt.condition(
                "datum.status == 'ERROR'",
                alt.value("#c62828"),
                alt.Color("kind:N", title=None, scale=alt.Scale(range=_COLORS)),
            ),
            tooltip=["what:N", "agent:N", "kind:N", "status:N", "begins:Q", "ends:Q"],
        )
        .properties(height=_AXIS_PIXELS + 22 * len(nodes))
    )
    return chart


def _label(node: Node) -> str:
    span = node.span
    return f"{span.tool_name or span.name or 'span'} [{span.span_id or '-'}]{_PLACES.get(node.place, '')}"


def _spans(nodes: list[Node]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "step": f"{'  ' * min(node.depth, 12)}{node.span.name or ''}",
                "operation": node.span.operation,
                "agent": node.span.agent_name,
                "tool": node.span.tool_name,
                "model": node.span.model,
                "status_code": node.span.status_code,
                "error": node.span.error_type,
                "duration (ms)": None if node.span.duration_ns is None else node.span.duration_ns / _NANOS_PER_MILLI,
                "tokens in": node.span.input_tokens,
                "tokens out": node.span.output_tokens,
                "step id": node.span.span_id,
                "cost_microusd": node.span.cost_microusd,
                "shard": node.span.shard,
                "record number": node.span.log_index,
            }
            for node in nodes
        ]
    )
