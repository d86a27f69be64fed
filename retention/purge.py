"""Deletes what was chosen, so that a crash at any point is finished by the next purge, and proves it.

The order: maintenance locks, choice of rows, rewrites prepared; the intent signed, copied to the backups and recorded; then, under the
one lock that placing a hold takes too, holds read again and every table committed; then dead files, log entries and leftovers taken
from the disk; every live file searched again; the certificate signed, copied and recorded.

Invariants:
- Nothing is deleted without a recorded intent that names it exactly.
- A hold that was placed before the commits keeps what it covers: the purge is refused. An intent that was begun is finished without
  what a hold placed since then covers, and the certificate lists that as kept.
- A certificate says what is gone only after the search found none of it.
- Repeating is safe, and so are two at once: a tenant has one purge at a time, and an intent one certificate at most.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from retention.certifying import (
    RECORDED_BY,
    certify,
    intend,
    intent_of,
    intent_partitions,
    record_intent,
    record_late,
)
from retention.documents import Begun, StoredDocument
from retention.doomed import Doomed
from retention.ground import Ground, Order, Outcome, Purged
from retention.holding import HoldsInForce
from retention.holds import holds_of
from retention.policy import QUARANTINE
from retention.rewriting import (
    Replaced,
    TableRewrite,
    delete_files,
    holding_partitions,
    prepare,
    quarantine_replaced,
)
from retention.selection import Intended, held_of, select_intended
from warehouse.control import Deletion
from warehouse.durable import make_folder
from warehouse.errors import ConflictError, UnavailableError
from warehouse.lake import Lake
from warehouse.ledger.certificates import PurgeIntent
from warehouse.locks import locked
from warehouse.maintenance.log import removed_paths
from warehouse.maintenance.partition import Partition
from warehouse.maintenance.plan import live_paths
from warehouse.tables import TABLES

__all__ = ["RECORDED_BY", "Choose", "Ground", "HeldMeanwhileError", "Order", "Purged", "finish_open", "purge"]

_ATTEMPTS = 5
_LOCK_SECONDS = 60.0
_POLL_SECONDS = 0.2

Choose = Callable[[], Doomed]
"""Chooses the rows that go, of the files that are live now; it is asked again where the files changed meanwhile."""


def purge(
    ground: Ground, order: Order, partitions: Collection[Partition], choose: Choose, holds_hash: str
) -> Purged | None:
    """Delete what `choose` chooses from these partitions; None where it chooses nothing. `holds_hash` names the holds that it knew.

    Raises:
        ConflictError: a hold placed meanwhile keeps some of it, or the files changed again and again: nothing was deleted.
        UnavailableError: the disk or the control database refused; the next purge of the tenant goes on from there.
        CorruptionError: rows that were deleted were found again.
    """
    with _alone(ground.lake, order.tenant_id):
        return _purge(ground, order, partitions, choose, holds_hash)


def _purge(
    ground: Ground, order: Order, partitions: Collection[Partition], choose: Choose, holds_hash: str
) -> Purged | None:
    intent: StoredDocument | None = None
    try:
        with _holding(ground.lake, partitions):
            doomed = choose()
            if doomed.is_empty:
                return None
            with _prepared(ground, doomed) as rewrites:
                quarantined = quarantine_replaced(ground.lake, doomed.by_table.get(QUARANTINE, []))
                intent = intend(ground, order, doomed)
                _delete(ground, intent, rewrites, doomed, holds_hash)
    except HeldMeanwhileError:
        raise
    except ConflictError:
        if intent is None:
            raise
        return _resume(ground, intent)
    replaced = _all_replaced(rewrites, quarantined)
    return certify(ground, intent, Outcome(replaced, gone=tuple(each.before for each in replaced)))


def finish_open(ground: Ground, tenant_id: str) -> list[Purged]:
    """Finish the purges of a tenant that were begun and have no certificate, except what a hold placed since then covers.

    Raises:
        ConflictError: the files changed again and again; apply again.
        UnavailableError: as for `purge`.
        CorruptionError: as for `purge`.
    """
    with _alone(ground.lake, tenant_id):
        begun = ground.documents.begun(tenant_id).get(tenant_id, Begun())
        late = [record_late(ground, certificate) for certificate in begun.unrecorded]
        return late + [_resume(ground, intent) for intent in begun.unfinished]


def _resume(ground: Ground, intent: StoredDocument) -> Purged:
    document = intent_of(intent)
    record_intent(ground, intent)  # it may have died before it was recorded
    for _ in range(_ATTEMPTS):
        try:
            with _holding(ground.lake, intent_partitions(document)):
                outcome = _resume_once(ground, intent)
        except ConflictError:
            continue
        return certify(ground, intent, outcome)
    raise ConflictError(
        f"purge {document.purge_id}: files changed {_ATTEMPTS} times while it was finished", hint="apply again"
    )


def _resume_once(ground: Ground, intent: StoredDocument) -> Outcome:
    document = intent_of(intent)
    details = document.details
    holds = ground.holds()
    found = select_intended(
        ground.lake, document.deleted, holds, details["tenant"], details["days"], quarantine=details["quarantine"]
    )
    with _prepared(ground, found.doomed) as rewrites:
        quarantined = quarantine_replaced(ground.lake, found.doomed.by_table.get(QUARANTINE, []))
        _delete(ground, intent, rewrites, found.doomed, holds.content_hash)
    replaced = _all_replaced(rewrites, quarantined)
    return _outcome_of_both(ground, document, replaced, found)


def _outcome_of_both(ground: Ground, document: PurgeIntent, replaced: tuple[Replaced, ...], found: Intended) -> Outcome:
    """What became of an intent's files before and after the crash. The caller holds the partitions' locks."""
    now = {each.before for each in replaced}
    planned = [Replaced(**each) for each in document.details["files"]]
    earlier: list[Replaced] = []
    gone, points = set(now), set(now)
    for table in sorted({each.table for each in planned}):
        mine = [each for each in planned if each.table == table and each.before not in now]
        if table == QUARANTINE:
            earlier += mine
            gone |= {each.before for each in mine}
            continue
        store = ground.stores[table]
        removed, deleted = removed_paths(store.log), removed_paths(store.log, with_data=True)
        live = live_paths(store.fresh())
        mine = [each for each in mine if each.before not in live]
        gone |= {each.before for each in mine}
        # the rest was compacted into a file that was replaced now
        earlier += [each for each in mine if each.before in deleted or each.before not in removed]
        points |= {each.before for each in mine if each.before in deleted}
    return Outcome(
        replaced, tuple(earlier), tuple(sorted(gone)), frozenset(points), found.kept, found.holds, resumed=True
    )


def _delete(
    ground: Ground, intent: StoredDocument, rewrites: Sequence[TableRewrite], doomed: Doomed, holds_hash: str
) -> None:
    """Commit every table under the lock that placing a hold takes too, then take the replaced files from the disk."""
    document = intent_of(intent)
    with ground.control.deleting(f"purge {document.purge_id}", [doomed.tenant_id]) as deletion:
        _expect_free(ground, doomed, deletion, holds_hash)
        for rewrite in rewrites:
            deletion.expect_alive()
            rewrite.commit(ground.clock)
            ground.step(f"{rewrite.store.table.name} committed")
        deletion.expect_alive()
        delete_files(ground.lake.quarantine, [file.path for file in doomed.by_table.get(QUARANTINE, [])])
    ground.step("committed")
    for rewrite in rewrites:
        rewrite.delete_replaced()


def _all_replaced(rewrites: Sequence[TableRewrite], quarantined: Sequence[Replaced]) -> tuple[Replaced, ...]:
    return (*(each for rewrite in rewrites for each in rewrite.replaced), *quarantined)


@contextmanager
def _prepared(ground: Ground, doomed: Doomed) -> Iterator[list[TableRewrite]]:
    """The rewrites of every table, prepared; whatever fails takes away again what of them did not become live."""
    rewrites: list[TableRewrite] = []
    try:
        for table in TABLES:
            if files := doomed.by_table.get(table):
                store = ground.stores[table]
                rewrites.append(prepare(store, store.fresh(), files, ground.random_name))
        ground.step("prepared")
        yield rewrites
    except BaseException:
        for rewrite in rewrites:
            rewrite.discard()
        raise


def _expect_free(ground: Ground, doomed: Doomed, deletion: Deletion, holds_hash: str) -> None:
    """See that no hold which the choice did not know keeps any of these rows.

    Raises:
        ConflictError: one does.
    """
    holds = HoldsInForce(holds_of(deletion.holds))
    if holds.content_hash == holds_hash:
        return
    if held := held_of(ground.lake, doomed, holds):
        said = ", ".join(f"{hold} ({count} rows)" for hold, count in sorted(held.items()))
        raise HeldMeanwhileError(
            f"holds placed meanwhile keep some of it: {said}; nothing was deleted",
            hint="apply again: what no hold keeps goes then, and the certificate lists the rest as kept",
        )


class HeldMeanwhileError(ConflictError):
    """A hold that was placed while a purge ran keeps some of what was to go."""


@contextmanager
def _alone(lake: Lake, tenant_id: str) -> Iterator[None]:
    """Be the only purge of a tenant.

    Raises:
        UnavailableError: another one did not end in time.
    """
    make_folder(lake.run)
    with locked(lake.run / f"purge-{tenant_id}.lock", holder=f"pid {os.getpid()}", timeout_seconds=_LOCK_SECONDS):
        yield


@contextmanager
def _holding(lake: Lake, partitions: Collection[Partition]) -> Iterator[None]:
    """Hold the maintenance locks of all of these partitions; waits a while for a compaction to end.

    Raises:
        UnavailableError: one was not free in time; nothing was deleted.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        with holding_partitions(lake, partitions) as busy:
            if not busy:
                yield
                return
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"{busy[0]} is being rewritten, and was not free within {_LOCK_SECONDS:g} s: nothing was deleted",
                hint="apply again once maintenance has ended",
            )
        time.sleep(_POLL_SECONDS)
