"""A LangGraph agent with a tool, traced into Muniment."""

import os

os.environ["LANGSMITH_TRACING"] = "false"  # read on import: nothing goes to LangSmith

from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from openinference.instrumentation import using_attributes
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from scripted_chat import ScriptedChat

endpoint = os.environ.get("MUNIMENT_ENDPOINT", "http://127.0.0.1:4318")
headers = {"x-api-key": os.environ["MUNIMENT_API_KEY"]}

provider = TracerProvider(resource=Resource.create({"service.name": "it-desk"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", headers=headers)))
LangChainInstrumentor().instrument(tracer_provider=provider)


@tool
def open_ticket(title: str) -> str:
    """Open a ticket in the help desk."""
    return f"ticket 4711 opened: {title}"


model = ScriptedChat(model_name="gpt-4.1-mini").bind_tools([open_ticket])  # yours: ChatOpenAI(...), ChatAnthropic(...)


def assistant(state: MessagesState) -> dict:
    """Let the model say what comes next."""
    return {"messages": [model.invoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("assistant", assistant)
graph.add_node("tools", ToolNode([open_ticket]))
graph.add_edge(START, "assistant")
graph.add_conditional_edges("assistant", tools_condition)
graph.add_edge("tools", "assistant")
desk = graph.compile(name="it_desk")

with using_attributes(session_id="session-9", user_id="carol"):
    result = desk.invoke({"messages": [("user", "My VPN does not connect.")]})
print(result["messages"][-1].content)
provider.shutdown()
