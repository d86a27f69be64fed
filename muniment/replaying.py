"""Wires the quarantine's replay: the refused records once more through the pipeline, under the limits of an import."""

from typing import Any

from collectors.exports import Export, Outcome, Sender, Signal
from collectors.otlp_json import parse
from governance.access import Action
from muniment.importing import import_pipeline
from muniment.wiring import CommandContext
from warehouse.errors import MunimentError
from warehouse.quarantine import QuarantineEntry, find_entry, mark_replayed, read_quarantine

_DIGEST_BYTES = 16


def quarantined(context: CommandContext, tenant: str | None) -> list[QuarantineEntry]:
    """Entries that the principal may read, of one tenant or of all.

    Raises:
        NotFoundError: there is no such tenant.
        DeniedError: the principal may not read its quarantine.
    """
    return list(read_quarantine(context.lake, _readable_tenants(context, tenant)))


def quarantined_entry(context: CommandContext, entry_id: str) -> QuarantineEntry:
    """Return one entry; reading it is recorded in its tenant's log.

    Raises:
        NotFoundError: there is none with this id.
    """
    entry = find_entry(context.lake, _readable_tenants(context, None), entry_id)
    context.record("record.viewed", entry.tenant_id, resource_type="quarantine", resource_id=entry.id, action="read")
    return entry


def replay_entries(
    context: CommandContext, *, ids: list[str], tenant: str | None, reason: str | None
) -> dict[str, Any]:
    """Send entries again; returns counts and the messages of what was refused again."""
    tenants = _readable_tenants(context, tenant)
    chosen = [find_entry(context.lake, tenants, entry_id) for entry_id in ids]
    if reason is not None:
        chosen += [entry for entry in read_quarantine(context.lake, tenants) if entry.reason == reason]
    chosen = [entry for entry in chosen if entry.record is not None and not entry.replayed]
    for tenant_id in sorted({entry.tenant_id for entry in chosen}):
        context.check(Action.QUARANTINE_REPLAY, tenant_id)
    accepted, messages = [], []
    with import_pipeline(context, record_refusals=False) as (pipeline, writer):
        for entry in chosen:
            try:
                _decoded, durable = pipeline.process([_export(context, entry, pipeline.limits)])
            except MunimentError as exc:
                messages.append(f"{entry.id}: {exc}")
                continue
            durable.result()
            outcome = _decoded.outcomes[0]
            if isinstance(outcome, Outcome) and outcome.accepted:
                accepted.append(entry)
            else:
                messages.append(f"{entry.id}: {getattr(outcome, 'message', outcome)}")
        writer.flush()
    for entry in accepted:
        mark_replayed(context.lake, entry)
    return {"accepted": len(accepted), "refused": len(messages), "messages": messages}


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
