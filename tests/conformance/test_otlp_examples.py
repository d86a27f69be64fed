"""The canonical OTLP/JSON examples and agents' real traces, against protobuf's own JSON reader."""

import base64
import json
import os
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors.exports import IntakeLimits, Signal
from collectors.otlp_json import parse

CORPUS = (
    Path(os.environ.get("MUNIMENT_CORPUS") or Path(__file__).resolve().parents[2].parent / "shared" / "data") / "otlp"
)
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"OTLP examples are not at {CORPUS}: set MUNIMENT_CORPUS")

REQUESTS = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}


def with_base64_ids(value):
    """The same JSON with ids as protobuf's reader wants them: it would take hex for base64 without an error."""
    if isinstance(value, list):
        return [with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64encode(bytes.fromhex(item)).decode()
        if name in ("traceId", "spanId", "parentSpanId") and isinstance(item, str)
        else with_base64_ids(item)
        for name, item in value.items()
    }


def expected_of(signal, text):
    """The request as protobuf's own reader reads it."""
    return ParseDict(with_base64_ids(json.loads(text)), REQUESTS[signal](), ignore_unknown_fields=True)


@pytest.mark.parametrize(
    ("file", "signal", "names"),
    [
        ("trace.json", Signal.TRACES, ["I'm a server span"]),
        ("logs.json", Signal.LOGS, [""]),
        ("events.json", Signal.LOGS, ["browser.page_view"]),
        ("metrics.json", Signal.METRICS, ["my.counter", "my.gauge", "my.histogram", "my.exponential.histogram"]),
    ],
)
def test_canonical_examples(file, signal, names):
    """opentelemetry-proto's examples are read as protobuf's reader reads them, ids in hex apart."""
    text = (CORPUS / "opentelemetry-proto" / file).read_text()
    parsed = parse(signal, text.encode(), IntakeLimits())
    message = REQUESTS[signal].FromString(parsed.protobuf)
    assert parsed.refused == ()
    assert message == expected_of(signal, text)
    if signal is Signal.TRACES:
        spans = message.resource_spans[0].scope_spans[0].spans
        assert [span.name for span in spans] == names
        assert spans[0].trace_id == bytes.fromhex("5B8EFFF798038103D269B633813FC60C")
    elif signal is Signal.LOGS:
        assert [record.event_name for record in message.resource_logs[0].scope_logs[0].log_records] == names
    else:
        assert [metric.name for metric in message.resource_metrics[0].scope_metrics[0].metrics] == names


@pytest.mark.parametrize("file", ["agents/frameworks.otlp.jsonl", "agents/vercel.otlp.jsonl"])
def test_traces_of_real_agents(file):
    """Each line, a request of a real agent, is read as protobuf's reader reads it and nothing is refused."""
    lines = (CORPUS / file).read_text().splitlines()
    assert len(lines) >= 1
    for line in lines:
        parsed = parse(Signal.TRACES, line.encode(), IntakeLimits())
        assert parsed.refused == ()
        assert ExportTraceServiceRequest.FromString(parsed.protobuf) == expected_of(Signal.TRACES, line)
