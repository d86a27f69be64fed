"""The ledger's own cost: record texts, commitments and leaf hashes a record, tiles, and proofs in a tree of five million.

    python -m benchmarks.commitments [--quick]

Rows are those that the ingest benchmark's requests become: 60 ledger columns, about 1.7 KB of text a span; for the figure
that `verify` is held to, rows of 1 KB. Best of several runs, CPU time of one core.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from benchmarks.results import Figure, show
from benchmarks.spans import requests
from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal
from warehouse.clock import system_clock
from warehouse.ledger.commitments import commit_rows
from warehouse.ledger.frontier import Frontier
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.record_text import record_texts
from warehouse.ledger.tree import leaf_hashes
from warehouse.sequence import sequence

INGEST_ROWS = 512
VERIFY_ROWS = 65_536
BAR_MICROSECONDS = 12.0
BAR_RECORDS_A_SECOND = 80_000.0
BAR_PROOF_MILLISECONDS = 50.0
_SEED = 12
_SENDER = Sender(tenant_id="acme", key_id="k1", recorded_by="key:k1", peer="127.0.0.1:40000")
_CHUNK = 65_536


def run(*, quick: bool) -> list[Figure]:
    """Measure commitments, then a tree."""
    return [*_commitment_figures(quick=quick), *_tree_figures(500_000 if quick else 5_000_000)]


def _commitment_figures(*, quick: bool) -> list[Figure]:
    batch = _spans(1)[0]
    rows = pa.concat_batches(_spans(16 if quick else VERIFY_ROWS // INGEST_ROWS))
    # rows of 1 KB: without the JSON of their contents' digests, and with shorter attributes
    small = _with_short_attributes(rows)
    repeat = 3 if quick else 5
    texts = _best(repeat * 10, lambda: list(record_texts("spans", 1, batch))) / INGEST_ROWS
    whole = _best(repeat * 10, lambda: leaf_hashes(commit_rows("spans", batch).hashes)) / INGEST_ROWS
    large = _best(repeat, lambda: leaf_hashes(commit_rows("spans", rows).hashes)) / rows.num_rows
    verify = _best(repeat, lambda: leaf_hashes(commit_rows("spans", small).hashes)) / small.num_rows
    name = "commitments"
    return [
        Figure(name, f"record text, {INGEST_ROWS} rows", texts * 1e6, "µs a record"),
        Figure(
            name, f"text, commitment and leaf, {INGEST_ROWS} rows", whole * 1e6, "µs a record", BAR_MICROSECONDS,
            note=_text_size(batch),
        ),
        Figure(name, f"the same, {rows.num_rows} rows", large * 1e6, "µs a record", note=_text_size(rows)),
        Figure(
            name, f"the same, {small.num_rows} rows of 1 KB", 1 / verify, "records a second", BAR_RECORDS_A_SECOND, "≥",
            note=_text_size(small),
        ),
    ]  # fmt: skip


def _tree_figures(size: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hashing = _fill(folder, size) / size
        log = LogTiles(folder)
        commits = 20
        started = time.perf_counter()
        for number in range(commits):
            log.append(size + number * 50, os.urandom(32 * 50))
        commit = (time.perf_counter() - started) / commits
        proofs = [_timed(lambda index=index: LogTiles(folder).inclusion_proof(index, size)) for index in _places(size)]
        consistency = [_timed(lambda old=old: LogTiles(folder).consistency_proof(old, size)) for old in _places(size)]
    name = "tree"
    shape = f"{size:,} leaves"
    return [
        Figure(name, "leaves and full tiles hashed", hashing * 1e6, "µs a record CPU", note=shape),
        Figure(name, "append of 50 entries, durable", commit * 1e3, "ms", note="elapsed, partial tiles"),
        Figure(
            name,
            "inclusion proof, cold",
            max(proofs) * 1e3,
            "ms",
            BAR_PROOF_MILLISECONDS,
            note=f"{shape}, slowest of 20",
        ),
        Figure(name, "consistency proof, cold", max(consistency) * 1e3, "ms", BAR_PROOF_MILLISECONDS, note=shape),
    ]


def _spans(count: int) -> list[pa.RecordBatch]:
    """Sequenced rows of `count` requests."""
    now, indices, found = system_clock(), {}, []
    for body in requests(count, spans=INGEST_ROWS, seed=_SEED, now_unix_nano=now):
        export = Export(Signal.TRACES, body, _SENDER, now, b"d" * 16)
        records = decode_group([export], limits=IntakeLimits(), prices=PriceBook.default()).records
        sequenced = sequence(
            records, shard="main-1a2b3c4d", segment=1, metric_row=0, next_index=indices, random_bytes=os.urandom
        )
        indices = sequenced.next_index
        found.append(sequenced.tables["spans"])
    return found


def _with_short_attributes(rows: pa.RecordBatch) -> pa.RecordBatch:
    for name, keep in (("attributes", 250), ("resource", 120), ("content_digests", 80)):
        place = rows.schema.get_field_index(name)
        short = [None if text is None else text[:keep] for text in rows.column(place).to_pylist()]
        rows = rows.set_column(place, name, pa.array(short, pa.string()))
    return rows


def _text_size(rows: pa.RecordBatch) -> str:
    size_bytes = sum(text.nbytes for text in record_texts("spans", 1, rows.slice(0, INGEST_ROWS)))
    return f"{size_bytes / min(rows.num_rows, INGEST_ROWS):.0f} bytes of text"


def _fill(folder: Path, size: int) -> float:
    """Tiles of a tree of `size` leaves, written without waiting for the disk; CPU seconds of the hashing alone."""
    frontier, spent = Frontier(), 0.0
    for first in range(0, size, _CHUNK):
        entries = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(first, min(first + _CHUNK, size)))
        started = time.process_time()
        frontier, files = frontier.extend(entries)
        spent += time.process_time() - started
        for file in [*files, *(frontier.partial_files() if frontier.size == size else ())]:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
    return spent


def _places(size: int) -> list[int]:
    return [size * part // 20 + 1 for part in range(20)]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _best(repeat: int, work: Callable[[], object]) -> float:
    """CPU seconds of the fastest run."""
    best = float("inf")
    for _ in range(repeat):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the leaves, fewer rows")
    show(run(quick=parser.parse_args().quick))


if __name__ == "__main__":
    main()
