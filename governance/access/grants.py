"""Who holds which role, where and until when; and how somebody stands towards one tenant.

A grant is a role, perhaps in named tenants only, perhaps until a time. Towards a tenant a principal stands with the grants that reach
it and have not ended. Where there is none of these, it stands with those that do not reach or have ended, so that a policy, and not
this module, says no and why.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from governance.access.engine import Entity
from warehouse.principals import Principal, PrincipalKind

ENTITY_TYPES = {
    PrincipalKind.LOCAL_USER: "User",
    PrincipalKind.OIDC_USER: "OidcUser",
    PrincipalKind.API_KEY: "ApiKey",
    PrincipalKind.JOB: "Job",
}
"""What the schema calls the kinds of principals."""


class Role(StrEnum):
    """A role, as policies name it."""

    OPERATOR = "operator"
    COMPLIANCE_OFFICER = "compliance-officer"
    AUDITOR = "auditor"
    SRE = "sre"
    TENANT_ADMIN = "tenant-admin"
    SENDER = "sender"
    JOB = "job"


ASSIGNABLE_ROLES = frozenset({Role.OPERATOR, Role.COMPLIANCE_OFFICER, Role.AUDITOR, Role.SRE})
"""Roles that settings may give to local users in every tenant; the others belong to keys, jobs, or to named tenants."""


@dataclass(frozen=True)
class Grant:
    """A role that somebody holds.

    Attributes:
        role: which.
        tenants: where; None means everywhere, the whole lake included.
        until: the first second since 1970 at which it no longer holds; None for no end.
        source: what gives it, in words.
    """

    role: Role
    tenants: frozenset[str] | None = None
    until: int | None = None
    source: str = ""

    def reaches(self, tenant: str | None) -> bool:
        """Whether it holds in a tenant, or with None in the whole lake."""
        return self.tenants is None or tenant in self.tenants

    def lasts(self, now: int) -> bool:
        """Whether it has not ended at `now`, in seconds since 1970."""
        return self.until is None or now < self.until

    def within(self, tenants: frozenset[str] | None) -> "Grant":
        """The same grant, bounded by `tenants` unless that is None."""
        if tenants is None:
            return self
        bound = tenants if self.tenants is None else self.tenants & tenants
        return Grant(self.role, bound, self.until, self.source)


@dataclass(frozen=True)
class Standing:
    """How a principal stands towards one tenant: what the engine is told about it.

    `tenants` and `until` are None where nothing bounds the principal.
    """

    principal: Principal
    roles: frozenset[Role]
    tenants: frozenset[str] | None
    until: int | None

    def entity(self) -> Entity:
        """The principal as the engine's entity."""
        kind = self.principal.kind
        attributes: dict[str, object] = {}
        if kind in {PrincipalKind.LOCAL_USER, PrincipalKind.JOB}:
            attributes["name"] = self.principal.id
        if kind is PrincipalKind.OIDC_USER:
            attributes["groups"] = sorted(self.principal.groups)
        if self.tenants is not None:
            attributes["tenants"] = [{"__entity": {"type": "Tenant", "id": tenant}} for tenant in sorted(self.tenants)]
        if self.until is not None and kind in {PrincipalKind.LOCAL_USER, PrincipalKind.OIDC_USER}:
            attributes["until"] = self.until
        return {
            "uid": self.uid,
            "attrs": attributes,
            "parents": [{"type": "Role", "id": role.value} for role in sorted(self.roles)],
        }

    @property
    def uid(self) -> dict[str, str]:
        """Its type and id."""
        return {"type": ENTITY_TYPES[self.principal.kind], "id": self.principal.id}


def stand(principal: Principal, grants: Collection[Grant], tenant: str | None, now: int) -> Standing:
    """How a principal with these grants stands towards a tenant, None for the whole lake, at `now` (seconds since 1970)."""
    held = [grant.within(principal.tenants) for grant in grants]
    reaching = [grant for grant in held if grant.reaches(tenant)]
    counting = [grant for grant in reaching if grant.lasts(now)] or reaching or held
    return Standing(principal, frozenset(grant.role for grant in counting), _bounds(counting), _end(counting))


def _bounds(grants: Sequence[Grant]) -> frozenset[str] | None:
    bounded = [grant.tenants for grant in grants if grant.tenants is not None]
    return frozenset().union(*bounded) if bounded else None


def _end(grants: Sequence[Grant]) -> int | None:
    return max((grant.until for grant in grants if grant.until is not None), default=None)
