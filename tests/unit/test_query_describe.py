"""Logged SQL: no literal, comment, alias or parameter name that a query's writer chose is left in it."""

import pytest

from warehouse.errors import QueryError
from warehouse.query import describe_query

SUBJECT = "alice"

# Expected texts follow the rule by hand: literals are ?, names that are not the lake's or the engine's are numbered.
DESCRIBED = [
    ("text", "select * from spans where user_id = 'alice'", "SELECT * FROM spans WHERE (user_id = ?)"),
    ("number", "select * from spans where input_tokens > 41", "SELECT * FROM spans WHERE (input_tokens > ?)"),
    ("a number and its negative", "select -41", "SELECT ?"),
    ("LIKE", "select * from logs where body like '%alice%'", "SELECT * FROM logs WHERE (body ~~ ?)"),
    ("IN", "select 1 from logs where body in ('alice', 'bob')", "SELECT ? FROM logs WHERE (body IN (?, ?))"),
    ("limit", "select day from spans limit 5", 'SELECT "day" FROM spans LIMIT ?'),
    ("line comment", "select day -- alice\nfrom spans", 'SELECT "day" FROM spans'),
    ("block comment", "select /* alice */ day from spans", 'SELECT "day" FROM spans'),
    ("dollar quotes", "select $$alice$$", "SELECT ?"),
    ("escaped text", "select E'al\\'ice'", "SELECT ?"),
    ("alias", 'select day as "alice" from spans', 'SELECT "day" AS name_1 FROM spans'),
    ("alias of a table", "select alice.day from spans alice", 'SELECT name_1."day" FROM spans AS name_1'),
    ("WITH", "with alice as (select day from spans) from alice", 'WITH name_1 AS (SELECT "day" FROM spans) SELECT * FROM name_1'),
    ("field of a structure", "select {'alice': 1}.alice", "SELECT (struct_pack(name_1 := ?)).name_1"),
    ("lambda", "select list_transform([1], lambda alice: alice)", "SELECT list_transform(list_value(?), (lambda name_1: name_1))"),
    ("cast", "select 'alice'::varchar", "SELECT CAST(? AS VARCHAR)"),
    ("date", "select date '2026-11-20'", "SELECT CAST(? AS date)"),
    ("positional parameter", "select * from spans where trace_id = ?", "SELECT * FROM spans WHERE (trace_id = ?)"),
    ("named parameter", "select * from spans where trace_id = $alice", "SELECT * FROM spans WHERE (trace_id = ?)"),
    ("JSON path", "select attributes ->> '$.alice' from spans", "SELECT (attributes ->> ?) FROM spans"),
    (
        "what auditors need is kept",
        "select provider, count(*), sum(input_tokens) from spans group by all",
        "SELECT provider, count_star(), sum(input_tokens) FROM spans GROUP BY ALL",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), [row[1:] for row in DESCRIBED], ids=[row[0] for row in DESCRIBED])
def test_descriptions_hold_structure_and_no_values(sql, expected):
    """Literals become ?, names of the writer's own are numbered, and the query's structure stays readable."""
    assert describe_query(sql) == expected


HIDING_PLACES = [
    "select 1 as alice",
    "select * from spans as alice(alice1)",
    "select struct_pack(alice := 1)",
    "select map {'alice': 1}",
    "select 'x'::enum('alice', 'x')",
    "select x'616c696365', 'alice'",
    "select columns('alice.*') from spans",
    "select * rename (name as alice) from spans",
    "select * replace ('alice' as name) from spans",
    "select * exclude (alice) from spans",
    "select name collate alice from spans",
    "select * from (values ('alice')) alice(alice)",
    "select * from spans pivot (count(*) as alice for name in ('alice' as alice))",
    "unpivot spans on name into name alice value alice",
    "select * from spans join logs using (alice)",
    "select * from unnest(['alice']) with ordinality as alice(alice)",
    "select sum(1) over alice from spans window alice as (partition by 'alice')",
    "select interval 'alice' day",
    "select alice.alice.alice from spans",
    "select alice('alice')",
    "select 1::alice",
    "select list_filter(['alice'], lambda alice: alice = 'alice')",
    "with recursive alice(alice) as (select 'alice' union all select alice from alice) from alice",
    "select * from spans order by 'alice' collate nocase",
    "select extract('alice' from time) from spans",
    "describe select 'alice'",
    "from alice.alice.alice",
]


@pytest.mark.parametrize("sql", HIDING_PLACES)
def test_no_place_in_the_grammar_lets_a_name_through(sql):
    """Wherever a subject's name is put, its description does not hold it."""
    described = describe_query(sql)
    assert described.startswith(("SELECT", "WITH", "DESCRIBE"))
    assert len(described) > len("SELECT ")
    assert SUBJECT not in described.lower()
    assert "616c696365" not in described


def test_descriptions_are_sql_themselves():
    """A description parses again, and describes itself the same way."""
    once = describe_query("select day as x, count(*) from spans where name = 'a' group by all order by 2 limit 3")
    assert describe_query(once) == once


@pytest.mark.parametrize("sql", ["copy spans to 'alice'", "select 1; select 2", "select"])
def test_what_is_not_one_select_has_no_description(sql):
    """Only a query that may run is described."""
    with pytest.raises(QueryError):
        describe_query(sql)
