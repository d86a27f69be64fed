"""`muniment slo list|lint|preview|compute|status`: service-level objectives, counted from the lake's records."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:
    from muniment.slos import SloRun
    from pipelines.slo.definitions import Slo, SloPolicy
    from pipelines.slo.figures import Figure
    from warehouse.policies import Problem

EXIT_NO = 1
_LONGEST_LINE = 160
"""Characters of a faulty line that are shown."""

Tenants = Annotated[
    list[str] | None,
    typer.Option("--tenant", "-t", metavar="T", help="Of this tenant; repeatable.", show_default="all"),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        help="Service-level objectives: what good is, how much of it there was, and how fast the budget burns.",
        no_args_is_help=True,
    )
    group.command("list", epilog="Examples: muniment slo list\n\nmuniment slo list --json")(list_)
    group.command("lint", epilog="Example: muniment slo lint drafts/checkout.yaml")(lint)
    group.command(
        "preview",
        epilog="Example: muniment slo preview drafts/checkout.yaml --from 2026-10-01 --to 2026-11-01 --tenant acme",
    )(preview)
    group.command("compute", epilog="Examples: muniment slo compute\n\nmuniment slo compute --tenant acme --json")(
        compute
    )
    group.command(
        "status", epilog="Examples: muniment slo status\n\nmuniment slo status --tenant acme --slo task-success"
    )(status)
    app.add_typer(group, name="slo")


def list_(lake: LakeOption = None, json_: JsonOption = False) -> None:
    """List the SLOs in force: target, window and alert policies. --json has all of each, with the SQL that counts it."""
    from rich.table import Table

    from governance.access import Action
    from muniment.slos import read_slo_policy
    from muniment.wiring import command_context

    context = command_context(lake)
    context.check(Action.POLICY_READ)
    policy = read_slo_policy(context.control)
    if json_:
        print_json([_slo_json(slo) for slo in policy.slos])
        return
    view = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("slo", "target", "objective", "window", "alerts"):
        view.add_column(title, justify="right" if title == "target" else "left", no_wrap=title != "objective")
    for slo in policy.slos:
        for objective in slo.objectives:
            target = "watched" if slo.watched else f"{objective.target * 100:g}%"
            alerts = ", ".join(each.name for each in slo.policies) or "none"
            view.add_row(*map(plain_text, (slo.name, target, objective.name, str(slo.window), alerts)))
    console.print(view if policy.slos else "no SLOs are in force")
    _print_maintenance(policy)


def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="OpenSLO v1 files; they are read together.")],
    json_: JsonOption = False,
) -> None:
    """Say what is wrong with OpenSLO files, by file, line and key: exit code 0 for nothing, 1 for something.

    Needs no lake. What is OpenSLO and cannot be computed here, such as the source of another system, is named too, and is
    no error of the file: applying it is refused.
    """
    from governance.access import local_principal
    from muniment.slo_trial import lint_bundle
    from warehouse.policies import read_files

    for file in files:
        if not file.is_file():
            raise InputError(f"slo lint: expected a file, got {str(file)!r}")
    policy, *found = lint_bundle(read_files("slo", files), local_principal())
    problems, foreign = (sorted(each, key=lambda problem: (problem.file, problem.line, problem.key)) for each in found)
    if json_:
        print_json(
            {
                "ok": not problems,
                "slos": [slo.name for slo in policy.slos],
                "problems": [_problem_json(each) for each in problems],
                "unsupported": [_problem_json(each) for each in foreign],
            }
        )
    else:
        for each in problems:
            _print_problem(str(each), each)
        for each in foreign:
            _print_problem(f"{each} (not supported)", each)
        if not problems:
            names = ", ".join(slo.name for slo in policy.slos) or "no SLO"
            said = "cannot be computed here" if foreign else "fine"
            console.print(plain_text(f"{names}: {said}"), soft_wrap=True)
    if problems:
        raise typer.Exit(EXIT_NO)


def _print_problem(said: str, problem: "Problem") -> None:
    """What is wrong, and below it the line that it is about."""
    console.print(plain_text(said), soft_wrap=True)
    lines = Path(problem.file).read_text(encoding="utf8").splitlines()
    if 1 <= problem.line <= len(lines):
        text = lines[problem.line - 1]
        shown = text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"
        console.print(plain_text(f"{problem.line:>6} | {shown}"), soft_wrap=True, style="dim")


def preview(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="OpenSLO v1 files; they are read together.")],
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="First day, or an instant with its zone.")],
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Up to here, itself not in it.", show_default="now")
    ] = None,
    tenant: Tenants = None,
    slo: Annotated[str | None, typer.Option("--slo", metavar="S", help="This SLO only.", show_default="all")] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what SLOs would have said over a time that has passed, and every alert that they would have sent.

    Counted from the records that are in the lake now; each tenant's log records that they were read. Nothing is kept or sent.
    """
    from dataclasses import asdict

    from muniment.slo_trial import preview as preview_files
    from muniment.wiring import command_context
    from warehouse.clock import utc_text
    from warehouse.policies import read_files

    for file in files:
        if not file.is_file():
            raise InputError(f"slo preview: expected a file, got {str(file)!r}")
    context = command_context(lake)
    found = preview_files(
        context,
        read_files("slo", files),
        tenants=tenant,
        slo=slo,
        begin_unix_nano=_instant(begin, "--from"),
        end_unix_nano=context.clock() if end is None else _instant(end, "--to"),
    )
    if json_:
        alerts = [
            {
                **asdict(each),
                "begin": utc_text(each.begin_unix_nano),
                "end": None if each.end_unix_nano is None else utc_text(each.end_unix_nano),
            }
            for each in found.alerts
        ]
        print_json({"figures": [each.to_json() for each in found.figures], "alerts": alerts})
        return
    _print_figures(found.figures)
    for each in found.alerts:
        until = "the end" if each.end_unix_nano is None else utc_text(each.end_unix_nano)
        line = f"{each.severity}: {each.tenant}: {each.slo} ({each.condition}) from {utc_text(each.begin_unix_nano)} to {until}"
        console.print(plain_text(line), soft_wrap=True)
    if not found.alerts:
        console.print("no alert would have been sent")


