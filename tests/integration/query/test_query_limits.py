"""Sessions that show some tables, columns and classes of rows: what is kept back cannot be had by any way of asking."""

import pytest

from governance.access import Access
from governance.access.columns import Holds, columns_of, unplaced
from warehouse.derived.tables import DERIVED
from warehouse.errors import DeniedError, QueryError
from warehouse.principals import Principal, PrincipalKind
from warehouse.query import QuerySettings, ReadPoint, open_session
from warehouse.query.limits import ReadLimits
from warehouse.query.views import READ_TABLES, VIEWS

SECRET = "canary-of-texts"
RESTRICTED = "span-of-restricted"
SRE = Principal(PrincipalKind.LOCAL_USER, "carol")
AUDITOR = Principal(PrincipalKind.LOCAL_USER, "bob")
ACCESS = Access(owner="alice", users={"sre": ["carol"], "auditor": ["bob"]})


@pytest.fixture
def lake(query_lake):
    """One record in each stored table that the query fixtures write; every text and person column holds the canary."""
    common = {"attributes": f'{{"a": "{SECRET}"}}', "resource": SECRET, "peer": SECRET, "envelope": SECRET}
    span = common | {"trace_id": "a" * 32, "span_id": "1" * 16, "status_code": "ERROR", "status_message": SECRET}
    query_lake.write(
        "spans",
        [
            span | {"name": "chat", "duration_ns": 7, "events": SECRET, "user_id": SECRET, "data_class": "internal"},
            span | {"name": RESTRICTED, "duration_ns": 9, "links": SECRET, "data_class": "restricted"},
        ],
    )
    query_lake.write("logs", [common | {"body": SECRET, "severity_text": "INFO"}], segment=2)
    query_lake.write(
        "audit_events",
        [common | {"event_name": "tool.called", "actor_id": SECRET, "reason": SECRET, "body": SECRET, "outcome": "ok"}],
        segment=3,
    )
    query_lake.write("contents", [{"owner_table": "spans", "owner_index": 0, "part": "p", "body": SECRET}], segment=4)
    return query_lake


def session(lake, principal=SRE, **more):
    limits = more.pop("limits", None) or ACCESS.limits(principal, ["acme"])
    return open_session(
        lake.lake.path,
        tenants=["acme"],
        principal=principal,
        settings=QuerySettings(memory_limit_mib=256),
        limits=limits,
        **more,
    )


def test_every_column_of_every_table_has_its_place():
    """A column that nobody has placed is kept back like a text; this asks for its place."""
    assert unplaced() == frozenset()
    for table in READ_TABLES.values():
        parts = columns_of(table.name)
        assert sum(map(len, parts.values())) == len(table.columns)
        assert not (table.name in DERIVED and (parts[Holds.TEXTS] or parts[Holds.PERSONS]))


def test_an_sre_sees_latency_and_status_and_no_text(lake):
    """Measures are there; columns of texts and persons are there too, of their type, and NULL."""
    with session(lake) as opened:
        rows = opened.query("select name, duration_ns, status_code, attributes, user_id, events from spans order by 2")
        assert rows.to_pylist()[0] == {
            "name": "chat", "duration_ns": 7, "status_code": "ERROR", "attributes": None, "user_id": None, "events": None,
        }  # fmt: skip
        assert opened.tables == VIEWS - {"contents"}
        typed = dict(zip(rows.schema.names, rows.schema.types, strict=True))
        assert str(typed["attributes"]) == "string"


def test_an_auditor_sees_everything(lake):
    """Who may read every table and column sees what is stored: the canary is there to be found."""
    with session(lake, AUDITOR) as opened:
        assert opened.query("select body from contents").to_pylist() == [{"body": SECRET}]
        assert opened.query("select attributes from logs").to_pylist() == [{"attributes": f'{{"a": "{SECRET}"}}'}]


