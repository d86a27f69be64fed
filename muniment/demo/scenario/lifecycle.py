"""What happens to agents rather than by them: registration, credentials, prompts, models, tools, releases.

Every change here is asked for, approved by a human and gated before it happens, except the seeded trouble.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from opentelemetry.util.types import AnyValue

from muniment.demo.audit import Actor, Event
from muniment.demo.calendar import DAY, HOUR, MINUTE, next_office_time
from muniment.demo.fleet import (
    AGENTS,
    CLAUDE_HAIKU,
    FINANCE,
    GPT_4O_MINI,
    HR,
    LENDING,
    MISTRAL_LARGE,
    PROCUREMENT,
    SUPPORT,
    Agent,
    Model,
    tenant_of,
)  # fmt: skip
from muniment.demo.world import World

_CREDENTIAL_LIFE = 10 * DAY
_NIGHT = 3 * HOUR
_CHANGE_POLICY = ("change-control", "6")
_GATES = ("regression-suite", "red-team", "cost-budget")
MODEL_SWITCHES: tuple[tuple[Agent, Model], ...] = (
    (PROCUREMENT, GPT_4O_MINI),
    (HR, GPT_4O_MINI),
    (FINANCE, MISTRAL_LARGE),
)
"""Approved switches: the agent and the model that it goes to."""


@dataclass(frozen=True)
class _Change:
    """A change of an agent that is about to happen, and the approval it has."""

    agent: Agent
    approval_id: str | None
    author: str
    reason: str


_Apply = Callable[[World, _Change, int], None]


def plan_lifecycle(world: World) -> None:
    """Schedule what happens to each agent in the window."""
    start, length = world.calendar.start, world.calendar.end - world.calendar.start

    def some_day(agent: Agent, earliest: float, latest: float) -> int:
        return next_office_time(agent, start + int(length * world.rng.uniform(earliest, latest))) + HOUR

    for number, agent in enumerate(AGENTS):
        world.at(start + (2 + number) * MINUTE, partial(_register, world, agent))
        for rotation in range(1, length // _CREDENTIAL_LIFE + 1):
            at = (start + rotation * _CREDENTIAL_LIFE) // DAY * DAY + _NIGHT + number * 7 * MINUTE
            world.at(at, partial(_rotate, world, agent))
        _plan_change(world, agent, some_day(agent, 0.3, 0.85), "new version", _release)
        _plan_change(world, agent, some_day(agent, 0.1, 0.95), "schema of the tool's service", _change_tool)
        if agent is not SUPPORT:
            _plan_change(world, agent, some_day(agent, 0.1, 0.95), "clearer instructions", _change_prompt)
    for agent, model in MODEL_SWITCHES:
        _plan_change(world, agent, some_day(agent, 0.4, 0.7), "cheaper at equal quality", _switch_to(model))
    _plan_troubles(world)


def _plan_troubles(world: World) -> None:
    slow, switched = world.troubles.slow_prompt, world.troubles.model_switched
    _plan_change(world, SUPPORT, slow.time, "longer answers with examples", _change_prompt)
    _plan_change(world, SUPPORT, slow.until or slow.time, "rollback: too slow", _change_prompt)
    tenant = tenant_of(LENDING)
    unapproved = _Change(LENDING, None, world.people.staff(tenant, tenant.approvers[-1]), "hotfix")
    world.at(switched.time, lambda now: _switch_to(CLAUDE_HAIKU)(world, unapproved, now))
    _plan_change(
        world, LENDING, switched.until or switched.time, "back to the approved model", _switch_to(LENDING.model)
    )


def _plan_change(world: World, agent: Agent, at: int, reason: str, apply: _Apply) -> None:
    """Schedule a change: asked for 50 minutes before, approved by somebody else half an hour later, gated, applied."""
    tenant = tenant_of(agent)
    author, approver = (world.people.staff(tenant, login) for login in world.rng.sample(tenant.approvers, 2))
    change = _Change(agent, world.ids.name("apr"), author, reason)
    expires = at + 8 * HOUR

    def approval(name: str, actor: str) -> Event:
        return Event(
            f"approval.{name}", Actor(actor, "human"), "change agent", "agent", agent.id, reason=reason,
            policy=_CHANGE_POLICY, approval_id=change.approval_id, expires_unix_nano=expires,
            extra={"gen_ai.agent.id": agent.id},
        )  # fmt: skip

    world.at(at - 50 * MINUTE, lambda now: world.event(tenant, approval("requested", author), now))
    world.at(at - 20 * MINUTE, lambda now: world.event(tenant, approval("granted", approver), now))
    world.at(at - 6 * MINUTE, lambda now: _gates(world, change, now))
    world.at(at, lambda now: apply(world, change, now))


def _gates(world: World, change: _Change, at: int) -> None:
    tenant = tenant_of(change.agent)
    for number, gate in enumerate(_GATES):
        event = Event(
            "gate.evaluated", Actor(tenant.runtime.service_name, "service"), "evaluate", "agent", change.agent.id,
            approval_id=change.approval_id, extra={"audit.gate.id": gate},
        )  # fmt: skip
        world.event(tenant, event, at + number * MINUTE)


def _record(
    world: World,
    change: _Change,
    at: int,
    event: Event,
    *,
    before: str,
    after: str,
    about: Mapping[str, AnyValue],
) -> None:
    """Record a change: `event` completed with who made it, why, under which approval, and what it was before."""
    details = {
        "gen_ai.agent.id": change.agent.id,
        "audit.change.before": before,
        "audit.change.after": after,
        **about,
    }
    done = replace(event, reason=change.reason, policy=_CHANGE_POLICY, approval_id=change.approval_id, extra=details)
    world.event(tenant_of(change.agent), done, at)


def _release(world: World, change: _Change, at: int) -> None:
    agent, state, author = change.agent, world.state(change.agent), Actor(change.author, "human")
    major, minor, _ = state.version.split(".")
    before, state.version = state.version, f"{major}.{int(minor) + 1}.0"
    world.recorder(agent).release(state.version, at)
    promoted = Event("release.promoted", author, "promote", "release", f"{agent.service_name}@{state.version}")
    where = {"audit.environment": "production"}
    _record(world, change, at, promoted, before=before, after=state.version, about=where)
    updated = Event("agent.updated", author, "update", "agent", agent.id)
    which = {"gen_ai.agent.name": agent.name, "gen_ai.agent.version": state.version}
    _record(world, change, at + MINUTE, updated, before=before, after=state.version, about=which)


def _change_tool(world: World, change: _Change, at: int) -> None:
    tool = world.rng.choice(change.agent.tools).name
    event = Event("tool.changed", Actor(change.author, "human"), "change", "tool", tool)
    _record(world, change, at, event, before="schema 3", after="schema 4", about={"gen_ai.tool.name": tool})


def _change_prompt(world: World, change: _Change, at: int) -> None:
    state, name = world.state(change.agent), change.agent.service_name
    before, state.prompt_version = str(state.prompt_version), state.prompt_version + 1
    after = str(state.prompt_version)
    event = Event("prompt.changed", Actor(change.author, "human"), "change", "prompt", name)
    about = {"gen_ai.prompt.name": name, "gen_ai.prompt.version": after}
    _record(world, change, at, event, before=before, after=after, about=about)


def _switch_to(model: Model) -> _Apply:
    def switch(world: World, change: _Change, at: int) -> None:
        state = world.state(change.agent)
        before, state.model = state.model, model
        event = Event("model.switched", Actor(change.author, "human"), "switch", "model", model.name)
        about = {"gen_ai.request.model": model.name, "gen_ai.provider.name": model.provider}
        _record(world, change, at, event, before=before.name, after=model.name, about=about)

    return switch


def _register(world: World, agent: Agent, at: int) -> None:
    tenant, state = tenant_of(agent), world.state(agent)
    owner = Actor(world.people.staff(tenant, tenant.approvers[0]), "human")
    registered = Event(
        "agent.registered", owner, "register", "agent", agent.id,
        extra={"gen_ai.agent.id": agent.id, "gen_ai.agent.name": agent.name, "gen_ai.agent.version": state.version},
    )  # fmt: skip
    world.event(tenant, registered, at)
    _credential(world, agent, "issued", owner, at + MINUTE // 2)


def _rotate(world: World, agent: Agent, at: int) -> None:
    world.state(agent).credential_id = world.ids.name("cred", 8)
    _credential(world, agent, "rotated", Actor(tenant_of(agent).runtime.service_name, "service"), at)


def _credential(world: World, agent: Agent, name: str, actor: Actor, at: int) -> None:
    credential = world.state(agent).credential_id
    event = Event(
        f"credential.{name}", Actor(actor.id, actor.type, on_behalf_of=agent.id), name.rstrip("d"), "credential", credential,
        expires_unix_nano=at + _CREDENTIAL_LIFE + DAY, extra={"audit.credential.id": credential},
    )  # fmt: skip
    world.event(tenant_of(agent), event, at)
