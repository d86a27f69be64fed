"""`muniment verify`: prove every record, its place, and that none is missing."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, on_terminal, print_json
from muniment.cli.verifier_keys import WITNESS_HINT, check_quorum, read_keys
from warehouse.clock import utc_text
from warehouse.errors import InputError, NotFoundError
from warehouse.names import LAKE_TENANT

if TYPE_CHECKING:
    from muniment.wiring import CommandContext
    from warehouse.ledger.verify import VerifyReport
    from warehouse.ledger.verify.job import Progress
    from warehouse.ledger.verify.report import LogReport

EXIT_NO = 1
EXIT_NOT_ESTABLISHED = 4
_SHOWN_FINDINGS = 20
_SHOWN_GAPS = 10
_SHOWN_LOGS = 5
_FRESHNESS_ADVICE = {
    None: "to establish freshness keep your own record with --seen FILE, or name witnesses",
    False: "--seen began to remember with this run: the next one is held against it",
    True: "freshness: --seen did not know these logs before; the next run is held against it",
}

_WITNESS_ADVICE = "to establish freshness verify again after the lake's next round of witnesses"

Tenants = Annotated[
    list[str] | None,
    typer.Option("--tenant", "-t", metavar="T", help="Only this tenant and the lake's own log; repeatable."),
]
Vkeys = Annotated[
    list[str] | None,
    typer.Option(
        "--vkey",
        metavar="FILE",
        help="Public key of the lake's logs, got from its operator: a file or the key itself; repeatable.",
    ),
]
SeenFile = Annotated[
    Path | None,
    typer.Option(
        "--seen", metavar="FILE", help="Your own record of each log's last checkpoint; written after each run."
    ),
]
WitnessKeys = Annotated[
    list[str] | None,
    typer.Option("--witness", metavar="KEY", help="Public key of a witness, a file or the key itself; repeatable."),
]


def register(app: typer.Typer) -> None:
    """Add the command `verify` to the command line."""
    app.command(
        "verify",
        epilog="Examples: muniment verify --vkey lake.vkey --seen seen.json\n\n"
        "muniment verify --tenant acme --since --seen seen.json --jobs 2 --json",
    )(verify)


def verify(
    *,
    tenant: Tenants = None,
    vkey: Vkeys = None,
    seen: SeenFile = None,
    since: Annotated[bool, typer.Option("--since", help="Only what came after the checkpoints in --seen.")] = False,
    require_witness: Annotated[
        int,
        typer.Option("--require-witness", metavar="N", min=0, help="At least so many of --witness must have cosigned."),
    ] = 0,
    witness: WitnessKeys = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 4 when signer or freshness is not established.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, max=256, help="Processes.")] = 1,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Recompute every commitment from the tables, every root from the entries, and account for every index.

    Exit code 0: proved or consistent; 1: broken; 4: consistent only, with --strict, or for want of witnesses that
    --require-witness asks for.
    """
    from muniment.wiring import command_context
    from warehouse.ledger.cosignature import WitnessVerifier
    from warehouse.ledger.note import Ed25519Verifier
    from warehouse.ledger.verify import Result, VerifyOptions, check_seen, read_seen, update_seen, verify_lake
    from warehouse.ledger.verify.heads import LogKeys

    options = VerifyOptions(
        vkeys=read_keys(vkey or (), Ed25519Verifier.from_vkey, "--vkey"),
        seen=read_seen(seen) if seen else None,
        since=since,
        require_witness=require_witness,
        witness_keys=read_keys(witness or (), WitnessVerifier.from_vkey, "--witness", hint=WITNESS_HINT),
        workers=jobs,
    )
    check_quorum(require_witness, options.witness_keys)
    if since and seen is None:
        raise InputError("--since: expected --seen FILE beside it, got none", hint="it says since when")
    context = command_context(lake)
    LogKeys(options.vkeys, context.settings.lake)  # before anything is recorded: keys of another lake end the command
    if seen is not None and options.seen is not None:
        said = check_seen(seen, options.seen, lake_name=context.settings.lake)
        if said is not None:
            notes.print(said, markup=False, soft_wrap=True)
    _announce(context, tenant or ())
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with _progress(shown=on_terminal() and not json_) as progress:
        report = verify_lake(
            context.lake,
            lake_name=context.settings.lake,
            tenants=tenant,
            options=options,
            progress=progress,
            stop=stopping.is_set,
        )
    if seen is not None and options.seen is not None and not report.interrupted:
        update_seen(seen, options.seen, report, clock=context.clock, quorum=options.quorum)
    if json_:
        print_json(report.to_json())
    else:
        print_report(report, remembers=None if options.seen is None else bool(options.seen.logs))
    if report.result is Result.BROKEN:
        raise typer.Exit(EXIT_NO)
    unmet = require_witness and any(log.freshness_note for log in report.logs)
    if report.interrupted or unmet or (strict and report.result is Result.CONSISTENT):
        raise typer.Exit(EXIT_NOT_ESTABLISHED)


def _announce(context: "CommandContext", tenants: Sequence[str]) -> None:
    """Ask whether the principal may read all this, and record that it does, before anything is read.

    The event comes first so that the run does not meet its own traces half-way: it is committed, or above all checkpoints.
    """
    from governance.access import Action

    for name in (*tenants, *(() if tenants else (None,))):  # before anything is said of which tenants there are
        context.check(Action.RECORDS_READ, name)
    there = [tenant.id for tenant in context.control.list_tenants()]
    for name in tenants:
        if name not in {*there, LAKE_TENANT}:
            raise NotFoundError(f"tenant {name}: there is none", hint="`muniment tenant list` names them")
    known = tenants or there
    for name in (*known, *(() if tenants else (LAKE_TENANT,))):
        context.check(Action.RECORDS_READ, name)
    context.record(
        "record.viewed",
        LAKE_TENANT,
        action="verify",
        resource_type="log",
        resource_id=",".join(sorted(tenants)) or "*",
    )


