"""What agents were seen doing: versions, models, tools, classes of data, and when last."""

from importlib import resources

import pyarrow as pa

from warehouse.query import QuerySession

AGENT_TABLES = ("spans",)
"""The tables that a session for this question has to open."""


def seen_agents(session: QuerySession, *, first_unix_nano: int) -> pa.Table:
    """A row an agent seen since then: agent, name, versions, models, providers, tools, data_classes, runs, errors, last_seen."""
    sql = resources.files("warehouse.questions").joinpath("sql/agents.sql").read_text(encoding="utf8")
    return session.run_trusted(sql, {"first": first_unix_nano})
