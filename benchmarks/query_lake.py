"""The lake that queries are measured on: 5 million spans of 3 tenants over 30 days, committed and compacted; made once.

Its rows come from real decoded requests, given ids and times of their own, and go through the product's own sequencing,
Parquet files, Delta commits and maintenance: only receivers and journal are left out. Beside it lies the file that it is
compared with: the same spans in one Parquet file, written by DuckDB in the order of `trace_id`.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import DeltaTable

from benchmarks.machine import cache_folder
from benchmarks.spans import SPANS_PER_TRACE, requests
from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal
from muniment.setup import set_up_lake
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND, system_clock
from warehouse.commit import open_stores
from warehouse.delta import DeltaStore
from warehouse.durable import make_folder
from warehouse.lake import Lake
from warehouse.maintenance import MaintenanceConfig, run_maintenance
from warehouse.marks import write_mark
from warehouse.parquet import write_parts
from warehouse.sequence import Sequenced, sequence
from warehouse.tables import TABLES
from warehouse.treated import RecordSet

TENANTS = ("acme", "globex", "initech")
DAYS = 30
SEGMENTS_A_DAY = 4
SHARD = "bench-00000001"
_PART_SECONDS = 86_400 // SEGMENTS_A_DAY - 3_600
_POOL_REQUESTS = 128
_POOL_SPANS = 512
_SEED = 21
_FORMAT = 1
Treatment = Callable[[RecordSet, str, int], RecordSet]
"""`treat(records, tenant, day)`: records as they are put into the lake; `day` counts from the first one."""

_IDEAL_MEMORY = "6GB"
_IDEAL_GROUP_ROWS = 16_384
"""DuckDB's default of 122,880 makes the lookup of a trace two to three times slower and the scan hardly faster."""


@dataclass(frozen=True)
class QueryLake:
    """A lake of `spans` rows, the file with the same rows, and some trace ids that are in both."""

    lake: Lake
    ideal: Path
    spans: int
    trace_ids: tuple[str, ...]


def query_lake(spans: int) -> QueryLake:
    """The lake of about `spans` spans, made if the cache does not hold it."""
    folder = cache_folder() / f"query-{spans}"
    description = folder / "description.json"
    if not description.exists() or json.loads(description.read_text(encoding="utf8"))["format"] != _FORMAT:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        description.write_text(json.dumps(_make(folder, spans)), encoding="utf8")
    made = json.loads(description.read_text(encoding="utf8"))
    return QueryLake(
        Lake((folder / "lake").absolute()), folder / "ideal.parquet", made["spans"], tuple(made["trace_ids"])
    )


def linked(lake: Lake, name: str) -> Lake:
    """A lake with the same files, that can be written to.

    What is linked is never changed in place, only replaced; databases and locks are written in place, so they are copied.
    """
    folder = cache_folder() / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(lake.path, folder, copy_function=_link_or_copy)
    return Lake(folder.absolute())


def _link_or_copy(source: str, target: str) -> None:
    if source.endswith(".parquet") or "/tile/" in source or ("/_delta_log/" in source and source.endswith(".json")):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _make(folder: Path, spans: int) -> dict[str, object]:
    started = time.monotonic()
    lake, total, trace_ids = make_compacted(folder, spans)
    _write_ideal(lake, folder)
    print(f"query lake: ideal file written after {time.monotonic() - started:.0f} s", flush=True)
    return {"format": _FORMAT, "spans": total, "trace_ids": trace_ids}


def make_compacted(folder: Path, spans: int, treat: Treatment | None = None) -> tuple[Lake, int, list[str]]:
    """A new lake below `folder`, filled and compacted, how many spans it holds, and some trace ids."""
    started = time.monotonic()
    lake, _ = set_up_lake(folder / "lake", name="bench", clock=system_clock)
    stores = open_stores(lake)
    make_folder(lake.journal / SHARD)
    total, trace_ids = _fill(lake, stores, spans, treat or (lambda records, _tenant, _day: records))
    print(f"lake: {total:,} spans committed after {time.monotonic() - started:.0f} s", flush=True)
    config = MaintenanceConfig(settled_merge_files=2, removed_grace_seconds=0)
    report = run_maintenance(lake, stores, config=config, clock=system_clock)
    if report.failures:
        raise RuntimeError(f"maintenance: {report.failures}")
    print(f"lake: compacted after {time.monotonic() - started:.0f} s", flush=True)
    return lake, total, trace_ids


def _fill(lake: Lake, stores: Mapping[str, DeltaStore], spans: int, treat: Treatment) -> tuple[int, list[str]]:
    pool = SpanPool(np.random.default_rng(_SEED))
    part_spans = max(1, round(spans / (len(TENANTS) * DAYS * SEGMENTS_A_DAY * SPANS_PER_TRACE))) * SPANS_PER_TRACE
    today = system_clock() // NANOS_PER_DAY
    after = Sequenced({}, {}, 0)
    trace_ids: list[str] = []
    for segment in range(DAYS * SEGMENTS_A_DAY):
        day, part = divmod(segment, SEGMENTS_A_DAY)
        start = (today - DAYS + day) * NANOS_PER_DAY + part * NANOS_PER_DAY // SEGMENTS_A_DAY
        batches: dict[str, list[pa.RecordBatch]] = {}
        for tenant in TENANTS:
            records = treat(pool.take(part_spans, tenant, start), tenant, day)
            after = sequence(
                records, shard=SHARD, segment=segment, metric_row=0, next_index=after.next_index,
                random_bytes=secrets.token_bytes,
            )  # fmt: skip
            trace_ids.append(records.tables["spans"].column("trace_id")[0].as_py())
            for name, batch in after.tables.items():
                batches.setdefault(name, []).append(batch)
        for name, rows in batches.items():
            store = stores[name]
            parts = write_parts(TABLES[name], pa.Table.from_batches(rows), store.folder, stem=f"{SHARD}-{segment:010d}")
            modified = system_clock() // (NANOS_PER_SECOND // 1000)
            store.append([written.add_action(modified) for written in parts], [(f"{SHARD}/{name}", segment)])
        write_mark(lake.journal / SHARD, segment)
    return part_spans * len(TENANTS) * DAYS * SEGMENTS_A_DAY, trace_ids


