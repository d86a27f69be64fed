"""What an agent did, before any dialect puts it into attributes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muniment.demo.fleet import Agent, Model, Tool


@dataclass(frozen=True)
class Task:
    """One run of an agent as it is then: what was asked, by whom, as a part of which workflow."""

    agent: Agent
    model: Model
    version: str
    workflow: str
    text: str
    user: str
    session: str
    conversation: str


@dataclass(frozen=True)
class ToolUse:
    """A tool call: its id, the tool, its arguments and what it returned."""

    id: str
    tool: Tool
    arguments: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def arguments_text(self) -> str:
        """Arguments as JSON text, keys sorted, without spaces: the same action gives the same text."""
        return json.dumps(self.arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def result_text(self) -> str:
        """Result as JSON text."""
        return json.dumps(self.result, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class ModelCall:
    """A model call that answered: what went in, what came out, what it used."""

    model: Model
    response_id: str
    prompt_name: str
    prompt_version: str
    messages: Sequence[tuple[str, str]]
    answer: str
    wants: ToolUse | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    first_token_seconds: float

    @property
    def finish_reason(self) -> str:
        """Why the model stopped, in OpenAI's vocabulary."""
        return "tool_calls" if self.wants else "stop"

    @property
    def cost_usd(self) -> float:
        """Cost by the model's list price, in US dollars."""
        spent = self.input_tokens * self.model.input_usd + self.output_tokens * self.model.output_usd
        return round(spent / 1_000_000, 6)


@dataclass(frozen=True)
class Lookup:
    """A retrieval: the query and the documents found, each with an id, a score and a text."""

    source: str
    query: str
    documents: Sequence[tuple[str, float, str]]
