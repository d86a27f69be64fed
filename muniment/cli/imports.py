"""`muniment import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, TenantOption, console, notes, on_terminal, print_json

if TYPE_CHECKING:
    from collectors.imports import ImportResult


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("import", epilog="Example: muniment import traces.jsonl --tenant acme")(import_)


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…", exists=True, dir_okay=False, readable=True, help="Files, each plain or gzipped."
        ),
    ],
    tenant: TenantOption,
    lake: LakeOption = None,
    signal: str | None = typer.Option(
        None, "--signal", help="traces, logs or metrics, for a protobuf file that does not tell."
    ),
    json_: JsonOption = False,
) -> None:
    """Import OTLP JSON, JSON lines or protobuf files (also gzipped). Returns when they can be queried; resumes when run again."""
    from collectors.exports import Signal
    from muniment.importing import import_files
    from muniment.wiring import command_context
    from warehouse.errors import InputError

    if signal is not None and signal not in set(Signal):
        raise InputError(f"--signal: expected traces, logs or metrics, got {signal!r}")
    context = command_context(lake)
    total = sum(file.stat().st_size for file in files)
    if on_terminal():
        from rich.progress import Progress

        with Progress(console=notes, transient=True) as bar:
            task = bar.add_task("importing", total=total)
            results = import_files(
                context, files, tenant=tenant, signal=Signal(signal) if signal else None,
                progress=lambda done: bar.update(task, completed=done),
            )  # fmt: skip
    else:
        results = import_files(context, files, tenant=tenant, signal=Signal(signal) if signal else None)
    if json_:
        print_json([_as_json(result) for result in results])
        return
    for result in results:
        _say(result)


def _as_json(result: "ImportResult") -> dict[str, object]:
    return {
        "file": str(result.file),
        "identity": result.identity,
        "accepted": result.accepted,
        "rejected": result.rejected,
        "already_imported": result.already,
        "messages": result.messages,
    }


def _say(result: "ImportResult") -> None:
    name = str(result.file)
    if result.already:
        console.print(f"{name}: already imported", markup=False, soft_wrap=True)
        return
    resumed = f" (resumed after chunk {result.resumed_at} of {result.chunks})" if result.resumed_at else ""
    console.print(f"{name}: {result.accepted} records imported{resumed}", markup=False, soft_wrap=True)
    if result.rejected:
        console.print(f"  {result.rejected} refused, see `muniment quarantine list`:", markup=False, soft_wrap=True)
        for message in result.messages[:5]:
            console.print(f"    {message}", markup=False, soft_wrap=True)
