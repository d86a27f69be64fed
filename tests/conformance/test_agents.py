"""Real traces of agent frameworks give the columns that their authors meant."""

import base64
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors.costs import PriceBook
from collectors.decode import DecodedGroup, decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal

CORPUS = Path(os.environ.get("MUNIMENT_CORPUS", Path(__file__).parents[2].parent / "shared" / "data"))
AGENTS = CORPUS / "otlp" / "agents"
pytestmark = pytest.mark.skipif(not AGENTS.is_dir(), reason=f"no corpus of agent traces at {AGENTS}")

YEARS = 10 * 365 * 86_400
LIMITS = IntakeLimits(past_seconds=YEARS, future_seconds=YEARS)
SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="file:1")
_IDS = ("traceId", "spanId", "parentSpanId")


def _base64_ids(node: Any) -> Any:
    """OTLP/JSON writes ids in hexadecimal, protobuf's own JSON reads base64."""
    if isinstance(node, list):
        return [_base64_ids(child) for child in node]
    if isinstance(node, dict):
        return {
            key: base64.b64encode(bytes.fromhex(child)).decode() if key in _IDS else _base64_ids(child)
            for key, child in node.items()
        }
    return node


def requests(name: str) -> list[ExportTraceServiceRequest]:
    lines = (AGENTS / name).read_text(encoding="utf-8").splitlines()
    return [json_format.ParseDict(_base64_ids(json.loads(line)), ExportTraceServiceRequest()) for line in lines]


def decoded(name: str) -> DecodedGroup:
    exports = [
        Export(Signal.TRACES, request.SerializeToString(), SENDER, 1_790_000_000_000_000_000, b"d" * 16)
        for request in requests(name)
    ]
    return decode_group(exports, limits=LIMITS, prices=PriceBook())


@pytest.fixture(scope="module")
def frameworks() -> DecodedGroup:
    return decoded("frameworks.otlp.jsonl")


@pytest.fixture(scope="module")
def vercel() -> DecodedGroup:
    return decoded("vercel.otlp.jsonl")


@pytest.mark.parametrize("name", ["frameworks.otlp.jsonl", "vercel.otlp.jsonl"])
def test_every_attribute_is_kept(name):
    """Each attribute of each span stands either in `attributes` or in `contents`, with its value."""
    group = decoded(name)
    rows = group.records.tables["spans"].to_pylist()
    parts = {(part["owner_index"], part["part"]): part["body"] for part in group.records.tables["contents"].to_pylist()}
    spans = [
        span for request in requests(name) for r in request.resource_spans for s in r.scope_spans for span in s.spans
    ]
    assert len(rows) == len(spans)
    checked = 0
    for number, (row, span) in enumerate(zip(rows, spans, strict=True)):
        kept = json.loads(row["attributes"])
        for pair in span.attributes:
            if pair.value.WhichOneof("value") != "string_value":
                assert pair.key in kept or (number, pair.key) in parts
                continue
            assert (kept.get(pair.key) == pair.value.string_value) != (
                parts.get((number, pair.key)) == pair.value.string_value
            )
            checked += 1
    assert checked > len(spans)


def _picked(row: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in expected}


