"""What the writer costs: CPU microseconds a span from `append` to committed, and a commit of many quiet tenants.

Run as `python -m benchmarks.writer`. CPU time of the process is what counts: wall time depends on what else runs.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from warehouse.clock import system_clock, utc_date
from warehouse.commit import open_stores
from warehouse.lake import make_lake
from warehouse.tables import CONTENTS, SPANS, Table
from warehouse.treated import RecordSet, RequestMark, TreatedBatch, UnsafeKeepAll
from warehouse.writer import Writer, WriterConfig, open_writer

AGENTS = ("procurement", "support", "finance", "hr", "it-service", "legal", "sales", "research")
TOOLS = ("search_orders", "read_mail", "create_ticket", "approve_invoice")
CONTENT_PARTS = ("gen_ai.input.messages", "gen_ai.output.messages")
CONTENT_CHARACTERS = 300
ATTRIBUTE_CHARACTERS = 700


class Claims:
    """Shard identities in memory."""

    def __init__(self) -> None:
        self._open: list[str] = []

    def claim_shard(self, name: str) -> str:
        """Return a new identity."""
        self._open.append(f"{name}-{len(self._open):08x}")
        return self._open[-1]

    def close_shard(self, identity: str, reason: str) -> None:  # noqa: ARG002 - the Protocol's signature
        """Forget an identity."""
        self._open.remove(identity)

    def open_shards(self, name: str) -> Sequence[str]:
        """Return every identity."""
        return [identity for identity in self._open if identity.startswith(name)]


def make_batch(random: np.random.Generator, tenants: Sequence[str], rows: int) -> TreatedBatch:
    """`rows` agent spans with two contents each, evenly over `tenants`."""
    now = system_clock()
    spans = span_texts(random, tenants, rows) | span_numbers(random, rows, now)
    owners = np.repeat(np.arange(rows), len(CONTENT_PARTS))
    contents = {
        "owner_table": np.full(len(owners), "spans"),
        "owner_index": owners,
        "part": np.resize(np.array(CONTENT_PARTS, object), len(owners)),
        "media_type": np.full(len(owners), "application/json"),
        "body": json_texts(random, len(owners), CONTENT_CHARACTERS),
        **{name: spans[name][owners] for name in ("tenant_id", "time_unix_nano", "trace_id", "agent_id")},
    }
    tables = {
        "spans": record_batch(SPANS, rows, now, spans),
        "contents": record_batch(CONTENTS, len(owners), now, contents),
    }
    request = RequestMark(random.bytes(16), accepted=rows)
    return UnsafeKeepAll().treat(RecordSet(tables, requests=(request,)))


def span_texts(random: np.random.Generator, tenants: Sequence[str], rows: int) -> dict[str, np.ndarray]:
    """Text columns of spans, eight spans a trace."""
    traces = np.repeat(hex_texts(random, -(-rows // 8), 16), 8)[:rows]
    constant = {
        "recorded_by": "key:k7f3a9c1d2e4",
        "peer": "127.0.0.1",
        "scope_name": "opentelemetry.instrumentation.openai",
        "provider": "openai",
        "request_model": "gpt-5",
        "response_model": "gpt-5-2026-08-01",
        "resource": '{"service.name":"support","telemetry.sdk.language":"python","host.name":"agent-7"}',
        "envelope": '{"scope_version":"0.4.1"}',
    }
    chosen = {
        "service_name": AGENTS,
        "name": ("chat gpt-5", "execute_tool search_orders", "invoke_agent support"),
        "kind": ("INTERNAL", "CLIENT"),
        "status_code": ("UNSET", "OK", "ERROR"),
        "operation": ("chat", "execute_tool", "invoke_agent"),
        "agent_id": AGENTS,
        "agent_name": AGENTS,
        "tool_name": TOOLS,
    }
    return {
        "tenant_id": np.resize(np.array(tenants, object), rows),
        **dict.fromkeys(("trace_id", "conversation_id", "session_id"), traces),
        "span_id": hex_texts(random, rows, 8),
        "parent_span_id": hex_texts(random, rows, 8),
        "attributes": json_texts(random, rows, ATTRIBUTE_CHARACTERS),
        **{name: np.full(rows, text) for name, text in constant.items()},
        **{name: random.choice(texts, rows) for name, texts in chosen.items()},
    }


def span_numbers(random: np.random.Generator, rows: int, now: int) -> dict[str, np.ndarray]:
    """Integer columns of spans that began in the minute before `now`, in nanoseconds since 1970."""
    time_unix_nano = np.sort(now - random.integers(0, 60 * 10**9, rows))
    duration = random.integers(10**6, 5 * 10**9, rows)
    return {
        "schema_version": np.ones(rows, np.int64),
        "received_unix_nano": np.full(rows, now),
        "time_unix_nano": time_unix_nano,
        "end_unix_nano": time_unix_nano + duration,
        "duration_ns": duration,
        "flags": np.full(rows, 257),
        "input_tokens": random.integers(10, 4000, rows),
        "output_tokens": random.integers(10, 900, rows),
        "cost_microusd": random.integers(10, 90000, rows),
    }


def record_batch(table: Table, rows: int, now: int, values: dict[str, np.ndarray]) -> pa.RecordBatch:
    """Build a decoded batch of `table`, NULL where `values` says nothing."""
    day = pa.array([utc_date(now)] * rows)
    columns = [
        day
        if field.name == "day"
        else pa.array(values[field.name].tolist(), field.type)
        if field.name in values
        else pa.nulls(rows, field.type)
        for field in table.decoded_schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=table.decoded_schema)


def hex_texts(random: np.random.Generator, rows: int, size_bytes: int) -> np.ndarray:
    """Random identifiers in hex."""
    return np.array([random.bytes(size_bytes).hex() for _ in range(rows)], object)


def json_texts(random: np.random.Generator, rows: int, characters: int) -> np.ndarray:
    """JSON-like text that compresses about as well as attributes and prompts do."""
    words = random.choice(
        np.array(["order", "invoice", "user.id", "gen_ai.request", "please", "1234.5", "eu-west"]),
        (rows, characters // 9),
    )
    noise = hex_texts(random, rows, characters // 9)
    return np.array(
        ['{"text":"' + " ".join(line) + tail + '"}' for line, tail in zip(words, noise, strict=True)], object
    )


def measure(label: str, writer: Writer, batches: Sequence[TreatedBatch], *, group: int) -> None:
    """Append all batches, `group` of them a commit, and print what a span and a commit cost."""
    rows = sum(batch.records.tables["spans"].num_rows for batch in batches)
    cpu, wall, commits = time.process_time(), time.perf_counter(), 0
    for start in range(0, len(batches), group):
        for future in [writer.append(batch) for batch in batches[start : start + group]]:
            future.result()
        writer.flush()
        commits += 1
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(
        f"{label}: {rows} spans in {commits} commits: {cpu / rows * 1e6:.1f} us CPU a span, "
        f"{cpu / commits:.3f} s CPU and {wall / commits:.3f} s a commit"
    )


def main() -> None:
    """Measure large batches of one tenant, then small batches of many tenants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=None, help="where to make the lake; default a temporary folder")
    arguments = parser.parse_args()
    random = np.random.default_rng(7)
    large = [make_batch(random, ["acme"], 512) for _ in range(80)]
    names = [f"tenant-{number}" for number in range(arguments.tenants)]
    small = [make_batch(random, names[start : start + 10], 100) for start in range(0, len(names), 10)] * 3
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        lake = make_lake(Path(folder))
        config = WriterConfig(commit_interval_seconds=3600, max_commit_interval_seconds=3600)
        writer = open_writer(lake, "main", Claims(), open_stores(lake), config=config, clock=system_clock)
        measure("512-span batches, one tenant", writer, large, group=20)
        measure(f"10-span batches, {len(names)} tenants", writer, small, group=len(small) // 3)
        writer.stop()


if __name__ == "__main__":
    main()
