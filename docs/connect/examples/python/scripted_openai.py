"""An OpenAI endpoint that answers from a script: the SDK's own model class runs, and nothing leaves the process."""

import json

import httpx2
from agents import OpenAIChatCompletionsModel
from openai import AsyncOpenAI


def _message(**fields) -> dict:
    return {"role": "assistant", "content": None, **fields}


def _call(identity: str, name: str, arguments: dict) -> dict:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


SCRIPT = [
    _message(tool_calls=[_call("call-1", "transfer_to_refunds", {})]),
    _message(tool_calls=[_call("call-2", "refund", {"order": "o-17", "euros": 40})]),
    _message(content="Your 40 euros are on their way."),
]


def scripted_model(name: str) -> OpenAIChatCompletionsModel:
    """A model whose answers are SCRIPT, one after the other."""
    answers = iter(SCRIPT)

    def answer(request: httpx2.Request) -> httpx2.Response:
        message = next(answers)
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        return httpx2.Response(
            200,
            json={
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1795392000,
                "model": name,
                "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                "usage": {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150},
            },
        )

    client = AsyncOpenAI(api_key="unused", http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))
    return OpenAIChatCompletionsModel(model=name, openai_client=client)
