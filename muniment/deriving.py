"""Deriving as a principal does it: `derived_events` of each tenant brought up to what is committed now."""

from collections.abc import Sequence

from governance.access import Action
from muniment.wiring import CommandContext
from pipelines.incidents.derived import Derived, derive_events


def derive(context: CommandContext, *, tenants: Sequence[str] | None = None) -> dict[str, Derived]:
    """What became of each tenant's derived events; of every tenant where none is named. Safe to repeat and to interrupt.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such tenant.
        UnavailableError: the lake cannot be read or written now.
        QueryError: the computation failed or took too long.
    """
    names = [tenant.id for tenant in context.control.list_tenants()] if tenants is None else list(tenants)
    for tenant in names:
        context.check(Action.INCIDENT_DETECT, tenant)
        context.control.tenant(tenant)
    return {
        tenant: derive_events(context.lake, tenant, principal=context.principal, settings=context.settings.query)
        for tenant in names
    }
