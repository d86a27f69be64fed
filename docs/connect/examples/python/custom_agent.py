"""An agent without a framework: spans with OpenTelemetry's GenAI attributes, audit events with muniment.emit."""

import json
import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from muniment.emit import Actor, Emitter, RefusedError

endpoint = os.environ.get("MUNIMENT_ENDPOINT", "http://127.0.0.1:4318")
api_key = os.environ["MUNIMENT_API_KEY"]

provider = TracerProvider(resource=Resource.create({"service.name": "procurement"}))
provider.add_span_processor(
    BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", headers={"x-api-key": api_key}))
)
tracer = provider.get_tracer("procurement")


def call_model(prompt: str) -> dict:
    """Stands for the call of your model."""
    return {"text": "Order 20 chairs.", "model": "gpt-4.1-mini-2025-04-14", "input_tokens": 212, "output_tokens": 18}


def buy(arguments: dict) -> str:
    """Stands for your tool."""
    return f"order for {arguments['quantity']} {arguments['item']} placed"


with Emitter(endpoint=endpoint, api_key=api_key, service_name="procurement", agent_id="buyer") as audit:
    agent = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.id": "buyer",
        "gen_ai.agent.name": "Buyer",
        "gen_ai.conversation.id": "conversation-7",
    }
    with tracer.start_as_current_span("invoke_agent Buyer", attributes=agent):
        request = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4.1-mini",
        }
        with tracer.start_as_current_span("chat gpt-4.1-mini", kind=SpanKind.CLIENT, attributes=request) as chat:
            answer = call_model("We need chairs for the new office.")
            chat.set_attribute("gen_ai.response.model", answer["model"])
            chat.set_attribute("gen_ai.usage.input_tokens", answer["input_tokens"])
            chat.set_attribute("gen_ai.usage.output_tokens", answer["output_tokens"])

        arguments = {"item": "chair", "quantity": 20}
        approved = audit.approval_granted(
            approval_id="approval-31",
            actor=Actor("alice@example.com", "human"),
            tool_name="buy",
            tool_arguments=arguments,
            reason="within the budget of the move",
        )

        call = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "buy",
            "gen_ai.tool.call.id": "call-1",
            "gen_ai.tool.call.arguments": json.dumps(arguments),
        }
        with tracer.start_as_current_span("execute_tool buy", attributes=call) as tool:
            tool.set_attribute("gen_ai.tool.call.result", buy(arguments))

        try:
            audit.workflow_completed(workflow_id="move-2026", workflow_name="office move")
        except RefusedError as refusal:
            print(f"not recorded: {refusal}")

provider.shutdown()
print(f"approval recorded as {approved.record_id}, number {approved.number} of its stream")
