"""Audit events as OpenTelemetry log records: the `audit.*` attributes after OTEP 0267."""

from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, set_span_in_context
from opentelemetry.util.types import AnyValue

from muniment.demo.calls import ToolUse
from muniment.demo.ids import SeededIds
from muniment.demo.recorder import Recorder


@dataclass(frozen=True)
class Actor:
    """Who did it: an agent, a human or a service."""

    id: str
    type: str
    on_behalf_of: str | None = None


@dataclass(frozen=True)
class Event:
    """One audit event. `extra` holds attributes outside `audit.*`; None leaves an attribute out."""

    name: str
    actor: Actor
    action: str
    resource_type: str
    resource_id: str
    outcome: str = "success"
    reason: str | None = None
    policy: tuple[str, str] | None = None
    approval_id: str | None = None
    subject_id: str | None = None
    expires_unix_nano: int | None = None
    body: str | None = None
    extra: Mapping[str, AnyValue] | None = None

    @property
    def attributes(self) -> dict[str, AnyValue]:
        """Everything but the record's own id and sequence."""
        policy_id, policy_version = self.policy or (None, None)
        found: dict[str, AnyValue] = {
            "audit.actor.id": self.actor.id,
            "audit.actor.type": self.actor.type,
            "audit.on_behalf_of": self.actor.on_behalf_of,
            "audit.action": self.action,
            "audit.resource.type": self.resource_type,
            "audit.resource.id": self.resource_id,
            "audit.outcome": self.outcome,
            "audit.reason": self.reason,
            "audit.policy.id": policy_id,
            "audit.policy.version": policy_version,
            "audit.approval.id": self.approval_id,
            "audit.subject.id": self.subject_id,
            "audit.expires_unix_nano": self.expires_unix_nano,
            **(self.extra or {}),
        }
        return {name: value for name, value in found.items() if value is not None}


def call_attributes(use: ToolUse) -> dict[str, AnyValue]:
    """The tool call that an event is about: the lake digests tool and arguments as it does an executed call's."""
    return {"gen_ai.tool.name": use.tool.name, "gen_ai.tool.call.arguments": use.arguments_text}


def record_event(recorder: Recorder, ids: SeededIds, event: Event, at: int, within: SpanContext | None) -> None:
    """Emit an audit event through the SDK's logger, with the trace context of the span `within`."""
    stream = f"{recorder.service.tenant}/{recorder.service.service_name}"
    failed = event.outcome in ("failure", "denied")
    recorder.audit_logger.emit(
        timestamp=at,
        observed_timestamp=at,
        context=context_of(within),
        severity_number=SeverityNumber.WARN if failed else SeverityNumber.INFO,
        severity_text="WARN" if failed else "INFO",
        body=event.body
        or f"{event.actor.id}: {event.action} {event.resource_type} {event.resource_id}, {event.outcome}",
        attributes={
            **event.attributes,
            "audit.record.id": ids.name("rec", 24),
            "audit.sequence.stream": stream,
            "audit.sequence.number": recorder.next_sequence(),
        },
        event_name=event.name,
    )


def context_of(span: SpanContext | None) -> Context:
    """An OpenTelemetry context in which `span` is current, or no span at all, whatever is current in this process."""
    return set_span_in_context(INVALID_SPAN if span is None else NonRecordingSpan(span), Context())
