"""From entries to root: every leaf hashed again, every stored tile compared, nothing believed but what leads to the root.

A bundle of entries and the tile of its leaf hashes say the same thing twice. Where they differ, the one that leads to the
stored hash above is taken for the time being; whether it was right is decided by the signed root.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from warehouse.ledger.errors import MissingTileError, TileError
from warehouse.ledger.frontier import Frontier
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.tiles import ENTRY_BYTES, TILE_LEVELS, TILE_WIDTH, TilePlace, tile_roots
from warehouse.ledger.tree import HASH_BYTES, leaf_hashes
from warehouse.ledger.verify.findings import Finding, FindingKind

PIECE_TILES = 256
"""Bundles a task: 65,536 entries, a tenth of a second."""

_BUNDLED_BYTES = ENTRY_BYTES + 2


@dataclass(frozen=True)
class LeafTask:
    """Bundles `first` to `last - 1` of one log of `size` entries."""

    folder: Path
    size: int
    first: int
    last: int


@dataclass
class LeafPiece:
    """What a task found. `hashes` holds the root of each full tile; `tail` and `entries` those of the incomplete one.

    `by_hash` are tiles whose entries cannot be relied on, though their leaf hashes can; `blind` those of which neither
    stands. `undecided` holds, by tile, the leaf hashes that were not chosen.
    """

    first: int
    hashes: bytes = b""
    tail: bytes = b""
    findings: list[Finding] = field(default_factory=list)
    by_hash: set[int] = field(default_factory=set)
    blind: set[int] = field(default_factory=set)
    undecided: dict[int, bytes] = field(default_factory=dict)
    tail_unknown: bool = False


@dataclass
class LeafCheck:
    """One log's entries and tiles, checked. `root` is None where too much is gone to compute it.

    `roots` holds the roots at the sizes asked for, None where a part of it is not known.
    """

    root: bytes | None
    roots: Mapping[int, bytes | None]
    findings: list[Finding]
    by_hash: frozenset[int]
    blind: frozenset[int]


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
        piece.findings.append(_tile_finding(exc, TilePlace(None, index), first))
    try:
        stored: bytes | None = log.read(TilePlace(0, index), width)
    except TileError as exc:
        stored = None
        piece.findings.append(_tile_finding(exc, TilePlace(0, index), first))
    if by_entries is None:
        (piece.by_hash if stored is not None else piece.blind).add(index)
        return stored
    if stored is None or stored == by_entries:
        return by_entries
    return _choose(log, index, (by_entries, stored), piece)


def _choose(log: LogTiles, index: int, versions: tuple[bytes, bytes], piece: LeafPiece) -> bytes:
    """The leaf hashes that the tile above confirms; by the entries where it confirms neither."""
    by_entries, stored = versions
    above = _stored_root(log, index, (index + 1) * TILE_WIDTH) if len(stored) == TILE_WIDTH * HASH_BYTES else None
    at = index * TILE_WIDTH + _first_difference(by_entries, stored)
    if above is not None and above == tile_roots(stored):
        piece.findings.append(
            Finding(FindingKind.ALTERED_TILE, at, f"{TilePlace(None, index).path()}: the entry is not the one signed")
        )
        piece.by_hash.add(index)
        return stored
    if above is None or above != tile_roots(by_entries):
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


def _tile_finding(error: TileError, place: TilePlace, first: int) -> Finding:
    kind = FindingKind.MISSING_TILE if isinstance(error, MissingTileError) else FindingKind.ALTERED_TILE
    said = "not there" if kind is FindingKind.MISSING_TILE else str(error)
    return Finding(kind, first, f"{place.path()}: {said}")


def _first_difference(one: bytes, other: bytes) -> int:
    differs = np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8)
    return int(differs.argmax()) // HASH_BYTES


def join_pieces(
    folder: Path, size: int, pieces: Iterable[LeafPiece], *, expected: bytes, sizes: Collection[int], since: int
) -> LeafCheck:
    """Put the pieces of one log together: its root, those at earlier `sizes`, and all tiles above level 0.

    With `since` above 0 only what came after it was read: the tree begins with the stored right edge of that size, which
    counts only as far as it leads to the root that was seen.
    """
    ordered = sorted(pieces, key=lambda piece: piece.first)
    findings = [finding for piece in ordered for finding in piece.findings]
    by_hash = frozenset(index for piece in ordered for index in piece.by_hash)
    blind = frozenset(index for piece in ordered for index in piece.blind)
    builder = _Upper(LogTiles(folder), size, since)
    root = builder.build(ordered)
    if root is not None and root != expected:
        for piece in ordered:
            for index, other in piece.undecided.items():
                swapped = _Upper(LogTiles(folder), size, since).build(_with(ordered, index, other))
                if swapped == expected:
                    root, by_hash = swapped, by_hash | {index}
                    findings = [_entry_blamed(finding, index) for finding in findings]
    roots = {at: builder.root_at(at) if root is not None else None for at in sizes if at <= size}
    return LeafCheck(root, roots, [*findings, *(builder.findings if root == expected else [])], by_hash, blind)


def _with(pieces: list[LeafPiece], index: int, leaves: bytes) -> list[LeafPiece]:
    """The pieces with other leaf hashes for one tile."""
    changed = []
    for piece in pieces:
        held = LeafPiece(piece.first, piece.hashes, piece.tail)
        offset = index - piece.first
        if 0 <= offset < PIECE_TILES and index in piece.undecided:
            if offset * HASH_BYTES < len(piece.hashes):
                at = offset * HASH_BYTES
                held.hashes = piece.hashes[:at] + tile_roots(leaves) + piece.hashes[at + HASH_BYTES :]
            else:
                held.tail = leaves
        changed.append(held)
    return changed


def _entry_blamed(finding: Finding, index: int) -> Finding:
    path = TilePlace(0, index).path()
    if finding.kind is not FindingKind.ALTERED_TILE or not finding.detail.startswith(f"{path}:"):
        return finding
    return Finding(finding.kind, finding.index, f"{TilePlace(None, index).path()}: the entry is not the one signed")


class _Upper:
    """Levels above the leaves, built from the roots of the leaf tiles and compared with the stored tiles."""

    def __init__(self, log: LogTiles, size: int, since: int) -> None:
        self._log = log
        self._size = size
        self._first_tile = since // TILE_WIDTH
        self._roots = b""
        self._tail = b""
        self.findings: list[Finding] = []

    def build(self, pieces: list[LeafPiece]) -> bytes | None:
        """Root of the whole tree; None where a part of it is not known."""
        roots = b"".join(piece.hashes for piece in pieces)
        tail = b"".join(piece.tail for piece in pieces)
        full = self._size // TILE_WIDTH - self._first_tile
        if len(roots) != full * HASH_BYTES or any(piece.tail_unknown for piece in pieces):
            return None
        before = self._before()
        if before is None:
            return None
        self._roots, self._tail = before + roots, tail
        root = _root(self._size, self._roots, self._tail)
        self._compare()
        return root

    def root_at(self, size: int) -> bytes | None:
        """Root of the first `size` leaves."""
        index, width = divmod(size, TILE_WIDTH)
        if size == self._size:
            return _root(size, self._roots, self._tail)
        if not width:
            return _root(size, self._roots[: index * HASH_BYTES], b"")
        if index * TILE_WIDTH + len(self._tail) // HASH_BYTES > size and index == self._size // TILE_WIDTH:
            leaves = self._tail
        else:
            leaves = self._checked_leaves(index)
        return _root(size, self._roots[: index * HASH_BYTES], leaves[: width * HASH_BYTES]) if leaves else None

    def _checked_leaves(self, index: int) -> bytes:
        """Leaf hashes of a full tile, from entries or tile, whichever leads to the root computed; empty where neither does."""
        wanted = self._roots[index * HASH_BYTES : (index + 1) * HASH_BYTES]
        for leaves in (self._leaves_of_entries(index), self._stored_leaves(index)):
            if leaves and tile_roots(leaves) == wanted:
                return leaves
        return b""

    def _leaves_of_entries(self, index: int) -> bytes:
        try:
            return leaf_hashes(read_bundle(self._log, index, TILE_WIDTH).tobytes())
        except TileError:
            return b""

    def _stored_leaves(self, index: int) -> bytes:
        try:
            return self._log.read(TilePlace(0, index), TILE_WIDTH)
        except TileError:
            return b""

    def _before(self) -> bytes | None:
        """Roots of the leaf tiles that were not read, from the stored tiles of level 1."""
        parts = []
        for index in range(0, self._first_tile, TILE_WIDTH):
            width = min(TILE_WIDTH, self._first_tile - index)
            try:
                parts.append(self._log.read(TilePlace(1, index // TILE_WIDTH), width))
            except TileError:
                return None
        return b"".join(parts)

    def _compare(self) -> None:
        """Compare every stored tile above level 0 with what was computed."""
        hashes, level = self._roots, 1
        while hashes:
            count = len(hashes) // HASH_BYTES
            for index in range(-(-count // TILE_WIDTH)):
                expected = hashes[index * TILE_WIDTH * HASH_BYTES :][: TILE_WIDTH * HASH_BYTES]
                self._compare_tile(TilePlace(level, index), expected)
            full = count // TILE_WIDTH
            hashes = b"".join(
                tile_roots(hashes[at * TILE_WIDTH * HASH_BYTES :][: TILE_WIDTH * HASH_BYTES]) for at in range(full)
            )
            level += 1

    def _compare_tile(self, place: TilePlace, expected: bytes) -> None:
        reach = TILE_WIDTH ** int(place.level or 0)
        first = place.index * TILE_WIDTH * reach
        try:
            stored = self._log.read(place, len(expected) // HASH_BYTES)
        except TileError as exc:
            self.findings.append(_tile_finding(exc, place, first))
            return
        if stored != expected:
            at = first + _first_difference(stored, expected) * reach
            self.findings.append(
                Finding(FindingKind.ALTERED_TILE, at, f"{place.path()}: not the hash of what lies below")
            )


def _root(size: int, roots: bytes, tail: bytes) -> bytes:
    """Root of a tree from the roots of its full leaf tiles and the leaf hashes of the incomplete one."""
    levels, hashes = [tail], roots
    while hashes:
        full = len(hashes) - len(hashes) % (TILE_WIDTH * HASH_BYTES)
        levels.append(hashes[full:])
        hashes = tile_roots(hashes[:full])
    levels += [b""] * (-(-size.bit_length() // TILE_LEVELS) - len(levels))
    return Frontier(size, tuple(levels), bytes(size % TILE_WIDTH * ENTRY_BYTES)).root()
