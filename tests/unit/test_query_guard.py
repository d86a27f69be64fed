"""The guard's own rules: names, scopes and what an error says. The attacks stand in the integration tests."""

import duckdb
import pytest

from warehouse.errors import QueryError
from warehouse.query.functions import SCALAR_FUNCTIONS, TABLE_FUNCTIONS
from warehouse.query.guard import check_query
from warehouse.query.syntax import MAX_SQL_CHARACTERS
from warehouse.query.views import VIEWS

REFUSED = [
    ("table", "select * from secrets", "not allowed in a query: table secrets"),
    ("schema", "select * from information_schema.tables", "table information_schema.tables"),
    ("table function", "select * from read_csv('x')", "table function read_csv"),
    ("function", "select getvariable('x')", "function getvariable"),
    ("window function", "select nextval('x') over ()", "nextval"),
    ("statement", "copy spans to 'x'", "expected a statement of type SELECT, got COPY"),
    ("two", "select 1; select 2", "expected one statement, got 2"),
    ("write in WITH", "with w as (delete from spans returning *) from w", "DELETE_QUERY_NODE"),
    ("pivot that runs first", "pivot spans on name using count(*)", "PIVOT without IN"),
    ("WITH named like a file", 'with "a.csv" as (select 1) from "a.csv"', "WITH name 'a.csv'"),
    ("time travel", "from spans at (version => 1)", "AT on table spans"),
    ("too long", "select '" + "x" * MAX_SQL_CHARACTERS + "'", "query is too long"),
    ("too deep", "select " + "(" * 900 + "1" + ")" * 900, ""),
    ("too deep, sums", "select " + "+".join(["1"] * 900), "nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refusals_name_what_is_refused(sql, message):
    """An error says which part of the query may not stand there."""
    if not message:
        check_query(sql, VIEWS)  # brackets alone are no nesting
        return
    with pytest.raises(QueryError) as caught:
        check_query(sql, VIEWS)
    assert message in str(caught.value)


READ = [
    ("one", "from spans", {"spans"}),
    ("upper case", "FROM SPANS", {"spans"}),
    ("quoted", 'from "spans"', {"spans"}),
    ("nested", "select (select max(body) from logs) from spans where exists (from audit_events)", {"spans", "logs", "audit_events"}),
    ("shadowed by WITH", "with logs as (select 1) from logs", set()),
    ("WITH over its own view", "with logs as (from logs) from logs", {"logs"}),
    ("inner WITH", "from (with w as (from contents) from w)", {"contents"}),
    ("none", "select 1", set()),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "views"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_the_views_that_a_query_reads_are_known(sql, views):
    """The check says which views a query reads: what is opened, and what the audit event names."""
    assert check_query(sql, VIEWS).views == views


def test_every_allowed_function_exists():
    """The list names functions that DuckDB has, so that a slip of the pen is found."""
    connection = duckdb.connect()
    known = {name for (name,) in connection.execute("select distinct function_name from duckdb_functions()").fetchall()}
    special = {"current_date", "grouping", "grouping_id", "if", "nullif", "unnest", "row"}
    assert SCALAR_FUNCTIONS - known - special == set()
    assert known | special >= TABLE_FUNCTIONS


@pytest.mark.parametrize(
    "prefix",
    [
        "read_",
        "parquet_",
        "duckdb_",
        "pragma_",
        "query",
        "pg_",
        "current_setting",
        "getvariable",
        "getenv",
        "glob",
        "__internal",
        "json_execute",
        "json_serialize",
        "write_log",
        "sleep",
    ],
)
def test_no_allowed_function_belongs_to_a_dangerous_family(prefix):
    """Families that read files, settings or the catalogue, or run SQL, have no member on the list."""
    assert [name for name in SCALAR_FUNCTIONS | TABLE_FUNCTIONS if name.startswith(prefix)] == []
