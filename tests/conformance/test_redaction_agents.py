"""What redaction takes out of real traces of agent frameworks, and what it must leave whole.

The golden list says service, table, place, detector and how often, never what was found. After a change of detectors, look at what
changed and renew it: `MUNIMENT_RENEW_GOLDEN=1 python -m pytest tests/conformance/test_redaction_agents.py`.
"""

import base64
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal
from collectors.redact.detectors import BY_NAME
from collectors.redact.engine import PolicyRedactor
from collectors.redact.json_text import is_json
from collectors.redact.policy_compiler import strict_policy

CORPUS = Path(os.environ.get("MUNIMENT_CORPUS", Path(__file__).parents[2].parent / "shared" / "data"))
AGENTS = CORPUS / "otlp" / "agents"
GOLDEN = Path(__file__).parents[1] / "conformance" / "golden" / "redactions_agents.json"
pytestmark = pytest.mark.skipif(not AGENTS.is_dir(), reason=f"no corpus of agent traces at {AGENTS}")

YEARS = 10 * 365 * 86_400
LIMITS = IntakeLimits(past_seconds=YEARS, future_seconds=YEARS)
SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="file:1")
NOW = 1_790_000_000_000_000_000
WHOLE = (
    "trace_id", "span_id", "parent_span_id", "kind", "status_code", "time_unix_nano", "end_unix_nano", "duration_ns", "operation",
    "provider", "request_model", "response_model", "agent_id", "agent_name", "agent_version", "conversation_id", "tool_name",
    "tool_call_id", "workflow_name", "session_id", "finish_reasons", "error_type", "service_name", "input_tokens", "output_tokens",
    "cache_read_tokens", "reasoning_tokens", "cost_microusd", "scope_name",
)  # fmt: skip
"""Columns of ids, numbers, times and names: nothing in them is personal."""


def _base64_ids(node):
    """OTLP/JSON writes ids in hexadecimal, protobuf's own JSON reads base64."""
    if isinstance(node, list):
        return [_base64_ids(child) for child in node]
    if not isinstance(node, dict):
        return node
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        key: base64.b64encode(bytes.fromhex(child)).decode() if key in ids else _base64_ids(child)
        for key, child in node.items()
    }


def decoded():
    """Every request of the corpus, as one record set."""
    lines = [line for file in sorted(AGENTS.glob("*.jsonl")) for line in file.read_text(encoding="utf8").splitlines()]
    requests = [json_format.ParseDict(_base64_ids(json.loads(line)), ExportTraceServiceRequest()) for line in lines]
    exports = [Export(Signal.TRACES, one.SerializeToString(), SENDER, NOW, b"d" * 16) for one in requests]
    return decode_group(exports, limits=LIMITS, prices=PriceBook()).records


@pytest.fixture(scope="module")
def engine(redacting):
    return PolicyRedactor(strict_policy(BY_NAME), redacting.MemoryVault(), text_seconds=redacting.PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def records():
    return decoded()


@pytest.fixture(scope="module")
def treated(engine, records):
    return engine.redact(records)


def found_in(engine, records):
    """How often each detector found something, by service, table and place."""
    counts = Counter()
    services = records.tables["spans"].column("service_name").to_pylist()
    for table, batch in records.tables.items():
        owners = batch.column("owner_index").to_pylist() if table == "contents" else range(batch.num_rows)
        for name in ("attributes", "resource", "events", "links", "envelope", "name", "status_message", "body"):
            if name not in batch.schema.names:
                continue
            parts = batch.column("part").to_pylist() if table == "contents" else [name] * batch.num_rows
            for owner, part, text in zip(owners, parts, batch.column(name).to_pylist(), strict=True):
                for detail in (
                    engine.explain("acme", text, key="body" if is_json(text) else part, table=table)[1].details
                    if text
                    else ()
                ):
                    path = ".".join("*" if any(char.isdigit() for char in key) else key for key in detail.path)
                    counts[services[owner] or "", table, part, path, detail.detector] += 1
    return [
        {**dict(zip(("service", "table", "place", "path", "detector"), key, strict=True)), "count": n}
        for key, n in sorted(counts.items())
    ]


def test_redactions_are_those_of_the_golden_list(engine, records):
    """Nobody changes what is taken out of real traces without seeing where."""
    found = found_in(engine, records)
    if os.environ.get("MUNIMENT_RENEW_GOLDEN"):
        GOLDEN.write_text("[\n" + ",\n".join("  " + json.dumps(one) for one in found) + "\n]\n")
    assert found == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", WHOLE)
def test_ids_numbers_times_and_names_stay_whole(records, treated, name):
    """Columns that hold no personal data come out as they went in."""
    before, after = records.tables["spans"], treated.tables["spans"]
    assert after.column(name).equals(before.column(name))


def test_numbers_and_structure_of_attributes_stay(records, treated):
    """Every attribute is there still; numbers, flags and ids in them are the same."""
    for before, after in zip(
        *(one.tables["spans"].column("attributes").to_pylist() for one in (records, treated)), strict=True
    ):
        old, new = json.loads(before or "{}"), json.loads(after or "{}")
        assert list(old) == list(new)
        for key, value in old.items():
            if not isinstance(value, str) or (key.endswith((".id", ".model", ".name", "Id")) and "user" not in key):
                assert new[key] == value, key


def test_nothing_is_withheld(treated):
    """Every real text is searched to its end."""
    assert not any('"withheld"' in (text or "") for text in treated.tables["spans"].column("redactions").to_pylist())
