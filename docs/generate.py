"""Writes the reference pages that are read off the code: tables, commands, errors.

`make docs` runs it; tests/unit/test_docs.py asserts that what it would write is what is there.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperOption

from governance.access import Action, Role
from governance.access.actions import resource_of
from governance.access.columns import Holds, columns_of
from governance.access.in_force import shipped_policy
from governance.access.policy import AccessPolicy
from governance.access.limits import role_limits
from governance.access.role_table import role_table
from muniment.cli.app import app, exit_code
from warehouse.errors import MunimentError, Permanent, Transient
from pipelines.incidents.compiler import compile_rules, default_bundle
from warehouse.derived.tables import DERIVED
from warehouse.query.limits import ROW_CLASSES
from warehouse.query.views import VIEWS
from warehouse.tables import STATISTICS_COLUMNS, TABLES
from warehouse.tables.columns import LEDGERED, Table
from warehouse.tables.contents import CONTENTS

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
PACKAGES = ("warehouse", "collectors", "retention", "governance", "pipelines", "muniment")
NOTE = "<!-- written by docs/generate.py: run `make docs` after a change of the code -->"
COMMANDS_INTRO = """\
`muniment COMMAND --help` prints the same. `--lake DIR` says which lake, else the environment variable `MUNIMENT_LAKE`,
else `./lake`. `--json` prints for machines, errors too: one object with `error` and `hint` on standard error. Long work shows
its progress on a terminal and stays quiet in a pipe.

| exit code | means |
|---|---|
| 0 | done |
| 1 | the answer is no: not allowed, there already, or a check failed |
| 2 | usage or bad input: an unknown option, tenant, key or trace, settings that cannot be used, SQL that may not run |
| 3 | the lake is unavailable: none there, held by another process, damaged, or the disk or control database does not answer |
| 4 | not established (commands that prove: what was brought along does not suffice) |
| 130 | interrupted |

`import` ends with 0 when the file was read to its end, however many of its records were refused: it prints their number, and
`muniment quarantine list` shows them."""
TABLES_INTRO = """\
Each table is a Delta Lake table in `LAKE/tables/<name>`, partitioned by `tenant_id` and `day`; the Parquet files do not repeat
these two. The views that `muniment sql` queries add `time` (TIMESTAMP, UTC), made of `time_unix_nano`. Every time is in
nanoseconds since 1970, UTC. Columns are only ever added, under a new `schema_version`.

The Delta log holds minimum and maximum of {statistics} alone: none of them can hold a value of a payload.

