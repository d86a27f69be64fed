"""How each agent's instrumentation writes down the same things.

`gen_ai` follows the OpenTelemetry GenAI semantic conventions as they are; `openinference`, `vercel` and `traceloop`
write what the instrumentations of those names write. A dialect makes (span name, attributes); the kinds are the same
for all.
"""

import json
from collections.abc import Mapping
from typing import Protocol

from opentelemetry.util.types import AttributeValue

from muniment.demo.calls import Lookup, ModelCall, Task, ToolUse
from muniment.demo.fleet import Dialect

Attributes = dict[str, AttributeValue]
Named = tuple[str, Attributes]


class Vocabulary(Protocol):
    """A dialect. Each function MUST be pure: the same call gives the same attributes."""

    def task(self, task: Task) -> Named:
        """The span of an agent's run."""
        ...

    def model(self, task: Task, call: ModelCall) -> Named:
        """The span of a model call."""
        ...

    def tool(self, task: Task, use: ToolUse) -> Named:
        """The span of a tool call."""
        ...

    def lookup(self, task: Task, lookup: Lookup) -> Named:
        """The span of a retrieval."""
        ...

    def outcome(self, text: str) -> Attributes:
        """What the span of a run gains when it ends."""
        ...


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class GenAi:
    """OpenTelemetry GenAI semantic conventions."""

    def task(self, task: Task) -> Named:
        """`invoke_agent {name}`."""
        return f"invoke_agent {task.agent.name}", {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": task.model.provider,
            "gen_ai.agent.description": task.agent.instructions,
            **self._who(task),
            "gen_ai.input.messages": _json([{"role": "user", "parts": [{"type": "text", "content": task.text}]}]),
            "user.id": task.user,
            "session.id": task.session,
        }

    def model(self, task: Task, call: ModelCall) -> Named:
        """`chat {model}`."""
        parts: list[dict[str, object]] = [{"type": "text", "content": call.answer}]
        if call.wants:
            arguments = dict(call.wants.arguments)
            parts.append(
                {"type": "tool_call", "id": call.wants.id, "name": call.wants.tool.name, "arguments": arguments}
            )
        messages = [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in call.messages]
        return f"chat {call.model.name}", {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": call.model.provider,
            "gen_ai.request.model": call.model.name,
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 2048,
            "gen_ai.response.id": call.response_id,
            "gen_ai.response.model": call.model.response_name,
            "gen_ai.response.finish_reasons": (call.finish_reason,),
            "gen_ai.response.time_to_first_chunk": round(call.first_token_seconds, 6),
            "gen_ai.usage.input_tokens": call.input_tokens,
            "gen_ai.usage.output_tokens": call.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": call.cache_read_tokens,
            "gen_ai.prompt.name": call.prompt_name,
            "gen_ai.prompt.version": call.prompt_version,
            **self._who(task),
            "server.address": call.model.address,
            "server.port": 443,
            "gen_ai.system_instructions": _json([{"type": "text", "content": task.agent.instructions}]),
            "gen_ai.input.messages": _json(messages),
            "gen_ai.output.messages": _json(
                [{"role": "assistant", "parts": parts, "finish_reason": call.finish_reason}]
            ),
        }

    def tool(self, task: Task, use: ToolUse) -> Named:
        """`execute_tool {name}`."""
        return f"execute_tool {use.tool.name}", {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": use.tool.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.description": use.tool.description,
            "gen_ai.tool.call.id": use.id,
            "gen_ai.tool.call.arguments": use.arguments_text,
            "gen_ai.tool.call.result": use.result_text,
            **self._who(task),
        }

    def lookup(self, task: Task, lookup: Lookup) -> Named:
        """`retrieval {source}`."""
        found = [{"id": key, "score": score, "content": text} for key, score, text in lookup.documents]
        return f"retrieval {lookup.source}", {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": lookup.source,
            "gen_ai.retrieval.query.text": lookup.query,
            "gen_ai.retrieval.top_k": len(lookup.documents),
            "gen_ai.retrieval.documents": _json(found),
            **self._who(task),
        }

    def outcome(self, text: str) -> Attributes:
        """The answer as an output message."""
        message = {"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}
        return {"gen_ai.output.messages": _json([message])}

    @staticmethod
    def _who(task: Task) -> Attributes:
        return {
            "gen_ai.agent.id": task.agent.id,
            "gen_ai.agent.name": task.agent.name,
            "gen_ai.agent.version": task.version,
            "gen_ai.conversation.id": task.conversation,
            "gen_ai.workflow.name": task.workflow,
        }


class OpenInference:
    """OpenInference semantic conventions: flattened messages, token counts and the sender's own cost."""

    def task(self, task: Task) -> Named:
        """An AGENT span."""
        return task.agent.service_name, {
            "openinference.span.kind": "AGENT",
            "agent.name": task.agent.name,
            "session.id": task.session,
            "user.id": task.user,
            "input.value": task.text,
            "input.mime_type": "text/plain",
            "metadata": _json({"workflow": task.workflow, "agent_id": task.agent.id, "agent_version": task.version}),
            "tag.tags": (task.workflow, task.agent.tenant),
        }

    def model(self, task: Task, call: ModelCall) -> Named:
        """An LLM span."""
        attributes: Attributes = {
            "openinference.span.kind": "LLM",
            "llm.model_name": call.model.name,
            "llm.provider": call.model.provider,
            "llm.system": call.model.provider,
            "llm.invocation_parameters": _json({"model": call.model.name, "temperature": 0.2, "max_tokens": 2048}),
            "llm.token_count.prompt": call.input_tokens,
            "llm.token_count.completion": call.output_tokens,
            "llm.token_count.total": call.input_tokens + call.output_tokens,
            "llm.token_count.prompt_details.cache_read": call.cache_read_tokens,
            "llm.cost.total": call.cost_usd,
            "llm.finish_reason": call.finish_reason,
            "llm.prompt_template.template": task.agent.instructions,
            "llm.prompt_template.version": call.prompt_version,
            "session.id": task.session,
            "output.value": call.answer,
            "output.mime_type": "text/plain",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": call.answer,
        }
        for index, (role, text) in enumerate((("system", task.agent.instructions), *call.messages)):
            attributes[f"llm.input_messages.{index}.message.role"] = role
            attributes[f"llm.input_messages.{index}.message.content"] = text
        if call.wants:
            prefix = "llm.output_messages.0.message.tool_calls.0.tool_call"
            attributes[f"{prefix}.id"] = call.wants.id
            attributes[f"{prefix}.function.name"] = call.wants.tool.name
            attributes[f"{prefix}.function.arguments"] = call.wants.arguments_text
        return "ChatModel", attributes

    def tool(self, task: Task, use: ToolUse) -> Named:
        """A TOOL span."""
        return use.tool.name, {
            "openinference.span.kind": "TOOL",
            "tool.name": use.tool.name,
            "tool.description": use.tool.description,
            "tool.parameters": use.arguments_text,
            "tool_call.id": use.id,
            "session.id": task.session,
            "input.value": use.arguments_text,
            "input.mime_type": "application/json",
            "output.value": use.result_text,
            "output.mime_type": "application/json",
        }

    def lookup(self, task: Task, lookup: Lookup) -> Named:
        """A RETRIEVER span."""
        attributes: Attributes = {
            "openinference.span.kind": "RETRIEVER",
            "session.id": task.session,
            "input.value": lookup.query,
            "input.mime_type": "text/plain",
        }
        for index, (key, score, text) in enumerate(lookup.documents):
            prefix = f"retrieval.documents.{index}.document"
            attributes[f"{prefix}.id"] = key
            attributes[f"{prefix}.score"] = score
            attributes[f"{prefix}.content"] = text
        return f"{lookup.source} retriever", attributes

    def outcome(self, text: str) -> Attributes:
        """The answer as the span's output."""
        return {"output.value": text, "output.mime_type": "text/plain"}


class Vercel:
    """Vercel AI SDK: `ai.*`, beside the deprecated `gen_ai.*` names that it writes on model calls."""

    def task(self, task: Task) -> Named:
        """`ai.generateText`."""
        return "ai.generateText", {
            **self._operation("ai.generateText", task),
            "ai.model.id": task.model.name,
            "ai.model.provider": f"{task.model.provider}.responses",
            "ai.settings.maxRetries": 2,
            "ai.telemetry.metadata.userId": task.user,
            "ai.telemetry.metadata.sessionId": task.session,
            "ai.telemetry.metadata.agentId": task.agent.id,
            "ai.prompt": _json({"system": task.agent.instructions, "prompt": task.text}),
        }

    def model(self, task: Task, call: ModelCall) -> Named:
        """`ai.generateText.doGenerate`."""
        provider = f"{call.model.provider}.responses"
        finish = "tool-calls" if call.wants else "stop"
        messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in call.messages]
        attributes: Attributes = {
            **self._operation("ai.generateText.doGenerate", task),
            "ai.model.id": call.model.name,
            "ai.model.provider": provider,
            "ai.prompt.messages": _json([{"role": "system", "content": task.agent.instructions}, *messages]),
            "ai.response.finishReason": finish,
            "ai.response.id": call.response_id,
            "ai.response.model": call.model.response_name,
            "ai.response.text": call.answer,
            "ai.response.msToFirstChunk": round(call.first_token_seconds * 1000, 3),
            "ai.usage.promptTokens": call.input_tokens,
            "ai.usage.completionTokens": call.output_tokens,
            "ai.usage.cachedInputTokens": call.cache_read_tokens,
            "gen_ai.system": provider,
            "gen_ai.request.model": call.model.name,
            "gen_ai.response.id": call.response_id,
            "gen_ai.response.model": call.model.response_name,
            "gen_ai.response.finish_reasons": (finish,),
            "gen_ai.usage.input_tokens": call.input_tokens,
            "gen_ai.usage.output_tokens": call.output_tokens,
        }
        if call.wants:
            wanted = {"toolCallId": call.wants.id, "toolName": call.wants.tool.name, "input": call.wants.arguments_text}
            attributes["ai.response.toolCalls"] = _json([wanted])
        return "ai.generateText.doGenerate", attributes

    def tool(self, task: Task, use: ToolUse) -> Named:
        """`ai.toolCall`."""
        return "ai.toolCall", {
            **self._operation("ai.toolCall", task),
            "ai.toolCall.name": use.tool.name,
            "ai.toolCall.id": use.id,
            "ai.toolCall.args": use.arguments_text,
            "ai.toolCall.result": use.result_text,
        }

    def lookup(self, task: Task, lookup: Lookup) -> Named:
        """`ai.embed`: the SDK has no span of its own for a retrieval."""
        return "ai.embed", {**self._operation("ai.embed", task), "ai.value": _json(lookup.query)}

    def outcome(self, text: str) -> Attributes:
        """The answer as `ai.response.text`."""
        return {"ai.response.text": text, "ai.response.finishReason": "stop"}

    @staticmethod
    def _operation(name: str, task: Task) -> Attributes:
        return {
            "operation.name": f"{name} {task.workflow}",
            "resource.name": task.workflow,
            "ai.operationId": name,
            "ai.telemetry.functionId": task.workflow,
        }


