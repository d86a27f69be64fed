"""Folders for what a query cannot hold in memory: `LAKE/spill/<random>`, mode 0700, gone with their session.

They hold rows of the lake, so none may be left behind. A lock beside each folder lives as long as its process; a folder
whose lock is free belongs to a process that died, and is swept.
"""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.durable import PRIVATE_FOLDER
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.locks import FileLock

_SUFFIX = ".lock"
COMPACTION_PREFIX = "compact-"


@contextmanager
def spill_folder(lake: Lake) -> Iterator[Path]:
    """Make a folder of one's own for the duration of the block.

    Raises:
        UnavailableError: the lake's folder cannot be written.
    """
    try:
        lock, folder = _claim(lake)
    except OSError as exc:
        raise UnavailableError(f"{lake.spill}: no folder for temporary files: {exc.strerror}") from exc
    try:
        yield folder
    finally:
        _remove(lock, folder)


def sweep_spill(lake: Lake) -> int:
    """Delete what dead processes left in `LAKE/spill`; return how many folders. Safe beside running sessions."""
    swept = 0
    for file in sorted(lake.spill.glob(f"*{_SUFFIX}")):
        lock = FileLock(file)
        if lock.acquire(holder="sweep"):
            _remove(lock, file.with_suffix(""))
            swept += 1
    for folder in lake.spill.iterdir() if lake.spill.is_dir() else ():
        # A lock is made before its folder and removed after it: a folder without one is nobody's. Compaction's have an age instead.
        if (
            folder.is_dir()
            and not folder.name.startswith(COMPACTION_PREFIX)
            and not folder.with_name(folder.name + _SUFFIX).exists()
        ):
            shutil.rmtree(folder, ignore_errors=True)
            swept += 1
    return swept


def _claim(lake: Lake) -> tuple[FileLock, Path]:
    lake.spill.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    while True:
        folder = lake.spill / secrets.token_hex(8)
        lock = FileLock(folder.with_name(folder.name + _SUFFIX))
        # A sweep may take the new lock file before this process locks it; then another name is tried.
        if lock.acquire(holder="query session") and lock.file.exists():
            folder.mkdir(mode=PRIVATE_FOLDER)
            return lock, folder
        lock.release()


def _remove(lock: FileLock, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.file.unlink(missing_ok=True)
    lock.release()
