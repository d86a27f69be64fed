"""Assembles the commands and turns errors into messages and exit codes.

Exit codes: 0 done, 1 the answer is no, 2 usage or bad input, 3 the lake is unavailable, 4 not established.
"""

import sys
from copy import copy
from functools import cache
from importlib.abc import MetaPathFinder

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_group

from muniment import __version__
from muniment.cli import (
    access,
    agents,
    alerts,
    backup,
    collect,
    dashboard,
    demo,
    doctor,
    erase,
    evidence,
    holds,
    imports,
    incidents,
    jobs,
    lake,
    ledger,
    maintenance,
    policy,
    quality,
    quarantine,
    query,
    redact,
    retention,
    search,
    slo,
    status,
    subjects,
    tenants,
    verify,
    witness,
)
from muniment.cli.output import file_error, report_error
from warehouse.errors import ConflictError, DeniedError, LakeError, MunimentError, Permanent, SettingsError, Transient

EXIT_NO = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3
_INTERRUPTED = 130

app = typer.Typer(
    name="muniment",
    help="The evidence lakehouse for AI agents: takes OpenTelemetry in, keeps it, and proves it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for module in (
    lake,
    collect,
    dashboard,
    alerts,
    demo,
    imports,
    tenants,
    agents,
    query,
    search,
    redact,
    status,
    doctor,
    erase,
    evidence,
    quarantine,
    policy,
    access,
    retention,
    slo,
    quality,
    maintenance,
    jobs,
    ledger,
    witness,
    verify,
    subjects,
    holds,
    incidents,
    backup,
):
    module.register(app)


@app.callback(invoke_without_command=True)
def root(*, version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """The evidence lakehouse for AI agents: takes OpenTelemetry in, keeps it, and proves it."""
    if version:
        typer.echo(f"muniment {__version__}")
        raise typer.Exit


_NEED_PANDAS = frozenset({"--suites", "jobs"})
"""Suites look at pandas' frames: the option of `quality run`, and what scheduled work does."""


class _NoPandas(MetaPathFinder):
    """Says that pandas is not there: pyarrow loads it at its first array, though nothing here uses it, and that takes a second."""

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas: not loaded in this process", name=fullname)


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:]
    if not _NEED_PANDAS.intersection(arguments):
        sys.meta_path.insert(0, _NoPandas())
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run one command, record the decisions that still wait, and return its exit code."""
    code = _run(arguments)
    if "muniment.decisions" not in sys.modules:
        return code
    from muniment.decisions import record_waiting

    try:
        record_waiting()
    except MunimentError as exc:
        report_error(exc, as_json="--json" in arguments)
        return code or exit_code(exc)
    return code


@cache
def _commands(word: str | None) -> TyperGroup:
    """The commands, of which one is enough where its name is the first word: to build all takes longer than many a command does."""
    alone = copy(app)
    alone.registered_commands = [each for each in app.registered_commands if each.name == word]
    alone.registered_groups = [each for each in app.registered_groups if each.name == word]
    return get_group(alone if alone.registered_commands or alone.registered_groups else app)


def _run(arguments: list[str]) -> int:
    try:
        code = _commands(next(iter(arguments), None)).main(arguments, standalone_mode=False, prog_name="muniment")
    except typer.Exit as exc:
        return exc.exit_code
    except TyperException as exc:
        exc.show()  # type: ignore[attr-defined]  # the classes raised have it, their public base does not say so
        return EXIT_USAGE
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except (MunimentError, OSError) as exc:
        error = exc if isinstance(exc, MunimentError) else file_error(exc)
        report_error(error, as_json="--json" in arguments)
        return exit_code(error)
    return code if isinstance(code, int) else 0


def exit_code(error: MunimentError) -> int:
    """Exit code for an error that ended a command."""
    if isinstance(error, DeniedError | ConflictError):
        return EXIT_NO
    if isinstance(error, SettingsError):
        return EXIT_USAGE
    if isinstance(error, Transient | LakeError):
        return EXIT_UNAVAILABLE
    return EXIT_USAGE if isinstance(error, Permanent) else EXIT_UNAVAILABLE
