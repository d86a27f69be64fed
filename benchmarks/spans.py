"""Export requests as agents send them: traces of eight spans, about 20 attributes and 1.8 KB a span, two contents each.

A trace is one agent run: the agent's span, four model calls and three tool calls. Everything comes from a seed but the
times, which start a few minutes before `now` so that the receivers' time window takes them.
"""

import json
import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from benchmarks.machine import cache_folder
from benchmarks.texts import TextSource
from warehouse.clock import Clock, utc_date

SPANS_PER_TRACE = 8
AGENTS = (
    ("agent-procurement", "procurement", "acme-agents"),
    ("agent-support", "support", "acme-agents"),
    ("agent-finance", "finance", "ledger-bots"),
    ("agent-hr", "hr", "people-ops"),
    ("agent-it", "it-service", "people-ops"),
    ("agent-legal", "legal", "contracts"),
    ("agent-sales", "sales", "growth"),
    ("agent-research", "research", "growth"),
)
MODELS = (
    ("openai", "gpt-5", "gpt-5-2026-08-01", "api.openai.com"),
    ("anthropic", "claude-sonnet-5", "claude-sonnet-5-20260601", "api.anthropic.com"),
    ("azure.ai.openai", "gpt-5-mini", "gpt-5-mini-2026-08-01", "acme.openai.azure.com"),
)
TOOLS = ("search_orders", "read_mail", "create_ticket", "approve_invoice", "lookup_vendor", "check_budget")

_LENGTH = struct.Struct("<I")
_CHAT_WORDS = ((48, 120), (16, 82))
_TOOL_WORDS = ((8, 46), (32, 136))
_PROMPTS = 48
_CHUNK_SPANS = 8192
_NANOS = 1_000_000_000
_SPREAD_SECONDS = 240
_LEAD_SECONDS = 300


def requests(
    count: int, *, spans: int, seed: int, now_unix_nano: int, resource: dict[str, str] | None = None
) -> Iterator[bytes]:
    """`count` serialized requests of `spans` spans each, all different."""
    source = _SpanSource(seed, now_unix_nano)
    stream = source.spans()
    for _ in range(count):
        request = ExportTraceServiceRequest()
        block = request.resource_spans.add(resource=source.resource(resource))
        scope = block.scope_spans.add()
        scope.scope.name, scope.scope.version = "opentelemetry.instrumentation.openai_v2", "2.3b0"
        scope.spans.extend(next(stream) for _ in range(spans))
        yield request.SerializeToString()


def request_file(count: int, *, spans: int, seed: int, clock: Clock) -> Path:
    """A file of `count` requests, each preceded by its length; made once a day and kept in the cache."""
    day = utc_date(clock()).isoformat()
    file = cache_folder() / f"requests-{day}-{spans}x{count}-{seed}.bin"
    if file.exists():
        return file
    for old in cache_folder().glob(f"requests-*-{spans}x{count}-{seed}.bin"):
        old.unlink()
    unfinished = file.with_suffix(".part")
    with unfinished.open("wb") as stream:
        for body in requests(count, spans=spans, seed=seed, now_unix_nano=clock()):
            stream.write(_LENGTH.pack(len(body)))
            stream.write(body)
    unfinished.rename(file)
    return file


def read_requests(file: Path, *, first: int = 0, count: int | None = None) -> list[bytes]:
    """Requests of a file that `request_file` made."""
    content = memoryview(file.read_bytes())
    found: list[bytes] = []
    offset = number = 0
    while offset < len(content) and (count is None or len(found) < count):
        (size,) = _LENGTH.unpack_from(content, offset)
        if number >= first:
            found.append(bytes(content[offset + _LENGTH.size : offset + _LENGTH.size + size]))
        offset += _LENGTH.size + size
        number += 1
    return found


