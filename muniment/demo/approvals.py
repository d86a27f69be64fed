"""Approvals by humans: asked in one trace, decided minutes or hours later, acted upon in another that links back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from opentelemetry.trace import SpanContext

from muniment.demo.audit import Actor, Event, call_attributes
from muniment.demo.calendar import HOUR, MINUTE, SECOND, next_office_time
from muniment.demo.calls import ToolUse
from muniment.demo.fleet import Agent, tenant_of
from muniment.demo.run import Run, start_run
from muniment.demo.world import World


class Decision(StrEnum):
    """How an approval ended."""

    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Approval:
    """A request for approval of exactly one tool call."""

    id: str
    use: ToolUse
    resource: tuple[str, str]
    asked_at: int
    expires: int
    asked_in: SpanContext
    agent: Agent
    user: str
    workflow: str
    conversation: str


Then = Callable[[World, Approval, Decision, int], None]
"""What happens once it is decided."""

POLICY = ("human-oversight", "2026-09")
_GRANTED_SHARE, _DENIED_SHARE = 0.85, 0.09


def request_approval(
    run: Run, use: ToolUse, resource: tuple[str, str], *, reason: str, lasts: int = 48 * HOUR
) -> Approval:
    """Record that an agent asks for approval of a tool call, and that its workflow waits. `lasts` is in nanoseconds."""
    approval = Approval(
        id=run.world.ids.name("apr"),
        use=use,
        resource=resource,
        asked_at=run.now,
        expires=run.now + lasts,
        asked_in=run.context,
        agent=run.agent,
        user=run.task.user,
        workflow=run.task.workflow,
        conversation=run.task.conversation,
    )
    run.record(approval_event(approval, "requested", run.actor, "success", reason=reason))
    run.record(Event("workflow.waiting", run.actor, "wait", "workflow", approval.conversation, approval_id=approval.id))
    return approval


def approval_event(approval: Approval, name: str, actor: Actor, outcome: str, *, reason: str | None = None) -> Event:
    """An `approval.*` event: bound to the exact call, the policy, the approver and the expiry."""
    return Event(
        f"approval.{name}",
        actor,
        approval.use.tool.name,
        *approval.resource,
        outcome=outcome,
        reason=reason,
        policy=POLICY,
        approval_id=approval.id,
        expires_unix_nano=approval.expires,
        extra={
            "gen_ai.agent.id": approval.agent.id,
            **call_attributes(approval.use),
        },
    )


def decide_later(world: World, approval: Approval, then: Then) -> None:
    """Let a human decide in working time: most in minutes, some after hours, some never."""
    agent = approval.agent
    answered = next_office_time(agent, approval.asked_at) + int(world.around(14.0, 1.1) * MINUTE)
    draw = world.rng.random()
    decision = Decision.GRANTED if draw < _GRANTED_SHARE else Decision.DENIED
    if draw >= _GRANTED_SHARE + _DENIED_SHARE or answered >= approval.expires:
        decision, answered = Decision.EXPIRED, approval.expires
    world.at(answered, lambda now: _decide(world, approval, decision, then, now))


def _decide(world: World, approval: Approval, decision: Decision, then: Then, at: int) -> None:
    record_decision(world, approval, decision, at)
    world.work(approval.agent, at + 3 * SECOND, lambda _world, _agent, now: then(world, approval, decision, now))


def record_decision(world: World, approval: Approval, decision: Decision, at: int) -> None:
    """Record what a human decided, or that nobody did, in the trace that asked."""
    agent, tenant = approval.agent, tenant_of(approval.agent)
    if decision is Decision.EXPIRED:
        event = approval_event(approval, "expired", Actor(tenant.runtime.service_name, "service"), "failure")
    else:
        reason = "within limits" if decision is Decision.GRANTED else "amount not plausible"
        outcome = "success" if decision is Decision.GRANTED else "denied"
        approver = Actor(world.approver(agent), "human")
        event = approval_event(approval, decision.value, approver, outcome, reason=reason)
    world.event(tenant, event, at, approval.asked_in)


def workflow_event(
    run: Run, name: str, *, outcome: str = "success", reason: str | None = None, approval_id: str | None = None
) -> None:
    """Record a `workflow.*` event of a run."""
    run.record(
        Event(
            f"workflow.{name}",
            run.actor,
            name,
            "workflow",
            run.task.conversation,
            outcome=outcome,
            reason=reason,
            approval_id=approval_id,
            extra={"gen_ai.workflow.name": run.task.workflow},
        )
    )


@contextmanager
def resume_run(world: World, approval: Approval, text: str, at: int) -> Iterator[Run]:
    """Start the run that goes on with what was decided: a trace of its own, linked to the one that asked."""
    with start_run(
        world, approval.agent, at, workflow=approval.workflow, text=text, user=approval.user,
        links=(approval.asked_in,), conversation=approval.conversation,
    ) as run:  # fmt: skip
        workflow_event(run, "resumed", approval_id=approval.id)
        yield run


def end_workflow(run: Run, *, done: bool) -> None:
    """Record that a workflow ended, as its last tool call did."""
    workflow_event(run, "completed" if done else "failed", outcome="success" if done else "failure")
