"""What a query may say: an allow list over its parse tree.

A view hides nothing by itself: a file that may be read may be read whole by its path, and overwritten by COPY. So before a
query reaches the session's connection its tree is walked, and every place that can name something outside must name
something allowed: tables the session's views and the query's own common table expressions, table functions `range`,
`generate_series` and `unnest`, other functions those of `warehouse.query.functions`. A kind of node that this module does
not know is refused: what a later DuckDB adds has to be read here first.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb

from warehouse.errors import QueryError
from warehouse.query.emptiness import Causes, causes_of_emptiness
from warehouse.query.functions import SCALAR_FUNCTIONS, TABLE_FUNCTIONS
from warehouse.query.syntax import parse_select

Node = dict[str, Any]
Scope = frozenset[str]

_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"})
_TABLES = frozenset(
    {"BASE_TABLE", "TABLE_FUNCTION", "SHOW_REF", "SUBQUERY", "JOIN", "EXPRESSION_LIST", "EMPTY", "PIVOT"}
)
_MODIFIERS = frozenset({"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"})
_ORDERS = frozenset({"ORDER_DEFAULT", "ASCENDING", "DESCENDING"})
_EXPRESSIONS = frozenset(
    {
        "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "LAMBDA",
        "LAMBDA_REF", "OPERATOR", "PARAMETER", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW",
    }
)  # fmt: skip
# DESCRIBE and SUMMARIZE hold a whole query; the other kinds of SHOW read the catalogue or the settings.
_SHOWS = frozenset({"DESCRIBE", "SUMMARY"})
# `name.lower()` is written like a function of schema `name`: only the schemas that exist are refused.
_SCHEMAS = frozenset({"main", "temp", "system", "memory", "pg_catalog", "information_schema"})
_READ_APART = frozenset({"cte_map", "qualified_name"})
_COLLATIONS = frozenset({"nocase", "noaccent", "binary", "posix", "c", "nfc"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


@dataclass(frozen=True)
class CheckedQuery:
    """A statement that passed, and the views that it reads.

    `empty_without` are sets of these views: where all views of one are without rows, the statement finds none.
    """

    statement: duckdb.Statement
    views: frozenset[str]
    empty_without: Causes


def check_query(sql: str, views: Collection[str]) -> CheckedQuery:
    """Check that `sql` is one SELECT that names only `views`, its own expressions and allowed functions.

    Raises:
        QueryError: it is not; the message names what is refused.
    """
    checked, named = _checked(sql)
    known = frozenset(name.casefold() for name in views)
    for name, written in named.items():
        if name not in known:
            raise _refused(f"table {written}", f"the tables are {', '.join(sorted(known))}")
    return checked


@lru_cache(maxsize=512)
def _checked(sql: str) -> tuple[CheckedQuery, Mapping[str, str]]:
    """Everything but whether its views are there, and these as they are written.

    It depends on the text alone, and rules ask with the same text each minute; refusals are not kept.
    """
    statement, tree = parse_select(sql)
    named: dict[str, str] = {}
    # An explicit stack: a tree may be nested deeper than Python's own.
    stack: list[tuple[Any, Scope]] = [(tree["statements"], frozenset())]
    while stack:
        value, scope = stack.pop()
        if isinstance(value, list):
            stack.extend([(item, scope) for item in value if item])
        elif isinstance(value, dict):
            _check_node(value, scope, named)
            stack.extend(_children(value, scope))
    views = frozenset(named)
    return CheckedQuery(statement, views, causes_of_emptiness(tree["statements"][0]["node"], views)), named


def _check_node(node: Node, scope: Scope, named: dict[str, str]) -> None:
    if "class" in node:
        _check_expression(node)
    elif isinstance(kind := node.get("type"), str):
        if kind == "BASE_TABLE":
            _check_table(node, scope, named)
        elif kind == "TABLE_FUNCTION":
            _check_function(node["function"], TABLE_FUNCTIONS, "table function")
        elif kind == "SHOW_REF":
            if node.get("show_type") not in _SHOWS or not node.get("query"):
                raise _refused(f"SHOW {_path_of(node)}".rstrip())
        elif kind not in _QUERIES | _TABLES | _MODIFIERS | _ORDERS:
            raise _refused(f"a part of kind {kind}")


def _check_table(node: Node, scope: Scope, named: dict[str, str]) -> None:
    path = node["qualified_name"]["path"]
    name = str(node["table_name"]).casefold()
    if len(path) != 1 or node.get("schema_name") or node.get("catalog_name") or str(path[0]).casefold() != name:
        raise _refused(f"table {_path_of(node)}", "a name may not have a schema or catalogue before it")
    if node.get("at_clause"):
        raise _refused(f"AT on table {path[0]}")
    if name not in scope:
        named.setdefault(name, str(path[0]))


def _check_expression(node: Node) -> None:
    kind = node["class"]
    if kind not in _EXPRESSIONS:
        raise _refused(f"an expression of kind {kind}")
    if kind == "FUNCTION":
        _check_function(node, SCALAR_FUNCTIONS, "function")
    elif kind == "WINDOW":
        _check_function(node, SCALAR_FUNCTIONS, "window function")
    elif kind == "TYPE" and len(node["qualified_name"]["path"]) != 1:
        raise _refused(f"type {_path_of(node)}", "a name may not have a schema or catalogue before it")
    elif kind == "COLLATE" and not set(str(node["collation"]).casefold().split(".")) <= _COLLATIONS:
        raise _refused(f"collation {node['collation']}", f"the collations are {', '.join(sorted(_COLLATIONS))}")


def _check_function(node: Node, allowed: frozenset[str], what: str) -> None:
    path = [str(part).casefold() for part in node["qualified_name"]["path"]]
    name = str(node["function_name"])
    if node.get("class") not in {"FUNCTION", "WINDOW"} or path[-1] != name.casefold() or node.get("catalog"):
        raise _refused(f"{what} {_path_of(node)}")
    if len(path) > 1 and (allowed is TABLE_FUNCTIONS or not _SCHEMAS.isdisjoint(path[:-1])):
        raise _refused(f"{what} {_path_of(node)}", "a name may not have a schema or catalogue before it")
    if name.casefold() not in allowed and name not in allowed:
        raise _refused(f"{what} {name}")
    if node.get("export_state"):
        raise _refused(f"EXPORT_STATE of {what} {name}")


def _children(node: Node, scope: Scope) -> list[tuple[Any, Scope]]:
    """The parts of a node that hold others, with what is in scope there; most are plain values, of which nothing is to be checked."""
    if node.get("type") == "TABLE_FUNCTION" and "class" not in node:
        # Checked by its own list; its arguments are expressions like any other.
        function = {key: value for key, value in node["function"].items() if key != "qualified_name"}
        return [*_parts(function, scope), *_parts({**node, "function": None}, scope)]
    if node.get("type") == "RECURSIVE_CTE_NODE":
        scope |= {_cte_name(node["cte_name"])}
    found = []
    for entry in (node.get("cte_map") or {}).get("map", ()):
        # Visible to those that follow and, below RECURSIVE, to itself.
        found.append((entry["value"], scope))
        scope |= {_cte_name(entry["key"])}
    return [*found, *_parts(node, scope)]


def _parts(node: Node, scope: Scope) -> list[tuple[Any, Scope]]:
    return [
        (value, scope)
        for key, value in node.items()
        if value and isinstance(value, (dict, list)) and key not in _READ_APART
    ]


def _cte_name(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        raise _refused(f"WITH name {name!r}", "letters, digits and underscores make a name")
    return name.casefold()


def _path_of(node: Node) -> str:
    return ".".join(map(str, node["qualified_name"]["path"])) if node.get("qualified_name") else ""


def _refused(what: str, hint: str | None = None) -> QueryError:
    return QueryError(f"not allowed in a query: {what}", hint=hint)
