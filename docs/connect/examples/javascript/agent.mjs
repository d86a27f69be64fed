// An agent of the Vercel AI SDK with a tool, traced into Muniment.
import { generateText, stepCountIs, tool } from "ai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { z } from "zod";
import { scriptedModel } from "./scripted-model.mjs";

const endpoint = process.env.MUNIMENT_ENDPOINT ?? "http://127.0.0.1:4318";
const exporter = new OTLPTraceExporter({
  url: `${endpoint}/v1/traces`,
  headers: { "x-api-key": process.env.MUNIMENT_API_KEY },
});
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "shop-assistant" }),
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
provider.register();

const result = await generateText({
  model: scriptedModel("gpt-4.1-mini"), // yours: openai("gpt-4.1-mini"), anthropic("..."), ...
  prompt: "How many blue mugs are left?",
  tools: {
    stock: tool({
      description: "How many of an article are left",
      inputSchema: z.object({ article: z.string() }),
      execute: async ({ article }) => ({ article, left: 12 }),
    }),
  },
  stopWhen: stepCountIs(3),
  experimental_telemetry: {
    isEnabled: true,
    functionId: "shop-assistant",
    metadata: { sessionId: "session-3", userId: "dave" },
  },
});

console.log(result.text);
await provider.shutdown();
