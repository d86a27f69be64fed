"""The records that made an incident, as they are in the lake now: there, purged with a certificate, or missing."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from muniment.proving import read_purged
from muniment.wiring import CommandContext
from warehouse.control import IncidentDetails, IncidentRow
from warehouse.ledger.verify.heads import LogName

_INDEX = {"spans": "log_index", "audit_events": "log_index", "logs": "log_index", "contents": "owner_index"}
"""Which column of a table an incident's record is found by: a part of contents by the record that it belongs to."""


class RowState(StrEnum):
    """What became of a record."""

    THERE = "there"
    PURGED = "purged"
    """It went, and a certificate says under which policy."""
    MISSING = "missing"
    """It went, and nothing says why: `muniment verify` looks at the whole log."""


def row_states(context: CommandContext, details: IncidentDetails) -> dict[IncidentRow, RowState]:
    """What became of each record of an incident. Reads places in the log alone, nothing of what records say.

    Raises:
        UnavailableError: the lake cannot be read.
    """
    states = dict.fromkeys(details.rows, RowState.THERE)
    there = _found(context, details)
    gone = [row for row in details.rows if row not in there]
    if gone:
        tenant = details.record.tenant_id
        purged = read_purged(context, tenant)
        for row in gone:
            known = purged.purged(LogName(tenant, row.shard)).table_of(row.log_index) is not None
            states[row] = RowState.PURGED if known or row.source_table == "contents" else RowState.MISSING
    return states


def rows_by_table(rows: Sequence[IncidentRow]) -> Mapping[str, list[IncidentRow]]:
    """Records by their table."""
    found: dict[str, list[IncidentRow]] = {}
    for row in rows:
        found.setdefault(row.source_table, []).append(row)
    return found


def place_parameters(rows: Sequence[IncidentRow]) -> dict[str, object]:
    """The parameters of `place_condition` for these records of one table."""
    indices = [row.log_index for row in rows]
    places = [f"{row.shard} {row.log_index}" for row in rows]
    return {"low": min(indices), "high": max(indices), "places": places}


def place_condition(table: str) -> str:
    """SQL condition on a table's rows that `place_parameters` names; its bounds let whole files be skipped."""
    index = _INDEX[table]
    return f"{index} between $low and $high and list_contains($places, shard || ' ' || {index})"


def _found(context: CommandContext, details: IncidentDetails) -> set[IncidentRow]:
    tables = {table: rows for table, rows in rows_by_table(details.rows).items() if table in _INDEX}
    if not tables:
        return set()
    found = set()
    with context.session([details.record.tenant_id], tables=sorted(tables)) as session:
        for table, rows in tables.items():
            sql = f"select distinct shard, {_INDEX[table]} as place from {table} where {place_condition(table)}"  # noqa: S608  names of the schema
            there = {
                (row["shard"], row["place"]) for row in session.run_trusted(sql, place_parameters(rows)).to_pylist()
            }
            found |= {row for row in rows if (row.shard, row.log_index) in there}
    return found
