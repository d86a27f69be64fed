"""`muniment evidence exceptions`, `dispose`, `review`: findings without a pack, and what people decide on them."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:
    from governance.evidence.assessment import Assessment, Listed
    from governance.evidence.decisions import Disposition

_DATE_LENGTH = len("2026-01-31")
_STYLES = {"satisfied": "green", "not satisfied": "red"}
_MOST_SHOWN = 50

_Tenant = Annotated[str, typer.Option("--tenant", metavar="T", help="Of whose records.")]
_First = Annotated[str, typer.Option("--from", metavar="D", help="First day, or a time (RFC 3339).")]
_Last = Annotated[str, typer.Option("--to", metavar="D", help="Last day, included; or a time, not included.")]
_Framework = Annotated[str, typer.Option("--framework", metavar="F", help="Of which framework: `evidence list`.")]


def register_decisions(group: typer.Typer) -> None:
    """Add the commands of this module to `muniment evidence`."""
    group.command(
        "exceptions",
        epilog="Example: muniment evidence exceptions --framework soc2 --tenant acme --from 2026-10-01 --to 2026-10-31 --open",
    )(exceptions)
    group.command(
        "dispose",
        epilog="Example: muniment evidence dispose soc2/CC8.1/audit_events/main-1/42 --tenant acme --from 2026-10-01 "
        "--to 2026-10-31 --as accepted --reason 'pilot, risk taken' --ticket GRC-7 --due 2026-12-31",
    )(dispose)
    group.command(
        "review",
        epilog="Example: muniment evidence review CC8.1 --framework soc2 --tenant acme --from 2026-10-01 --to 2026-10-31 "
        "--note 'looked at every change'",
    )(review)


def exceptions(
    framework: _Framework,
    tenant: _Tenant,
    first: _First,
    last: _Last,
    control: Annotated[str | None, typer.Option("--control", metavar="C", help="Only this control's.")] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Only those on which nothing was decided, or whose day has passed.")
    ] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Findings with their exceptions: which are new since the period before, and what was decided on each."""
    from muniment.assessing import find_control, read_findings
    from muniment.wiring import command_context

    assessed = read_findings(
        command_context(lake), framework=framework, tenant=tenant, period=parse_period(first, last)
    )
    if control is not None:
        find_control(assessed.framework, control)
    chosen = [each for each in assessed.assessments if control in {None, each.control.id}]
    listed = {each.control.id: [one for one in each.exceptions() if not open_ or one.is_open] for each in chosen}
    if json_:
        found = assessed.to_json()
        found["controls"] = [each.to_json() | {"listed": list(map(_json, listed[each.control.id]))} for each in chosen]
        print_json(found)
        return
    for each in chosen:
        print_assessment(each)
        for one in listed[each.control.id][:_MOST_SHOWN]:
            _print_listed(one)
        if (left := len(listed[each.control.id]) - _MOST_SHOWN) > 0:
            console.print(f"    and {left:,} more: --json names all", soft_wrap=True)


def dispose(
    ids: Annotated[
        list[str], typer.Argument(metavar="EXCEPTION…", help="Exceptions, as `evidence exceptions` names them.")
    ],
    tenant: _Tenant,
    first: _First,
    last: _Last,
    disposition: Annotated[
        str, typer.Option("--as", metavar="D", help="accepted, remediated, false-positive; open takes it back.")
    ],
    reason: Annotated[
        str, typer.Option("--reason", metavar="R", help="Why, for the record; persons and secrets in it are redacted.")
    ],
    ticket: Annotated[str | None, typer.Option("--ticket", metavar="X", help="Where it is worked on.")] = None,
    due: Annotated[
        str | None, typer.Option("--due", metavar="DAY", help="Until when it is accepted, or will be mended.")
    ] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Decide on exceptions. Recorded as `exception.disposed`; the newest decision counts, those before it stay on record."""
    from governance.evidence.decisions import ExceptionId
    from muniment.assessing import Decision
    from muniment.assessing import dispose as record
    from muniment.wiring import command_context

    wanted = list(map(ExceptionId.parse, ids))
    decision = Decision(parse_disposition(disposition), reason, ticket, None if due is None else _day(due))
    count = record(
        command_context(lake), tenant=tenant, exceptions=wanted, period=parse_period(first, last), decision=decision
    )
    if json_:
        print_json({"exceptions": [str(each) for each in wanted], "disposition": decision.disposition.value})
        return
    notes.print(f"{decision.disposition.value}: {count} on record", markup=False, soft_wrap=True)


def review(
    control: Annotated[str, typer.Argument(metavar="CONTROL", help="Which control.")],
    framework: _Framework,
    tenant: _Tenant,
    first: _First,
    last: _Last,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What was looked at, and what came of it.")],
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Mark a control as reviewed over a period. Recorded as `control.reviewed`, with the figures as they are now."""
    from muniment.assessing import review as record
    from muniment.wiring import command_context

    found = record(
        command_context(lake),
        tenant=tenant,
        framework=framework,
        control=control,
        period=parse_period(first, last),
        note=note,
    )
    if json_:
        print_json(found.to_json())
        return
    print_assessment(found)
    notes.print("reviewed: on record", markup=False)


def parse_period(first: str, last: str) -> tuple[int, int]:
    """Nanoseconds since 1970 of `--from` and of the end of `--to`, not included.

    Raises:
        InputError: one is neither a day nor a time with its zone.
    """
    from muniment.cli.holds import parse_instant

    return parse_instant(first, "--from"), parse_instant(last, "--to", end=True) + (len(last) == _DATE_LENGTH)


def print_assessment(each: "Assessment") -> None:
    """One control on a line or two: finding, figure, and what changed since the period before."""
    from governance.evidence.report_changes import counted_dispositions

    outcome, difference = each.outcome, each.difference
    style = _STYLES.get(outcome.state.value, "yellow")
    console.print(plain_text(f"{outcome.control.id:<12} "), end="")
    console.print(f"[{style}]{outcome.state.value}[/]", end="  ")
    console.print(plain_text(outcome.why), soft_wrap=True)
    if difference is None or not (outcome.exceptions or difference.before.exceptions):
        return
    decided = counted_dispositions(each.dispositions, each.overdue) or "none"
    console.print(
        plain_text(
            f"{'':<12} {difference.new:,} new, {difference.continuing:,} go on, {difference.gone.num_rows:,} gone since the "
            f"period before ({difference.before.state.value}); exceptions: {decided}"
        ),
        style="dim",
        soft_wrap=True,
    )


def _print_listed(one: "Listed") -> None:
    why = one.row["exception"] or "cannot be judged"
    console.print(plain_text(f"    {one.id}  {'new' if one.is_new else 'goes on'}, {one.words}: {why}"), soft_wrap=True)


def _json(one: "Listed") -> dict[str, object]:
    return {
        "exception": str(one.id),
        "why": one.row["exception"],
        "time_unix_nano": one.row["time_unix_nano"],
        "new": one.is_new,
        "disposition": one.disposition.value,
        "overdue": one.is_overdue,
        "history": [each.to_json() for each in one.history],
    }


def parse_disposition(text: str) -> "Disposition":
    """A disposition as it is typed.

    Raises:
        InputError: it is none.
    """
    from governance.evidence.decisions import Disposition

    try:
        return Disposition(text.replace("-", " "))
    except ValueError as exc:
        raise InputError(f"--as: expected accepted, remediated, false-positive or open, got {text!r}") from exc


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as exc:
        raise InputError(f"--due: expected a day such as 2026-12-31, got {text!r}") from exc