Columns that redaction fills are NULL in rows older than it: `data_class`, `categories`, `redactions`, `redaction_policy`, `subjects`."""
DERIVED_INTRO = """\
Worked out from the records above by scheduled work. They are no evidence themselves: none is in the ledger. Each names the
records that it was made of, and none holds a value of a payload."""
ERRORS_INTRO = """\
Every error that Muniment raises on purpose is a `MunimentError` and says what was got, what was expected and, as its hint, what
to do. *Again* says whether the same request may succeed later: receivers answer 503 / `UNAVAILABLE` to yes, and 400 /
`INVALID_ARGUMENT` to no unless the table says otherwise. *Exit* is the command line's exit code
([what they mean](commands.md)). Errors of `muniment.emit` reach the application that records events."""
ACCESS_INTRO = """\
What each role may do under the policies that come with the package ([design](../design/control.md#access), [how files are
read](policies.md#access)). An action is done to a thing of one tenant, or of the whole lake; what no policy permits is denied."""
SEEN_INTRO = """\
`records.read` lets somebody ask; what is in the answer is decided by `table.read`, `contents.read`, `columns.read` and `rows.read`, under the same policies.
`muniment access explain --as USER --action columns.read --tenant T` says it for one person, table by table."""
KINDS_OF_COLUMNS = {
    Holds.MEASURES: "measures: times, durations, counts, costs, states, names that programs chose",
    Holds.PERSONS: "persons: tokens and ids of people, addresses",
    Holds.TEXTS: "texts: what was said, and JSON that can hold any of it",
}

RULES_INTRO = """\
The rules that come with the package, each with its runbook: what it means, how to check, what to do. They are policy of the kind `incidents`
([how files are read](policies.md#incidents), [what becomes of a match](../incidents.md)): take one out, change its parameters, or write another."""
TYPES = {
    "string": "text",
    "binary": "bytes",
    "date32[day]": "date",
    "list<element: string>": "list of text",
    "double": "float64",
}
HTTP_STATUS = {
    "UnauthenticatedError": "401 / `UNAUTHENTICATED`",
    "DeniedError": "403 / `PERMISSION_DENIED`",
    "TooLargeError": "413 / `RESOURCE_EXHAUSTED`",
    "UnsupportedEncodingError": "415",
}


def pages() -> dict[str, str]:
    """Text of each generated page by file name."""
    return {
        "tables.md": tables_page(),
        "commands.md": commands_page(),
        "errors.md": errors_page(),
        "access.md": access_page(),
        "incident-rules.md": incident_rules_page(),
    }


def incident_rules_page() -> str:
    """The incident rules that come with the package, with their runbooks and parameters."""
    rules = compile_rules(default_bundle(), try_sql=False).rules
    rows = [
        f"| [`{rule.id}`](../runbooks/{rule.runbook}) | {rule.title} | {rule.severity} | "
        f"{', '.join(f'`{name}`' for name in rule.parameters) or 'none'} |"
        for rule in rules
    ]
    return (
        "\n\n".join(
            [
                "# Incident rules",
                NOTE,
                RULES_INTRO,
                "\n".join(["| rule | finds | severity | parameters |", "|---|---|---|---|", *rows]),
            ]
        )
        + "\n"
    )


def access_page() -> str:
    """Which role may do which action under the policies that come with the package."""
    policy = shipped_policy()
    table = role_table(policy)
    head = ["action", "done to", *(role.value for role in Role)]
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for action in Action:
        marks = ["x" if action in table[role] else "" for role in Role]
        rows.append(f"| {' | '.join([f'`{action.value}`', resource_of(action, None)[0], *marks])} |")
    ids = ["| policy | file |", "|---|---|"]
    ids += [f"| `{each.id}` | {each.file} |" for each in policy.statements]
    return (
        "\n\n".join(
            [
                "# Access",
                NOTE,
                ACCESS_INTRO,
                "\n".join(rows),
                "## What each role sees of the tables",
                SEEN_INTRO,
                "\n".join(_seen_rows(policy)),
                "## The policies that come with the package",
                "\n".join(ids),
            ]
        )
        + "\n"
    )


def _seen_rows(policy: AccessPolicy) -> list[str]:
    """Of each role what is in the answers to its queries; a part that only some of the tables show counts as not shown."""
    limits = role_limits(policy)
    tables = sorted(VIEWS - {CONTENTS.name})
    asked = {
        "tables but contents": lambda each: all(table in each.columns for table in tables),
        "contents: prompts, completions, tool arguments and results": lambda each: CONTENTS.name in each.columns,
    }
    for kind, words in KINDS_OF_COLUMNS.items():
        asked[words] = lambda each, kind=kind: all(columns_of(table)[kind] <= set(each.columns.get(table, ())) for table in tables)
    for name in sorted(ROW_CLASSES):
        asked[f"rows of class {name}"] = lambda each, name=name: name in each.classes
    head = ["", *(role.value for role in Role)]
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for words, is_shown in asked.items():
        rows.append(f"| {' | '.join([words, *('x' if is_shown(limits[role]) else '' for role in Role)])} |")
    return rows


def tables_page() -> str:
    """Every table with every column."""
    statistics = ", ".join(f"`{name}`" for name in STATISTICS_COLUMNS)
    parts = ["# Tables", NOTE, TABLES_INTRO.format(statistics=statistics)]
    parts += ["## Columns of every ledgered row", _columns(LEDGERED)]
    for table in TABLES.values():
        parts += [f"## {table.name}", _about(table)]
        shared = {column.name for column in LEDGERED} if table.ledgered else set()
        parts.append(_columns([column for column in table.columns if column.name not in shared]))
    parts += ["# Derived tables", DERIVED_INTRO]
    for table in DERIVED.values():
        parts += [f"## {table.name}", _about(table), _columns(table.columns)]
    return "\n\n".join(parts) + "\n"


def _about(table: Table) -> str:
    doc = table.doc[0].upper() + table.doc[1:]
    text = f"{doc}. Schema version {table.schema_version}. Files are sorted by {_names(table.sort_by)}"
    text += f", with a bloom filter on {_names(table.bloom)}." if table.bloom else "."
    if table.ledgered:
        text += " Each row has [the columns above](#columns-of-every-ledgered-row), and:"
    return text


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _columns(columns: Any) -> str:
    rows = [f"| `{c.name}` | {TYPES.get(str(c.type), c.type)} | {_cell(c.doc)} |" for c in columns]
    return "\n".join(["| column | type | holds |", "|---|---|---|", *rows])


def commands_page() -> str:
    """Every command with its arguments and options, as typer has them."""
    parts = ["# Commands", NOTE, COMMANDS_INTRO]
    for path, command in commands():
        parts += [f"## {path}", str(command.help).strip()]
        if rows := list(_parameters(command)):
            parts.append("\n".join(["| | default | |", "|---|---|---|", *rows]))
        if command.epilog:
            lines = [line.removeprefix("Examples: ").removeprefix("Example: ") for line in command.epilog.splitlines()]
            parts.append("\n".join(["```", *filter(None, lines), "```"]))
    return "\n\n".join(parts) + "\n"


def commands(group: Any = None, path: str = "muniment") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield f"{path} {name}", command
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _parameters(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.name == "help":
            continue
        if isinstance(parameter, TyperOption):
            what = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        else:
            what = f"`{parameter.metavar}`"
        yield f"| {what} | {_default(parameter)} | {_cell(parameter.help or '')} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return _cell(parameter.show_default)
    return "" if parameter.default in (None, False) else f"`{parameter.default}`"


def errors_page() -> str:
    """Every error class, by the module that defines it."""
    parts = ["# Errors", NOTE, ERRORS_INTRO]
    for module in error_modules():
        rows = [_error(cls) for cls in error_classes(module)]
        parts += [
            f"## {module}",
            "\n".join(["| error | means | again | answer | exit |", "|---|---|---|---|---|", *rows]),
        ]
    return "\n\n".join(parts) + "\n"


def error_modules() -> list[str]:
    """Modules that define errors of their own, those that hold for everything first."""
    files = (file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))
    defining = re.compile(r"^class [A-Z]\w*Error\(", re.MULTILINE)
    found = [file.relative_to(ROOT) for file in files if defining.search(file.read_text(encoding="utf8"))]
    modules = [".".join(file.with_suffix("").parts) for file in found]
    return [module for module in modules if error_classes(module)]


def error_classes(module: str) -> list[type[MunimentError]]:
    """Errors that a module defines, in its order."""
    found = vars(importlib.import_module(module)).values()
    return [c for c in found if inspect.isclass(c) and issubclass(c, MunimentError) and c.__module__ == module]


def _error(cls: type[MunimentError]) -> str:
    again = "yes" if issubclass(cls, Transient) else "no" if issubclass(cls, Permanent) else ""
    answer = HTTP_STATUS.get(cls.__name__, "")
    summary = (cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    code = "" if cls.__module__.startswith("muniment.emit") else exit_code(cls.__new__(cls))
    return f"| `{cls.__name__}` | {_cell(' '.join(summary.split()))} | {again} | {answer} | {code} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf8")
