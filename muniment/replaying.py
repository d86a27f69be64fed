"""Wires the quarantine's replay: the refused records once more through the pipeline, under the limits of an import."""

from dataclasses import replace
from typing import Any

from collectors.exports import Export, Outcome, Sender, Signal
from collectors.otlp_json import parse
from governance.access import Action
from muniment.handing_out import hidden_of
from muniment.importing import import_pipeline, one_at_a_time
from muniment.wiring import CommandContext
from warehouse.commit import open_stores
from warehouse.errors import MunimentError
from warehouse.quarantine import QuarantineEntry, find_entry, mark_replayed, read_quarantine
from warehouse.tables import TABLES

_DIGEST_BYTES = 16


def quarantined(context: CommandContext, tenant: str | None) -> list[QuarantineEntry]:
    """Entries that the principal may read, of one tenant or of all.

    Raises:
        NotFoundError: there is no such tenant.
        DeniedError: the principal may not read its quarantine.
    """
    return list(read_quarantine(context.lake, _readable_tenants(context, tenant)))


def quarantined_entry(context: CommandContext, entry_id: str) -> tuple[QuarantineEntry, list[str]]:
    """Return one entry, and what of tables policy hides from the principal: then the refused record's text is left out of the entry.

    Reading it, and the decision about its contents, are recorded in its tenant's log.

    Raises:
        NotFoundError: there is none with this id.
    """
    entry = find_entry(context.lake, _readable_tenants(context, None), entry_id)
    hidden: list[str] = []
    if entry.record is not None:
        # a record that was refused may hold anything that a table does, prompts too, and nothing tells its parts apart
        hidden = hidden_of(context, entry.tenant_id, TABLES)
        if not context.allowed(Action.CONTENTS_READ, [entry.tenant_id]):
            hidden = hidden or ["contents"]
        if hidden:
            entry = replace(entry, record=None)
    context.record("record.viewed", entry.tenant_id, resource_type="quarantine", resource_id=entry.id, action="read")
    return entry, hidden


def replay_entries(
    context: CommandContext, *, ids: list[str], tenant: str | None, reason: str | None
) -> dict[str, Any]:
    """Send entries again, one replay at a time; returns counts and the messages of what was refused again.

    Each entry goes in with a Delta transaction of its own, so a replay that was killed never stores it twice.
    """
    with one_at_a_time(context, "replay"):
        return _replay(context, _choose(context, ids, tenant, reason))


def _choose(context: CommandContext, ids: list[str], tenant: str | None, reason: str | None) -> list[QuarantineEntry]:
    tenants = _readable_tenants(context, tenant)
    chosen = {entry_id: find_entry(context.lake, tenants, entry_id) for entry_id in ids}
    if reason is not None:
        chosen |= {entry.id: entry for entry in read_quarantine(context.lake, tenants) if entry.reason == reason}
    for tenant_id in sorted({entry.tenant_id for entry in chosen.values()}):
        context.check(Action.QUARANTINE_REPLAY, tenant_id)
    return [entry for entry in chosen.values() if not entry.replayed]


def _replay(context: CommandContext, chosen: list[QuarantineEntry]) -> dict[str, Any]:
    with_text = [entry for entry in chosen if entry.record is not None]
    accepted, messages = [], []
    with import_pipeline(context, record_refusals=False) as (pipeline, writer):
        committed = open_stores(context.lake)["spans"].committed
        for entry in with_text:
            transaction = (f"replay/{entry.id}", 0)
            if committed(f"{transaction[0]}/spans") >= 0:
                accepted.append(entry)  # by a replay that ended before it could say so
                continue
            try:
                export = _export(context, entry, pipeline.limits)
                decoded, durable = pipeline.process([export], transactions=(transaction,), keep_empty=False)
            except MunimentError as exc:
                messages.append(f"{entry.id}: {exc}")
                continue
            durable.result()
            outcome = decoded.outcomes[0]
            if isinstance(outcome, Outcome) and outcome.accepted:
                accepted.append(entry)
            else:
                messages.append(f"{entry.id}: {getattr(outcome, 'message', outcome)}")
        writer.flush()
    for entry in accepted:
        mark_replayed(context.lake, entry)
    return {
        "accepted": len(accepted),
        "refused": len(messages),
        "without_text": len(chosen) - len(with_text),
        "messages": messages,
    }


def _export(context: CommandContext, entry: QuarantineEntry, limits: Any) -> Export:
    signal = Signal(entry.signal)
    parsed = parse(signal, (entry.record or "").encode(), limits)
    return Export(
        signal=signal,
        body=parsed.protobuf,
        sender=Sender(entry.tenant_id, "-", entry.recorded_by, entry.peer),
        received_unix_nano=context.clock(),
        digest=bytes.fromhex(entry.id).rjust(_DIGEST_BYTES, b"\0"),
        refused=parsed.refused,
    )


def _readable_tenants(context: CommandContext, tenant: str | None) -> list[str]:
    tenants = [tenant] if tenant else [known.id for known in context.control.list_tenants()]
    for tenant_id in tenants:
        context.check(Action.QUARANTINE_READ, tenant_id)
    if tenant:
        context.control.tenant(tenant)
    return tenants
