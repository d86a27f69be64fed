"""What of the tables a principal may read in a tenant: the rows of which tables and classes, and which of their columns, by policy.

Three actions that only this module asks: `table.read` of a table (of contents `contents.read`), `columns.read` of all its columns that hold the same kind of
thing (`governance.access.columns`), `rows.read` of the rows of a data class. The answer is data for `warehouse.query.open_session`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from governance.access.actions import WHOLE_LAKE, Action
from governance.access.asking import decision_of
from governance.access.columns import Holds, columns_of
from governance.access.decision import Decision
from governance.access.engine import Entity
from governance.access.grants import Role, Standing
from governance.access.policy import AccessPolicy
from governance.access.role_table import ANY_TENANT, standing_of
from warehouse.query.limits import ROW_CLASSES, ReadLimits
from warehouse.query.views import VIEWS
from warehouse.tables.contents import CONTENTS

TABLE_READ = "table.read"
COLUMNS_READ = "columns.read"
ROWS_READ = "rows.read"
READING = (TABLE_READ, COLUMNS_READ, ROWS_READ)
"""The actions that only this module asks."""


def read_limits(policy: AccessPolicy, standing: Standing, tenant: str, now: int) -> ReadLimits:
    """What of the tables may be read in `tenant`, towards which the principal stands like this, at `now` (seconds since 1970)."""
    tables = sorted(VIEWS)
    things = [
        *((_reading(table), _table(tenant, table)) for table in tables),
        *((COLUMNS_READ, _columns(tenant, table, each)) for table in tables for each in Holds),
        *((ROWS_READ, _rows(tenant, name)) for name in sorted(ROW_CLASSES)),
    ]
    requests = [_request(standing, action, thing, now) for action, thing in things]
    verdicts = policy.decide(requests, [standing.entity(), *_entities(tenant, tables)])
    allowed = {thing["id"] for (_, thing), verdict in zip(things, verdicts, strict=True) if verdict.allowed}
    columns = {
        table: frozenset[str]().union(
            *(names for each, names in columns_of(table).items() if _columns(tenant, table, each)["id"] in allowed)
        )
        for table in tables
        if _table(tenant, table)["id"] in allowed
    }
    return ReadLimits(columns, frozenset(name for name in ROW_CLASSES if _rows(tenant, name)["id"] in allowed))


def explain_limits(policy: AccessPolicy, standing: Standing, tenant: str, now: int, action: str) -> dict[str, Decision]:
    """Each decision of one of `READING` in `tenant`, by what it is about: a table, its columns that hold something, or a class of rows."""
    things = {
        TABLE_READ: {table: _table(tenant, table) for table in sorted(VIEWS - {CONTENTS.name})},
        COLUMNS_READ: {
            f"{each.value} of {table}": _columns(tenant, table, each)
            for table in sorted(VIEWS)
            for each in Holds
            if columns_of(table)[each]
        },
        ROWS_READ: {name: _rows(tenant, name) for name in sorted(ROW_CLASSES)},
    }[action]
    requests = [_request(standing, action, thing, now) for thing in things.values()]
    verdicts = policy.decide(requests, [standing.entity(), *_entities(tenant, sorted(VIEWS))])
    return {
        name: decision_of(verdict, standing, policy.content_hash)
        for name, verdict in zip(things, verdicts, strict=True)
    }


def role_limits(policy: AccessPolicy) -> dict[Role, ReadLimits]:
    """What of a tenant's tables each role may read."""
    return {role: read_limits(policy, standing_of(role), ANY_TENANT, 0) for role in Role}


def common_limits(limits: Sequence[ReadLimits]) -> ReadLimits:
    """What may be read in every one of several tenants: a session over all of them shows no more."""
    tables = frozenset.intersection(*(frozenset(each.columns) for each in limits))
    return ReadLimits(
        {table: frozenset.intersection(*(frozenset(each.columns[table]) for each in limits)) for table in tables},
        frozenset.intersection(*(each.classes for each in limits)),
    )


def _request(standing: Standing, action: str, thing: Mapping[str, str], now: int) -> dict[str, Any]:
    return {
        "principal": standing.uid,
        "action": {"type": "Action", "id": action},
        "resource": thing,
        "context": {"now": now},
    }


def _entities(tenant: str, tables: Sequence[str]) -> list[Entity]:
    lake, home = {"type": "Lake", "id": WHOLE_LAKE}, {"type": "Tenant", "id": tenant}
    found: list[Entity] = [{"uid": lake, "attrs": {}, "parents": []}, {"uid": home, "attrs": {}, "parents": [lake]}]
    for table in tables:
        found.append(
            {
                "uid": _table(tenant, table),
                "attrs": {} if table == CONTENTS.name else {"name": table},
                "parents": [home],
            }
        )
        found += [
            {
                "uid": _columns(tenant, table, each),
                "attrs": {"table": table, "holds": each.value},
                "parents": [_table(tenant, table)],
            }
            for each in Holds
        ]
    found += [{"uid": _rows(tenant, name), "attrs": {"name": name}, "parents": [home]} for name in sorted(ROW_CLASSES)]
    return found


def _reading(table: str) -> str:
    return Action.CONTENTS_READ.value if table == CONTENTS.name else TABLE_READ


def _table(tenant: str, table: str) -> dict[str, str]:
    if table == CONTENTS.name:
        return {"type": "Contents", "id": tenant}
    return {"type": "Table", "id": f"{tenant}/{table}"}


def _columns(tenant: str, table: str, holds: Holds) -> dict[str, str]:
    return {"type": "Columns", "id": f"{tenant}/{table}/{holds.value}"}


def _rows(tenant: str, name: str) -> dict[str, str]:
    return {"type": "DataClass", "id": f"{tenant}/class/{name}"}
