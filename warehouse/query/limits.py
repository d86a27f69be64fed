"""What a session may show: of which tables the rows, of these which data classes, and which columns. Given as data by who decides it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from warehouse.tables.columns import DATA_CLASSES, Table

UNCLASSIFIED = "unclassified"
"""Stands for rows whose `data_class` is NULL."""

ROW_CLASSES = frozenset({*DATA_CLASSES, UNCLASSIFIED})
"""Every class that a row can be of."""

_CLASS_COLUMN = "data_class"


@dataclass(frozen=True)
class ReadLimits:
    """The limits of one session.

    Attributes:
        columns: of each table that may be read the columns that may; `tenant_id` and `day` always may. A table that is left out may
            not be read.
        classes: the classes of rows that may be read, of tables that have a `data_class`.
    """

    columns: Mapping[str, Collection[str]]
    classes: frozenset[str] = ROW_CLASSES

    def shows(self, table: Table, column: str) -> bool:
        """Whether a column's values may be read; where not, it is there and NULL."""
        return column in self.columns[table.name]

    def rows_sql(self, table: Table) -> str:
        """SQL condition on the rows of a table that may be read."""
        if self.classes >= ROW_CLASSES or _CLASS_COLUMN not in table.schema.names:
            return "true"
        names = sorted(self.classes & ROW_CLASSES)
        listed = ", ".join(f"'{name}'" for name in names)  # words of this module's own, never a caller's
        return f"coalesce({_CLASS_COLUMN}, '{UNCLASSIFIED}') in ({listed})" if names else "false"