@contextmanager
def _progress(*, shown: bool) -> "Iterator[Progress]":
    """Yield a callback that draws one bar, or one that does nothing."""
    if not shown:
        yield lambda _stage, _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=notes, transient=True) as bar:
        task = bar.add_task("entries", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield show


def print_report(report: "VerifyReport", *, remembers: bool | None = None) -> None:
    """Show a report to a person; `remembers` says whether the verifier's file held anything, None without such a file."""
    from rich.table import Table

    from warehouse.ledger.listening import Ending

    view = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("log", "size", "present", "purged", "missing", "altered", "findings"):
        view.add_column(title, justify="left" if title == "log" else "right", overflow="fold")
    for log in report.logs:
        figures = (log.size, log.present, log.purged, log.missing, log.altered)
        view.add_row(
            f"{log.tenant}/{log.shard}",
            *(f"{figure:,}" for figure in figures),
            f"[red]{len(log.findings)}[/]" if log.findings else "0",
        )
    console.print(view)
    _print_trust(report)
    for log in report.logs:
        _print_findings(log)
    for gap in report.gaps[:_SHOWN_GAPS]:
        kind = "stopped" if gap.ending is Ending.STOPPED else "silent"
        times = f"{utc_text(gap.first_unix_nano)} to {utc_text(gap.last_unix_nano)}"
        console.print(f"nobody listened: {gap.collector} {kind} {times}", markup=False)
    if len(report.gaps) > _SHOWN_GAPS:
        console.print(f"and {len(report.gaps) - _SHOWN_GAPS} more such times (--json lists all)")
    _print_result(report, remembers=remembers)


def _print_trust(report: "VerifyReport") -> None:
    """By what signer and freshness are established, with the logs of which they are not; and what no witness has seen yet."""
    signers: dict[str, list[str]] = {}
    freshness: dict[str, list[str]] = {}
    for log in report.logs:
        name = f"{log.tenant}/{log.shard}"
        signers.setdefault("established" if log.signer_established else "not established", []).append(name)
        freshness.setdefault(log.freshness.value, []).append(name)
    for title, logs_by_state in (("signer", signers), ("freshness", freshness)):
        for state, logs in sorted(logs_by_state.items()):
            named = ", ".join(logs[:_SHOWN_LOGS]) + (", …" if len(logs) > _SHOWN_LOGS else "")
            which = "all logs" if len(logs) == len(report.logs) else f"{len(logs)} of {len(report.logs)} logs: {named}"
            console.print(f"{title} {state}: {which}", markup=False, soft_wrap=True)
    newer = sum(log.size - log.witnessed_size for log in report.logs if 0 < log.witnessed_size < log.size)
    if newer:
        console.print(
            f"{newer:,} records are newer than what witnesses vouch for: of these freshness is not established"
        )


def _print_findings(log: "LogReport") -> None:
    for finding in log.findings[:_SHOWN_FINDINGS]:
        where = "" if finding.index is None else f" {finding.index}"
        until = f"-{finding.last}" if finding.last not in {None, finding.index} else ""
        console.print(f"{log.tenant}/{log.shard}{where}{until}: {finding.kind.value}: {finding.detail}", markup=False)
    if len(log.findings) > _SHOWN_FINDINGS:
        console.print(f"{log.tenant}/{log.shard}: and {len(log.findings) - _SHOWN_FINDINGS} more (--json lists them)")
    for note in (log.signer_note, log.freshness_note):
        if note:
            console.print(f"{log.tenant}/{log.shard}: {note}", markup=False, soft_wrap=True)


def _print_result(report: "VerifyReport", *, remembers: bool | None) -> None:
    from warehouse.ledger.verify import Result

    expired = sum(log.contents.expired for log in report.logs)
    if expired:
        certified = sum(log.contents.certified for log in report.logs)
        without = expired - certified
        said = f"{certified:,} of them under certificates" if certified else "none of them under a certificate"
        more = f"; [bold]{without:,} without any[/]: nobody certified their deletion" if certified and without else ""
        console.print(f"{expired:,} contents that records list are not there any more, {said}{more}")
    if report.interrupted:
        console.print("[bold]stopped before the end[/]: nothing is established")
    elif report.result is Result.BROKEN:
        found = ", ".join(f"{count:,} {kind.value}" for kind, count in report.kinds.items())
        console.print(f"[bold red]broken[/]: {found}")
    elif report.result is Result.PROVED:
        console.print(f"[bold green]proved[/]: {report.records:,} records, every one as signed and in its place")
    else:
        console.print(f"[bold]consistent[/]: {report.records:,} records")
        if any(log.contents.unexplained for log in report.logs):
            console.print("  why contents are gone is not established: no certificate lists them", soft_wrap=True)
        if not all(log.signer_established for log in report.logs):
            console.print("  to establish signers bring the lake's key with --vkey FILE", soft_wrap=True)
        if any(log.freshness_note for log in report.logs):
            console.print(f"  {_WITNESS_ADVICE}", soft_wrap=True)
        elif any(log.freshness.value == "not established" for log in report.logs):
            console.print(f"  {_FRESHNESS_ADVICE[remembers]}", soft_wrap=True)
