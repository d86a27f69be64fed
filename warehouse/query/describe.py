"""A query's text as the audit log may keep it: without a single value or name that its writer chose.

A person concerned must never be named in logged SQL. So every literal becomes `?`, comments go, and every identifier that
is not a table, column, function or type of Muniment's or DuckDB's becomes `name_1`, `name_2`, … in order of appearance:
an alias or a WITH name can name somebody as well as a literal can.
"""

import re
from typing import Any

from warehouse.query.functions import SCALAR_FUNCTIONS, TABLE_FUNCTIONS
from warehouse.query.syntax import parse_select, unparse
from warehouse.query.views import READ_TABLES, TIME_COLUMN

_TYPE_NAMES = """
    bigint bit blob bool boolean bytea char date decimal double enum float float4 float8 hugeint int int1 int2 int4 int8
    integer interval json list long map numeric real row short signed smallint string struct text time timestamp
    timestamptz tinyint ubigint uhugeint uinteger union usmallint utinyint uuid varchar variant
"""
_KNOWN = (
    SCALAR_FUNCTIONS
    | TABLE_FUNCTIONS
    | frozenset(_TYPE_NAMES.split())
    | READ_TABLES.keys()
    | {column.name for table in READ_TABLES.values() for column in table.columns}
    | {TIME_COLUMN}
)
# Keys whose strings the parser chooses from its own vocabulary; all others may hold what the writer of the query chose.
_VOCABULARY = frozenset(
    {
        "class", "type", "aggregate_handling", "show_type", "setop_type", "join_type", "ref_type", "materialized",
        "null_order", "limit_type", "start", "end", "exclude_clause", "syntax_type", "subquery_type", "comparison_type",
        "with_ordinality", "method", "nearest_order_type", "kind", "id", "column_order",
    }
)  # fmt: skip
_PARAMETER = re.compile(r"\$\w+")


def describe_query(sql: str) -> str:
    """Text of `sql` with each literal as `?`, normalised by the parser: equal queries read equal.

    Raises:
        QueryError: `sql` is not one SELECT statement.
    """
    _, tree = parse_select(sql)
    names = _Names()
    tree["statements"] = [names.rewrite(statement) for statement in tree["statements"]]
    # Nothing that the writer chose is left, so no `$` can stand in a text or a name.
    return _PARAMETER.sub("?", unparse(tree))


class _Names:
    """Rewrites a tree, giving the same stand-in to the same name."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._parameters = 0

    def rewrite(self, value: Any, key: str = "") -> Any:
        """Return a copy of `value` without what the writer of the query chose."""
        if isinstance(value, dict):
            if value.get("class") in {"CONSTANT", "PARAMETER"}:
                return self._parameter(value)
            if value.get("type") == "STRUCT_EXTRACT":
                return {name: self._fields(child) if name == "children" else child for name, child in value.items()}
            if value.get("sample"):
                # its size and seed are plain numbers in the tree, no literals: they would be written out as they are
                value = value | {"sample": None}
            if "named_param_map" in value:
                # Parameters that stand for literals are not in the map of the statement's own.
                value = value | {"named_param_map": []}
            return {name: self.rewrite(child, name) for name, child in value.items()}
        if isinstance(value, list):
            return [self.rewrite(child, key) for child in value]
        if isinstance(value, str) and key not in _VOCABULARY:
            return self._name(value)
        return value

    def _fields(self, children: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Children of `value.field`: the field's name stands in a constant, and can be written as nothing else."""
        value, field = children
        if field.get("class") != "CONSTANT":
            return [self.rewrite(value), self.rewrite(field)]
        return [
            self.rewrite(value),
            field | {"literal": {"kind": "STRING", "text": self._name(str(field["literal"]["text"]))}},
        ]

    def _parameter(self, node: dict[str, Any]) -> dict[str, Any]:
        self._parameters += 1
        return {
            "class": "PARAMETER",
            "type": "VALUE_PARAMETER",
            "alias": self._name(node.get("alias", "")),
            "identifier": str(self._parameters),
            "query_location": node.get("query_location", 0),
            "query_location_length": node.get("query_location_length", 0),
        }

    def _name(self, name: str) -> str:
        if not name or name.casefold() in _KNOWN or name in _KNOWN:
            return name
        return self._given.setdefault(name.casefold(), f"name_{len(self._given) + 1}")
