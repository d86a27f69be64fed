"""Searching a person in a compacted lake of 5 million spans and their contents: bytes read, time, and what a rewrite of the finds takes.

Bytes are those that the process asks of files (`rchar` of `/proc/self/io`), against all bytes of the lake's tables. The person has a
trace on each of 20 days of one tenant, so that 20 files of spans and 20 of contents are found and rewritten, the latter into files
that no commit names and that are deleted again. Of the ways to find the rows, what an index would read is measured beside it: the
sorted 8-byte digests of each file's tokens.
"""

import datetime as dt
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.query_lake import TENANTS
from benchmarks.results import Figure
from benchmarks.subject_lake import PERSON, PERSON_DAYS, SubjectLake, subject_lake
from retention.subject_finds import SubjectFinds, SubjectTerms
from retention.subject_search import search_subject
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint, sign_checkpoint
from warehouse.ledger.commitments import commit_rows
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import Ed25519Signer
from warehouse.maintenance.filter import filter_file
from warehouse.questions.bulk_proofs import prove_rows
from warehouse.questions.proof import ProvableLog
from warehouse.tables import TABLES

BAR_SHARE = 0.02
BAR_SECONDS = 20.0
SPANS = 5_000_000
QUICK_SPANS = 500_000
T = TypeVar("T")
_DIGEST_BYTES = 8
_VALUE = "nobody@example.org"
_ORIGIN = "bench/acme/bench-00000001"
_PROOFS = 5_000


def run(*, quick: bool) -> list[Figure]:
    """Measure."""
    made = subject_lake(QUICK_SPANS if quick else SPANS)
    size = sum(file.stat().st_size for file in made.lake.tables.rglob("*") if file.is_file())
    terms = SubjectTerms.of([PERSON])
    search_subject(made.lake, TENANTS[0], terms)  # once for what is only done once: imports, the page cache
    found, cost = _measured(lambda: search_subject(made.lake, TENANTS[0], terms))
    _expect(found)
    note = (
        f"{made.spans:,} spans, {size / 1e9:.1f} GB; {cost.read_bytes / 1e6:.0f} MB read, of {found.files_read} files"
    )
    rewriting = _rewrite(made.lake, found)
    # a quick lake is small beside its footers, and no bar is held against it
    return [
        Figure("subjects", "bytes read to find a person", cost.read_bytes / size, "of the lake", None if quick else BAR_SHARE, note=note),
        Figure("subjects", "finding a person", cost.seconds, "s", note=f"{cost.cpu_seconds:.1f} s of processor time"),
        Figure(
            "subjects", f"finding and rewriting, {PERSON_DAYS} days", cost.seconds + rewriting.seconds, "s",
            None if quick else BAR_SECONDS, note=f"{len(found.files)} files; {rewriting.cpu_seconds:.1f} s of processor time",
        ),
        *_texts(made),
        _index(made.lake, size),
        _proofs(made.lake),
    ]  # fmt: skip


@dataclass(frozen=True)
class _Cost:
    seconds: float
    cpu_seconds: float
    read_bytes: int


def _measured(work: Callable[[], T]) -> tuple[T, _Cost]:
    read, cpu, started = _read_bytes(), _cpu_seconds(), time.perf_counter()
    done = work()
    return done, _Cost(time.perf_counter() - started, _cpu_seconds() - cpu, _read_bytes() - read)


def _read_bytes() -> int:
    return int(Path("/proc/self/io").read_text(encoding="ascii").split()[1])


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _expect(found: SubjectFinds) -> None:
    days = {(file.table, file.day) for file in found.files}
    if len(days) != 2 * PERSON_DAYS:
        raise RuntimeError(f"expected the person on {PERSON_DAYS} days of two tables, got {len(days)}")


def _rewrite(lake: Lake, found: SubjectFinds) -> _Cost:
    def write() -> None:
        with TemporaryDirectory(dir=lake.path, prefix="rewritten-") as folder:
            for number, file in enumerate(found.found_files):
                source = lake.table(file.table) / file.path
                filter_file(TABLES[file.table], source, Path(folder) / f"{number}.parquet", stays=~file.rows)

    return _measured(write)[1]


def _texts(made: SubjectLake) -> list[Figure]:
    terms = SubjectTerms.of([PERSON, _VALUE])
    found, cost = _measured(lambda: search_subject(made.lake, TENANTS[0], terms, texts=True))
    return [
        Figure(
            "subjects", "searching every text of a tenant", found.rows_read / cost.cpu_seconds, "rows/s",
            note=f"by processor time; {cost.seconds:.0f} s, {cost.read_bytes / 1e9:.2f} GB read",
        )
    ]  # fmt: skip


def _index(lake: Lake, size: int) -> Figure:
    digests = 0
    for table in ("spans", "contents"):
        for file in sorted((lake.table(table) / f"tenant_id={TENANTS[0]}").rglob("*.parquet")):
            lists = pq.read_table(file, columns=["subjects"], partitioning=None).column("subjects")
            digests += len(pc.unique(pc.list_flatten(lists)))
    return Figure(
        "subjects", "the same by an index of tokens, alone", digests * _DIGEST_BYTES / size, "of the lake",
        note="without the rows, which are read from the files found",
    )  # fmt: skip


def _proofs(lake: Lake) -> Figure:
    """Proofs of some rows of a file, in a log of all its rows; the lake itself was made without logs."""
    file = min((lake.table("spans") / f"tenant_id={TENANTS[0]}").rglob("*.parquet"))
    rows = pq.read_table(file, partitioning=None)
    rows = rows.set_column(rows.schema.get_field_index("log_index"), "log_index", pa.array(np.arange(rows.num_rows)))
    day = pa.scalar(dt.date.fromisoformat(file.parent.name.removeprefix("day=")))
    rows = rows.append_column("tenant_id", pa.repeat(TENANTS[0], rows.num_rows))
    rows = rows.append_column("day", pa.repeat(day, rows.num_rows)).select(TABLES["spans"].schema.names)
    with TemporaryDirectory(prefix="muniment-proofs-") as folder:
        signer = Ed25519Signer(_ORIGIN, Ed25519PrivateKey.generate())
        frontier = LogTiles(Path(folder)).append(0, commit_rows("spans", rows.combine_chunks().to_batches()[0]).hashes)
        head = Checkpoint(_ORIGIN, rows.num_rows, frontier.root())
        shard = rows.column("shard")[0].as_py()
        log = ProvableLog(TENANTS[0], shard, Path(folder), head, sign_checkpoint(head, [signer]))
        some = rows.take(pa.array(np.arange(0, rows.num_rows, max(1, rows.num_rows // _PROOFS))))
        done, cost = _measured(lambda: list(prove_rows({shard: log}, {"spans": some})))
    if any(each.proof is None for each in done):
        raise RuntimeError(
            f"expected a proof of each record, got {next(each.problem for each in done if each.proof is None)}"
        )
    return Figure(
        "subjects",
        "a proof, of many at once",
        cost.cpu_seconds / len(done) * 1e3,
        "ms",
        note=f"{len(done):,} of {rows.num_rows:,} records",
    )
