"""Legal holds, and the lock under which anything is deleted.

Invariants:
- One lock in the control database serves placing a hold, releasing one, and deleting. A deletion reads the holds under it and
  commits under it: a hold that was placed before is seen, and one that is placed meanwhile waits and learns that it came too late.
- The lock is the transaction's. A process that dies lets go of it, and what it had not committed here is gone.
- A hold is never changed but by its release, and never deleted. Holds know nothing of each other. Of a released one the token of a
  person who was erased gives way to a reference.
"""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from warehouse.control.database import Database
from warehouse.control.part import Part, announce_nothing, check_text
from warehouse.control.records import DeletionRecord, HoldRecord, PlacedHold
from warehouse.control.requests import check_another
from warehouse.control.schema import DELETIONS, HOLDS
from warehouse.control.tenants import expect_tenant
from warehouse.errors import ConflictError, NotFoundError

LOCK = "holds"
HOLD_WAIT_SECONDS = 120.0
"""How long placing or releasing a hold waits for a running deletion before it is refused."""
_ID_BYTES = 6
_REASON_LENGTH = 1000


@dataclass(frozen=True)
class Deletion:
    """The right to delete, for as long as the block runs that it was given to."""

    holds: tuple[HoldRecord, ...]
    """Every hold in force. None is placed or released before the block ends."""
    began_unix_nano: int
    _database: Database = field(repr=False)
    _connection: Connection = field(repr=False)

    def expect_alive(self) -> None:
        """See that the lock is still held; call it before each commit that deletes.

        Raises:
            ControlUnavailableError: it was lost with the connection or the database's file: holds may have been placed since.
        """
        self._database.expect_alive(self._connection)