class SpanPool:
    """Decoded spans with their contents, dealt out again and again with new ids and times."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        now = system_clock()
        sender = Sender(tenant_id=TENANTS[0], key_id="bench", recorded_by="key:bench", peer="127.0.0.1:40000")
        bodies = requests(_POOL_REQUESTS, spans=_POOL_SPANS, seed=_SEED, now_unix_nano=now)
        exports = [
            Export(Signal.TRACES, body, sender, now, number.to_bytes(16, "big")) for number, body in enumerate(bodies)
        ]
        decoded = decode_group(exports, limits=IntakeLimits(), prices=PriceBook([]))
        self._spans = decoded.records.tables["spans"]
        self._contents = decoded.records.tables["contents"].sort_by("owner_index")
        self._owners = self._contents.column("owner_index").to_numpy()

    def take(self, count: int, tenant: str, start_unix_nano: int, *, within_seconds: int = _PART_SECONDS) -> RecordSet:
        """`count` spans in whole traces, as `tenant`'s, that begin within so many seconds from `start_unix_nano` on."""
        traces = count // SPANS_PER_TRACE
        chosen = self._random.permutation(self._spans.num_rows // SPANS_PER_TRACE)[:traces]
        chosen = np.resize(chosen, traces)
        rows = (chosen[:, None] * SPANS_PER_TRACE + np.arange(SPANS_PER_TRACE)).ravel()
        spans = self._spans.take(pa.array(rows))
        trace_of = np.repeat(np.arange(traces), SPANS_PER_TRACE)
        old = spans.column("time_unix_nano").to_numpy()
        first = old.reshape(traces, SPANS_PER_TRACE).min(axis=1)
        begin = start_unix_nano + self._random.integers(0, within_seconds * NANOS_PER_SECOND, traces)
        times = old - first[trace_of] + begin[trace_of]
        durations = (spans.column("duration_ns").to_numpy() * self._random.uniform(0.7, 1.4, count)).astype(np.int64)
        trace_ids = self._hex(16, traces).take(pa.array(trace_of))
        span_ids = self._hex(8, count)
        last = np.arange(count) // SPANS_PER_TRACE * SPANS_PER_TRACE + SPANS_PER_TRACE - 1
        is_root = np.arange(count) == last
        parents = span_ids.take(pa.array(last, mask=is_root))
        spans = _replace(
            spans, tenant, times,
            {
                "trace_id": trace_ids, "span_id": span_ids, "parent_span_id": parents, "duration_ns": pa.array(durations),
                "end_unix_nano": pa.array(times + durations), "received_unix_nano": pa.array(times + durations + NANOS_PER_SECOND),
            },
        )  # fmt: skip
        return RecordSet({"spans": spans, "contents": self._contents_of(rows, spans, tenant)})

    def _contents_of(self, rows: npt.NDArray[np.int64], spans: pa.RecordBatch, tenant: str) -> pa.RecordBatch:
        begins, ends = np.searchsorted(self._owners, rows), np.searchsorted(self._owners, rows, side="right")
        counts = ends - begins
        owner = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        contents = self._contents.take(pa.array(begins[owner] + within))
        places = pa.array(owner)
        times = spans.column("time_unix_nano").to_numpy()[owner]
        return _replace(
            contents, tenant, times, {"owner_index": places, "trace_id": spans.column("trace_id").take(places)}
        )

    def _hex(self, size_bytes: int, count: int) -> pa.Array:
        text = self._random.bytes(size_bytes * count).hex().encode()
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * size_bytes * 2)
        return pa.StringArray.from_buffers(count, offsets.buffers()[1], pa.py_buffer(text))


def _replace(
    batch: pa.RecordBatch, tenant: str, times: npt.NDArray[np.int64], columns: Mapping[str, pa.Array]
) -> pa.RecordBatch:
    given = {
        "tenant_id": pa.repeat(pa.scalar(tenant), batch.num_rows),
        "time_unix_nano": pa.array(times),
        "day": pa.array((times // NANOS_PER_DAY).astype(np.int32)).view(pa.date32()),
        **columns,
    }
    arrays = [given.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def _write_ideal(lake: Lake, folder: Path) -> None:
    files = _live_files(lake)
    with duckdb.connect(config={"memory_limit": _IDEAL_MEMORY, "temp_directory": str(folder / "spill")}) as connection:
        source = "read_parquet(?::varchar[], hive_partitioning = true, hive_types_autocast = true)"
        connection.execute(
            f"copy (select * from {source} order by trace_id, time_unix_nano) to '{folder / 'ideal.parquet'}'"
            f" (format parquet, compression zstd, row_group_size {_IDEAL_GROUP_ROWS})",
            [files],
        )
    shutil.rmtree(folder / "spill", ignore_errors=True)


def _live_files(lake: Lake) -> list[str]:
    folder = lake.table("spans")
    # only the last parts of a URI: those before them are percent-encoded
    return [f"{folder}/{'/'.join(uri.rsplit('/', 3)[1:])}" for uri in DeltaTable(str(folder)).file_uris()]
