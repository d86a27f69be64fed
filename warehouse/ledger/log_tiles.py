"""A log's folder: tiles and entry bundles on disk, read lazily and written durably.

    <log>/tile/0/x001/067          a full tile: 256 leaf hashes
    <log>/tile/0/x001/068.p/112    a partial tile
    <log>/tile/entries/x001/067    256 entries

What a tree of size n needs never changes afterwards: writing again after a crash writes the same bytes. A partial tile
goes once its full tile stands, and is then read as the full tile's beginning.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from warehouse import durable
from warehouse.ledger import tree
from warehouse.ledger.errors import MissingTileError, TileError
from warehouse.ledger.frontier import Frontier
from warehouse.ledger.tiles import (
    ENTRY_BYTES,
    TILE_LEVELS,
    TILE_WIDTH,
    TileFile,
    TilePlace,
    content_bytes,
    unpack_entries,
)
from warehouse.ledger.tree import HASH_BYTES, parent_hashes

_CACHED_TILES = 16
"""128 KiB a log: a proof in a tree of 2^40 leaves touches at most ten tiles."""
_REMEMBERED_FOLDERS = 64


@dataclass(frozen=True)
class Growth:
    """What one append adds to a log's folder."""

    log: "LogTiles"
    frontier: Frontier
    files: tuple[TileFile, ...]


class LogTiles:
    """The tiles of one log in `folder`. Reads are cached; one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cache: dict[TilePlace, bytes] = {}
        self._durable_folders: set[Path] = set()

    def read(self, place: TilePlace, width: int) -> bytes:
        """The first `width` entries of a tile or bundle, from its file or any later, wider one.

        Raises:
            MissingTileError: no file holds them.
            TileError: a file of another size than its path says, or unreadable.
        """
        size_bytes = content_bytes(place, width)
        cached = self._cache.get(place, b"")
        if len(cached) < size_bytes:
            cached = self._read_file(place, width)
            if place.level is not None:
                self._remember(place, cached)
        return cached[:size_bytes]

    def entries(self, first: int, last: int) -> bytes:
        """Entries `first` to `last - 1`, 32 bytes each, one after another, of a tree of at least `last` leaves.

        Raises:
            MissingTileError: a bundle is not there.
            TileError: a bundle is not what its path says.
        """
        return b"".join(self._entry_parts(first, last))

    def frontier(self, size: int) -> Frontier:
        """The right edge of the tree of `size` leaves.

        Raises:
            MissingTileError: a tile of the edge is not there.
            TileError: a tile is not what its path says.
        """
        levels: list[bytes] = []
        held = size
        while held:
            width = held % TILE_WIDTH
            levels.append(self.read(TilePlace(len(levels), held // TILE_WIDTH), width) if width else b"")
            held //= TILE_WIDTH
        return Frontier(size, tuple(levels), self.entries(size - size % TILE_WIDTH, size))

    def grow(self, frontier: Frontier, entries: bytes) -> Growth:
        """What appending 32-byte entries to the tree with this right edge adds; nothing is written yet."""
        after, full = frontier.extend(entries)
        return Growth(self, after, (*full, *after.partial_files(since=frontier.size)))

    def append(self, old_size: int, entries: bytes) -> Frontier:
        """Append entries to the tree of `old_size` leaves, durably; safe to repeat.

        Raises:
            MissingTileError: a tile of the old tree's edge is not there.
            TileError: a tile is not what its path says.
            OSError: the disk does not take it.
        """
        growth = self.grow(self.frontier(old_size), entries)
        write_growths([growth])
        return growth.frontier

    def root(self, size: int) -> bytes:
        """Root of the first `size` leaves, from the tiles; raises as `read`."""
        return tree.root_hash(size, _SizedTree(self, size))

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Proof that leaf `index` stands in the tree of `size` leaves; raises as `read`, ValueError without such a leaf."""
        return tree.inclusion_proof(index, size, _SizedTree(self, size))

    def consistency_proof(self, old_size: int, new_size: int) -> list[bytes]:
        """Proof that the tree of `new_size` leaves begins with that of `old_size`; raises as `inclusion_proof`."""
        return tree.consistency_proof(old_size, new_size, _SizedTree(self, new_size))

    def _entry_parts(self, first: int, last: int) -> Iterator[bytes]:
        at = first
        while at < last:
            index, offset = divmod(at, TILE_WIDTH)
            width = min(TILE_WIDTH, last - index * TILE_WIDTH)
            yield unpack_entries(self.read(TilePlace(None, index), width))[offset * ENTRY_BYTES :]
            at = (index + 1) * TILE_WIDTH

    def _read_file(self, place: TilePlace, width: int) -> bytes:
        for candidate in self._candidates(place, width):
            file = self.folder / place.path(candidate)
            try:
                content = file.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise TileError(f"{file}: expected a readable tile, got {type(exc).__name__}") from exc
            expected = content_bytes(place, candidate)
            if len(content) != expected:
                raise TileError(f"{file}: expected {expected} bytes, got {len(content)}")
            return content
        raise MissingTileError(f"{self.folder / place.path(width)}: expected this tile or a wider one, got none")

    def _candidates(self, place: TilePlace, width: int) -> Iterator[int]:
        yield width
        if width < TILE_WIDTH:
            yield TILE_WIDTH
            yield from (found for found in self._partial_widths(place) if found > width)
            yield TILE_WIDTH  # a writer may have filled the tile, and removed its partial ones, since the first look

    def _partial_widths(self, place: TilePlace) -> list[int]:
        folder = (self.folder / place.path(1)).parent
        try:
            names = [entry.name for entry in folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal() and 0 < int(name) < TILE_WIDTH)

    def _remember(self, place: TilePlace, content: bytes) -> None:
        self._cache.pop(place, None)
        self._cache[place] = content
        while len(self._cache) > _CACHED_TILES:
            del self._cache[next(iter(self._cache))]

    def _prepare_folder(self, folder: Path) -> list[Path]:
        """Make a folder below the log's; returned are the folders to sync once a file stands in it.

        A folder found there may come from a process that ended before it synced the one above: until this process has
        synced the whole way once, all of it is synced, from the two folders above the log's (LAKE/ledger and the tenant's).
        That is done once for all logs: on the first commit of 300 tenants 600 flushes one after another took their time.
        """
        if folder in self._durable_folders:
            return [folder]
        tenant = self.folder.parent
        durable.make_folder(tenant.parent)
        below = (above for above in folder.parents if above.is_relative_to(tenant))
        way = [folder, *below]
        for above in reversed(way):
            above.mkdir(mode=durable.PRIVATE_FOLDER, exist_ok=True)
        return [*way, tenant.parent]

    def _settle(self, files: Iterable[TileFile]) -> None:
        """After files became durable: remember their folders, remove partial tiles whose full tile now stands."""
        if len(self._durable_folders) > _REMEMBERED_FOLDERS:
            self._durable_folders.clear()
        for file in files:
            self._durable_folders.add((self.folder / file.path).parent)
            if file.width == TILE_WIDTH:
                self._drop_partials(file.place)

    def _drop_partials(self, place: TilePlace) -> None:
        folder = (self.folder / place.path(1)).parent
        if not folder.is_dir():
            return
        for file in folder.iterdir():  # partial tiles, and what a crash left of writing one
            file.unlink(missing_ok=True)
        folder.rmdir()
        self._durable_folders.discard(folder)


