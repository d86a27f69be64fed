"""Decisions about what must leave a trace: each is an `access.decided` event, allowed or denied, with the policies that made it.

A decision is recorded with the next event of its context, in one batch: what was allowed and that it was done stand together. A
denial is recorded at once. What waits when a command ends is recorded then. The same decision waits once, however often it was asked
for meanwhile: one event a decision, not one a record.
"""

from collections.abc import Callable, Sequence
from weakref import WeakSet

from governance.access import Action, Decision
from warehouse.names import LAKE_TENANT
from warehouse.own_events import OwnEvent
from warehouse.principals import Principal

RECORDED = frozenset(
    {
        Action.CONTENTS_READ,
        Action.RECORDS_EXPORT,
        Action.SUBJECT_REVEAL,
        Action.SUBJECT_REPORT,
        Action.SUBJECT_SHRED,
        Action.SUBJECT_ERASE,
        Action.HOLD_PLACE,
        Action.HOLD_RELEASE,
        Action.RETENTION_APPLY,
    }
)
"""Actions whose decisions are recorded: reading contents, export, reveal, hold and purge."""

_OPEN: "WeakSet[Decisions]" = WeakSet()


class Decisions:
    """The decisions of one context that wait to be recorded.

    `send` records events; `tenants` names the tenants that there are: a decision about another is recorded in the lake's own log.
    """

    def __init__(self, send: Callable[[Sequence[OwnEvent]], None], tenants: Callable[[], Sequence[str]]) -> None:
        self._send = send
        self._tenants = tenants
        self._waiting: dict[OwnEventKey, tuple[Principal, Action, str | None, Decision]] = {}
        _OPEN.add(self)

    def add(self, principal: Principal, action: Action, tenant: str | None, decision: Decision) -> None:
        """Remember a decision, where its action is one that is recorded."""
        if action in RECORDED:
            key = (principal.recorded_by, action, tenant, decision.allowed, decision.policy_id)
            self._waiting[key] = (principal, action, tenant, decision)

    def record_with(self, events: Sequence[OwnEvent]) -> None:
        """Record what waits, and `events` after it, in one batch.

        Raises:
            UnavailableError: it cannot be recorded; it still waits.
        """
        waiting = dict(self._waiting)
        if not waiting and not events:
            return
        known = frozenset(self._tenants()) if waiting else frozenset()
        self._send([*(_event(*each, known) for each in waiting.values()), *events])
        for key in waiting:
            self._waiting.pop(key, None)


OwnEventKey = tuple[str, Action, str | None, bool, str]
"""What makes two decisions the same: who, what, where, the answer, and by which policies."""


def record_waiting() -> None:
    """Record what still waits in any context of this process, when a command ends.

    Raises:
        UnavailableError: it cannot be recorded.
    """
    for each in list(_OPEN):
        each.record_with([])


def _event(
    principal: Principal, action: Action, tenant: str | None, decision: Decision, known: frozenset[str]
) -> OwnEvent:
    where = tenant if tenant in known else LAKE_TENANT
    fields = {
        "action": action.value,
        "resource_type": "lake" if tenant is None else "tenant",
        "resource_id": "lake" if tenant is None else tenant,
        "outcome": "allowed" if decision.allowed else "denied",
        "reason": decision.reason,
        "policy_id": decision.policy_id,
        "policy_version": decision.policy_version,
    }
    return OwnEvent(where, "access.decided", principal.recorded_by, fields=fields)
