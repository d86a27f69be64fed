"""docs/connect/openai-agents.md: the OpenAI Agents SDK."""

import json


def test_agents_handoff_and_tool_arrive(examples, receiver, named):
    """Both agents, the handoff, the tool and each model call with its tokens arrive; nothing goes to OpenAI."""
    assert examples.python("openai_agents_app.py") == "Your 40 euros are on their way.\n"
    spans = receiver.wait_for(12)
    assert {span["attributes"].get("agent.name") for span in spans} - {None} == {"triage", "refunds"}
    calls = [span["attributes"] for span in spans if span["attributes"]["openinference.span.kind"] == "LLM"]
    assert len(calls) == 3
    assert {call["llm.model_name"] for call in calls} == {"gpt-4.1-mini"}
    assert {(call["llm.token_count.prompt"], call["llm.token_count.completion"]) for call in calls} == {(120, 30)}
    tool = named(spans, "refund")["attributes"]
    assert (tool["tool.name"], tool["openinference.span.kind"]) == ("refund", "TOOL")
    assert json.loads(tool["input.value"]) == {"order": "o-17", "euros": 40}
    handoff = named(spans, "handoff to refunds")["attributes"]
    assert (handoff["input.value"], handoff["output.value"]) == ("triage", "refunds")
    assert len({span["trace_id"] for span in spans}) == 1
    assert {span["resource"]["service.name"] for span in spans} == {"support"}
