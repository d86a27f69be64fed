"""The steps of a run as a waterfall: bars by kind, below each other as they called each other, with what was masked, handed over or approved.

Invariant: a bar stands for one step, in the order of the table below it. What a mark stands for is in that table or among the events too.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

import altair as alt

from dashboards.frame import chart_data
from dashboards.words import counted
from warehouse.questions.story_lines import redaction_marks
from warehouse.questions.trace import Event, Node, Place, Trace

MOST_BARS = 300
ERRORS = "errors, with what led to them"
_LABEL_PIXELS = 290
_ROW_PIXELS = 22
_AXIS_PIXELS = 130
_LONGEST_LABEL = 90
_DEEPEST = 12
_COLORS = ["#1f5fa8", "#2a7d71", "#5f6e83", "#7e5aa3", "#8a6a1f", "#66717d"]
"""Dark enough for white letters on them, and none is red: red bars are errors."""
_ERROR = "#c62828"
_INDENT = "\N{NO-BREAK SPACE}" * 3
_FIRM = "\N{ZERO WIDTH SPACE}"
"""Before an indent: what draws labels cuts white space off their ends, and this is none."""
_CUT = "\N{INVISIBLE SEPARATOR}"
"""Between a label and the number that tells it from others like it."""
_PLACES = {Place.ORPHAN: " (its parent is missing)", Place.CYCLE: " (part of a circle)"}
_UNITS = ((36_000e9, 3_600e9, "hours"), (600e9, 60e9, "minutes"), (10e9, 1e9, "seconds"), (0, 1e6, "milliseconds"))
_MARKS = {"handoff.": "handed over", "approval.": "approval", "oversight.": "approval", "workflow.": "workflow"}
_SHAPES = {"handed over": "diamond", "approval": "triangle-up", "workflow": "circle"}
_MARK_COLORS = ["#d97706", "#7c3aed", "#0f766e"]
_LATE, _EARLY = 0.6, 0.4


def parts_of(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    """Which steps can be drawn at once, by what a reader chooses: all of a short run; a long one by the hundreds, and its errors."""
    if len(nodes) <= MOST_BARS:
        return {"all": list(nodes)}
    parts = {}
    if failed := _errors(nodes):
        parts[ERRORS] = failed[:MOST_BARS]
    for first in range(0, len(nodes), MOST_BARS):
        part = list(nodes[first : first + MOST_BARS])
        parts[f"steps {first + 1:,} to {first + len(part):,}"] = part
    return parts


def waterfall(nodes: Sequence[Node], trace: Trace, *, dark: bool) -> alt.LayerChart:
    """The chart of these steps of a run, as wide as the page."""
    begins = min((node.span.time_unix_nano or 0) for node in nodes)
    ends = max((node.span.time_unix_nano or 0) + (node.span.duration_ns or 0) for node in nodes)
    start = trace.totals.start_unix_nano or begins
    per, unit = next((per, unit) for least, per, unit in _UNITS if ends - start >= least)
    low, high = (begins - start) / per, max((ends - start) / per, (begins - start + 1e6) / per)
    rows = list(_bars(nodes, start, per, (low, high)))
    y = alt.Y(
        "what:N",
        sort=alt.EncodingSortField("number"),
        title=None,
        axis=alt.Axis(
            labelAlign="left",
            labelPadding=_LABEL_PIXELS,
            labelLimit=_LABEL_PIXELS - 10,
            labelOverlap=False,
            labelExpr=f"split(datum.label, '{_CUT}')[0]",
        ),
    )
    base = alt.Chart(chart_data(rows)).encode(y=y)
    bars = base.mark_bar(height=12).encode(
        x=alt.X("begins:Q", title=f"{unit} since the run began", scale=alt.Scale(domain=[low, high], nice=False)),
        x2="ends:Q",
        color=alt.condition(
            "datum.status == 'error'",
            alt.value(_ERROR),
            alt.Color("kind:N", title=None, scale=alt.Scale(range=_COLORS), legend=alt.Legend(orient="top")),
        ),
        tooltip=["step:N", "agent:N", "tool:N", "model:N", "status:N", "took:N", "tokens:N", "cost:N", "masked:N"],
    )
    said = [
        base.transform_filter(f"datum.side == '{side}'")
        .mark_text(align=align, dx=away, fontSize=11, color=color)
        .encode(x=f"{where}:Q", text="said:N")
        for side, where, align, away, color in _said(dark=dark)
    ]
    layers: list[alt.Chart] = [bars, *said]
    labels = [str(row["what"]) for row in rows]
    if points := list(_points(nodes, labels, trace.events, start, per, (low, high))):
        layers.append(_marks(points, y, dark=dark))
    chart: alt.LayerChart = alt.layer(*layers).resolve_scale(color="independent", shape="independent")
    return chart.properties(height=_AXIS_PIXELS + _ROW_PIXELS * len(nodes), description=_described(nodes, trace))


def _said(*, dark: bool) -> tuple[tuple[str, str, Literal["left", "right"], int, str], ...]:
    """Where the words of a bar stand, so that they stay within the chart: behind it, before it, or on it."""
    color = "#c9c9c4" if dark else "#55534f"
    return (
        ("right", "ends", "left", 5, color),
        ("left", "begins", "right", -5, color),
        ("within", "begins", "left", 14, "#ffffff"),  # beside a mark at its beginning,
    )


def label_of(node: Node, above: str | None) -> str:
    """A step as a reader finds it: by its tool or name, and by its agent where that is another than the one above it."""
    span = node.span
    agent = span.agent_name or ""
    by = f"{agent}: " if agent and agent != above else ""
    return f"{by}{span.tool_name or span.name or 'step'}{_PLACES.get(node.place, '')}"


def agents_above(nodes: Sequence[Node]) -> Iterator[tuple[Node, str | None]]:
    """Each step with the agent of the step that it stands below."""
    agents: list[str | None] = []
    for node in nodes:
        del agents[node.depth :]
        agents += [agents[-1] if agents else None] * (node.depth - len(agents))  # what is drawn may begin further down
        above = agents[-1] if agents else None
        yield node, above
        agents.append(node.span.agent_name or above)


def took(duration_ns: int | None) -> str:
    """A duration as people read it."""
    if duration_ns is None:
        return ""
    seconds = duration_ns / 1e9
    if seconds < 1:
        return f"{duration_ns / 1e6:,.0f} ms"
    return f"{seconds:,.1f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"  # noqa: PLR2004 - ten minutes


def _bars(nodes: Sequence[Node], start: int, per: float, bounds: tuple[float, float]) -> Iterator[dict[str, object]]:
    low, high = bounds
    width = high - low
    for number, (node, above) in enumerate(agents_above(nodes)):
        span = node.span
        begins = ((span.time_unix_nano or start) - start) / per
        ends = begins + max((span.duration_ns or 0) / per, width / 500)
        masked = redaction_marks(span.redactions)
        tokens = (span.input_tokens or 0) + (span.output_tokens or 0)
        side = "right" if ends - low < _LATE * width else "left" if begins - low > _EARLY * width else "within"
        said = [took(span.duration_ns), counted(tokens, "token") if tokens else "", f"▮ {masked}" if masked else ""]
        yield {
            "number": number,
            "what": f"{_FIRM}{_INDENT * min(node.depth, _DEEPEST)}{label_of(node, above)}"[:_LONGEST_LABEL]
            + f"{_CUT}{number}",
            "step": _seen(span.name),
            "begins": begins,
            "ends": ends,
            "kind": _seen(span.operation or "other").replace("_", " "),
            "status": "error" if span.status_code == "ERROR" else "",
            "agent": _seen(span.agent_name or span.service_name),
            "tool": _seen(span.tool_name),
            "model": _seen(span.model),
            "took": took(span.duration_ns),
            "tokens": f"{tokens:,}" if tokens else "",
            "cost": "" if span.cost_microusd is None else f"${span.cost_microusd / 1e6:,.4f}",
            "masked": masked,
            "side": side,
            "said": " · ".join(each for each in said if each),
        }


def _seen(text: str | None) -> str:
    """What is seen of a text beside a bar: a sender may send millions of characters."""
    return (text or "")[:_LONGEST_LABEL]


def _points(
    nodes: Sequence[Node],
    labels: Sequence[str],
    loose: Sequence[Event],
    start: int,
    per: float,
    bounds: tuple[float, float],
) -> Iterator[dict[str, object]]:
    """Handoffs, approvals and waits, on the bar of the step that recorded them, else on the first; `labels` are those of the bars."""
    placed = [(labels[number], event) for number, node in enumerate(nodes) for event in node.events]
    for what, event in [*placed, *((labels[0], event) for event in loose)]:
        kind = next((kind for begin, kind in _MARKS.items() if (event.event_name or "").startswith(begin)), None)
        at = ((event.time_unix_nano or 0) - start) / per
        if kind is not None and bounds[0] <= at <= bounds[1]:
            yield {
                "what": what,
                "at": at,
                "mark": kind,
                "event": _seen(event.event_name),
                "who": _seen(event.actor_id),
                "outcome": _seen(event.outcome),
            }


def _marks(points: Sequence[dict[str, object]], y: alt.Y, *, dark: bool) -> alt.Chart:
    kinds = [kind for kind, _ in groupby(sorted(str(point["mark"]) for point in points))]
    places = [list(_SHAPES).index(kind) for kind in kinds]
    chart: alt.Chart = (
        alt.Chart(chart_data(points))
        .mark_point(filled=True, size=80, opacity=1, stroke="#1a1a18" if dark else "#ffffff", strokeWidth=1)
        .encode(
            y=y,
            x="at:Q",
            shape=alt.Shape(
                "mark:N",
                title=None,
                scale=alt.Scale(domain=kinds, range=[_SHAPES[kind] for kind in kinds]),
                legend=alt.Legend(orient="top", symbolSize=80, symbolOpacity=1),
            ),
            color=alt.Color(
                "mark:N",
                title=None,
                scale=alt.Scale(domain=kinds, range=[_MARK_COLORS[place] for place in places]),
                legend=alt.Legend(orient="top", symbolSize=80, symbolOpacity=1),
            ),
            tooltip=["event:N", "who:N", "outcome:N"],
        )
    )
    return chart


def _errors(nodes: Sequence[Node]) -> list[Node]:
    """The steps that failed, and those above them, in order."""
    kept: list[Node] = []
    depth = 0
    for node in reversed(nodes):  # whoever called a step comes before it: backwards, the next one that is less deep
        if node.span.status_code == "ERROR" or node.depth < depth:
            kept.append(node)
            depth = node.depth
    return kept[::-1]


def _described(nodes: Sequence[Node], trace: Trace) -> str:
    """The chart for those who hear it; the table below has every step."""
    failed = sum(node.span.status_code == "ERROR" for node in nodes)
    return (
        f"Waterfall of {len(nodes):,} of {counted(trace.totals.spans, 'step')} of the run, {took(trace.totals.duration_ns)} long, "
        f"{counted(failed, 'error')}. The table below has each step with its agent, tool, model, duration, tokens and cost."
    )
