"""A trace as a tree on a terminal, and as JSON."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from muniment.cli.table import wide_enough
from warehouse.clock import utc_text
from warehouse.questions.trace import Event, Node, Place, Span, Totals, Trace

_MAX_INDENT = 24
_MAX_TEXT_CHARACTERS = 120
_PIPE_WIDTH = 200
_WIDE = 110
_GAP = 2
_LEAST_NAME_WIDTH = 16
_STATUS_WIDTHS = (16, 24)
_FIGURES = ("start", "duration", "tokens", "cost")
_MICROS = 1_000_000
_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))
_MINUTE_NS = 60_000_000_000
# What records hold was written by others: no byte of it may steer the terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# A status that nobody set says nothing.
_STATUS_TEXTS = {"UNSET": ""}
_MARKS = {
    Place.ORPHAN: " (orphan: parent {parent} is not here)",
    Place.CYCLE: " (cycle: its own descendant is its parent)",
}


def print_trace(trace: Trace, out: Console) -> None:
    """Print totals and the tree, one line a span or event."""
    for line in _heading(trace):
        out.print(line, soft_wrap=True)
    rows = list(_rows(trace))
    wide = wide_enough(out, _PIPE_WIDTH)
    figures = [_width(name, rows, at) for at, name in enumerate(_FIGURES, 1)]
    status = min(_STATUS_WIDTHS[wide.width >= _WIDE], _width("status", rows, -1))
    # every other column is as wide as its widest cell, so that what does not fit is taken from the first one alone
    first = wide.width - sum(figures) - status - _GAP * (len(_FIGURES) + 1)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("span", no_wrap=True, overflow="ellipsis", width=max(first, _LEAST_NAME_WIDTH))
    for name, width in zip(_FIGURES, figures, strict=True):
        table.add_column(name, justify="right", no_wrap=True, width=width)
    table.add_column("status", no_wrap=True, overflow="ellipsis", width=status)
    for row in rows:
        table.add_row(*row)
    wide.print(table)


def _width(heading: str, rows: Sequence[tuple[Text, ...]], column: int) -> int:
    return max(len(heading), *(row[column].cell_len for row in rows)) if rows else len(heading)


def trace_json(trace: Trace) -> dict[str, Any]:
    """The trace for machines: spans in the tree's order, each with its depth, so that no depth of nesting is too deep."""
    return {
        "trace_id": trace.trace_id,
        "tenants": list(trace.tenants),
        "totals": asdict(trace.totals),
        "spans": [
            {
                "place": node.place.value,
                "depth": node.depth,
                **vars(node.span),
                "events": [vars(event) for event in node.events],
            }
            for node in trace.walk()
        ],
        "events": [vars(event) for event in trace.events],
    }


def _heading(trace: Trace) -> Iterator[Text]:
    totals = trace.totals
    named = ((totals.spans, "span"), (totals.errors, "error"), (totals.events, "event"))
    counts = ", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for count, name in named)
    yield Text.assemble(("trace ", "bold"), trace.trace_id, f"  {', '.join(trace.tenants)}  {counts}")
    parts = []
    if totals.start_unix_nano is not None:
        parts.append(f"start {utc_text(totals.start_unix_nano)}")
    if totals.duration_ns is not None:
        parts.append(f"duration {duration_text(totals.duration_ns)}")
    if tokens := _tokens(totals):
        parts.append(f"tokens {tokens}")
    if totals.cost_microusd is not None:
        parts.append(f"cost {cost_text(totals.cost_microusd)}")
    if parts:
        yield Text("  ".join(parts))


def _rows(trace: Trace) -> Iterator[tuple[Text, ...]]:
    start = trace.totals.start_unix_nano
    stack: list[tuple[Node, str, str]] = [(node, "", "") for node in reversed(trace.roots)]
    while stack:
        node, branch, guide = stack.pop()
        yield _span_row(node, branch, start)
        yield from _event_rows(node.events, f"{guide}{'│  ' if node.children else '   '}", start)
        below = _indented(guide, node.depth)
        last = len(node.children) - 1
        children = [
            (child, below + ("└─ " if i == last else "├─ "), below + ("   " if i == last else "│  "))
            for i, child in enumerate(node.children)
        ]
        stack.extend(reversed(children))
    yield from _event_rows(trace.events, "", start)