def _instant(text: str, option: str) -> int:
    """Nanoseconds since 1970 of a day (its begin in UTC) or of an instant."""
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InputError(
            f"slo preview: {option}: expected a day or a time such as 2026-10-01T00:00:00Z, got {text!r}"
        ) from exc
    return int((found.replace(tzinfo=UTC) if found.tzinfo is None else found).timestamp()) * 1_000_000_000


def compute(
    tenant: Tenants = None,
    settled: Annotated[
        bool, typer.Option("--settled", help="Leave no young record alone: nothing more will come that belongs to it.")
    ] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Count every record that is new since the last time. Exit code 1 where an indicator's query failed."""
    from muniment.slos import compute_slos
    from muniment.wiring import command_context

    run = compute_slos(command_context(lake), tenants=tenant, settled=settled)
    if json_:
        print_json(_run_json(run))
    else:
        for each in run.counted:
            late = f", {each.late:,} of them late" if each.late else ""
            line = f"{each.tenant}: {each.events:,} events in {each.windows:,} windows are new{late}"
            console.print(plain_text(line), soft_wrap=True)
        if not run.counted:
            console.print("no tenant has records")
        for name, why in run.problems.items():
            notes.print(plain_text(f"{name}: not counted: {why}"), soft_wrap=True)
        _print_unknown(run)
        _print_alerts(run)
    if run.problems:
        raise typer.Exit(EXIT_NO)


def status(
    tenant: Tenants = None,
    slo: Annotated[str | None, typer.Option("--slo", metavar="S", help="This SLO only.", show_default="all")] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Show attainment, error budget, coverage and burn rates as they were counted last. Exit code 1 where a budget is spent.

    Unknown is not good: what was not measured is shown as such, and fewer events than an SLO's minimum give no verdict. *left* is
    what is left of the error budget, *seen* the share of windows that were measured (and how many were excluded for planned
    maintenance), *burn* how near the nearest alert is: its burn rate as a share of its factor, in its longer window.
    """
    from muniment.slos import slo_figures
    from muniment.wiring import command_context

    run = slo_figures(command_context(lake), tenants=tenant, slo=slo)
    if json_:
        print_json({"figures": [each.to_json() for each in run.figures], "alerts": _alerts_json(run)})
    else:
        _print_figures(run.figures)
        _print_unknown(run)
        _print_alerts(run)
    if any(figure.state == "spent" for figure in run.figures):
        raise typer.Exit(EXIT_NO)


def _print_unknown(run: "SloRun") -> None:
    for name, tenants in run.unknown_tenants.items():
        text = f"{name}: expected tenants of this lake, got {', '.join(tenants)}: nothing is counted there"
        notes.print(plain_text(text), soft_wrap=True)


def _print_figures(figures: "Sequence[Figure]") -> None:
    """A table a tenant: figures of eleven columns would not fit into a terminal's width."""
    from rich.table import Table

    several = Counter((figure.tenant, figure.slo) for figure in figures)
    for tenant in dict.fromkeys(figure.tenant for figure in figures):
        view = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("slo", "state", "good", "target", "left", "events", "seen", "burn"):
            view.add_column(title, justify="left" if title in {"slo", "state"} else "right", no_wrap=True)
        for figure in figures:
            if figure.tenant == tenant:
                name = figure.slo if several[tenant, figure.slo] == 1 else f"{figure.slo}: {figure.objective}"
                view.add_row(*map(plain_text, (name, *_cells(figure))))
        console.print(plain_text(tenant), style="bold")
        console.print(view)
    if not figures:
        console.print("no SLO is in force for these tenants")


def _cells(figure: "Figure") -> tuple[str, ...]:
    from pipelines.slo.durations import duration_text

    burning = max(figure.burns, key=lambda burn: (burn.long_burn or 0) / burn.factor, default=None)
    fastest = ""
    if burning is not None and burning.long_burn:
        fastest = f"{burning.long_burn / burning.factor:.0%} {duration_text(burning.long_seconds)}"
    excluded = f" -{figure.excluded_windows}" if figure.excluded_windows else ""
    return (
        figure.state,
        _share(figure.attainment),
        f"{figure.target * 100:g}%",
        _share(figure.budget_remaining),
        f"{figure.total:,}",
        f"{_share(figure.coverage)}{excluded}",
        fastest,
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.1f}%"


def _print_alerts(run: "SloRun") -> None:
    for alert in run.alerts:
        line = f"{alert.severity}: {alert.tenant}: {alert.summary} ({alert.description})"
        console.print(plain_text(line), soft_wrap=True)


def _print_maintenance(policy: "SloPolicy") -> None:
    from warehouse.clock import utc_text

    for each in policy.maintenance:
        span = f"{utc_text(each.begin_unix_nano)} to {utc_text(each.end_unix_nano)}"
        console.print(plain_text(f"planned maintenance {each.name}: {span}, excluded ({each.reason})"), soft_wrap=True)


def _slo_json(slo: "Slo") -> dict[str, Any]:
    from pipelines.slo.counting import count_sql

    return {
        "name": slo.name,
        "title": slo.title,
        "service": slo.service,
        "window": str(slo.window),
        "method": slo.method,
        "watched": slo.watched,
        "minimum_events": slo.minimum_events,
        "tenants": sorted(slo.tenants),
        "alerts": [policy.name for policy in slo.policies],
        "objectives": [
            {
                "name": each.name,
                "target": each.target,
                "sli": each.series.name,
                "query": each.series.query_hash,
                "sql": count_sql(each.series)[0].strip(),
                "parameters": count_sql(each.series)[1],
            }
            for each in slo.objectives
        ],
    }


def _run_json(run: "SloRun") -> dict[str, Any]:
    return {
        "counted": [
            {"tenant": each.tenant, "events": each.events, "windows": each.windows, "late": each.late}
            for each in run.counted
        ],
        "problems": run.problems,
        "alerts": _alerts_json(run),
    }


def _alerts_json(run: "SloRun") -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [{**asdict(alert), "fingerprint": alert.fingerprint} for alert in run.alerts]


def _problem_json(problem: "Problem") -> dict[str, Any]:
    return {"file": problem.file, "line": problem.line, "key": problem.key, "message": problem.message}