def write_growths(growths: Sequence[Growth]) -> None:
    """Write what was appended to any number of logs, with their disk flushes side by side.

    On return every file and every folder entry is durable; a crash before leaves whole files only, each under a name that
    its content fits. Safe to repeat. Partial tiles whose full tile now stands are removed afterwards.

    Raises:
        OSError: the disk does not take it; call again with the same growths, or leave it: nothing refers to these files.
    """
    files: list[tuple[Path, bytes]] = []
    folders: dict[Path, None] = {}
    for growth in growths:
        for file in growth.files:
            path = growth.log.folder / file.path
            folders.update(dict.fromkeys(growth.log._prepare_folder(path.parent)))  # noqa: SLF001 - one module's two halves
            files.append((path, file.content))
    durable.replace_files(files, folders=folders)
    for growth in growths:
        growth.log._settle(growth.files)  # noqa: SLF001 - as above


@dataclass(frozen=True)
class _SizedTree:
    """Nodes of the tree of `size` leaves, each read from the widest tile that such a tree has."""

    log: LogTiles
    size: int

    def node(self, level: int, index: int) -> bytes:
        """Hash of one complete subtree."""
        tile_level, inside = divmod(level, TILE_LEVELS)
        tile_index, offset = divmod(index << inside, TILE_WIDTH)
        place = TilePlace(tile_level, tile_index)
        hashes = self.log.read(place, place.width(self.size))[
            offset * HASH_BYTES : (offset + (1 << inside)) * HASH_BYTES
        ]
        while len(hashes) > HASH_BYTES:
            hashes = parent_hashes(hashes)
        return hashes
