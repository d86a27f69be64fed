"""SQL text to DuckDB's parse tree and back, in a connection that holds nothing and may touch nothing."""

import json
from functools import cache
from typing import Any

import duckdb

from warehouse.errors import QueryError

MAX_SQL_CHARACTERS = 100_000
_HINT = "one statement of type SELECT, over the lake's views: `muniment sql --help`"


def parse_select(sql: str) -> tuple[duckdb.Statement, dict[str, Any]]:
    """Parse `sql`, which must be one SELECT statement, and return it with its tree (`json_serialize_sql`).

    Raises:
        QueryError: not one statement of type SELECT, or not SQL.
    """
    if len(sql) > MAX_SQL_CHARACTERS:
        raise QueryError(f"query is too long: expected at most {MAX_SQL_CHARACTERS} characters, got {len(sql)}")
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as exc:
        raise QueryError(f"not SQL: {exc}", hint=_HINT) from exc
    if len(statements) != 1:
        raise QueryError(f"expected one statement, got {len(statements)}", hint=_HINT)
    statement = statements[0]
    if statement.type != duckdb.StatementType.SELECT:
        raise QueryError(f"expected a statement of type SELECT, got {_kind_of(statement)}", hint=_HINT)
    tree = _serialize(statement.query)
    if tree.get("error") or len(tree.get("statements", ())) != 1:
        raise QueryError(f"this SELECT cannot be checked: {tree.get('error_message', 'no single tree')}", hint=_HINT)
    return statement, tree


def unparse(tree: dict[str, Any]) -> str:
    """SQL text of a tree, as DuckDB writes it.

    Raises:
        QueryError: DuckDB does not take the tree.
    """
    try:
        rows = _parser().cursor().execute("select json_deserialize_sql(?)", [json.dumps(tree)]).fetchall()
    except duckdb.Error as exc:
        raise QueryError(f"a parse tree cannot be written as SQL: {exc}") from exc
    return str(rows[0][0])


def _serialize(sql: str) -> dict[str, Any]:
    try:
        rows = _parser().cursor().execute("select json_serialize_sql(?)", [sql]).fetchall()
        tree: dict[str, Any] = json.loads(rows[0][0])
    except duckdb.Error as exc:
        raise QueryError(f"this SELECT cannot be checked: {exc}", hint=_HINT) from exc
    except RecursionError as exc:
        raise QueryError("query is nested too deeply to be checked", hint="write long OR chains as IN (…)") from exc
    return tree


def _kind_of(statement: duckdb.Statement) -> str:
    name = str(statement.type).rpartition(".")[2]
    return "PIVOT without IN (…), or several statements in one" if name == "MULTI" else name


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """One connection a process: making one costs 20 ms, and it keeps no state between parses."""
    connection = duckdb.connect(
        ":memory:",
        config={"threads": 1, "python_enable_replacements": "false", "autoload_known_extensions": "false"},
    )
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection
