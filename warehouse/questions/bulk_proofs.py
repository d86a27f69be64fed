"""Proofs of many records at once: texts in columns, entries and hashes of one log from its tiles, each read once.

Each proof is held against the log's own entry before it is handed out, as that of one record is (`warehouse.questions.proof`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.ledger.errors import LedgerError, ProofError
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.record_text import record_texts
from warehouse.ledger.tlog_proof import TlogProof
from warehouse.questions.proof import FoundRecord, ProvableLog, prove_record


@dataclass(frozen=True)
class BulkProof:
    """One record's proof, or why it has none."""

    table: str
    shard: str
    index: int
    proof: TlogProof | None
    problem: str = ""


def prove_rows(logs: Mapping[str, ProvableLog], tables: Mapping[str, pa.Table]) -> Iterator[BulkProof]:
    """A proof for every row of ledgered tables, by table, shard and index. `logs` are one tenant's, by shard.

    Rows that are not what was recorded, and rows of a log that is not there, come back with the problem instead of a proof.
    """
    for table, rows in tables.items():
        for shard in sorted(pc.unique(rows.column("shard")).to_pylist()):
            mine = rows.filter(pc.equal(rows.column("shard"), shard)).sort_by("log_index")
            log = logs.get(shard)
            if log is None:
                for index in mine.column("log_index").to_pylist():
                    yield BulkProof(table, shard, index, None, "its log is not there")
            else:
                yield from _prove(log, table, mine)


def _prove(log: ProvableLog, table: str, rows: pa.Table) -> Iterator[BulkProof]:
    tiles = LogTiles(log.folder)
    versions = np.asarray(rows.column("schema_version").fill_null(0))
    texts: list[bytes | None] = [None] * rows.num_rows
    for version in np.unique(versions).tolist():
        places = np.flatnonzero(versions == version)
        for place, text in zip(places.tolist(), _texts(table, version, rows.take(pa.array(places))), strict=True):
            texts[place] = text
    indices, salts = rows.column("log_index").to_pylist(), rows.column("salt").to_pylist()
    for index, salt, text in zip(indices, salts, texts, strict=True):
        yield _prove_one(log, tiles, index, None if text is None else FoundRecord(table, salt or b"", text), table)


def _prove_one(log: ProvableLog, tiles: LogTiles, index: int, record: FoundRecord | None, table: str) -> BulkProof:
    try:
        if record is None:
            raise ProofError("its columns cannot be put into text")
        if index >= log.checkpoint.size:
            raise ProofError(f"index {index} is not below the log's size {log.checkpoint.size}")
        return BulkProof(table, log.shard, index, prove_record(log, index, record, tiles))
    except LedgerError as exc:
        return BulkProof(table, log.shard, index, None, str(exc))


def _texts(table: str, version: int, rows: pa.Table) -> Sequence[bytes | None]:
    try:
        found: list[bytes | None] = []
        for batch in rows.combine_chunks().to_batches():
            for texts in record_texts(table, version, batch):
                found += texts.to_pylist()
    except LedgerError:
        return [None] * rows.num_rows
    return found
