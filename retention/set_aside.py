"""Journals that were set aside: copies that nothing opens, kept for a person to look at, and not longer than refused records.

A shard whose folder was restored or copied is closed, and its segments are moved beside (`journal/<identity>.aside-<n>`). They hold records,
so an age ends them, and an erasure takes those that name the person.
"""

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from warehouse.clock import NANOS_PER_DAY
from warehouse.durable import sync_folder
from warehouse.errors import UnavailableError
from warehouse.lake import Lake

KEEP_DAYS = 30


def expired_journals(lake: Lake, now_unix_nano: int) -> list[Path]:
    """Folders that were set aside longer ago than `KEEP_DAYS`."""
    horizon = now_unix_nano - KEEP_DAYS * NANOS_PER_DAY
    return [folder for folder in _folders(lake) if _newest(folder) < horizon]


def journals_with(lake: Lake, words: Collection[str]) -> list[Path]:
    """Folders that were set aside in which any of these words stands; frames are not compressed."""
    needles = [word.encode().lower() for word in words]
    return [
        folder
        for folder in _folders(lake)
        if any(needle in file.read_bytes().lower() for file in _files(folder) for needle in needles)
    ]


def drop_journals(folders: Collection[Path]) -> None:
    """Delete folders that were set aside, durably.

    Raises:
        UnavailableError: the disk refused; what was deleted stays so.
    """
    try:
        for folder in folders:
            shutil.rmtree(folder)
            sync_folder(folder.parent)
    except OSError as exc:
        raise UnavailableError(f"{exc.filename}: cannot be deleted: {exc.strerror}") from exc


def _folders(lake: Lake) -> Iterator[Path]:
    yield from sorted(folder for folder in lake.journal.glob("*.aside-*") if folder.is_dir())


def _newest(folder: Path) -> int:
    return max(file.stat().st_mtime_ns for file in (folder, *_files(folder)))


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]
