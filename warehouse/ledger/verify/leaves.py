"""From entries to tiles: every leaf hashed again and compared with the tile that is to hold it. `levels` goes on to the root.

A bundle of entries and the tile of its leaf hashes say the same thing twice. Where they differ, the one that leads to the
stored hash above is taken for the time being; whether it was right is decided by the signed root.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from warehouse.ledger.errors import MissingTileError, TileError
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.tiles import ENTRY_BYTES, TILE_WIDTH, TilePlace, tile_roots
from warehouse.ledger.tree import HASH_BYTES, leaf_hashes
from warehouse.ledger.verify.findings import Finding, FindingKind

PIECE_TILES = 256
"""Bundles a task: 65,536 entries, a tenth of a second."""

KEPT_UNDECIDED = 16
"""Tiles whose other version is kept to be tried, 8 KiB each: one wrong tile is likely, many are told as they are."""

_BUNDLED_BYTES = ENTRY_BYTES + 2


@dataclass(frozen=True)
class LeafTask:
    """Bundles `first` to `last - 1` of one log of `size` entries."""

    folder: Path
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class TileSet:
    """Some tiles of a log, a bit each however many they are: bit n of `bits`, lowest first, is tile `first + n`."""

    first: int = 0
    bits: bytes = b""

    def __contains__(self, tile: int) -> bool:
        place = tile - self.first
        return 0 <= place < 8 * len(self.bits) and bool(self.bits[place // 8] >> place % 8 & 1)

    def add(self, tile: int) -> "TileSet":
        """The same tiles and one more, which is not before the first."""
        place = tile - self.first
        bits = bytearray(self.bits.ljust(place // 8 + 1, b"\0"))
        bits[place // 8] |= 1 << place % 8
        return TileSet(self.first, bytes(bits))

    @classmethod
    def joined(cls, masks: Sequence[int], first: int) -> "TileSet":
        """From the masks of pieces that follow one another, each of `PIECE_TILES`, from tile `first` on."""
        if not any(masks):
            return cls()
        return cls(first, b"".join(mask.to_bytes(PIECE_TILES // 8, "little") for mask in masks))


NO_TILES = TileSet()


@dataclass
class LeafPiece:
    """What a task found. `hashes` holds the root of each full tile; `tail` and `entries` those of the incomplete one.

    `by_hash` are tiles whose entries cannot be relied on, though their leaf hashes can; `blind` those of which neither
    stands: masks, a bit a tile from `first` on. `undecided` holds, by tile, the leaf hashes that were not chosen.
    """

    first: int
    hashes: bytes = b""
    tail: bytes = b""
    findings: list[Finding] = field(default_factory=list)
    by_hash: int = 0
    blind: int = 0
    undecided: dict[int, bytes] = field(default_factory=dict)
    tail_unknown: bool = False


def leaf_tasks(folder: Path, size: int, *, since: int = 0) -> Iterator[LeafTask]:
    """Tasks over all bundles of a log from the one that holds entry `since` on."""
    end = -(-size // TILE_WIDTH)
    for first in range(since // TILE_WIDTH, end, PIECE_TILES):
        yield LeafTask(folder, size, first, min(end, first + PIECE_TILES))


def check_leaves(task: LeafTask) -> LeafPiece:
    """Hash the entries of a task's bundles and compare them with the tiles of level 0."""
    log = LogTiles(task.folder)
    piece = LeafPiece(task.first)
    hashes = []
    for index in range(task.first, task.last):
        width = TilePlace(0, index).width(task.size)
        leaves = _leaves_of_tile(log, index, width, piece)
        if width < TILE_WIDTH:
            piece.tail, piece.tail_unknown = leaves or b"", leaves is None
        else:
            hashes.append(tile_roots(leaves) if leaves is not None else _stored_root(log, index, task.size) or b"")
    piece.hashes = b"".join(hashes)
    return piece


def read_bundle(log: LogTiles, index: int, width: int) -> np.ndarray:
    """Entries of one bundle, one a row of 32 bytes.

    Raises:
        MissingTileError: it is not there.
        TileError: it is not what its path says.
    """
    bundled = np.frombuffer(log.read(TilePlace(None, index), width), np.uint8).reshape(-1, _BUNDLED_BYTES)
    if (bundled[:, 0] != 0).any() or (bundled[:, 1] != ENTRY_BYTES).any():
        raise TileError(
            f"{TilePlace(None, index).path()}: expected {ENTRY_BYTES} as length of every entry, got another"
        )
    return bundled[:, 2:]


def _leaves_of_tile(log: LogTiles, index: int, width: int, piece: LeafPiece) -> bytes | None:
    first = index * TILE_WIDTH
    try:
        by_entries: bytes | None = leaf_hashes(read_bundle(log, index, width).tobytes())
    except TileError as exc:
        by_entries = None
        piece.findings.append(tile_finding(exc, TilePlace(None, index), first))
    try:
        stored: bytes | None = log.read(TilePlace(0, index), width)
    except TileError as exc:
        stored = None
        piece.findings.append(tile_finding(exc, TilePlace(0, index), first))
    if by_entries is None:
        if stored is not None:
            piece.by_hash |= 1 << index - piece.first
        else:
            piece.blind |= 1 << index - piece.first
        return stored
    if stored is None or stored == by_entries:
        return by_entries
    return _choose(log, index, (by_entries, stored), piece)


def _choose(log: LogTiles, index: int, versions: tuple[bytes, bytes], piece: LeafPiece) -> bytes:
    """The leaf hashes that the tile above confirms; by the entries where it confirms neither."""
    by_entries, stored = versions
    above = _stored_root(log, index, (index + 1) * TILE_WIDTH) if len(stored) == TILE_WIDTH * HASH_BYTES else None
    at = index * TILE_WIDTH + first_difference(by_entries, stored)
    if above is not None and above == tile_roots(stored):
        piece.findings.append(
            Finding(FindingKind.ALTERED_TILE, at, f"{TilePlace(None, index).path()}: the entry is not the one signed")
        )
        piece.by_hash |= 1 << index - piece.first
        return stored
    if (above is None or above != tile_roots(by_entries)) and len(piece.undecided) < KEPT_UNDECIDED:
        piece.undecided[index] = stored
    piece.findings.append(
        Finding(FindingKind.ALTERED_TILE, at, f"{TilePlace(0, index).path()}: not the hash of the entry")
    )
    return by_entries


def _stored_root(log: LogTiles, index: int, size: int) -> bytes | None:
    """Root of a full tile as the tile above has it, from any width of it that holds it."""
    place, offset = TilePlace(1, index // TILE_WIDTH), index % TILE_WIDTH
    try:
        return log.read(place, max(offset + 1, place.width(size)))[offset * HASH_BYTES :][:HASH_BYTES]
    except TileError:
        return None


def tile_finding(error: TileError, place: TilePlace, first: int) -> Finding:
    """A finding at index `first` about a tile that is not there or not what its path says."""
    kind = FindingKind.MISSING_TILE if isinstance(error, MissingTileError) else FindingKind.ALTERED_TILE
    said = "not there" if kind is FindingKind.MISSING_TILE else str(error)
    return Finding(kind, first, f"{place.path()}: {said}")


def first_difference(one: bytes, other: bytes) -> int:
    """Which hash is the first that differs, of equally many."""
    differs = np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8)
    return int(differs.argmax()) // HASH_BYTES
