"""One record's proof: find the log, find the row, and show that its commitment stands in the signed tree (C2SP tlog-proof).

A proof is checked against the log's own entry before it is handed out: what cannot be proved is said here, not by whoever
receives the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import InputError, NotFoundError
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint, read_unverified
from warehouse.ledger.columns import LEDGER_COLUMNS
from warehouse.ledger.errors import ProofError
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.record import commitment
from warehouse.ledger.record_text import record_texts
from warehouse.ledger.tiles import ENTRY_BYTES
from warehouse.ledger.tlog_proof import TlogProof

if TYPE_CHECKING:
    import pyarrow as pa

    from warehouse.query import QuerySession

PROVABLE_TABLES = tuple(sorted({table for table, _ in LEDGER_COLUMNS}))


@dataclass(frozen=True)
class ProvableLog:
    """A log as it was when its checkpoint was read: which, where, and the checkpoint's note verbatim."""

    tenant: str
    shard: str
    folder: Path
    checkpoint: Checkpoint
    note: bytes

    @property
    def name(self) -> str:
        """The shard's name, without what its identity adds."""
        return self.shard.rpartition("-")[0]


@dataclass(frozen=True)
class FoundRecord:
    """A row of a ledgered table as its commitment needs it."""

    table: str
    salt: bytes
    text: bytes


def list_logs(lake: Lake, tenant: str) -> list[ProvableLog]:
    """The tenant's logs that have a checkpoint, by shard.

    Raises:
        NoteError: a checkpoint is not in its format.
    """
    folders = sorted((lake.path / "ledger" / tenant).glob(f"*/{CHECKPOINT_FILE}"))
    return [_provable(tenant, file.parent) for file in folders]


def choose_log(lake: Lake, tenant: str, index: int, shard: str | None = None, *, own_shard: str) -> ProvableLog:
    """The log of `tenant` that holds `index`: the one of `shard`, or the only one that is long enough.

    `own_shard` names the shard that holds nothing but Muniment's own events: another that holds the index goes before it.

    Raises:
        InputError: several logs hold it, or none does yet; the message lists them.
        NotFoundError: the tenant has no log, or not this one.
    """
    logs = list_logs(lake, tenant)
    if not logs:
        raise NotFoundError(
            f"tenant {tenant}: expected a log, got none",
            hint="nothing of it was committed yet; `muniment ledger list` shows all",
        )
    if shard is not None:
        logs = [log for log in logs if shard in (log.shard, log.name)] or _no_such_shard(logs, shard)
    holding = [log for log in logs if index < log.checkpoint.size]
    if len(holding) > 1:
        holding = [log for log in holding if log.name != own_shard] or holding
    if len(holding) == 1:
        return holding[0]
    sizes = ", ".join(f"{log.shard} (size {log.checkpoint.size})" for log in logs)
    if holding:
        raise InputError(
            f"index {index} of tenant {tenant} stands in several logs: {sizes}",
            hint="name one with --shard; the columns shard and log_index of a row say which is its own",
        )
    raise InputError(
        f"index {index} of tenant {tenant}: expected an index below a log's size, got logs {sizes}",
        hint="a record can be proved once it is committed, a few seconds after it was acknowledged",
    )


def find_record(session: "QuerySession", tenant: str, shard: str, index: int) -> FoundRecord | None:
    """The row at `index` of one log; None where no table has it.

    Raises:
        ProofError: two rows claim this index.
        RecordTextError: the row cannot be put into text: it was damaged.
        QueryError: the tables cannot be read.
    """
    found = [
        record
        for table in PROVABLE_TABLES
        if table in session.tables
        for record in _rows(session, table, tenant, shard, index)
    ]
    if len(found) > 1:
        tables = ", ".join(record.table for record in found)
        raise ProofError(f"index {index} of {tenant}/{shard}: expected one row, got {len(found)} ({tables})")
    return found[0] if found else None


def prove_record(log: ProvableLog, index: int, record: FoundRecord, tiles: LogTiles | None = None) -> TlogProof:
    """The self-contained proof of a record: its salt and text, its place, the path to the signed root, the checkpoint.

    `tiles` are the log's own where several proofs are made of it.

    Raises:
        ProofError: the record is not what the log holds at that index: it was altered.
        TileError: a tile is missing or damaged.
    """
    tiles = tiles or LogTiles(log.folder)
    expected = tiles.entries(index, index + 1)
    got = commitment(record.salt, record.text)
    if got != expected:
        raise ProofError(
            f"index {index} of {log.tenant}/{log.shard}: expected a record with commitment {expected.hex()}, got one with "
            f"{got.hex()}: the row was altered after it was recorded",
            hint="`muniment verify` looks at all of them",
        )
    hashes = tiles.inclusion_proof(index, log.checkpoint.size)
    return TlogProof.of_record(index=index, hashes=hashes, checkpoint=log.note, salt=record.salt, text=record.text)


def prove_entry(log: ProvableLog, index: int) -> TlogProof:
    """The proof that an entry stands at an index, where its record is gone: the extra bytes are the 32 of the commitment.

    Raises:
        TileError: a tile is missing or damaged.
    """
    tiles = LogTiles(log.folder)
    hashes = tuple(tiles.inclusion_proof(index, log.checkpoint.size))
    return TlogProof(index, hashes, log.note, tiles.entries(index, index + 1))


def entry_of(proof: TlogProof) -> bytes | None:
    """The commitment that a proof made by `prove_entry` carries; None where it carries a record, or nothing.

    No record's text is as short as 16 bytes, so the two cannot be confused.
    """
    return proof.extra if proof.extra is not None and len(proof.extra) == ENTRY_BYTES else None


def _provable(tenant: str, folder: Path) -> ProvableLog:
    note = (folder / CHECKPOINT_FILE).read_bytes()
    return ProvableLog(tenant, folder.name, folder, read_unverified(note), note)


def _no_such_shard(logs: Sequence[ProvableLog], shard: str) -> list[ProvableLog]:
    raise NotFoundError(
        f"shard {shard}: expected a log of tenant {logs[0].tenant}, which has {', '.join(log.shard for log in logs)}"
    )


def _rows(session: "QuerySession", table: str, tenant: str, shard: str, index: int) -> list[FoundRecord]:
    rows = session.run_trusted(
        f"select * from {table} where log_index = ? and shard = ? and tenant_id = ?",  # noqa: S608 - a ledgered table's own name
        [index, shard, tenant],
    )
    return [
        FoundRecord(table, row.column("salt")[0].as_py() or b"", _text(table, row))
        for batch in rows.to_batches()
        for row in (batch.slice(place, 1) for place in range(batch.num_rows))
    ]


def _text(table: str, row: "pa.RecordBatch") -> bytes:
    (texts,) = record_texts(table, row.column("schema_version")[0].as_py(), row)
    text: bytes = texts[0].as_py()
    return text
