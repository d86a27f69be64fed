"""`muniment sql` and `muniment trace`: allowed, recorded, then read; against a real lake, with access and recording in memory."""

import csv
import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from governance.access import Access, Action
from muniment.cli import query as command
from muniment.cli.query import Format, SqlRequest, choose_format, read_sql, readable_tenants, run_sql, view_trace
from muniment.cli.table import MAX_ROWS, print_table
from warehouse.errors import DeniedError, InputError, NotFoundError, QueryError, UnavailableError
from warehouse.principals import Principal, PrincipalKind
from warehouse.query import QuerySettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Context:
    """What a command gets, with recording in memory."""

    def __init__(self, lake, *, principal=None, tenants=("acme", "globex")):
        self.lake = lake
        self.principal = principal or Principal(PrincipalKind.LOCAL_USER, "owner")
        self.access = Access(owner="owner", users={"sre": ["sam"]})
        self.settings = SimpleNamespace(query=QuerySettings(memory_limit_mib=256))
        self.control = SimpleNamespace(list_tenants=lambda: [SimpleNamespace(id=tenant) for tenant in tenants])
        self.recorded = []
        self.refuse = False

    def check(self, action, tenant=None):
        self.access.check(self.principal, action, tenant)

    def allowed(self, action, tenants):
        return [tenant for tenant in tenants if self.access.decide(self.principal, action, tenant).allowed]

    def record(self, event_name, tenant, **fields):
        if self.refuse:
            raise UnavailableError("the log cannot be written")
        self.recorded.append((event_name, tenant, fields))


@pytest.fixture
def context(two_tenants):
    """The owner's context on the lake of two tenants."""
    return Context(two_tenants.lake)


def run(context, sql, **more):
    """Run a request and return the bytes on standard output."""
    out = io.BytesIO()
    request = SqlRequest(sql, **{"tenants": ("acme",), "form": Format.JSON} | more)
    rows = run_sql(context, request, out)
    return rows, out.getvalue()


def test_rows_come_in_the_format_asked_for(context, two_tenants):
    """JSON, CSV and Parquet hold the same rows, with nothing before or after them."""
    sql = "select name, input_tokens from spans order by input_tokens"
    rows, text = run(context, sql)
    assert rows == 2
    assert json.loads(text) == [{"name": "chat", "input_tokens": 1}, {"name": "chat", "input_tokens": 2}]
    _, text = run(context, sql, form=Format.CSV)
    assert list(csv.reader(io.StringIO(text.decode()))) == [["name", "input_tokens"], ["chat", "1"], ["chat", "2"]]
    _, content = run(context, sql, form=Format.PARQUET)
    assert pq.read_table(io.BytesIO(content)).num_rows == 2


def test_every_tenant_read_gets_an_event_without_literals_before_rows_are_returned(context):
    """data.exported goes to each tenant's log, names tables and format, and holds no literal of the query."""
    run(context, "select name from spans where user_id = 'alice'", tenants=("globex", "acme"))
    assert [(name, tenant) for name, tenant, _ in context.recorded] == [
        ("data.exported", "acme"),
        ("data.exported", "globex"),
    ]
    fields = context.recorded[0][2]
    assert fields["body"] == 'SELECT "name" FROM spans WHERE (user_id = ?)'
    assert (fields["action"], fields["resource_type"], fields["resource_id"]) == ("sql", "table", "spans")
    assert fields["attributes"] == {"muniment.format": "json"}
    assert "alice" not in str(context.recorded)


def test_nothing_is_returned_where_the_reading_cannot_be_recorded(context, tmp_path):
    """Without its event a query returns no byte and leaves no file."""
    context.refuse = True
    out = io.BytesIO()
    with pytest.raises(UnavailableError, match="cannot be written"):
        run_sql(context, SqlRequest("from spans", form=Format.CSV, out=tmp_path / "x.csv"), out)
    assert out.getvalue() == b""
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnavailableError):
        view_trace(context, "a" * 32, ())


def test_a_refused_query_is_not_recorded_as_an_export(context):
    """The guard comes first: what does not run exports nothing."""
    with pytest.raises(QueryError):
        run(context, "select * from read_csv('/etc/passwd')")
    assert context.recorded == []


def test_a_query_that_reads_no_table_needs_no_event(context):
    """Arithmetic reads nobody's data."""
    assert json.loads(run(context, "select 1 as one")[1]) == [{"one": 1}]
    assert context.recorded == []


