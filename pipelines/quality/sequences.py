"""Numbered events (`audit.sequence.stream` and `.number`, as `muniment.emit` stamps them): which numbers did not come.

A gap belongs to the day of the event after it. An event may lie on another day by its own time, so a stream that seems to have a gap is
looked at over everything that the lake holds before the gap is believed.
"""

import datetime as dt
from collections import defaultdict
from typing import Any

from pipelines.quality.finding import Finding, Sender, places_of, sql_of
from warehouse.query import QuerySession

CHECK = "completeness-events-numbered"
QUERIES = (("sequences", "streams"), ("sequences", "gaps"))
GAPS_SHOWN = 1000
"""Gaps listed with their numbers and rows; the others are counted."""
_LOOK_BACK = dt.timedelta(days=7)
_FOREVER = {"from_day": dt.date(1970, 1, 1), "to_day": dt.date(9999, 12, 31)}
_SENDER = ("service_name", "instance", "recorded_by")
_TAKEN = "several events under one number"


def find_gaps(session: QuerySession, day: dt.date, until_unix_nano: int) -> list[Finding]:
    """Count the numbers that are missing before the events of a UTC day, by stream; events received at `until_unix_nano` or later wait.

    Raises:
        QueryError: the records cannot be read.
    """
    bound = {"day": day, "until": until_unix_nano}
    near = {"from_day": day - _LOOK_BACK, "to_day": day + dt.timedelta(days=1), "streams": None}
    rows = session.query(sql_of(*QUERIES[0]), bound | near).to_pylist()
    doubtful = sorted({row["stream"] for row in rows if row["gaps"] or (row["begins_at"] or 0) > 0})
    gaps: list[dict[str, Any]] = []
    if doubtful:
        everything = bound | _FOREVER | {"streams": doubtful}
        whole = session.query(sql_of(*QUERIES[0]), everything).to_pylist()
        rows = [row for row in rows if row["stream"] not in set(doubtful)] + whole
        gaps = session.query(sql_of(*QUERIES[1]), everything | {"most": GAPS_SHOWN}).to_pylist()
    return _findings(rows, gaps)


def _findings(rows: list[dict[str, Any]], gaps: list[dict[str, Any]]) -> list[Finding]:
    parts: dict[tuple[Sender, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        parts[Sender.of(row), row["stream"]].append(row)
    listed: dict[tuple[Sender, str], list[dict[str, Any]]] = defaultdict(list)
    for gap in gaps:
        about = {name: value for name, value in gap.items() if name not in ("stream", *_SENDER)}
        listed[Sender.of(gap), gap["stream"]].append(about)
    return [_finding(sender, stream, parts[sender, stream], listed[sender, stream]) for sender, stream in sorted(parts)]


def _finding(sender: Sender, stream: str, rows: list[dict[str, Any]], gaps: list[dict[str, Any]]) -> Finding:
    arrived, missing, extra = (sum(row[name] for row in rows) for name in ("arrived", "missing", "extra"))
    unknown = extra > 0 and missing == 0
    begins = [row["begins_at"] for row in rows if row["begins_at"] is not None]
    details = {
        "stream": stream,
        "arrived": arrived,
        "surplus": extra,
        "first_number": min(row["first_number"] for row in rows),
        "last_number": max(row["last_number"] for row in rows),
        "begins_at": begins[0] if begins else None,
        "gaps": gaps,
        "gaps_left_out": sum(row["gaps"] for row in rows) - len(gaps),
    } | ({"reason": _TAKEN} if unknown else {})
    places = places_of([row for row in rows if row["gaps"] or row["extra"]])
    return Finding(CHECK, sender, arrived + missing, None if unknown else missing, places, details)
