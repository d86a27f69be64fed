"""When a query has no rows, told from its parse tree alone: the views of which enough are without rows.

What is found is a set of sets of views: where every view of one of these sets is without rows, so is the query's result, whatever its
parameters, the present and the other views say. A query of which that cannot be told has none; that is never wrong, only slower.

Invariant: only parts that are known to give no row without rows of what they read count: an inner join, a condition that some row
exists, a query by groups. An aggregate over no rows is a row, as is a SELECT without FROM.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from warehouse.query.functions import AGGREGATES

Node = dict[str, Any]
Causes = frozenset[frozenset[str]]
"""Sets of views; where all views of one are without rows, so is what they are the causes of."""

_NEVER: Causes = frozenset()
_MOST_CAUSES = 16
"""More are not kept: which of many ways a result is empty matters less than the time to try them."""
_PLAIN_JOINS = frozenset({"REGULAR", "CROSS", "NATURAL", "ASOF"})
_FIRST_OF_BOTH = frozenset({"LEFT", "ANTI"})
_EITHER = frozenset({"INNER", "SEMI"})


def causes_of_emptiness(node: Node, views: frozenset[str]) -> Causes:
    """The sets of `views` that leave a query (a node of `json_serialize_sql`) without rows where all of one set are."""
    return _of_query(node, {name: frozenset({frozenset({name})}) for name in views})


def _of_query(node: Node, known: Mapping[str, Causes]) -> Causes:
    for entry in (node.get("cte_map") or {}).get("map", ()):
        value = entry["value"]
        query = value.get("query_node") or (value.get("query") or {}).get("node") or {}
        known = {**known, str(entry["key"]).casefold(): _of_query(query, known)}
    kind = node.get("type")
    if kind == "SELECT_NODE":
        return _of_select(node, known)
    if kind == "SET_OPERATION_NODE":
        return _of_set_operation(node, known)
    return _NEVER


def _of_set_operation(node: Node, known: Mapping[str, Causes]) -> Causes:
    parts = node.get("children") or [node[side] for side in ("left", "right") if side in node]
    if not parts:
        return _NEVER
    found = [_of_query(part, known) for part in parts]
    kind = node.get("setop_type")
    if kind in {"UNION", "UNION_BY_NAME"}:
        return _all_of(found)
    if kind == "INTERSECT":
        return _any_of(found)
    return found[0] if kind == "EXCEPT" else _NEVER


def _of_select(node: Node, known: Mapping[str, Causes]) -> Causes:
    if not _is_empty_without_input(node):
        return _NEVER
    return _any_of([_of_source(node.get("from_table") or {}, known), *_of_conditions(node.get("where_clause"), known)])


def _of_source(node: Node, known: Mapping[str, Causes]) -> Causes:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        return known.get(str(node["table_name"]).casefold(), _NEVER)
    if kind == "SUBQUERY":
        return _of_query(node["subquery"]["node"], known)
    if kind != "JOIN" or node.get("ref_type") not in _PLAIN_JOINS:
        return _NEVER
    left, right = (_of_source(node[side], known) for side in ("left", "right"))
    join = node.get("join_type")
    if join in _EITHER:
        return _any_of([left, right])
    if join in _FIRST_OF_BOTH:
        return left
    return right if join == "RIGHT" else _all_of([left, right])


def _of_conditions(condition: Node | None, known: Mapping[str, Causes]) -> Iterator[Causes]:
    """Of `exists (…)` and `… in (…)` among conditions that all must hold: no row, no match."""
    if condition is None:
        return
    if condition.get("type") == "CONJUNCTION_AND":
        for each in condition["children"]:
            yield from _of_conditions(each, known)
    elif condition.get("class") == "SUBQUERY" and condition.get("subquery_type") in {"EXISTS", "ANY"}:
        yield _of_query(condition["subquery"]["node"], known)


def _is_empty_without_input(select: Node) -> bool:
    """Whether a SELECT gives no row where its FROM gives none: one that aggregates without groups gives one."""
    if select.get("group_sets"):
        return all(select["group_sets"])
    parts = list(select["select_list"])
    if select.get("aggregate_handling") == "FORCE_AGGREGATES":
        # GROUP BY ALL: by the elements without aggregates, but for constants
        aliases = {str(part.get("alias", "")).casefold() for part in parts}
        return any(not _aggregates(part) and _has_column(part, aliases) for part in parts)
    return select.get("having") is None and not _aggregates([parts, select.get("modifiers"), select.get("qualify")])


def _aggregates(value: Any) -> bool:
    """Whether an aggregate stands anywhere in it; one in a subquery can be the outer query's."""
    return any(
        node.get("class") == "FUNCTION" and str(node["function_name"]).casefold() in AGGREGATES
        for node in _nodes(value)
    )


def _has_column(value: Any, aliases: set[str]) -> bool:
    """Whether a column stands in it that is none of the SELECT's own names, which may stand for constants."""
    return any(
        node.get("class") == "STAR"
        or (
            node.get("class") == "COLUMN_REF"
            and (len(node["column_names"]) > 1 or str(node["column_names"][0]).casefold() not in aliases)
        )
        for node in _nodes(value)
    )


def _nodes(value: Any) -> Iterator[Node]:
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, dict):
            yield each
            stack.extend(part for part in each.values() if isinstance(part, (dict, list)))
        elif isinstance(each, list):
            stack.extend(each)


def _any_of(causes: list[Causes]) -> Causes:
    return _least(frozenset().union(*causes))


def _all_of(causes: list[Causes]) -> Causes:
    together: Causes = frozenset({frozenset()})
    for each in causes:
        together = _least(frozenset(one | other for one in together for other in each))
    return together


def _least(causes: Causes) -> Causes:
    """Without those that hold another one, and no more than so many."""
    kept: list[frozenset[str]] = []
    for each in sorted(causes, key=lambda names: (len(names), sorted(names))):
        if not any(other <= each for other in kept):
            kept.append(each)
    return frozenset(kept[:_MOST_CAUSES])
