"""A LangChain chat model that answers from a script, with tool calls and token counts."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class ScriptedChat(BaseChatModel):
    """Asks for the tool first, and answers once its result is there."""

    model_name: str

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(self, tools: Any, **settings: Any) -> Any:
        """The script knows its tools."""
        return self

    def _generate(self, messages: list, stop: Any = None, run_manager: Any = None, **settings: Any) -> ChatResult:
        if messages[-1].type == "tool":
            message = AIMessage(content=f"Done: {messages[-1].content}")
        else:
            call = {"name": "open_ticket", "args": {"title": "VPN is down"}, "id": "call-1"}
            message = AIMessage(content="", tool_calls=[call])
        message.usage_metadata = {"input_tokens": 90, "output_tokens": 12, "total_tokens": 102}
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output={"model_name": self.model_name})
