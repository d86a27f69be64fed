"""The derived tables and their columns. None is ledgered; each carries numbers and ids of records, never a value of a payload."""

from warehouse.derived.events import DERIVED_EVENTS
from warehouse.derived.quality_results import QUALITY_RESULTS
from warehouse.derived.slo_windows import SLO_WINDOWS
from warehouse.tables.columns import Table

DERIVED: dict[str, Table] = {table.name: table for table in (SLO_WINDOWS, DERIVED_EVENTS, QUALITY_RESULTS)}
"""Every derived table by name."""
