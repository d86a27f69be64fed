"""Readers: what a dialect's value means in the vocabulary of the column.

Each reader takes a text and returns one, or None where the value says nothing that the column can hold. They run once
for each distinct value, not once a span. Vocabularies: OTel semantic conventions, `gen_ai.operation.name` and
`gen_ai.provider.name`; a value outside them is kept in lower case, as the conventions allow.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

Reader = Callable[[str], str | None]

_OPERATIONS = {"completion": "text_completion", "embedding": "embeddings", "tool": "execute_tool"}

_OPENINFERENCE_KINDS = {
    "llm": "chat",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "embedding": "embeddings",
    "retriever": "retrieval",
    "reranker": "rerank",
    "unknown": None,
}

# The outer spans of the AI SDK (`ai.generateText`) sum up the calls below them (`ai.generateText.doGenerate`).
_VERCEL_OPERATIONS = {
    "ai.generatetext": "invoke_agent",
    "ai.streamtext": "invoke_agent",
    "ai.generateobject": "invoke_agent",
    "ai.streamobject": "invoke_agent",
    "ai.generatetext.dogenerate": "chat",
    "ai.streamtext.dostream": "chat",
    "ai.generateobject.dogenerate": "chat",
    "ai.streamobject.dostream": "chat",
    "ai.toolcall": "execute_tool",
    "ai.embed": "embed",
    "ai.embedmany": "embed",
    "ai.embed.doembed": "embeddings",
    "ai.embedmany.doembed": "embeddings",
    "ai.rerank": "rerank",
    "ai.rerank.dorerank": "rerank",
}

_TRACELOOP_KINDS = {
    "workflow": "invoke_workflow",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "task": "task",
    "unknown": None,
}

_REQUEST_TYPES = {"completion": "text_completion", "embedding": "embeddings", "unknown": None}

_LANGFUSE_TYPES = {
    "span": None,
    "event": None,
    "generation": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "retriever": "retrieval",
}

_LANGSMITH_KINDS = {"llm": "chat", "tool": "execute_tool", "retriever": "retrieval", "embedding": "embeddings"}

_MCP_METHODS = {"tools/call": "execute_tool"}

PROVIDERS: dict[str, str | None] = {
    "amazon": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "gcp.vertex.agent": "gcp.gen_ai",
    "google": "gcp.gen_ai",
    "google.generative-ai": "gcp.gemini",
    "google.vertex": "gcp.vertex_ai",
    "google_genai": "gcp.gen_ai",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "vertexai": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
    # Frameworks write themselves into gen_ai.system; they are no model providers.
    "crewai": None,
    "langchain": None,
    "langgraph": None,
    "llama_index": None,
    "llamaindex": None,
    "semantic_kernel": None,
}
"""Provider names of dialects to `gen_ai.provider.name`; None where the value names no provider."""

_VERCEL_SURFACES = frozenset(
    {"chat", "completion", "embedding", "embeddings", "image", "messages", "responses", "speech", "transcription"}
)
"""What the AI SDK appends to a provider: `openai.responses`, `anthropic.messages`."""


def _provider(value: str) -> str | None:
    name = value.strip().lower()
    stem, _, surface = name.rpartition(".")
    if stem and surface in _VERCEL_SURFACES:
        name = stem
    return PROVIDERS.get(name, name)


def _from(table: dict[str, str | None] | dict[str, str]) -> Reader:
    """Reader by table, case aside; a value that is not in it is kept in lower case."""
    return lambda value: table.get(value.strip().lower(), value.strip().lower())


def _only_from(table: dict[str, str]) -> Reader:
    """Reader by table, case aside; a value that is not in it says nothing."""
    return lambda value: table.get(value.strip().lower())


READERS: dict[str, Reader] = {
    "operation": lambda value: _OPERATIONS.get(value, value),
    "openinference_kind": _from(_OPENINFERENCE_KINDS),
    "vercel_operation": _only_from(_VERCEL_OPERATIONS),
    "traceloop_kind": _from(_TRACELOOP_KINDS),
    "request_type": _from(_REQUEST_TYPES),
    "langfuse_type": _from(_LANGFUSE_TYPES),
    "langsmith_kind": _from(_LANGSMITH_KINDS),
    "mcp_method": _only_from(_MCP_METHODS),
    "provider": _provider,
}
_JSON = "json:"


def reader(name: str) -> Reader:
    """The reader of this name; `json:<member>` reads one member of a JSON object."""
    return _json_member(name.removeprefix(_JSON)) if name.startswith(_JSON) else READERS[name]


@lru_cache(maxsize=64)
def _json_member(member: str) -> Reader:
    def read(value: str) -> str | None:
        try:
            found: Any = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return None
        found = found.get(member) if isinstance(found, dict) else None
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            return None
        return str(found)

    return read
