"""The same call told in OpenInference and in OTel GenAI gives the same normalised columns."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal

CORPUS = Path(os.environ.get("MUNIMENT_CORPUS", Path(__file__).parents[2].parent / "shared" / "data"))
DIALECTS = CORPUS / "otlp" / "dialects"
pytestmark = pytest.mark.skipif(not DIALECTS.is_dir(), reason=f"no corpus of dialects at {DIALECTS}")

NOW = 1_790_000_000_000_000_000
COLUMNS = (
    "operation",
    "provider",
    "request_model",
    "response_model",
    "agent_id",
    "agent_name",
    "conversation_id",
    "tool_name",
    "tool_call_id",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "reasoning_tokens",
    "finish_reasons",
    "cost_microusd",
    "cost_source",
)


def _value(value: Any) -> AnyValue:
    if isinstance(value, list):
        made = AnyValue()
        made.array_value.values.extend(_value(member) for member in value)
        return made
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)


def tables(name: str) -> dict[str, list[dict[str, Any]]]:
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=NOW, name="call")
    )
    for key, value in json.loads((DIALECTS / name).read_text(encoding="utf-8")).items():
        span.attributes.add(key=key).value.CopyFrom(_value(value))
    sender = Sender(tenant_id="acme", key_id="k", recorded_by="key:k", peer="file:1")
    export = Export(Signal.TRACES, request.SerializeToString(), sender, NOW, b"d" * 16)
    group = decode_group([export], limits=IntakeLimits(), prices=PriceBook.default())
    return {table: batch.to_pylist() for table, batch in group.records.tables.items()}


def columns(name: str) -> dict[str, Any]:
    (row,) = tables(name)["spans"]
    return {column: row[column] for column in COLUMNS}


CURRENT = "otel_genai_client_span_tool_calls.json"
CALL = {
    "operation": "chat",
    "provider": "openai",
    "request_model": "gpt-4",
    "response_model": "gpt-4-0613",
    "input_tokens": 97,
    "output_tokens": 52,
    "finish_reasons": '["stop"]',
}


def test_current_names():
    """OTel's current names fill the columns as they stand in the file."""
    found = columns(CURRENT)
    assert {name: found[name] for name in CALL} == CALL


@pytest.mark.parametrize(
    "name",
    [
        "otel_genai_deprecated_client_span_tool_calls.json",
        "openinference_client_span_tool_calls.json",
        "openinference_client_span_input_output_only.json",
    ],
)
def test_other_dialects_give_the_same_columns(name):
    """Every normalised column of the call is equal, whichever dialect told it."""
    assert columns(name) == columns(CURRENT)


def test_tool_execution():
    """A tool span keeps tool and call id, and its input and output are contents."""
    found = tables("otel_genai_tool_execution_span.json")
    (row,) = found["spans"]
    assert (row["operation"], row["tool_name"], row["tool_call_id"]) == ("execute_tool", "get_weather", "1234")
    assert [(part["part"], part["media_type"]) for part in found["contents"]] == [
        ("input", "application/json"),
        ("output", "application/json"),
    ]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (CURRENT, {"input", "output", "gen_ai.input.messages", "gen_ai.output.messages"}),
        ("otel_genai_deprecated_client_span_tool_calls.json", {"gen_ai.prompt", "gen_ai.completion"}),
        ("openinference_client_span_input_output_only.json", {"input.value", "output.value"}),
    ],
)
def test_what_was_said_is_content(name, parts):
    """Prompts and answers stand in `contents` and no longer in `attributes`."""
    found = tables(name)
    assert {part["part"] for part in found["contents"]} == parts
    assert "Paris" not in found["spans"][0]["attributes"]
