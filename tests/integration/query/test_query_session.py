"""Sessions: which rows they see, what they may use, and what they leave behind."""

import datetime as dt
import threading

import duckdb
import pyarrow as pa
import pytest

from warehouse.errors import DeniedError, NameRuleError, QueryError, UnavailableError
from warehouse.lake import Lake
from warehouse.principals import Principal, PrincipalKind
from warehouse.query import QuerySettings, sweep_spill
from warehouse.query import files as files_module
from warehouse.query.files import list_files
from warehouse.query.views import VIEWS
from warehouse.tables import TABLES

NAMES = "select name from spans order by name"


def names(session):
    """Names of all spans that the session sees."""
    return session.query(NAMES).column("name").to_pylist()


def test_rows_of_the_sessions_tenants_alone_are_seen(two_tenants):
    """A session sees the rows of its tenants, and none of another."""
    with two_tenants.session("acme") as session:
        assert names(session) == ["chat", "chat"]
        assert session.query("select * from spans where tenant_id = 'globex'").num_rows == 0
        assert session.query("select * from audit_events").num_rows == 0
    with two_tenants.session("globex", "acme") as session:
        assert session.tenants == ("acme", "globex")
        assert names(session) == [two_tenants.canary, "chat", "chat"]


def test_segments_above_the_mark_are_not_seen(query_lake):
    """A file whose segment is above its shard's mark is skipped until the mark passes it, and a shard without a mark whole."""
    query_lake.write("spans", [{"name": "one"}], segment=1)
    query_lake.write("spans", [{"name": "two"}], segment=2, mark=False)
    query_lake.write("spans", [{"name": "other"}], shard="edge-00ff00ff", segment=1, mark=False)
    with query_lake.session() as session:
        assert names(session) == ["one"]
        query_lake.mark(2)
        assert names(session) == ["one"]
    with query_lake.session() as session:
        assert names(session) == ["one", "two"]


def test_compacted_files_are_always_seen(query_lake):
    """A file that compaction made has no segment and counts; those it replaced do not."""
    query_lake.write("spans", [{"name": "old"}], segment=1)
    query_lake.compact("spans", [{"name": "compacted"}])
    query_lake.write("spans", [{"name": "new"}], segment=2)
    with query_lake.session() as session:
        assert names(session) == ["compacted", "new"]


def test_a_rewrite_during_the_listing_never_shows_part_of_a_request(query_lake, monkeypatch):
    """When a segment is marked and compacted after the marks were read, the list is made anew, with all of its tables."""
    query_lake.write("logs", [{"body": "first"}], segment=1)
    query_lake.write("spans", [{"name": "first"}], segment=1)
    real = files_module.read_marks
    reads = []

    def read_marks(lake):
        marks = real(lake)
        if not reads:  # right after the first reading: another segment, and compaction of one of its tables
            query_lake.write("logs", [{"body": "second"}], segment=2, mark=False)
            query_lake.write("spans", [{"name": "second"}], segment=2)
            query_lake.compact("spans", [{"name": "first"}, {"name": "second"}])
        reads.append(marks)
        return marks

    monkeypatch.setattr(files_module, "read_marks", read_marks)
    with query_lake.session() as session:
        assert names(session) == ["first", "second"]
        assert session.query("select body from logs order by body").column("body").to_pylist() == ["first", "second"]


def test_a_listing_that_never_settles_is_an_error(query_lake, monkeypatch):
    """Where rewrites replace files during every attempt, the session is refused rather than opened on a mixture."""
    query_lake.write("spans", [{"name": "x"}])
    count = iter(range(1000))

    def read_marks(lake):
        number = next(count)
        query_lake.compact("spans", [{"name": "x"}])
        return {"main-1a2b3c4d": number}

    monkeypatch.setattr(files_module, "read_marks", read_marks)
    monkeypatch.setattr(files_module, "_ATTEMPTS", 2)
    with pytest.raises(UnavailableError, match="no stable list of them in 2 attempts"), query_lake.session():
        pass


def test_a_file_that_is_no_parquet_file_is_named(query_lake):
    """A session over a damaged file does not open, with an error of Muniment's own that names it."""
    (file,) = query_lake.write("spans", [{"name": "x"}])
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(UnavailableError, match=f"a table cannot be opened: .*{file.name}"), query_lake.session():
        pass
    with query_lake.session(tables=["logs"]) as session:
        assert session.query("select count(*) as n from logs").to_pylist() == [{"n": 0}]


