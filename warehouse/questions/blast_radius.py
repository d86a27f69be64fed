"""What a credential or an agent touched: its own runs, the runs that its work went on in, and what was done in them.

A run is a trace. From the runs in which the credential or agent did something, work is followed into others: by links of spans, by
handoffs, and by messages and tasks that both name. In each run everything from the moment on counts at which the work came in: what
an agent did before it was handed anything is not touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from warehouse.query import QuerySession

MOST_HOPS = 20
"""How far work is followed."""
_SECTIONS = (
    "runs",
    "agents",
    "tools",
    "models",
    "resources",
    "data_classes",
    "approvals",
    "handoffs",
    "messages",
    "senders",
)
_SEPARATOR = "-- next"


@dataclass(frozen=True)
class Suspect:
    """Whose work is followed, from `since` on (nanoseconds since 1970): an agent by its id, or a key or credential by its own."""

    since_unix_nano: int
    agent: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class BlastRadius:
    """What was touched: rows of each section, and whether work goes on beyond `MOST_HOPS`."""

    sections: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    truncated: bool = False

    @property
    def trace_ids(self) -> list[str]:
        """Every run, in the order in which the work came to it."""
        return [row["trace_id"] for row in self.sections["runs"]]


@dataclass(frozen=True)
class _Entry:
    """Where work came into a run: when, after how many steps, and how."""

    entered: int
    hop: int
    via: str


def read_blast_radius(session: QuerySession, suspect: Suspect) -> BlastRadius:
    """Follow a suspect's work through the records of the session's tenant.

    Raises:
        QueryError: the records cannot be read, or there are more than settings allow time for.
    """
    given = {
        "since": suspect.since_unix_nano,
        "agent": suspect.agent or "",
        "key": suspect.key or "",
    }
    entries: dict[str, _Entry] = {}
    found = session.run_trusted(_sql("blast_seeds"), given).to_pylist()
    hop = 0
    while found and hop <= MOST_HOPS:
        new = {}
        for row in found:
            before = entries.get(row["trace_id"])
            if before is None or row["entered"] < before.entered:
                kept = before if before is not None else _Entry(row["entered"], hop, row["via"])
                new[row["trace_id"]] = _Entry(row["entered"], kept.hop, kept.via)
        entries |= new
        if not new:
            break
        hop += 1
        found = session.run_trusted(_sql("blast_next"), _parameters(new)).to_pylist()
    where = _parameters(entries)
    own = {"agent": given["agent"], "key": given["key"]}
    statements = _sql("blast_sections").split(_SEPARATOR)
    sections = {
        name: session.run_trusted(sql, {**where, **(own if "$agent" in sql else {})}).to_pylist()
        for name, sql in zip(_SECTIONS, statements, strict=True)
    }
    return BlastRadius(sections, truncated=hop > MOST_HOPS)


def _parameters(entries: Mapping[str, _Entry]) -> dict[str, Any]:
    return {
        "traces": list(entries),
        "entered": [entry.entered for entry in entries.values()],
        "hops": [entry.hop for entry in entries.values()],
        "vias": [entry.via for entry in entries.values()],
    }


def _sql(name: str) -> str:
    return resources.files("warehouse.questions").joinpath(f"sql/{name}.sql").read_text(encoding="utf8")
