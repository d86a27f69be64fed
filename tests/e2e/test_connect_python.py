"""docs/connect/python.md: an agent without a framework."""


def test_custom_agent_sends_spans_and_events(examples, receiver, named):
    """The page's agent arrives as GenAI spans of one trace, with its audit events inside it."""
    printed = examples.python("custom_agent.py")
    spans, events = receiver.wait_for(3), receiver.wait_for_events(2)
    agent, chat, tool = (named(spans, name) for name in ("invoke_agent Buyer", "chat gpt-4.1-mini", "execute_tool buy"))
    assert agent["attributes"]["gen_ai.agent.name"] == "Buyer"
    assert chat["attributes"]["gen_ai.request.model"] == "gpt-4.1-mini"
    assert chat["attributes"]["gen_ai.usage.input_tokens"] == 212
    assert chat["attributes"]["gen_ai.usage.output_tokens"] == 18
    assert tool["attributes"]["gen_ai.tool.name"] == "buy"
    assert {chat["parent_span_id"], tool["parent_span_id"]} == {agent["span_id"]}
    assert {span["resource"]["service.name"] for span in spans} == {"procurement"}

    approval, done = named(events, "approval.granted"), named(events, "workflow.completed")
    assert approval["attributes"]["audit.actor.id"] == "alice@example.com"
    assert approval["attributes"]["gen_ai.tool.name"] == "buy"
    assert approval["attributes"]["gen_ai.tool.call.arguments"] == '{"item":"chair","quantity":20}'
    assert [event["attributes"]["audit.sequence.number"] for event in (approval, done)] == [0, 1]
    assert {event["span_id"] for event in events} == {agent["span_id"]}
    assert approval["attributes"]["audit.record.id"] in printed
