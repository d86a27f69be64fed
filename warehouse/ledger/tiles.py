"""Tiles and entry bundles (C2SP tlog-tiles): their paths, their bytes, and how wide one is in a tree of a given size.

Level L, tile N holds the hashes of up to 256 complete subtrees of 256^L leaves each. Every entry here is a 32-byte
commitment, so a bundle of n entries has n · 34 bytes. No I/O.
"""

from dataclasses import dataclass
from struct import iter_unpack
from typing import NamedTuple

from warehouse.ledger.errors import TileError
from warehouse.ledger.tree import HASH_BYTES, parent_hashes

TILE_WIDTH = 256
TILE_LEVELS = 8
"""A tile spans 8 levels of the tree: 256 = 2^8."""
TILE_BYTES = TILE_WIDTH * HASH_BYTES
ENTRY_BYTES = 32

_LENGTH_PREFIX = ENTRY_BYTES.to_bytes(2, "big")
_BUNDLED_BYTES = len(_LENGTH_PREFIX) + ENTRY_BYTES
_PATH_BASE = 1000


@dataclass(frozen=True)
class TilePlace:
    """Which tile: its level, or None for a bundle of entries, and its index on that level."""

    level: int | None
    index: int

    def path(self, width: int = TILE_WIDTH) -> str:
        """Path in the log's folder: `tile/<level>/<index>` or `tile/entries/<index>`, with `.p/<width>` where partial.

        Raises:
            ValueError: a width outside 1 to 256.
        """
        if not 0 < width <= TILE_WIDTH:
            raise ValueError(f"tile width: expected 1 to {TILE_WIDTH}, got {width}")
        whole = f"tile/{'entries' if self.level is None else self.level}/{index_path(self.index)}"
        return whole if width == TILE_WIDTH else f"{whole}.p/{width}"

    def width(self, size: int) -> int:
        """How many entries the tile has in a tree of `size` leaves, 0 to 256."""
        held = size >> (TILE_LEVELS * (self.level or 0))
        return max(0, min(TILE_WIDTH, held - self.index * TILE_WIDTH))


class TileFile(NamedTuple):
    """A tile or bundle as it is to stand on disk."""

    place: TilePlace
    width: int
    content: bytes

    @property
    def path(self) -> str:
        """Path in the log's folder."""
        return self.place.path(self.width)


def index_path(index: int) -> str:
    """A tile's index as path: three digits a part, all parts but the last with `x` before them (1234067 → x001/x234/067)."""
    path = f"{index % _PATH_BASE:03}"
    while index := index // _PATH_BASE:
        path = f"x{index % _PATH_BASE:03}/{path}"
    return path


def pack_entries(entries: bytes) -> bytes:
    """A bundle of 32-byte entries that lie one after another: each with its length before it, as big-endian uint16."""
    return b"".join([_LENGTH_PREFIX + entry for (entry,) in iter_unpack("32s", entries)])


def unpack_entries(bundle: bytes) -> bytes:
    """The entries of a bundle, one after another.

    Raises:
        TileError: an entry that is not 32 bytes, or a bundle cut off.
    """
    if len(bundle) % _BUNDLED_BYTES:
        raise TileError(f"entry bundle: expected a multiple of {_BUNDLED_BYTES} bytes, got {len(bundle)}")
    prefixes, entries = [], []
    for prefix, entry in iter_unpack("2s32s", bundle):
        prefixes.append(prefix)
        entries.append(entry)
    if b"".join(prefixes) != _LENGTH_PREFIX * len(entries):
        place = next(place for place, prefix in enumerate(prefixes) if prefix != _LENGTH_PREFIX)
        raise TileError(
            f"entry bundle: expected {ENTRY_BYTES} as length of entry {place}, got {int.from_bytes(prefixes[place], 'big')}"
        )
    return b"".join(entries)


def content_bytes(place: TilePlace, width: int) -> int:
    """Size of a tile's or bundle's file."""
    return width * (_BUNDLED_BYTES if place.level is None else HASH_BYTES)


def tile_roots(tiles: bytes) -> bytes:
    """Roots of full tiles that lie one after another: entries of the level above."""
    hashes = tiles
    for _ in range(TILE_LEVELS):
        hashes = parent_hashes(hashes)
    return hashes
