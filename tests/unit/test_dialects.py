"""Which attribute fills which normalised column, dialect by dialect, and which of several wins."""

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from collectors.contents import KEYS
from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.dialects.aliases import AUDIT_COLUMNS, SPAN_COLUMNS
from collectors.exports import Export, IntakeLimits, Sender, Signal
from warehouse.tables import SPANS

NOW = 1_790_000_000_000_000_000
Attributes = dict[str, Any]


def _value(value: Any) -> AnyValue:
    if isinstance(value, list):
        made = AnyValue()
        made.array_value.values.extend(_value(member) for member in value)
        return made
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
    return AnyValue(**{kinds[type(value)]: value})


def normalised(
    attributes: Attributes, name: str = "call", events: list[tuple[str, Attributes]] | None = None
) -> Attributes:
    """The normalised columns, decoded between two spans of other dialects so that rows could mix up."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for given, span_name in (({"gen_ai.tool.name": "x"}, "a"), (attributes, name), ({"llm.provider": "y"}, "b")):
        span = spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=NOW, name=span_name)
        for key, value in given.items():
            span.attributes.add(key=key).value.CopyFrom(_value(value))
    for event_name, given in events or []:
        event = spans[1].events.add(name=event_name)
        for key, value in given.items():
            event.attributes.add(key=key).value.CopyFrom(_value(value))
    sender = Sender(tenant_id="acme", key_id="k", recorded_by="key:k", peer="p")
    export = Export(Signal.TRACES, request.SerializeToString(), sender, NOW, b"d" * 16)
    group = decode_group([export], limits=IntakeLimits(), prices=PriceBook())
    row: Attributes = group.records.tables["spans"].to_pylist()[1]
    return {column: row[column] for column in SPAN_COLUMNS if column in SPANS.schema.names and row[column] is not None}


DIALECTS: dict[str, tuple[Attributes, Attributes]] = {
    "OTel GenAI": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024",
            "gen_ai.agent.id": "a1",
            "gen_ai.agent.name": "buyer",
            "gen_ai.agent.version": "2",
            "gen_ai.conversation.id": "c1",
            "gen_ai.workflow.name": "w1",
            "gen_ai.tool.name": "search",
            "gen_ai.tool.call.id": "t1",
            "gen_ai.prompt.name": "p1",
            "gen_ai.prompt.version": "7",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 3,
            "gen_ai.usage.reasoning.output_tokens": 4,
            "gen_ai.response.finish_reasons": ["stop", "length"],
            "error.type": "timeout",
            "user.id": "u1",
            "session.id": "s1",
        },
        {
            "operation": "chat",
            "provider": "openai",
            "request_model": "gpt-4o",
            "response_model": "gpt-4o-2024",
            "agent_id": "a1",
            "agent_name": "buyer",
            "agent_version": "2",
            "conversation_id": "c1",
            "workflow_name": "w1",
            "tool_name": "search",
            "tool_call_id": "t1",
            "prompt_name": "p1",
            "prompt_version": "7",
            "input_tokens": 10,
            "output_tokens": 20,
            "cache_read_tokens": 3,
            "reasoning_tokens": 4,
            "finish_reasons": '["stop","length"]',
            "error_type": "timeout",
            "user_id": "u1",
            "session_id": "s1",
        },
    ),
    "OTel GenAI, deprecated": (
        {"gen_ai.system": "az.ai.openai", "gen_ai.usage.prompt_tokens": 1, "gen_ai.usage.completion_tokens": 2},
        {"provider": "azure.ai.openai", "input_tokens": 1, "output_tokens": 2},
    ),
    "OpenInference model call": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4-0613",
            "llm.provider": "OpenAI",
            "llm.invocation_parameters": '{"model":"gpt-4","temperature":0}',
            "llm.token_count.prompt": 97,
            "llm.token_count.completion": 52,
            "llm.token_count.prompt_details.cache_read": 1,
            "llm.token_count.completion_details.reasoning": 2,
            "llm.prompt_template.version": "v3",
            "session.id": "s",
            "user.id": "u",
            "output.value": '{"choices":[{"finish_reason": "stop","text":"he said \\"finish_reason\\":\\"no\\""}]}',
        },
        {
            "operation": "chat",
            "provider": "openai",
            "request_model": "gpt-4",
            "response_model": "gpt-4-0613",
            "input_tokens": 97,
            "output_tokens": 52,
            "cache_read_tokens": 1,
            "reasoning_tokens": 2,
            "prompt_version": "v3",
            "session_id": "s",
            "user_id": "u",
            "finish_reasons": '["stop"]',
        },
    ),
    "OpenInference tool": (
        {"openinference.span.kind": "TOOL", "tool.name": "search", "tool_call.id": "t"},
        {"operation": "execute_tool", "tool_name": "search", "tool_call_id": "t"},
    ),
    "OpenInference agent": (
        {"openinference.span.kind": "AGENT", "agent.name": "buyer"},
        {"operation": "invoke_agent", "agent_name": "buyer"},
    ),
    "Vercel AI SDK": (
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "claude",
            "ai.model.provider": "anthropic.messages",
            "ai.response.model": "claude-4",
            "ai.usage.promptTokens": "14",
            "ai.usage.completionTokens": "20",
            "ai.response.finishReason": "tool-calls",
            "ai.telemetry.functionId": "f",
        },
        {
            "operation": "chat",
            "provider": "anthropic",
            "request_model": "claude",
            "response_model": "claude-4",
            "input_tokens": 14,
            "output_tokens": 20,
            "finish_reasons": '["tool-calls"]',
            "workflow_name": "f",
        },
    ),
    "Vercel AI SDK tool": (
        {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "weather", "ai.toolCall.id": "t9"},
        {"operation": "execute_tool", "tool_name": "weather", "tool_call_id": "t9"},
    ),
    "traceloop agent": (
        {
            "traceloop.span.kind": "agent",
            "traceloop.entity.name": "buyer",
            "traceloop.workflow.name": "w",
            "traceloop.association.properties.session_id": "s",
            "traceloop.association.properties.user_id": "u",
        },
        {
            "operation": "invoke_agent",
            "agent_name": "buyer",
            "workflow_name": "w",
            "session_id": "s",
            "user_id": "u",
        },
    ),
    "traceloop tool": (
        {"traceloop.span.kind": "tool", "traceloop.entity.name": "search"},
        {"operation": "execute_tool", "tool_name": "search"},
    ),
    "traceloop workflow": (
        {"traceloop.span.kind": "workflow", "traceloop.entity.name": "w"},
        {"operation": "invoke_workflow", "workflow_name": "w"},
    ),
    "traceloop task": (
        {"traceloop.span.kind": "task", "traceloop.entity.name": "step"},
        {"operation": "task"},
    ),
    "Langfuse": (
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o",
            "langfuse.observation.usage_details": '{"input":5,"output":"6","cache_read_input_tokens":1}',
            "langfuse.observation.prompt.name": "p",
            "langfuse.observation.prompt.version": 4,
            "langfuse.user.id": "u",
            "langfuse.session.id": "s",
            "langfuse.trace.name": "t",
        },
        {
            "operation": "chat",
            "request_model": "gpt-4o",
            "input_tokens": 5,
            "output_tokens": 6,
            "cache_read_tokens": 1,
            "prompt_name": "p",
            "prompt_version": "4",
            "user_id": "u",
            "session_id": "s",
            "workflow_name": "t",
        },
    ),
    "MCP": (
        {"mcp.method.name": "tools/call", "gen_ai.tool.name": "x"},
        {"operation": "execute_tool", "tool_name": "x"},
    ),
    "nothing known": ({"custom": "x"}, {}),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(dialect):
    """Each dialect's names fill the columns in OTel's vocabulary."""
    attributes, expected = DIALECTS[dialect]
    assert normalised(attributes) == expected


PRECEDENCE: dict[str, tuple[Attributes, Attributes]] = {
    "current over deprecated, whatever the order": (
        {"gen_ai.system": "anthropic", "gen_ai.provider.name": "openai"},
        {"provider": "openai"},
    ),
    "deprecated over OpenInference": (
        {"llm.token_count.prompt": 1, "gen_ai.usage.prompt_tokens": 2},
        {"input_tokens": 2},
    ),
    "OpenInference over Vercel": (
        {"ai.model.id": "a", "llm.model_name": "b"},
        {"request_model": "b", "response_model": "b"},
    ),
    "an empty text does not count": ({"session.id": "", "langfuse.session.id": "s"}, {"session_id": "s"}),
    "a framework is no provider": ({"gen_ai.system": "langchain", "llm.provider": "openai"}, {"provider": "openai"}),
    "no number does not count": (
        {"gen_ai.usage.input_tokens": "many", "llm.token_count.prompt": "12"},
        {"input_tokens": 12},
    ),
    "a negative number does not count": ({"gen_ai.usage.input_tokens": -1}, {}),
    "counts as text, double and integer": (
        {"gen_ai.usage.input_tokens": " 12 ", "gen_ai.usage.output_tokens": 7.0, "llm.token_count.prompt": 1},
        {"input_tokens": 12, "output_tokens": 7},
    ),
    "a count with a point as text": ({"gen_ai.usage.input_tokens": "12.0"}, {"input_tokens": 12}),
    "half a token is none": ({"gen_ai.usage.output_tokens": 7.5}, {}),
    "bytes are no name": ({"session.id": b"x"}, {}),
    "numbers and booleans are names": ({"session.id": 5, "user.id": True}, {"session_id": "5", "user_id": "true"}),
    "finish reasons that are JSON text already": (
        {"gen_ai.response.finish_reasons": '["stop"]'},
        {"finish_reasons": '["stop"]'},
    ),
    "finish reason as a text": ({"gen_ai.response.finish_reasons": 'st"op'}, {"finish_reasons": '["st\\"op"]'}),
    "broken JSON says nothing": (
        {"llm.invocation_parameters": "{", "llm.model_name": "m"},
        {"request_model": "m", "response_model": "m"},
    ),
    "unknown operations stay": ({"gen_ai.operation.name": "my_own"}, {"operation": "my_own"}),
}


@pytest.mark.parametrize("case", PRECEDENCE)
def test_precedence_and_usable_values(case):
    """The first usable name of a column's list wins; a value of the wrong kind is passed over."""
    attributes, expected = PRECEDENCE[case]
    assert normalised(attributes) == expected


