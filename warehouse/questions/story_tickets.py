"""Records that name a ticket: events of all time, and attributes and texts of runs and logs from the newest back, a step at a time.

Texts cost ten times the rest, so they are read until something names the ticket or patience ends. Invariant: what was not read is told,
by the time down to which it was.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from warehouse.clock import NANOS_PER_DAY, utc_text
from warehouse.query import QuerySession

STEP_DAYS = 30
"""The newest step; each one before it is twice as long."""
PATIENCE_SECONDS = 6.0
"""After this no further step is begun, unless all time is asked for."""

_EVENTS, _TEXTS, _OLDEST = "story_ticket_events", "story_ticket_texts", "story_ticket_oldest"


@dataclass(frozen=True)
class Mentions:
    """The records that name a ticket; texts before `texts_from`, nanoseconds since 1970, were not read, None where all were."""

    rows: tuple[dict[str, Any], ...] = ()
    texts_from: int | None = None

    @property
    def note(self) -> str:
        """What was not read, in words; empty where all was."""
        if self.texts_from is None:
            return ""
        return (
            "events were searched for this ticket over all time, as what they are about, among attributes and in words; texts and "
            f"attributes of runs and logs from {utc_text(max(self.texts_from, 0))[:10]} on: older ones are looked through where "
            "all time is asked for"
        )


def read_mentions(
    session: QuerySession,
    text: str,
    *,
    first: int | None,
    last: int,
    now: int,
    most: int,
    all_time: bool,
    seconds: Callable[[], float] = time.monotonic,
) -> Mentions:
    """Records from `first` (None for the beginning) to `last` that name a ticket, at most `most` events and as many others a step.

    Where `first` or `all_time` is given everything between is read, else until something was found or patience ended.

    Raises:
        QueryError: the records cannot be read.
    """
    values = {
        "quoted": json.dumps(text, ensure_ascii=False),
        "lower": text.lower(),
        "word": rf"(^|[^\w-]){re.escape(text.lower())}($|[^\w-])",
        "most": most,
    }
    events = session.run_trusted(_sql(_EVENTS), {**values, "text": text, "first": first or 0, "last": last}).to_pylist()
    found = Mentions(tuple(events))
    if first is not None:
        return _with_texts(session, found, {**values, "first": first, "last": last, "newest": True})
    deadline = seconds() + PATIENCE_SECONDS
    (oldest,) = session.run_trusted(_sql(_OLDEST), {}).column("oldest").to_pylist()
    start, end, days = min(last, now) - STEP_DAYS * NANOS_PER_DAY, last, STEP_DAYS
    while True:
        found = _with_texts(session, found, {**values, "first": start, "last": end, "newest": end == last})
        if oldest is None or start <= oldest:
            return found
        # an earlier search for the same ticket names it as well
        if not all_time and (any(not row.get("is_access") for row in found.rows) or seconds() >= deadline):
            return replace(found, texts_from=start)
        days *= 2
        start, end = max(start - days * NANOS_PER_DAY, oldest), start - 1


def _with_texts(session: QuerySession, found: Mentions, values: Mapping[str, Any]) -> Mentions:
    return replace(found, rows=(*found.rows, *session.run_trusted(_sql(_TEXTS), values).to_pylist()))


def _sql(name: str) -> str:
    return resources.files("warehouse.questions").joinpath(f"sql/{name}.sql").read_text(encoding="utf8")
