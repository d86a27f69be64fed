"""Incidents: what a rule found, the records that made it, and all that became of it.

Invariants:
- An incident names records by their place in the log and holds nothing of their contents. A purge that takes the records leaves it.
- It is never deleted. Each change of it has a line in its timeline; a change is made of what was read before it, so of two that come
  at once one is refused.
- One that turned out to be another one is closed and names it; its records moved there.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from warehouse.control.part import Part, announce_nothing, check_text
from warehouse.control.schema import INCIDENT_AFFECTED, INCIDENT_CHANGES, INCIDENT_CLOCKS, INCIDENT_ROWS, INCIDENTS
from warehouse.errors import ConflictError, NotFoundError

_NOTE_LENGTH = 2000
_CHUNK = 500  # of bound values, of which SQLite takes some thousands


class IncidentState(StrEnum):
    """Where an incident stands."""

    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    CLOSED = "closed"
    REOPENED = "reopened"

    @property
    def unattended(self) -> bool:
        """Whether nobody took it on yet."""
        return self in {IncidentState.OPENED, IncidentState.REOPENED}


@dataclass(frozen=True)
class IncidentRecord:
    """An incident. Times in nanoseconds since 1970.

    `opened` is when its first match happened, `last` its last one, `detected` when it was found: what a law gives to report it counts
    from there. `key` is JSON text of what tells it from others of its rule, `row_count` counts its records, and `revision` its
    changes from 1. `duplicate_of` names the incident that it turned out to be.
    """

    id: str
    tenant_id: str
    rule: str
    title: str
    severity: str
    runbook: str
    policy_hash: str
    key_hash: str
    key: str
    detail: str
    state: IncidentState
    opened_unix_nano: int
    last_unix_nano: int
    detected_unix_nano: int
    owner: str | None = None
    acknowledged_unix_nano: int | None = None
    mitigated_unix_nano: int | None = None
    closed_unix_nano: int | None = None
    duplicate_of: str | None = None
    row_count: int = 0
    revision: int = 1


@dataclass(frozen=True)
class IncidentRow:
    """A record that made an incident: its place in the log, when it happened, in which run and by which agent."""

    source_table: str
    shard: str
    log_index: int
    time_unix_nano: int
    trace_id: str | None = None
    agent_id: str | None = None


@dataclass(frozen=True)
class IncidentChange:
    """A line of an incident's timeline: when, what (`opened`, `joined`, `acknowledged`, …), by which principal, and in what words."""

    unix_nano: int
    change: str
    by: str
    note: str | None = None


@dataclass(frozen=True)
class IncidentClock:
    """A legal clock of an incident; stopped by whoever reported it. Times in nanoseconds since 1970."""

    clock: str
    started_unix_nano: int
    due_unix_nano: int
    stopped_unix_nano: int | None = None


@dataclass(frozen=True)
class IncidentDetails:
    """All that is known of one incident. `affected` are the agents, runs and data classes by kind (`agent`, `run`, `data_class`)."""

    record: IncidentRecord
    rows: tuple[IncidentRow, ...] = field(repr=False)
    affected: Mapping[str, tuple[str, ...]]
    changes: tuple[IncidentChange, ...]
    clocks: tuple[IncidentClock, ...]
    duplicates: tuple[str, ...] = ()


Announce = Callable[[IncidentRecord], None]
Change = Callable[[IncidentRecord], IncidentRecord]


