"""Why somebody may or may not do something: the decision with the policies that made it, where they stand, and what the person holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from governance.access.actions import Action
from governance.access.decision import Decision
from governance.access.grants import Grant, Standing
from governance.access.policy import AccessPolicy
from warehouse.clock import NANOS_PER_SECOND, utc_text
from warehouse.principals import Principal


@dataclass(frozen=True)
class DecidingPolicy:
    """A policy that decided: its id, where it stands, and its text."""

    id: str
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Explanation:
    """The answer to *why*."""

    principal: Principal
    action: Action
    tenant: str | None
    decision: Decision
    policies: tuple[DecidingPolicy, ...]
    grants: tuple[Grant, ...]
    standing: Standing
    accounts: frozenset[str] = frozenset()
    """The other accounts of the same person."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "principal": self.principal.recorded_by,
            "action": self.action.value,
            "tenant": self.tenant,
            "allowed": self.decision.allowed,
            "reason": self.decision.reason,
            "policies": [
                {"id": each.id, "file": each.file, "line": each.line, "text": each.text} for each in self.policies
            ],
            "policy_version": self.decision.policy_version,
            "roles": sorted(role.value for role in self.standing.roles),
            "grants": [grant_json(grant) for grant in self.grants],
            "same_person": sorted(self.accounts),
        }


def grant_json(grant: Grant) -> dict[str, Any]:
    """A grant as a JSON object."""
    return {
        "role": grant.role.value,
        "tenants": None if grant.tenants is None else sorted(grant.tenants),
        "until": None if grant.until is None else utc_text(grant.until * NANOS_PER_SECOND),
        "source": grant.source,
    }


def deciding_policies(policy: AccessPolicy, decision: Decision) -> tuple[DecidingPolicy, ...]:
    """The policies that a decision names; none where nothing decided."""
    by_id = {statement.id: statement for statement in policy.statements}
    found: Sequence[str] = [name for name in decision.policies if name in by_id]
    return tuple(DecidingPolicy(name, by_id[name].file, by_id[name].line, by_id[name].text) for name in found)
