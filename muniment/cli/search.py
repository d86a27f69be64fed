"""`muniment search`: the whole story of a person, ticket, conversation, approval, trace or record."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from muniment.cli.output import JsonOption, LakeOption, TenantOption, console, notes, plain_text, print_json
from warehouse.clock import utc_text
from warehouse.errors import InputError

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from warehouse.questions.story_lines import Line, Story

_EXAMPLES = (
    "Examples: muniment search INC-4711 --tenant acme\n\n"
    "muniment search 4bf92f3577b34da6 --tenant acme --json\n\n"
    "muniment search collector-1a2b3c4d/17 --tenant acme\n\n"
    "muniment search - --tenant acme < name.txt"
)
_PIPE_WIDTH = 400
_TIME_WIDTH = len("2026-11-25T00:00:00Z")
_WIDTHS = {
    "time": _TIME_WIDTH, "what": 60, "who": 30, "said": 100, "outcome": 12, "marks": 30, "seal": 24, "record": 40,
}  # fmt: skip
_SHOWN_CHARACTERS = 100
_MOST = 2_000
EXIT_NOTHING = 1
_SEALS = {"holds": "green", "broken": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command `search` to the command line."""
    app.command("search", epilog=_EXAMPLES)(search)


def search(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="A token, ticket, conversation id, approval id, trace id or record number (shard/index); - reads it from "
            "standard input, which is how to give a person's name or address.",
        ),
    ],
    tenant: TenantOption,
    first: Annotated[str | None, typer.Option("--from", metavar="T", help="From this day or time on.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="T", help="Up to this day or time, included.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=20_000, help="Records at most, the newest.")] = _MOST,
    all_time: Annotated[
        bool,
        typer.Option(
            "--all-time", help="Search texts and attributes of every run and log for a ticket, however long it takes."
        ),
    ] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Show everything that belongs to a person, ticket, conversation, approval, trace or record, in order of time.

    Runs with their events, logs and contents, approvals, handoffs, who looked, incidents, holds, certificates of deletion; each record
    with whether its seal holds. What could be several things is looked for as each. Recorded as `record.viewed` first; a person's name
    is turned into their token, which takes the right `subject.reveal`, and is kept nowhere. A ticket is looked for in the
    texts of runs and logs from the newest back until it is found, for some seconds at most; it is said from when on. Exit 1 where nothing is found.
    """
    from muniment.cli.holds import parse_instant
    from muniment.story import nothing_found, tell_story
    from muniment.wiring import command_context
    from warehouse.questions.story import Bounds

    bounds = Bounds(
        None if first is None else parse_instant(first, "--from"),
        None if last is None else parse_instant(last, "--to", end=True),
        most,
        all_time,
    )
    story = tell_story(command_context(lake), tenant, _read() if text == "-" else text, bounds=bounds)
    if json_:
        print_json(story.to_json())
    elif story.lines:
        _print(story)
    else:
        notes.print(nothing_found(story), markup=False, soft_wrap=True)
        for note in story.notes:
            notes.print(f"  {note}", style="dim", markup=False, soft_wrap=True)
    if not story.lines:
        raise typer.Exit(EXIT_NOTHING)


def _read() -> str:
    """What is searched for, from standard input: so it stands neither in the shell's history nor in a list of processes."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as exc:
        raise InputError("search: expected UTF-8 text on standard input, got other bytes") from exc


def _print(story: "Story") -> None:
    from muniment.cli.table import wide_enough

    console.print(
        f"tenant {story.tenant}, found as {', '.join(story.found) or 'what a case names'}: {story.extent}",
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, width in _WIDTHS.items():
        table.add_column(
            name, no_wrap=True, overflow="ellipsis", width=_TIME_WIDTH if name == "time" else None, max_width=width
        )
    for line in story.lines:
        table.add_row(*_cells(line))
    wide_enough(console, _PIPE_WIDTH).print(table)
    for note in story.notes:
        notes.print(note, style="dim", markup=False, soft_wrap=True)


def _cells(line: "Line") -> list[str | Text]:
    seal = plain_text(line.seal)
    seal.stylize(_SEALS.get(line.seal, "dim"))
    texts = [f"{line.entry}: {line.what}", line.who, line.said[:_SHOWN_CHARACTERS], line.outcome, line.marks]
    when = utc_text(line.time_unix_nano) if line.time_unix_nano else ""
    return [when, *map(plain_text, texts), seal, plain_text(line.record or line.link)]
