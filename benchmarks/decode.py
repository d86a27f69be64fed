"""Decode and normalise: CPU microseconds a span, beside a plain loop over opentelemetry-proto that makes the same rows.

The load is that of the ingest benchmark: requests of model calls, 20 attributes and about 1.8 KB a span, two of the
attributes contents. Both sides turn serialized requests into the same record batches; the plain side parses with
protobuf's C parser (upb) and goes through spans and attributes in Python. Best of `--repeat` runs, CPU time.

    python benchmarks/decode.py [--json]
"""

import argparse
import base64
import json
import random
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collectors.contents import is_content
from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.dialects.aliases import SPAN_COLUMNS, Form
from collectors.dialects.readers import reader
from collectors.exports import Export, IntakeLimits, Sender, Signal
from warehouse.tables import CONTENTS, SPANS

_EPOCH = date(1970, 1, 1)
NOW = 1_790_000_000_000_000_000
SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:40000")
LIMITS = IntakeLimits()
WORDS = [
    "order",
    "invoice",
    "please",
    "check",
    "vendor",
    "price",
    "delivery",
    "contract",
    "the",
    "of",
    "for",
    "this",
    "quarter",
    "approve",
    "amount",
]
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")


def make_request(spans: int, seed: int) -> bytes:
    """A serialized request of `spans` model calls, about 1.8 KB each."""
    rng = random.Random(seed)
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for key, value in (
        ("service.name", "procurement"),
        ("service.version", "1.2"),
        ("telemetry.sdk.language", "python"),
    ):
        resource.resource.attributes.add(key=key).value.string_value = value
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "agents", "1"
    for number in range(spans):
        start = NOW + number * 1_000_000
        span = scope.spans.add(
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8),
            name="chat gpt-4o",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=start,
            end_time_unix_nano=start + rng.randrange(10**9),
        )
        _add_attributes(span, rng)
    return request.SerializeToString()


def _add_attributes(span: Span, rng: random.Random) -> None:
    def said(words: int) -> str:
        return " ".join(rng.choices(WORDS, k=words))

    texts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.agent.id": f"agent-{rng.randrange(9)}",
        "gen_ai.agent.name": "procurement",
        "gen_ai.conversation.id": f"conversation-{rng.randrange(1000)}",
        "server.address": "api.openai.com",
        "user.id": f"u{rng.randrange(100)}",
        "session.id": f"session-{rng.randrange(100)}",
        "deployment.environment.name": "production",
        "note": f'request "{rng.randrange(10**6)}"\n',
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": said(80)}]}]),
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": said(60)}]}]),
    }
    for key, text in texts.items():
        span.attributes.add(key=key).value.string_value = text
    for key, count in (("input_tokens", rng.randrange(5000)), ("output_tokens", rng.randrange(900))):
        span.attributes.add(key=f"gen_ai.usage.{key}").value.int_value = count
    span.attributes.add(key="server.port").value.int_value = 443
    span.attributes.add(key="gen_ai.request.temperature").value.double_value = 0.7
    span.attributes.add(key="retry").value.bool_value = False
    span.attributes.add(key="gen_ai.response.finish_reasons").value.array_value.values.add().string_value = "stop"


