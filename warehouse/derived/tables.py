"""The derived tables and their columns. None is ledgered; each carries numbers and ids of records, never a value of a payload."""

from warehouse.tables.columns import Table

DERIVED: dict[str, Table] = {}
"""Every derived table by name."""
