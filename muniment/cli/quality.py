"""`muniment quality run|show|completeness`: what the records of a day should be like, and which are not."""

import datetime as dt
from typing import Annotated, Any

import typer

from muniment.cli.days import read_day
from muniment.cli.output import JsonOption, LakeOption, console, plain_text, print_json

EXIT_NO = 1
EXIT_NOT_ESTABLISHED = 4
_NANOS_PER_MINUTE = 60_000_000_000

Tenant = Annotated[str, typer.Option("--tenant", "-t", metavar="T", help="Whose records.")]
Day = Annotated[
    str | None, typer.Option("--day", metavar="D", help="UTC date of the records.", show_default="yesterday")
]
Grace = Annotated[
    int,
    typer.Option("--grace-minutes", metavar="N", min=0, help="Leave out what is younger: it may still be on its way."),
]
Suites = Annotated[
    bool,
    typer.Option("--suites", help="Also run each table's suite over a sample of the day: some seconds of CPU more."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Data quality: checks of each day's records, counted exactly.", no_args_is_help=True)
    group.command("run", epilog="Example: muniment quality run --tenant acme --day 2026-11-20 --suites")(run)
    group.command("show", epilog="Example: muniment quality show --tenant acme --day 2026-11-20 --json")(show)
    group.command("completeness", epilog="Example: muniment quality completeness --tenant acme --day 2026-11-20")(
        completeness
    )
    app.add_typer(group, name="quality")


def run(
    tenant: Tenant, day: Day = None, suites: Suites = False, lake: LakeOption = None, json_: JsonOption = False
) -> None:
    """Check every record of a day, and keep the results in the table `quality_results` in place of the day's earlier ones.

    Exit code 1 where a check failed; 4 where none did and one errored, or there was nothing to check, as nothing is known then.
    """
    from muniment.quality import run_quality, run_suites, show_quality
    from muniment.wiring import command_context
    from pipelines.quality.suites import METHOD

    context = command_context(lake)
    date = _date(day, context.clock())
    run_quality(context, tenant, date)
    if suites:
        run_suites(context, tenant, date)
    # of suites that were not run now it shows nothing: what they found is of another time
    rows = [row for row in show_quality(context, tenant, date) if suites or row["method"] != METHOD]
    _report(rows, tenant, date, as_json=json_)


def show(tenant: Tenant, day: Day = None, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Show what the checks of a day found when it was checked last; with --json also how they looked. Exit codes as for `run`.

    A day that was never checked is not established: exit code 4.
    """
    from muniment.quality import show_quality
    from muniment.wiring import command_context

    context = command_context(lake)
    date = _date(day, context.clock())
    _report(show_quality(context, tenant, date), tenant, date, as_json=json_)


def completeness(
    tenant: Tenant, day: Day = None, grace_minutes: Grace = 60, lake: LakeOption = None, json_: JsonOption = False
) -> None:
    """Reconcile what senders say that they sent with what came, and find what is missing of traces, each with its sender.

    The results are kept as by `run`. Exit code 1 where something is missing; 4, not established, where nothing is known to be and
    no sender reports counters, or a check errored.
    """
    from muniment.cli.completeness_text import completeness_json, print_completeness
    from muniment.quality import check_completeness
    from muniment.wiring import command_context
    from pipelines.quality.completeness import is_measured

    context = command_context(lake)
    date = _date(day, context.clock())
    results = check_completeness(context, tenant, date, grace_ns=grace_minutes * _NANOS_PER_MINUTE)
    if json_:
        print_json(completeness_json(results, tenant, date, grace_minutes))
    else:
        print_completeness(results, tenant, date)
    outcomes = {result.outcome for result in results}
    if "failed" in outcomes:
        raise typer.Exit(EXIT_NO)
    if "errored" in outcomes or not is_measured(results):
        raise typer.Exit(EXIT_NOT_ESTABLISHED)


def _report(rows: list[dict[str, Any]], tenant: str, day: dt.date, *, as_json: bool) -> None:
    outcomes = {row["outcome"] for row in rows}
    if as_json:
        print_json({"tenant": tenant, "day": day.isoformat(), "results": _results_json(rows)})
    elif rows:
        _print(rows, tenant, day)
        if not outcomes & {"passed", "failed", "errored"}:
            console.print(
                plain_text("no check found a record to look at: nothing is known of this day"), soft_wrap=True
            )
    else:
        console.print(plain_text(f"{tenant}, {day}: never checked: `muniment quality run` does it"), soft_wrap=True)
    if "failed" in outcomes:
        raise typer.Exit(EXIT_NO)
    if "errored" in outcomes or "passed" not in outcomes:
        raise typer.Exit(EXIT_NOT_ESTABLISHED)


def _print(rows: list[dict[str, Any]], tenant: str, day: dt.date) -> None:
    from rich.table import Table

    view = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("check", "outcome", "records", "unexpected", "allowed"):
        view.add_column(title, justify="left" if title in {"check", "outcome"} else "right", no_wrap=True)
    for row in rows:
        if _is_whole(row):
            counts = ("" if row[name] is None else f"{row[name]:,}" for name in ("total", "unexpected", "allowed"))
            view.add_row(*map(plain_text, (row["check_name"], row["outcome"], *counts)))
    console.print(plain_text(f"{tenant}, {day}"), style="bold")
    console.print(view)
    for row in rows:
        if not _is_whole(row) and row["outcome"] in {"failed", "unmeasured"}:
            console.print(plain_text(f"{row['check_name']}: {_of_sender(row)}"), soft_wrap=True)


def _is_whole(row: dict[str, Any]) -> bool:
    """Whether a row is that of a whole check, and not of one sender."""
    return row["shard"] is None


def _of_sender(row: dict[str, Any]) -> str:
    whom = row["sender"] or "unknown sender"
    where = row["shard"]
    if row["first_index"] is not None:
        where += f", indices {row['first_index']} to {row['last_index']}"
    if row["unexpected"] is None:
        return f"{whom}: not measured: {row['total']:,} in {where}"
    return f"{whom}: {row['unexpected']:,} of {row['total']:,} in {where}"


def _results_json(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = _explanations()
    left_out = ("tenant_id", "day", "time_unix_nano", "end_unix_nano")
    return [
        {name: value for name, value in row.items() if name not in left_out}
        | known.get((row["check_name"], row["query"]), {})
        for row in rows
    ]


def _explanations() -> dict[tuple[str, str], dict[str, Any]]:
    """How the checks of today look, by their names and the hashes that their results carry."""
    from dataclasses import asdict

    from pipelines.quality.checks import CHECKS
    from pipelines.quality.completeness import CHECKS as COMPLETENESS
    from pipelines.quality.completeness import completeness_hash, completeness_sql
    from pipelines.quality.counting import check_sql, query_hash
    from pipelines.quality.sampling import sample_sql, suite_hash
    from pipelines.quality.suites import SUITES

    counted = {(check.name, query_hash(check)): {"title": check.title, "sql": check_sql(check)} for check in CHECKS}
    sampled = {
        (check.name, suite_hash(suite, check)): {
            "title": check.title,
            "sql": sample_sql(suite),
            "expectations": [asdict(each) for each in check.expectations],
        }
        for suite in SUITES
        for check in suite.checks
    }
    reconciled = {
        (each.name, completeness_hash(each)): {"title": each.title, "sql": completeness_sql(each)}
        for each in COMPLETENESS
    }
    return counted | sampled | reconciled


def _date(text: str | None, now_unix_nano: int) -> dt.date:
    from warehouse.clock import NANOS_PER_DAY, utc_date

    if text is None:
        return utc_date(now_unix_nano - NANOS_PER_DAY)
    return read_day("--day", text)
