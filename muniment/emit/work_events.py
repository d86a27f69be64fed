"""Events about work in progress: handoffs between agents and people, messages, workflows.

Every method takes the keyword arguments of `Common` as well, returns a `Receipt` and raises as `Recorder._record` says.
"""

from typing import Unpack

from muniment.emit.event import Common, Receipt, Recorder, Resource, required


class WorkEvents(Recorder):
    """`handoff.*`, `message.sent` and `workflow.*`."""

    def handoff_requested(
        self, *, handoff_id: str, from_agent: str, to_agent: str, **common: Unpack[Common]
    ) -> Receipt:
        """Record that one agent or person asks another to take over."""
        return self._handoff(
            "handoff.requested", common, handoff_id=handoff_id, from_agent=from_agent, to_agent=to_agent
        )

    def handoff_accepted(self, *, handoff_id: str, from_agent: str, to_agent: str, **common: Unpack[Common]) -> Receipt:
        """Record that the other took over."""
        return self._handoff(
            "handoff.accepted", common, handoff_id=handoff_id, from_agent=from_agent, to_agent=to_agent
        )

    def handoff_declined(self, *, handoff_id: str, from_agent: str, to_agent: str, **common: Unpack[Common]) -> Receipt:
        """Record that the other did not take over; `reason` says why."""
        needs, outcome = ("reason",), "denied"
        return self._handoff(
            "handoff.declined",
            common,
            handoff_id=handoff_id,
            from_agent=from_agent,
            to_agent=to_agent,
            needs=needs,
            outcome=outcome,
        )

    def handoff_completed(
        self, *, handoff_id: str, from_agent: str, to_agent: str, **common: Unpack[Common]
    ) -> Receipt:
        """Record that what was handed over is done."""
        return self._handoff(
            "handoff.completed", common, handoff_id=handoff_id, from_agent=from_agent, to_agent=to_agent
        )

    def message_sent(
        self, *, message_id: str, recipient: str, channel: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that a message went out to a person, an agent or a system."""
        required("message.sent", message_id=message_id, recipient=recipient)
        details = {"audit.message.recipient": recipient, "audit.message.channel": channel}
        return self._record("message.sent", common, about=Resource("message", message_id), details=details)

    def workflow_started(
        self, *, workflow_id: str, workflow_name: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that a workflow began."""
        return self._workflow("workflow.started", common, workflow_id, workflow_name)

    def workflow_waiting(
        self, *, workflow_id: str, workflow_name: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that a workflow waits; `reason` says for what or whom."""
        return self._workflow("workflow.waiting", common, workflow_id, workflow_name, needs=("reason",))

    def workflow_resumed(
        self, *, workflow_id: str, workflow_name: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that a workflow goes on."""
        return self._workflow("workflow.resumed", common, workflow_id, workflow_name)

    def workflow_compensated(
        self, *, workflow_id: str, workflow_name: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that effects of a workflow were undone; `reason` says which and why."""
        return self._workflow("workflow.compensated", common, workflow_id, workflow_name, needs=("reason",))

    def workflow_completed(
        self, *, workflow_id: str, workflow_name: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that a workflow reached its end."""
        return self._workflow("workflow.completed", common, workflow_id, workflow_name)

    def workflow_failed(
        self, *, workflow_id: str, workflow_name: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that a workflow broke off; `reason` says why."""
        return self._workflow(
            "workflow.failed", common, workflow_id, workflow_name, needs=("reason",), outcome="failure"
        )

    def _handoff(
        self,
        name: str,
        common: Common,
        *,
        handoff_id: str,
        from_agent: str,
        to_agent: str,
        needs: tuple[str, ...] = (),
        outcome: str = "success",
    ) -> Receipt:
        required(name, handoff_id=handoff_id, from_agent=from_agent, to_agent=to_agent)
        about = Resource("handoff", handoff_id)
        details = {"audit.handoff.from": from_agent, "audit.handoff.to": to_agent}
        return self._record(name, common, needs=needs, about=about, outcome=outcome, details=details)

    def _workflow(
        self,
        name: str,
        common: Common,
        workflow_id: str,
        workflow_name: str | None,
        *,
        needs: tuple[str, ...] = (),
        outcome: str = "success",
    ) -> Receipt:
        required(name, workflow_id=workflow_id)
        about, details = Resource("workflow", workflow_id), {"gen_ai.workflow.name": workflow_name}
        return self._record(name, common, needs=needs, about=about, outcome=outcome, details=details)
