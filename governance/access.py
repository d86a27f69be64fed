"""Who may do what: a fixed table of roles, asked before every command, page, job and request.

Deny by default: an action is allowed only where a rule below allows it. The table is the policy, and its version is a hash of
its content, so that a recorded decision names the exact rules that made it. The questions (`decide`, `check`) and the answer
(`Decision`) are those of a policy engine; the table can give way to Cedar without a caller noticing.

Rules:
- The operating-system user who owns the lake's folder, and root, are its operator: they could change the files anyway.
- Other local users have the roles that settings give them, none by default.
- An API key is a sender of its own tenant, never more.
- A job of Muniment's own does what jobs do, in every tenant.
- Somebody bound to tenants may not do what concerns another tenant or the whole lake.
"""

import hashlib
import json
import os
import pwd
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Self

from warehouse.errors import DeniedError, SettingsError
from warehouse.principals import Principal, PrincipalKind

ROOT_UID = 0
POLICY_ID = "builtin-roles"


class Action(StrEnum):
    """What can be asked for. `read` and `list` of a thing are one action; changing it is another."""

    LAKE_INIT = "lake.init"
    LAKE_DEMO = "lake.demo"
    LAKE_BACKUP = "lake.backup"
    LAKE_RESTORE = "lake.restore"
    TENANT_READ = "tenant.read"
    TENANT_MANAGE = "tenant.manage"
    KEY_READ = "key.read"
    KEY_MANAGE = "key.manage"
    RECORDS_WRITE = "records.write"
    RECORDS_READ = "records.read"
    RECORDS_EXPORT = "records.export"
    IMPORT_WRITE = "import.write"
    COLLECTOR_RUN = "collector.run"
    QUARANTINE_READ = "quarantine.read"
    QUARANTINE_REPLAY = "quarantine.replay"
    MAINTENANCE_RUN = "maintenance.run"
    STATUS_READ = "status.read"
    POLICY_READ = "policy.read"
    POLICY_APPLY = "policy.apply"
    SUBJECT_REVEAL = "subject.reveal"
    SUBJECT_REPORT = "subject.report"
    SUBJECT_SHRED = "subject.shred"
    SUBJECT_ERASE = "subject.erase"
    HOLD_READ = "hold.read"
    HOLD_PLACE = "hold.place"
    HOLD_RELEASE = "hold.release"
    RETENTION_PLAN = "retention.plan"
    RETENTION_APPLY = "retention.apply"
    AGENT_READ = "agent.read"
    AGENT_MANAGE = "agent.manage"
    SLO_READ = "slo.read"
    SLO_COMPUTE = "slo.compute"
    ALERT_READ = "alert.read"
    ALERT_SEND = "alert.send"
    INCIDENT_READ = "incident.read"
    INCIDENT_HANDLE = "incident.handle"
    INCIDENT_DETECT = "incident.detect"


class Role(StrEnum):
    """A named set of actions."""

    OPERATOR = "operator"
    AUDITOR = "auditor"
    SRE = "sre"
    SENDER = "sender"
    JOB = "job"


ROLES: Mapping[Role, frozenset[Action]] = MappingProxyType(
    {
        Role.OPERATOR: frozenset(Action),
        Role.AUDITOR: frozenset(
            {
                Action.TENANT_READ,
                Action.KEY_READ,
                Action.RECORDS_READ,
                Action.RECORDS_EXPORT,
                Action.QUARANTINE_READ,
                Action.STATUS_READ,
                Action.POLICY_READ,
                Action.HOLD_READ,
                Action.RETENTION_PLAN,
                Action.AGENT_READ,
                Action.SLO_READ,
                Action.ALERT_READ,
                Action.INCIDENT_READ,
            }
        ),
        Role.SRE: frozenset(
            {
                Action.TENANT_READ,
                Action.RECORDS_READ,
                Action.COLLECTOR_RUN,
                Action.QUARANTINE_READ,
                Action.QUARANTINE_REPLAY,
                Action.MAINTENANCE_RUN,
                Action.STATUS_READ,
                Action.POLICY_READ,
                Action.AGENT_READ,
                Action.SLO_READ,
                Action.SLO_COMPUTE,
                Action.ALERT_READ,
                Action.ALERT_SEND,
                Action.INCIDENT_READ,
                Action.INCIDENT_HANDLE,
                Action.INCIDENT_DETECT,
            }
        ),
        Role.SENDER: frozenset({Action.RECORDS_WRITE}),
        Role.JOB: frozenset(
            {
                Action.TENANT_READ,
                Action.RECORDS_WRITE,
                Action.RECORDS_READ,
                Action.MAINTENANCE_RUN,
                Action.STATUS_READ,
                Action.POLICY_READ,
                Action.HOLD_READ,
                Action.RETENTION_PLAN,
                Action.RETENTION_APPLY,
                Action.SUBJECT_ERASE,
                Action.AGENT_READ,
                Action.SLO_READ,
                Action.SLO_COMPUTE,
                Action.ALERT_READ,
                Action.ALERT_SEND,
                Action.INCIDENT_READ,
                Action.INCIDENT_DETECT,
            }
        ),
    }
)
"""The policy in force."""

