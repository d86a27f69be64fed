"""`muniment quarantine list|show|replay`."""

from dataclasses import asdict
from typing import Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, plain_text, print_json

TenantFilter = Annotated[str | None, typer.Option("--tenant", metavar="T", help="One tenant.", show_default="all")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="What was refused, why, and how to send it again.", no_args_is_help=True)
    group.command("list", epilog="Example: muniment quarantine list --tenant acme")(list_)
    group.command("show", epilog="Example: muniment quarantine show 9f86d081884c7d65")(show)
    group.command("replay", epilog="Example: muniment quarantine replay --reason time-out-of-window")(replay)
    app.add_typer(group, name="quarantine")


def list_(lake: LakeOption = None, tenant: TenantFilter = None, json_: JsonOption = False) -> None:
    """List refused records and bodies, oldest first."""
    from muniment.replaying import quarantined
    from muniment.wiring import command_context
    from warehouse.clock import utc_text

    entries = quarantined(command_context(lake), tenant)
    if json_:
        print_json([{key: value for key, value in asdict(entry).items() if key != "record"} for entry in entries])
        return
    if not entries:
        console.print("quarantine is empty")
        return
    from rich.table import Table

    from muniment.cli.table import PIPE_WIDTH, wide_enough

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("id", "tenant", "time", "signal", "reason", "message", "replayed"):
        # what `show` and `replay` take as their argument is never cut short
        table.add_column(title, no_wrap=title in {"id", "reason"}, overflow="fold")
    for entry in entries:
        cells = (
            entry.id, entry.tenant_id, utc_text(entry.unix_nano), entry.signal, entry.reason, entry.message,
            "yes" if entry.replayed else "",
        )  # fmt: skip
        table.add_row(*map(plain_text, cells))
    wide_enough(console, PIPE_WIDTH).print(table)


def show(
    entry: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `quarantine list` shows it.")],
    lake: LakeOption = None,
) -> None:
    """Show one entry whole, as JSON; without the refused record for those who may not read all that tables hold."""
    from muniment.replaying import quarantined_entry
    from muniment.wiring import command_context

    found, hidden = quarantined_entry(command_context(lake), entry)
    print_json(asdict(found))
    if hidden:
        notes.print(
            f"the refused record is left out: it may hold what policy hides from you: {'; '.join(hidden)}",
            markup=False,
            soft_wrap=True,
        )


def replay(
    entries: Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="Entries to send again.")] = None,
    lake: LakeOption = None,
    tenant: TenantFilter = None,
    reason: str | None = typer.Option(
        None, "--reason", help="Every entry with this reason, as `quarantine list` shows it."
    ),
    json_: JsonOption = False,
) -> None:
    """Send refused records again, under the limits of an import; what is accepted now is marked as replayed."""
    from muniment.replaying import quarantined, replay_entries
    from muniment.wiring import command_context
    from warehouse.errors import InputError

    if not entries and reason is None:
        raise InputError("nothing to replay: expected ids or --reason", hint="see `muniment quarantine list`")
    context = command_context(lake)
    if reason is not None:
        known = sorted({entry.reason for entry in quarantined(context, tenant)})
        if reason not in known:
            there = f"the reasons there are: {', '.join(known)}" if known else "quarantine is empty"
            raise InputError(f"--reason: expected a reason that is in quarantine, got {reason!r}", hint=there)
    done = replay_entries(context, ids=entries or [], tenant=tenant, reason=reason)
    if json_:
        print_json(done)
        return
    console.print(f"{done['accepted']} accepted, {done['refused']} refused again")
    if done["without_text"]:
        console.print(f"{done['without_text']} cannot be replayed: their text was not kept")
    for message in done["messages"]:
        console.print(f"  {message}", markup=False)
