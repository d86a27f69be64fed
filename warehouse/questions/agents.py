"""What agents were seen doing: versions, models, tools, when last, and which class of data reached which provider."""

from importlib import resources

import pyarrow as pa

from warehouse.query import QuerySession

AGENT_TABLES = ("spans",)
"""The tables that a session for these questions has to open."""


def seen_agents(session: QuerySession, *, first_unix_nano: int) -> pa.Table:
    """A row an agent seen since then: agent, name, versions, models, models_asked, providers, tools, data_classes, runs, errors, last_seen.

    `models` are those that answered, `models_asked` those that were asked for, which is what a registration allows.
    """
    return session.run_trusted(_sql("agents.sql"), {"first": first_unix_nano})


def data_map(session: QuerySession, *, first_unix_nano: int) -> pa.Table:
    """A row for each agent, class of data and provider that a step since then shows together: how many steps, and the newest of them.

    Columns: agent, name, data_class, provider, spans, runs, last_seen, shard, log_index. What no step shows together is in no row.
    """
    return session.run_trusted(_sql("data_map.sql"), {"first": first_unix_nano})


def _sql(name: str) -> str:
    return resources.files("warehouse.questions").joinpath(f"sql/{name}").read_text(encoding="utf8")
