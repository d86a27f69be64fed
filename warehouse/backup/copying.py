"""Copies a generation out of a target into the folder of a lake to be, each file against its size and SHA-256. Safe to repeat."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from warehouse.backup.manifest import StoredFile
from warehouse.backup.opening import OpenedBackup
from warehouse.backup.target import DATA, STATE, copy_durably, describe_file, temporary_name
from warehouse.durable import make_folder, sync_folders
from warehouse.errors import CorruptionError

_THREADS = 4
_FILES_AT_ONCE = 256

Progress = Callable[[str, int, int], None]


def copy_generation(
    opened: OpenedBackup, lake: Path, *, progress: Progress = lambda _what, _done, _of_all: None
) -> int:
    """Copy every file that the manifest names to its place below `lake`, durably; returns how many were not there already.

    Raises:
        CorruptionError: a file of the backup is missing, or is not the one that was backed up.
        OSError: the disk refused.
    """
    files, done, copied = opened.manifest.files, 0, 0
    allowed = {DATA, f"{STATE}{opened.manifest.generation}"}
    for file in files:
        if file.path.partition("/")[0] not in allowed:
            raise CorruptionError(f"{opened.source}: the manifest names {file.path}, which no backup puts there")

    def copy(file: StoredFile) -> Path | None:
        return _copy_one(opened.source / file.path, lake / file.lake_path, file)

    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(files), _FILES_AT_ONCE):
            part = files[start : start + _FILES_AT_ONCE]
            for folder in {(lake / file.lake_path).parent for file in part}:
                make_folder(folder)
            fresh = [place for place in pool.map(copy, part) if place is not None]
            for place in fresh:
                temporary_name(place).rename(place)
            sync_folders({place.parent for place in fresh})
            copied += len(fresh)
            done += sum(file.size for file in part)
            progress("files", done, opened.manifest.size_bytes)
    return copied


def _copy_one(source: Path, place: Path, file: StoredFile) -> Path | None:
    """Copy one file beside its place; None where it is there, whole, from a run before."""
    if place.exists() and describe_file(place, file.path) == file:
        return None
    try:
        digest, size = copy_durably(source, temporary_name(place))
    except FileNotFoundError as exc:
        raise CorruptionError(f"{source}: expected a file of the backup, got none", hint=_HINT) from exc
    if (digest, size) != (file.sha256, file.size):
        raise CorruptionError(
            f"{source}: expected {file.size} bytes with SHA-256 {file.sha256}, got {size} with {digest}", hint=_HINT
        )
    return place


_HINT = "the backup was altered or its disk is bad: restore from another target"