class Traceloop:
    """OpenLLMetry: `traceloop.*` beside indexed prompts and the deprecated token names; counts arrive as text at times."""

    def task(self, task: Task) -> Named:
        """A workflow span."""
        return f"{task.workflow}.workflow", {
            "traceloop.span.kind": "workflow",
            "traceloop.entity.input": _json({"inputs": {"question": task.text}}),
            **self._entity(task, task.workflow),
        }

    def model(self, task: Task, call: ModelCall) -> Named:
        """A chat span with indexed prompts."""
        attributes: Attributes = {
            "gen_ai.system": call.model.provider,
            "llm.request.type": "chat",
            "gen_ai.request.model": call.model.name,
            "gen_ai.response.model": call.model.response_name,
            "gen_ai.response.id": call.response_id,
            "gen_ai.request.temperature": 0.2,
            "gen_ai.usage.prompt_tokens": call.input_tokens,
            "gen_ai.usage.completion_tokens": str(call.output_tokens),
            "llm.usage.total_tokens": call.input_tokens + call.output_tokens,
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": call.answer,
            "gen_ai.completion.0.finish_reason": call.finish_reason,
            **self._entity(task, "chat"),
        }
        for index, (role, text) in enumerate((("system", task.agent.instructions), *call.messages)):
            attributes[f"gen_ai.prompt.{index}.role"] = role
            attributes[f"gen_ai.prompt.{index}.content"] = text
        if call.wants:
            attributes["gen_ai.completion.0.tool_calls.0.id"] = call.wants.id
            attributes["gen_ai.completion.0.tool_calls.0.name"] = call.wants.tool.name
            attributes["gen_ai.completion.0.tool_calls.0.arguments"] = call.wants.arguments_text
        return f"{call.model.provider}.chat", attributes

    def tool(self, task: Task, use: ToolUse) -> Named:
        """A tool span."""
        return f"{use.tool.name}.tool", {
            "traceloop.span.kind": "tool",
            "traceloop.entity.input": use.arguments_text,
            "traceloop.entity.output": use.result_text,
            **self._entity(task, use.tool.name),
        }

    def lookup(self, task: Task, lookup: Lookup) -> Named:
        """A task span."""
        found = [{"id": key, "score": score, "content": text} for key, score, text in lookup.documents]
        return f"{lookup.source}.task", {
            "traceloop.span.kind": "task",
            "traceloop.entity.input": lookup.query,
            "traceloop.entity.output": _json(found),
            **self._entity(task, lookup.source),
        }

    def outcome(self, text: str) -> Attributes:
        """The answer as the entity's output."""
        return {"traceloop.entity.output": text}

    @staticmethod
    def _entity(task: Task, name: str) -> Attributes:
        return {
            "traceloop.entity.name": name,
            "traceloop.workflow.name": task.workflow,
            "traceloop.association.properties.user_id": task.user,
            "traceloop.association.properties.session_id": task.session,
        }


VOCABULARIES: Mapping[Dialect, Vocabulary] = {
    Dialect.GEN_AI: GenAi(),
    Dialect.OPENINFERENCE: OpenInference(),
    Dialect.VERCEL: Vercel(),
    Dialect.TRACELOOP: Traceloop(),
}
