"""Makes the viewer of a session: who may come in at all, in which roles, and whose records they may read.

Invariant: whoever signed in and may read nothing gets no viewer but the reason, in words for them alone: neither which policy is
damaged nor another tenant, group or person stands in it.
"""

from datetime import UTC, datetime

from dashboards.viewer import Viewer
from governance.access import Action
from governance.access.asking import Question
from muniment.desk_sessions import Session
from muniment.wiring import CommandContext
from warehouse.errors import DeniedError, UnavailableError
from warehouse.names import LAKE_TENANT
from warehouse.policies import PolicyError
from warehouse.principals import Principal

NO_ROLE, ROLE_ENDED = "no role", "the role ended"
_GROUPS = "LAKE/policies/access/groups.yaml"


def viewer_of(context: CommandContext, session: Session) -> Viewer:
    """The viewer of a session, as the policies in force decide at this moment.

    Raises:
        DeniedError: somebody without a role, whose role has ended, or who signed in and may read no tenant's records.
        UnavailableError: the access policies in force cannot be used.
    """
    try:
        return _viewer(context, session)
    except PolicyError as exc:
        raise policies_broken(context) from exc


def policies_broken(context: CommandContext) -> UnavailableError:
    """What people at the pages are told where the access policies in force cannot be used."""
    return UnavailableError(
        "the rules that say who may see what cannot be used now, so nobody is shown anything",
        hint=f"tell {context.access.owner}, who owns the lake: `muniment status` says what is wrong, `muniment policy apply access` puts "
        "working ones in force. These pages go on by themselves then",
    )


def why_without_role(context: CommandContext, principal: Principal) -> str | None:
    """Why a principal has no role now; None where it has one."""
    if context.access.roles(principal):
        return None
    return ROLE_ENDED if context.access.grants(principal) else NO_ROLE


def _viewer(context: CommandContext, session: Session) -> Viewer:
    principal, signed_in = session.principal, session.ends is not None
    missing = why_without_role(context, principal)
    if missing == ROLE_ENDED:
        raise _ended(context, session)
    if missing and signed_in:
        raise DeniedError(
            f"{session.name} signed in: expected a role for this user, got none",
            hint=f"have the lake's owner give one of the user's groups a role in {_GROUPS}",
        )
    tenants = [*(tenant.id for tenant in context.control.list_tenants()), LAKE_TENANT]
    asked = [Question(Action.RECORDS_READ, tenant) for tenant in tenants]
    decisions = context.access.decide_all(principal, asked)
    readable = tuple(tenant for tenant, each in zip(tenants, decisions, strict=True) if each.allowed)
    roles = tuple(sorted(role.value for role in context.access.roles(principal)))
    if signed_in and not readable:
        raise DeniedError(
            f"{session.name} signed in as {', '.join(roles)}: expected a tenant whose records that role may read, got none",
            hint=f"have the lake's owner name one of the lake's tenants in {_GROUPS}",
        )
    return Viewer(session.ticket, session.name, roles, readable, decisions[0].policy_version)


def _ended(context: CommandContext, session: Session) -> DeniedError:
    ends = sorted((grant.until or 0, grant.role.value) for grant in context.access.grants(session.principal))
    said = ", ".join(
        f"{role} until the end of {datetime.fromtimestamp(until - 1, UTC).date()} (UTC)"
        for until, role in dict.fromkeys(ends)
    )
    return DeniedError(
        f"{session.name} may see nothing any more: the role has ended. It was {said}",
        hint=f"where the work is not done, have the lake's owner give a later day as `until` in {_GROUPS}",
    )