ASSIGNABLE_ROLES = frozenset({Role.OPERATOR, Role.AUDITOR, Role.SRE})
"""Roles that settings may give to local users; the others belong to keys and jobs alone."""


def _version_of(roles: Mapping[Role, frozenset[Action]]) -> str:
    content = json.dumps({role: sorted(actions) for role, actions in roles.items()}, sort_keys=True)
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


POLICY_VERSION = _version_of(ROLES)


@dataclass(frozen=True)
class Decision:
    """The answer to one question, with what an audit event needs to say about it."""

    allowed: bool
    reason: str
    policy_id: str = POLICY_ID
    policy_version: str = POLICY_VERSION


class Access:
    """Answers whether a principal may do something.

    `users` maps a role to the names of the local users who have it; `owner` is the name of the user who owns the lake.

    Raises:
        SettingsError: a role that no local user can have.
    """

    def __init__(self, *, owner: str, users: Mapping[str, Collection[str]] | None = None) -> None:
        self.owner = owner
        given: dict[str, frozenset[str]] = {role: frozenset(names) for role, names in (users or {}).items()}
        if not given.keys() <= ASSIGNABLE_ROLES:
            raise SettingsError(
                f"roles of local users: expected {', '.join(sorted(ASSIGNABLE_ROLES))}, got {', '.join(sorted(given))}"
            )
        given[Role.OPERATOR] = given.get(Role.OPERATOR, frozenset()) | {owner}
        self._named = {Role(role): names for role, names in given.items()}
        self._users = {**self._named, Role.OPERATOR: given[Role.OPERATOR] | {user_name(ROOT_UID)}}

    @classmethod
    def for_lake(cls, lake: Path, users: Mapping[str, Collection[str]] | None = None) -> Self:
        """Access to the lake in that folder, with the `users` of its settings. Of a folder that is not there yet, whoever runs this will be the owner."""
        try:
            uid = lake.stat().st_uid
        except FileNotFoundError:
            uid = os.geteuid()
        return cls(owner=user_name(uid), users=users)

    def roles(self, principal: Principal) -> frozenset[Role]:
        """The roles of a principal; none for one that no rule names."""
        match principal.kind:
            case PrincipalKind.LOCAL_USER:
                return frozenset(role for role, names in self._users.items() if principal.id in names)
            case PrincipalKind.API_KEY:
                # A key without its tenant would be a key to all of them: whoever made it made a mistake.
                return frozenset({Role.SENDER}) if principal.tenants else frozenset()
            case PrincipalKind.JOB:
                return frozenset({Role.JOB})
            case PrincipalKind.OIDC_USER:
                return frozenset()

    def holders(self, action: Action) -> frozenset[str]:
        """Who has a right, as `recorded_by` columns name them: the lake's owner and the users whom settings name.

        Root counts only where it is one of these: it is a way of acting that several people may share, or one person have besides
        their own name, and so no second pair of eyes.
        """
        names = (names for role, names in self._named.items() if action in ROLES[role])
        return frozenset(f"{PrincipalKind.LOCAL_USER.value}:{name}" for name in frozenset().union(*names))

    def decide(self, principal: Principal, action: Action, tenant: str | None = None) -> Decision:
        """Whether `principal` may do `action` in `tenant`; None means the whole lake."""
        roles = self.roles(principal)
        if not roles:
            return Decision(allowed=False, reason="has no role in this lake")
        allowing = sorted(role for role in roles if action in ROLES[role])
        if not allowing:
            return Decision(allowed=False, reason=f"no role that allows it: has {', '.join(sorted(roles))}")
        if principal.tenants is not None and tenant not in principal.tenants:
            bound = ", ".join(sorted(principal.tenants)) or "none"
            return Decision(allowed=False, reason=f"bound to other tenants: {bound}")
        return Decision(allowed=True, reason=f"role {allowing[0]} allows it")

    def check(self, principal: Principal, action: Action, tenant: str | None = None) -> Decision:
        """As `decide`, raising where the answer is no.

        Raises:
            DeniedError: it is; the message says who, what, where and why, the hint who can help.
        """
        decision = self.decide(principal, action, tenant)
        if not decision.allowed:
            where = "the whole lake" if tenant is None else f"tenant {tenant}"
            raise DeniedError(
                f"{principal.recorded_by} may not {action.value} in {where}: {decision.reason}",
                hint=self._hint(principal, action),
            )
        return decision

    def _hint(self, principal: Principal, action: Action) -> str:
        if principal.kind is PrincipalKind.API_KEY:
            return "an API key only sends records to its own tenant: use the command line for anything else"
        helpful = sorted(role for role in ASSIGNABLE_ROLES if action in ROLES[role])
        return (
            f"run it as {self.owner}, who owns the lake, or have them give you one of the roles: {', '.join(helpful)}"
        )


def local_principal(uid: int | None = None) -> Principal:
    """The principal of an operating-system user: by default the one whose rights this process has."""
    return Principal(kind=PrincipalKind.LOCAL_USER, id=user_name(os.geteuid() if uid is None else uid))


def user_name(uid: int) -> str:
    """The name of an operating-system user, or `uid-<number>` for one without a name, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
