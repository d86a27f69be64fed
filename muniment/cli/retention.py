"""`muniment retention show|plan|apply|verify|certificates`: how long records are kept, what is due, and what went."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, plain_text, print_json, step_lines
from warehouse.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from muniment.certificates import Listed, ListedKey
    from muniment.purging import Waiting
    from retention.plan import DuePartition, Plan
    from retention.purge import Purged

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
    group.command(
        "apply",
        epilog="Examples: muniment retention apply --tenant acme            (shows what would go)\n\n"
        "muniment retention plan --out plan.json && muniment retention apply --plan plan.json\n\n"
        "muniment retention apply --yes                       (what the schedule does)",
    )(apply)
    group.command("verify", epilog="Example: muniment retention verify 3f9a2c41")(verify)
    group.command("certificates", epilog="Example: muniment retention certificates --tenant acme")(certificates)
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


def apply(
    plan_file: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="Carry out this plan, which somebody looked at.")
    ] = None,
    tenant: OnlyTenant = None,
    yes: Annotated[bool, typer.Option("--yes", help="Without --plan: carry out what is due now.")] = False,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve, as a second principal, the plan that another one wants applied.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, whatever else is given.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Delete what is due, and certify it. Without --plan or --yes it shows what would go and deletes nothing."""
    from muniment.erasing import run_retention
    from muniment.purging import Waiting, apply_plan
    from muniment.retaining import make_plan
    from muniment.wiring import command_context
    from retention.plan import read_plan

    context = command_context(lake)
    if plan_file is not None and tenant is not None:
        raise InputError(
            "retention apply: expected --plan or --tenant, got both: a plan says whose records it is about"
        )
    if approve and plan_file is None:
        raise InputError("retention apply: expected --plan beside --approve, got none", hint="name the plan's file")
    found = read_plan(_read_file(plan_file)) if plan_file is not None else None
    if dry_run or (found is None and not yes):
        _show_plan(found or make_plan(context, tenant), json_=json_)
        return
    with step_lines(quiet=json_) as step:
        done: list[Purged] | Waiting
        done = (
            run_retention(context, tenant, step=step)[0]
            if found is None
            else apply_plan(context, found, approve=approve, step=step)
        )
    if isinstance(done, Waiting):
        _show_waiting(done, plan_file, json_=json_)
    else:
        _show_purged(done, json_=json_)


def _show_plan(found: "Plan", *, json_: bool) -> None:
    if json_:
        print_json(_plan_json(found) | {"applied": False})
        return
    _print_plan(found)
    console.print("--yes carries it out; --plan FILE carries out one that was written before", style="dim")


def _show_waiting(waiting: "Waiting", plan_file: Path | None, *, json_: bool) -> None:
    if json_:
        print_json({"applied": False, "request": waiting.request.id, "plan": waiting.plan.content_hash})
        return
    line = f"request {waiting.request.id} waits for a second principal; nothing was deleted"
    console.print(line, markup=False, soft_wrap=True)
    console.print(f"they run: muniment retention apply --plan {plan_file} --approve", markup=False, soft_wrap=True)


def _show_purged(done: "Sequence[Purged]", *, json_: bool) -> None:
    if json_:
        print_json({"applied": True, "purges": [_purged_json(each) for each in done]})
        return
    for each in done:
        _print_purged(each)
    if not done:
        console.print("nothing was due")


def verify(
    certificate: Annotated[
        str, typer.Argument(metavar="CERT", help="Its SHA-256, the beginning of that, or its file.")
    ],
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Search every live file again for what a certificate says is gone. Exit code 1 where some of it is there."""
    from muniment.purging import rescan_certificate
    from muniment.wiring import command_context

    document, file, found = rescan_certificate(command_context(lake), certificate)
    if json_:
        print_json(
            {"certificate": file.name, "purge_id": document.purge_id, "clean": found.is_clean, **found.to_json()}
        )
    else:
        read = f"{found.rows:,} rows in {found.files:,} files"
        said = "none of it is there" if found.is_clean else f"expected none of it, got {found.problems()}"
        console.print(plain_text(f"purge {document.purge_id}: {said}; read {read}"), soft_wrap=True)
    if not found.is_clean:
        raise typer.Exit(1)


def certificates(
    tenant: OnlyTenant = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """List the certificates of purges and of destroyed keys, and unfinished intents, oldest first."""
    from rich.table import Table

    from muniment.certificates import list_documents, list_keys
    from muniment.wiring import command_context

    context = command_context(lake)
    listed: list[Listed | ListedKey] = [*list_documents(context, tenant), *list_keys(context, tenant)]
    found = sorted(listed, key=lambda each: int(each.to_json()["time_unix_nano"]))
    if json_:
        print_json([each.to_json() for each in found])
        return
    view = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("time", "tenant", "what", "rows", "ordered by", "approved by", "sha256"):
        view.add_column(title, no_wrap=title in {"time", "sha256"})
    for each in found:
        view.add_row(*map(plain_text, each.cells()))
    console.print(view if found else "no certificates")


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise InputError(f"{file}: cannot be read: {exc.strerror}") from exc


def _purged_json(done: "Purged") -> dict[str, Any]:
    return {
        "tenant": done.tenant_id,
        "purge_id": done.purge_id,
        "certificate": done.certificate.sha256,
        "file": str(done.certificate.file),
        "rows": dict(done.rows),
        "bytes": done.size_bytes,
        "kept_by_holds": list(done.holds),
        "resumed": done.resumed,
        "rescan": done.rescanned.to_json(),
    }


def _print_purged(done: "Purged") -> None:
    rows = ", ".join(f"{count:,} {table}" for table, count in sorted(done.rows.items())) or "nothing"
    begun = " (begun before)" if done.resumed else ""
    console.print(
        plain_text(f"{done.tenant_id}: purge {done.purge_id}{begun}: {rows}; {done.size_bytes / _MIB:,.1f} MiB freed"),
        soft_wrap=True,
    )
    if done.holds:
        console.print(plain_text(f"  kept by holds: {', '.join(done.holds)}"), soft_wrap=True)
    console.print(plain_text(f"  certificate {done.certificate.sha256}"), soft_wrap=True)


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
