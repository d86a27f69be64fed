// A model that answers from a script: it asks for the tool first, then answers.
import { MockLanguageModelV3 } from "ai/test";

const usage = {
  inputTokens: { total: 64, noCache: 64, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 16, text: 16, reasoning: 0 },
};

export function scriptedModel(modelId) {
  const answers = [
    {
      content: [{ type: "tool-call", toolCallId: "call-1", toolName: "stock", input: '{"article":"blue mug"}' }],
      finishReason: { unified: "tool-calls", raw: "tool_calls" },
    },
    { content: [{ type: "text", text: "There are 12 left." }], finishReason: { unified: "stop", raw: "stop" } },
  ];
  return new MockLanguageModelV3({
    provider: "openai.chat",
    modelId,
    doGenerate: async () => ({ ...answers.shift(), usage, warnings: [] }),
  });
}
