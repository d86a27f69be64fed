"""Which attribute keys are contents."""

import pytest

from collectors.contents import is_content

CONTENTS = [
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.prompt.0.content",
    "gen_ai.completion.12.tool_calls.0.arguments",
    "gen_ai.prompt.variable.customer",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query.text",
    "input.value",
    "output.value",
    "llm.input_messages.0.message.content",
    "llm.output_messages.3.message.tool_calls.0.tool_call.function.arguments",
    "llm.prompts",
    "llm.prompts.0",
    "llm.prompt_template.template",
    "llm.prompt_template.variables",
    "retrieval.documents.0.document.content",
    "ai.prompt",
    "ai.prompt.messages",
    "ai.response.text",
    "ai.response.object",
    "ai.response.toolCalls",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "langfuse.observation.input",
    "langfuse.trace.output",
]
OTHERS = [
    "gen_ai.prompt.name",
    "gen_ai.prompt.version",
    "gen_ai.prompt.0.role",
    "gen_ai.completion.0.finish_reason",
    "gen_ai.usage.input_tokens",
    "gen_ai.tool.name",
    "gen_ai.request.model",
    "llm.model_name",
    "llm.invocation_parameters",
    "llm.prompt_template.version",
    "llm.token_count.prompt",
    "input.mime_type",
    "output.mime_type",
    "ai.model.id",
    "ai.response.finishReason",
    "ai.response.model",
    "ai.promptly",
    "langfuse.observation.type",
    "exception.message",
    "content",
    "",
]


@pytest.mark.parametrize("key", CONTENTS)
def test_contents(key):
    """What people and models said is content, also where a dialect flattens it into many keys."""
    assert is_content(key)


@pytest.mark.parametrize("key", OTHERS)
def test_not_contents(key):
    """What happened is no content."""
    assert not is_content(key)
