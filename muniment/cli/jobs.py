"""`muniment jobs backfill`: what scheduled work finds in the records of days, done now for a range of them."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.days import read_day
from muniment.cli.output import JsonOption, LakeOption, console, notes, on_terminal, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from muniment.wiring import CommandContext
    from pipelines.backfill import DayOutcome

EXIT_NO = 1
_LOCK = "job-backfill.lock"

Tenants = Annotated[
    list[str] | None,
    typer.Option("--tenant", "-t", metavar="T", help="This tenant only; may be repeated.", show_default="all"),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Scheduled work, done now.", no_args_is_help=True)
    group.command(
        "backfill",
        epilog="Example: muniment jobs backfill --from 2026-10-01 --to 2026-10-31",
    )(backfill)
    app.add_typer(group, name="jobs")


def backfill(
    first: Annotated[str, typer.Option("--from", metavar="D", help="First UTC day.")],
    last: Annotated[str | None, typer.Option("--to", metavar="D", help="Last UTC day.", show_default="today")] = None,
    tenant: Tenants = None,
    again: Annotated[bool, typer.Option("--again", help="Also days that were done since their records came.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """SLO windows, derived events, incidents and quality of each day that holds records, as the daily job does it, oldest day first.

    May be interrupted and repeated: days that are done are kept. What was counted for SLOs is never counted again, and days that a
    purge emptied keep what was found then. The scheduler's pages show each day's run. Exit code 1 where a day failed; that records are
    not as they should be is shown and is no failure.
    """
    from muniment.wiring import command_context

    context = command_context(lake)
    days = _days(first, last, context.clock())
    _check_access(context, tenant)
    outcomes: list[DayOutcome] = []
    with _alone(context), _progress(len(days), shown=on_terminal() and not json_) as step:
        from pipelines.backfill import backfill_days

        for each in backfill_days(context.lake, days, tenant, again=again):
            outcomes.append(each)
            step()
            if not json_ and each.outcome != "empty":
                console.print(plain_text(_line(each)), soft_wrap=True)
    counts = {name: sum(each.outcome == name for each in outcomes) for name in ("done", "kept", "empty", "failed")}
    if json_:
        print_json({"days": [_json(each) for each in outcomes], **counts})
    else:
        console.print(", ".join(f"{count} {name}" for name, count in counts.items() if count))
    if counts["failed"]:
        raise typer.Exit(EXIT_NO)


def _days(first: str, last: str | None, now_unix_nano: int) -> list[dt.date]:
    from pipelines.partitions import FIRST_DAY
    from warehouse.clock import utc_date

    today = utc_date(now_unix_nano)
    begin, end = read_day("--from", first), today if last is None else read_day("--to", last)
    if begin > end or begin < FIRST_DAY or end > today:
        raise InputError(
            f"backfill: expected days from {FIRST_DAY} to {today}, the first one first, got {begin} to {end}"
        )
    return [begin + dt.timedelta(days=number) for number in range((end - begin).days + 1)]


def _check_access(context: "CommandContext", tenants: list[str] | None) -> None:
    """The job acts by itself, so whoever starts it must be allowed to do each of its parts."""
    from governance.access import Action
    from warehouse.names import LAKE_TENANT

    asked: list[str | None] = [*tenants] if tenants else [None]
    for tenant in asked:
        for action in (Action.SLO_COMPUTE, Action.INCIDENT_DETECT, Action.QUALITY_RUN):
            context.check(action, tenant)
        if tenant is not None and tenant != LAKE_TENANT:
            context.control.tenant(tenant)


@contextmanager
def _alone(context: "CommandContext") -> Iterator[None]:
    from warehouse.durable import make_folder
    from warehouse.errors import ConflictError
    from warehouse.locks import FileLock

    make_folder(context.lake.run)
    lock = FileLock(context.lake.run / _LOCK)
    if not lock.acquire(holder=context.principal.recorded_by):
        raise ConflictError(
            f"backfill: expected to be alone, got one under way by {lock.holder() or 'another process'}",
            hint="wait until it ends",
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _progress(days: int, *, shown: bool) -> "Iterator[Callable[[], None]]":
    if not shown:
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(console=notes, transient=True) as bar:
        task = bar.add_task("days", total=days)
        yield lambda: bar.advance(task)


def _line(each: "DayOutcome") -> str:
    if each.outcome == "kept":
        return f"{each.day} was done since its records came"
    said = [f"{severity}: {', '.join(names)}" for severity, names in sorted(each.checks.items())]
    return f"{each.day} {'; '.join([each.outcome + (f' ({each.why})' if each.why else ''), *said])}"


def _json(each: "DayOutcome") -> dict[str, Any]:
    return {
        "day": each.day.isoformat(),
        "outcome": each.outcome,
        "checks": {severity: list(names) for severity, names in each.checks.items()},
        "why": each.why,
        "run": each.run_id,
    }
