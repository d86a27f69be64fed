"""What detection keeps: up to where each rule has read of each tenant, what stops a rule, and the incidents that came of it.

Invariant: what a round found and up to where it read are written in one transaction, so that no row is counted twice or missed. A
round that is interrupted left nothing.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, delete, func, insert, select, update

from warehouse.control.incidents import (
    IncidentChange,
    IncidentClock,
    IncidentRecord,
    IncidentRow,
    IncidentState,
    add_change,
    record_of,
    store_changed,
)
from warehouse.control.part import Part
from warehouse.control.schema import (
    INCIDENT_AFFECTED,
    INCIDENT_CHANGES,
    INCIDENT_CLOCKS,
    INCIDENT_POINTS,
    INCIDENT_ROUNDS,
    INCIDENT_ROWS,
    INCIDENT_RULES,
    INCIDENTS,
)
from warehouse.errors import ConflictError

MOST_ROWS = 10_000
"""Most records that an incident lists; those beyond are counted."""
_CHUNK = 500


@dataclass(frozen=True)
class RuleProgress:
    """How far a rule has read of a tenant, and what stops it. Times in nanoseconds since 1970.

    `point` is JSON text of whoever reads; None at the beginning. `problem` says why the last evaluation failed, None where it went
    well; then `point` is where the last good one ended.
    """

    rule: str
    evaluated_unix_nano: int
    point: str | None = None
    problem: str | None = None
    problem_since_unix_nano: int | None = None


@dataclass(frozen=True)
class FoundIncident:
    """What a round makes of one incident. `before` is it as it was read, None for one that opens."""

    record: IncidentRecord
    before: IncidentRecord | None = None
    rows: Sequence[IncidentRow] = ()
    affected: Mapping[str, Collection[str]] = field(default_factory=dict)
    changes: Sequence[IncidentChange] = ()
    clocks: Sequence[IncidentClock] = ()
    merged: Sequence[IncidentRecord] = ()
    """Incidents that turned out to be this one, as they were read."""

    @property
    def is_new(self) -> bool:
        """Whether nothing of it is there yet."""
        return self.before is None and not self.merged


class Detections(Part):
    """The part of the control store that detection of incidents works on."""

    def rule_progress(self, tenant_id: str) -> dict[str, RuleProgress]:
        """How far each rule has read of a tenant, by rule."""
        wanted = (
            select(INCIDENT_RULES, INCIDENT_POINTS.c.point)
            .outerjoin(INCIDENT_POINTS, INCIDENT_RULES.c.point_id == INCIDENT_POINTS.c.id)
            .where(INCIDENT_RULES.c.tenant_id == tenant_id)
        )
        with self._database.read() as connection:
            return {row["rule"]: _progress_of(row) for row in connection.execute(wanted).mappings()}

    def rule_problems(self) -> list[tuple[str, RuleProgress]]:
        """Tenant and progress of every rule that fails."""
        wanted = (
            select(INCIDENT_RULES)
            .where(INCIDENT_RULES.c.problem.is_not(None))
            .order_by(INCIDENT_RULES.c.rule, INCIDENT_RULES.c.tenant_id)
        )
        with self._database.read() as connection:
            return [(row["tenant_id"], _progress_of(row)) for row in connection.execute(wanted).mappings()]

    def round_state(self, tenant_id: str) -> str | None:
        """What the last round over a tenant left for the next one: text of the caller's own."""
        with self._database.read() as connection:
            wanted = select(INCIDENT_ROUNDS.c.state).where(INCIDENT_ROUNDS.c.tenant_id == tenant_id)
            found: str | None = connection.execute(wanted).scalar_one_or_none()
            return found

    def incidents_of_keys(self, tenant_id: str, rule: str, key_hashes: Sequence[str]) -> list[IncidentRecord]:
        """The incidents of a rule that have one of these keys, but for those that turned out to be another one."""
        found = []
        with self._database.read() as connection:
            for at in range(0, len(key_hashes), _CHUNK):
                wanted = select(INCIDENTS).where(
                    INCIDENTS.c.tenant_id == tenant_id,
                    INCIDENTS.c.rule == rule,
                    INCIDENTS.c.key_hash.in_(key_hashes[at : at + _CHUNK]),
                    INCIDENTS.c.duplicate_of.is_(None),
                )
                found += [record_of(row) for row in connection.execute(wanted).mappings()]
        return found

    def incident_row_ids(
        self, incident_ids: Sequence[str], *, lowest: int, highest: int
    ) -> dict[str, frozenset[tuple[str, str, int]]]:
        """Table, shard and log index of the records of each of these incidents that have an index from `lowest` to `highest`.

        An incident may hold thousands; what is new lies at the end of its log, so that its bounds leave few to compare it with.
        """
        found: dict[str, set[tuple[str, str, int]]] = {}
        with self._database.read() as connection:
            for at in range(0, len(incident_ids), _CHUNK):
                wanted = select(
                    INCIDENT_ROWS.c.incident_id,
                    INCIDENT_ROWS.c.source_table,
                    INCIDENT_ROWS.c.shard,
                    INCIDENT_ROWS.c.log_index,
                ).where(
                    INCIDENT_ROWS.c.incident_id.in_(incident_ids[at : at + _CHUNK]),
                    INCIDENT_ROWS.c.log_index.between(lowest, highest),
                )
                for incident, table, shard, index in connection.execute(wanted):
                    found.setdefault(incident, set()).add((table, shard, index))
        return {incident: frozenset(rows) for incident, rows in found.items()}

    def commit_round(
        self, tenant_id: str, found: Sequence[FoundIncident], progress: Sequence[RuleProgress], state: str, *, by: str
    ) -> None:
        """Write what a round by a principal found, how far each rule has read, and what the next one needs: all or nothing.

        Raises:
            ConflictError: somebody changed one of the incidents meanwhile: nothing was written, and the next round finds the same again.
        """
        with self._database.write() as connection:
            _store_new(connection, [each for each in found if each.is_new])
            for each in (each for each in found if not each.is_new):
                _store_found(connection, each, IncidentChange(self._clock(), "closed", by, f"it is {each.record.id}"))
            _store_progress(connection, tenant_id, progress)
            connection.execute(delete(INCIDENT_ROUNDS).where(INCIDENT_ROUNDS.c.tenant_id == tenant_id))
            connection.execute(insert(INCIDENT_ROUNDS).values(tenant_id=tenant_id, state=state))
            used = select(INCIDENT_RULES.c.point_id).where(INCIDENT_RULES.c.point_id.is_not(None))
            connection.execute(delete(INCIDENT_POINTS).where(INCIDENT_POINTS.c.id.not_in(used)))


