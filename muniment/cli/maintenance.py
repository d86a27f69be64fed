"""`muniment maintenance run`."""

import typer

from muniment.cli.output import JsonOption, LakeOption, notes, print_json


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Compaction and clean-up.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("run", epilog="Example: muniment maintenance run")(run)
    app.add_typer(group, name="maintenance")


def run(
    lake: LakeOption = None,
    quiet: bool = typer.Option(False, "--quiet", help="Say nothing unless something failed."),
    json_: JsonOption = False,
) -> None:
    """Merge small files, delete replaced ones, sweep what crashes left; safe beside running collectors."""
    from dataclasses import asdict

    from governance.access import Action
    from muniment.wiring import command_context
    from warehouse.commit import open_stores
    from warehouse.maintenance import run_maintenance

    context = command_context(lake)
    context.check(Action.MAINTENANCE_RUN)
    report = run_maintenance(
        context.lake, open_stores(context.lake), config=context.settings.maintenance, clock=context.clock
    )
    if json_:
        print_json(asdict(report))
    elif not quiet:
        notes.print(f"{len(report.tables)} tables maintained")
    for failure in report.failures:
        notes.print(failure, markup=False)
