"""Incidents for machines and for people: one JSON object an incident, a table of many, one as a page."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from muniment.cli.output import console, plain_text

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from muniment.incident_rows import RowState
    from warehouse.control import IncidentClock, IncidentDetails, IncidentRecord, IncidentRow

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}
_MOST_ROWS_SHOWN = 10
_MOST_NAMES_SHOWN = 6
_LONGEST_NAME = 40
"""Characters of a name in the table of incidents: a sender chooses names, and one may be thousands long."""


def incident_json(
    incident: "IncidentRecord", affected: Mapping[str, Sequence[str]], clocks: "Sequence[IncidentClock]", now: int
) -> dict[str, Any]:
    """An incident for machines."""
    return {
        "id": incident.id,
        "rule": incident.rule,
        "severity": incident.severity,
        "tenant": incident.tenant_id,
        "opened": _time(incident.opened_unix_nano),
        "state": incident.state.value,
        "title": incident.title,
        "detail": incident.detail,
        "owner": incident.owner,
        "last": _time(incident.last_unix_nano),
        "detected": _time(incident.detected_unix_nano),
        "opened_unix_nano": incident.opened_unix_nano,
        "last_unix_nano": incident.last_unix_nano,
        "acknowledged": _time(incident.acknowledged_unix_nano),
        "mitigated": _time(incident.mitigated_unix_nano),
        "closed": _time(incident.closed_unix_nano),
        "rows": incident.row_count,
        "agents": list(affected.get("agent", ())),
        "trace_ids": list(affected.get("run", ())),
        "data_classes": list(affected.get("data_class", ())),
        "runbook": f"docs/runbooks/{incident.runbook}",
        "clocks": [clock_json(clock, now) for clock in clocks],
        "key": incident.key,
        "policy_hash": incident.policy_hash,
        "duplicate_of": incident.duplicate_of,
    }


def clock_json(clock: "IncidentClock", now: int) -> dict[str, Any]:
    """A legal clock for machines; the time left counts down, below zero once it is over."""
    from pipelines.incidents.clocks import LEGAL_CLOCKS

    law = LEGAL_CLOCKS.get(clock.clock)
    return {
        "clock": clock.clock,
        "citation": None if law is None else law.citation,
        "started": _time(clock.started_unix_nano),
        "due": _time(clock.due_unix_nano),
        "stopped": _time(clock.stopped_unix_nano),
        "left_seconds": None if clock.stopped_unix_nano is not None else (clock.due_unix_nano - now) // 1_000_000_000,
    }


def details_json(details: "IncidentDetails", states: "Mapping[IncidentRow, RowState]", now: int) -> dict[str, Any]:
    """All of one incident for machines; `records` are those that it lists, each with what became of it."""
    return incident_json(details.record, details.affected, details.clocks, now) | {
        "timeline": [
            {"time": _time(line.unix_nano), "change": line.change, "by": line.by, "note": line.note}
            for line in details.changes
        ],
        "records": [
            {
                "table": row.source_table,
                "shard": row.shard,
                "index": row.log_index,
                "time": _time(row.time_unix_nano),
                "trace_id": row.trace_id,
                "agent": row.agent_id,
                "state": states[row].value,
            }
            for row in details.rows
        ],
        "duplicates": list(details.duplicates),
    }


def print_incidents(incidents: "Sequence[IncidentRecord]", affected: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """A table of incidents, oldest first; long names are cut there, and whole with `--json` and in `incident show`."""
    from rich.table import Table
    from rich.text import Text

    from muniment.cli.table import PIPE_WIDTH, wide_enough

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("incident", "opened, UTC", "severity", "tenant", "rule", "agents", "state", "owner"):
        table.add_column(title, overflow="fold", no_wrap=title in {"incident", "opened, UTC", "severity"})
    for incident in incidents:
        agents = affected.get(incident.id, {}).get("agent", ())
        table.add_row(
            plain_text(incident.id),
            plain_text((_time(incident.opened_unix_nano) or "")[:16].replace("T", " ")),
            Text(incident.severity, style=_STYLES[incident.severity]),
            plain_text(incident.tenant_id),
            plain_text(incident.rule),
            plain_text(_names([_shortened(agent) for agent in agents[:_MOST_NAMES_SHOWN]], len(agents))),
            plain_text(incident.state.value),
            plain_text(_shortened(incident.owner or "-")),
        )
    wide_enough(console, PIPE_WIDTH).print(table)


def print_details(details: "IncidentDetails", states: "Mapping[IncidentRow, RowState]", now: int) -> None:
    """One incident as a page: what it is, what it affects, what runs against it, what was done, which records made it."""
    incident = details.record
    _line(f"{incident.title} ({incident.severity})", style="bold")
    _line(incident.detail)
    for name, value in (
        ("incident", incident.id),
        ("rule", incident.rule),
        ("tenant", incident.tenant_id),
        ("state", incident.state.value + (f", it is {incident.duplicate_of}" if incident.duplicate_of else "")),
        ("owner", incident.owner),
        ("happened", f"{_time(incident.opened_unix_nano)} to {_time(incident.last_unix_nano)}"),
        ("detected", _time(incident.detected_unix_nano)),
        ("agents", _names(details.affected.get("agent", ()))),
        ("runs", _names(details.affected.get("run", ()))),
        ("data classes", _names(details.affected.get("data_class", ()))),
        ("same as", _names(details.duplicates)),
        ("runbook", f"docs/runbooks/{incident.runbook}"),
    ):
        if value:
            _line(f"{name + ':':<14}{value}")
    for clock in details.clocks:
        _line(f"{'clock:':<14}{_clock_words(clock, now)}", style=None if clock.stopped_unix_nano else "yellow")
    _line("timeline", style="dim")
    for change in details.changes:
        note = f": {change.note}" if change.note else ""
        _line(f"  {_time(change.unix_nano)}  {change.change} by {change.by}{note}")
    _print_rows(details, states)


def _print_rows(details: "IncidentDetails", states: "Mapping[IncidentRow, RowState]") -> None:
    counts: dict[str, int] = {}
    for state in states.values():
        counts[state.value] = counts.get(state.value, 0) + 1
    said = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    _line(f"records: {details.record.row_count}" + (f" ({said})" if said else ""), style="dim")
    for row in details.rows[:_MOST_ROWS_SHOWN]:
        gone = "" if states[row].value == "there" else f"  {states[row].value}"
        _line(
            f"  {row.source_table} {row.shard} {row.log_index}  {_time(row.time_unix_nano)}  {row.trace_id or '-'}{gone}"
        )
    if len(details.rows) > _MOST_ROWS_SHOWN:
        _line(f"  and {len(details.rows) - _MOST_ROWS_SHOWN} more: --json shows all", style="dim")


def _clock_words(clock: "IncidentClock", now: int) -> str:
    from pipelines.incidents.clocks import LEGAL_CLOCKS
    from pipelines.incidents.durations import duration_words

    law = LEGAL_CLOCKS.get(clock.clock)
    what = f"{clock.clock} ({law.citation})" if law else clock.clock
    if clock.stopped_unix_nano is not None:
        return f"{what}: stopped {_time(clock.stopped_unix_nano)}, was due {_time(clock.due_unix_nano)}"
    left = clock.due_unix_nano - now
    words = f"{duration_words(left)} left" if left > 0 else f"over since {duration_words(left)}"
    return f"{what}: due {_time(clock.due_unix_nano)}, {words}"


def _names(values: Sequence[str], count: int | None = None) -> str:
    """The first names, and how many more there are; of `count` in all, where these are the first of them already."""
    more = (len(values) if count is None else count) - _MOST_NAMES_SHOWN
    return ", ".join(values[:_MOST_NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _line(text: str, *, style: str | None = None) -> None:
    console.print(plain_text(text), style=style, soft_wrap=True)


def _time(unix_nano: int | None) -> str | None:
    from warehouse.clock import utc_text

    return None if unix_nano is None else utc_text(unix_nano)
