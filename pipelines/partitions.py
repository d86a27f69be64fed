"""Which days have a partition. Imports no Dagster."""

from datetime import date

FIRST_DAY = date(2023, 1, 1)
"""Days before it have none: no agent sent spans of its kind then."""
