"""A log's static copy, which any C2SP tool can read from files or through a plain web server: `checkpoint`, `tile/`, `tile/entries/`.

The copy holds what the checkpoint's size needs. It is built from the log's entries, not copied tile by tile, so that a copy
whose root is the signed one is whole by construction. The checkpoint is read first and written last: a collector may go on
meanwhile, and a copy that broke off continues from its old checkpoint. A copy that the log does not continue is refused: it
is the evidence of a fork.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from warehouse.durable import make_folder, replace_file
from warehouse.errors import ConflictError, CorruptionError, NotFoundError
from warehouse.ledger.checkpoint import Checkpoint, read_unverified
from warehouse.ledger.frontier import Frontier
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.ledger.log_tiles import LogTiles, write_growths
from warehouse.ledger.tiles import TILE_WIDTH

_ENTRIES_AT_ONCE = TILE_WIDTH * TILE_WIDTH
"""2 MiB of entries, and the files of 256 tiles, in memory and in one round of flushes."""


@dataclass(frozen=True)
class ExportedLog:
    """What one export did: the copy's checkpoint, its folder, and the size that was there before."""

    checkpoint: Checkpoint
    folder: Path
    size_before: int


def export_log(
    source: Path, target: Path, *, progress: Callable[[int, int], None] = lambda _done, _of_all: None
) -> ExportedLog:
    """Bring the copy in `target` to the present checkpoint of the log in `source`; safe to repeat.

    Raises:
        NotFoundError: the log has no checkpoint.
        ConflictError: `target` holds another log, or one that this log does not continue.
        CorruptionError: the log's entries do not have the signed root.
        TileError: a tile of the log is missing or damaged.
        NoteError: a checkpoint is not in its format.
    """
    try:
        note = (source / CHECKPOINT_FILE).read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{source}: expected a log with a checkpoint, got none") from None
    head = read_unverified(note)
    log, copy = LogTiles(source), LogTiles(target)
    size_before = _size_before(copy, log, head)
    frontier = copy.frontier(size_before)
    make_folder(target)
    while frontier.size < head.size:
        frontier = _extend(copy, log, frontier, head.size, size_before)
        progress(frontier.size, head.size)
    if frontier.root() != head.root:
        raise CorruptionError(
            f"{source}: the entries up to size {head.size} do not have the signed root; the copy's checkpoint was not moved",
            hint="run `muniment verify`",
        )
    replace_file(target / CHECKPOINT_FILE, note)
    return ExportedLog(head, target, size_before)


def _size_before(copy: LogTiles, log: LogTiles, head: Checkpoint) -> int:
    """Size of what the target holds already, which must be the log's own beginning."""
    file = copy.folder / CHECKPOINT_FILE
    if not file.exists():
        return 0
    held = read_unverified(file.read_bytes())
    if held.origin != head.origin:
        raise ConflictError(f"{copy.folder}: expected a copy of {head.origin}, got one of {held.origin}")
    continues = held.size <= head.size and log.root(held.size) == held.root
    if not continues:
        raise ConflictError(
            f"{copy.folder}: its checkpoint of size {held.size} is not a beginning of the log, now of size {head.size}: "
            "the log was rewound or rewritten",
            hint="keep this copy: it is the evidence. Export into another folder to get the present state",
        )
    return held.size


def _extend(copy: LogTiles, log: LogTiles, frontier: Frontier, size: int, size_before: int) -> Frontier:
    """Write the next entries' tiles; the partial ones only at the end, where all that changed are due."""
    after = min(size, (frontier.size // _ENTRIES_AT_ONCE + 1) * _ENTRIES_AT_ONCE)
    growth = copy.grow(frontier, log.entries(frontier.size, after))
    files = [file for file in growth.files if file.width == TILE_WIDTH]
    if after == size:
        files += growth.frontier.partial_files(since=size_before)
    write_growths([replace(growth, files=tuple(files))])
    return growth.frontier
