"""Results of completeness as `muniment quality completeness` shows them: for people, and as JSON."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from muniment.cli.output import console, plain_text
from pipelines.quality.completeness import CompletenessResult, is_measured
from pipelines.quality.finding import Finding

GAPS_PRINTED = 5


def completeness_json(
    results: Sequence[CompletenessResult], tenant: str, day: dt.date, grace_minutes: int
) -> dict[str, Any]:
    """Everything that was found, for machines."""
    return {
        "tenant": tenant,
        "day": day.isoformat(),
        "grace_minutes": grace_minutes,
        "measured": is_measured(results),
        "checks": [
            {
                "check_name": result.check.name,
                "title": result.check.title,
                "outcome": result.outcome,
                "total": result.total if result.measured else None,
                "missing": result.missing if result.measured else None,
                "error": result.error,
            }
            for result in results
        ],
        "senders": [_finding_json(each) for result in results for each in result.findings],
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "check_name": finding.check,
        **dataclasses.asdict(finding.sender),
        "measured": finding.missing is not None,
        "total": finding.total,
        "missing": finding.missing,
        "places": [dataclasses.asdict(place) for place in finding.places],
        **finding.details,
    }


def print_completeness(results: Sequence[CompletenessResult], tenant: str, day: dt.date) -> None:
    """A line a check, then a line for each sender of which something is missing or nothing is known."""
    from rich.table import Table

    view = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("check", "outcome", "records", "missing", "measured"):
        view.add_column(title, justify="left" if title in {"check", "outcome"} else "right", no_wrap=True)
    for result in results:
        counts = (f"{result.total:,}", f"{result.missing:,}") if result.measured else ("", "")
        senders = f"{len(result.measured):,} of {len(result.findings):,}" if result.findings else ""
        view.add_row(*map(plain_text, (result.check.name, result.outcome, *counts, senders)))
    console.print(plain_text(f"{tenant}, {day}"), style="bold")
    console.print(view)
    for result in results:
        for each in result.findings:
            for line in _lines(each):
                console.print(plain_text(line), soft_wrap=True)


def _lines(finding: Finding) -> list[str]:
    about = finding.details
    stream = f", stream {about['stream']}" if "stream" in about else ""
    whom = f"{finding.check}: {finding.sender}{stream}: "
    if finding.missing is None:
        return [f"{whom}not measured: {about['reason']}; {about['arrived']:,} came"]
    if not finding.missing:
        return []
    where = "".join(
        f" in {place.shard}, indices {place.first_index} to {place.last_index}"
        for place in finding.places[:1]
        if place.first_index is not None
    )
    return [f"{whom}{finding.missing:,} of {finding.total:,}{_reasons(finding)}{where}", *_gap_lines(finding)]


def _reasons(finding: Finding) -> str:
    about = finding.details
    known = [f"{error} {number:,}" for error, number in sorted(about.get("errors", {}).items())]
    known += [f"{about[name]:,} {words}" for name, words in _COUNTS.items() if about.get(name)]
    known += [f"trace {trace}" for trace in about.get("trace_ids", ())]
    return f" ({', '.join(known)})" if known else ""


_COUNTS = {
    "arrived": "came",
    "remote": "of another process",
    "dropped_attributes": "attributes",
    "dropped_events": "events",
    "dropped_links": "links",
}


def _gap_lines(finding: Finding) -> list[str]:
    gaps = finding.details.get("gaps", [])
    lines = []
    for gap in gaps[:GAPS_PRINTED]:
        between = f"{gap['shard_before']} {gap['index_before']} and {gap['shard_after']} {gap['index_after']}"
        lines.append(f"  numbers {gap['first_missing']} to {gap['last_missing']}, between {between}")
    more = len(gaps) - GAPS_PRINTED + finding.details.get("gaps_left_out", 0)
    return lines + ([f"  and {more:,} gaps more"] if more > 0 else [])
