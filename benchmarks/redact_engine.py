"""What the engine costs, all of it: scan, treatment, classification, on logs in columns. CPU of one thread, medians."""

import random
import statistics
import time
from collections.abc import Sequence

import pyarrow as pa

from benchmarks.results import Figure
from benchmarks.texts import TextSource
from collectors.redact.detectors import BY_NAME
from collectors.redact.engine import PolicyRedactor
from collectors.redact.policy_compiler import strict_policy
from warehouse.tables import LOGS
from warehouse.treated import RecordSet

_SENSITIVE = (
    "Card 4111 1111 1111 1111 was declined.",
    "Write to jo.meyer@example.com.",
    "The bearer's SSN is 123-45-6789.",
)
_MIXES = (("400 bytes, hits in 2 %", 400, 0.02), ("1.8 KB, hits in 20 %", 1800, 0.20))


def engine_figures(full: Sequence[str], *, quick: bool) -> list[Figure]:
    """Throughput over texts full of hits, over clean ones, and over two mixes of both."""
    redactor = PolicyRedactor(strict_policy(BY_NAME), None)
    count = 2000 if quick else 10_000
    rate = sum(len(text.encode()) for text in full) / _seconds(redactor, full) / 1e6
    clean = [text[:400] for text in TextSource(7).texts(count, words=(70, 90))]
    figures = [
        Figure("redact", "engine, texts full of hits, a core", rate, "MB/s"),
        Figure("redact", "engine, clean logs of 400 bytes, a core", count / _seconds(redactor, clean), "a second"),
    ]
    for label, size, share in _MIXES:
        draw = random.Random(size)
        words = size // 5
        texts = [text[: size - 40] for text in TextSource(9).texts(count // 4, words=(words, words + 8))]
        mixed = [f"{text} {draw.choice(_SENSITIVE)}" if draw.random() < share else text for text in texts]
        cost = _seconds(redactor, mixed) / len(mixed) * 1e6
        figures.append(Figure("redact", f"engine, {label}", cost, "µs a text"))
    return figures


def _seconds(redactor: PolicyRedactor, bodies: Sequence[str]) -> float:
    """CPU of treating logs with these bodies, once everything is compiled."""
    records = RecordSet({"logs": _logs(bodies)})
    redactor.redact(records)
    times = []
    for _ in range(5):
        started = time.thread_time()
        redactor.redact(records)
        times.append(time.thread_time() - started)
    return statistics.median(times)


def _logs(bodies: Sequence[str]) -> pa.RecordBatch:
    """Logs with nothing but a tenant and a body."""
    given = {"tenant_id": pa.array(["acme"] * len(bodies)), "body": pa.array(bodies, pa.string())}
    columns = [
        given[field.name].cast(field.type) if field.name in given else _empty(field, len(bodies))
        for field in LOGS.decoded_schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=LOGS.decoded_schema)


def _empty(field: pa.Field, rows: int) -> pa.Array:
    """A column without values, or with the plainest ones where it must have some."""
    if field.nullable:
        return pa.nulls(rows, field.type)
    plain = "" if pa.types.is_string(field.type) else b"" if pa.types.is_binary(field.type) else 0
    return pa.array([plain] * rows, field.type)
