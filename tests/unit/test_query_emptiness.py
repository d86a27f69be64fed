"""When a query is told to have no rows: the cases one by one, and against DuckDB itself."""

from functools import cache
from itertools import combinations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.registry import REGISTRY_SCHEMA
from pipelines.incidents.columns import LAKE_STATE, LAKE_STATE_SCHEMA, REGISTRY
from pipelines.incidents.compiler import compile_rules, default_bundle
from warehouse.query.functions import AGGREGATES, SCALAR_FUNCTIONS
from warehouse.query.guard import check_query
from warehouse.query.views import ALL_PREFIX, READ_TABLES
from warehouse.tables import TABLES

NAMES = ("a", "b", "c")
CAUSES = [
    ("a table", "from a", ["a"]),
    ("no table", "select 1", []),
    ("rows of its own", "values (1)", []),
    ("inner join", "from a join b using (x)", ["a", "b"]),
    ("comma", "from a, b", ["a", "b"]),
    ("left join", "from a left join b using (x)", ["a"]),
    ("right join", "from a right join b using (x)", ["b"]),
    ("full join", "from a full join b using (x)", ["ab"]),
    ("semi join", "from a semi join b using (x)", ["a", "b"]),
    ("anti join", "from a anti join b using (x)", ["a"]),
    ("positional join", "from a positional join b", []),
    ("as of", "from a asof join b on a.x >= b.x", ["a", "b"]),
    ("lateral", "from a, lateral (select a.x + 1 as z) l", ["a"]),
    ("union", "from a union all from b", ["ab"]),
    ("union by name", "from a union by name from b", ["ab"]),
    ("intersect", "from a intersect from b", ["a", "b"]),
    ("except", "from a except from b", ["a"]),
    ("aggregate", "select count(*) from a", []),
    ("aggregate in an expression", "select 1 + max(x) from a", []),
    ("aggregate of a subquery", "select (select sum(a.x)) from a", []),
    ("aggregate in an order", "select 1 from a order by count(*)", []),
    ("a condition on groups without groups", "select 1 from a having true", []),
    ("groups", "select x, count(*) from a group by x", ["a"]),
    ("no groups", "select count(*) from a group by ()", []),
    ("some groups", "select count(*) from a group by cube (x)", []),
    ("group by all", "select x, count(*) from a group by all", ["a"]),
    ("group by all of nothing", "select count(*) from a group by all", []),
    ("group by all of a constant", "select 'k' as k, count(*) from a group by all", []),
    ("group by all of a constant's name", "select 'k' as k, k || 'x', count(*) from a group by all", []),
    ("window", "select count(*) over () from a", ["a"]),
    ("distinct, order, limit", "select distinct x from a order by x limit 3", ["a"]),
    ("exists", "from a where x > 1 and exists (from b)", ["a", "b"]),
    ("in", "from a where x in (select x from b)", ["a", "b"]),
    ("not exists", "from a where not exists (from b)", ["a"]),
    ("not in", "from a where x not in (select x from b)", ["a"]),
    ("all", "from a where x > all (select x from b)", ["a"]),
    ("or", "from a where x = 1 or exists (from b)", ["a"]),
    ("WITH", "with w as (from a), v as (from w join b using (x, y)) from v union all from c", ["ac", "bc"]),
    ("WITH named like a table", "with b as (from a) from b", ["a"]),
    ("WITH inside a condition", "with w as (from b) from a where exists (from w)", ["a", "b"]),
    ("recursion", "with recursive r as (select x from a union all select x + 1 from r where x < 9) from r", []),
    ("subquery", "from (select x from a where x > 0) s", ["a"]),
    ("table function", "from range(3)", []),
    ("unnest", "select unnest([1, 2]) from a", ["a"]),
]


@pytest.mark.parametrize(("sql", "causes"), [case[1:] for case in CAUSES], ids=[case[0] for case in CAUSES])
def test_what_leaves_a_query_without_rows(sql, causes):
    """The smallest sets of tables that must be without rows, and that DuckDB then finds none either."""
    told = check_query(sql, NAMES).empty_without
    assert told == frozenset(map(frozenset, causes))
    assert_empty_where_told(sql)


def assert_empty_where_told(sql):
    """Run a query with each set of the three tables without rows of which it is told that it leaves none."""
    told = check_query(sql, NAMES).empty_without
    for count in range(len(NAMES) + 1):
        for empty in combinations(NAMES, count):
            if any(names <= set(empty) for names in told):
                assert connection_with(empty).execute(sql).fetchall() == [], f"{empty} empty: {sql}"


@cache
def connection_with(empty):
    """Two rows in each of the three tables but those in `empty`."""
    connection = duckdb.connect(config={"threads": 1})
    rows = "(values (1::bigint, 1::bigint), (2::bigint, null))"
    for name in NAMES:
        connection.execute(f"create table {name} as select * from {rows} t(x, y) where {name not in empty}")
    return connection