class _SpanSource:
    def __init__(self, seed: int, now_unix_nano: int) -> None:
        self._random = random.Random(seed)
        self._texts = TextSource(seed)
        self._now = now_unix_nano
        self._prompts = list(TextSource(1).texts(_PROMPTS, words=(12, 30)))

    def resource(self, extra: dict[str, str] | None) -> Resource:
        """Attributes of a process that runs agents."""
        host = self._random.randrange(24)
        values = {
            "service.name": "agent-runtime",
            "service.version": "4.12.0",
            "service.instance.id": f"runtime-{host:02d}",
            "deployment.environment.name": "production",
            "host.name": f"node-{host:02d}.eu-west",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": "1.45.0",
        } | (extra or {})
        return Resource(attributes=[_attribute(key, value) for key, value in values.items()])

    def spans(self) -> Iterator[Span]:
        """Spans without end, trace after trace."""
        while True:
            traces = _CHUNK_SPANS // SPANS_PER_TRACE
            chat = (
                self._texts.texts(traces * 5, words=_CHAT_WORDS[0]),
                self._texts.texts(traces * 5, words=_CHAT_WORDS[1]),
            )
            tool = (
                self._texts.texts(traces * 3, words=_TOOL_WORDS[0]),
                self._texts.texts(traces * 3, words=_TOOL_WORDS[1]),
            )
            for _ in range(traces):
                yield from self._trace(chat, tool)

    def _trace(
        self, chat: tuple[Iterator[str], Iterator[str]], tool: tuple[Iterator[str], Iterator[str]]
    ) -> Iterator[Span]:
        draw = self._random
        trace_id, root_id = draw.randbytes(16), draw.randbytes(8)
        start = self._now + int((draw.random() * _SPREAD_SECONDS - _LEAD_SECONDS) * _NANOS)
        shared = self._shared()
        total = 0
        for number in range(1, SPANS_PER_TRACE):
            duration = int(draw.lognormvariate(0, 0.8) * 0.9 * _NANOS)
            span = Span(
                trace_id=trace_id, span_id=draw.randbytes(8), parent_span_id=root_id, flags=257, kind=Span.SPAN_KIND_CLIENT,
                start_time_unix_nano=start + total, end_time_unix_nano=start + total + duration,
            )  # fmt: skip
            total += duration
            if number % 2:
                self._fill_chat(span, shared, chat, operation="chat")
            else:
                self._fill_tool(span, shared, tool)
            yield span
        root = Span(
            trace_id=trace_id, span_id=root_id, flags=257, kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=start, end_time_unix_nano=start + total + 1_000_000,
        )  # fmt: skip
        self._fill_chat(root, shared, chat, operation="invoke_agent")
        yield root

    def _shared(self) -> dict[str, str]:
        """What every span of a run carries."""
        draw = self._random
        agent_id, agent_name, team = draw.choice(AGENTS)
        return {
            "gen_ai.agent.id": agent_id,
            "gen_ai.agent.name": agent_name,
            "gen_ai.agent.version": f"1.{draw.randrange(4)}.0",
            "gen_ai.conversation.id": f"conv_{draw.randrange(1 << 40):010x}",
            "gen_ai.workflow.name": f"{agent_name}-intake",
            "session.id": f"sess_{draw.randrange(1 << 32):08x}",
            "user.id": f"user-{draw.randrange(5000):04d}",
            "app.team": team,
            "app.cost_center": f"cc-{draw.randrange(40):03d}",
        }

    def _fill_chat(
        self, span: Span, shared: dict[str, str], texts: tuple[Iterator[str], Iterator[str]], *, operation: str
    ) -> None:
        draw = self._random
        provider, model, answered, address = draw.choice(MODELS)
        asked = [_message("system", draw.choice(self._prompts)), _message("user", next(texts[0]))]
        span.name = f"{operation} {model if operation == 'chat' else shared['gen_ai.agent.name']}"
        self._finish(
            span,
            shared
            | {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": model,
                "gen_ai.response.model": answered,
                "gen_ai.response.id": f"resp_{draw.randrange(1 << 64):016x}",
                "gen_ai.request.temperature": 0.2,
                "gen_ai.request.max_tokens": 4096,
                "gen_ai.usage.input_tokens": draw.randrange(200, 9000),
                "gen_ai.usage.output_tokens": draw.randrange(20, 1500),
                "gen_ai.response.finish_reasons": ["stop" if draw.random() < 0.8 else "tool_calls"],
                "server.address": address,
                "gen_ai.input.messages": json.dumps(asked),
                "gen_ai.output.messages": json.dumps(
                    [_message("assistant", next(texts[1])) | {"finish_reason": "stop"}]
                ),
            },
        )

    def _fill_tool(self, span: Span, shared: dict[str, str], texts: tuple[Iterator[str], Iterator[str]]) -> None:
        draw = self._random
        tool = draw.choice(TOOLS)
        span.name = f"execute_tool {tool}"
        arguments = {"query": next(texts[0]), "limit": draw.randrange(1, 50), "region": "eu-west", "dry_run": False}
        result = {"status": "ok", "rows": draw.randrange(100), "summary": next(texts[1])}
        self._finish(
            span,
            shared
            | {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": tool,
                "gen_ai.tool.type": "function",
                "gen_ai.tool.call.id": f"call_{draw.randrange(1 << 64):016x}",
                "gen_ai.tool.description": f"{tool.replace('_', ' ').capitalize()} in the business systems of the company",
                "mcp.method.name": "tools/call",
                "mcp.session.id": f"mcp_{draw.randrange(1 << 16):04x}",
                "app.retry": draw.randrange(3),
                "server.address": f"tools-{draw.randrange(8)}.internal",
                "gen_ai.tool.call.arguments": json.dumps(arguments),
                "gen_ai.tool.call.result": json.dumps(result),
            },
        )

    def _finish(self, span: Span, values: dict[str, object]) -> None:
        if self._random.random() < 0.02:
            values = values | {"error.type": "timeout"}
            span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "deadline exceeded"
        span.attributes.extend(_attribute(key, value) for key, value in values.items())


def _message(role: str, content: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def _attribute(key: str, value: object) -> KeyValue:
    found = KeyValue(key=key)
    if isinstance(value, str):
        found.value.string_value = value
    elif isinstance(value, bool):
        found.value.bool_value = value
    elif isinstance(value, int):
        found.value.int_value = value
    elif isinstance(value, float):
        found.value.double_value = value
    elif isinstance(value, Sequence):
        found.value.array_value.SetInParent()
        for item in value:
            found.value.array_value.values.add().string_value = str(item)
    else:
        raise TypeError(f"attribute {key}: expected text, number, boolean or list, got {type(value).__name__}")
    return found
