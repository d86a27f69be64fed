"""When nobody listened: read off the events by which collectors say that they do. Pure.

A collector says `collector.started`, then `collector.heartbeat` at an interval that it states, then `collector.stopped`, all
in the log of `_lake`. Between two of them that follow in time it listened. What no interval of any collector covers is a gap:
nothing can have been accepted then, so the absence of records says nothing about the agents.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from warehouse.clock import NANOS_PER_SECOND

STARTED = "collector.started"
HEARTBEAT = "collector.heartbeat"
STOPPED = "collector.stopped"

INTERVAL_ATTRIBUTE = "muniment.heartbeat_seconds"
DEFAULT_INTERVAL_SECONDS = 300.0
LATE_AFTER = 2.0
"""Of an interval: a heartbeat may come late by as much again, since it waits for the journal like every record."""


class Ending(StrEnum):
    """How a gap began."""

    STOPPED = "stopped"
    """The last collector stopped, and said so."""
    LOST = "lost"
    """The last collector was heard no more: killed, or the machine went down."""


@dataclass(frozen=True, order=True)
class CollectorEvent:
    """One event of a collector, as plain data.

    `collector` is the shard's name (`main`): one process at a time writes it. `interval_seconds` is the one that it stated.
    """

    unix_nano: int
    name: str
    collector: str
    interval_seconds: float = DEFAULT_INTERVAL_SECONDS


@dataclass(frozen=True)
class Gap:
    """Nobody listened from `first_unix_nano` to `last_unix_nano`, after `collector` ended as it did."""

    first_unix_nano: int
    last_unix_nano: int
    collector: str
    ending: Ending

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.last_unix_nano - self.first_unix_nano) / NANOS_PER_SECOND


@dataclass(frozen=True)
class _Span:
    first: int
    last: int
    collector: str
    ending: Ending


def gaps(events: Iterable[CollectorEvent], *, until_unix_nano: int | None = None) -> list[Gap]:
    """The times between the first event and the last at which no collector listened, in order; events in any order.

    With `until_unix_nano`, the present, time after the last event counts too, once its next heartbeat is overdue.
    """
    listened = _listened(events, until_unix_nano)
    found: list[Gap] = []
    latest: _Span | None = None
    for span in listened:
        if latest is not None and span.first > latest.last:
            found.append(Gap(latest.last, span.first, latest.collector, latest.ending))
        if latest is None or span.last > latest.last:
            latest = span
    if latest is not None and until_unix_nano is not None and until_unix_nano > latest.last:
        found.append(Gap(latest.last, until_unix_nano, latest.collector, latest.ending))
    return found


def _listened(events: Iterable[CollectorEvent], until: int | None) -> list[_Span]:
    """Times at which one collector listened, by their beginning."""
    by_collector: dict[str, list[CollectorEvent]] = {}
    for event in sorted(events):
        by_collector.setdefault(event.collector, []).append(event)
    spans: list[_Span] = []
    for own in by_collector.values():
        for event, following in zip(own, [*own[1:], None], strict=True):
            spans.append(_until_next(event, following, until))
    return sorted(spans, key=lambda span: (span.first, span.last))


def _until_next(event: CollectorEvent, following: CollectorEvent | None, until: int | None) -> _Span:
    """What one event and the next of the same collector show about the time between them.

    Nothing is believed beyond the events: after the last one that was heard, the collector may have died at once.
    """
    at = event.unix_nano
    due = at + int(event.interval_seconds * LATE_AFTER * NANOS_PER_SECOND)
    if event.name == STOPPED:
        return _Span(at, at, event.collector, Ending.STOPPED)
    if following is None:
        alive = until is not None and at <= until <= due
        return _Span(at, until if alive and until is not None else at, event.collector, Ending.LOST)
    if following.name == STARTED or following.unix_nano > due:
        return _Span(at, at, event.collector, Ending.LOST)
    ending = Ending.STOPPED if following.name == STOPPED else Ending.LOST
    return _Span(at, following.unix_nano, event.collector, ending)
