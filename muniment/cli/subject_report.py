"""`muniment subject report`: all that is held about a person, as one file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, TenantOption, console, notes, plain_text, print_json, step_lines

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from retention.subject_finds import AttributeTerm, SubjectFinds

EXIT_NOT_ESTABLISHED = 4
REPORT_EXAMPLES = (
    "Examples: muniment subject report --tenant acme --subject sub_vrngydrr3ln74lrifoxdwt26nq --out person.zip\n\n"
    "muniment subject report --tenant acme --value - --search-texts --out person.zip < value.txt"
)
TextsOption = Annotated[
    bool,
    typer.Option("--search-texts", help="Read every text of the tenant too: finds what stands in the clear; slow."),
]
AttributeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        metavar="NAME=VALUE",
        help="An attribute that names the person too; reads every text. Repeatable.",
    ),
]


def report(
    tenant: TenantOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.zip", help="The file to write; it must not be there.")],
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="TOKEN", help="Whom: sub_ and 26 characters.")
    ] = None,
    value: Annotated[
        str | None, typer.Option("--value", metavar="V", help="The value instead; - reads it from standard input.")
    ] = None,
    search_texts: TextsOption = False,
    attribute: AttributeOption = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Write all that is held about a person into a ZIP file: records, contents, proofs, a readable page. Recorded first."""
    from muniment.subject_report import find_subject_of_report, report_subject
    from muniment.wiring import command_context

    context = command_context(lake)
    attributes = [parse_attribute(each) for each in attribute or ()]
    person = find_subject_of_report(context, tenant, token=subject, value=read_value() if value == "-" else value)
    nonces: list[str] = []
    with step_lines(quiet=json_) as step:
        made = report_subject(
            context,
            person,
            out,
            texts=search_texts or bool(attributes),
            attributes=attributes,
            announce_nonce=nonces.append,
            step=step,
        )
    if json_:
        print_json({
            "file": str(made.file),
            "sha256": made.sha256,
            "subject_ref": made.subject_ref,
            "nonce": nonces[0],
            "where": [count.to_json() for count in made.finds.counts()],
            "quarantine": len(made.finds.quarantine),
            "proofs": made.proofs,
            "without_proof": list(made.problems),
        })  # fmt: skip
    else:
        print_counts(made.finds)
        _say(f"{made.proofs} records are proved. Written to {made.file}, SHA-256 {made.sha256}.")
        _say("The event names the person only under this nonce, which is shown this once and kept nowhere:")
        typer.echo(nonces[0])
        for problem in made.problems:
            notes.print(plain_text(f"without a proof: {problem}"), soft_wrap=True)
    if made.problems:
        raise typer.Exit(EXIT_NOT_ESTABLISHED)


def print_counts(finds: "SubjectFinds") -> None:
    """Say in which tables a person is, how often and on which days."""
    for count in finds.counts():
        files = "1 file" if count.files == 1 else f"{count.files} files"
        line = f"{count.table}: {count.rows} rows in {files}, {count.first_day} to {count.last_day}"
        if count.only_actor:
            line += f"; in {count.only_actor} the person only acted"
        if count.clear:
            line += f"; {count.clear} kept in the clear"
        console.print(line, markup=False, soft_wrap=True)
    if finds.quarantine:
        console.print(f"quarantine: {len(finds.quarantine)} entries", markup=False)
    if finds.is_empty:
        console.print(f"nothing in {finds.files_read} files", markup=False)
    if not finds.searched_texts:
        _say("Searched by the columns that name persons; --search-texts reads every text too.")


def parse_attribute(text: str) -> "AttributeTerm":
    """`NAME=VALUE` of an option: what is a number or boolean of JSON is one, `"4711"` in quotes is a text, and so is anything else.

    Raises:
        InputError: it has another form.
    """
    import msgspec

    from retention.subject_finds import AttributeTerm
    from warehouse.errors import InputError

    name, separator, value = text.partition("=")
    if not separator or not name.strip() or not value:
        raise InputError(
            "--attribute: expected NAME=VALUE, got something else", hint="--attribute employee.number='\"4711\"'"
        )
    try:
        return AttributeTerm(name.strip(), msgspec.json.decode(value, type=bool | int | float | str))
    except msgspec.MsgspecError:
        return AttributeTerm(name.strip(), value)


def read_value() -> str:
    """A value from standard input, asked for on a terminal: arguments can be seen by other users of the machine."""
    if sys.stdin.isatty():
        return str(typer.prompt("value", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _say(message: str) -> None:
    notes.print(message, markup=False, soft_wrap=True)
