"""Deletes what was chosen, so that a crash at any point is finished by the next purge, and proves it.

The order: maintenance locks, choice of rows, rewrites prepared; the intent signed, copied to the backups and recorded; then, under the
one lock that placing a hold takes too, holds read again and every table committed; then dead files, log entries and leftovers taken
from the disk; every live file searched again; the certificate signed, copied and recorded.

Invariants:
- Nothing is deleted without a recorded intent that names it exactly.
- A hold that was placed before the commits keeps what it covers: the purge is refused. An intent that was begun is finished without
  what a hold placed since then covers, and the certificate lists that as kept.
- A certificate says what is gone only after the search found none of it.
- Repeating is safe: an intent has one certificate at most.
"""

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retention.cleaning import Cleaned, clean
from retention.documents import Documents, StoredDocument
from retention.doomed import NOTHING, Doomed, minus
from retention.holding import HoldsInForce
from retention.holds import holds_of
from retention.policy import QUARANTINE
from retention.rescan import Rescanned, rescan
from retention.rewriting import (
    Replaced,
    TableRewrite,
    delete_files,
    holding_partitions,
    prepare,
    quarantine_replaced,
)
from retention.roots import log_roots
from retention.selection import held_of, select_intended
from warehouse.clock import Clock
from warehouse.control import ControlStore, Deletion
from warehouse.delta import DeltaStore
from warehouse.errors import ConflictError, CorruptionError, UnavailableError
from warehouse.lake import Lake
from warehouse.ledger.certificates import Deleted, PurgeCertificate, PurgeIntent
from warehouse.maintenance.partition import Partition
from warehouse.own_events import OwnEvent
from warehouse.tables import TABLES

RECORDED_BY = "muniment:retention"
_ATTEMPTS = 5
_LOCK_SECONDS = 60.0
_POLL_SECONDS = 0.2

Choose = Callable[[], Doomed]
"""Chooses the rows that go, of the files that are live now; it is asked again where the files changed meanwhile."""


@dataclass(frozen=True)
class Ground:
    """What purges of one lake stand on.

    Attributes:
        record: makes an event of Muniment's own durable, or raises `UnavailableError`.
        mirror: copies intents and certificates to every backup target, durably, or raises `UnavailableError`.
        step: hears of each step once it is durable.
    """

    lake: Lake
    lake_name: str
    control: ControlStore
    stores: Mapping[str, DeltaStore]
    clock: Clock
    record: Callable[[OwnEvent], None]
    mirror: Callable[[Sequence[Path]], None]
    step: Callable[[str], None] = field(default=lambda _name: None)
    random_name: Callable[[], str] = field(default=lambda: secrets.token_hex(16))

    @property
    def documents(self) -> Documents:
        """The lake's intents and certificates."""
        return Documents(self.lake, self.lake_name)

    def holds(self) -> HoldsInForce:
        """The holds in force now."""
        return HoldsInForce(holds_of(self.control.list_holds()))


@dataclass(frozen=True)
class Order:
    """What somebody ordered: whose records go, by which plan and policy, and who answers for it.

    `details` go into intent and certificate as they are.
    """

    tenant_id: str
    plan_sha256: str
    policy_sha256: str
    ordered_by: str
    approved_by: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Purged:
    """One purge that ended: its certificate, and what it took and kept. Sizes in bytes."""

    tenant_id: str
    purge_id: str
    certificate: StoredDocument
    rows: Mapping[str, int]
    size_bytes: int
    kept: Deleted
    holds: tuple[str, ...]
    rescanned: Rescanned
    resumed: bool = False


def purge(
    ground: Ground, order: Order, partitions: Collection[Partition], choose: Choose, holds_hash: str
) -> Purged | None:
    """Delete what `choose` chooses from these partitions; None where it chooses nothing. `holds_hash` names the holds that it knew.

    Raises:
        ConflictError: a hold placed meanwhile keeps some of it, or the files changed again and again: nothing was deleted.
        UnavailableError: the disk or the control database refused; the next purge of the tenant goes on from there.
        CorruptionError: rows that were deleted were found again.
    """
    with _holding(ground.lake, partitions):
        doomed = choose()
        if doomed.is_empty:
            return None
        rewrites = _prepare(ground, doomed)
        intent: StoredDocument | None = None
        try:
            quarantined = quarantine_replaced(ground.lake, doomed.by_table.get(QUARANTINE, []))
            intent = _intend(ground, order, doomed)
            _delete(ground, intent, rewrites, doomed, holds_hash)
        except BaseException as exc:
            for rewrite in rewrites:
                rewrite.discard()
            if intent is None or isinstance(exc, HeldMeanwhileError) or not isinstance(exc, ConflictError):
                raise
            quarantined = None
    if quarantined is None:
        return _resume(ground, intent)
    return _finish(ground, intent, Outcome(_all_replaced(rewrites, quarantined)))


