"""What cases say of a person who is erased: incidents and alerts name records by place, and now and then a person by token.

Invariant: a case stays with its records, clocks and timeline; only the words that name the person give way to a reference.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select, update

from warehouse.control.incidents import IncidentChange, add_change
from warehouse.control.part import Part
from warehouse.control.schema import (
    ALERT_DELIVERIES,
    ALERTS,
    INCIDENT_AFFECTED,
    INCIDENT_CHANGES,
    INCIDENT_ROUNDS,
    INCIDENT_ROWS,
    INCIDENT_RULES,
    INCIDENTS,
)

CHANGE = "person erased"
"""What the timeline says of an incident that named an erased person."""
_OF_INCIDENTS = ((INCIDENT_ROWS, ("agent_id",)), (INCIDENT_AFFECTED, ("value",)), (INCIDENT_CHANGES, ("note",)))
_OF_TENANTS = ((INCIDENT_RULES, ("problem",)), (INCIDENT_ROUNDS, ("state",)), (ALERTS, ("content",)))


class Forgetting(Part):
    """The part of the control store that takes erased persons out of incidents and alerts."""

    def forget_in_cases(self, tenant_id: str, words: Collection[str], reference: str, *, by: str) -> int:
        """Put a reference in place of these words in a tenant's incidents and alerts, for good; returns in how many incidents.

        Each of these has a line in its timeline, by the principal `by`. Safe to repeat.
        """
        mine = select(INCIDENTS.c.id).where(INCIDENTS.c.tenant_id == tenant_id)
        alerts = select(ALERTS.c.fingerprint).where(ALERTS.c.tenant_id == tenant_id)
        named: set[str] = set()
        changed = 0
        with self._database.write() as connection:
            for word in words:
                texts = ("title", "detail", "key")
                named |= {*connection.execute(mine.where(_any_has(INCIDENTS, texts, word))).scalars()}
                changed += _replace(connection, INCIDENTS, texts, word, reference, INCIDENTS.c.tenant_id == tenant_id)
                for table, columns in _OF_INCIDENTS:
                    held = select(table.c.incident_id).where(
                        table.c.incident_id.in_(mine), _any_has(table, columns, word)
                    )
                    named |= {*connection.execute(held).scalars()}
                    changed += _replace(connection, table, columns, word, reference, table.c.incident_id.in_(mine))
                for table, columns in _OF_TENANTS:
                    changed += _replace(connection, table, columns, word, reference, table.c.tenant_id == tenant_id)
                about = ALERT_DELIVERIES.c.fingerprint.in_(alerts)
                changed += _replace(connection, ALERT_DELIVERIES, ("problem",), word, reference, about)
            for incident in sorted(named):
                bump = update(INCIDENTS).where(INCIDENTS.c.id == incident).values(revision=INCIDENTS.c.revision + 1)
                connection.execute(bump)
                add_change(connection, incident, IncidentChange(self._clock(), CHANGE, by))
        if changed:
            self._database.rewrite_file()
        return len(named)


def _any_has(table: Table, columns: Collection[str], word: str) -> ColumnElement[bool]:
    return or_(*(func.replace(table.c[name], word, "") != table.c[name] for name in columns))


def _replace(
    connection: Connection,
    table: Table,
    columns: Collection[str],
    word: str,
    reference: str,
    among: ColumnElement[bool],
) -> int:
    values = {name: func.replace(table.c[name], word, reference) for name in columns}
    return connection.execute(update(table).where(among, _any_has(table, columns, word)).values(values)).rowcount
