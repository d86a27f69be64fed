"""`muniment init`."""

import typer

from muniment.cli.output import JsonOption, LakeOption, console, print_json


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("init", epilog="Example: muniment init --lake /srv/evidence --name acme")(init)


def init(
    lake: LakeOption = None,
    name: str = typer.Option("lake", "--name", help="Name of the lake: the first part of each log's origin."),
    json_: JsonOption = False,
) -> None:
    """Create a lake: settings, keys, default policies, control database and tables. Safe to repeat."""
    from governance.access import Access, Action, local_principal
    from muniment.environment import lake_folder
    from muniment.policies import apply_defaults
    from muniment.setup import set_up_lake
    from muniment.wiring import command_context
    from warehouse.clock import system_clock

    folder = lake_folder(lake).absolute()
    Access.for_lake(folder).check(local_principal(), Action.LAKE_INIT)
    made_lake, made = set_up_lake(folder, name=name, clock=system_clock)
    context = command_context(made_lake.path)
    applied = apply_defaults(made_lake, context.control, context.access, context.principal, context.record)
    made += [f"policies/{each.bundle.kind}: the package's own is in force" for each in applied]
    if json_:
        print_json({"lake": str(made_lake.path), "made": made})
        return
    console.print(f"[bold]lake[/] {made_lake.path}" + ("" if made else " [dim](was there already; nothing changed)[/]"))
    for item in made:
        console.print(f"  made {item}", markup=False)
    if made:
        console.print("next:")
        for command in ("muniment tenant add acme", "muniment key issue --tenant acme", "muniment up"):
            console.print(f"  {command}", markup=False)
