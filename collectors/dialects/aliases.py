"""Which attribute fills which normalised column: one ordered table a column.

The first key in a column's list that a record carries with a usable value wins. Lists are ordered by dialect: OTel GenAI
(current names), OTel GenAI (deprecated names), OpenInference, Vercel AI SDK, OpenLLMetry (traceloop), Langfuse, then
names of single frameworks. A `reader` (see `readers`) turns a dialect's value into the column's vocabulary.
"""

from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """What a column holds."""

    TEXT = "text"
    COUNT = "count"
    AMOUNT = "amount"
    REASONS = "reasons"


@dataclass(frozen=True)
class Alias:
    """One attribute key that fills a column, and the reader for its values (None: as they are)."""

    key: str
    reader: str | None = None


def _aliases(*entries: str) -> tuple[Alias, ...]:
    """Aliases from `key` or `key | reader`."""
    pairs = (entry.partition(" | ") for entry in entries)
    return tuple(Alias(key, reader or None) for key, _, reader in pairs)


SPAN_COLUMNS: dict[str, tuple[Form, tuple[Alias, ...]]] = {
    "operation": (
        Form.TEXT,
        _aliases(
            "gen_ai.operation.name | operation",
            "openinference.span.kind | openinference_kind",
            "ai.operationId | vercel_operation",
            "traceloop.span.kind | traceloop_kind",
            "llm.request.type | request_type",
            "langfuse.observation.type | langfuse_type",
            "langsmith.span.kind | langsmith_kind",
            "mcp.method.name | mcp_method",
        ),
    ),
    "provider": (
        Form.TEXT,
        _aliases(
            "gen_ai.provider.name | provider",
            "gen_ai.system | provider",
            "llm.provider | provider",
            "llm.system | provider",
            "embedding.provider | provider",
            "ai.model.provider | provider",
            "langsmith.metadata.ls_provider | provider",
        ),
    ),
    "request_model": (
        Form.TEXT,
        _aliases(
            "gen_ai.request.model",
            "llm.invocation_parameters | json:model",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
            "ai.model.id",
            "llm.request.model",
            "langfuse.observation.model.name",
            "langsmith.metadata.ls_model_name",
        ),
    ),
    "response_model": (
        Form.TEXT,
        _aliases("gen_ai.response.model", "llm.model_name", "ai.response.model", "llm.response.model"),
    ),
    "agent_id": (Form.TEXT, _aliases("gen_ai.agent.id", "agent.id", "graph.node.id")),
    "agent_name": (Form.TEXT, _aliases("gen_ai.agent.name", "agent.name", "ai.agent.name")),
    "agent_version": (Form.TEXT, _aliases("gen_ai.agent.version", "agent.version")),
    "conversation_id": (
        Form.TEXT,
        _aliases(
            "gen_ai.conversation.id",
            "gen_ai.thread.id",
            "gen_ai.openai.thread.id",
            "traceloop.association.properties.conversation_id",
            "traceloop.association.properties.thread_id",
            "langsmith.metadata.thread_id",
        ),
    ),
    "workflow_name": (
        Form.TEXT,
        _aliases("gen_ai.workflow.name", "ai.telemetry.functionId", "traceloop.workflow.name", "langfuse.trace.name"),
    ),
    "tool_name": (Form.TEXT, _aliases("gen_ai.tool.name", "tool.name", "ai.toolCall.name", "mcp.tool.name")),
    "tool_call_id": (Form.TEXT, _aliases("gen_ai.tool.call.id", "tool_call.id", "tool.id", "ai.toolCall.id")),
    "prompt_name": (
        Form.TEXT,
        _aliases(
            "gen_ai.prompt.name",
            "prompt.id",
            "traceloop.prompt.key",
            "langfuse.observation.prompt.name",
            "langfuse.prompt.name",
        ),
    ),
    "prompt_version": (
        Form.TEXT,
        _aliases(
            "gen_ai.prompt.version",
            "llm.prompt_template.version",
            "traceloop.prompt.version",
            "langfuse.observation.prompt.version",
            "langfuse.prompt.version",
        ),
    ),
    "input_tokens": (
        Form.COUNT,
        _aliases(
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.token_count.prompt",
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
            "ai.usage.tokens",
            "llm.usage.prompt_tokens",
            "langfuse.observation.usage_details | json:input",
            "langfuse.observation.usage_details | json:prompt_tokens",
        ),
    ),
    "output_tokens": (
        Form.COUNT,
        _aliases(
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
            "ai.usage.outputTokens",
            "ai.usage.completionTokens",
            "llm.usage.completion_tokens",
            "langfuse.observation.usage_details | json:output",
            "langfuse.observation.usage_details | json:completion_tokens",
        ),
    ),
    "cache_read_tokens": (
        Form.COUNT,
        _aliases(
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "llm.token_count.prompt_details.cache_read",
            "ai.usage.cachedInputTokens",
            "llm.usage.cache_read_input_tokens",
            "langfuse.observation.usage_details | json:cache_read_input_tokens",
            "langfuse.observation.usage_details | json:input_cached_tokens",
        ),
    ),
    "reasoning_tokens": (
        Form.COUNT,
        _aliases(
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
            "ai.usage.reasoningTokens",
            "llm.usage.reasoning_tokens",
            "langfuse.observation.usage_details | json:output_reasoning_tokens",
        ),
    ),
    "cost": (
        Form.AMOUNT,
        _aliases(
            "gen_ai.usage.cost",
            "gen_ai.usage.total_cost",
            "llm.cost.total",
            "llm.usage.cost",
            "langfuse.observation.cost_details | json:total",
        ),
    ),
    "finish_reasons": (
        Form.REASONS,
        _aliases(
            "gen_ai.response.finish_reasons",
            "gen_ai.response.finish_reason",
            "gen_ai.completion.0.finish_reason",
            "llm.finish_reason",
            "ai.response.finishReason",
            "llm.response.finish_reason",
            "llm.response.stop_reason",
        ),
    ),
    "error_type": (Form.TEXT, _aliases("error.type", "exception.type")),
    "user_id": (
        Form.TEXT,
        _aliases(
            "user.id",
            "enduser.id",
            "ai.telemetry.metadata.userId",
            "traceloop.association.properties.user_id",
            "langfuse.user.id",
            "langfuse.trace.user_id",
            "llm.user",
        ),
    ),
    "session_id": (
        Form.TEXT,
        _aliases(
            "session.id",
            "ai.telemetry.metadata.sessionId",
            "traceloop.association.properties.session_id",
            "langfuse.session.id",
            "langfuse.trace.session_id",
            "langsmith.metadata.session_id",
            "gcp.vertex.agent.session_id",
        ),
    ),
    # Traceloop names tool, agent and workflow alike; its span kind says which it is (see `normalise`).
    "entity_name": (Form.TEXT, _aliases("traceloop.entity.name")),
    "entity_kind": (Form.TEXT, _aliases("traceloop.span.kind")),
    # Where a span does not say its finish reason, the answer that it carries may.
    "answer": (Form.TEXT, _aliases("output.value")),
}
"""Normalised columns of spans. `cost`, `entity_*` and `answer` are inputs to others, not columns of the table."""

