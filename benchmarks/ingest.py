"""Ingest to queryable with requests of 512 spans: CPU of the collector a span, over HTTP and gRPC, with and without gzip.

All of receiving, decoding, normalising, journal, Parquet and commit: the clock stops when the last row can be queried.
"""

from benchmarks.load import Plan, send
from benchmarks.results import Figure
from benchmarks.server import bench_lake, running
from benchmarks.spans import request_file
from warehouse.clock import system_clock

SPANS = 512
BAR_MICROSECONDS = 50.0
BAR_MEMORY_MB = 700.0
_WARM_REQUESTS = 40
_CLIENTS = 4
_SEED = 11


def run(*, quick: bool) -> list[Figure]:
    """Measure each protocol."""
    figures = []
    for protocol, compressed in (("http", False), ("grpc", False), ("http", True), ("grpc", True)):
        label = f"{protocol}{' gzip' if compressed else ''}"
        requests = (60 if quick else 400) if not compressed else (40 if quick else 120)
        figures += measure(
            "ingest", label, requests, spans=SPANS, warm=_WARM_REQUESTS, clients=_CLIENTS, seed=_SEED,
            protocol=protocol, compressed=compressed, bar=None if compressed else BAR_MICROSECONDS,
        )  # fmt: skip
    return figures


def measure(
    benchmark: str,
    label: str,
    requests: int,
    *,
    spans: int,
    warm: int,
    clients: int,
    seed: int,
    protocol: str,
    compressed: bool,
    bar: float | None,
) -> list[Figure]:
    """Send `requests` of `spans` spans to a collector over a fresh lake and return what they cost."""
    file = request_file(warm + requests, spans=spans, seed=seed, clock=system_clock)
    with bench_lake(f"{benchmark}-{label.replace(' ', '-')}", ["acme"]) as made, running(made.lake) as server:
        port = server.http_port if protocol == "http" else server.grpc_port
        plan = {
            "protocol": protocol, "port": port, "keys": (made.keys["acme"],), "file": str(file), "clients": clients,
            "gzip": compressed,
        }  # fmt: skip
        send(Plan(**plan, count=warm))  # type: ignore[arg-type]  # the plan's values have several types
        server.flush()
        before = server.usage()
        outcome = send(Plan(**plan, first=warm, count=requests))  # type: ignore[arg-type]  # as above
        server.flush()
        used = server.usage().since(before)
        peak = server.peak_memory_mb()
    total = outcome.requests * spans
    note = (
        f"{total:,} spans, {outcome.size_bytes / total:,.0f} bytes each; user {used.user_seconds / total * 1e6:.1f}"
        f" + system {used.system_seconds / total * 1e6:.1f}; ack median {outcome.ack_median_seconds * 1e3:.0f} ms;"
        f" repeats {outcome.repeats}"
    )
    rate = total / outcome.wall_seconds
    return [
        Figure(benchmark, f"{label}: CPU a span", used.cpu_seconds / total * 1e6, "µs", bar, note=note),
        Figure(
            benchmark, f"{label}: acknowledged", rate, "spans/s", note="beside the load generator, on the same cores"
        ),
        Figure(benchmark, f"{label}: peak memory", peak, "MB", BAR_MEMORY_MB),
    ]
