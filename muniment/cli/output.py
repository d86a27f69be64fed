"""How commands print: tables and progress for people, JSON for machines, errors on standard error."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from warehouse.errors import MunimentError, UnavailableError

LakeOption = Annotated[
    Path | None,
    typer.Option(
        "--lake",
        metavar="DIR",
        help="Folder of the lake.",
        show_default="$MUNIMENT_LAKE, else ./lake",
        readable=False,  # a folder that may not be read is reported with what to do, below
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
TenantOption = Annotated[str, typer.Option("--tenant", metavar="T", help="Whose records these are.")]

console = Console(highlight=False)
notes = Console(stderr=True, highlight=False)
# What records and messages hold was written by others.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def plain_text(text: str) -> Text:
    """Text from outside for a table: no markup in it counts, and no byte of it steers the terminal."""
    return Text(_CONTROL.sub("·", text))


def report_error(error: MunimentError, *, as_json: bool) -> None:
    """Say what went wrong and what to do, on standard error."""
    if as_json:
        typer.echo(json.dumps({"error": str(error), "hint": error.hint}), err=True)
        return
    notes.print("[bold red]error:[/]", end=" ")
    notes.print(str(error), markup=False, soft_wrap=True)
    if error.hint:
        notes.print(f"  {error.hint}", markup=False, style="dim", soft_wrap=True)


def file_error(error: OSError) -> MunimentError:
    """An error of the file system that no command foresaw, with the file and what to do."""
    name = f"{error.filename}: " if error.filename else ""
    hint = "see that the path is right and the disk has room; nothing was acknowledged"
    if isinstance(error, PermissionError):
        hint = "run it as the user who owns the lake"
    return UnavailableError(f"{name}{error.strerror or error}", hint=hint)


def on_terminal() -> bool:
    """Whether a person watches: progress is shown to people and kept out of pipes."""
    return sys.stderr.isatty()


@contextmanager
def step_lines(*, quiet: bool) -> Iterator[Callable[[str, str], None]]:
    """A spinner for work that goes in steps, on a terminal; yields `step(of_whom, what)`."""
    if quiet or not on_terminal():
        yield lambda _of_whom, _what: None
        return
    with notes.status("…") as status:
        yield lambda of_whom, what: status.update(plain_text(f"{of_whom}: {what}"))