def _store_new(connection: Connection, found: Sequence[FoundIncident]) -> None:
    """Incidents that open, in a few statements however many there are: everybody else waits for this transaction."""
    ids = [each.record.id for each in found]
    for at in range(0, len(ids), _CHUNK):
        taken = connection.execute(select(INCIDENTS.c.id).where(INCIDENTS.c.id.in_(ids[at : at + _CHUNK]))).scalar()
        if taken is not None:
            raise ConflictError(f"incident {taken}: opened by somebody else meanwhile")
    parts: Sequence[tuple[Table, Iterable[dict[str, Any]]]] = (
        (INCIDENTS, (asdict(each.record) for each in found)),
        (INCIDENT_ROWS, (_own(each, asdict(row)) for each in found for row in each.rows[:MOST_ROWS])),
        (
            INCIDENT_AFFECTED,
            (
                _own(each, {"kind": kind, "value": value})
                for each in found
                for kind, values in each.affected.items()
                for value in sorted(set(values))
            ),
        ),
        (
            INCIDENT_CHANGES,
            (
                _own(each, {"number": at, **asdict(line)})
                for each in found
                for at, line in enumerate(each.changes, start=1)
            ),
        ),
        (INCIDENT_CLOCKS, (_own(each, asdict(clock)) for each in found for clock in each.clocks)),
    )
    for table, rows in parts:
        if made := list(rows):
            connection.execute(insert(table), made)


def _own(found: FoundIncident, row: dict[str, Any]) -> dict[str, Any]:
    return {"incident_id": found.record.id, **row}


def _store_found(connection: Connection, found: FoundIncident, merging: IncidentChange) -> None:
    incident = found.record.id
    if found.before is None:
        if connection.execute(select(INCIDENTS.c.id).where(INCIDENTS.c.id == incident)).first() is not None:
            raise ConflictError(f"incident {incident}: opened by somebody else meanwhile")
        connection.execute(insert(INCIDENTS).values(asdict(found.record)))
    else:
        store_changed(connection, found.before, found.record)
    for other in found.merged:
        _merge(connection, other, found.record, merging)
    there = connection.execute(
        select(func.count()).select_from(INCIDENT_ROWS).where(INCIDENT_ROWS.c.incident_id == incident)
    ).scalar_one()
    rows = [{"incident_id": incident, **asdict(row)} for row in found.rows[: max(0, MOST_ROWS - there)]]
    if rows:
        connection.execute(insert(INCIDENT_ROWS), rows)
    _add_affected(connection, incident, [(kind, value) for kind, values in found.affected.items() for value in values])
    for line in found.changes:
        add_change(connection, incident, line)
    for clock in found.clocks:
        connection.execute(insert(INCIDENT_CLOCKS).values(incident_id=incident, **asdict(clock)))


