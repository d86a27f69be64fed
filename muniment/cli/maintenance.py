"""`muniment maintenance`: merge small files, delete replaced ones, sweep what crashes left."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, on_terminal, print_json
from warehouse.names import LAKE_TENANT

if TYPE_CHECKING:
    from muniment.wiring import CommandContext
    from warehouse.maintenance import MaintenanceReport, TableReport
    from warehouse.maintenance.run import Progress

EXIT_UNAVAILABLE = 3
_MIB = 1024 * 1024

TableFilter = Annotated[str | None, typer.Option("--table", metavar="T", help="Only this table.")]
TenantFilter = Annotated[str | None, typer.Option("--tenant", metavar="T", help="Only this tenant's partitions.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Compaction and clean-up.", no_args_is_help=True)
    group.command("run", epilog="Example: muniment maintenance run --table spans")(run)
    group.command("status", epilog="Example: muniment maintenance status --json")(status)
    app.add_typer(group, name="maintenance")


def run(
    lake: LakeOption = None,
    table: TableFilter = None,
    tenant: TenantFilter = None,
    quiet: bool = typer.Option(False, "--quiet", help="Say nothing unless something failed."),
    json_: JsonOption = False,
) -> None:
    """Merge small files, delete replaced ones, sweep what crashes left; safe beside running collectors."""
    from governance.access import Action
    from muniment.wiring import command_context
    from warehouse.commit import open_stores
    from warehouse.derived.store import derived_stores
    from warehouse.maintenance import run_maintenance

    context = command_context(lake)
    context.check(Action.MAINTENANCE_RUN, tenant)
    _check_tenant(context, tenant)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with _progress(shown=on_terminal() and not quiet) as progress:
        report = run_maintenance(
            context.lake,
            open_stores(context.lake) | derived_stores(context.lake),
            config=context.settings.maintenance,
            clock=context.clock,
            tenants=None if tenant is None else [tenant],
            tables=None if table is None else [table],
            progress=progress,
            stop=stopping.is_set,
        )
    if json_:
        print_json(report_json(report))
    elif not quiet:
        _print(report)
    for failure in report.failures:
        notes.print(f"not done: {failure}", markup=False, soft_wrap=True)
    if report.failures:
        raise typer.Exit(EXIT_UNAVAILABLE)


def status(lake: LakeOption = None, tenant: TenantFilter = None, json_: JsonOption = False) -> None:
    """Show what maintenance would find to do; changes nothing."""
    from dataclasses import asdict

    from governance.access import Action
    from muniment.wiring import command_context
    from warehouse.commit import open_stores
    from warehouse.derived.store import derived_stores
    from warehouse.maintenance import maintenance_state

    context = command_context(lake)
    context.check(Action.STATUS_READ, tenant)
    _check_tenant(context, tenant)
    states = maintenance_state(
        context.lake,
        open_stores(context.lake) | derived_stores(context.lake),
        config=context.settings.maintenance,
        clock=context.clock,
        tenants=None if tenant is None else [tenant],
    )
    if json_:
        print_json([asdict(state) for state in states])
        return
    from rich.table import Table

    view = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("table", "files", "MiB", "rows", "most in a day", "to merge", "in grace", "log entries"):
        view.add_column(title, justify="left" if title == "table" else "right")
    for state in states:
        figures = (
            state.files, f"{state.size_bytes / _MIB:,.1f}", f"{state.rows:,}", state.fullest_partition_files,
            state.files_to_merge, state.removed_files, state.log_entries,
        )  # fmt: skip
        view.add_row(state.table, *(str(figure) for figure in figures))
    console.print(view)


def _check_tenant(context: "CommandContext", tenant: str | None) -> None:
    """Refuse a tenant that does not exist: a round over nothing would look like one that found nothing to do."""
    if tenant is not None and tenant != LAKE_TENANT:
        context.control.tenant(tenant)


@contextmanager
def _progress(*, shown: bool) -> "Iterator[Progress]":
    """Yield a callback that draws a bar a table, or one that does nothing."""
    if not shown:
        yield lambda _table, _done, _of_all: None
        return
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    tasks: dict[str, TaskID] = {}
    with Bars(console=notes, transient=True) as bars:

        def show(name: str, done: int, of_all: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=of_all)
            bars.update(tasks[name], completed=done, total=of_all)

        yield show


def report_json(report: "MaintenanceReport") -> dict[str, Any]:
    """What a round did, for machines."""
    return {"stopped": report.stopped, "tables": [_table_json(table) for table in report.tables]}


def _table_json(table: "TableReport") -> dict[str, Any]:
    made = [part for part in table.compacted if part.files_after]
    return {
        "table": table.table,
        "partitions": len(made),
        "partitions_held_by_others": sum(part.skipped for part in table.compacted),
        "files_before": sum(part.files_before for part in made),
        "files_after": sum(part.files_after for part in made),
        "bytes_before": sum(part.bytes_before for part in made),
        "bytes_after": sum(part.bytes_after for part in made),
        "rows": sum(part.rows for part in made),
        "conflicts": sum(part.conflicts for part in table.compacted),
        "removed_files_deleted": table.removed_files_deleted,
        "checkpoint_version": table.checkpoint.version if table.checkpoint else None,
        "log_entries_removed": table.checkpoint.entries_removed if table.checkpoint else 0,
        "orphans_deleted": len(table.swept.deleted),
        "files_of_unknown_names": list(table.swept.unknown),
        "cleanup_held_by_another": table.cleanup_skipped,
        "failures": list(table.failures),
    }


def _print(report: "MaintenanceReport") -> None:
    for entry in map(_table_json, report.tables):
        if not (entry["files_before"] or entry["removed_files_deleted"] or entry["orphans_deleted"]):
            continue
        console.print(
            f"{entry['table']}: {entry['files_before']} files into {entry['files_after']}, "
            f"{entry['bytes_before'] / _MIB:.1f} MiB into {entry['bytes_after'] / _MIB:.1f}; "
            f"{entry['removed_files_deleted']} replaced files and {entry['orphans_deleted']} orphans deleted",
            markup=False,
        )
    console.print("stopped before the end" if report.stopped else "done")
