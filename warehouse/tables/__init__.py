"""The tables: one module each, and their registry in commit order."""

from warehouse.tables.audit_events import AUDIT_EVENTS
from warehouse.tables.columns import DATA_CLASSES, PARTITION_COLUMNS, STATISTICS_COLUMNS, Column, Table
from warehouse.tables.contents import CONTENTS
from warehouse.tables.logs import LOGS
from warehouse.tables.metrics import METRICS
from warehouse.tables.spans import SPANS

TABLES: dict[str, Table] = {table.name: table for table in (CONTENTS, METRICS, LOGS, AUDIT_EVENTS, SPANS)}
"""Every stored table by name, in the order in which one segment's tables are committed."""

__all__ = [
    "AUDIT_EVENTS",
    "CONTENTS",
    "DATA_CLASSES",
    "LOGS",
    "METRICS",
    "PARTITION_COLUMNS",
    "SPANS",
    "STATISTICS_COLUMNS",
    "TABLES",
    "Column",
    "Table",
]
