"""What a tenant's agents did, by day and by run."""

from importlib import resources

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.query import QuerySession

RUN_TABLES = ("spans",)
"""The tables that a session for questions about runs has to open."""
DAILY_EVENT_TABLES = ("audit_events",)
"""The tables that a session for the question about events has to open."""
_NOTHING = {"runs": 0, "spans": 0, "errors": 0, "tokens": 0, "events": 0}


def daily_runs(session: QuerySession, *, first_unix_nano: int) -> pa.Table:
    """A row a day since then: day, runs, spans, errors, tokens, cost_microusd."""
    return session.run_trusted(_sql("daily_runs.sql"), {"first": first_unix_nano})


def daily_events(session: QuerySession, *, first_unix_nano: int) -> pa.Table:
    """A row a day since then: day, events."""
    return session.run_trusted(_sql("daily_events.sql"), {"first": first_unix_nano})


def daily_activity(runs: pa.Table, events: pa.Table) -> pa.Table:
    """A row a day of either: day, runs, spans, errors, tokens, cost_microusd, events; NULL costs are unknown."""
    days = runs.join(events, "day", join_type="full outer").sort_by("day")
    for name, value in _NOTHING.items():
        place = days.column_names.index(name)
        days = days.set_column(place, name, pc.fill_null(days.column(name), value))
    return days


def recent_traces(session: QuerySession, *, limit: int) -> pa.Table:
    """The newest runs, by the span that no other contains: time, trace_id, name, agent, service, status, duration_ms, log_index."""
    return session.run_trusted(_sql("recent_traces.sql"), {"most": limit})


def _sql(name: str) -> str:
    return resources.files("warehouse.questions").joinpath(f"sql/{name}").read_text(encoding="utf8")
