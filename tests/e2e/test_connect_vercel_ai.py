"""docs/connect/vercel-ai.md: the Vercel AI SDK on Node."""

import json
import re
from pathlib import Path

JAVASCRIPT = Path(__file__).parents[2] / "docs" / "connect" / "examples" / "javascript"


def test_text_generation_and_tool_arrive(examples, receiver, named):
    """The generation, each model call with its tokens and the tool arrive through the real npm exporter."""
    assert examples.node("agent.mjs") == "There are 12 left.\n"
    spans = receiver.wait_for(4)
    root = named(spans, "ai.generateText")
    assert root["parent_span_id"] == ""
    calls = [span["attributes"] for span in spans if span["name"] == "ai.generateText.doGenerate"]
    assert len(calls) == 2
    assert {call["ai.model.id"] for call in calls} == {"gpt-4.1-mini"}
    assert {(call["ai.usage.inputTokens"], call["ai.usage.outputTokens"]) for call in calls} == {(64, 16)}
    assert {(call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) for call in calls} == {(64, 16)}
    tool = named(spans, "ai.toolCall")["attributes"]
    assert tool["ai.toolCall.name"] == "stock"
    assert json.loads(tool["ai.toolCall.args"]) == {"article": "blue mug"}
    assert {span["trace_id"] for span in spans} == {root["trace_id"]}
    assert {span["resource"]["service.name"] for span in spans} == {"shop-assistant"}


def test_lock_file_names_no_registry():
    """The lock file pins every package by its hash and says no address to fetch it from."""
    lock = json.loads((JAVASCRIPT / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert len(packages) > 20
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/]+=*", entry["integrity"]) for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())
