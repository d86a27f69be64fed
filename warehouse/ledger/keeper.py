"""Keeps the logs of one shard: after each commit, tiles and then a signed checkpoint for every tenant that grew.

Invariant: a log never signs a checkpoint that contradicts an earlier one of its own. Entries below the signed size are compared
with what stands there, never written again; what lies above it was never promised, and a replay writes the same bytes.
The order is tiles, checkpoint, so a checkpoint never promises what is not on the disk.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from warehouse import durable
from warehouse.clock import Clock
from warehouse.errors import CorruptionError
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint, log_origin, read_unverified, sign_checkpoint
from warehouse.ledger.commitments import LogEntries, log_entries
from warehouse.ledger.frontier import Frontier
from warehouse.ledger.log_tiles import Growth, LogTiles, write_growths
from warehouse.ledger.signing import SigningKeys, read_signing_keys
from warehouse.ledger.tree import HASH_BYTES

CHECKPOINT_FILE = "checkpoint"
VKEY_FILE = "vkey"
_HELD_LOGS = 4096


@dataclass
class _Log:
    """One tenant's log as this process last wrote it."""

    tiles: LogTiles
    origin: str
    frontier: Frontier
    signed_by: tuple[bytes, ...] = ()


class LedgerKeeper:
    """Writes the logs of one shard. The shard's committer owns it; not thread-safe."""

    def __init__(self, lake: Lake, *, lake_name: str, shard: str, clock: Clock) -> None:
        self._lake = lake
        self._lake_name = lake_name
        self._shard = shard
        self._clock = clock
        self._logs: dict[str, _Log] = {}
        self._keys: tuple[int, SigningKeys] | None = None
        self.last_checkpoint_unix_nano = 0

    def advance(self, tables: Mapping[str, pa.Table]) -> list[Checkpoint]:
        """Bring one segment's rows into the logs, durably; safe to repeat. Returns the new checkpoints.

        `tables` holds whole rows of the ledgered tables.

        Raises:
            OSError: the disk refused; the same call may be made again.
            CorruptionError: the rows contradict what the log has signed, or do not follow it.
        """
        batches = ((name, batch) for name, table in tables.items() for batch in _one_batch(table))
        grown = [
            (log, growth)
            for tenant, entries in sorted(log_entries(batches).items())
            if (growth := self._grow(log := self._log(tenant), entries)) is not None
        ]
        if not grown:
            return []
        write_growths([growth for _, growth in grown])
        checkpoints = self._sign([(log, growth) for log, growth in grown])
        for log, growth in grown:
            log.frontier = growth.frontier
        self.last_checkpoint_unix_nano = self._clock()
        return checkpoints

    def _log(self, tenant: str) -> _Log:
        known = self._logs.get(tenant)
        if known is None:
            if len(self._logs) >= _HELD_LOGS:
                self._logs.clear()  # read again from disk when they grow
            tiles = LogTiles(log_folder(self._lake, tenant, self._shard))
            origin = log_origin(self._lake_name, tenant, self._shard)
            signed = read_checkpoint(tiles.folder)
            if signed is not None and signed.origin != origin:
                raise CorruptionError(f"{tiles.folder}: expected the log {origin}, got a checkpoint of {signed.origin}")
            frontier = tiles.frontier(signed.size) if signed is not None else Frontier()
            if signed is not None and frontier.root() != signed.root:
                raise CorruptionError(
                    f"{tiles.folder}: the tiles of size {signed.size} do not have the signed root",
                    hint="run `muniment verify`; restore the log's folder from a backup",
                )
            known = self._logs[tenant] = _Log(tiles, origin, frontier)
        return known

    def _grow(self, log: _Log, entries: LogEntries) -> Growth | None:
        size = log.frontier.size
        if entries.first > size:
            raise CorruptionError(
                f"log {log.origin}: expected entry {size} next, got {entries.first}: entries between them are missing"
            )
        known = min(size, entries.after) - entries.first
        if known and log.tiles.entries(entries.first, entries.first + known) != entries.entries[: known * HASH_BYTES]:
            raise CorruptionError(
                f"log {log.origin}: entries {entries.first} to {entries.first + known - 1} are signed already and differ: "
                "continuing would fork the log"
            )
        if entries.after <= size:
            return None
        return log.tiles.grow(log.frontier, entries.entries[known * HASH_BYTES :])

    def _sign(self, grown: list[tuple[_Log, Growth]]) -> list[Checkpoint]:
        now = self._clock()
        keys = self._signing_keys()
        files: list[tuple[Path, bytes]] = []
        checkpoints = []
        for log, growth in grown:
            checkpoint = Checkpoint(log.origin, growth.frontier.size, growth.frontier.root())
            signers = keys.signers(log.origin, now)
            key_ids = tuple(signer.verifier.key_id for signer in signers)
            if key_ids != log.signed_by:
                lines = "".join(f"{verifier.vkey}\n" for verifier in keys.verifiers(log.origin))
                files.append((log.tiles.folder / VKEY_FILE, lines.encode()))
                log.signed_by = key_ids
            files.append((log.tiles.folder / CHECKPOINT_FILE, sign_checkpoint(checkpoint, signers)))
            checkpoints.append(checkpoint)
        replace_files(files)
        return checkpoints

    def _signing_keys(self) -> SigningKeys:
        """Read the keys, again whenever a rotation replaced their file."""
        changed = (self._lake.keys / "ledger.json").stat().st_mtime_ns
        if self._keys is None or self._keys[0] != changed:
            self._keys = (changed, read_signing_keys(self._lake.keys))
        return self._keys[1]


def log_folder(lake: Lake, tenant: str, shard: str) -> Path:
    """Folder of one log."""
    return lake.path / "ledger" / tenant / shard


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """What a log's checkpoint says, unverified; None when the log has none yet.

    Raises:
        NoteError: the file is not a checkpoint.
    """
    file = folder / CHECKPOINT_FILE
    return read_unverified(file.read_bytes()) if file.exists() else None


def replace_files(files: Iterable[tuple[Path, bytes]]) -> None:
    """Replace many files durably with their flushes side by side; a crash leaves each old or new, never between."""
    pending = []
    for file, content in files:
        temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        temporary.touch(durable.PRIVATE_FILE)
        temporary.write_bytes(content)
        pending.append((temporary, file))
    durable.sync_many(temporary for temporary, _ in pending)
    for temporary, file in pending:
        temporary.rename(file)
    durable.sync_folders({file.parent for _, file in pending})


def _one_batch(table: pa.Table) -> list[pa.RecordBatch]:
    return table.combine_chunks().to_batches() if table.num_rows else []
