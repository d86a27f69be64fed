"""One run of an agent: one trace, or one part of a trace that another agent began.

A run is a cursor in simulated time. Spans open and close at the cursor and model and tool calls move it, so a child
always lies inside its parent.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, format_trace_id
from opentelemetry.util.types import AnyValue, AttributeValue

from muniment.demo.audit import Actor, Event, call_attributes, context_of, record_event
from muniment.demo.calendar import SECOND
from muniment.demo.calls import Lookup, ModelCall, Task, ToolUse
from muniment.demo.dialects import VOCABULARIES
from muniment.demo.fleet import Agent, Dialect
from muniment.demo.world import World

_LONGEST_MODEL_CALL = 25.0
_LONGEST_TOOL_CALL = 15.0
_ATTEMPTS = 3
_RATE_LIMITED_SHARE = 0.008
_CHARACTERS_PER_TOKEN = 4
_SEVERITIES = {"INFO": SeverityNumber.INFO, "WARN": SeverityNumber.WARN, "ERROR": SeverityNumber.ERROR}


class Run:
    """A run in progress; made by `start_run`."""

    def __init__(self, world: World, task: Task, at: int, span: Span) -> None:
        self.world = world
        self.task = task
        self.now = at
        self.span = span
        self._answer = ""
        self._vocabulary = VOCABULARIES[task.agent.dialect]
        self._recorder = world.recorder(task.agent)
        self._source = world.state(task.agent).source_address

    @property
    def agent(self) -> Agent:
        """The agent that runs."""
        return self.task.agent

    @property
    def context(self) -> SpanContext:
        """Context of the run's own span."""
        return self.span.get_span_context()

    @property
    def trace_id(self) -> str:
        """Trace id in hex."""
        return format_trace_id(self.context.trace_id)

    @property
    def actor(self) -> Actor:
        """The agent as the actor of an event, on behalf of the user."""
        return Actor(self.agent.id, "agent", on_behalf_of=self.task.user)

    def use_source(self, address: str) -> None:
        """Let this run come from another network address than the agent's own."""
        self._source = address

    def wait(self, seconds: float) -> None:
        """Let time pass; never beyond the window's end."""
        self.now = min(self.now + int(seconds * SECOND), self.world.calendar.end)

    def chat(
        self, text: str, answer: str, *, wants: ToolUse | None = None, history: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Call the model: `text` goes in after `history`, `answer` comes out, with a tool call when one is wanted."""
        world, state, began = self.world, self.world.state(self.agent), self.now
        self._answer = answer
        call = self._model_call(text, answer, wants, history)
        seconds = call.first_token_seconds + call.output_tokens * world.around(call.model.seconds_per_token, 0.15)
        slow = world.troubles.slowdown(self.agent, self.now)
        if slow is not None:
            seconds *= slow.data["factor"]
            slow.seen_in(self.trace_id, self.now)
        name, attributes = self._vocabulary.model(self.task, call)
        if world.chance(_RATE_LIMITED_SHARE):
            self._rate_limited(name, attributes, call)
        span = self._open(name, SpanKind.CLIENT, attributes)
        seconds = min(seconds, _LONGEST_MODEL_CALL)
        self.wait(seconds)
        span.end(self.now)
        switched = world.troubles.model_switched
        if self.agent.id == switched.agent and state.model.name == switched.data["to_model"]:
            switched.seen_in(self.trace_id, began)
        self._recorder.measure(
            seconds=seconds,
            tokens={"input": call.input_tokens, "output": call.output_tokens},
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": call.model.provider,
                "gen_ai.request.model": call.model.name,
            },
        )
        priced = self.agent.dialect is Dialect.OPENINFERENCE
        world.tally.used(
            self.agent,
            input_tokens=call.input_tokens,
            output_tokens=call.output_tokens,
            cost_usd=call.cost_usd if priced else None,
        )
        self.wait(world.around(0.012))

    def _model_call(
        self, text: str, answer: str, wants: ToolUse | None, history: Sequence[tuple[str, str]]
    ) -> ModelCall:
        world, state = self.world, self.world.state(self.agent)
        messages = (*history, ("user", text))
        read = sum(len(part) for _, part in messages) + len(self.agent.instructions)
        input_tokens = int(world.around(620.0, 0.45)) + read // _CHARACTERS_PER_TOKEN
        cached = input_tokens // 128 * 64 if world.chance(0.4) else 0
        return ModelCall(
            model=state.model,
            response_id=world.ids.name("resp", 20),
            prompt_name=f"{self.agent.service_name}/{self.task.workflow}",
            prompt_version=str(state.prompt_version),
            messages=messages,
            answer=answer,
            wants=wants,
            input_tokens=input_tokens,
            output_tokens=max(8, len(answer) // _CHARACTERS_PER_TOKEN + int(world.around(46.0, 0.5))),
            cache_read_tokens=cached,
            first_token_seconds=world.around(state.model.first_token_seconds, 0.3),
        )

    def _rate_limited(self, name: str, attributes: Mapping[str, AttributeValue], call: ModelCall) -> None:
        """A first attempt that the provider turns away; it used no tokens and got no answer."""
        asked = {
            key: value
            for key, value in attributes.items()
            if not any(part in key for part in ("usage", "token", "response", "completion", "output", "cost", "finish"))
        }
        span = self._open(name, SpanKind.CLIENT, {**asked, "error.type": "rate_limit_exceeded"})
        self.wait(self.world.around(0.2))
        span.set_status(StatusCode.ERROR, "429 Too Many Requests")
        span.end(self.now)
        self.log("WARN", f"{call.model.provider} answered 429, retrying", {"retry.attempt": 1})
        self.wait(self.world.around(1.5))

    def plan(self, tool: str, arguments: Mapping[str, Any], result: Mapping[str, Any]) -> ToolUse:
        """A tool call to make, with a new id."""
        return ToolUse(self.world.ids.name("call", 16), self.agent.tool(tool), arguments, result)

    def act(self, text: str, answer: str, use: ToolUse) -> bool:
        """Ask the model, which wants a tool, and call that; False when the tool failed for good."""
        self.chat(text, answer, wants=use)
        return self.call(use)

    def call(self, use: ToolUse) -> bool:
        """Call a tool, up to three times; False when it failed each time."""
        for attempt in range(1, _ATTEMPTS + 1):
            trouble = self.world.troubles.failing(self.agent, use.tool.name, self.now)
            if trouble is not None:
                trouble.seen_in(self.trace_id, self.now)
            if trouble is None and not self.world.chance(use.tool.failing_share):
                self._call_once(use, None)
                return True
            self._call_once(use, use.tool.error_type)
            self.log(
                "WARN" if attempt < _ATTEMPTS else "ERROR",
                f"{use.tool.name} failed: {use.tool.error_type} (attempt {attempt} of {_ATTEMPTS})",
                {"tool.name": use.tool.name, "retry.attempt": attempt, "exception.type": use.tool.error_type},
            )
            self.wait(self.world.around(0.4 * attempt, 0.2))
        return False

    def _call_once(self, use: ToolUse, error_type: str | None) -> None:
        name, attributes = self._vocabulary.tool(self.task, use)
        if error_type is not None:
            result = use.result_text
            attributes = {key: value for key, value in attributes.items() if value != result}
            attributes["error.type"] = error_type
        span = self._open(name, SpanKind.INTERNAL, attributes)
        seconds = self.world.around(use.tool.median_seconds, 0.4)
        self.wait(min(10.0 if error_type == "TimeoutError" else seconds, _LONGEST_TOOL_CALL))
        if error_type is not None:
            message = f"{use.tool.name} did not answer" if "Timeout" in error_type else f"{use.tool.name} refused"
            span.add_event(
                "exception", {"exception.type": error_type, "exception.message": message}, timestamp=self.now
            )
            span.set_status(StatusCode.ERROR, message)
        span.end(self.now)
        self.wait(self.world.around(0.004))

    def look_up(self, source: str, query: str, documents: Sequence[tuple[str, float, str]]) -> None:
        """Retrieve documents from a data source."""
        name, attributes = self._vocabulary.lookup(self.task, Lookup(source, query, documents))
        span = self._open(name, SpanKind.CLIENT, attributes)
        self.wait(min(self.world.around(0.09, 0.5), _LONGEST_TOOL_CALL))
        span.end(self.now)
        self.wait(self.world.around(0.003))

    def step(self, name: str, attributes: Mapping[str, AttributeValue], seconds: float) -> None:
        """A span of the agent's own code, without a model: parsing, checking, storing."""
        span = self._open(name, SpanKind.INTERNAL, attributes)
        self.wait(self.world.around(seconds, 0.4))
        span.end(self.now)

    def record(self, event: Event, **overrides: Any) -> None:
        """Record an audit event of the agent, in this trace."""
        record_event(
            self._recorder, self.world.ids, replace(event, **overrides) if overrides else event, self.now, self.context
        )
        self.wait(0.001)

    def decided(
        self,
        action: str,
        resource: tuple[str, str],
        *,
        allowed: bool,
        policy: tuple[str, str],
        reason: str | None = None,
        use: ToolUse | None = None,
    ) -> None:
        """Record that a policy decided whether the agent may do something, with which credential and from where."""
        self.record(
            Event(
                "access.decided",
                self.actor,
                action,
                *resource,
                outcome="success" if allowed else "denied",
                reason=reason,
                policy=policy,
                extra={
                    "audit.credential.id": self.world.state(self.agent).credential_id,
                    "source.address": self._source,
                    **(call_attributes(use) if use else {}),
                },
            )
        )

    def message(self, channel: str, recipient: str, body: str) -> None:
        """Record that the agent wrote to somebody."""
        details = {"audit.message.channel": channel, "audit.message.recipient": recipient}
        message_id = self.world.ids.name("msg")
        event = Event("message.sent", self.actor, "send", "message", message_id, body=body, extra=details)
        self.record(event, subject_id=self.task.user)

    def handoff(
        self, name: str, handoff_id: str, to_agent: str, *, from_agent: str | None = None, reason: str | None = None
    ) -> None:
        """Record a `handoff.*` event."""
        details = {"audit.handoff.from": from_agent or self.agent.id, "audit.handoff.to": to_agent}
        outcome = "denied" if name == "declined" else "success"
        event = Event(f"handoff.{name}", self.actor, "hand over", "handoff", handoff_id, outcome=outcome, reason=reason)
        self.record(event, extra=details)

    def escalate(self, reason: str) -> None:
        """Hand the case over to a human."""
        self.handoff("requested", self.world.ids.name("hnd"), self.world.approver(self.agent), reason=reason)
        self.log("WARN", f"escalated to a human: {reason}")

    def evaluated(self, name: str, score: float) -> None:
        """Record an evaluation of this run."""
        label = "pass" if score >= 0.7 else "fail"  # noqa: PLR2004 - the evaluators' threshold
        self.record(
            Event(
                "evaluation.recorded",
                Actor("evaluator", "service"),
                "evaluate",
                "run",
                self.task.conversation,
                outcome="success" if label == "pass" else "failure",
                extra={
                    "gen_ai.evaluation.name": name,
                    "gen_ai.evaluation.score.value": round(score, 3),
                    "gen_ai.evaluation.score.label": label,
                },
            )
        )

    def log(self, severity: str, body: str, attributes: Mapping[str, AnyValue] | None = None) -> None:
        """Write an application log record."""
        self._recorder.logger.emit(
            timestamp=self.now,
            observed_timestamp=self.now,
            context=context_of(self.context),
            severity_number=_SEVERITIES[severity],
            severity_text=severity,
            body=body,
            attributes={"workflow": self.task.workflow, **(attributes or {})},
        )

    def fail(self, error_type: str, message: str) -> None:
        """Mark the whole run as failed."""
        self.span.set_attribute("error.type", error_type)
        self.span.set_status(StatusCode.ERROR, message)
        self.log("ERROR", message, {"exception.type": error_type})

    def _open(self, name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue]) -> Span:
        return self._recorder.tracer.start_span(
            name, context=context_of(self.context), kind=kind, attributes=attributes, start_time=self.now
        )

    def close(self) -> None:
        """End the run's span with the last answer."""
        if self._answer:
            self.span.set_attributes(self._vocabulary.outcome(self._answer))
        self.wait(self.world.around(0.006))
        self.span.end(self.now)


@contextmanager
def start_run(
    world: World,
    agent: Agent,
    at: int,
    *,
    workflow: str,
    text: str,
    user: str,
    links: Sequence[SpanContext] = (),
    within: Run | None = None,
    conversation: str | None = None,
) -> Iterator[Run]:
    """Start a run: a trace of its own, linked to `links`, or a part of the trace of `within`, whose time it takes."""
    task = Task(
        agent=agent,
        model=world.state(agent).model,
        version=world.state(agent).version,
        workflow=workflow,
        text=text,
        user=user,
        session=world.ids.name("ses"),
        conversation=conversation or world.ids.name("conv"),
    )
    name, attributes = VOCABULARIES[agent.dialect].task(task)
    span = world.recorder(agent).tracer.start_span(
        name,
        context=context_of(within.context if within else None),
        kind=SpanKind.INTERNAL if within is None else SpanKind.SERVER,
        attributes=attributes,
        links=[Link(context, {"link.reason": "handoff"}) for context in links],
        start_time=at,
    )
    run = Run(world, task, at, span)
    world.tally.of(agent).runs += 1
    run.wait(world.around(0.008))
    yield run
    run.close()
    if within is not None:
        within.now = run.now
