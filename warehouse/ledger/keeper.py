"""Keeps the logs of one shard: after each commit, tiles and then a signed checkpoint for every tenant that grew.

Invariant: a log never signs a checkpoint that contradicts an earlier one of its own. Entries below the signed size are compared
with what stands there, never written again; what lies above it was never promised, and a replay writes the same bytes.
The order is tiles, checkpoint, so a checkpoint never promises what is not on the disk.

After a rotation of the key no checkpoint is left with the old key's signature alone: one written while the key file was being
replaced is signed again before `advance` returns, and so are the shard's logs that did not grow.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from warehouse.clock import Clock
from warehouse.durable import replace_files
from warehouse.errors import CorruptionError, MunimentError
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint, log_origin, open_checkpoint, read_unverified, sign_checkpoint
from warehouse.ledger.commitments import LogEntries, log_entries
from warehouse.ledger.frontier import Frontier
from warehouse.ledger.log_tiles import Growth, LogTiles, write_growths
from warehouse.ledger.note import Note, parse_note
from warehouse.ledger.record_text import ROWS_AT_ONCE
from warehouse.ledger.signing import KEY_FILE, SigningKeys, read_signing_keys
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
        self._signed_with = 0
        self.last_checkpoint_unix_nano = 0

    def advance(self, tables: Mapping[str, pa.Table]) -> list[Checkpoint]:
        """Bring one segment's rows into the logs, durably; safe to repeat. Returns the new checkpoints.

        `tables` holds whole rows of the ledgered tables.

        Raises:
            OSError: the disk refused; the same call may be made again.
            CorruptionError: the rows contradict what the log has signed, or do not follow it.
        """
        batches = ((name, batch) for name, table in tables.items() for batch in _pieces(table))
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
        while True:
            file_time, keys = self._signing_keys()
            checkpoints = self._write_checkpoints(grown, keys)
            # A rotation reads every log's size after it replaced the key file: what was signed without looking again could be
            # above that size by the old key alone.
            if self._key_file_time() == file_time:
                break
        if file_time != self._signed_with:
            self._sign_others_again(keys)
            self._signed_with = file_time
        return checkpoints

    def _write_checkpoints(self, grown: list[tuple[_Log, Growth]], keys: SigningKeys) -> list[Checkpoint]:
        now = self._clock()
        files: list[tuple[Path, bytes]] = []
        checkpoints = []
        for log, growth in grown:
            checkpoint = Checkpoint(log.origin, growth.frontier.size, growth.frontier.root())
            signers = keys.signers(log.origin, now)
            key_ids = tuple(signer.verifier.key_id for signer in signers)
            if key_ids != log.signed_by:
                files.append((log.tiles.folder / VKEY_FILE, _vkey_lines(keys, log.origin)))
                log.signed_by = key_ids
            files.append((log.tiles.folder / CHECKPOINT_FILE, sign_checkpoint(checkpoint, signers)))
            checkpoints.append(checkpoint)
        replace_files(files)
        return checkpoints

    def _sign_others_again(self, keys: SigningKeys) -> None:
        if len(keys.keys) == 1:
            return
        for file in sorted((self._lake.path / "ledger").glob(f"*/{self._shard}/{CHECKPOINT_FILE}")):
            # One that cannot be signed again stays as it is for `verify` to name; the logs that are whole go on.
            with contextlib.suppress(MunimentError):
                sign_again(file.parent, keys, now_unix_nano=self._clock())

    def _signing_keys(self) -> tuple[int, SigningKeys]:
        """Read the keys, again whenever a rotation replaced their file; with the file's time."""
        changed = self._key_file_time()
        if self._keys is None or self._keys[0] != changed:
            self._keys = (changed, read_signing_keys(self._lake.keys))
        return self._keys

    def _key_file_time(self) -> int:
        return (self._lake.keys / KEY_FILE).stat().st_mtime_ns


def sign_again(folder: Path, keys: SigningKeys, *, now_unix_nano: int) -> bool:
    """Give a log's checkpoint the signatures of the keys in force now; whether that changed it. Safe to repeat.

    Only a checkpoint that a key of this lake signed is signed again, and only where the tiles have its root: a rotation must
    not vouch for what somebody put there. Cosignatures of witnesses are about the same text and stay. The caller makes sure
    that nobody else writes this log meanwhile.

    Raises:
        CorruptionError: the tiles do not have the signed root.
        NoteError: the checkpoint is not one, or no key of this lake signed it.
        TileError: a tile is missing or damaged.
        OSError: the disk refused.
    """
    content = (folder / CHECKPOINT_FILE).read_bytes()
    origin, note = read_unverified(content).origin, parse_note(content)
    own = {verifier.key_id: verifier for verifier in keys.verifiers(origin)}
    signers = keys.signers(origin, now_unix_nano)
    present = [line.key_id for line in note.signatures if line.name == origin and line.key_id in own]
    if present == [signer.verifier.key_id for signer in signers]:
        return False
    head = open_checkpoint(content, origin=origin, verifiers=own.values()).checkpoint
    if LogTiles(folder).root(head.size) != head.root:
        raise CorruptionError(
            f"{folder}: the tiles of size {head.size} do not have the signed root; the checkpoint was not signed again",
            hint="run `muniment verify`; restore the log's folder from a backup",
        )
    others = [line for line in note.signatures if line.name != origin or line.key_id not in own]
    signed = Note(note.text, (*(signer.sign(note.text) for signer in signers), *others))
    replace_files([(folder / VKEY_FILE, _vkey_lines(keys, origin)), (folder / CHECKPOINT_FILE, signed.encode())])
    return True


def _vkey_lines(keys: SigningKeys, origin: str) -> bytes:
    return "".join(f"{verifier.vkey}\n" for verifier in keys.verifiers(origin)).encode()


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


def _pieces(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """The rows in batches of a size that fits a cache, one laid together at a time: a segment's frames are smaller ones."""
    for start in range(0, table.num_rows, ROWS_AT_ONCE):
        yield from table.slice(start, ROWS_AT_ONCE).combine_chunks().to_batches()
