"""One trace: its spans as a tree, with the logs and audit events that belong to each.

What senders send is not always a tree: a parent may be missing (an orphan), be the span itself or a descendant (a cycle), or
two spans may share an id (a retry). All are shown and marked, each span once, and none of them can make this loop or recurse.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from typing import Any

from warehouse.errors import InputError, NotFoundError
from warehouse.query import QuerySession

TRACE_TABLES = ("spans", "audit_events", "logs")
"""The tables that a trace is read from: what a session for it has to open."""

_TRACE_ID_DIGITS = 32
_PREFIX = re.compile(r"[0-9a-f]{8,32}", re.ASCII)
_SHOWN_CANDIDATES = 5


class Place(StrEnum):
    """How a span came to its place in the tree."""

    ROOT = "root"
    CHILD = "child"
    ORPHAN = "orphan"
    CYCLE = "cycle"


@dataclass(frozen=True)
class Span:
    """One span: columns of `spans` under their own names, `model` being the one that answered, else the one asked for."""

    tenant_id: str
    span_id: str | None
    parent_span_id: str | None
    name: str | None
    operation: str | None
    tool_name: str | None
    model: str | None
    agent_name: str | None
    service_name: str | None
    kind: str | None
    status_code: str | None
    status_message: str | None
    error_type: str | None
    time_unix_nano: int | None
    end_unix_nano: int | None
    duration_ns: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost_microusd: int | None
    shard: str
    log_index: int
    redactions: str | None = None
    """Counts of what was masked, by detector, as JSON."""


@dataclass(frozen=True)
class Event:
    """One log record or audit event of the trace; `source` is the table that holds it."""

    source: str
    tenant_id: str
    span_id: str | None
    time_unix_nano: int | None
    event_name: str | None
    severity_text: str | None
    actor_id: str | None
    action: str | None
    outcome: str | None
    reason: str | None
    body: str | None
    shard: str
    log_index: int
    redactions: str | None = None


@dataclass
class Node:
    """A span in the tree: its children in order of time, and the events recorded in it."""

    span: Span
    place: Place = Place.CHILD
    depth: int = 0
    children: list["Node"] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Totals:
    """Of a whole trace. Sums are None where no span has the value.

    A span's tokens and cost count where no span below it has any: an agent's span often repeats the sum of its calls.
    """

    spans: int
    errors: int
    events: int
    start_unix_nano: int | None
    duration_ns: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost_microusd: int | None


@dataclass(frozen=True)
class Trace:
    """One trace. `roots` are the tops of its trees in order of time; `events` those that no span here recorded."""

    trace_id: str
    tenants: tuple[str, ...]
    roots: tuple[Node, ...]
    events: tuple[Event, ...]
    totals: Totals

    def walk(self) -> Iterator[Node]:
        """Every span, parents before children, in order of time."""
        return _walk(self.roots)


def find_trace_id(session: QuerySession, text: str) -> str:
    """Trace id that `text` means: the whole of it, or its first 8 or more hex digits where only one begins so.

    Raises:
        InputError: not hex digits, or several traces begin so.
        NotFoundError: none does.
    """
    prefix = text.strip().casefold()
    if not _PREFIX.fullmatch(prefix):
        raise InputError(f"trace id: expected 32 hex digits or at least the first 8, got {text!r}")
    if len(prefix) == _TRACE_ID_DIGITS:
        return prefix
    # 'g' follows 'f': the range holds every id that begins so, and row groups outside it are skipped by their statistics.
    found = session.run_trusted(_sql("trace_prefix.sql"), {"low": prefix, "high": prefix + "g"})
    ids = found.column("trace_id").to_pylist()
    if not ids:
        raise _no_trace(prefix, session)
    if len(ids) > 1:
        more = " and more" if len(ids) > _SHOWN_CANDIDATES else ""
        raise InputError(
            f"trace id: several begin with {prefix}: {', '.join(ids[:_SHOWN_CANDIDATES])}{more}",
            hint="give more digits",
        )
    return str(ids[0])


def read_trace(session: QuerySession, trace_id: str) -> Trace:
    """Read one trace by its whole id, 32 hex digits.

    Raises:
        NotFoundError: the session's tenants have no record of it.
    """
    values = {"trace_id": trace_id}
    spans = [Span(**row) for row in session.run_trusted(_sql("trace.sql"), values).to_pylist()]
    events = [Event(**row) for row in session.run_trusted(_sql("trace_events.sql"), values).to_pylist()]
    if not spans and not events:
        raise _no_trace(trace_id, session)
    return build_trace(trace_id, spans, events)


def build_trace(trace_id: str, spans: Sequence[Span], events: Sequence[Event]) -> Trace:
    """Arrange spans and events, both in order of time, as a tree."""
    nodes = [Node(span) for span in spans]
    first: dict[tuple[str, str], Node] = {}
    for node in nodes:
        if node.span.span_id is not None:
            first.setdefault((node.span.tenant_id, node.span.span_id), node)
    roots = _attach(nodes, first)
    loose: list[Event] = []
    for event in events:
        owner = first.get((event.tenant_id, event.span_id or ""))
        home = loose if owner is None else owner.events
        home.append(event)
    tenants = tuple(sorted({span.tenant_id for span in spans} | {event.tenant_id for event in events}))
    return Trace(trace_id, tenants, tuple(roots), tuple(loose), _totals(spans, roots, events))


def _attach(nodes: Sequence[Node], first: Mapping[tuple[str, str], Node]) -> list[Node]:
    """Hang each span below its parent and return the tops."""
    tops = []
    for node in nodes:
        parent = first.get((node.span.tenant_id, node.span.parent_span_id or ""))
        if parent is not None:
            parent.children.append(node)
        else:
            node.place = Place.ORPHAN if node.span.parent_span_id else Place.ROOT
            tops.append(node)
    reached = {id(node) for node in _walk(tops)}
    for node in nodes:
        # What no top leads to is a cycle: its earliest span becomes a top, cut from its parent.
        if id(node) not in reached:
            parent = first[node.span.tenant_id, node.span.parent_span_id or ""]
            parent.children = [child for child in parent.children if child is not node]
            node.place = Place.CYCLE
            tops.append(node)
            reached.update(id(below) for below in _walk([node]))
    order = {id(node): number for number, node in enumerate(nodes)}
    tops.sort(key=lambda node: order[id(node)])
    for node in _walk(tops):
        for child in node.children:
            child.depth = node.depth + 1
    return tops


def _walk(tops: Iterable[Node]) -> Iterator[Node]:
    stack = list(tops)[::-1]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def _totals(spans: Sequence[Span], roots: Sequence[Node], events: Sequence[Event]) -> Totals:
    starts = [span.time_unix_nano for span in spans if span.time_unix_nano is not None]
    ends = [span.end_unix_nano for span in spans if span.end_unix_nano is not None]
    return Totals(
        spans=len(spans),
        errors=sum(span.status_code == "ERROR" for span in spans),
        events=len(events),
        start_unix_nano=min(starts, default=None),
        duration_ns=max(0, max(ends) - min(starts)) if starts and ends else None,
        **{name: _sum_of_lowest(roots, name) for name in ("input_tokens", "output_tokens", "cost_microusd")},
    )


def _sum_of_lowest(roots: Sequence[Node], name: str) -> int | None:
    """Sum over the spans that have the value and nobody below who has it."""
    below: defaultdict[int, bool] = defaultdict(bool)
    values = []
    # Parents come before children in the walk, so backwards every child is seen before its parent.
    for node in reversed(list(_walk(roots))):
        has_below = any(below[id(child)] for child in node.children)
        value: Any = getattr(node.span, name)
        if value is not None and not has_below:
            values.append(value)
        below[id(node)] = has_below or value is not None
    return sum(values) if values else None


def _no_trace(trace_id: str, session: QuerySession) -> NotFoundError:
    return NotFoundError(
        f"trace {trace_id}: no record of it in {', '.join(session.tenants)}",
        hint="what was sent is there a few seconds after its acknowledgement; it may be another tenant's, or deleted",
    )


def _sql(name: str) -> str:
    return resources.files("warehouse.questions").joinpath(f"sql/{name}").read_text(encoding="utf8")
