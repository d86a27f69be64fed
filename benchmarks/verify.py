"""`verify`: records a second of one core, what a second process adds, and peak memory, on a lake written by the real writer.

Rows are those of the ingest benchmark's spans: once as they come, about 1.7 KB of text with two contents each, and once with
shortened attributes and no contents: rows of 1 KB. CPU seconds count, of all processes, since others use the machine too.

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
from warehouse.treated import RecordSet, UnsafeKeepAll
from warehouse.writer import WriterConfig, open_writer

BAR_RECORDS_A_SECOND = 80_000.0
BAR_SPEEDUP = 1.7
BAR_MEMORY_MIB = 1024.0
_LAKE_NAME = "bench"
_REQUEST_SPANS = 512
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
        one, two = _measure(folder, 1), _measure(folder, 2)
        start = _measure(_empty_lake(), 2)["busiest"]
        bar = BAR_RECORDS_A_SECOND if shortened else None
        each = one["records"] / one["cpu"]
        figures += [
            Figure("verify", f"{name}, one process", each, "records/s CPU", bar, "≥", f"{one['records']:,.0f} records"),
            Figure(
                "verify", f"{name}, two processes", one["busiest"] / (two["busiest"] - start), "times as fast",
                BAR_SPEEDUP if shortened else None, "≥", f"CPU of the busier process, its start ({start:.1f} s) aside",
            ),
            Figure("verify", f"{name}, peak memory of a process", max(one["mib"], two["mib"]), "MiB", BAR_MEMORY_MIB),
        ]  # fmt: skip
        if not keep:
            shutil.rmtree(folder)
    return figures


def write_lake(folder: Path, count: int, *, shortened: bool) -> None:
    """Write `count` requests of spans through the writer."""
    lake = make_lake(folder)
    make_keys(lake.keys, now_unix_nano=system_clock())
    writer = open_writer(
        lake, "main", _Claims(), open_stores(lake), config=WriterConfig(), clock=system_clock, lake_name=_LAKE_NAME
    )
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


def _empty_lake() -> Path:
    """A lake without records, to see what starting costs."""
    folder = cache_folder() / "lake-verify-empty"
    shutil.rmtree(folder, ignore_errors=True)
    write_lake(folder, 1, shortened=True)
    return folder


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
    before = resource.getrusage(resource.RUSAGE_SELF)
    report = verify_lake(Lake(folder), lake_name=_LAKE_NAME, options=VerifyOptions(workers=workers))
    if report.result is Result.BROKEN:
        raise SystemExit(f"expected a sound lake, got {dict(report.kinds)}")
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    mine = own.ru_utime + own.ru_stime - before.ru_utime - before.ru_stime
    theirs = others.ru_utime + others.ru_stime
    return {
        "records": report.records,
        "cpu": mine + theirs,
        # workers share evenly, and the parent works while they do
        "busiest": max(mine, theirs / workers),
        "mib": max(own.ru_maxrss, others.ru_maxrss) / 1024,
    }


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