AUDIT_COLUMNS: dict[str, tuple[Form, tuple[Alias, ...]]] = {
    "event_name": (Form.TEXT, _aliases("event.name")),
    "actor_id": (Form.TEXT, _aliases("audit.actor.id")),
    "actor_type": (Form.TEXT, _aliases("audit.actor.type")),
    "on_behalf_of": (Form.TEXT, _aliases("audit.on_behalf_of")),
    "action": (Form.TEXT, _aliases("audit.action")),
    "resource_type": (Form.TEXT, _aliases("audit.resource.type")),
    "resource_id": (Form.TEXT, _aliases("audit.resource.id")),
    "outcome": (Form.TEXT, _aliases("audit.outcome")),
    "reason": (Form.TEXT, _aliases("audit.reason")),
    "policy_id": (Form.TEXT, _aliases("audit.policy.id")),
    "policy_version": (Form.TEXT, _aliases("audit.policy.version")),
    "approval_id": (Form.TEXT, _aliases("audit.approval.id")),
    "action_digest": (Form.TEXT, _aliases("audit.action.digest")),
    "expires_unix_nano": (Form.COUNT, _aliases("audit.expires_unix_nano")),
    "subject_id": (Form.TEXT, _aliases("audit.subject.id")),
    "agent_id": SPAN_COLUMNS["agent_id"],
    "agent_name": SPAN_COLUMNS["agent_name"],
}
"""Columns of log records and audit events (OTEP 0267). `agent_*` serve the key's scope and `contents`."""

RESOURCE_COLUMNS: dict[str, tuple[Form, tuple[Alias, ...]]] = {
    "service_name": (Form.TEXT, _aliases("service.name")),
    "agent_id": (Form.TEXT, _aliases("gen_ai.agent.id")),
    "agent_name": (Form.TEXT, _aliases("gen_ai.agent.name")),
    "agent_version": (Form.TEXT, _aliases("gen_ai.agent.version")),
}
"""What is read off a resource; agent columns serve the records below it that name no agent."""

EVENT_COLUMNS: dict[str, tuple[Form, tuple[Alias, ...]]] = {
    "error_type": (Form.TEXT, _aliases("exception.type")),
}
"""What is read off a span's events."""