FRAMEWORK_SPANS = {
    "agno model call": (
        ("openinference.instrumentation.agno", "OpenAIChat.invoke"),
        {"operation": "chat", "provider": "openai", "request_model": "gpt-4o-mini", "tool_name": None},
    ),
    "agno agent": (
        ("openinference.instrumentation.agno", "Agent.run"),
        {"operation": "invoke_agent", "session_id": "35cc6c90-b657-4819-b66c-c931c03ad569"},
    ),
    "agno tool": (
        ("openinference.instrumentation.agno", "duckduckgo_search"),
        {"operation": "execute_tool", "tool_name": "duckduckgo_search"},
    ),
    "beeai agent step": (
        ("openinference.instrumentation.beeai", "agent.react.update-17"),
        {"operation": "invoke_agent", "tool_name": "OpenMeteoTool"},
    ),
    "langsmith model call": (
        ("langsmith", "claude.assistant.turn"),
        {"operation": "chat", "provider": "anthropic", "request_model": "claude-sonnet-4-5-20250929"},
    ),
    "langsmith chain: a framework is no provider": (
        ("langsmith", "claude.conversation"),
        {"operation": "chain", "provider": None, "session_id": "6fb9b4b8-dd4d-4d41-8d4f-c0c0799a6559"},
    ),
    "langsmith tool, named by its span": (
        ("langsmith", "mcp__weather__get_weather"),
        {"operation": "execute_tool", "tool_name": "mcp__weather__get_weather"},
    ),
    "litellm, tokens as text": (
        ("openinference.instrumentation.litellm", "completion"),
        {
            "operation": "chat",
            "request_model": "gpt-4o-mini",
            "input_tokens": 190,
            "output_tokens": 164,
            "cache_read_tokens": 0,
            "reasoning_tokens": 0,
        },
    ),
    "Microsoft.Extensions.AI tool": (
        ("Experimental.Microsoft.Extensions.AI", "get_custom_report"),
        {"operation": "execute_tool", "tool_name": "get_custom_report", "tool_call_id": "get_custom_report"},
    ),
    "langfuse trace": (
        ("Criteo.Langfuse", "Insights Agent C#"),
        {"user_id": "g.aprozeanu", "session_id": "9714061f-20c0-4d98-9220-1dc7df15c3c2", "operation": None},
    ),
    "ADK agent, named by its span": (
        ("openinference.instrumentation.google_adk", "agent_run [hello_agent]"),
        {
            "operation": "invoke_agent",
            "agent_name": "hello_agent",
            "session_id": "demo-session",
            "user_id": "demo-user",
        },
    ),
    "ADK tool": (
        ("openinference.instrumentation.google_adk", "execute_tool say_hello"),
        {"operation": "execute_tool", "tool_name": "say_hello"},
    ),
    "google genai": (
        ("openinference.instrumentation.google_genai", "GenerateContent"),
        {
            "operation": "chat",
            "provider": "gcp.gen_ai",
            "request_model": "gemini-2.5-flash",
            "input_tokens": 6,
            "output_tokens": 2055,
            "reasoning_tokens": 1104,
        },
    ),
    "koog run": (
        ("ai.koog", "run.6f8d2449-33ed-4c7c-82e7-5410e34ee4e6"),
        {
            "operation": "invoke_agent",
            "provider": "openai",
            "agent_id": "f9f77d1a-437f-4ba6-890e-b592a50cbd21",
            "conversation_id": "6f8d2449-33ed-4c7c-82e7-5410e34ee4e6",
        },
    ),
    "koog tool without an operation": (
        ("ai.koog", "tool.HelloTool"),
        {"operation": "execute_tool", "tool_name": "HelloTool"},
    ),
}


@pytest.mark.parametrize("case", FRAMEWORK_SPANS)
def test_framework_spans(frameworks, case):
    """Each framework's names for provider, model, tokens, tool, session and agent reach the normalised columns."""
    (scope, name), expected = FRAMEWORK_SPANS[case]
    rows = [
        row
        for row in frameworks.records.tables["spans"].to_pylist()
        if row["scope_name"] == scope and row["name"] == name
    ]
    assert rows
    assert [_picked(row, expected) for row in rows] == [expected] * len(rows)


def test_tokens_by_model_add_up(frameworks):
    """Token sums by provider and model are those that a reader of the files adds up by hand."""
    sums: Counter[tuple[str | None, str | None]] = Counter()
    for row in frameworks.records.tables["spans"].to_pylist():
        if row["operation"] == "chat":
            sums[row["provider"], row["request_model"]] += row["input_tokens"] or 0
    assert sums["gcp.vertex_ai", "gemini-2.5-flash"] == 3004 + 2546 + 2497
    assert sums["gcp.gen_ai", "gemini-2.0-flash"] == 39 + 28
    assert sums["gcp.gen_ai", "gemini-2.5-flash"] == 6
    assert sums[None, "gpt-4o-mini"] == 190


def test_vercel_spans(vercel):
    """AI SDK spans name model, provider and tokens alike, whichever of its names for tokens they use."""
    rows = vercel.records.tables["spans"].to_pylist()
    assert {row["provider"] for row in rows} == {"openai"}
    assert [(row["name"], row["operation"], row["input_tokens"], row["output_tokens"]) for row in rows] == [
        ("ai.generateText.doGenerate", "chat", 14, 20),
        ("ai.generateText", "invoke_agent", 14, 20),
        ("ai.generateText.doGenerate", "chat", 50, 9),
        ("ai.generateText", "invoke_agent", 50, 9),
        ("ai.generateObject.doGenerate", "chat", 63, 156),
        ("ai.generateObject", "invoke_agent", 63, 156),
        ("ai.streamText.doStream", "chat", 15, 112),
        ("ai.streamText", "invoke_agent", 15, 112),
        ("ai.embed.doEmbed", "embeddings", 10, None),
        ("ai.embed", "embed", 10, None),
    ]
    assert {row["request_model"] for row in rows} == {"gpt-4o-mini", "text-embedding-3-small"}
    assert {row["finish_reasons"] for row in rows if row["operation"] == "chat"} == {'["stop"]'}
