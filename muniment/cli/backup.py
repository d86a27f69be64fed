"""`muniment backup` and `muniment restore`: a second copy of the lake, and the lake made from it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, on_terminal, print_json, report_error

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from muniment.backing_up import BackedUp
    from muniment.restoring import Restored
    from warehouse.backup.making import Progress

_MIB = 1024 * 1024

PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="F", help="File whose first line is the passphrase; else it is asked for."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "backup",
        epilog="Examples: muniment backup\n\nmuniment backup /mnt/backup/acme\n\n"
        "muniment backup --keys /secure/acme.keys --passphrase-file /secure/passphrase",
    )(backup)
    app.command(
        "restore",
        epilog="Examples: muniment restore /mnt/backup/acme --to lake --vkey acme.vkey\n\n"
        "muniment restore /mnt/backup/acme --to lake --keys /secure/acme.keys --passphrase-file /secure/passphrase",
    )(restore)


def backup(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="Folder of the backup, on another disk.", show_default="each of backup.targets"
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", metavar="FILE", help="Instead: signing keys, secret and vault into this file, encrypted."
        ),
    ] = None,
    passphrase_file: PassphraseOption = None,
    forget: Annotated[
        Path | None,
        typer.Option(
            "--forget", metavar="DIR", help="Instead: this folder holds no backup any more; nothing is copied there."
        ),
    ] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> int:
    """Copy the lake into a folder, beside everything that runs; what is there already is not copied again."""
    from muniment.backing_up import back_up, back_up_keys, backup_targets, forget_folder
    from muniment.cli.app import exit_code
    from muniment.wiring import command_context
    from warehouse.errors import InputError, MunimentError

    context = command_context(lake)
    if forget is not None:
        forget_folder(context, forget)
        return 0
    if keys is not None:
        if directory is not None:
            raise InputError(
                "backup: expected a folder or --keys, got both",
                hint="keep the keys apart from the backup: two commands",
            )
        missing = back_up_keys(context, keys, read_passphrase(passphrase_file, twice=True))
        if json_:
            print_json({"file": str(keys), "notes": missing})
        else:
            console.print(f"keys written to {keys}", markup=False, soft_wrap=True)
            _print_notes(missing)
        return 0
    done, code = [], 0
    for target in backup_targets(context, directory):
        try:
            with progress_bars(shown=on_terminal() and not json_) as progress:
                done.append(back_up(context, target, progress=progress))
        except MunimentError as exc:
            report_error(exc, as_json=json_)
            code = max(code, exit_code(exc))
    if json_:
        print_json([each.to_json() for each in done])
    else:
        for each in done:
            _print(each)
    return code


def restore(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backup.")],
    to: Annotated[Path, typer.Option("--to", metavar="LAKE", help="Folder of the new lake: empty, or not there yet.")],
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="What `muniment backup --keys` wrote.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    vkey: Annotated[
        list[str] | None,
        typer.Option(
            "--vkey", metavar="KEY", help="Public key of the lake that was lost, as text or file of keys; again."
        ),
    ] = None,
    without_certificates: Annotated[
        str | None,
        typer.Option(
            "--without-certificates",
            metavar="REASON",
            help="Go on though the list of certificates is missing or not sound; what was erased may come back.",
        ),
    ] = None,
    control_restored: Annotated[
        bool,
        typer.Option("--control-restored", help="The control database on its server was restored for this lake alone."),
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Make a lake from a backup; what was erased since does not come back, and what was lost is told."""
    from muniment.cli.verifier_keys import read_keys
    from muniment.restoring import RestoreOptions
    from muniment.restoring import restore as restore_lake
    from warehouse.backup.keys_file import read_keys_file
    from warehouse.clock import system_clock
    from warehouse.ledger.note import Ed25519Verifier

    bundle = None if keys is None else read_keys_file(keys, read_passphrase(passphrase_file, twice=False))
    options = RestoreOptions(
        keys=bundle,
        vkeys=read_keys(vkey or (), Ed25519Verifier.from_vkey, "--vkey"),
        without_certificates=without_certificates,
        control_restored=control_restored,
    )
    with progress_bars(shown=on_terminal() and not json_) as progress:
        done = restore_lake(directory, to, options, clock=system_clock, progress=progress)
    if json_:
        print_json(done.to_json())
    else:
        _print_restored(done)


def _print_restored(done: "Restored") -> None:
    from warehouse.clock import utc_text

    manifest, rows = done.opened.manifest, done.reapplied.rows
    time = utc_text(done.time_unix_nano)
    erased = f"{sum(rows.values()):,} rows by {len(done.certificates):,} certificates newer than the backup"
    known = f"known of it: at least {done.lost.known_entries:,} entries"
    lines = [
        f"{done.lake}: restored as of {time}, {len(manifest.files):,} files, {manifest.size_bytes / _MIB:,.1f} MiB",
        f"erased again: {erased}, {done.subject_keys:,} subject keys",
        f"lost: what was recorded after {time} in {len(done.lost.ranges):,} logs; {known}, the backup cannot tell how many more",
        "lost as well: keys, tenants, holds, policies and open erasures since then: see `muniment key list`, order erasures again",
    ]
    if not done.opened.established:
        lines.append("signer not established: only the backup itself says by whom it is signed (--vkey, --keys)")
    lines += [
        f"purge begun and not certified, what it names is back until it is applied: {name}"
        for name in done.open_intents
    ]
    lines.append(f"next: muniment verify --lake {done.lake}, and give verifiers the new key (muniment ledger vkey)")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    _print_notes(done.notes)


def _print(done: "BackedUp") -> None:
    made = done.made
    console.print(
        f"{made.target}: generation {made.manifest.generation}, {made.files:,} files, {made.size_bytes / _MIB:,.1f} MiB; "
        f"{made.copied_files:,} files of {made.copied_bytes / _MIB:,.1f} MiB copied, {made.removed_files:,} removed",
        markup=False,
        soft_wrap=True,
    )
    _print_notes(done.notes)


def _print_notes(texts: "tuple[str, ...] | list[str]") -> None:
    for text in texts:
        notes.print(f"note: {text}", markup=False, soft_wrap=True)


def read_passphrase(file: Path | None, *, twice: bool) -> str:
    """The passphrase of the keys file: the first line of a file, or what is typed; never an argument, which others can see.

    Raises:
        InputError: no file and nobody to ask, or two different answers.
    """
    from warehouse.errors import InputError

    if file is not None:
        return file.read_text(encoding="utf8").partition("\n")[0].removesuffix("\r")
    if not sys.stdin.isatty():
        raise InputError(
            "passphrase: expected --passphrase-file or a terminal to ask on, got neither",
            hint="put it into a file that only you may read",
        )
    return str(typer.prompt("passphrase", hide_input=True, confirmation_prompt=twice, err=True))


@contextmanager
def progress_bars(*, shown: bool) -> "Iterator[Progress]":
    """Yield a callback that draws a bar a kind of file, or one that does nothing."""
    if not shown:
        yield lambda _what, _done, _of_all: None
        return
    from rich.progress import DownloadColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    tasks = {}
    with Bars(
        *Bars.get_default_columns(), DownloadColumn(), TransferSpeedColumn(), console=notes, transient=True
    ) as bars:

        def show(what: str, done: int, of_all: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of_all or None)
            bars.update(tasks[what], completed=done)

        yield show
