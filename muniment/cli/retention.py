"""`muniment retention show|plan`: how long records are kept, and what is due to go."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:
    from retention.plan import DuePartition, Plan

_MIB = 1024 * 1024
_MOST_LISTED = 40

OnlyTenant = Annotated[
    str | None, typer.Option("--tenant", metavar="T", help="Only this tenant's records.", show_default="all")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="How long records are kept, and what is due to go.", no_args_is_help=True)
    group.command(
        "show",
        epilog="Examples: muniment retention show --tenant acme --table spans --index 17\n\n"
        "muniment retention show --table audit_events --event approval.granted",
    )(show)
    group.command("plan", epilog="Example: muniment retention plan --tenant acme --out plan.json")(plan)
    app.add_typer(group, name="retention")


def show(
    table: Annotated[str, typer.Option("--table", metavar="X", help="Which table, or quarantine.")],
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", metavar="T", help="Whose records.", show_default="tenants that no rule names"),
    ] = None,
    index: Annotated[
        int | None, typer.Option("--index", metavar="N", min=0, help="One record, by its place in the tenant's log.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="S", help="In which log, where several have it.")
    ] = None,
    data_class: Annotated[
        str | None, typer.Option("--class", metavar="C", help="Without --index: of which class.")
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", metavar="E", help="Without --index: of which event name.")
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="A", help="Without --index: of which agent.")] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Explain how long a record is kept, or a kind of record: by which rule and why, since when, which minimum, which hold."""
    from muniment.retaining import KindOfRecord, explain_kind, explain_record
    from muniment.wiring import command_context

    context = command_context(lake)
    if index is None:
        if shard is not None:
            raise InputError("retention show: expected --index beside --shard, got --shard alone")
        found = explain_kind(context, KindOfRecord(table, tenant, data_class, event, agent))
    else:
        if tenant is None:
            raise InputError("retention show: expected --tenant beside --index, got --index alone")
        if data_class or event or agent:
            raise InputError("retention show: expected --index or a kind (--class, --event, --agent), got both")
        found = explain_record(context, tenant, table, index, shard)
    now = context.clock()
    if json_:
        print_json(found.to_json(now))
        return
    for line in found.lines(now):
        console.print(plain_text(line), soft_wrap=True)


def plan(
    tenant: OnlyTenant = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the plan there, to be looked at and approved.")
    ] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what is due to go, and what is kept back by holds and legal minimums. Deletes nothing."""
    from muniment.retaining import make_plan
    from muniment.wiring import command_context
    from retention.plan import encode_plan
    from warehouse.durable import replace_file

    found = make_plan(command_context(lake), tenant)
    if out is not None:
        replace_file(out.absolute(), encode_plan(found))
    if json_:
        print_json(_plan_json(found))
        return
    _print_plan(found)
    if out is not None:
        console.print(f"written to {out}", markup=False)


def _plan_json(found: "Plan") -> dict[str, Any]:
    import msgspec

    return {"sha256": found.content_hash, **msgspec.to_builtins(found)}


def _print_plan(found: "Plan") -> None:
    from rich.table import Table

    view = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("table", "tenant", "day", "what", "files", "rows due", "of rows", "MiB"):
        view.add_column(title, justify="left" if title in {"table", "tenant", "day", "what"} else "right")
    for partition in found.partitions[:_MOST_LISTED]:
        view.add_row(*_partition_cells(partition))
    if found.partitions:
        console.print(view)
    if len(found.partitions) > _MOST_LISTED:
        console.print(f"and {len(found.partitions) - _MOST_LISTED} more: --json lists all", style="dim")
    for kept in found.kept:
        days = kept.first_day if kept.first_day == kept.last_day else f"{kept.first_day} to {kept.last_day}"
        rows = f"{kept.rows:,}" if kept.exact else f"at most {kept.rows:,}"
        reason = f" ({kept.reason})" if kept.reason else ""
        line = (
            f"kept back by the {kept.by} {kept.name}{reason}: {rows} rows of {kept.table}, tenant {kept.tenant}, {days}"
        )
        console.print(plain_text(line), soft_wrap=True)
    if found.is_empty:
        console.print("nothing is due")
    console.print(f"plan {found.content_hash}; nothing was deleted", markup=False, soft_wrap=True)


def _partition_cells(partition: "DuePartition") -> tuple[str, ...]:
    files = (*partition.drop, *partition.rewrite)
    due = [file.rows_due for file in files]
    rows = [file.rows for file in files]
    what = "goes whole" if partition.whole else "rewrite" if partition.rewrite else "some files go"
    return (
        partition.table,
        partition.tenant,
        partition.day,
        what,
        str(len(files)),
        "?" if None in due else f"{sum(each or 0 for each in due):,}",
        "?" if None in rows else f"{sum(each or 0 for each in rows):,}",
        f"{sum(file.size_bytes for file in files) / _MIB:,.1f}",
    )
