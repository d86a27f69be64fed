"""Peak memory of `verify` over lakes of millions of records: one lake, written on by the real writer, verified at each size.

Rows are short log records, one in eight with a content, so that many fit; what verification holds goes by their number and
not by their length. Their peaks at several sizes show what a further million costs.

    python -m benchmarks.verify_memory [--millions 2 8 20] [--workers 1]
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future

import pyarrow as pa

from benchmarks.machine import cache_folder
from benchmarks.results import Figure, show
from benchmarks.verify import BAR_MEMORY_MIB, open_lake
from warehouse.clock import system_clock, utc_date
from warehouse.tables import TABLES
from warehouse.treated import RecordSet, UnsafeKeepAll

DEFAULT_MILLIONS = (2.0, 8.0, 20.0)
_BATCH_ROWS = 16_384
_SEGMENT_BATCHES = 16
_CONTENT_EVERY = 8


def run(millions: Sequence[float], *, workers: int) -> list[Figure]:
    """Write the lake on to each size and verify it there."""
    folder = cache_folder() / "lake-verify-memory"
    shutil.rmtree(folder, ignore_errors=True)
    writer = open_lake(folder)
    batch = UnsafeKeepAll().treat(_records())
    figures = []
    peaks: list[tuple[float, float]] = []
    written = 0
    try:
        for size in sorted(millions):
            started = time.monotonic()
            while written < size * 1e6:
                waiting: list[Future[None]] = [writer.append(batch) for _ in range(_SEGMENT_BATCHES)]
                for future in waiting:
                    future.result()
                writer.flush()
                written += _SEGMENT_BATCHES * _BATCH_ROWS
            wrote = time.monotonic() - started
            command = [sys.executable, "-m", "benchmarks.verify", "--run", str(folder), str(workers)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            peaks.append((found["records"] / 1e6, found["mib"]))
            note = f"{found['cpu']:.0f} s CPU; {wrote:.0f} s to write on"
            name = f"{found['records'] / 1e6:.1f} million records, peak memory of a process"
            figures.append(Figure("verify", name, found["mib"], "MiB", BAR_MEMORY_MIB, note=note))
            print(f"{name}: {found['mib']:.0f} MiB ({note})", flush=True)
    finally:
        writer.stop()
        shutil.rmtree(folder)
    (fewest, least), (most, highest) = peaks[0], peaks[-1]
    if most > fewest:
        slope = (highest - least) / (most - fewest)
        figures.append(Figure("verify", "memory for a further million records", slope, "MiB"))
    return figures


def _records() -> RecordSet:
    now = system_clock()
    rows = range(_BATCH_ROWS)
    owners = rows[::_CONTENT_EVERY]
    day = utc_date(now)
    logs = _batch(
        "logs", _BATCH_ROWS,
        tenant_id="acme", day=day, schema_version=1, received_unix_nano=now, recorded_by="key:k1", service_name="bench",
        time_unix_nano=[now + number for number in rows], attributes=[f'{{"n":{number}}}' for number in rows],
    )  # fmt: skip
    contents = _batch(
        "contents", len(owners),
        tenant_id="acme", day=day, owner_table="logs", owner_index=list(owners), part="body", media_type="text/plain",
        time_unix_nano=now, body=[f"text {number}" for number in owners],
    )  # fmt: skip
    return RecordSet({"logs": logs, "contents": contents})


def _batch(table: str, rows: int, **values: object) -> pa.RecordBatch:
    """Rows of a table: columns given as one value or as a list of them, the others NULL."""
    schema = TABLES[table].decoded_schema
    columns = []
    for column in schema:
        value = values.get(column.name)
        columns.append(
            pa.array(value, column.type) if isinstance(value, list) else pa.repeat(pa.scalar(value, column.type), rows)
        )
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", nargs="+", type=float, default=DEFAULT_MILLIONS, metavar="M", help="sizes")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes")
    arguments = parser.parse_args()
    show(run(arguments.millions, workers=arguments.workers))


if __name__ == "__main__":
    main()