NAMES: dict[str, tuple[str, Attributes, Attributes]] = {
    "tool span named by convention": (
        "execute_tool search",
        {"gen_ai.operation.name": "execute_tool"},
        {"operation": "execute_tool", "tool_name": "search"},
    ),
    "tool span named by its tool": (
        "search",
        {"openinference.span.kind": "TOOL"},
        {"operation": "execute_tool", "tool_name": "search"},
    ),
    "agent span named by convention": (
        "invoke_agent buyer",
        {"gen_ai.operation.name": "invoke_agent"},
        {"operation": "invoke_agent", "agent_name": "buyer"},
    ),
    "agent span of ADK": (
        "agent_run [buyer]",
        {"openinference.span.kind": "AGENT"},
        {"operation": "invoke_agent", "agent_name": "buyer"},
    ),
    "another agent span's name is no agent's": (
        "Agent.run",
        {"openinference.span.kind": "AGENT"},
        {"operation": "invoke_agent"},
    ),
    "a tool name alone is a tool call": (
        "x",
        {"gen_ai.tool.name": "t"},
        {"operation": "execute_tool", "tool_name": "t"},
    ),
    "a model call's name is no tool": ("chat gpt-4o", {"gen_ai.operation.name": "chat"}, {"operation": "chat"}),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_of_spans(case):
    """Where no attribute says the tool or agent, the span's name may."""
    name, attributes, expected = NAMES[case]
    assert normalised(attributes, name) == expected


ERRORS: dict[str, tuple[Attributes, list[tuple[str, Attributes]], str | None]] = {
    "error.type wins": ({"error.type": "a", "exception.type": "b"}, [("exception", {"exception.type": "c"})], "a"),
    "exception on the span": ({"exception.type": "b"}, [("exception", {"exception.type": "c"})], "b"),
    "first exception event": (
        {},
        [("log", {"k": 1}), ("exception", {"exception.type": "c"}), ("exception", {"exception.type": "d"})],
        "c",
    ),
    "none": ({}, [("exception", {"exception.message": "m"})], None),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_type(case):
    """The error type is the span's own, else that of its first exception event."""
    attributes, events, expected = ERRORS[case]
    assert normalised(attributes, events=events).get("error_type") == expected


def test_every_column_names_its_aliases_once():
    """No column lists the same key and reader twice: the second could never win."""
    for column, (_, aliases) in SPAN_COLUMNS.items():
        assert len(set(aliases)) == len(aliases), column


def test_reference_names_every_alias():
    """The reference page lists each attribute that fills a column or is content."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "attributes.md").read_text(encoding="utf-8")
    tables = (SPAN_COLUMNS, AUDIT_COLUMNS)
    keys = {alias.key for table in tables for _, aliases in table.values() for alias in aliases} | KEYS
    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []
