"""What a control's query must yield to be a population, and what is said where it does not."""

import contextlib

import duckdb
import pytest

from governance.controls import population
from governance.controls.evaluating import State, evaluate
from governance.controls.framework import Control, compile_controls
from governance.controls.queries import check_queries
from warehouse.errors import QueryError
from warehouse.policies import PolicyError, read_bundle

COLUMNS = {
    "record_table": "'audit_events'",
    "shard": "'s-1'",
    "log_index": "n",
    "time_unix_nano": "n + 5",
    "ok": "n > 0",
    "exception": "case when n = 0 then 'first' end",
}


class Session:
    """Answers queries from nothing but themselves, as a session over a tenant's records does."""

    @contextlib.contextmanager
    def stream(self, sql, params):
        """The rows of a query, in batches."""
        with duckdb.connect() as connection:
            yield connection.sql(sql).to_arrow_reader(2)


def control(sql, **more):
    """A control of an organisation's own."""
    return Control("own", "H-1", "t", "c", "q", "population", "l", sql, **more)


def rows(count=3, **columns):
    """A query that yields so many rows, with some columns made otherwise."""
    named = {**COLUMNS, **columns}
    return f"select {', '.join(f'{sql} as {name}' for name, sql in named.items())} from range({count}) each(n)"


def found(sql, **more):
    """The outcome of a control with this query."""
    return evaluate(Session(), control(sql, **more), from_unix_nano=0, to_unix_nano=9)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"ok": "2"}, "column ok: expected bool, got int32"),
        ({"ok": "'true'"}, "column ok: expected bool, got string"),
        ({"ok": "-1.5"}, "column ok: expected bool, got decimal"),
        ({"log_index": "'1'"}, "column log_index: expected int64, got string"),
        ({"log_index": "n - 1"}, "log_index: expected the number of a record, got one below 0"),
        ({"log_index": "n / 2"}, "column log_index: expected int64, got double"),
        ({"time_unix_nano": "now()"}, "column time_unix_nano: expected int64, got timestamp"),
        ({"time_unix_nano": "null"}, "got a row without time_unix_nano"),
        ({"record_table": "null"}, "got a row without record_table"),
        ({"shard": "case when n = 0 then 's' end"}, "got a row without shard"),
        ({"record_table": "'contents'"}, "record_table: expected audit_events, logs, spans, got 'contents'"),
        ({"record_table": "'../../x'"}, "record_table: expected audit_events, logs, spans, got '../../x'"),
        ({"exception": "7"}, "column exception: expected string, got int32"),
        ({"more": "interval 1 day"}, "column more: expected a text or a number"),
        ({"more": "'x'::blob"}, "column more: expected a text or a number"),
    ],
)
def test_what_is_no_population_is_an_error_that_names_the_control(columns, said):
    """Never a finding: a number in place of true or false would add up to more than there are."""
    with pytest.raises(QueryError, match="control own H-1: ") as raised:
        found(rows(**columns))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "columns", [{"exception": "null"}, {"ok": "null"}, {"log_index": "n::utinyint"}, {"more": "[n]"}]
)
def test_columns_may_be_written_in_short(columns):
    """A column of nothing has any type, a number any width."""
    outcome = found(rows(**columns))
    assert outcome.items == 3
    assert [outcome.population.schema.field(name).type for name in population.REQUIRED] == list(
        population.REQUIRED.values()
    )


def test_the_order_of_a_population_is_told_by_its_rows():
    """Also where several rows are about one record: however a query was computed, the same rows make the same file."""
    one = {"log_index": "7", "time_unix_nano": "9", "ok": "false", "exception": "'x'"}
    upwards = found(rows(20, **one, more="n"))
    downwards = found(rows(20, **one, more="19 - n"))
    assert upwards.population.equals(downwards.population)


def test_a_population_has_an_end(monkeypatch):
    """A query that joins everything with everything is stopped, and named."""
    monkeypatch.setattr(population, "MOST_ROWS", 10)
    assert found(rows(10)).items == 10
    with pytest.raises(QueryError, match="control own H-1: expected at most 10 rows"):
        found(rows(11))


@pytest.mark.parametrize(
    "sql", ["select -5", "select 'x'", "select 1.5", "select true", "select 1, 2", "select n from range(2) e(n)"]
)
def test_coverage_is_a_number_of_records(sql):
    """A number below 0, or none, covers nothing, and is an error."""
    with pytest.raises(QueryError, match="control own H-1: coverage: expected"):
        found(rows(0), coverage=sql, empty="satisfied")


def test_nothing_satisfies_only_where_records_were_kept():
    """No item and no record at all is insufficient evidence."""
    states = [found(rows(0), coverage=sql, empty="satisfied").state for sql in ("select 0", "select null", "select 1")]
    assert states == [State.INSUFFICIENT, State.INSUFFICIENT, State.SATISFIED]


@pytest.mark.parametrize(
    ("bad", "of", "share", "why"),
    [
        (1, 3000, 1.0, "2,999 of 3,000 without exception (99.9%); expected 100%"),
        (1, 3000, 0.999, "2,999 of 3,000 without exception (99.9%); expected 99.9%"),
        (4, 3000, 0.999, "2,996 of 3,000 without exception (99.8%); expected 99.9%"),
    ],
)
def test_a_share_that_misses_never_reads_as_if_it_did_not(bad, of, share, why):
    """Percentages are rounded down, and what was expected is said as it is."""
    assert found(rows(of, ok=f"n >= {bad}"), share=share).why == why


def bundle(*controls):
    """A control file with controls of these ids and queries."""
    lines = "".join(
        f"  - {{id: '{name}', title: t, citation: c, question: q, evidence: population, limits: l, sql: \"{sql} -- $from $to\"}}\n"
        for name, sql in controls
    )
    return read_bundle("controls", {"own.yaml": f"framework: own\ntitle: Own\ncontrols:\n{lines}".encode()})


@pytest.mark.parametrize(("one", "other"), [("12(1)", "12-1"), ("Ab", "aB"), ("A 1", "A-1")])
def test_two_controls_never_share_a_folder(one, other):
    """Ids that make the same folder of a pack are refused: one population would stand for both."""
    with pytest.raises(PolicyError, match="both make the folder"):
        compile_controls(bundle((one, "select 1"), (other, "select 1")))


@pytest.mark.parametrize(
    "sql",
    [
        "attach 'x'", "copy spans to 'x'", "select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'", "pragma version",
        "select getenv('HOME')", "select 1; select 2", "selec 1", "select * from no_such_table", "set threads = 1",
    ],
)  # fmt: skip
def test_a_query_that_may_not_run_is_found_before_it_is_in_force(sql):
    """Applied, it would keep every pack of its framework from being built."""
    with pytest.raises(PolicyError, match=r"own.yaml:5: controls\[1\].sql: "):
        check_queries(bundle(("A1", "select count(*) from spans"), ("A2", sql)))
