"""`muniment sql` and `muniment trace`: reading, recorded in the log of each tenant whose data is read."""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, print_json
from warehouse.clock import NANOS_PER_SECOND
from warehouse.durable import PRIVATE_FILE
from warehouse.errors import InputError, NotFoundError, UnavailableError
from warehouse.names import LAKE_TENANT

if TYPE_CHECKING:
    from governance.access import Action
    from muniment.wiring import CommandContext
    from warehouse.questions.trace import Trace


_GRACE_SECONDS = 2.0
EXIT_USAGE = 2


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True)
class SqlRequest:
    """One run of `muniment sql`. `tenants` empty means all that may be read, or with `all_tenants` all there are."""

    text: str
    tenants: Sequence[str] = ()
    all_tenants: bool = False
    form: Format = Format.TABLE
    out: Path | None = None
    timeout_seconds: float | None = None


Tenants = Annotated[
    list[str] | None,
    typer.Option(
        "--tenant", "-t", metavar="T", help="Tenant to read; repeatable.", show_default="all that you may read"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands `sql` and `trace` to the command line."""
    app.command(
        "sql",
        epilog='Examples: muniment sql "select provider, count(*) from spans group by all" --tenant acme\n\n'
        "muniment sql --file report.sql --format csv --out report.csv",
    )(_sql)
    app.command("trace", epilog="Example: muniment trace 4bf92f35 --tenant acme")(_trace)


def _sql(
    *,
    query: Annotated[
        str | None, typer.Argument(metavar="SQL", help="One SELECT over the lake's tables.", show_default=False)
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", "-f", metavar="FILE", help="Read the SQL from a file, or - for standard input."),
    ] = None,
    tenant: Tenants = None,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="Every tenant and the lake's own; refused if one is out of bounds.")
    ] = False,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="How rows are written.", show_default="table, or by the ending of --out"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write to this file, mode 0600.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0.1, help="Stop after this time.", show_default="query.timeout_seconds"
        ),
    ] = None,
    lake: LakeOption = None,
) -> None:
    """Run one SELECT. Each run is recorded, its literals left out, in the log of every tenant read."""
    from muniment.wiring import command_context

    request = SqlRequest(
        text=read_sql(query, file),
        tenants=tenant or (),
        all_tenants=all_tenants,
        form=choose_format(form, out, to_terminal=sys.stdout.isatty()),
        out=out,
        timeout_seconds=timeout,
    )
    context = command_context(lake)
    started = context.clock()
    rows = run_sql(context, request, sys.stdout.buffer)
    if request.form is Format.TABLE or out is not None:
        seconds = (context.clock() - started) / NANOS_PER_SECOND
        notes.print(f"{rows:,} {'row' if rows == 1 else 'rows'} in {seconds:.2f} s", style="dim")


def run_sql(context: "CommandContext", request: SqlRequest, stdout: BinaryIO) -> int:
    """Check, record, then run a query and write its rows to the request's file or to `stdout`; return their number.

    Raises:
        QueryError: the query may not run, or failed.
        DeniedError: the principal may not read a tenant that was asked for.
        UnavailableError: the lake cannot be read, or the reading cannot be recorded: nothing is written then.
    """
    from governance.access import Action
    from muniment.cli.table import print_table
    from warehouse.query import check_query, describe_query, open_session
    from warehouse.query.formats import WRITERS
    from warehouse.query.views import VIEWS
    from warehouse.tables import CONTENTS

    if request.out is not None and not request.out.absolute().parent.is_dir():
        raise InputError(f"--out {request.out}: expected a file in a folder that exists", hint="make the folder first")
    checked = check_query(request.text, VIEWS)
    # A table on the screen is cut short; every other format takes data away.
    action = Action.RECORDS_READ if request.form is Format.TABLE else Action.RECORDS_EXPORT
    tenants = readable_tenants(context, request.tenants, all_tenants=request.all_tenants, action=action)
    for tenant in tenants if CONTENTS.name in checked.views else ():
        context.check(Action.CONTENTS_READ, tenant)
    limits = context.access.limits(context.principal, tenants)
    with open_session(
        context.lake.path,
        tenants=tenants,
        principal=context.principal,
        settings=context.settings.query,
        tables=checked.views,
        limits=limits,
    ) as session:
        for tenant in tenants if checked.views else ():
            context.record(
                "data.exported",
                tenant,
                action="sql",
                resource_type="table",
                resource_id=",".join(sorted(checked.views)),
                body=describe_query(request.text),
                attributes={"muniment.format": request.form.value},
            )
        seconds = request.timeout_seconds or context.settings.query.timeout_seconds
        with _hard_deadline(seconds), session.stream(request.text, timeout_seconds=seconds) as reader:
            if request.form is Format.TABLE:
                return print_table(reader, console, notes)
            with _output(request.out, stdout) as stream:
                return WRITERS[request.form.value](reader, stream)


@contextmanager
def _hard_deadline(seconds: float) -> Iterator[None]:
    """End the process a little after the query's own deadline.

    The engine looks at an interrupt only between chunks of rows, and one function call on one row can take minutes.
    """

    def give_up() -> None:
        notes.print(f"error: query stopped after {seconds:g} s, though the engine did not let go", markup=False)
        os._exit(EXIT_USAGE)

    timer = threading.Timer(seconds + _GRACE_SECONDS, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def readable_tenants(
    context: "CommandContext", named: Sequence[str], *, all_tenants: bool, action: "Action"
) -> list[str]:
    """Tenants that a command reads: those named, else all that the principal may read.

    Raises:
        DeniedError: one that was asked for is out of bounds, or every one is.
        InputError: tenants were named beside `--all-tenants`, or the lake has none.
        NotFoundError: a named one does not exist.
    """
    if named and all_tenants:
        raise InputError("expected --tenant or --all-tenants, got both")
    for tenant in named:
        context.check(action, tenant)
    known = [tenant.id for tenant in context.control.list_tenants()]
    if named:
        for tenant in named:
            if tenant not in {*known, LAKE_TENANT}:
                raise NotFoundError(f"tenant {tenant}: there is none", hint="`muniment tenant list` names them")
        return sorted(set(named))
    if all_tenants:
        for tenant in (*known, LAKE_TENANT):
            context.check(action, tenant)
        return sorted([*known, LAKE_TENANT])
    if not known:
        raise InputError("expected a tenant to read, but the lake has none", hint="`muniment tenant add ID` adds one")
    return _allowed(context, known, action)


def _allowed(context: "CommandContext", known: Sequence[str], action: "Action") -> list[str]:
    allowed = context.allowed(action, known)
    if not allowed:
        context.check(action, known[0])  # says why not
    return sorted(allowed)


def read_sql(query: str | None, file: str | None) -> str:
    """SQL from the argument, from a file, or from standard input (`-`).

    Raises:
        InputError: none or both were given, or the file cannot be read.
    """
    if (query is None) == (file is None):
        raise InputError(
            f"expected SQL as the argument or --file, got {'neither' if query is None else 'both'}",
            hint='muniment sql "select count(*) from spans"',
        )
    if query is not None:
        return query
    try:
        return sys.stdin.read() if file == "-" else Path(str(file)).read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"--file {file}: cannot be read as UTF-8 text: {exc}") from exc


def choose_format(form: Format | None, out: Path | None, *, to_terminal: bool) -> Format:
    """Format of a run: the one asked for, else by the file's ending, else a table.

    Raises:
        InputError: no format for this file, or Parquet would go to a terminal.
    """
    endings = {f".{known.value}": known for known in Format if known is not Format.TABLE}
    by_ending = Format.TABLE if out is None else endings.get(out.suffix.lower(), Format.TABLE)
    chosen = by_ending if form is None else form
    if out is not None and chosen is Format.TABLE:
        raise InputError(f"--out {out}: expected --format json, csv or parquet, got a table")
    if out is None and chosen is Format.PARQUET and to_terminal:
        raise InputError("Parquet is not for terminals", hint="name a file with --out, or pipe it on")
    return chosen


@contextmanager
def _output(out: Path | None, stdout: BinaryIO) -> Iterator[BinaryIO]:
    """Where rows go. A file appears under its name once it is whole: an error leaves what was there before."""
    if out is None:
        yield stdout
        stdout.flush()
        return
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise UnavailableError(f"--out {out}: cannot be written: {exc.strerror or exc}") from exc


def _trace(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="32 hex digits, or at least the first 8.")],
    tenant: Tenants = None,
    json_: JsonOption = False,
    lake: LakeOption = None,
) -> None:
    """Show one trace as a tree, with durations, tokens, cost, logs and audit events."""
    from muniment.cli.trace import print_trace, trace_json
    from muniment.wiring import command_context

    trace = view_trace(command_context(lake), trace_id, tenant or ())
    if json_:
        print_json(trace_json(trace))
    else:
        print_trace(trace, console)


def view_trace(context: "CommandContext", text: str, tenants: Sequence[str]) -> "Trace":
    """Read one trace and record that it was viewed, in the log of each tenant that it has records in.

    Raises:
        InputError: not a trace id, or an ambiguous one.
        NotFoundError: no such trace in these tenants.
        DeniedError: the principal may not read a tenant that was asked for.
        UnavailableError: the lake cannot be read, or the viewing cannot be recorded.
    """
    from governance.access import Action
    from warehouse.query import open_session
    from warehouse.questions.trace import TRACE_TABLES, find_trace_id, read_trace

    chosen = readable_tenants(context, tenants, all_tenants=False, action=Action.RECORDS_READ)
    with open_session(
        context.lake.path,
        tenants=chosen,
        principal=context.principal,
        settings=context.settings.query,
        tables=TRACE_TABLES,
        limits=context.access.limits(context.principal, chosen),
    ) as session:
        try:
            trace = read_trace(session, find_trace_id(session, text))
        except NotFoundError as exc:
            raise NotFoundError(str(exc), hint=f"{exc.hint}; --tenant names others") from exc
    for tenant in trace.tenants:
        context.record("record.viewed", tenant, action="trace", resource_type="trace", resource_id=trace.trace_id)
    return trace
