"""`muniment prove`, `muniment verify-proof` and `muniment ledger list|export|vkey|rotate-key`."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import (
    JsonOption,
    LakeOption,
    TenantOption,
    console,
    notes,
    on_terminal,
    plain_text,
    print_json,
)
from muniment.cli.verifier_keys import WITNESS_HINT, check_quorum, read_keys
from warehouse.durable import replace_file
from warehouse.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from muniment.proving import LogState
    from muniment.rotating import Rotated

EXIT_NO = 1
EXIT_NOT_ESTABLISHED = 4
_DURATION = re.compile(r"([0-9]{1,12})([dhms])")
_LONGEST_OVERLAP_SECONDS = 3_650 * 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}

OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write to this file, mode 0600.", show_default="standard output"),
]
TenantFilter = Annotated[
    str | None, typer.Option("--tenant", metavar="T", help="Only this tenant's logs.", show_default="all")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("prove", epilog="Example: muniment prove --tenant acme --index 42 --out record.tlog-proof")(prove)
    app.command("verify-proof", epilog="Example: muniment verify-proof record.tlog-proof --vkey lake.vkey")(
        verify_proof
    )
    group = typer.Typer(help="The logs: their heads, static copies, and the key that signs them.", no_args_is_help=True)
    group.command("list", epilog="Example: muniment ledger list --tenant acme")(list_)
    group.command("export", epilog="Example: muniment ledger export ./logs --tenant acme")(export)
    group.command("vkey", epilog="Example: muniment ledger vkey --out lake.vkey")(vkey)
    group.command("rotate-key", epilog="Example: muniment ledger rotate-key --overlap 30d")(rotate_key)
    app.add_typer(group, name="ledger")


def prove(
    tenant: TenantOption,
    index: Annotated[
        int, typer.Option("--index", metavar="N", min=0, help="The record's place: its column log_index.")
    ],
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="S", help="The record's column shard, where the tenant has several logs."),
    ] = None,
    out: OutOption = None,
    lake: LakeOption = None,
) -> None:
    """Print the proof of one record: its content, its place in the log, and the signed checkpoint. Recorded."""
    from muniment.proving import prove_one
    from muniment.wiring import command_context

    proof = prove_one(command_context(lake), tenant, index, shard)
    _write(proof.content, out)
    if not proof.holds_record:
        why = (
            "it was purged, and a certificate in this lake says so (`muniment verify` checks it)"
            if proof.purged
            else "no certificate says that it was purged: it is missing (`muniment verify` says more)"
        )
        notes.print(
            f"no table has a row at index {index} of {proof.log}: {why}.\n"
            "The proof shows that an entry stands at that index, not what it said.",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(EXIT_NOT_ESTABLISHED)


def verify_proof(
    proof: Annotated[str, typer.Argument(metavar="PROOF", help="File of the proof, or - for standard input.")],
    vkey_: Annotated[
        list[str],
        typer.Option(
            "--vkey", metavar="KEY|FILE", help="Key of the lake or log that you trust, or a file of such; repeatable."
        ),
    ],
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", metavar="KEY|FILE", help="Key of a witness that you trust; repeatable."),
    ] = None,
    require_witness: Annotated[
        int, typer.Option("--require-witness", metavar="N", min=0, help="How many of them must have cosigned.")
    ] = 0,
    json_: JsonOption = False,
) -> None:
    """Check a proof offline, with keys of your own alone: no lake is read. Says what is established and what is not."""
    from warehouse.ledger.cosignature import WitnessVerifier
    from warehouse.ledger.errors import LedgerError
    from warehouse.ledger.note import Ed25519Verifier
    from warehouse.ledger.proof_report import check_proof
    from warehouse.ledger.tlog_proof import TlogProof

    content = _read_bytes(proof)
    try:
        parsed = TlogProof.parse(content)
    except LedgerError as exc:
        raise InputError(f"{proof}: {exc}", hint="`muniment prove` makes such files") from exc
    keys = read_keys(vkey_, Ed25519Verifier.from_vkey, "--vkey")
    witnesses = read_keys(witness or (), WitnessVerifier.from_vkey, "--witness", hint=WITNESS_HINT)
    check_quorum(require_witness, witnesses)
    try:
        report = check_proof(
            parsed,
            vkeys=[key.vkey for key in keys],
            witnesses=[key.vkey for key in witnesses],
            quorum=require_witness,
        )
    except LedgerError as exc:
        if json_:
            print_json({"proved": False, "reason": str(exc)})
        else:
            console.print("[bold red]not proved:[/]", end=" ")
            console.print(plain_text(str(exc)), soft_wrap=True)
            if exc.hint:
                console.print(f"  {exc.hint}", markup=False, style="dim", soft_wrap=True)
        raise typer.Exit(EXIT_NO) from exc
    if json_:
        print_json({"proved": True, **report.to_json()})
        return
    for line in report.lines():
        console.print(plain_text(line), soft_wrap=True)


def list_(lake: LakeOption = None, tenant: TenantFilter = None, json_: JsonOption = False) -> None:
    """List the logs: origin, size, root, by which keys signed, when they last grew."""
    from muniment.proving import log_states
    from muniment.wiring import command_context

    states = log_states(command_context(lake), tenant)
    if json_:
        print_json([state.to_json() for state in states])
        return
    if not states:
        console.print("no log yet: one begins with a tenant's first record")
        return
    _print_logs(states)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the copies go: DIR/<tenant>/<shard>.")],
    lake: LakeOption = None,
    tenant: TenantFilter = None,
    json_: JsonOption = False,
) -> None:
    """Write or continue static copies of the logs, in the format of C2SP tlog-tiles. Recorded; safe beside collectors."""
    from muniment.proving import export_logs
    from muniment.wiring import command_context

    exported = export_logs(command_context(lake), folder, tenant, progress=_show_progress if on_terminal() else None)
    if json_:
        print_json([
            {"origin": log.checkpoint.origin, "size": log.checkpoint.size, "size_before": log.size_before, "folder": str(log.folder)}
            for log in exported
        ])  # fmt: skip
        return
    for log in exported:
        added = log.checkpoint.size - log.size_before
        console.print(
            f"{log.folder}: size {log.checkpoint.size:,}, {added:,} entries new", markup=False, soft_wrap=True
        )


def vkey(lake: LakeOption = None, out: OutOption = None, json_: JsonOption = False) -> None:
    """Print the lake's public keys, newest first, one a line: what a verifier gives as --vkey."""
    from muniment.proving import public_keys
    from muniment.wiring import command_context

    keys = public_keys(command_context(lake))
    if json_:
        print_json([key.to_json() for key in keys])
    else:
        _write("".join(f"{key.vkey}\n" for key in keys).encode(), out)