class Incidents(Part):
    """The incidents' part of the control store, as people handle them; `detection` holds what rules do."""

    def change_incident(
        self,
        incident_id: str,
        change: Change,
        *,
        what: str,
        by: str,
        note: str | None,
        announce: Announce = announce_nothing,
    ) -> IncidentRecord:
        """Make of an incident what `change` makes of it, with a line `what` in its timeline.

        Raises:
            NotFoundError: there is no such incident.
            InputError: the note is empty, too long or not printable.
            ConflictError: somebody else changed it meanwhile; or what `change` raises.
        """
        before = self.incident(incident_id)
        after = replace(change(before), revision=before.revision + 1)
        line = IncidentChange(self._clock(), what, check_text(by, "principal"), _checked_note(note))
        announce(after)
        with self._database.write() as connection:
            store_changed(connection, before, after)
            add_change(connection, incident_id, line)
        return after

    def start_clock(
        self,
        incident_id: str,
        clock: IncidentClock,
        *,
        by: str,
        note: str | None,
        announce: Announce = announce_nothing,
    ) -> IncidentRecord:
        """Start a legal clock on an incident.

        Raises:
            NotFoundError: there is no such incident.
            ConflictError: it has this clock already.
        """
        before = self.incident(incident_id)
        if any(each.clock == clock.clock for each in self.clocks([incident_id]).get(incident_id, ())):
            raise ConflictError(f"incident {incident_id}: expected no clock {clock.clock} on it, got one")
        after = replace(before, revision=before.revision + 1)
        line = IncidentChange(
            self._clock(), f"clock {clock.clock} started", check_text(by, "principal"), _checked_note(note)
        )
        announce(after)
        with self._database.write() as connection:
            store_changed(connection, before, after)
            connection.execute(insert(INCIDENT_CLOCKS).values(incident_id=incident_id, **asdict(clock)))
            add_change(connection, incident_id, line)
        return after

    def stop_clock(
        self, incident_id: str, clock: str, *, by: str, note: str | None, announce: Announce = announce_nothing
    ) -> IncidentRecord:
        """Stop a legal clock that runs on an incident: what it counts down to was done.

        Raises:
            NotFoundError: there is no such incident.
            ConflictError: no such clock runs on it.
        """
        before = self.incident(incident_id)
        found = {each.clock: each for each in self.clocks([incident_id]).get(incident_id, ())}
        if clock not in found or found[clock].stopped_unix_nano is not None:
            running = ", ".join(name for name, each in found.items() if each.stopped_unix_nano is None) or "none"
            raise ConflictError(f"incident {incident_id}: expected a clock that runs on it ({running}), got {clock}")
        after = replace(before, revision=before.revision + 1)
        line = IncidentChange(self._clock(), f"clock {clock} stopped", check_text(by, "principal"), _checked_note(note))
        announce(after)
        with self._database.write() as connection:
            store_changed(connection, before, after)
            connection.execute(
                update(INCIDENT_CLOCKS)
                .where(INCIDENT_CLOCKS.c.incident_id == incident_id, INCIDENT_CLOCKS.c.clock == clock)
                .values(stopped_unix_nano=line.unix_nano)
            )
            add_change(connection, incident_id, line)
        return after

    def incident(self, incident_id: str, *, among: Collection[str] | None = None) -> IncidentRecord:
        """One incident; with `among`, of one of these tenants: another's is as if it were not there.

        Raises:
            NotFoundError: there is none with this id.
        """
        with self._database.read() as connection:
            row = connection.execute(select(INCIDENTS).where(INCIDENTS.c.id == incident_id)).mappings().first()
        if row is None or (among is not None and row["tenant_id"] not in among):
            raise NotFoundError(
                f"incident: expected the id of one, got {incident_id!r}",
                hint="`muniment incident list --all` shows every one",
            )
        return record_of(row)

    def incident_details(self, incident_id: str, *, among: Collection[str] | None = None) -> IncidentDetails:
        """All that is known of one incident; `among` as in `incident`.

        Raises:
            NotFoundError: there is none with this id.
        """
        record = self.incident(incident_id, among=among)
        with self._database.read() as connection:
            rows = connection.execute(
                _of(INCIDENT_ROWS, [incident_id]).order_by(
                    INCIDENT_ROWS.c.time_unix_nano, INCIDENT_ROWS.c.shard, INCIDENT_ROWS.c.log_index
                )
            ).mappings()
            found = tuple(IncidentRow(**{k: v for k, v in row.items() if k != "incident_id"}) for row in rows)
            lines = connection.execute(
                _of(INCIDENT_CHANGES, [incident_id]).order_by(INCIDENT_CHANGES.c.number)
            ).mappings()
            changes = tuple(IncidentChange(row["unix_nano"], row["change"], row["by"], row["note"]) for row in lines)
            same = select(INCIDENTS.c.id).where(INCIDENTS.c.duplicate_of == incident_id).order_by(INCIDENTS.c.id)
            duplicates = tuple(connection.execute(same).scalars())
        affected = self.affected([incident_id]).get(incident_id, {})
        return IncidentDetails(
            record, found, affected, changes, self.clocks([incident_id]).get(incident_id, ()), duplicates
        )

    def list_incidents(
        self, tenants: Collection[str] | None = None, *, states: Collection[IncidentState] | None = None
    ) -> list[IncidentRecord]:
        """The incidents of these tenants, or of all, in these states, or in any, by when they opened. Duplicates are among them."""
        wanted = select(INCIDENTS).order_by(INCIDENTS.c.opened_unix_nano, INCIDENTS.c.id)
        if tenants is not None:
            wanted = wanted.where(INCIDENTS.c.tenant_id.in_(sorted(tenants)))
        if states is not None:
            wanted = wanted.where(INCIDENTS.c.state.in_(sorted(states)))
        with self._database.read() as connection:
            return [record_of(row) for row in connection.execute(wanted).mappings()]

    def incidents_naming(
        self, tenant_id: str, trace_ids: Sequence[str], places: Collection[tuple[str, int]]
    ) -> list[IncidentRecord]:
        """The tenant's incidents that name one of these runs, or one of these records by shard and index, by when they opened."""
        named: set[str] = set()
        with self._database.read() as connection:
            for at in range(0, len(trace_ids), _CHUNK):
                runs = trace_ids[at : at + _CHUNK]
                affected = INCIDENT_AFFECTED.c.kind == "run", INCIDENT_AFFECTED.c.value.in_(runs)
                named.update(connection.execute(select(INCIDENT_AFFECTED.c.incident_id).where(*affected)).scalars())
            for shard in sorted({shard for shard, _ in places}):
                indices = sorted(index for each, index in places if each == shard)
                for at in range(0, len(indices), _CHUNK):
                    mine = INCIDENT_ROWS.c.shard == shard, INCIDENT_ROWS.c.log_index.in_(indices[at : at + _CHUNK])
                    named.update(connection.execute(select(INCIDENT_ROWS.c.incident_id).where(*mine)).scalars())
        # Shards are one lake's, and the log of each tenant in them counts from 0: the tenant tells them apart.
        found = self.list_incidents([tenant_id])
        return [each for each in found if each.id in named and each.duplicate_of is None]

    def affected(self, incident_ids: Sequence[str]) -> dict[str, dict[str, tuple[str, ...]]]:
        """Of each of these incidents what it affects, by kind, in the order of the values."""
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        with self._database.read() as connection:
            for at in range(0, len(incident_ids), _CHUNK):
                wanted = _of(INCIDENT_AFFECTED, incident_ids[at : at + _CHUNK]).order_by(INCIDENT_AFFECTED.c.value)
                for row in connection.execute(wanted).mappings():
                    kinds = found.setdefault(row["incident_id"], {})
                    kinds[row["kind"]] = (*kinds.get(row["kind"], ()), row["value"])
        return found

    def clocks(self, incident_ids: Sequence[str]) -> dict[str, tuple[IncidentClock, ...]]:
        """The legal clocks of each of these incidents, by name."""
        found: dict[str, tuple[IncidentClock, ...]] = {}
        with self._database.read() as connection:
            for at in range(0, len(incident_ids), _CHUNK):
                wanted = _of(INCIDENT_CLOCKS, incident_ids[at : at + _CHUNK]).order_by(INCIDENT_CLOCKS.c.clock)
                for row in connection.execute(wanted).mappings():
                    clock = IncidentClock(**{k: v for k, v in row.items() if k != "incident_id"})
                    found[row["incident_id"]] = (*found.get(row["incident_id"], ()), clock)
        return found


