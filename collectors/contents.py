"""Contents: which attributes are prompts, completions, arguments and results, and their rows.

What people and models said is kept apart from what happened, with its own, shorter retention: these keys leave
`attributes` and become one row of `contents` each.
"""

import re

KEYS: frozenset[str] = frozenset(
    {
        # OTel GenAI, current
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.tool.definitions",
        "gen_ai.retrieval.documents",
        "gen_ai.retrieval.query.text",
        "gen_ai.evaluation.explanation",
        "gen_ai.memory.content",
        "gen_ai.memory.query.text",
        # OTel GenAI, deprecated, and its span events' attributes
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.event.content",
        "gen_ai.request.instructions",
        # OpenInference
        "input.value",
        "output.value",
        "llm.prompts",
        "llm.tools",
        "llm.prompt_template.template",
        "llm.prompt_template.variables",
        "llm.function_call",
        "tool.parameters",
        "tool_call.function.arguments",
        "retrieval.documents",
        "message.content",
        "document.content",
        # Vercel AI SDK
        "ai.value",
        "ai.values",
        "ai.embedding",
        "ai.embeddings",
        "ai.response.text",
        "ai.response.object",
        "ai.response.toolCalls",
        "ai.response.reasoning",
        "ai.response.files",
        "ai.result.text",
        "ai.result.object",
        "ai.result.toolCalls",
        "ai.toolCall.args",
        "ai.toolCall.result",
        # OpenLLMetry, also known as traceloop
        "traceloop.entity.input",
        "traceloop.entity.output",
        # Langfuse
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.trace.output",
        # Frameworks
        "input",
        "output",
        "history",
        "thought",
        "crew_inputs",
        "gcp.vertex.agent.data",
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
    }
)
"""Attribute keys whose values are contents."""

FAMILIES = re.compile(
    r"gen_ai\.(prompt|completion)\.\d+\.(?!finish_reason$|role$).+"
    r"|gen_ai\.prompt\.variable\..+"
    r"|llm\.(input_messages|output_messages|prompts|choices|tools|request\.functions|completions)\..+"
    r"|(embedding\.embeddings|retrieval\.documents|reranker\.(input|output)_documents)\..+"
    r"|reranker\.query"
    r"|(input|output|message)\.contents?\..+"
    r"|ai\.prompt(\..+)?"
    r"|mcp\.(request|response)\.argument.*"
)
"""Flattened families: each key of one is a part of its own."""

MESSAGE_EVENTS: frozenset[str] = frozenset(
    {
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
        "gen_ai.choice",
    }
)
"""Deprecated OTel GenAI log events: their body is a message, so it is content."""

MESSAGE_EVENT_KEYS: frozenset[str] = frozenset({"content", "message", "tool_calls", "body", "arguments"})
"""Attributes that are content only on a span event of one of `MESSAGE_EVENTS`."""


def is_content(key: str) -> bool:
    """Whether the values of this attribute key are contents."""
    return key in KEYS or FAMILIES.fullmatch(key) is not None
