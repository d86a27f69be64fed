"""The right edge of a growing tree: all that is needed to append, to name the new tiles and to compute the root. No I/O.

Appending n leaves hashes each once, plus each tile that fills once; what lies left of the edge is never read again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from warehouse.ledger.tiles import (
    ENTRY_BYTES,
    TILE_BYTES,
    TILE_LEVELS,
    TILE_WIDTH,
    TileFile,
    TilePlace,
    pack_entries,
    tile_roots,
)
from warehouse.ledger.tree import EMPTY_ROOT, HASH_BYTES, complete_subtrees, fold, leaf_hashes, parent_hashes


@dataclass(frozen=True)
class Frontier:
    """The incomplete tile of each level, level 0 first, and the entries of the incomplete bundle.

    Immutable: `extend` returns another, to be adopted once its files are durable.
    """

    size: int = 0
    levels: tuple[bytes, ...] = ()
    entries: bytes = b""

    def __post_init__(self) -> None:
        expected = tuple((self.size >> TILE_LEVELS * level) % TILE_WIDTH for level in range(len(self.levels)))
        got = tuple(len(hashes) // HASH_BYTES for hashes in self.levels)
        if got != expected or self.size >> TILE_LEVELS * len(self.levels) or len(self.entries) != self._tail_bytes:
            raise ValueError(f"frontier of size {self.size}: expected {expected} hashes a level, got {got}")

    @property
    def _tail_bytes(self) -> int:
        return self.size % TILE_WIDTH * ENTRY_BYTES

    def root(self) -> bytes:
        """Root of the tree."""
        root = b""
        for hashes in self.levels:
            count = len(hashes) // HASH_BYTES
            parts = [_subtree(hashes, level, index) for level, index in complete_subtrees(0, count)]
            if parts and root:
                parts.append(root)
            if parts:
                root = fold(parts)
        return root or EMPTY_ROOT

    def extend(self, entries: bytes) -> tuple[Self, list[TileFile]]:
        """Append 32-byte entries that lie one after another: the new frontier, and the tiles and bundles that became full.

        Raises:
            ValueError: not a whole number of entries.
        """
        count, rest = divmod(len(entries), ENTRY_BYTES)
        if rest:
            raise ValueError(f"entries: expected a multiple of {ENTRY_BYTES} bytes, got {len(entries)}")
        bundled = self.entries + entries
        full_bytes = len(bundled) - len(bundled) % (TILE_WIDTH * ENTRY_BYTES)
        first = self.size // TILE_WIDTH
        files = [
            TileFile(TilePlace(None, first + number), TILE_WIDTH, pack_entries(bundle))
            for number, bundle in enumerate(_chunks(bundled[:full_bytes], TILE_WIDTH * ENTRY_BYTES))
        ]
        levels = list(self.levels)
        hashes, level = leaf_hashes(entries), 0
        while hashes:
            if level == len(levels):
                levels.append(b"")
            held = levels[level] + hashes
            full = held[: len(held) - len(held) % TILE_BYTES]
            first = (self.size >> TILE_LEVELS * level) // TILE_WIDTH
            files.extend(
                TileFile(TilePlace(level, first + number), TILE_WIDTH, tile)
                for number, tile in enumerate(_chunks(full, TILE_BYTES))
            )
            levels[level] = held[len(full) :]
            hashes = tile_roots(full)
            level += 1
        return type(self)(self.size + count, tuple(levels), bundled[full_bytes:]), files

    def partial_files(self, *, since: int = 0) -> list[TileFile]:
        """The incomplete tiles and the incomplete bundle; only those that changed after the tree had size `since`."""
        if since == self.size:
            return []
        files = []
        if self.entries:
            count = len(self.entries) // ENTRY_BYTES
            files.append(TileFile(TilePlace(None, self.size // TILE_WIDTH), count, pack_entries(self.entries)))
        for level, hashes in enumerate(self.levels):
            held = self.size >> TILE_LEVELS * level
            if hashes and held != since >> TILE_LEVELS * level:
                files.append(TileFile(TilePlace(level, held // TILE_WIDTH), len(hashes) // HASH_BYTES, hashes))
        return files


def _subtree(hashes: bytes, level: int, index: int) -> bytes:
    """Root of a complete subtree of `2^level` hashes inside one tile."""
    found = hashes[(index << level) * HASH_BYTES : (index + 1 << level) * HASH_BYTES]
    while len(found) > HASH_BYTES:
        found = parent_hashes(found)
    return found


def _chunks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))