def test_views_of_tables_without_files_have_the_same_columns(query_lake):
    """A view has the table's columns and types, with time after the partition columns, whether there are files or not."""
    with query_lake.session() as session:
        empty = {name: session.query(f"select * from {name}").schema for name in VIEWS}
    for name in TABLES:
        query_lake.write(name, [{}])
    with query_lake.session() as session:
        for name in TABLES:
            rows = session.query(f"select * from {name}")
            assert rows.schema == empty[name]
            assert rows.num_rows == 1
            columns = TABLES[name].schema.names
            assert rows.schema.names == [*columns[:2], "time", *columns[2:]]
            assert rows.schema.field("time").type == pa.timestamp("us")
            assert rows.schema.field("day").type == pa.date32()
            assert rows.schema.field("tenant_id").type == pa.string()


def test_time_is_the_records_own_in_utc_to_the_microsecond(query_lake):
    """The time of a row is time_unix_nano as a TIMESTAMP in UTC; what is below a microsecond is cut."""
    query_lake.write("spans", [{"name": "x", "time_unix_nano": query_lake.noon + 1_234_567}])
    with query_lake.session() as session:
        row = session.query("select time, day, time::date = day as same from spans").to_pylist()[0]
    assert row == {
        "time": dt.datetime(2026, 11, 20, 12, 0, 0, 1234),  # noqa: DTZ001  TIMESTAMP has no zone
        "day": dt.date(2026, 11, 20),
        "same": True,
    }


def test_a_tenant_that_looks_like_a_number_stays_text(query_lake):
    """Partition values of a path are not guessed: tenant 007 is neither 7 nor a number."""
    query_lake.write("spans", [{"name": "x"}], tenant="007")
    with query_lake.session("007") as session:
        assert session.query("select tenant_id from spans where tenant_id = '007'").to_pylist() == [
            {"tenant_id": "007"}
        ]


def test_parameters_are_bound_by_position_and_by_name(two_tenants):
    """Values go in as parameters, so that no text of theirs is ever SQL."""
    with two_tenants.session() as session:
        assert session.query("select input_tokens n from spans where span_id = ?", [f"{2:016x}"]).to_pylist() == [
            {"n": 2}
        ]
        assert session.query("select $a || $b as x", {"a": "'; drop", "b": 1}).to_pylist() == [{"x": "'; drop1"}]


def test_only_the_tables_asked_for_are_opened(two_tenants):
    """A session over some tables refuses the others by name."""
    with two_tenants.session(tables=("logs",)) as session:
        assert session.query("select body from logs").num_rows == 1
        with pytest.raises(QueryError, match="not allowed in a query: table spans"):
            session.query("select * from spans")


REFUSED_TENANTS = [
    ("none", [], None, QueryError, "expected at least one tenant"),
    ("a path", ["../globex"], None, NameRuleError, "tenant name"),
    ("a pattern", ["*"], None, NameRuleError, "tenant name"),
    ("another's", ["globex"], {"acme"}, DeniedError, "bound to other tenants"),
    ("one of two", ["acme", "globex"], {"acme"}, DeniedError, "globex"),
]


@pytest.mark.parametrize(
    ("tenants", "bound", "error", "message"), [r[1:] for r in REFUSED_TENANTS], ids=[r[0] for r in REFUSED_TENANTS]
)
def test_tenants_outside_the_principals_bounds_are_refused(two_tenants, tenants, bound, error, message):
    """A session opens for named tenants within the principal's bounds, or not at all."""
    principal = Principal(PrincipalKind.JOB, "job", frozenset(bound) if bound else None)
    from warehouse.query import open_session

    with (
        pytest.raises(error, match=message),
        open_session(two_tenants.lake.path, tenants=tenants, principal=principal, settings=QuerySettings()),
    ):
        pass


ENDLESS = "select count(*) from range(100000000) a, range(100000000) b where a.range + b.range = -1"


def test_a_query_that_takes_too_long_is_stopped_and_the_session_goes_on(two_tenants):
    """After its time a query fails by name; the next one runs."""
    with two_tenants.session() as session:
        with pytest.raises(QueryError, match=r"query stopped after 0\.2 s"):
            session.query(ENDLESS, timeout_seconds=0.2)
        assert session.query("select 1 as one").to_pylist() == [{"one": 1}]


def test_a_stream_that_takes_too_long_is_stopped(two_tenants):
    """The time runs until the last row is read: a stream that is read slowly or without end is stopped, too."""
    with (
        two_tenants.session() as session,
        pytest.raises(QueryError, match="query stopped after"),
        session.stream("select a.range from range(100000000) a, range(1000) b", timeout_seconds=0.3) as reader,
    ):
        for _ in reader:
            pass


