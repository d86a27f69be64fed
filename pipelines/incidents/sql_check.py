"""Tries a rule's SQL on a lake without rows: what cannot run, or answers the wrong columns, is found before it is in force."""

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from governance.registry import REGISTRY_SCHEMA
from pipelines.incidents.columns import GIVEN_PARAMETERS, LAKE_STATE, LAKE_STATE_SCHEMA, REGISTRY, RESULT_COLUMNS
from pipelines.incidents.evaluation import bytes_in_key
from pipelines.incidents.rules import Rule
from warehouse.errors import QueryError
from warehouse.query import ReadPoint, check_query
from warehouse.query.views import ALL_PREFIX, VIEWS, create_new_views, create_tables
from warehouse.tables import TABLES

EXTRA_VIEWS: Mapping[str, pa.Schema] = {REGISTRY: REGISTRY_SCHEMA, LAKE_STATE: LAKE_STATE_SCHEMA}
"""Views that only rules have."""


class EmptyLake:
    """The views of a rule's session, without rows."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        create_new_views(self._connection, {name: [] for name in VIEWS}, ReadPoint(), ReadPoint(), limits=None)
        create_tables(self._connection, {name: schema.empty_table() for name, schema in EXTRA_VIEWS.items()})
        self._views = frozenset({*VIEWS, *EXTRA_VIEWS, *(f"{ALL_PREFIX}{name}" for name in TABLES)})

    def problem(self, rule: Rule) -> str | None:
        """What is wrong with a rule's SQL, in words; None when nothing is."""
        try:
            statement = check_query(rule.sql, self._views).statement
        except QueryError as exc:
            return str(exc)
        known = {*GIVEN_PARAMETERS, *rule.parameters}
        if unknown := sorted(statement.named_parameters - known):
            return f"got the parameters {', '.join(unknown)}, expected of {', '.join(sorted(known))}"
        values = {**rule.parameters, "now": 0, "from": 0, "tenant": "none"}
        try:
            given = {name: values[name] for name in statement.named_parameters}
            schema = self._connection.sql(statement, params=given or None).to_arrow_table().schema
        except duckdb.Error as exc:
            return f"it does not run: {' '.join(str(exc).split())}"
        needed = [*RESULT_COLUMNS, *(name for name in rule.group_by if name not in RESULT_COLUMNS)]
        if missing := [name for name in needed if name not in schema.names]:
            return f"got the columns {', '.join(schema.names)}, expected also {', '.join(missing)}"
        return bytes_in_key(rule, schema)
