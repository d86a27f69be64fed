"""Puts questions about one tenant to the policies, and the engine's verdicts into words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from governance.access.actions import WHOLE_LAKE, Action, resource_of
from governance.access.decision import DEFAULT_DENY, Decision
from governance.access.engine import Entity
from governance.access.grants import Standing
from governance.access.policy import AccessPolicy, Verdict


@dataclass(frozen=True)
class Question:
    """What is asked: an action in a tenant; None means the whole lake."""

    action: Action
    tenant: str | None = None


def ask(policy: AccessPolicy, standing: Standing, questions: Sequence[Question], now: int) -> list[Decision]:
    """Decide questions about the tenant towards which the principal stands like this, at `now` (seconds since 1970)."""
    requests = [_request(standing, question, now) for question in questions]
    verdicts = policy.decide(requests, [standing.entity(), *_resources(questions)])
    return [decision_of(verdict, standing, policy.content_hash) for verdict in verdicts]


def _request(standing: Standing, question: Question, now: int) -> dict[str, Any]:
    kind, name = resource_of(question.action, question.tenant)
    return {
        "principal": standing.uid,
        "action": {"type": "Action", "id": question.action.value},
        "resource": {"type": kind, "id": name},
        "context": {"now": now},
    }


def _resources(questions: Sequence[Question]) -> Iterator[Entity]:
    """What the questions are about: a tenant's things lie in it, and it in the lake."""
    lake = {"type": "Lake", "id": WHOLE_LAKE}
    yield {"uid": lake, "attrs": {}, "parents": []}
    for tenant in dict.fromkeys(question.tenant for question in questions if question.tenant is not None):
        yield {"uid": {"type": "Tenant", "id": tenant}, "attrs": {}, "parents": [lake]}
    for question in dict.fromkeys(questions):
        kind, name = resource_of(question.action, question.tenant)
        above = lake if question.tenant is None else {"type": "Tenant", "id": question.tenant}
        if kind not in {"Lake", "Tenant"}:
            yield {"uid": {"type": kind, "id": name}, "attrs": {}, "parents": [above]}


def decision_of(verdict: Verdict, standing: Standing, version: str) -> Decision:
    """A verdict about somebody who stands like this, under the policies of that version, in words."""
    ids = ",".join(statement.id for statement in verdict.statements) or DEFAULT_DENY
    return Decision(verdict.allowed, _reason(verdict, standing), ids, version)


def _reason(verdict: Verdict, standing: Standing) -> str:
    if verdict.errors:
        return f"a policy failed while it was evaluated: {'; '.join(verdict.errors)}"
    if verdict.allowed:
        return f"policy {verdict.statements[0].id} permits it"
    if not standing.roles:
        return "has no role in this lake"
    if not verdict.statements:
        return f"no policy permits it to {', '.join(sorted(standing.roles))}"
    forbidding = verdict.statements[0]
    says = forbidding.annotations.get("says", f"policy {forbidding.id} forbids it")
    return says.replace("{tenants}", ", ".join(sorted(standing.tenants or ())) or "none")
