"""What is missing of traces and of records: parents that are not there, traces without a root, and parts that an SDK dropped."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pipelines.quality.finding import Finding, Sender, places_of, sql_of
from warehouse.query import QuerySession

PARENTS, ROOTS = "completeness-parents-present", "completeness-roots-present"
PARTS: Mapping[str, str] = {
    "spans": "completeness-spans-whole",
    "audit_events": "completeness-audit-events-whole",
    "logs": "completeness-logs-whole",
}
"""Name of the check of dropped parts, by table."""
EXAMPLES_SHOWN = 3
_DROPPED = ("attributes", "events", "links")


def find_orphans(session: QuerySession, day: dt.date, until_unix_nano: int) -> list[Finding]:
    """Count the spans of a UTC day whose parent is not there, on it or the days beside it; spans received later wait.

    Raises:
        QueryError: the records cannot be read.
    """
    rows = session.query(sql_of("parents"), {"day": day, "until": until_unix_nano}).to_pylist()
    return [_of_traces(PARENTS, sender, found, ("remote",)) for sender, found in _by_sender(rows)]


def find_rootless(session: QuerySession, day: dt.date, until_unix_nano: int) -> list[Finding]:
    """Count the traces that begin on a UTC day and have no root; those with a span received later wait.

    Raises:
        QueryError: the records cannot be read.
    """
    rows = session.query(sql_of("roots"), {"day": day, "until": until_unix_nano}).to_pylist()
    return [_of_traces(ROOTS, sender, found, ()) for sender, found in _by_sender(rows)]


def find_dropped_parts(session: QuerySession, day: dt.date) -> list[Finding]:
    """Count the records of a UTC day whose SDK says that it dropped attributes, events or links of them, by table and sender.

    Raises:
        QueryError: the records cannot be read.
    """
    rows = session.query(sql_of("parts"), {"day": day}).to_pylist()
    findings = []
    for table, check in PARTS.items():
        for sender, found in _by_sender([row for row in rows if row["source_table"] == table]):
            details = {f"dropped_{name}": sum(row[name] for row in found) for name in _DROPPED}
            findings.append(_finding(check, sender, found, details))
    return findings


def _by_sender(rows: list[dict[str, Any]]) -> list[tuple[Sender, list[dict[str, Any]]]]:
    found: dict[Sender, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[Sender.of(row)].append(row)
    return sorted(found.items(), key=lambda pair: pair[0])


def _of_traces(check: str, sender: Sender, rows: list[dict[str, Any]], counts: tuple[str, ...]) -> Finding:
    examples = sorted({example for row in rows for example in row["examples"] or ()})[:EXAMPLES_SHOWN]
    details: dict[str, Any] = {name: sum(row[name] for row in rows) for name in counts}
    return _finding(check, sender, rows, details | {"trace_ids": examples})


def _finding(check: str, sender: Sender, rows: list[dict[str, Any]], details: dict[str, Any]) -> Finding:
    total, missing = (sum(row[name] for row in rows) for name in ("total", "unexpected"))
    places = places_of([row for row in rows if row["unexpected"]])
    return Finding(check, sender, total, missing, places, details)
