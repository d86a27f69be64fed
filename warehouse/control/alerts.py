"""What fires and what each target was told of it, so that a restart neither repeats nor forgets an alert.

Rows are replaced whole, by the one process at a time that watches the lake; others only read.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select

from warehouse.control.part import Part
from warehouse.control.records import AlertRecord, DeliveryRecord
from warehouse.control.schema import ALERT_DELIVERIES, ALERTS


class Alerts(Part):
    """The alerts' part of the control store. What their contents say is not its concern."""

    def list_alerts(self) -> list[AlertRecord]:
        """Every alert that is kept, oldest first."""
        wanted = select(ALERTS).order_by(ALERTS.c.starts_unix_nano, ALERTS.c.fingerprint)
        with self._database.read() as connection:
            return [AlertRecord(**row) for row in connection.execute(wanted).mappings()]

    def keep_alerts(self, alerts: Sequence[AlertRecord], *, forget: Collection[str] = ()) -> None:
        """Put these in place of those with their fingerprints, and drop others with all that was told of them, at once."""
        if not alerts and not forget:
            return
        with self._database.write() as connection:
            if gone := [{"gone": fingerprint} for fingerprint in forget]:
                for table in (ALERTS, ALERT_DELIVERIES):
                    connection.execute(delete(table).where(table.c.fingerprint == bindparam("gone")), gone)
            _replace(connection, ALERTS, [asdict(alert) for alert in alerts])

    def list_deliveries(self, target: str | None = None) -> list[DeliveryRecord]:
        """What one target, or each, was told."""
        wanted = select(ALERT_DELIVERIES).order_by(ALERT_DELIVERIES.c.target, ALERT_DELIVERIES.c.fingerprint)
        if target is not None:
            wanted = wanted.where(ALERT_DELIVERIES.c.target == target)
        with self._database.read() as connection:
            return [DeliveryRecord(**row) for row in connection.execute(wanted).mappings()]

    def keep_deliveries(self, deliveries: Sequence[DeliveryRecord]) -> None:
        """Put these in place of those of the same target and alert, at once."""
        if not deliveries:
            return
        with self._database.write() as connection:
            _replace(connection, ALERT_DELIVERIES, [asdict(delivery) for delivery in deliveries])

    def add_deliveries(self, deliveries: Sequence[DeliveryRecord]) -> None:
        """Put these in where their target was told nothing of their alert yet; what is there stays as it is."""
        if not deliveries:
            return
        with self._database.write() as connection:
            there = select(ALERT_DELIVERIES.c.target, ALERT_DELIVERIES.c.fingerprint)
            known = {tuple(row) for row in connection.execute(there)}
            new = [asdict(each) for each in deliveries if (each.target, each.fingerprint) not in known]
            if new:
                connection.execute(insert(ALERT_DELIVERIES), new)

    def forget_targets(self, known: Collection[str]) -> None:
        """Drop what was told to targets other than these: settings do not have them any more."""
        with self._database.write() as connection:
            connection.execute(delete(ALERT_DELIVERIES).where(ALERT_DELIVERIES.c.target.not_in(sorted(known))))


def _replace(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    # In a transaction that holds the write lock from its beginning: nobody sees a row missing. Two statements, however many rows.
    if not rows:
        return
    names = [column.name for column in table.primary_key.columns]
    same = delete(table).where(*(table.c[name] == bindparam(f"same_{name}") for name in names))
    connection.execute(same, [{f"same_{name}": row[name] for name in names} for row in rows])
    connection.execute(insert(table), list(rows))