class Holds(Part):
    """The holds' part of the control store. What a scope says is not its concern."""

    def place_hold(
        self,
        tenant_id: str,
        scope: str,
        *,
        reason: str,
        owner: str,
        by: str,
        case_reference: str | None = None,
        wait_seconds: float = HOLD_WAIT_SECONDS,
        announce: Callable[[HoldRecord], None] = announce_nothing,
    ) -> PlacedHold:
        """Place a hold, in force once this returns; `by` is the principal, as `recorded_by` columns have it.

        Waits for a deletion that runs, and names in its answer those that ended in this tenant since it was called.

        Raises:
            NotFoundError: there is no such tenant.
            InputError: reason, owner, case or principal are empty, too long or not printable.
            ControlUnavailableError: a deletion did not end in time, or the database does not answer: the hold is not in force.
        """
        hold = HoldRecord(
            id=f"h{self._random_bytes(_ID_BYTES).hex()}",
            tenant_id=tenant_id,
            reason=check_text(reason, "reason", at_most=_REASON_LENGTH),
            owner=check_text(owner, "owner"),
            scope=scope,
            placed_unix_nano=self._clock(),
            placed_by=check_text(by, "principal"),
            case_reference=None if case_reference is None else check_text(case_reference, "case"),
        )
        with self._database.read() as connection:
            expect_tenant(connection, tenant_id)
            seen = _last_deletion(connection)
        announce(hold)
        with self._database.write_locked(LOCK, wait_seconds=wait_seconds) as connection:
            hold = replace(hold, placed_unix_nano=self._clock())
            connection.execute(insert(HOLDS).values(asdict(hold)))
            later = select(DELETIONS).where(DELETIONS.c.number > seen).order_by(DELETIONS.c.number)
            ended = [_deletion_of(row) for row in connection.execute(later).mappings()]
        return PlacedHold(hold, tuple(deletion for deletion in ended if tenant_id in deletion.tenants))

    def ask_release(
        self, hold_id: str, *, by: str, reason: str, announce: Callable[[HoldRecord], None] = announce_nothing
    ) -> HoldRecord:
        """Note that somebody wants a hold released; it stays in force until another one approves.

        Raises:
            NotFoundError: there is no such hold.
            ConflictError: it is released already, or its release was asked for already.
        """
        with self._database.read() as connection:
            hold = _expect_unasked(connection, hold_id)
        asked = replace(
            hold,
            release_asked_unix_nano=self._clock(),
            release_asked_by=check_text(by, "principal"),
            release_reason=check_text(reason, "reason", at_most=_REASON_LENGTH),
        )
        announce(asked)
        with self._database.write_locked(LOCK, wait_seconds=HOLD_WAIT_SECONDS) as connection:
            _expect_unasked(connection, hold_id)
            _store(connection, asked)
        return asked

    def approve_release(
        self,
        hold_id: str,
        *,
        by: str,
        same: Collection[str] = (),
        announce: Callable[[HoldRecord], None] = announce_nothing,
    ) -> HoldRecord:
        """Release a hold whose release another person asked for; `same` are the accounts of the person whose account `by` is.

        Raises:
            NotFoundError: there is no such hold.
            ConflictError: it is released already, or nobody asked for its release.
            DeniedError: `by` is the one who asked, or the same person.
        """
        return self._release(hold_id, lambda hold: _approved(hold, by, same), announce)

    def release_hold(
        self, hold_id: str, *, by: str, reason: str, announce: Callable[[HoldRecord], None] = announce_nothing
    ) -> HoldRecord:
        """Release a hold by one principal alone. Whether one suffices is the caller's to know.

        Raises:
            NotFoundError: there is no such hold.
            ConflictError: it is released already.
        """
        check_text(by, "principal")
        check_text(reason, "reason", at_most=_REASON_LENGTH)
        now = self._clock()

        def alone(hold: HoldRecord) -> HoldRecord:
            return replace(
                hold, release_asked_unix_nano=now, release_asked_by=by, release_reason=reason, released_by=by
            )

        return self._release(hold_id, alone, announce)

    def forget_token(self, tenant_id: str, token: str, reference: str) -> int:
        """Put a reference in place of a token in the scopes of released holds, for good; returns in how many.

        For a person who was erased. A hold in force keeps the token: without it nobody could tell what it holds.
        """
        with self._database.write_locked(LOCK, wait_seconds=HOLD_WAIT_SECONDS) as connection:
            told = [
                hold
                for hold in _read_holds(connection, tenant_id, released=True)
                if not hold.in_force and token in hold.scope
            ]
            for hold in told:
                _store(connection, replace(hold, scope=hold.scope.replace(token, reference)))
        if told:
            self._database.rewrite_file()
        return len(told)

    def hold(self, hold_id: str, *, among: Collection[str] | None = None) -> HoldRecord:
        """One hold, released or not; with `among`, of one of these tenants: another's is as if it were not there.

        Raises:
            NotFoundError: there is none with this id.
        """
        with self._database.read() as connection:
            return _expect_hold(connection, hold_id, among)

    def list_holds(self, tenant_id: str | None = None, *, released: bool = False) -> list[HoldRecord]:
        """The holds in force, with `released` the others too, of a tenant or of all, oldest first."""
        with self._database.read() as connection:
            return _read_holds(connection, tenant_id, released=released)

    def list_deletions(self) -> list[DeletionRecord]:
        """Every deletion that ended well under the lock, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(DELETIONS).order_by(DELETIONS.c.number)).mappings()
            return [_deletion_of(row) for row in rows]

    @contextmanager
    def deleting(
        self, what: str, tenants: Collection[str], *, wait_seconds: float = HOLD_WAIT_SECONDS
    ) -> Iterator[Deletion]:
        """The lock under which records are deleted, with the holds in force: match them first, then commit, and leave.

        `what` names the deletion (such as a plan's hash) for whoever places a hold meanwhile, `tenants` whose records go. On SQLite
        nobody else writes to the control database inside the block, this process included: record events and claim shards before
        or after. Its end is noted as the block ends; where it raises nothing is noted.

        Raises:
            ControlUnavailableError: the lock was not free in time; nothing may be deleted.
        """
        check_text(what, "deletion")
        with self._database.write_locked(LOCK, wait_seconds=wait_seconds) as connection:
            holds = _read_holds(connection, None, released=False)
            deletion = Deletion(tuple(holds), self._clock(), self._database, connection)
            yield deletion
            ended = DeletionRecord(
                number=_last_deletion(connection) + 1,
                what=what,
                tenants=tuple(sorted(tenants)),
                began_unix_nano=deletion.began_unix_nano,
                ended_unix_nano=max(self._clock(), deletion.began_unix_nano),
            )
            connection.execute(insert(DELETIONS).values(asdict(ended) | {"tenants": json.dumps(ended.tenants)}))

    def _release(
        self, hold_id: str, change: Callable[[HoldRecord], HoldRecord], announce: Callable[[HoldRecord], None]
    ) -> HoldRecord:
        with self._database.read() as connection:
            before = _expect_in_force(connection, hold_id)
        announce(replace(change(before), released_unix_nano=self._clock()))
        with self._database.write_locked(LOCK, wait_seconds=HOLD_WAIT_SECONDS) as connection:
            if _expect_in_force(connection, hold_id) != before:
                raise ConflictError(
                    f"hold {hold_id}: changed meanwhile", hint=f"look at `muniment hold show {hold_id}`"
                )
            released = replace(change(before), released_unix_nano=self._clock())
            _store(connection, released)
        return released


def _approved(hold: HoldRecord, by: str, same: Collection[str]) -> HoldRecord:
    check_text(by, "principal")
    if hold.release_asked_by is None:
        raise ConflictError(
            f"hold {hold.id}: expected a release that was asked for, got none to approve",
            hint=f"`muniment hold release {hold.id} --reason TEXT` asks for it",
        )
    check_another(f"release of hold {hold.id}", hold.release_asked_by, by, same)
    return replace(hold, released_by=by)


def _expect_hold(connection: Connection, hold_id: str, among: Collection[str] | None = None) -> HoldRecord:
    row = connection.execute(select(HOLDS).where(HOLDS.c.id == hold_id)).mappings().first()
    if row is None or (among is not None and row["tenant_id"] not in among):
        raise NotFoundError(
            f"hold: expected the id of one, got {hold_id!r}", hint="`muniment hold list --all` shows every one"
        )
    return HoldRecord(**row)


def _expect_in_force(connection: Connection, hold_id: str) -> HoldRecord:
    hold = _expect_hold(connection, hold_id)
    if not hold.in_force:
        raise ConflictError(f"hold {hold_id} is released already, by {hold.released_by}")
    return hold


def _expect_unasked(connection: Connection, hold_id: str) -> HoldRecord:
    hold = _expect_in_force(connection, hold_id)
    if hold.release_pending:
        raise ConflictError(
            f"hold {hold_id}: {hold.release_asked_by} asked for its release already, and it waits for a second principal",
            hint=f"another operator approves it: muniment hold release {hold_id} --approve",
        )
    return hold


def _read_holds(connection: Connection, tenant_id: str | None, *, released: bool) -> list[HoldRecord]:
    wanted = select(HOLDS).order_by(HOLDS.c.placed_unix_nano, HOLDS.c.id)
    if tenant_id is not None:
        wanted = wanted.where(HOLDS.c.tenant_id == tenant_id)
    if not released:
        wanted = wanted.where(HOLDS.c.released_unix_nano.is_(None))
    return [HoldRecord(**row) for row in connection.execute(wanted).mappings()]


def _store(connection: Connection, hold: HoldRecord) -> None:
    connection.execute(update(HOLDS).where(HOLDS.c.id == hold.id).values(asdict(hold)))


def _last_deletion(connection: Connection) -> int:
    # By number, not by time: the clocks of two hosts may differ by more than a deletion takes.
    last: int = connection.execute(select(func.coalesce(func.max(DELETIONS.c.number), 0))).scalar_one()
    return last


def _deletion_of(row: RowMapping) -> DeletionRecord:
    return DeletionRecord(**{**row, "tenants": tuple(json.loads(row["tenants"]))})
