"""`muniment hold place|list|show|release`: what must be kept, for which case, until when."""

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, TenantOption, console, notes, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from muniment.holding import Placed
    from warehouse.control import HoldRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_LENGTH = len("2026-01-31")
_FIRST_YEAR, _LAST_YEAR = 1970, 2261
"""Whole years that nanoseconds since 1970 hold in 64 bits."""
HoldId = Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id, such as h3f9a0c12b7de.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Legal holds: what nothing may delete, by case.", no_args_is_help=True)
    group.command(
        "place",
        epilog="Examples: muniment hold place --tenant acme --reason 'claim of 3 May' --case 2026-17 --agent billing\n\n"
        "muniment hold place --tenant acme --reason 'claim of 3 May' --subject - < value.txt",
    )(place)
    group.command("list", epilog="Example: muniment hold list --all --json")(list_)
    group.command("show", epilog="Example: muniment hold show h3f9a0c12b7de")(show)
    group.command(
        "release",
        epilog="Examples: muniment hold release h3f9a0c12b7de --reason 'settled'\n\n"
        "muniment hold release h3f9a0c12b7de --approve",
    )(release)
    app.add_typer(group, name="hold")


def place(
    *,
    tenant: TenantOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")],
    case: Annotated[str | None, typer.Option("--case", metavar="ID", help="The case that it belongs to.")] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="Who answers for it.", show_default="you")
    ] = None,
    agents: Annotated[
        list[str] | None, typer.Option("--agent", metavar="A", help="What this agent did; repeatable, as all below.")
    ] = None,
    traces: Annotated[list[str] | None, typer.Option("--trace", metavar="ID", help="This trace.")] = None,
    conversations: Annotated[
        list[str] | None, typer.Option("--conversation", metavar="ID", help="This conversation.")
    ] = None,
    subjects: Annotated[
        list[str] | None,
        typer.Option(
            "--subject", metavar="-|TOKEN", help="This person: - reads values from standard input, one a line."
        ),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="D", help="From this day or time (RFC 3339) on; not repeatable.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="D", help="To the end of this day, or to this time; not repeatable.")
    ] = None,
    tables: Annotated[list[str] | None, typer.Option("--table", metavar="X", help="Only this table.")] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", metavar="C", help="Only this data class.")] = None,
    events: Annotated[
        list[str] | None, typer.Option("--event", metavar="GLOB", help="Events of such a name, as 'approval.*'.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything-of-tenant", help="All that the tenant has, instead of the above.")
    ] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Place a hold: what it keeps, no purge and no erasure takes, from now until it is released.

    Different options are joined by and, several values of one by or. Recorded as `hold.placed` in the tenant's log first. Where a
    deletion runs, this waits for its end, and says that it came too late for that one.
    """
    from muniment.holding import place_hold
    from muniment.wiring import command_context
    from retention.holds import HoldScope

    scope = HoldScope(
        subjects=_tokens(subjects or []),
        agents=tuple(agents or ()),
        traces=tuple(trace.lower() for trace in traces or ()),
        conversations=tuple(conversations or ()),
        first_unix_nano=None if first is None else parse_instant(first, "--from"),
        last_unix_nano=None if last is None else parse_instant(last, "--to", end=True),
        tables=tuple(tables or ()),
        data_classes=tuple(classes or ()),
        events=tuple(events or ()),
        everything=everything,
    )
    values = _read_values() if "-" in (subjects or []) else []
    placed = place_hold(
        command_context(lake), tenant=tenant, scope=scope, reason=reason, owner=owner, case=case, values=values
    )
    if json_:
        print_json(_placed_json(placed))
    else:
        _print_placed(placed)


def list_(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="T", help="Only this tenant's.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Released ones too.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """List the holds in force, oldest first; with --all the released ones too."""
    from rich.table import Table

    from muniment.cli.table import PIPE_WIDTH, wide_enough
    from muniment.holding import list_holds
    from muniment.wiring import command_context

    holds = list_holds(command_context(lake), tenant, released=all_)
    if json_:
        print_json([hold_json(hold) for hold in holds])
        return
    if not holds:
        _say("no holds" if all_ else "no holds in force")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("hold", "tenant", "case", "owner", "keeps", "state"):
        table.add_column(title, overflow="fold", no_wrap=title == "hold")
    for hold in holds:
        cells = (hold.id, hold.tenant_id, hold.case_reference or "-", hold.owner, scope_words(hold), _state(hold))
        table.add_row(*map(plain_text, cells))
    wide_enough(console, PIPE_WIDTH).print(table)


def show(hold_id: HoldId, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Show one hold, released or not: its case, what it keeps, who placed and released it, and when."""
    from muniment.holding import read_hold
    from muniment.wiring import command_context

    content = hold_json(hold := read_hold(command_context(lake), hold_id))
    if json_:
        print_json(content)
        return
    content["scope"] = scope_words(hold)
    for name, value in content.items():
        if value is not None:
            console.print(plain_text(f"{name.replace('_', ' ') + ':':<18}{value}"), soft_wrap=True)


