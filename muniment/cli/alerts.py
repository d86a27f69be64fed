"""`muniment alert list|test|watch`: what fires, whether targets hear of it, and the loop that tells them."""

import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, plain_text, print_json

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from muniment.alerting import Round
    from pipelines.alerts.courier import Turn

EXIT_NO = 1


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Alerts out: what fires, and who is told.", no_args_is_help=True)
    group.command("list", epilog="Examples: muniment alert list\n\nmuniment alert list --all --tenant acme --json")(
        list_
    )
    group.command("test", epilog="Example: muniment alert test pager")(send_test_)
    group.command("watch", epilog="Examples: muniment alert watch\n\nmuniment alert watch --once --json")(watch)
    app.add_typer(group, name="alert")


def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also what ended in the last days.")] = False,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="T", help="Of this tenant only.")] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """What fires now, since when, and which targets were told."""
    from governance.access import Action
    from muniment.alert_list import read_alerts
    from muniment.wiring import command_context

    context = command_context(lake)
    context.check(Action.ALERT_READ, tenant)
    found = read_alerts(context, tenant, ended=all_)
    if json_:
        print_json(found)
        return
    if not found:
        console.print("[dim]nothing fires[/]" if not all_ else "[dim]no alerts[/]")
        return
    _print_alerts(found)


def send_test_(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Its name in the settings.")],
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Send a target a test alert, marked as one, and say what it answered; exit code 1 where it was not taken."""
    from governance.access import Action
    from muniment.alert_test import send_test
    from muniment.wiring import command_context

    context = command_context(lake)
    context.check(Action.ALERT_SEND)
    sent = send_test(context, target)
    if json_:
        print_json({"target": sent.target, "taken": sent.taken, "answer": sent.answer, "fingerprint": sent.fingerprint})
    elif sent.taken:
        console.print(f"{sent.target} took the test alert: {sent.answer}", markup=False, soft_wrap=True)
    else:
        notes.print(sent.answer, markup=False, soft_wrap=True)
    raise typer.Exit(0 if sent.taken else EXIT_NO)


def watch(
    once: Annotated[bool, typer.Option("--once", help="One round and one delivery to each target, then end.")] = False,
    lake: LakeOption = None,
    json_: Annotated[bool, typer.Option("--json", help="With --once: print JSON for machines.")] = False,
) -> None:
    """Evaluate and tell the targets, round after round, until SIGTERM or Ctrl-C; `muniment up` runs this.

    With --once the exit code is 1 where a source could not be evaluated or a target did not take what was due.
    """
    from governance.access import Action
    from muniment.alert_sources import SOURCES
    from muniment.alerting import AlertWatch
    from muniment.wiring import command_context

    context = command_context(lake)
    context.check(Action.ALERT_SEND)
    loop = AlertWatch(context, SOURCES, say=_say)
    if once:
        done, turns = loop.run_once()
        _print_once(done, turns, json_=json_)
        failed = done.problems or any(turn.problem for turn in turns.values())
        raise typer.Exit(EXIT_NO if failed else 0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.request_stop())
    if not context.settings.alerts.targets:
        _say("no targets in the settings: alerts are recorded and listed, and nobody is told")
    loop.run()


def print_alert_status(status: dict[str, Any]) -> None:
    """The lines of `muniment status` on alerts."""
    from warehouse.clock import NANOS_PER_SECOND, system_clock, utc_text

    last = status["last_round"]
    if last is None:
        console.print("[dim]alerts: no round ever ended: `muniment up` runs them[/]")
    else:
        counts = ", ".join(f"{count} {severity}" for severity, count in sorted(status["firing"].items())) or "nothing"
        age = (system_clock() - last["round_unix_nano"]) / NANOS_PER_SECOND
        late = abs(age) > 3 * last["interval_seconds"]
        console.print(
            f"alerts: {counts} firing; last round {utc_text(last['round_unix_nano'])} took {last['round_seconds']:.1f} s"
            + (f", {age:,.0f} s ago: expected one each {last['interval_seconds']:g} s" if late else ""),
            markup=False,
            style="red" if late else None,
            soft_wrap=True,
        )
        for problem in last["problems"]:
            console.print(f"  problem: {problem}", markup=False, style="red", soft_wrap=True)
    if status["not_recorded"]:
        console.print(f"  {status['not_recorded']} alerts are not on record yet", style="red")
    for target in status["targets"]:
        _print_queue(target)


def _print_queue(queue: dict[str, Any]) -> None:
    from warehouse.clock import utc_text

    last = queue["last_sent_unix_nano"]
    since = queue["oldest_unix_nano"]
    console.print(
        f"  target {queue['target']} ({queue['type']}): {queue['waiting']} queued"
        + (f" since {utc_text(since)}" if since else "")
        + f", last delivery {utc_text(last) if last else 'never'}",
        markup=False,
        soft_wrap=True,
    )
    if queue["problem"]:
        console.print(f"  problem: {queue['problem']}", markup=False, style="red", soft_wrap=True)


def _print_once(done: "Round", turns: "dict[str, Turn]", *, json_: bool) -> None:
    from dataclasses import asdict

    if json_:
        print_json({**asdict(done), "targets": {name: asdict(turn) for name, turn in turns.items()}})
        return
    console.print(
        f"round of {done.seconds:.1f} s: {done.firing} fire, {done.began} began, {done.ended} ended", markup=False
    )
    for problem in done.problems:
        notes.print(f"problem: {problem}", markup=False, style="red", soft_wrap=True)
    for name, turn in turns.items():
        console.print(f"target {name}: {turn.sent} delivered, {turn.failed} not", markup=False)
        if turn.problem:
            notes.print(f"problem: {turn.problem}", markup=False, style="red", soft_wrap=True)


def _print_alerts(found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from muniment.cli.table import PIPE_WIDTH, wide_enough

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("severity", "tenant", "alert", "since", "until", "told", "summary"):
        table.add_column(title, no_wrap=title in {"severity", "since", "until"}, overflow="fold")
    for alert in found:
        told = ", ".join(each["target"] for each in alert["told"] if each["current"]) or "-"
        cells = (
            alert["severity"], alert["tenant"], alert["name"], alert["starts_at"][:19], (alert["ends_at"] or "-")[:19],
            told, alert["summary"],
        )  # fmt: skip
        table.add_row(*map(plain_text, cells))
    wide_enough(console, PIPE_WIDTH).print(table)


def _say(text: str) -> None:
    notes.print(f"alerts: {text}", markup=False, soft_wrap=True)