def selects(source):
    """SELECTs over what `source` gives (text of a FROM clause), each with the columns x and y."""
    item = st.sampled_from(
        ["x, y", "x, y", "count(*) as x, 1 as y", "x, count(*) as y", "x, count(*) as y", "7 as x, sum(x)::bigint as y"]
    )
    condition = st.sampled_from(
        ["", "", " where x > 0", " where exists (select 1 from a)", " where x in (select x from b)",
         " where not exists (select 1 from c)", " where x = 1 or exists (select 1 from a)"]
    )  # fmt: skip

    def written(parts):
        what, where, table = parts
        groups = " group by all" if "count(" in what or "sum(" in what else ""
        return f"select {what} from (select * from {table}) s{where}{groups}"

    return st.tuples(item, condition, source).map(written)


JOINS = ["{} p join {} q using (x, y)", "{} p left join {} q using (x, y)", "{} p full join {} q using (x, y)",
         "{} p right join {} q using (x, y)", "{} p semi join {} q using (x)", "{} p anti join {} q using (x)"]  # fmt: skip
SETS = ["({} union all {})", "({} except {})", "({} intersect {})", "({} union {})"]


def deeper(queries):
    """Queries made of queries."""
    tables = queries.map(lambda sql: f"({sql})")
    joined = st.tuples(st.sampled_from(JOINS), tables, tables).map(lambda each: each[0].format(*each[1:]))
    united = st.tuples(st.sampled_from(SETS), queries, queries).map(lambda each: each[0].format(*each[1:]))
    named = queries.map(lambda sql: f"(with w as ({sql}) select x, y from w)")
    return selects(st.one_of(joined, united, named))


QUERIES = st.recursive(selects(st.sampled_from(NAMES)), deeper, max_leaves=5)


@settings(max_examples=40, deadline=None)
@given(QUERIES)
def test_a_query_told_to_find_nothing_finds_nothing(sql):
    """Whatever joins, sets, groups and conditions it is made of."""
    assert_empty_where_told(sql)


def test_every_aggregate_is_known():
    """Of the functions that may be called, those that DuckDB has as aggregates, or as macros over one."""
    rows = (
        connection_with(())
        .execute("select function_name, function_type, macro_definition from duckdb_functions()")
        .fetchall()
    )
    plain = {name for name, kind, _ in rows if kind in {"aggregate", "window"}}
    calls = {name: set(check_words(text)) & plain for name, kind, text in rows if kind == "macro" and text}
    macros = {name for name, called in calls.items() if called - {"list", "first", "last", "range"}}
    over_rows = {name for name in macros if name in SCALAR_FUNCTIONS and not name.startswith(("list_", "array_"))}
    assert (plain & SCALAR_FUNCTIONS) | over_rows <= AGGREGATES


def check_words(text):
    """Names that a macro's text calls."""
    return [part.rsplit(" ", 1)[-1].strip("( ") for part in text.lower().replace("(", "( ").split("(")[:-1]]


def test_no_shipped_rule_that_is_skipped_would_find_anything():
    """Over rows in all views but those of one cause, every rule of the package finds nothing, whatever the present is."""
    schemas = {REGISTRY: REGISTRY_SCHEMA, LAKE_STATE: LAKE_STATE_SCHEMA}
    schemas |= {name: table.schema for name, table in READ_TABLES.items()}
    schemas |= {f"{ALL_PREFIX}{name}": table.schema for name, table in TABLES.items()}
    connection = duckdb.connect(config={"threads": 1})
    for name, schema in schemas.items():
        connection.register("blank", schema.empty_table())
        types = connection.execute("select column_name, column_type from (describe blank)").fetchall()
        columns = ", ".join(f'{sample(kind, column)} as "{column}"' for column, kind in types)
        connection.execute(f'create table "full_{name}" as select {columns} from range(12) r(i)')
        connection.unregister("blank")
    tried = 0
    for rule in compile_rules(default_bundle(), try_sql=False).rules:
        checked = check_query(rule.sql, schemas)
        given = {**rule.parameters, "now": 9 * 10**18, "from": 0, "tenant": "acme"}
        values = {name: given[name] for name in checked.statement.named_parameters} or None
        for empty in checked.empty_without:
            cursor = connection.cursor()
            for name in checked.views:
                cursor.execute(
                    f'create or replace temp view "{name}" as select * from "full_{name}" where {name not in empty}'
                )
            assert cursor.execute(rule.sql, values).fetchall() == [], (rule.id, empty)
            tried += 1
    assert tried >= 40


def sample(kind, column):
    """SQL for one value of a row in a table of twelve, with some of them alike."""
    if column.endswith("unix_nano"):
        return "(1795176000000000000 + i * 60000000000)::bigint"
    if kind == "VARCHAR" and column in {"attributes", "links", "events", "resource"}:
        return "'{}'"
    return {
        "VARCHAR": "['a', 'approval.granted', 'execute_tool'][1 + i % 3]",
        "BIGINT": "(i % 5)::bigint",
        "DOUBLE": "i / 3.0",
        "BOOLEAN": "i % 2 = 0",
        "DATE": "date '2026-11-20'",
        "BLOB": "'x'::blob",
    }.get(kind, f"null::{kind}")