def _indented(guide: str, depth: int) -> str:
    """Guides of a node's children: below a certain depth they stop moving to the right, and say how deep they are."""
    return guide if depth < _MAX_INDENT else f"{guide[: 3 * _MAX_INDENT]}[{depth + 1}] "


def _span_row(node: Node, branch: str, start: int | None) -> tuple[Text, ...]:
    span = node.span
    mark = _MARKS.get(node.place, "").format(parent=_clean(span.parent_span_id or ""))
    title = Text.assemble((branch, "dim"), (_title(span), "bold" if node.place is Place.ROOT else ""), (mark, "yellow"))
    failed = span.status_code == "ERROR"
    reason = span.error_type or span.status_message or ""
    status = f"ERROR {reason}".strip() if failed else _STATUS_TEXTS.get(span.status_code or "", span.status_code or "")
    return (
        title,
        Text(_offset(span.time_unix_nano, start)),
        Text("" if span.duration_ns is None else duration_text(span.duration_ns)),
        Text(_tokens(span)),
        Text("" if span.cost_microusd is None else cost_text(span.cost_microusd)),
        Text(_clean(status), style="red" if failed else "green" if status == "OK" else "dim"),
    )


def _event_rows(events: Sequence[Event], guide: str, start: int | None) -> Iterator[tuple[Text, ...]]:
    for event in events:
        name = event.event_name or event.severity_text or "log"
        who = f" by {event.actor_id}" if event.actor_id else ""
        # bodies often begin with who acted, which the line says already
        body = (event.body or "").removeprefix(f"{event.actor_id}: ")
        what = f": {body}" if body else ""
        why = f" (reason: {event.reason})" if event.reason else ""
        text = _clean(f"{name}{who}{what}{why}")
        line = Text.assemble(
            (guide, "dim"), ("• ", "cyan" if event.source == "audit_events" else "dim"), (text, "italic")
        )
        yield (
            line,
            Text(_offset(event.time_unix_nano, start)),
            Text(),
            Text(),
            Text(),
            Text(_clean(event.outcome or "")),
        )


def _title(span: Span) -> str:
    parts = [span.name or "(no name)"]
    for detail in (span.operation, span.agent_name, span.tool_name, span.model):
        # Names of agent spans usually repeat their parts: "execute_tool search".
        if detail and not any(detail in part for part in parts):
            parts.append(detail)
    return _clean(" · ".join(parts))


def _clean(text: str) -> str:
    return _CONTROL.sub("·", text[:_MAX_TEXT_CHARACTERS])


def _offset(time_unix_nano: int | None, start: int | None) -> str:
    return "" if time_unix_nano is None or start is None else f"+{duration_text(time_unix_nano - start)}"


def _tokens(item: Span | Totals) -> str:
    if item.input_tokens is None and item.output_tokens is None:
        return ""
    sides = ("-" if count is None else f"{count:,}" for count in (item.input_tokens, item.output_tokens))
    return " / ".join(sides)


def duration_text(nanoseconds: int) -> str:
    """A duration with its unit, to three digits: `340 ms`, `1.25 s`, `2 min 05 s`."""
    if nanoseconds >= _MINUTE_NS:
        minutes, rest = divmod(nanoseconds, _MINUTE_NS)
        return f"{minutes} min {rest // _UNITS[0][0]:02d} s"
    for size, unit in _UNITS:
        if nanoseconds >= size:
            value = nanoseconds / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"  # noqa: PLR2004  three digits
    return f"{nanoseconds} ns"


def cost_text(micro_usd: int) -> str:
    """A cost in US dollars; below a cent to the millionth."""
    dollars = micro_usd / _MICROS
    return f"${dollars:,.4f}" if micro_usd >= _MICROS // 100 else f"${dollars:.6f}"
