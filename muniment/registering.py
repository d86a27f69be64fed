"""Registering agents as a principal does it: allowed, redacted, recorded in the tenant's log, then made.

Invariants:
- What people typed passes redaction before it is kept: a name, a mail address or a number in it leaves as records' texts do.
- Each change is an event of its own; an entry that says what is registered already changes and records nothing.
- Keys that look like this lake's own must be keys of the agent's tenant.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from governance.access import Action, Decision
from governance.registry import LONGEST_PURPOSE, AgentEntry, check_entry
from muniment.tenancy import recording
from muniment.wiring import CommandContext
from warehouse.control import AgentProfile, AgentRecord, AgentState
from warehouse.errors import ConflictError, InputError

_OWN_KEY = re.compile(r"k[0-9a-f]{12}")
_TYPED = ("name", "owner", "on_call", "purpose")


@dataclass(frozen=True)
class Registered:
    """What became of one agent: `change` is `registered`, `updated` or None; `redacted` are the texts that were changed first."""

    agent: AgentRecord
    change: str | None
    redacted: tuple[str, ...] = ()


def register_agent(context: CommandContext, tenant: str, entry: AgentEntry) -> Registered:
    """Register an agent; recorded as `agent.registered`.

    Raises:
        DeniedError: the principal may not.
        InputError: what is said of it cannot be used, or a key is none of the tenant's.
        NotFoundError: no such tenant.
        ConflictError: it is registered already.
        UnavailableError: it cannot be recorded.
    """
    decision = _may_manage(context, tenant)
    profile, redacted = _treated(context, tenant, check_entry(entry))
    return Registered(_register(context, tenant, decision, entry.id, profile), "registered", redacted)


def update_agent(
    context: CommandContext, tenant: str, agent_id: str, change: Callable[[AgentEntry], AgentEntry]
) -> Registered:
    """Say something else of an agent: what `change` makes of its entry. Recorded as `agent.updated`, with what differs.

    Raises:
        DeniedError, InputError, UnavailableError: as `register_agent`.
        NotFoundError: there is no such agent.
        ConflictError: it is retired, or somebody else changed it meanwhile.
    """
    from governance.registry import entry_of

    decision = _may_manage(context, tenant)
    before = context.control.agent(tenant, agent_id)
    profile, redacted = _treated(context, tenant, check_entry(change(entry_of(agent_id, before.profile))))
    return _update(context, tenant, decision, before, profile, redacted)


def import_agents(context: CommandContext, tenant: str, profiles: Mapping[str, AgentProfile]) -> list[Registered]:
    """Register agents that are new or retired, update those that differ, and leave the others alone; safe to repeat.

    Raises:
        DeniedError, InputError, NotFoundError, UnavailableError: as `register_agent`; of keys before anything is changed.
        ConflictError: somebody else changed one meanwhile: those before it are done.
    """
    decision = _may_manage(context, tenant)
    known = {agent.id: agent for agent in context.control.list_agents(tenant)}
    treated = {agent_id: _treated(context, tenant, profile) for agent_id, profile in profiles.items()}
    done = []
    for agent_id, (profile, redacted) in treated.items():
        if agent_id in known:
            done.append(_update(context, tenant, decision, known[agent_id], profile, redacted))
        else:
            record = _register(context, tenant, decision, agent_id, profile)
            done.append(Registered(record, "registered", redacted))
    return done


def move_agent(context: CommandContext, tenant: str, agent_id: str, state: AgentState, *, reason: str) -> AgentRecord:
    """Suspend an agent, take it into service again, or retire it for good; recorded as `agent.suspended|updated|retired`.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such agent.
        ConflictError: it is in that state already, or retired.
        UnavailableError: it cannot be recorded.
    """
    decision = _may_manage(context, tenant)
    reason = context.redactor.redact_text(tenant, reason)
    events = {AgentState.SUSPENDED: "suspended", AgentState.ACTIVE: "updated", AgentState.RETIRED: "retired"}
    verbs = {AgentState.SUSPENDED: "suspend", AgentState.ACTIVE: "resume", AgentState.RETIRED: "retire"}

    def move(agent: AgentRecord) -> AgentRecord:
        if agent.state is state:
            raise ConflictError(f"agent {agent_id}: it is {state} already, since {agent.updated_by} made it so")
        return replace(agent, state=state)

    with _recording(context, f"agent.{events[state]}", tenant, decision, verbs[state]) as announce:
        return context.control.change_agent(
            tenant,
            agent_id,
            move,
            by=context.principal.recorded_by,
            announce=lambda agent: announce(
                resource_id=agent.id, reason=reason, attributes=_identity(agent) | {"muniment.agent.state": agent.state}
            ),
        )


def list_agents(context: CommandContext, tenant: str | None, *, retired: bool) -> list[AgentRecord]:
    """The registered agents of a tenant or of all, with `retired` those too.

    Raises:
        DeniedError: the principal may not see them.
        NotFoundError: there is no such tenant.
    """
    context.check(Action.AGENT_READ, tenant)
    if tenant is not None:
        context.control.tenant(tenant)
    return context.control.list_agents(tenant, retired=retired)


def read_agent(context: CommandContext, tenant: str, agent_id: str) -> AgentRecord:
    """One agent, retired or not.

    Raises:
        DeniedError: the principal may not see it.
        NotFoundError: there is none of this id.
    """
    context.check(Action.AGENT_READ, tenant)
    return context.control.agent(tenant, agent_id)


def _register(
    context: CommandContext, tenant: str, decision: Decision, agent_id: str, profile: AgentProfile
) -> AgentRecord:
    with _recording(context, "agent.registered", tenant, decision, "register") as announce:
        return context.control.register_agent(
            tenant,
            agent_id,
            profile,
            by=context.principal.recorded_by,
            announce=lambda agent: announce(resource_id=agent.id, attributes=_said(agent)),
        )


def _update(
    context: CommandContext,
    tenant: str,
    decision: Decision,
    before: AgentRecord,
    profile: AgentProfile,
    redacted: tuple[str, ...],
) -> Registered:
    if profile == before.profile:
        return Registered(before, None, redacted)
    changed = [name for name, value in vars(profile).items() if value != getattr(before.profile, name)]
    with _recording(context, "agent.updated", tenant, decision, "update") as announce:
        after = context.control.change_agent(
            tenant,
            before.id,
            lambda agent: replace(agent, profile=profile),
            by=context.principal.recorded_by,
            announce=lambda agent: announce(
                resource_id=agent.id, attributes=_said(agent) | {"muniment.agent.changed": changed}
            ),
        )
    return Registered(after, "updated", redacted)


def _treated(context: CommandContext, tenant: str, profile: AgentProfile) -> tuple[AgentProfile, tuple[str, ...]]:
    context.control.tenant(tenant)
    own = {key.key_id for key in context.control.list_keys(tenant)} if profile.keys else set()
    for key in profile.keys:
        if _OWN_KEY.fullmatch(key) and key not in own:
            raise InputError(
                f"keys: expected keys of tenant {tenant}, got {key}", hint=f"`muniment key list {tenant}` shows them"
            )
    typed = {name: getattr(profile, name) for name in _TYPED}
    kept: dict[str, Any] = {
        name: context.redactor.redact_text(tenant, text)[:LONGEST_PURPOSE] for name, text in typed.items()
    }
    return replace(profile, **kept), tuple(name for name in _TYPED if kept[name] != typed[name])


def _may_manage(context: CommandContext, tenant: str) -> Decision:
    return context.access.check(context.principal, Action.AGENT_MANAGE, tenant)


def _recording(
    context: CommandContext, event: str, tenant: str, decision: Decision, action: str
) -> AbstractContextManager[Callable[..., None]]:
    return recording(context.record, event, tenant, decision, action=action, resource_type="agent")


def _identity(agent: AgentRecord) -> dict[str, Any]:
    return {"gen_ai.agent.id": agent.id, "gen_ai.agent.name": agent.profile.name}


def _said(agent: AgentRecord) -> dict[str, Any]:
    profile = agent.profile
    said = {
        "muniment.agent.owner": profile.owner,
        "muniment.agent.on_call": profile.on_call,
        "muniment.agent.purpose": profile.purpose,
        "muniment.agent.risk_class": profile.risk_class,
        "muniment.agent.models": list(profile.models),
        "muniment.agent.providers": list(profile.providers),
        "muniment.agent.tools": list(profile.tools),
        "muniment.agent.keys": list(profile.keys),
        "muniment.agent.silent_after_seconds": profile.silent_after_seconds,
    }
    return _identity(agent) | {name: value for name, value in said.items() if value not in (None, [])}