def rotate_key(
    lake: LakeOption = None,
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Somebody else has the key: it signs nothing from now on.")
    ] = False,
    compromised_since: Annotated[
        str | None,
        typer.Option(
            "--compromised-since",
            metavar="TIME",
            help="Since when somebody else may have had it, as 2026-11-23T14:00Z: cosignatures made later count for nothing. "
            "With --compromised.",
            show_default="now",
        ),
    ] = None,
    overlap: Annotated[
        str | None,
        typer.Option(
            "--overlap",
            metavar="TIME",
            help="How long checkpoints carry both signatures, as 30d, 12h, 90m or 0s.",
            show_default="rotation_overlap_days",
        ),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Put a new signing key in force; the old one signs beside it until the overlap ends. Recorded in the lake's own log."""
    from muniment.rotating import rotate_signing_key, rotated_json
    from muniment.wiring import command_context

    context = command_context(lake)
    if compromised and overlap is not None:
        raise InputError("expected --compromised or --overlap, got both: a compromised key has no overlap")
    if compromised_since is not None and not compromised:
        raise InputError("--compromised-since: expected --compromised beside it, got none")
    since = None if compromised_since is None else read_instant(compromised_since)
    seconds = context.settings.rotation_overlap_days * _SECONDS["d"] if overlap is None else read_duration(overlap)
    rotated = rotate_signing_key(
        context, compromised=compromised, overlap_seconds=seconds, compromised_since_unix_nano=since
    )
    if json_:
        print_json(rotated_json(rotated))
    else:
        _print_rotated(rotated)
    if rotated.failed:
        raise typer.Exit(EXIT_NO)


def read_duration(text: str) -> int:
    """Seconds of `30d`, `12h`, `90m` or `45s`.

    Raises:
        InputError: none of these, or more than ten years.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InputError(f"--overlap: expected a number with d, h, m or s, as 30d, got {text!r}")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > _LONGEST_OVERLAP_SECONDS:
        raise InputError(f"--overlap: expected at most 3650d, got {text}")
    return seconds


def read_instant(text: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time; one without a zone is UTC.

    Raises:
        InputError: it is none.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InputError(f"--compromised-since: expected a time as 2026-11-23T14:00Z, got {text!r}") from exc
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1_000


def _write(content: bytes, out: Path | None) -> None:
    """Write to the file, whole or not at all, or to standard output.

    Raises:
        UnavailableError: the file cannot be written.
    """
    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        replace_file(out, content)
    except OSError as exc:
        raise UnavailableError(f"--out {out}: cannot be written: {exc.strerror or exc}") from exc


def _read_bytes(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as exc:
        raise InputError(f"{name}: cannot be read: {exc.strerror or exc}") from exc


def _show_progress(origin: str, done: int, of_all: int) -> None:
    notes.print(f"\r{origin}: {done:,} of {of_all:,}", end="" if done < of_all else "\n", markup=False)


def _print_logs(states: "list[LogState]") -> None:
    from rich.table import Table

    from warehouse.clock import utc_text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("origin", "size", "root", "signed by", "last grown"):
        table.add_column(title, justify="right" if title == "size" else "left", no_wrap=title != "signed by")
    for state in states:
        signers = ", ".join(state.signed_by) or "no key of this lake"
        table.add_row(state.origin, f"{state.size:,}", state.root[:12] + "…", signers, utc_text(state.grown_unix_nano))
    console.print(table)


def _print_rotated(rotated: "Rotated") -> None:
    from warehouse.clock import utc_text

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    if rotated.resumed:
        say("finished a rotation that was interrupted, with the key that it had made")
    say(f"in force: {rotated.vkeys[0]}")
    if rotated.compromised:
        say(f"compromised, signs nothing any more: {rotated.vkeys[1]}")
        since = utc_text(rotated.compromised_since_unix_nano or 0)
        say(f"what no witness cosigned by {since} is not established: see docs/runbooks/key-compromise.md")
    else:
        say(f"signs beside it until {utc_text(rotated.overlap_ends_unix_nano)}: {rotated.vkeys[1]}")
    say(f"{rotated.signed_again} checkpoints signed again")
    if rotated.left:
        say(f"{len(rotated.left)} logs are signed again by the process that writes them, with its next commit")
    for problem in rotated.failed:
        notes.print(f"not signed again: {problem}", markup=False, soft_wrap=True)