def plain_value(value: AnyValue, depth: int = LIMITS.depth) -> Any:
    """One AnyValue as a Python value, tagged as the columns tag it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind in {"array_value", "kvlist_value"} and not depth:
        raise ValueError("value too deep")
    if kind == "array_value":
        return [plain_value(member, depth - 1) for member in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain_value(pair.value, depth - 1) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return {"$bytes": base64.b64encode(value.bytes_value).decode()}
    return getattr(value, kind)


def plain_check(span: Span) -> None:
    """The rules that a span has to keep; the load breaks none, so that raising is enough here."""
    if len(span.trace_id) != 16 or not any(span.trace_id) or len(span.span_id) != 8 or not any(span.span_id):
        raise ValueError("id of wrong size or all zero")
    if len(span.parent_span_id) not in {0, 8} or any(len(link.span_id) != 8 for link in span.links):
        raise ValueError("parent or link id of wrong size")
    ahead = span.start_time_unix_nano - NOW
    if not -LIMITS.past_seconds <= ahead // 10**9 <= LIMITS.future_seconds or span.end_time_unix_nano >= 2**63:
        raise ValueError("time out of window")
    if len(span.attributes) > LIMITS.attributes:
        raise ValueError("too many attributes")
    for pair in span.attributes:
        if pair.value.ByteSize() > LIMITS.attribute_bytes:
            raise ValueError("attribute too large")


_PLAIN_ALIASES = [
    (column, form, alias.key, reader(alias.reader) if alias.reader else None)
    for column, (form, aliases) in SPAN_COLUMNS.items()
    for alias in aliases
    if column in SPANS.schema.names
]


def plain_agent_columns(attributes: dict[str, Any]) -> dict[str, Any]:
    """The normalised columns of one span, by the same alias tables."""
    columns: dict[str, Any] = {}
    for column, form, key, read in _PLAIN_ALIASES:
        value = attributes.get(key)
        if value is None or column in columns:
            continue
        value = read(value) if read is not None else value
        if form is Form.COUNT:
            value = int(value)
        elif form is Form.REASONS:
            value = json.dumps(value, separators=(",", ":"))
        if value is not None:
            columns[column] = value
    return columns


def plain_decode(exports: Sequence[Export], prices: PriceBook) -> dict[str, pa.RecordBatch]:
    """The same tables by a loop over parsed spans."""
    spans: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    for export in exports:
        request = ExportTraceServiceRequest.FromString(export.body)
        for resource in request.resource_spans:
            about = {pair.key: plain_value(pair.value) for pair in resource.resource.attributes}
            for scope in resource.scope_spans:
                common = {
                    "tenant_id": export.sender.tenant_id,
                    "recorded_by": export.sender.recorded_by,
                    "peer": export.sender.peer,
                    "received_unix_nano": export.received_unix_nano,
                    "schema_version": 1,
                    "service_name": about.get("service.name"),
                    "scope_name": scope.scope.name or None,
                    "resource": json.dumps(about, separators=(",", ":"), ensure_ascii=False),
                    "envelope": json.dumps({"scope_version": scope.scope.version}, separators=(",", ":")),
                }
                for span in scope.spans:
                    spans.append(common | _plain_span(span, len(spans), contents, prices))
    return {
        "spans": pa.RecordBatch.from_pylist(spans, schema=SPANS.decoded_schema),
        "contents": pa.RecordBatch.from_pylist(contents, schema=CONTENTS.decoded_schema),
    }


def _plain_span(span: Span, number: int, contents: list[dict[str, Any]], prices: PriceBook) -> dict[str, Any]:
    plain_check(span)
    row: dict[str, Any] = {
        "day": _EPOCH + timedelta(days=span.start_time_unix_nano // (86_400 * 10**9)),
        "time_unix_nano": span.start_time_unix_nano,
        "end_unix_nano": span.end_time_unix_nano,
        "duration_ns": span.end_time_unix_nano - span.start_time_unix_nano,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() or None,
        "trace_state": span.trace_state or None,
        "flags": span.flags,
        "name": span.name,
        "kind": KINDS[span.kind],
        "status_code": STATUSES[span.status.code],
        "status_message": span.status.message or None,
        "dropped_attributes_count": span.dropped_attributes_count,
        "dropped_events_count": span.dropped_events_count,
        "dropped_links_count": span.dropped_links_count,
    }
    attributes = {pair.key: plain_value(pair.value) for pair in span.attributes}
    kept = {key: value for key, value in attributes.items() if not is_content(key)}
    row["attributes"] = json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
    row |= plain_agent_columns(attributes)
    for key, value in attributes.items():
        if is_content(key):
            contents.append(
                {
                    "tenant_id": SENDER.tenant_id,
                    "day": row["day"],
                    "owner_table": "spans",
                    "owner_index": number,
                    "part": key,
                    "media_type": "application/json" if value[:1] in "{[" else "text/plain",
                    "time_unix_nano": row["time_unix_nano"],
                    "trace_id": row["trace_id"],
                    "agent_id": row.get("agent_id"),
                    "body": value,
                }
            )
    price = prices.find(row["provider"], row["response_model"], row["day"])
    if price is not None:
        cost = row["input_tokens"] * price.input + row["output_tokens"] * (price.output or 0)
        row["cost_microusd"] = round(cost / 1_000_000)
        row["cost_source"] = price.source
    return row


def cpu_seconds(work: Callable[[], object], repeat: int) -> float:
    """Least CPU time of `repeat` runs."""
    work()
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def exports_of(requests: int, spans: int) -> list[Export]:
    """A group of requests of so many spans each."""
    bodies = [make_request(spans, seed) for seed in range(requests)]
    return [Export(Signal.TRACES, body, SENDER, NOW, b"d" * 16) for body in bodies]


def measure(requests: int, spans: int, repeat: int) -> dict[str, float]:
    """Figures of one shape of load; checks that both sides made the same rows."""
    exports, prices, limits = exports_of(requests, spans), PriceBook.default(), LIMITS
    group = decode_group(exports, limits=limits, prices=prices)
    if plain_decode(exports, prices) != dict(group.records.tables):
        raise SystemExit("the plain loop and decode_group made different rows: the comparison would be worthless")
    ours = cpu_seconds(lambda: decode_group(exports, limits=limits, prices=prices), repeat)
    plain = cpu_seconds(lambda: plain_decode(exports, prices), max(3, repeat // 4))
    count = requests * spans
    return {
        "bytes_per_span": round(sum(len(export.body) for export in exports) / count),
        "ours_us_per_span": round(ours / count * 1e6, 2),
        "plain_us_per_span": round(plain / count * 1e6, 2),
        "ratio": round(plain / ours, 2),
        "ours_ms": round(ours * 1e3, 3),
    }


SHAPES = {"1 x 512": (1, 512), "64 x 8": (64, 8), "8 x 512": (8, 512), "1 x 8": (1, 8)}


def main() -> None:
    """Measure every shape and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--repeat", type=int, default=30, help="runs of which the best counts")
    arguments = parser.parse_args()
    figures = {name: measure(*shape, arguments.repeat) for name, shape in SHAPES.items()}
    if arguments.json:
        print(json.dumps(figures))
        return
    print(
        f"{'requests x spans':>18} {'bytes/span':>11} {'ours us/span':>13} {'plain us/span':>14} {'ratio':>6} {'ours ms':>8}"
    )
    for name, row in figures.items():
        print(
            f"{name:>18} {row['bytes_per_span']:>11} {row['ours_us_per_span']:>13} {row['plain_us_per_span']:>14}"
            f" {row['ratio']:>6} {row['ours_ms']:>8}"
        )


if __name__ == "__main__":
    main()