def finish_open(ground: Ground, tenant_id: str) -> list[Purged]:
    """Finish the purges of a tenant that were begun and have no certificate, except what a hold placed since then covers.

    Raises:
        ConflictError: the files changed again and again; apply again.
        UnavailableError: as for `purge`.
        CorruptionError: as for `purge`.
    """
    return [_resume(ground, intent) for intent in ground.documents.open_intents(tenant_id)]


@dataclass(frozen=True)
class Outcome:
    """How a purge ended, beside what its intent says already."""

    replaced: tuple[Replaced, ...] = ()
    kept: Deleted = NOTHING
    holds: tuple[str, ...] = ()
    resumed: bool = False


def _resume(ground: Ground, intent: StoredDocument) -> Purged:
    document = _intent_of(intent)
    _record_intent(ground, intent)  # it may have died before it was recorded
    for _ in range(_ATTEMPTS):
        try:
            with _holding(ground.lake, intent_partitions(document)):
                outcome = _resume_once(ground, intent)
        except ConflictError:
            continue
        return _finish(ground, intent, outcome)
    raise ConflictError(
        f"purge {document.purge_id}: files changed {_ATTEMPTS} times while it was finished", hint="apply again"
    )


def _resume_once(ground: Ground, intent: StoredDocument) -> Outcome:
    document = _intent_of(intent)
    details = document.details
    holds = ground.holds()
    found = select_intended(
        ground.lake, document.deleted, holds, details["tenant"], details["days"], quarantine=details["quarantine"]
    )
    rewrites = _prepare(ground, found.doomed)
    try:
        quarantined = quarantine_replaced(ground.lake, found.doomed.by_table.get(QUARANTINE, []))
        _delete(ground, intent, rewrites, found.doomed, holds.content_hash)
    except BaseException:
        for rewrite in rewrites:
            rewrite.discard()
        raise
    return Outcome(_all_replaced(rewrites, quarantined), found.kept, found.holds, resumed=True)


def _delete(
    ground: Ground, intent: StoredDocument, rewrites: Sequence[TableRewrite], doomed: Doomed, holds_hash: str
) -> None:
    """Commit every table under the lock that placing a hold takes too, then take the replaced files from the disk."""
    document = _intent_of(intent)
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


def _prepare(ground: Ground, doomed: Doomed) -> list[TableRewrite]:
    rewrites: list[TableRewrite] = []
    try:
        for table in TABLES:
            if files := doomed.by_table.get(table):
                store = ground.stores[table]
                rewrites.append(prepare(store, store.fresh(), files, ground.random_name))
    except BaseException:
        for rewrite in rewrites:
            rewrite.discard()
        raise
    ground.step("prepared")
    return rewrites


def _intend(ground: Ground, order: Order, doomed: Doomed) -> StoredDocument:
    """Sign, copy and record what is about to go."""
    details = {
        **order.details,
        "tenant": order.tenant_id,
        "days": sorted({file.day for file in doomed.files}),
        "partitions": sorted({f"{file.table}/{file.day}" for file in doomed.files if file.table != QUARANTINE}),
        "quarantine": sorted(file.path for file in doomed.files if file.table == QUARANTINE),
        "rows": doomed.rows,
        "roots_before": log_roots(ground.lake, order.tenant_id),
    }
    now = ground.clock()
    intent = PurgeIntent(
        lake=ground.lake_name,
        purge_id=f"p{secrets.token_hex(8)}",
        time_unix_nano=str(now),
        plan_sha256=order.plan_sha256,
        policy_sha256=order.policy_sha256,
        ordered_by=order.ordered_by,
        approved_by=order.approved_by,
        deleted=doomed.deleted,
        details=details,
    )
    stored = ground.documents.write(intent, now)
    ground.step("intent written")
    ground.mirror([stored.file])
    ground.step("intent copied")
    _record_intent(ground, stored)
    ground.step("intended")
    return stored


def _record_intent(ground: Ground, intent: StoredDocument) -> None:
    document = _intent_of(intent)
    ground.record(_event(document, "retention.intended", {"muniment.intent": intent.sha256}))


