"""300 tenants that each send 5 spans a second: lag from ack to queryable, and files a tenant, table and day.

The first commit, which makes every tenant's folders and log, is timed by itself.
"""

import threading
import time
from collections import Counter

import msgspec
from deltalake import DeltaTable

from benchmarks.load import Outcome, Plan, send
from benchmarks.results import Figure
from benchmarks.server import BenchLake, bench_lake, running
from benchmarks.spans import request_file
from benchmarks.visibility import Probes
from warehouse.clock import system_clock
from warehouse.commit import open_stores
from warehouse.maintenance import MaintenanceConfig, run_maintenance
from warehouse.tables import TABLES

TENANTS = 300
SPANS = 5
BAR_LAG_SECONDS = 10.0
BAR_FILES = 50
_SEED = 13
_PROBED = 10
_PROBE_SECONDS = 1.0
_POLL_SECONDS = 0.5


def run(*, quick: bool) -> list[Figure]:
    """Run the load for a minute, with probes beside it, and compact what it left."""
    seconds = 20 if quick else 60
    names = [f"tenant-{number:03d}" for number in range(TENANTS)]
    file = request_file(TENANTS * (seconds + 1), spans=SPANS, seed=_SEED, clock=system_clock)
    with bench_lake("tenants", names) as made:
        with running(made.lake) as server:
            plan = Plan(
                protocol="http", port=server.http_port, keys=tuple(made.keys.values()), file=str(file),
                count=TENANTS * seconds, clients=TENANTS, pace_seconds=1.0,
            )  # fmt: skip
            outcomes: list[Outcome] = []
            started = time.monotonic()
            send(msgspec.structs.replace(plan, first=TENANTS * seconds, count=TENANTS, pace_seconds=0.0))
            server.flush()
            first = time.monotonic() - started
            before = server.usage()
            load = threading.Thread(target=lambda: outcomes.append(send(plan)))
            load.start()
            probed = {name: made.keys[name] for name in names[:: TENANTS // _PROBED]}
            lags = Probes(made.lake.path, server.http_port, probed, _PROBE_SECONDS, _POLL_SECONDS).run(seconds)
            load.join()
            server.flush()
            used = server.usage().since(before)
            peak = server.peak_memory_mb()
            state = server.state()["writer"]
        written = most_files(made)
        run_maintenance(
            made.lake, open_stores(made.lake), config=MaintenanceConfig(removed_grace_seconds=0), clock=system_clock
        )
        compacted = most_files(made)
    outcome = outcomes[0]
    total = outcome.requests * SPANS
    note = (
        f"{total:,} spans in {outcome.wall_seconds:.0f} s; commit {state['last_commit_seconds']:.2f} s,"
        f" interval {state['commit_interval_seconds']:.1f} s; repeats {outcome.repeats}"
    )
    return [
        Figure("tenants", "ack to queryable, worst", lags[-1], "s", BAR_LAG_SECONDS, note=note),
        Figure("tenants", "ack to queryable, median", lags[len(lags) // 2], "s"),
        Figure("tenants", "first request of every tenant, committed", first, "s"),
        Figure("tenants", "CPU a span", used.cpu_seconds / total * 1e6, "µs", note="requests of 5 spans"),
        Figure("tenants", "cores used", used.cpu_seconds / used.wall_seconds, ""),
        Figure("tenants", "peak memory", peak, "MB", 700.0),
        Figure("tenants", "most files a tenant, table and day", written, "files", note="as written"),
        Figure("tenants", "the same after compaction", compacted, "files", BAR_FILES),
    ]


def most_files(made: BenchLake) -> int:
    """Highest number of live files in any partition of any table."""
    most = 0
    for name in TABLES:
        uris = DeltaTable(str(made.lake.table(name))).file_uris()
        most = max([most, *Counter(uri.rpartition("/")[0] for uri in uris).values()])
    return most
