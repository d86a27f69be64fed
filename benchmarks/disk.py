"""Bytes on disk a span after compaction: the live files of all tables, the Delta logs apart."""

from deltalake import DeltaTable

from benchmarks.ingest import SPANS
from benchmarks.load import Plan, send
from benchmarks.results import Figure
from benchmarks.server import BenchLake, bench_lake, folder_bytes, running
from benchmarks.spans import request_file
from warehouse.clock import NANOS_PER_DAY, system_clock
from warehouse.commit import open_stores
from warehouse.maintenance import MaintenanceConfig, run_maintenance
from warehouse.tables import TABLES

BAR_BYTES = 450.0
_SEED = 11
_SETTLED_DAYS = 2


def run(*, quick: bool) -> list[Figure]:
    """Ingest, compact as after the end of the day, and add up."""
    count = 100 if quick else 440
    file = request_file(count, spans=SPANS, seed=_SEED, clock=system_clock)
    with bench_lake("disk", ["acme"]) as made:
        with running(made.lake) as server:
            key = made.keys["acme"]
            outcome = send(Plan(protocol="http", port=server.http_port, keys=(key,), file=str(file), count=count))
            server.flush()
        total = outcome.requests * SPANS
        written = {name: live_bytes(made, name) for name in TABLES}
        report = run_maintenance(
            made.lake,
            open_stores(made.lake),
            config=MaintenanceConfig(settled_merge_files=2, removed_grace_seconds=0),
            clock=lambda: system_clock() + _SETTLED_DAYS * NANOS_PER_DAY,
        )
        if report.failures:
            raise RuntimeError(f"maintenance: {report.failures}")
        compacted = {name: live_bytes(made, name) for name in TABLES}
        logs = sum(folder_bytes(made.lake.table(name) / "_delta_log") for name in TABLES)
    note = f"{total:,} spans of {outcome.size_bytes / total:,.0f} bytes; " + ", ".join(
        f"{name} {size / total:.0f}" for name, size in compacted.items() if size
    )
    return [
        Figure("disk", "after compaction", sum(compacted.values()) / total, "bytes/span", BAR_BYTES, note=note),
        Figure("disk", "as written", sum(written.values()) / total, "bytes/span"),
        Figure("disk", "Delta logs", logs / total, "bytes/span", note=f"{logs / 1024:.0f} KiB in all"),
    ]


def live_bytes(made: BenchLake, name: str) -> int:
    """Size of a table's live files."""
    sizes = DeltaTable(str(made.lake.table(name))).get_add_actions(flatten=True).column("size_bytes").to_pylist()
    return sum(sizes)
