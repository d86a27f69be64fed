"""What a tenant's agents did, by day and by run."""

from importlib import resources

import pyarrow as pa

from warehouse.query import QuerySession

ACTIVITY_TABLES = ("spans", "audit_events")
"""The tables that a session for these questions has to open."""


def daily_activity(session: QuerySession, *, first_unix_nano: int) -> pa.Table:
    """A row a day since then: day, runs, spans, errors, tokens, cost_microusd, events."""
    return session.run_trusted(_sql("daily_activity.sql"), {"first": first_unix_nano})


def recent_traces(session: QuerySession, *, limit: int) -> pa.Table:
    """The newest runs, by the span that no other contains: time, trace_id, name, agent, service, status, duration_ms, log_index."""
    return session.run_trusted(_sql("recent_traces.sql"), {"most": limit})


def _sql(name: str) -> str:
    return resources.files("warehouse.questions").joinpath(f"sql/{name}").read_text(encoding="utf8")
