"""`muniment incident blast-radius`: everything that a credential or an agent touched."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, plain_text, print_json

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from muniment.blast_radius import BlastReport

_MOST_SHOWN = 20
_COLUMNS = {
    "runs": ("trace_id", "hop", "via", "time", "spans", "agents"),
    "agents": ("agent_id", "hop", "runs", "spans", "first", "last"),
    "tools": ("tool_name", "agent_id", "hop", "calls", "failed", "last"),
    "models": ("provider", "model", "hop", "calls", "input_tokens", "data_classes"),
    "resources": ("resource_type", "resource_id", "hop", "actions", "outcomes"),
    "data_classes": ("data_class", "source_table", "hop", "records", "categories"),
    "approvals": ("approval_id", "hop", "events", "action", "resource_id"),
    "handoffs": ("handoff_id", "hop", "from_agent", "to_agent", "events"),
    "messages": ("message_id", "hop", "sent_by", "channel", "time"),
    "senders": ("recorded_by", "credential_id", "source_address", "peer", "records", "first", "last"),
}


def blast_radius(
    *,
    since: Annotated[str, typer.Option("--since", metavar="T", help="From this day or time (RFC 3339) on.")],
    key: Annotated[
        str | None, typer.Option("--key", metavar="ID", help="An API key, or a credential that records name.")
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="ID", help="An agent, by its id.")] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="T", help="Whose records.", show_default="the key's")
    ] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """List everything that a credential or an agent touched: runs, tools, models, resources, data classes, approvals, messages.

    Work is followed into other runs by links, handoffs, messages and tasks; `hop` counts how far. Recorded as `data.exported` in the
    tenant's log first.
    """
    from muniment.blast_radius import find_blast_radius
    from muniment.cli.holds import parse_instant
    from muniment.wiring import command_context

    report = find_blast_radius(
        command_context(lake), tenant=tenant, agent=agent, key=key, since_unix_nano=parse_instant(since, "--since")
    )
    if json_:
        print_json(report.to_json())
    else:
        _print(report)


def _print(report: "BlastReport") -> None:
    from rich.table import Table

    from muniment.cli.table import PIPE_WIDTH, wide_enough

    content = report.to_json()
    whose = f"agent {content['agent']}" if content["agent"] else f"key {content['key']}"
    state = f" ({content['key_state']})" if content["key_state"] else ""
    console.print(plain_text(f"{whose}{state}, tenant {content['tenant']}, since {content['since']}"), style="bold")
    if content["truncated"]:
        console.print("its work goes on further than is followed", style="yellow")
    for name, columns in _COLUMNS.items():
        rows = content[name]
        console.print(f"{name.replace('_', ' ')}: {len(rows)}", style="bold", highlight=False)
        if not rows:
            continue
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in rows[:_MOST_SHOWN]:
            table.add_row(*(plain_text(_cell(row.get(column))) for column in columns))
        wide_enough(console, PIPE_WIDTH).print(table)
        if len(rows) > _MOST_SHOWN:
            console.print(f"and {len(rows) - _MOST_SHOWN} more: --json shows all", style="dim", highlight=False)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)