def _merge(connection: Connection, other: IncidentRecord, target: IncidentRecord, line: IncidentChange) -> None:
    """Close an incident as another one; its records and what it affects become the other one's."""
    closed = replace(
        other,
        state=IncidentState.CLOSED,
        closed_unix_nano=line.unix_nano,
        duplicate_of=target.id,
        revision=other.revision + 1,
    )
    store_changed(connection, other, closed)
    connection.execute(
        update(INCIDENT_ROWS).where(INCIDENT_ROWS.c.incident_id == other.id).values(incident_id=target.id)
    )
    affected = connection.execute(
        select(INCIDENT_AFFECTED.c.kind, INCIDENT_AFFECTED.c.value).where(INCIDENT_AFFECTED.c.incident_id == other.id)
    )
    _add_affected(connection, target.id, [(kind, value) for kind, value in affected])
    _move_clocks(connection, other.id, target.id)
    add_change(connection, other.id, line)


def _move_clocks(connection: Connection, source: str, target: str) -> None:
    """Clocks go on with the incident that stays; of two of a kind the one that began first."""
    there = {
        row["clock"]: row["started_unix_nano"]
        for row in connection.execute(select(INCIDENT_CLOCKS).where(INCIDENT_CLOCKS.c.incident_id == target)).mappings()
    }
    for row in (
        connection.execute(select(INCIDENT_CLOCKS).where(INCIDENT_CLOCKS.c.incident_id == source)).mappings().all()
    ):
        of = (INCIDENT_CLOCKS.c.clock == row["clock"],)
        if row["clock"] in there and there[row["clock"]] <= row["started_unix_nano"]:
            connection.execute(delete(INCIDENT_CLOCKS).where(INCIDENT_CLOCKS.c.incident_id == source, *of))
            continue
        connection.execute(delete(INCIDENT_CLOCKS).where(INCIDENT_CLOCKS.c.incident_id == target, *of))
        connection.execute(
            update(INCIDENT_CLOCKS).where(INCIDENT_CLOCKS.c.incident_id == source, *of).values(incident_id=target)
        )


def _add_affected(connection: Connection, incident: str, pairs: Iterable[tuple[str, str]]) -> None:
    by_kind: dict[str, set[str]] = {}
    for kind, value in pairs:
        by_kind.setdefault(kind, set()).add(value)
    of = INCIDENT_AFFECTED.c
    new = []
    for kind, values in sorted(by_kind.items()):
        wanted = sorted(values)
        for at in range(0, len(wanted), _CHUNK):
            some = wanted[at : at + _CHUNK]
            found = select(of.value).where(of.incident_id == incident, of.kind == kind, of.value.in_(some))
            known = set(connection.execute(found).scalars())
            new += [{"incident_id": incident, "kind": kind, "value": value} for value in some if value not in known]
    if new:
        connection.execute(insert(INCIDENT_AFFECTED), new)


def _store_progress(connection: Connection, tenant_id: str, progress: Sequence[RuleProgress]) -> None:
    if not progress:
        return
    points = {_point_id(rule.point): rule.point for rule in progress if rule.point is not None}
    known = set(connection.execute(select(INCIDENT_POINTS.c.id).where(INCIDENT_POINTS.c.id.in_(points))).scalars())
    if new := [{"id": each, "point": point} for each, point in points.items() if each not in known]:
        connection.execute(insert(INCIDENT_POINTS), new)
    names = [rule.rule for rule in progress]
    for at in range(0, len(names), _CHUNK):
        connection.execute(
            delete(INCIDENT_RULES).where(
                INCIDENT_RULES.c.tenant_id == tenant_id, INCIDENT_RULES.c.rule.in_(names[at : at + _CHUNK])
            )
        )
    connection.execute(insert(INCIDENT_RULES), [_progress_row(tenant_id, rule) for rule in progress])


def _progress_row(tenant_id: str, rule: RuleProgress) -> dict[str, object]:
    values = {key: value for key, value in asdict(rule).items() if key != "point"}
    return {"tenant_id": tenant_id, "point_id": None if rule.point is None else _point_id(rule.point), **values}


def _point_id(point: str) -> str:
    return hashlib.sha256(point.encode()).hexdigest()[:32]


def _progress_of(row: RowMapping) -> RuleProgress:
    return RuleProgress(**{name: row[name] for name in RuleProgress.__dataclass_fields__ if name in row})