TENANTS = [
    ("one", "owner", ("acme",), False, ["acme"]),
    ("twice the same", "owner", ("acme", "acme"), False, ["acme"]),
    ("the lake's own", "owner", ("_lake",), False, ["_lake"]),
    ("all that may be read", "owner", (), False, ["acme", "globex"]),
    ("all there are", "owner", (), True, ["_lake", "acme", "globex"]),
    ("unknown", "owner", ("nobody",), False, NotFoundError),
    ("both options", "owner", ("acme",), True, InputError),
    ("a stranger's", "mallory", ("acme",), False, DeniedError),
    ("a stranger's all", "mallory", (), False, DeniedError),
    ("bound to one, all that may be read", "job:acme", (), False, ["acme"]),
    ("bound to one, asks another", "job:acme", ("globex",), False, DeniedError),
    ("bound to one, all there are", "job:acme", (), True, DeniedError),
]  # fmt: skip


@pytest.mark.parametrize(("who", "named", "every", "expected"), [r[1:] for r in TENANTS], ids=[r[0] for r in TENANTS])
def test_tenants_are_those_asked_for_and_allowed(two_tenants, who, named, every, expected):
    """Named tenants must exist and be allowed; without a name all allowed ones are read."""
    kind, _, bound = who.partition(":")
    principal = (
        Principal(PrincipalKind.JOB, kind, frozenset({bound})) if bound else Principal(PrincipalKind.LOCAL_USER, who)
    )
    context = Context(two_tenants.lake, principal=principal)
    if isinstance(expected, list):
        assert readable_tenants(context, named, all_tenants=every, action=Action.RECORDS_READ) == expected
        return
    with pytest.raises(expected):
        readable_tenants(context, named, all_tenants=every, action=Action.RECORDS_READ)


def test_taking_data_away_needs_the_right_to_export(two_tenants):
    """A role that may look at records gets a table, and no CSV."""
    sre = Principal(PrincipalKind.LOCAL_USER, "sam")
    with pytest.raises(DeniedError, match=r"records\.export"):
        run(Context(two_tenants.lake, principal=sre), "from spans", form=Format.CSV)
    assert run(Context(two_tenants.lake, principal=sre), "from spans", form=Format.TABLE)[0] == 2


def test_a_lake_without_tenants_says_what_to_do(two_tenants):
    """Before the first tenant there is nothing to read."""
    with pytest.raises(InputError, match="the lake has none"):
        run(Context(two_tenants.lake, tenants=()), "from spans", tenants=())