def release(
    hold_id: HoldId,
    *,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Approve what another principal asked for.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Release a hold. Where two principals hold the right, this asks for it, and a second one approves with --approve.

    Recorded as `hold.released` in the tenant's log first. What other holds keep stays kept.
    """
    from muniment.holding import approve_release, release_hold
    from muniment.wiring import command_context

    if approve == (reason is not None):
        raise InputError(
            "hold release: expected --reason TEXT to ask for it, or --approve, one of the two",
            hint=f"muniment hold release {hold_id} --reason TEXT",
        )
    context = command_context(lake)
    hold = approve_release(context, hold_id) if reason is None else release_hold(context, hold_id, reason=reason)
    if json_:
        print_json(hold_json(hold))
    elif hold.in_force:
        _say(f"Asked for the release of hold {hold.id}; it stays in force until a second principal approves:")
        _say(f"  muniment hold release {hold.id} --approve")
    else:
        _say(f"Hold {hold.id} of tenant {hold.tenant_id} is released. What other holds keep stays kept.")


def parse_instant(text: str, what: str, *, end: bool = False) -> int:
    """Nanoseconds since 1970 of a UTC day (its first, or with `end` its last nanosecond) or of an RFC 3339 time.

    Raises:
        InputError: it is neither, or a time without its zone.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InputError(f"{what}: expected 2026-01-31 or 2026-01-31T12:00:00Z, got {text!r}") from exc
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise InputError(f"{what}: expected a time from {_FIRST_YEAR} to {_LAST_YEAR}, got {text!r}")
    if len(text) == _DATE_LENGTH:
        start = instant.replace(tzinfo=UTC) + (timedelta(days=1) if end else timedelta())
        return _nanos(start) - (1 if end else 0)
    if instant.tzinfo is None:
        raise InputError(f"{what}: expected a time with its zone, such as 2026-01-31T12:00:00Z, got {text!r}")
    return _nanos(instant)


def hold_json(hold: "HoldRecord") -> dict[str, Any]:
    """A hold for machines."""
    from muniment.holding import scope_json
    from retention.holds import read_scope

    return {
        "id": hold.id,
        "tenant": hold.tenant_id,
        "state": _state(hold),
        "case": hold.case_reference,
        "reason": hold.reason,
        "owner": hold.owner,
        "scope": scope_json(read_scope(hold.scope)),
        "placed": _time(hold.placed_unix_nano),
        "placed_by": hold.placed_by,
        "release_asked": _time(hold.release_asked_unix_nano),
        "release_asked_by": hold.release_asked_by,
        "release_reason": hold.release_reason,
        "released": _time(hold.released_unix_nano),
        "released_by": hold.released_by,
    }


def scope_words(hold: "HoldRecord") -> str:
    """What a hold keeps, on one line."""
    from muniment.holding import scope_json
    from retention.holds import read_scope

    content = scope_json(read_scope(hold.scope))
    if content.pop("everything", False):
        return "everything of the tenant"
    values = {name: " or ".join(value) if isinstance(value, tuple | list) else value for name, value in content.items()}
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _placed_json(placed: "Placed") -> dict[str, Any]:
    return hold_json(placed.placed.hold) | {
        "nonce": placed.nonce,
        "new_subjects": placed.new_subjects,
        "came_after": [
            {"deletion": each.what, "began": _time(each.began_unix_nano), "ended": _time(each.ended_unix_nano)}
            for each in placed.placed.came_after
        ],
    }


def _print_placed(placed: "Placed") -> None:
    hold = placed.placed.hold
    for deletion in placed.placed.came_after:
        notes.print(
            f"Too late for {deletion.what}, which deleted from {_time(deletion.began_unix_nano)} to "
            f"{_time(deletion.ended_unix_nano)}, before this hold was in force.",
            markup=False, soft_wrap=True, style="yellow",
        )  # fmt: skip
    if placed.new_subjects:
        _say(f"{placed.new_subjects} of the values given stood in no record so far; what is still to come is kept.")
    _say(f"In force since {_time(hold.placed_unix_nano)}; it keeps, of tenant {hold.tenant_id}: {scope_words(hold)}")
    if placed.nonce:
        _say(
            f"The event names persons only under this nonce, which is shown this once and kept nowhere: {placed.nonce}"
        )
    typer.echo(hold.id)


def _tokens(subjects: list[str]) -> tuple[str, ...]:
    from warehouse.subjects import is_token

    tokens = tuple(each for each in subjects if each != "-")
    if not all(map(is_token, tokens)):
        raise InputError(
            "--subject: expected - or a token (sub_ and 26 characters), got something else",
            hint="values come on standard input, as arguments can be seen: --subject - < FILE",
        )
    return tokens


def _read_values() -> list[str]:
    if sys.stdin.isatty():
        return [str(typer.prompt("value", hide_input=True, err=True))]
    values = sys.stdin.read().splitlines()
    if not values:
        raise InputError("--subject -: expected a value a line on standard input, got nothing")
    return values


def _state(hold: "HoldRecord") -> str:
    if hold.release_pending:
        return "release asked"
    return "in force" if hold.in_force else "released"


def _nanos(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def _time(unix_nano: int | None) -> str | None:
    from warehouse.clock import utc_text

    return None if unix_nano is None else utc_text(unix_nano)


def _say(message: str) -> None:
    notes.print(message, markup=False, soft_wrap=True)
