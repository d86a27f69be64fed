"""`muniment status`."""

from typing import TYPE_CHECKING, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, plain_text, print_json

if TYPE_CHECKING:
    from rich.table import Table


_MIB = 1024 * 1024
_NANOS = 1_000_000_000


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("status", epilog="Example: muniment status --senders")(status)


def status(
    lake: LakeOption = None,
    senders: bool = typer.Option(False, "--senders", help="Also who sends what, in which dialect."),
    json_: JsonOption = False,
) -> None:
    """Tables, rows, files, lag and queue of this lake; with --senders who sends what."""
    from muniment.lake_status import read_status
    from muniment.wiring import command_context

    context = command_context(lake)
    content = read_status(context, senders=senders)
    if json_:
        print_json(content)
        return
    _print(content)


def _print(content: dict[str, Any]) -> None:
    from rich.table import Table

    from muniment.cli.alerts import print_alert_status
    from muniment.cli.table import PIPE_WIDTH, wide_enough

    console.print(f"[bold]lake[/] {content['lake']}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("tenant", "table"):
        table.add_column(title)
    for title in ("rows", "files", "MiB", "newest"):
        table.add_column(title, justify="right")
    for row in content["tables"]:
        table.add_row(
            row["tenant_id"], row["table"], f"{row['rows']:,}", f"{row['files']:,}",
            f"{row['size_bytes'] / _MIB:,.1f}", _time(row["newest_unix_nano"]),
        )  # fmt: skip
    if content["tables"]:
        wide_enough(console, PIPE_WIDTH).print(table)
    else:
        console.print("[dim]no rows yet[/]")
    if not content["collectors"]:
        console.print("[dim]no collector runs[/]")
    for collector in content["collectors"]:
        _print_collector(collector)
    for policy in content["policies"]:
        _print_policy(policy)
    _print_witnesses(content["witnesses"])
    _print_schedules(content["schedules"])
    print_alert_status(content["alerts"])
    holds = content["holds"]
    asked = f", {holds['release_asked']} waiting for a second principal to release it" if holds["release_asked"] else ""
    console.print(f"holds in force: {holds['in_force']}{asked}", markup=False, highlight=False)
    _print_incidents(content["incidents"])
    checkpoint = content["last_checkpoint_unix_nano"]
    when = _time(checkpoint) if checkpoint else "none yet"
    purge = content["last_purge"]
    purged = _time(purge["unix_nano"]) if purge["unix_nano"] else "none yet"
    begun = purge["intents"] - purge["certificates"]
    open_ones = f" ({begun} begun and not finished: `muniment retention apply`)" if begun > 0 else ""
    console.print(f"last checkpoint: {when}   last purge: {purged}{open_ones}", style="dim", markup=False)
    if "senders" in content:
        wide_enough(console, PIPE_WIDTH).print(senders_table(content["senders"]))


def senders_table(senders: list[dict[str, Any]]) -> "Table":
    """Who sends what, for a terminal of 80 columns: keys and services stand whole, the rest folds."""
    from rich.table import Table

    rows = [
        (
            row["tenant_id"], row["recorded_by"].removeprefix("key:"), row["service_name"] or "-", row["dialect"],
            f"{row['spans']:,}", f"{row['cost_unknown']:,}", _short_time(row["last_received_unix_nano"]),
        )
        for row in senders
    ]  # fmt: skip
    table = Table(box=None, pad_edge=False, header_style="dim", title="senders", title_justify="left")
    for at, title in enumerate(("tenant", "key", "service", "dialect", "spans", "no cost", "last, UTC")):
        whole = title not in {"tenant", "dialect"}
        table.add_column(
            title,
            justify="right" if title in {"spans", "no cost"} else "left",
            overflow="fold",
            no_wrap=whole,
            min_width=max(len(title), *(len(row[at]) for row in rows)) if whole and rows else None,
        )
    for row in rows:
        table.add_row(*map(plain_text, row))
    return table


def _print_collector(collector: dict[str, Any]) -> None:
    if not collector.get("ok"):
        console.print(f"collector {collector['shard_name']}: does not answer: {collector.get('error')}", markup=False)
        return
    from warehouse.clock import system_clock

    writer = collector["writer"]
    oldest = writer["oldest_pending_unix_nano"]
    lag = (system_clock() - oldest) / _NANOS if oldest else 0.0
    console.print(
        f"collector {writer['shard']}: HTTP {collector['http_port']}, gRPC {collector['grpc_port']}; "
        f"{collector['waiting_requests']} requests waiting, {writer['pending_rows']} rows in the journal, lag {lag:.1f} s; "
        f"last commit {_time(writer['last_commit_unix_nano'])} took {writer['last_commit_seconds']:.2f} s",
        markup=False,
        soft_wrap=True,
    )
    rounds = collector["witness_rounds"]
    for problem in (
        *collector["problems"],
        *collector["redaction_policy"]["problems"],
        *rounds["problems"],
        *filter(None, rounds["witnesses"].values()),
    ):
        console.print(f"  problem: {problem}", markup=False, style="red", soft_wrap=True)


def _print_policy(policy: dict[str, Any]) -> None:
    from muniment.policies import policy_text

    console.print(policy_text(policy), markup=False, soft_wrap=True)
    if policy["problem"]:
        console.print(f"  problem: {policy['problem']}", markup=False, style="red", soft_wrap=True)


def _print_witnesses(witnesses: list[dict[str, Any]]) -> None:
    from warehouse.clock import system_clock

    for witness in witnesses:
        last = witness["last_cosigned_unix_nano"]
        ago = f", {(system_clock() - last) / _NANOS:,.0f} s ago" if last else ""
        up_to_date = witness["logs"] - witness["logs_behind"]
        console.print(
            f"witness {witness['name']} ({witness['url']}) last cosigned {_time(last)}{ago}; "
            f"{up_to_date} of {witness['logs']} logs of _lake up to date",
            markup=False,
            soft_wrap=True,
        )


def _print_incidents(incidents: dict[str, Any]) -> None:
    console.print(
        f"incidents open: {incidents['open']}, {incidents['unattended']} not acknowledged",
        markup=False,
        highlight=False,
    )
    for failing in incidents["failing_rules"]:
        console.print(
            plain_text(
                f"  incident rule {failing['rule']} fails for {failing['tenant']} since "
                f"{_time(failing['since_unix_nano'])}: {failing['problem']}"
            ),
            style="red",
            soft_wrap=True,
        )


def _print_schedules(schedules: dict[str, Any] | None) -> None:
    if schedules is None:
        console.print("[dim]no schedule ever ran: `muniment up` runs them[/]")
        return
    if schedules["problem"]:
        console.print(f"schedules: cannot be read: {schedules['problem']}", markup=False, style="red", soft_wrap=True)
        return
    console.print(f"schedules: last heartbeat {_time(schedules['heartbeat_unix_nano'] or 0)}", markup=False)
    for name, last in schedules["last_runs"].items():
        style = "red" if last["status"] == "failure" else None
        line = f"  {name}: {last['status']}, {_time(last['asked_unix_nano'])}"
        console.print(line, markup=False, style=style, highlight=False)


def _time(unix_nano: int) -> str:
    from warehouse.clock import utc_text

    return utc_text(unix_nano) if unix_nano else "never"


def _short_time(unix_nano: int) -> str:
    """Month, day, hour and minute."""
    return _time(unix_nano)[5:16].replace("T", " ") if unix_nano else "never"