def _event(document: PurgeIntent | PurgeCertificate, name: str, attributes: Mapping[str, Any]) -> OwnEvent:
    said = {
        "muniment.purge.plan": document.plan_sha256,
        "muniment.purge.policy": document.policy_sha256,
        "muniment.purge.ordered_by": document.ordered_by,
        "muniment.purge.approved_by": document.approved_by,
        "muniment.purge.rows": document.details.get("rows"),
        **attributes,
    }
    return OwnEvent(
        document.details["tenant"],
        name,
        RECORDED_BY,
        fields={"action": "purge", "resource_type": "purge", "resource_id": document.purge_id},
        attributes={key: value for key, value in said.items() if value is not None},
    )


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


def _finish(ground: Ground, intent: StoredDocument, outcome: Outcome) -> Purged:
    """Take what is dead from the disk, search for it, and certify. The partitions' locks are free by now."""
    document = _intent_of(intent)
    tenant_id = document.details["tenant"]
    cleaned = clean(ground.lake, ground.stores, intent_partitions(document))
    ground.step("cleaned")
    deleted = minus(document.deleted, outcome.kept) if outcome.kept != NOTHING else document.deleted
    if outcome.resumed:
        deleted = _established(deleted, outcome)
    names = [each.before for each in outcome.replaced]
    found = rescan(ground.lake, tenant_id, deleted, names)
    if not found.is_clean:
        raise CorruptionError(
            f"purge {document.purge_id}: expected none of what was deleted, got {found.problems()}",
            hint="somebody put files back while it ran; apply again",
        )
    ground.step("searched")
    now = ground.clock()
    certificate = PurgeCertificate(
        lake=ground.lake_name,
        purge_id=document.purge_id,
        time_unix_nano=str(now),
        intent_sha256=intent.sha256,
        plan_sha256=document.plan_sha256,
        policy_sha256=document.policy_sha256,
        ordered_by=document.ordered_by,
        approved_by=document.approved_by,
        deleted=deleted,
        kept=outcome.kept,
        details=_certificate_details(ground, document, outcome, cleaned, found),
    )
    stored = ground.documents.write(certificate, now)
    ground.step("certificate written")
    ground.mirror([stored.file])
    ground.record(_event(certificate, "retention.purged", {"muniment.certificate": stored.sha256}))
    ground.step("certified")
    return Purged(
        tenant_id,
        document.purge_id,
        stored,
        certificate.details["rows"],
        sum(each.before_bytes - each.after_bytes for each in outcome.replaced),
        outcome.kept,
        outcome.holds,
        found,
        outcome.resumed,
    )


def _established(deleted: Deleted, outcome: Outcome) -> Deleted:
    """Without metrics of which nobody can tell after a crash whether they went, or were compacted into another file."""
    gone = {each.before for each in outcome.replaced if each.table == "metrics"}
    return Deleted(deleted.runs, deleted.contents, tuple(each for each in deleted.metrics if each.file in gone))


def _certificate_details(
    ground: Ground, document: PurgeIntent, outcome: Outcome, cleaned: Cleaned, found: Rescanned
) -> dict[str, Any]:
    kept = {"holds": list(outcome.holds), "rows": _named_rows(outcome.kept)} if outcome.holds else {}
    rows = dict(document.details["rows"])
    for table, count in _named_rows(outcome.kept).items():
        rows[table] = rows.get(table, 0) - count
    return {
        **document.details,
        "rows": {table: count for table, count in rows.items() if count},
        "kept_by_holds": kept,
        "files": [each.to_json() for each in outcome.replaced],
        "bytes_before": sum(each.before_bytes for each in outcome.replaced),
        "bytes_after": sum(each.after_bytes for each in outcome.replaced),
        "dead_files_deleted": dict(cleaned.files),
        "roots_after": log_roots(ground.lake, document.details["tenant"]),
        "rescan": found.to_json(),
        "resumed": outcome.resumed,
    }


def _named_rows(deleted: Deleted) -> dict[str, int]:
    found: dict[str, int] = {}
    for run in deleted.runs:
        found[run.table] = found.get(run.table, 0) + run.last - run.first + 1
    if deleted.contents:
        found["contents"] = sum(len(each.parts) for each in deleted.contents)
    if deleted.metrics:
        found["metrics"] = sum(each.count for each in deleted.metrics)
    return found


def intent_partitions(document: PurgeIntent | PurgeCertificate) -> list[Partition]:
    """The partitions of which a document's rows were."""
    tenant_id = document.details["tenant"]
    return [Partition(*_table_and_day(each, tenant_id)) for each in document.details["partitions"]]


def _table_and_day(text: str, tenant_id: str) -> tuple[str, str, str]:
    table, _, day = text.partition("/")
    return table, tenant_id, day


def _intent_of(stored: StoredDocument) -> PurgeIntent:
    if not isinstance(stored.document, PurgeIntent):
        raise TypeError(f"expected an intent, got {type(stored.document).__name__}")
    return stored.document


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
