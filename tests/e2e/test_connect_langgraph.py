"""docs/connect/langgraph.md: LangGraph."""


def test_graph_model_and_tool_arrive(examples, receiver, named):
    """The graph, its nodes, each model call with its tokens and the tool arrive, with session and user."""
    assert examples.python("langgraph_app.py") == "Done: ticket 4711 opened: VPN is down\n"
    spans = receiver.wait_for(9)
    root = named(spans, "it_desk")
    assert root["parent_span_id"] == ""
    calls = [span["attributes"] for span in spans if span["attributes"]["openinference.span.kind"] == "LLM"]
    assert len(calls) == 2
    assert {call["llm.model_name"] for call in calls} == {"gpt-4.1-mini"}
    assert {(call["llm.token_count.prompt"], call["llm.token_count.completion"]) for call in calls} == {(90, 12)}
    tool = named(spans, "open_ticket")["attributes"]
    assert (tool["tool.name"], tool["openinference.span.kind"]) == ("open_ticket", "TOOL")
    assert {span["attributes"]["session.id"] for span in spans} == {"session-9"}
    assert {span["attributes"]["user.id"] for span in spans} == {"carol"}
    assert {span["trace_id"] for span in spans} == {root["trace_id"]}
