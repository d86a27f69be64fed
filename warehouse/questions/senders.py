"""Who sends what, in which dialect."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

from warehouse.query import QuerySession

DIALECTS: Mapping[str, str] = {
    "openinference": """attributes like '%"openinference.%'""",
    "vercel-ai": """attributes like '%"ai.operationId"%' or attributes like '%"ai.model.%'""",
    "langfuse": """attributes like '%"langfuse.%'""",
    "traceloop": """attributes like '%"traceloop.%'""",
    "otel-genai": """attributes like '%"gen_ai.%' or operation is not null""",
}
"""SQL conditions on spans that tell a dialect, by the attribute names that only it uses; the first that holds counts."""


def read_senders(session: QuerySession) -> list[dict[str, Any]]:
    """One row a tenant, key, service and dialect: spans, spans whose cost is unknown, and when the last one came."""
    told = "\n".join(f"            when {condition} then '{name}'" for name, condition in DIALECTS.items())
    sql = resources.files("warehouse.questions").joinpath("sql/senders.sql").read_text(encoding="utf8")
    sql = sql.replace("-- a line a dialect", told)
    rows: list[dict[str, Any]] = session.run_trusted(sql).to_pylist()
    return rows
