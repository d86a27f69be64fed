"""Who sends what, in which dialect."""

from importlib import resources
from typing import Any

from warehouse.query import QuerySession


def read_senders(session: QuerySession) -> list[dict[str, Any]]:
    """One row a tenant, key, service and dialect: spans, spans whose cost is unknown, and when the last one came."""
    sql = resources.files("warehouse.questions").joinpath("sql/senders.sql").read_text(encoding="utf8")
    rows: list[dict[str, Any]] = session.run_trusted(sql).to_pylist()
    return rows