ESCAPES = [
    "select * from {table}",
    "select columns(*) from {table}",
    "summarize {table}",
    "summarize select * from {table}",
    "describe {table}",
    "from {table} select to_json({table})",
    "select {table} from {table}",
    "select list({table}) from {table}",
    "select row_to_json(t) from {table} t",
    "select * from {table} a join {table} b on a.log_index = b.log_index",
    "select * from {table} natural join logs",
    "select * from logs join audit_events using (body)",
    "select * exclude (tenant_id) from {table}",
    "select #18, #19, #20, #21, #22 from {table}",
    "with {table} as (select * from {table}) select * from {table}",
    "with recursive r as (select * from {table} union select * from r) select * from r",
    "select * from (values (1)) v, lateral (select * from {table}) t",
    "select (select any_value(attributes) from {table})",
    "select max(resource), min(attributes), string_agg(envelope) from {table}",
    "unpivot (select trace_id, attributes, resource from {table}) on attributes, resource",
    "select * from {table} where attributes like '%canary%' or resource is not null",
    "select coalesce(attributes, resource, envelope, peer) from {table}",
    "select * from {table} union all by name select * from {table}",
    "select error(attributes) from {table}",
    "select histogram(attributes) from {table}",
]
REFUSED = [
    "select * from contents",
    "select * from all_spans",
    "select * from all_contents",
    "select * from '{path}'",
    'select * from "{path}"',
    "select * from read_parquet('{path}')",
    "select * from parquet_metadata('{path}')",
    "select * from parquet_scan(['{path}'])",
    "select * from glob('{folder}/**')",
    "select content from read_text('{path}')",
    "select * from duckdb_views()",
    "select view_definition from information_schema.views",
    "select sql from sqlite_master",
    "show all tables",
    "copy spans to '/tmp/x'",
    "create view v as select * from read_parquet('{path}')",
    "select * from query('select * from contents')",
    "select * from query_table('contents')",
    "select * from main.contents",
    "pragma show_tables",
]


@pytest.mark.parametrize("sql", ESCAPES)
@pytest.mark.parametrize("table", ["spans", "logs", "audit_events"])
def test_no_way_of_asking_shows_what_is_kept_back(lake, sql, table):
    """Whatever a query makes of the views, the canary is in none of its values, names or errors."""
    with session(lake) as opened:
        try:
            shown = str(opened.query(sql.format(table=table)).to_pydict())
        except QueryError as exc:
            shown = str(exc)
    assert SECRET not in shown


@pytest.mark.parametrize("sql", REFUSED)
def test_ways_around_the_views_are_refused(lake, sql):
    """A file that the session may open, a table that it may not, and the catalogue are refused before anything runs."""
    path = next((lake.lake.path / "tables/spans").rglob("*.parquet"))
    text = sql.format(path=str(path).replace("'", "''"), folder=str(lake.lake.path).replace("'", "''"))
    with session(lake) as opened, pytest.raises(QueryError) as refused:
        opened.query(text)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("sql", ["select body from contents", "select * from read_parquet('{path}')"])
def test_files_of_a_table_that_may_not_be_read_are_behind_the_second_wall_too(lake, sql):
    """Even a query that passes no guard cannot open the files of a table that the session may not read."""
    path = next((lake.lake.path / "tables/contents").rglob("*.parquet"))
    with session(lake) as opened, pytest.raises(QueryError):
        opened.run_trusted(sql.format(path=str(path).replace("'", "''")))


def test_a_session_of_new_rows_is_limited_in_both_views(lake):
    """`spans` and `all_spans` hold the same columns back, and `all_contents` is not there."""
    with session(lake, since=ReadPoint()) as opened:
        for view in ("spans", "all_spans"):
            rows = opened.query(f"select attributes, duration_ns from {view}").to_pylist()
            assert [(row["attributes"], row["duration_ns"]) for row in rows] == [(None, 7), (None, 9)]
        for view in ("contents", "all_contents"):
            with pytest.raises(QueryError, match="not allowed in a query: table"):
                opened.query(f"select * from {view}")


def test_asking_for_a_table_that_may_not_be_read_is_denied_by_name(lake):
    """Where the caller names tables, one that may not be read is a denial and no empty answer."""
    with pytest.raises(DeniedError, match="user:carol may not read contents"), session(lake, tables=("contents",)):
        pass


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ({"internal", "restricted", "public", "confidential", "unclassified"}, ["chat", RESTRICTED]),
        ({"internal"}, ["chat"]),
        ({"restricted"}, [RESTRICTED]),
        ({"unclassified"}, []),
        (set(), []),
    ],
)
def test_rows_of_a_class_that_may_not_be_read_are_not_there(lake, classes, names):
    """Rows are shown by their class, in views of new rows too; rows without one count as unclassified."""
    every = {name: table.schema.names for name, table in READ_TABLES.items()}
    limits = ReadLimits(every, frozenset(classes))
    for more in ({}, {"since": ReadPoint()}):
        with session(lake, limits=limits, **more) as opened:
            found = opened.query("select name from spans order by duration_ns").column("name").to_pylist()
            logs = opened.query("select count(*) as n from logs").to_pylist()
            assert (found, logs) == (names, [{"n": int("unclassified" in classes)}])


def test_a_session_over_two_tenants_shows_what_may_be_read_in_both():
    """Somebody who is an SRE everywhere and an auditor in one tenant reads measures over both, everything in the one."""
    access = Access(owner="alice", users={"sre": ["carol"]})
    both = access.limits(SRE, ["acme", "globex"])
    assert both == access.limits(SRE, ["acme"])
    assert access.limits(Principal(PrincipalKind.LOCAL_USER, "nobody"), ["acme"]) == ReadLimits({}, frozenset())