def record_of(row: RowMapping) -> IncidentRecord:
    """An incident from its row."""
    return IncidentRecord(**{**row, "state": IncidentState(str(row["state"]))})


def store_changed(connection: Connection, before: IncidentRecord, after: IncidentRecord) -> None:
    """Write an incident that was read as `before`.

    Raises:
        ConflictError: it was changed meanwhile.
    """
    changed = connection.execute(
        update(INCIDENTS)
        .where(INCIDENTS.c.id == before.id, INCIDENTS.c.revision == before.revision)
        .values(asdict(after))
    )
    if changed.rowcount != 1:
        raise ConflictError(
            f"incident {before.id}: changed meanwhile",
            hint=f"look at `muniment incident show {before.id}`, then try again",
        )


def add_change(connection: Connection, incident_id: str, line: IncidentChange) -> None:
    """Add a line to an incident's timeline."""
    last = select(func.coalesce(func.max(INCIDENT_CHANGES.c.number), 0)).where(
        INCIDENT_CHANGES.c.incident_id == incident_id
    )
    number = connection.execute(last).scalar_one() + 1
    connection.execute(insert(INCIDENT_CHANGES).values(incident_id=incident_id, number=number, **asdict(line)))


def _of(table: Any, incident_ids: Sequence[str]) -> Any:
    return select(table).where(table.c.incident_id.in_(incident_ids))


def _checked_note(note: str | None) -> str | None:
    return None if note is None else check_text(note, "note", at_most=_NOTE_LENGTH)
