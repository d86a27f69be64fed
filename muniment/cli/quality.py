"""`muniment quality run|show`: what the records of a day should be like, and which are not."""

import datetime as dt
from typing import Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, plain_text, print_json
from warehouse.errors import InputError

EXIT_NO = 1
EXIT_NOT_ESTABLISHED = 4

Tenant = Annotated[str, typer.Option("--tenant", "-t", metavar="T", help="Whose records.")]
Day = Annotated[
    str | None, typer.Option("--day", metavar="D", help="UTC date of the records.", show_default="yesterday")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Data quality: checks of each day's records, counted exactly.", no_args_is_help=True)
    group.command("run", epilog="Example: muniment quality run --tenant acme --day 2026-11-20")(run)
    group.command("show", epilog="Example: muniment quality show --tenant acme --day 2026-11-20 --json")(show)
    app.add_typer(group, name="quality")


def run(tenant: Tenant, day: Day = None, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Check every record of a day, and keep the results in the table `quality_results` in place of the day's earlier ones.

    Exit code 1 where a check failed; 4 where none did and one errored, as nothing is known of its records.
    """
    from muniment.quality import run_quality, show_quality
    from muniment.wiring import command_context

    context = command_context(lake)
    date = _date(day, context.clock())
    run_quality(context, tenant, date)
    _report(show_quality(context, tenant, date), tenant, date, as_json=json_)


def show(tenant: Tenant, day: Day = None, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Show what the checks of a day found when it was checked last; with --json also the SQL. Exit codes as for `run`.

    A day that was never checked is not established: exit code 4.
    """
    from muniment.quality import show_quality
    from muniment.wiring import command_context

    context = command_context(lake)
    date = _date(day, context.clock())
    _report(show_quality(context, tenant, date), tenant, date, as_json=json_)


def _report(rows: list[dict[str, Any]], tenant: str, day: dt.date, *, as_json: bool) -> None:
    if as_json:
        print_json({"tenant": tenant, "day": day.isoformat(), "results": _results_json(rows)})
    elif rows:
        _print(rows, tenant, day)
    else:
        console.print(plain_text(f"{tenant}, {day}: never checked: `muniment quality run` does it"), soft_wrap=True)
    outcomes = {row["outcome"] for row in rows}
    if "failed" in outcomes:
        raise typer.Exit(EXIT_NO)
    if "errored" in outcomes or not rows:
        raise typer.Exit(EXIT_NOT_ESTABLISHED)


def _print(rows: list[dict[str, Any]], tenant: str, day: dt.date) -> None:
    from rich.table import Table

    view = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("check", "outcome", "records", "unexpected", "allowed"):
        view.add_column(title, justify="left" if title in {"check", "outcome"} else "right", no_wrap=True)
    for row in rows:
        if row["shard"] is None:
            counts = ("" if row[name] is None else f"{row[name]:,}" for name in ("total", "unexpected", "allowed"))
            view.add_row(*map(plain_text, (row["check_name"], row["outcome"], *counts)))
    console.print(plain_text(f"{tenant}, {day}"), style="bold")
    console.print(view)
    for row in rows:
        if row["shard"] is not None and row["outcome"] == "failed":
            where = f"{row['shard']}, indices {row['first_index']} to {row['last_index']}"
            whom = row["sender"] or "unknown sender"
            line = f"{row['check_name']}: {whom}: {row['unexpected']:,} of {row['total']:,} in {where}"
            console.print(plain_text(line), soft_wrap=True)


def _results_json(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from pipelines.quality.checks import CHECKS
    from pipelines.quality.counting import check_sql, query_hash

    known = {check.name: check for check in CHECKS}
    left_out = ("tenant_id", "day", "time_unix_nano", "end_unix_nano")
    made = []
    for row in rows:
        check = known.get(row["check_name"])
        current = check is not None and query_hash(check) == row["query"]
        about = {"title": check.title, "sql": check_sql(check)} if check is not None and current else {}
        made.append({name: value for name, value in row.items() if name not in left_out} | about)
    return made


def _date(text: str | None, now_unix_nano: int) -> dt.date:
    from warehouse.clock import NANOS_PER_DAY, utc_date

    if text is None:
        return utc_date(now_unix_nano - NANOS_PER_DAY)
    try:
        return dt.date.fromisoformat(text)
    except ValueError as exc:
        raise InputError(f"--day: expected a date such as 2026-11-20, got {text!r}") from exc
