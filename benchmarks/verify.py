"""`verify`: records a second of one core, what a second process adds, and peak memory, on a lake written by the real writer.

Rows are those of the ingest benchmark's spans: once as they come, about 1.7 KB of text with two contents each, and once with
shortened attributes and no contents: rows of 1 KB. CPU seconds count, since others use the machine too: for one process its
own, for two those of whichever process was busiest (parent or worker), without what a worker takes to start.

    python -m benchmarks.verify [--quick] [--keep]
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from statistics import median

import psutil
import pyarrow as pa

from benchmarks.machine import cache_folder
from benchmarks.results import Figure, show
from benchmarks.spans import requests
from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal
from warehouse.clock import system_clock
from warehouse.commit import open_stores
from warehouse.lake import Lake, make_lake
from warehouse.ledger.signing import make_keys
from warehouse.ledger.verify import Result, VerifyOptions, verify_lake
from warehouse.ledger.verify.pool import TaskPool
from warehouse.treated import RecordSet, UnsafeKeepAll
from warehouse.writer import Writer, WriterConfig, open_writer

BAR_RECORDS_A_SECOND = 80_000.0
BAR_SPEEDUP = 1.7
BAR_MEMORY_MIB = 1024.0
_LAKE_NAME = "bench"
_REQUEST_SPANS = 512
_PAIRS = 3
_SEED = 13
_SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:40000")
_SHORT = {"attributes": 250, "resource": 120}


class _Claims:
    """Identities of the one shard written here."""

    def claim_shard(self, name: str) -> str:
        """Make an identity."""
        return f"{name}-{os.urandom(4).hex()}"

    def close_shard(self, identity: str, reason: str) -> None:
        """Nothing is closed here."""

    def open_shards(self, _name: str) -> list[str]:
        """None is open before."""
        return []


def run(*, quick: bool, keep: bool = False) -> list[Figure]:
    """Write both lakes and verify them."""
    figures = []
    for name, shortened in (("rows of 1 KB", True), ("spans with contents", False)):
        folder = cache_folder() / f"lake-verify-{'small' if shortened else 'whole'}"
        wanted = 100 if quick else 400
        if not (keep and folder.exists()):
            shutil.rmtree(folder, ignore_errors=True)
            write_lake(folder, wanted, shortened=shortened)
        pairs = [(_measure(folder, 1), _measure(folder, 2)) for _ in range(_PAIRS)]
        one, two = pairs[0]
        speedup = median(alone["busiest"] / shared["busiest"] for alone, shared in pairs)
        cpu = median(alone["cpu"] for alone, _ in pairs)
        bar = BAR_RECORDS_A_SECOND if shortened else None
        each = one["records"] / cpu
        figures += [
            Figure("verify", f"{name}, one process", each, "records/s CPU", bar, "≥", f"{one['records']:,.0f} records"),
            Figure(
                "verify", f"{name}, two processes", speedup, "times as fast",
                BAR_SPEEDUP if shortened else None, "≥",
                f"CPU of the busiest process, its start ({two['start']:.1f} s) aside; median of {_PAIRS} pairs",
            ),
            Figure("verify", f"{name}, peak memory of a process", max(one["mib"], two["mib"]), "MiB", BAR_MEMORY_MIB),
        ]  # fmt: skip
        if not keep:
            shutil.rmtree(folder)
    return figures


def open_lake(folder: Path) -> Writer:
    """Make a lake and open the writer of its one shard."""
    lake = make_lake(folder)
    make_keys(lake.keys, now_unix_nano=system_clock())
    return open_writer(
        lake, "main", _Claims(), open_stores(lake), config=WriterConfig(), clock=system_clock, lake_name=_LAKE_NAME
    )


def write_lake(folder: Path, count: int, *, shortened: bool) -> None:
    """Write `count` requests of spans through the writer."""
    writer = open_lake(folder)
    waiting: list[Future[None]] = []
    for number, records in enumerate(_records(count, shortened=shortened)):
        waiting.append(writer.append(UnsafeKeepAll().treat(records)))
        if number % 32 == 31:
            writer.flush()
    for future in waiting:
        future.result()
    writer.stop()


def _records(count: int, *, shortened: bool) -> Iterator[RecordSet]:
    now = system_clock()
    for body in requests(count, spans=_REQUEST_SPANS, seed=_SEED, now_unix_nano=now):
        export = Export(Signal.TRACES, body, _SENDER, now, b"d" * 16)
        records = decode_group([export], limits=IntakeLimits(), prices=PriceBook.default()).records
        yield RecordSet({"spans": _shortened(records.tables["spans"])}) if shortened else records


def _shortened(rows: pa.RecordBatch) -> pa.RecordBatch:
    for name, length in _SHORT.items():
        place = rows.schema.get_field_index(name)
        texts = [None if text is None else text[:length] for text in rows.column(place).to_pylist()]
        rows = rows.set_column(place, name, pa.array(texts, pa.string()))
    return rows


def _measure(folder: Path, workers: int) -> dict[str, float]:
    """Verify in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-m", "benchmarks.verify", "--run", str(folder), str(workers)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _verify(folder: Path, workers: int) -> dict[str, float]:
    start = _start_cpu(workers)
    before, others_before = _cpu(resource.RUSAGE_SELF), _cpu(resource.RUSAGE_CHILDREN)
    children: dict[int, psutil.Process] = {}
    spent: dict[int, float] = {}
    peaks: dict[int, float] = {}

    def look(_stage: str, _done: int, _total: int) -> None:
        """See what each worker has spent so far: the last look is after its last result."""
        if workers > 1 and len(children) < workers + 1:  # one more keeps track of semaphores
            children.update({child.pid: child for child in psutil.Process().children()})
        for pid, child in children.items():
            times = child.cpu_times()
            spent[pid] = times.user + times.system
            peaks[pid] = _peak_mib(pid)

    report = verify_lake(Lake(folder), lake_name=_LAKE_NAME, options=VerifyOptions(workers=workers), progress=look)
    if report.result is Result.BROKEN:
        raise SystemExit(f"expected a sound lake, got {dict(report.kinds)}")
    mine, theirs = _cpu(resource.RUSAGE_SELF) - before, _cpu(resource.RUSAGE_CHILDREN) - others_before
    return {
        "records": report.records,
        "cpu": mine + theirs,
        "busiest": max([mine, *(each - start for each in spent.values())]),
        "start": start,
        "mib": max(_peak_mib(os.getpid()), *peaks.values(), 0.0),
    }


def _start_cpu(workers: int) -> float:
    """CPU seconds that a worker takes to start, before it has anything to do."""
    before = _cpu(resource.RUSAGE_CHILDREN)
    with TaskPool(workers):
        pass
    return (_cpu(resource.RUSAGE_CHILDREN) - before) / workers


def _peak_mib(pid: int) -> float:
    """Highest resident memory of a process. What `getrusage` says begins with that of the process which started it."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the records")
    parser.add_argument("--keep", action="store_true", help="keep the lakes for another run")
    parser.add_argument("--run", nargs=2, metavar=("LAKE", "WORKERS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(_verify(Path(arguments.run[0]), int(arguments.run[1]))))
    else:
        show(run(quick=arguments.quick, keep=arguments.keep))


if __name__ == "__main__":
    main()