def test_files_appear_whole_and_private(context, tmp_path):
    """--out makes a file of mode 0600; a query that fails leaves what was there before."""
    out = tmp_path / "rows.csv"
    out.write_text("before")
    with pytest.raises(QueryError):
        run(context, "select case when range = 300000 then error('x') end from range(400000)", form=Format.CSV, out=out)
    assert out.read_text() == "before"
    rows, printed = run(context, "select count(*) as n from spans", form=Format.CSV, out=out)
    assert (rows, printed, out.read_text()) == (1, b"", "n\n2\n")
    assert out.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_that_cannot_be_written_is_named(context, tmp_path):
    """A missing folder is bad input that names the file; a file that cannot be opened names itself too."""
    with pytest.raises(InputError, match=r"x\.json: expected a file in a folder that exists"):
        run(context, "select 1", out=tmp_path / "missing" / "x.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UnavailableError, match="cannot be written"):
        run(context, "select 1", out=tmp_path / "folder.json")


FORMATS = [
    (None, None, Format.TABLE), (None, "x.csv", Format.CSV), (None, "x.JSON", Format.JSON), (None, "x.parquet", Format.PARQUET),
    (Format.JSON, "x.csv", Format.JSON), (None, "x.txt", InputError), (Format.TABLE, "x.csv", InputError), (Format.PARQUET, None, InputError),
]  # fmt: skip


@pytest.mark.parametrize(("form", "out", "expected"), FORMATS)
def test_the_format_is_asked_for_or_read_off_the_file(tmp_path, form, out, expected):
    """--format wins, then the ending of --out, then a table; Parquet never goes to a terminal."""
    path = None if out is None else tmp_path / out
    if isinstance(expected, Format):
        assert choose_format(form, path, to_terminal=True) == expected
        return
    with pytest.raises(expected):
        choose_format(form, path, to_terminal=True)


def test_sql_comes_from_one_place(tmp_path, monkeypatch):
    """From the argument, a file or standard input, and not from two of them."""
    file = tmp_path / "q.sql"
    file.write_text("select 2")
    monkeypatch.setattr(command.sys, "stdin", io.StringIO("select 3"))
    assert [read_sql("select 1", None), read_sql(None, str(file)), read_sql(None, "-")] == [
        "select 1",
        "select 2",
        "select 3",
    ]
    for pair in ((None, None), ("select 1", "-"), (None, str(tmp_path / "missing.sql"))):
        with pytest.raises(InputError):
            read_sql(*pair)


def shown(session, sql, **options):
    """What `print_table` prints: (rows, standard output, standard error)."""
    out, notes = io.StringIO(), io.StringIO()
    with session.stream(sql) as reader:
        rows = print_table(reader, Console(file=out, **options), Console(file=notes))
    return rows, out.getvalue(), notes.getvalue()


def test_tables_fit_the_terminal(two_tenants):
    """On a terminal a table is no wider than it, and says how many columns it left out; in a pipe nothing is cut."""
    with two_tenants.session() as session:
        _, text, notes = shown(session, "from spans", force_terminal=True, width=60, color_system=None)
        assert max(map(len, text.splitlines())) <= 60
        assert "more columns not shown" in notes
        _, text, notes = shown(session, f"select '{'x' * 150}' as long, * from spans")
        assert "x" * 150 in text
        assert notes == ""


def test_tables_show_the_first_rows_and_count_them_all(two_tenants):
    """Beyond the first rows only their number is told."""
    with two_tenants.session() as session:
        rows, text, notes = shown(session, "select range as n from range(100000)")
    assert rows == 100_000
    assert str(MAX_ROWS - 1) in text
    assert str(MAX_ROWS + 1) not in text
    assert f"the first {MAX_ROWS} rows" in notes


def test_cells_cannot_steer_the_terminal(two_tenants):
    """Control characters of a value are dots, markup is text, NULL is told from empty."""
    with two_tenants.session() as session:
        _, text, _ = shown(session, "select chr(27) || '[2J' as a, '[red]x' as b, null as c, [1, null] as d")
    assert "·[2J" in text
    assert "[red]x" in text
    assert "NULL" in text
    assert "[1,null]" in text


@pytest.fixture
def traced(query_lake):
    """A lake with one trace over spans, a log and an audit event, and another that begins alike."""
    query_lake.write("spans", [
        {"trace_id": TRACE, "span_id": "1" * 16, "name": "invoke_agent buyer", "input_tokens": 10, "duration_ns": 5},
        {"trace_id": TRACE, "span_id": "2" * 16, "parent_span_id": "1" * 16, "name": "execute_tool order"},
        {"trace_id": "4bf92f35" + "0" * 24, "span_id": "3" * 16, "name": "another"},
    ])  # fmt: skip
    query_lake.write("logs", [{"trace_id": TRACE, "span_id": "2" * 16, "body": "ordered"}], segment=2)
    query_lake.write(
        "audit_events",
        [{"trace_id": TRACE, "span_id": "1" * 16, "event_name": "approval.granted", "actor_id": "bob"}],
        segment=3,
    )
    query_lake.write(
        "audit_events", [{"trace_id": "c" * 32, "event_name": "gate.evaluated"}], tenant="globex", segment=4
    )
    return Context(query_lake.lake)


def test_a_trace_is_read_from_its_tables_and_recorded_where_its_records_are(traced):
    """Spans, logs and audit events come together; record.viewed goes to the tenants that have records in it."""
    trace = view_trace(traced, TRACE.upper(), ())
    assert [node.span.name for node in trace.walk()] == ["invoke_agent buyer", "execute_tool order"]
    assert [[e.event_name or e.body for e in node.events] for node in trace.walk()] == [
        ["approval.granted"],
        ["ordered"],
    ]
    assert [(name, tenant, f["resource_id"]) for name, tenant, f in traced.recorded] == [
        ("record.viewed", "acme", TRACE)
    ]


IDS = [
    ("an unambiguous prefix", "4bf92f3577b", TRACE),
    ("a trace of events alone", "cccccccc", "c" * 32),
    ("ambiguous", "4bf92f35", "several begin with"),
    ("too short", "4bf92f3", "at least the first 8"),
    ("not hex", "4bf92f3g", "expected 32 hex digits"),
    ("a pattern", "4bf92f3%", "expected 32 hex digits"),
    ("too long", "a" * 33, "expected 32 hex digits"),
    ("unknown", "dddddddd", "no record of it"),
    ("unknown, whole", "d" * 32, "no record of it"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in IDS], ids=[row[0] for row in IDS])
def test_a_trace_is_found_by_its_id_or_an_unambiguous_beginning(traced, text, expected):
    """Eight digits or more find the one trace that begins so; otherwise the error says what is wrong."""
    if len(expected) == 32 and " " not in expected:
        assert view_trace(traced, text, ()).trace_id == expected
        return
    with pytest.raises((InputError, NotFoundError), match=expected):
        view_trace(traced, text, ())
    assert traced.recorded == []


def test_a_trace_of_another_tenant_is_not_found(traced):
    """Within one tenant, another's trace does not exist."""
    with pytest.raises(NotFoundError):
        view_trace(traced, "c" * 32, ("acme",))


def test_importing_the_command_does_not_load_the_engine():
    """`muniment --help` starts without DuckDB, deltalake or polars."""
    code = "import sys, muniment.cli.query, warehouse.query; print(sorted({'duckdb', 'deltalake', 'polars', 'pyarrow'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert result.stdout.strip() == "[]"
