"""Audit events as people look for them: by time, name, who, what, how it ended, and any text."""

from dataclasses import dataclass
from importlib import resources

import pyarrow as pa

from warehouse.query import QuerySession

MOST_EVENTS = 5_000
"""Rows that one question gives: more than anybody reads."""
EVENT_TABLES = ("audit_events",)
"""The tables that a session for these questions has to open."""


@dataclass(frozen=True)
class EventFilter:
    """Which events: what is None or empty does not narrow. Times in nanoseconds since 1970, the end not included.

    `text` is looked for, whatever its case, in who, what, to what, why, and in the attributes; `who` is the actor, the person
    concerned, or for whom it was done, as a whole.
    """

    from_unix_nano: int | None = None
    to_unix_nano: int | None = None
    names: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    who: str = ""
    text: str = ""
    limit: int = 500


def find_events(session: QuerySession, wanted: EventFilter) -> pa.Table:
    """Events that fit, newest first: time, event_name, actor_id, actor_type, on_behalf_of, action, resource, outcome, reason and more.

    At most `limit` rows, and never more than `MOST_EVENTS`.
    """
    return session.run_trusted(
        _sql("audit_events.sql"),
        {
            "first": wanted.from_unix_nano,
            "last": wanted.to_unix_nano,
            "names": list(wanted.names) or None,
            "outcomes": list(wanted.outcomes) or None,
            "who": wanted.who.strip() or None,
            "text": wanted.text.strip().lower() or None,
            "most": min(max(1, wanted.limit), MOST_EVENTS),
        },
    )


def event_names(session: QuerySession) -> list[str]:
    """Names of the events that there are, in order."""
    found = session.run_trusted("select distinct event_name from audit_events where event_name is not null order by 1")
    return [str(name) for name in found.column("event_name").to_pylist()]


def _sql(name: str) -> str:
    return resources.files("warehouse.questions").joinpath(f"sql/{name}").read_text(encoding="utf8")
