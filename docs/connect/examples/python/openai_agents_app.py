"""Two agents of the OpenAI Agents SDK, a handoff and a tool, traced into Muniment."""

import os

from agents import Agent, Runner, function_tool
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from scripted_openai import scripted_model

endpoint = os.environ.get("MUNIMENT_ENDPOINT", "http://127.0.0.1:4318")
headers = {"x-api-key": os.environ["MUNIMENT_API_KEY"]}

provider = TracerProvider(resource=Resource.create({"service.name": "support"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", headers=headers)))

# Takes the place of the SDK's own trace exporter, which would send to OpenAI.
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider, exclusive_processor=True)


@function_tool
def refund(order: str, euros: int) -> str:
    """Pay an order back."""
    return f"{euros} euros of {order} paid back"


model = scripted_model("gpt-4.1-mini")  # yours: "gpt-4.1-mini"
refunds = Agent(name="refunds", instructions="Pay back what is owed.", model=model, tools=[refund])
triage = Agent(name="triage", instructions="Find the right colleague.", model=model, handoffs=[refunds])

result = Runner.run_sync(triage, "My order o-17 never came.")
print(result.final_output)
provider.shutdown()
