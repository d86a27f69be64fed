"""What waits for a second principal: asked for by one, approved by another, both on record, closed once it was carried out."""

from dataclasses import dataclass

from governance.access import Decision
from muniment.wiring import CommandContext
from warehouse.control import RequestRecord
from warehouse.names import LAKE_TENANT


@dataclass(frozen=True)
class Approvable:
    """One exact thing: `subject` names it by a hash, `resource_type` says in events what that is. `tenant` None is the whole lake."""

    kind: str
    subject: str
    resource_type: str
    tenant: str | None = None


def ask(context: CommandContext, what: Approvable, decision: Decision) -> RequestRecord:
    """Ask for it; `decision` is the one that lets the principal.

    Raises:
        ConflictError: another person asked for it already.
        UnavailableError: it cannot be recorded.
    """
    return context.control.ask(
        what.kind,
        what.subject,
        by=context.principal.recorded_by,
        same=context.access.accounts(context.principal),
        tenant_id=what.tenant,
        announce=lambda request: _record(context, "approval.requested", what, request, decision),
    )


def approve(context: CommandContext, what: Approvable, decision: Decision) -> RequestRecord:
    """Approve it; `decision` is the one that lets the principal.

    Raises:
        NotFoundError: nobody asked for it.
        DeniedError: the principal is the one who asked, or another account of the same person.
        UnavailableError: it cannot be recorded.
    """
    return context.control.approve_request(
        what.kind,
        what.subject,
        by=context.principal.recorded_by,
        same=context.access.accounts(context.principal),
        announce=lambda request: _record(context, "approval.granted", what, request, decision),
    )


def _record(context: CommandContext, event: str, what: Approvable, request: RequestRecord, decision: Decision) -> None:
    context.record(
        event,
        request.tenant_id or LAKE_TENANT,
        action="apply",
        resource_type=what.resource_type,
        resource_id=request.subject,
        approval_id=request.id,
        policy_id=decision.policy_id,
        policy_version=decision.policy_version,
    )
