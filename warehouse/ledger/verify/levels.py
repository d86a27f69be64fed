"""From tiles to root: the levels above the leaves built again, every stored tile compared, and roots of earlier sizes.

Nothing is believed but what leads to the signed root.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.ledger.errors import TileError
from warehouse.ledger.frontier import Frontier
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.tiles import ENTRY_BYTES, TILE_LEVELS, TILE_WIDTH, TilePlace, tile_roots
from warehouse.ledger.tree import HASH_BYTES, leaf_hashes
from warehouse.ledger.verify.findings import MAX_FINDINGS, Finding, FindingKind
from warehouse.ledger.verify.leaves import (
    KEPT_UNDECIDED,
    PIECE_TILES,
    LeafPiece,
    TileSet,
    first_difference,
    read_bundle,
    tile_finding,
)

_MOST_KEPT = 8 * MAX_FINDINGS
"""Findings and undecided tiles of a log before the last ones go."""


@dataclass
class LeafCheck:
    """One log's entries and tiles, checked. `root` is None where too much is gone to compute it.

    `roots` holds the roots at the sizes asked for, None where a part of it is not known.
    """

    root: bytes | None
    roots: Mapping[int, bytes | None]
    findings: list[Finding]
    by_hash: TileSet
    blind: TileSet


class LeafPieces:
    """The pieces of one log as they come in, in any order. However much is damaged, what is kept of it is bounded."""

    def __init__(self) -> None:
        self._pieces: list[LeafPiece] = []
        self._kept = 0

    def add(self, piece: LeafPiece) -> None:
        """Take a piece."""
        self._pieces.append(piece)
        self._kept += len(piece.findings) + len(piece.undecided)
        if self._kept > _MOST_KEPT:
            self._trim()

    def ordered(self) -> list[LeafPiece]:
        """All pieces by their place."""
        return sorted(self._pieces, key=lambda piece: piece.first)

    def _trim(self) -> None:
        """Keep the first findings of each kind, and the first tiles that are undecided."""
        counts: Counter[FindingKind] = Counter()
        room = KEPT_UNDECIDED
        self._kept = 0
        for piece in self.ordered():
            kept = []
            for finding in piece.findings:
                counts[finding.kind] += 1
                if counts[finding.kind] <= MAX_FINDINGS:
                    kept.append(finding)
            piece.findings = kept
            piece.undecided = dict(sorted(piece.undecided.items())[:room])
            room -= len(piece.undecided)
            self._kept += len(kept) + len(piece.undecided)


def join_pieces(
    folder: Path, size: int, pieces: LeafPieces, *, expected: bytes, sizes: Collection[int], since: int
) -> LeafCheck:
    """Put the pieces of one log together: its root, those at earlier `sizes`, and all tiles above level 0.

    With `since` above 0 only what came after it was read: the tree begins with the stored right edge of that size, which
    counts only as far as it leads to the root that was seen.
    """
    ordered = pieces.ordered()
    findings = [finding for piece in ordered for finding in piece.findings]
    first = ordered[0].first if ordered else 0
    by_hash = TileSet.joined([piece.by_hash for piece in ordered], first)
    blind = TileSet.joined([piece.blind for piece in ordered], first)
    builder = _Upper(LogTiles(folder), size, since)
    root = builder.build(ordered)
    if root is not None and root != expected:
        for piece in ordered:
            for index, other in piece.undecided.items():
                swapped = _Upper(LogTiles(folder), size, since).build(_with(ordered, index, other))
                if swapped == expected:
                    root, by_hash = swapped, (by_hash if by_hash.bits else TileSet(first)).add(index)
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
            self.findings.append(tile_finding(exc, place, first))
            return
        if stored != expected:
            at = first + first_difference(stored, expected) * reach
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
