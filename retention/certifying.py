"""Says what a purge is about to delete and what it deleted: intent, search, certificate, and the events that name them.

Invariants: an intent is durable, copied and recorded before anything it names goes; a certificate is made only after the search found
nothing of what it says is gone; one that a crash kept from being recorded is recorded by the next apply.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from retention.cleaning import Cleaned, clean
from retention.documents import StoredDocument
from retention.doomed import NOTHING, Doomed, minus
from retention.ground import Ground, Order, Outcome, Purged
from retention.policy import QUARANTINE
from retention.rescan import Rescanned, rescan
from retention.rewriting import Replaced
from retention.roots import log_roots
from warehouse.errors import CorruptionError
from warehouse.ledger.certificates import Deleted, PurgeCertificate, PurgeIntent
from warehouse.maintenance.partition import Partition
from warehouse.own_events import OwnEvent

RECORDED_BY = "muniment:retention"


def intend(ground: Ground, order: Order, doomed: Doomed) -> StoredDocument:
    """Sign, copy and record what is about to go."""
    details = {
        **order.details,
        "tenant": order.tenant_id,
        "days": sorted({file.day for file in doomed.files}),
        "partitions": sorted({f"{file.table}/{file.day}" for file in doomed.files if file.table != QUARANTINE}),
        "quarantine": sorted(file.path for file in doomed.files if file.table == QUARANTINE),
        "rows": doomed.rows,
        "files": [Replaced.planned(file).to_json() for file in doomed.files],
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
    record_intent(ground, stored)
    ground.step("intended")
    return stored


def record_intent(ground: Ground, intent: StoredDocument) -> None:
    """Make it an event that this is about to go; safe to repeat."""
    document = intent_of(intent)
    ground.record(_event(document, "retention.intended", {"muniment.intent": intent.sha256}))


def _newest_day(document: PurgeIntent | PurgeCertificate) -> str | None:
    """The newest day (UTC) of which runs, events or logs are deleted; None where it is their contents alone."""
    tables = {run.table for run in document.deleted.runs}
    named = [each.partition("/") for each in document.details["partitions"]]
    return max((day for table, _, day in named if table in tables), default=None)


def _event(document: PurgeIntent | PurgeCertificate, name: str, attributes: Mapping[str, Any]) -> OwnEvent:
    said = {
        "muniment.purge.plan": document.plan_sha256,
        "muniment.purge.policy": document.policy_sha256,
        "muniment.purge.ordered_by": document.ordered_by,
        "muniment.purge.approved_by": document.approved_by,
        "muniment.purge.rows": document.details.get("rows"),
        "muniment.purge.newest_day": _newest_day(document),
        **attributes,
    }
    return OwnEvent(
        document.details["tenant"],
        name,
        RECORDED_BY,
        fields={"action": "purge", "resource_type": "purge", "resource_id": document.purge_id},
        attributes={key: value for key, value in said.items() if value is not None},
    )


def certify(ground: Ground, intent: StoredDocument, outcome: Outcome) -> Purged:
    """Take what is dead from the disk, search for it, and certify. The partitions' locks are free by now.

    Raises:
        CorruptionError: some of it was found again.
        UnavailableError: the disk or the log refused.
    """
    document = intent_of(intent)
    tenant_id = document.details["tenant"]
    cleaned = clean(ground.lake, ground.stores, intent_partitions(document))
    ground.step("cleaned")
    deleted = minus(document.deleted, outcome.kept) if outcome.kept != NOTHING else document.deleted
    if outcome.points is not None:
        # of the others nobody can tell any more whether they went, or were compacted into another file before
        known = tuple(each for each in deleted.metrics if each.file in outcome.points)
        deleted = Deleted(deleted.runs, deleted.contents, known)
    found = rescan(ground.lake, tenant_id, deleted, outcome.gone)
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
        details=_certificate_details(ground, document, deleted, outcome, cleaned, found),
    )
    stored = ground.documents.write(certificate, now)
    ground.step("certificate written")
    record_certificate(ground, stored)
    ground.step("certified")
    return _purged(stored, found, resumed=outcome.resumed)


def record_certificate(ground: Ground, stored: StoredDocument) -> None:
    """Copy a certificate and make it an event that this is gone; safe to repeat."""
    certificate = stored.document
    ground.mirror([stored.file])
    ground.record(_event(certificate, "retention.purged", {"muniment.certificate": stored.sha256}))
    ground.step("certificate recorded")
    ground.documents.note_recorded(stored)


def record_late(ground: Ground, stored: StoredDocument) -> Purged:
    """Record a certificate that a crash kept from being recorded."""
    record_certificate(ground, stored)
    return _purged(stored, Rescanned.from_json(stored.document.details["rescan"]), resumed=True)


def _purged(stored: StoredDocument, found: Rescanned, *, resumed: bool) -> Purged:
    certificate = stored.document
    if not isinstance(certificate, PurgeCertificate):
        raise TypeError(f"expected a certificate, got {type(certificate).__name__}")
    details = certificate.details
    return Purged(
        details["tenant"],
        certificate.purge_id,
        stored,
        details["rows"],
        details["bytes_before"] - details["bytes_after"],
        certificate.kept,
        tuple(details["kept_by_holds"].get("holds", ())),
        found,
        resumed,
    )


def _certificate_details(
    ground: Ground, document: PurgeIntent, deleted: Deleted, outcome: Outcome, cleaned: Cleaned, found: Rescanned
) -> dict[str, Any]:
    kept = {"holds": list(outcome.holds), "rows": _named_rows(outcome.kept)} if outcome.holds else {}
    return {
        **document.details,
        "rows": _named_rows(deleted),
        "kept_by_holds": kept,
        "files": [each.to_json() for each in (*outcome.earlier, *outcome.replaced)],
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


def intent_of(stored: StoredDocument) -> PurgeIntent:
    """The intent that a stored document is."""
    if not isinstance(stored.document, PurgeIntent):
        raise TypeError(f"expected an intent, got {type(stored.document).__name__}")
    return stored.document
