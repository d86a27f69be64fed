"""`muniment slo list|lint|compute|status`: service-level objectives, counted from the lake's records."""

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
    group.command("compute", epilog="Examples: muniment slo compute\n\nmuniment slo compute --tenant acme --json")(
        compute
    )
    group.command(
        "status", epilog="Examples: muniment slo status\n\nmuniment slo status --tenant acme --slo task-success"
    )(status)
    app.add_typer(group, name="slo")


def list_(lake: LakeOption = None, json_: JsonOption = False) -> None:
    """List the SLOs in force: what each counts, its target, its window, and whom it pages. With --json also the SQL."""
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
    for title in ("slo", "service", "target", "objective", "window", "method", "alerts", "for"):
        view.add_column(title, justify="right" if title == "target" else "left")
    for slo in policy.slos:
        for objective in slo.objectives:
            target = "watched" if slo.watched else f"{objective.target * 100:g} %"
            alerts = ", ".join(each.name for each in slo.policies) or "none"
            whom = ", ".join(sorted(slo.tenants)) or "every tenant"
            cells = (slo.name, slo.service, target, objective.name, str(slo.window), slo.method, alerts, whom)
            view.add_row(*map(plain_text, cells))
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
    policy, problems, foreign = lint_bundle(read_files("slo", files), local_principal())
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
            console.print(plain_text(str(each)), soft_wrap=True)
        for each in foreign:
            console.print(plain_text(f"{each} (not supported)"), soft_wrap=True)
        if not problems:
            names = ", ".join(slo.name for slo in policy.slos) or "no SLO"
            said = "cannot be computed here" if foreign else "fine"
            console.print(plain_text(f"{names}: {said}"), soft_wrap=True)
    if problems:
        raise typer.Exit(EXIT_NO)


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

    Unknown is not good: what was not measured is shown as such, and fewer events than an SLO's minimum give no verdict.
    """
    from muniment.slos import slo_figures
    from muniment.wiring import command_context

    run = slo_figures(command_context(lake), tenants=tenant, slo=slo)
    if json_:
        print_json({"figures": [each.to_json() for each in run.figures], "alerts": _alerts_json(run)})
    else:
        _print_figures(run)
        _print_alerts(run)
    if any(figure.state == "spent" for figure in run.figures):
        raise typer.Exit(EXIT_NO)


def _print_figures(run: "SloRun") -> None:
    from rich.table import Table

    view = Table(box=None, pad_edge=False, header_style="dim")
    for title in (
        "tenant",
        "slo",
        "state",
        "good",
        "target",
        "budget left",
        "events",
        "measured",
        "excluded",
        "fastest burn",
    ):
        view.add_column(title, justify="left" if title in {"tenant", "slo", "state", "fastest burn"} else "right")
    for figure in run.figures:
        view.add_row(*map(plain_text, _cells(figure)))
    console.print(view if run.figures else "no SLO is in force for these tenants")


def _cells(figure: "Figure") -> tuple[str, ...]:
    name = figure.slo if figure.objective in {"all", figure.slo} else f"{figure.slo}: {figure.objective}"
    burning = max(figure.burns, key=lambda burn: (burn.long_burn or 0) / burn.factor, default=None)
    fastest = ""
    if burning is not None and burning.long_burn is not None:
        from pipelines.slo.durations import duration_text

        fastest = f"{burning.long_burn:.2f} of {burning.factor:g} in {duration_text(burning.long_seconds)}"
    return (
        figure.tenant,
        name,
        figure.state,
        _share(figure.attainment),
        f"{figure.target * 100:g} %",
        _share(figure.budget_remaining),
        f"{figure.total:,}",
        _share(figure.coverage),
        str(figure.excluded_windows or ""),
        fastest,
    )


def _share(value: float | None) -> str:
    return "unmeasured" if value is None else f"{value * 100:.2f} %"


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