def test_an_error_of_the_reader_of_a_stream_passes_through(two_tenants):
    """What goes wrong at whoever reads the rows is not reported as a failed query."""
    with (
        two_tenants.session() as session,
        pytest.raises(BrokenPipeError),
        session.stream("select * from range(10)"),
    ):
        raise BrokenPipeError


def test_errors_inside_the_engine_are_query_errors(two_tenants):
    """An unknown column, a failing cast, and one found only in a later batch all come out as QueryError."""
    with two_tenants.session() as session:
        for sql in (
            "select nothing from spans",
            "select name::int from spans",
            "select case when range = 400000 then error('late') end from range(500000)",
        ):
            with pytest.raises(QueryError, match="query failed"):
                session.query(sql)


def test_sessions_may_be_used_from_several_threads(two_tenants):
    """Queries of several threads in one session get their own rows."""
    results = {}

    def run(session, number):
        results[number] = session.query("select count(*) c, ? as n from spans", [number]).to_pylist()

    with two_tenants.session() as session:
        threads = [threading.Thread(target=run, args=(session, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {number: [{"c": 2, "n": number}] for number in range(8)}


def test_large_intermediate_results_spill_into_the_lake_and_go_with_the_session(query_lake):
    """What does not fit into memory goes to LAKE/spill in a folder of mode 0700, and nothing of it stays."""
    spill = query_lake.lake.spill
    seen = []
    with query_lake.session(settings=QuerySettings(memory_limit_mib=64, threads=1)) as session:
        folders = [path for path in spill.iterdir() if path.is_dir()]
        assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700]
        with session.stream("select md5(range::varchar) as h from range(3000000) order by h") as reader:
            reader.read_next_batch()
            seen = [path.name for path in folders[0].iterdir()]
    assert seen
    assert list(spill.iterdir()) == []


def test_a_query_over_its_memory_and_spill_fails(query_lake):
    """Without room to spill, the memory limit ends a query, not the process."""
    settings = QuerySettings(memory_limit_mib=64, spill_limit_mib=0, threads=1)
    with (
        query_lake.session(settings=settings) as session,
        pytest.raises(QueryError, match="query failed: Out of Memory"),
    ):
        session.query("select md5(range::varchar) as h from range(5000000) order by h")


def test_the_sweep_takes_what_dead_processes_left_and_nothing_else(query_lake):
    """A folder whose lock nobody holds is deleted, one without a lock too; that of a running session stays."""
    dead = query_lake.lake.spill / "dead"
    dead.mkdir()
    (dead / "rows.tmp").write_text("rows")
    (query_lake.lake.spill / "dead.lock").touch()
    (query_lake.lake.spill / "orphan").mkdir()
    with query_lake.session():
        alive = {path.name for path in query_lake.lake.spill.iterdir()} - {"dead", "dead.lock", "orphan"}
        assert sweep_spill(query_lake.lake) == 2
        assert {path.name for path in query_lake.lake.spill.iterdir()} == alive
    assert sweep_spill(query_lake.lake) == 0


def test_a_file_that_vanished_is_named_with_what_to_do(query_lake):
    """When maintenance deleted a file under a session, the error says to run the query again."""
    (file,) = query_lake.write("spans", [{"name": "x"}])
    with query_lake.session() as session:
        file.unlink()
        with pytest.raises(QueryError) as caught:
            session.query("select name from spans")
    assert "run it again" in (caught.value.hint or "")


def test_a_lake_without_tables_lists_no_files(tmp_path):
    """Before the first commit there is nothing to read, and that is no error."""
    assert list_files(Lake(tmp_path), ["acme"], VIEWS).files == {name: [] for name in VIEWS}


def test_trusted_queries_are_one_select_too(two_tenants):
    """What skips the guard still cannot write: only one SELECT is run, in the same walled connection."""
    with two_tenants.session() as session:
        assert session.run_trusted(
            "select count(*) as n from spans where name = $name", {"name": "chat"}
        ).to_pylist() == [{"n": 2}]
        for sql in ("create table x as select 1", "select 1; select 2", "copy (select 1) to 'x'"):
            with pytest.raises(QueryError, match="expected one statement of type SELECT"):
                session.run_trusted(sql)


def test_closed_sessions_run_nothing(two_tenants):
    """After the block the connection is gone."""
    with two_tenants.session() as session:
        pass
    with pytest.raises((QueryError, duckdb.Error)):
        session.query("select 1")
