"""`muniment redact test|report`."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, plain_text, print_json

if TYPE_CHECKING:
    from collectors.redact.policy import RedactionPolicy
    from muniment.wiring import CommandContext

_SHOWN_FIELDS = 40


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="What redaction does to a text, and what it found so far.", no_args_is_help=True)
    group.command("test", epilog="Example: muniment redact test 'call me on +49 30 901820' --tenant acme")(try_)
    group.command("report", epilog="Example: muniment redact report --tenant acme")(report)
    app.add_typer(group, name="redact")


def try_(
    text: Annotated[str, typer.Argument(metavar="FILE|TEXT", help="A file, a text, or - for standard input.")],
    lake: LakeOption = None,
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="T", help="Whose policy.", show_default="every other tenant's")
    ] = "*",
    key: Annotated[
        str, typer.Option("--key", metavar="K", help="Attribute key or column that holds the text.")
    ] = "body",
    table: Annotated[str, typer.Option("--table", metavar="NAME", help="Table that holds it.")] = "logs",
    policies: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE|DIR", help="Policy files that are not in force yet.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Show what would happen to a text under the policy in force; nothing is stored and no token is made.

    JSON is treated value by value. Offsets count characters, from 0, inside the value that a finding's path names.
    """
    from collectors.redact.engine import PolicyRedactor
    from governance.access import Action
    from muniment.wiring import command_context
    from warehouse.errors import InputError
    from warehouse.tables import TABLES

    if table not in TABLES:
        raise InputError(f"--table: expected one of {', '.join(TABLES)}, got {table!r}")
    context = command_context(lake)
    context.check(Action.POLICY_READ)
    redactor = PolicyRedactor(_policy(context, policies), _PreviewVault())
    content = _content(text)
    result, findings = redactor.explain(tenant, content, key=key, table=table)
    found = [asdict(finding) for finding in findings.details or []]
    answer: dict[str, Any] = {
        "text": result,
        "findings": found,
        "data_class": findings.data_class.label,
        "categories": sorted(findings.categories),
        "drops_contents": findings.drops_contents,
        "rejected": findings.reject,
        "policy": redactor.policy.for_tenant(tenant).hash,
    }
    if json_:
        print_json(answer)
        return
    _print(answer)


def report(
    lake: LakeOption = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="T", help="One tenant.", show_default="all")] = None,
    json_: JsonOption = False,
) -> None:
    """Summarise what redaction found: by tenant, service and detector, and the fields in which it stands."""
    from muniment.redacting import redaction_report
    from muniment.wiring import command_context

    found = redaction_report(command_context(lake), tenant)
    if json_:
        print_json(asdict(found))
        return
    if not found.detectors:
        console.print("nothing was redacted so far")
        return
    _print_table(
        ("tenant", "service", "detector", "redactions", "records"),
        [(row.tenant_id, row.service_name, row.detector, row.count, row.records) for row in found.detectors],
    )
    console.print()
    _print_table(
        ("tenant", "service", "table", "field", "what stands there", "times"),
        [
            (row.tenant_id, row.service_name, row.table, row.field, row.detector, row.count)
            for row in found.fields[:_SHOWN_FIELDS]
        ],
    )
    if len(found.fields) > _SHOWN_FIELDS:
        console.print(f"and {len(found.fields) - _SHOWN_FIELDS} more fields: --json lists them all")


def _print_table(titles: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    from rich.table import Table

    from muniment.cli.table import PIPE_WIDTH, wide_enough

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(
            title, overflow="fold", justify="right" if title in {"redactions", "records", "times"} else "left"
        )
    for row in rows:
        table.add_row(*(plain_text(f"{cell:,}" if isinstance(cell, int) else cell) for cell in row))
    wide_enough(console, PIPE_WIDTH).print(table)


def _print(answer: dict[str, Any]) -> None:
    if answer["rejected"]:
        console.print(f"the record would go to quarantine: {answer['rejected']}", style="red", markup=False)
    if answer["text"] is None:
        console.print("(no value would be stored)", style="dim")
    else:
        typer.echo(answer["text"])
    rows = [
        (
            ".".join(finding["path"]), f"{finding['start']}-{finding['end']}", finding["detector"], finding["action"],
            finding["replacement"] or "(nothing)",
        )
        for finding in answer["findings"]
    ]  # fmt: skip
    if rows:
        console.print()
        _print_table(("path", "characters", "detector", "action", "becomes"), rows)
    categories = f" ({', '.join(answer['categories'])})" if answer["categories"] else ""
    console.print(f"class {answer['data_class']}{categories}", style="dim", markup=False)


def _content(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    try:
        file = Path(text)
        return file.read_text(encoding="utf8", errors="replace") if file.is_file() else text
    except (OSError, ValueError):  # too long for a path, or no path at all: a text
        return text


def _policy(context: "CommandContext", policies: Path | None) -> "RedactionPolicy":
    from collectors.redact.detectors import BY_NAME
    from collectors.redact.policy_compiler import KIND, compile_policy
    from muniment.policy_watch import read_policy
    from warehouse.errors import InputError
    from warehouse.policies import read_files

    if policies is None:
        return read_policy(context.control, BY_NAME)
    files = sorted(policies.glob("*.yaml")) if policies.is_dir() else [policies]
    if not files or not all(file.is_file() for file in files):
        raise InputError(f"--policy: expected a file or a folder with *.yaml files, got {policies}")
    return compile_policy(read_files(KIND, files), BY_NAME)


class _PreviewVault:
    """Shows where tokens would stand without making any."""

    def tokens(self, tenant_id: str, values: Sequence[str]) -> list[str]:  # noqa: ARG002 - as the vault is asked
        """The same text for everybody: whose token it would be is not told."""
        return ["[TOKEN]"] * len(values)

    def known(self, tenant_id: str, tokens: Iterable[str]) -> set[str]:  # noqa: ARG002 - as above
        """None is known here."""
        return set()
