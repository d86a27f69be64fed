"""A partition of a table, and the lock of whoever rewrites it.

Whoever removes files of a partition - compaction, the orphan sweep, a purge - holds its lock from before it lists the
files until its commit stands. The writer never takes it: appends are not in anyone's way.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from warehouse.durable import make_folder
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.locks import FileLock

_POLL_SECONDS = 0.1


@dataclass(frozen=True, order=True)
class Partition:
    """One tenant's day (`YYYY-MM-DD`, UTC) in one table."""

    table: str
    tenant_id: str
    day: str

    @property
    def folder(self) -> str:
        """Where its files lie, below the table's folder."""
        return f"tenant_id={self.tenant_id}/day={self.day}"

    def __str__(self) -> str:
        return f"{self.table}/{self.folder}"


@contextmanager
def partition_lock(lake: Lake, partition: Partition) -> Iterator[bool]:
    """Try to hold a partition's maintenance lock over the block; yields whether it is held. Never waits."""
    with _try_lock(lake, f"{partition.table}.{partition.tenant_id}.{partition.day}") as held:
        yield held


@contextmanager
def cleanup_lock(lake: Lake, table: str) -> Iterator[bool]:
    """Try to hold the lock of a table's clean-up over the block; yields whether it is held. Never waits."""
    with _try_lock(lake, table) as held:
        yield held


@contextmanager
def cleanup_lock_in_time(lake: Lake, table: str, *, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock of a table's clean-up over the block, waiting for it: until then no file of the table is deleted.

    Raises:
        UnavailableError: another clean-up did not end in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        with cleanup_lock(lake, table) as held:
            if held:
                yield
                return
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"table {table}: another clean-up has run for {timeout_seconds:g} s",
                hint="try again: what was done is kept",
            )
        time.sleep(_POLL_SECONDS)


@contextmanager
def _try_lock(lake: Lake, name: str) -> Iterator[bool]:
    folder = lake.run / "maintenance"
    make_folder(folder)
    lock = FileLock(folder / f"{name}.lock")
    held = lock.acquire(holder=f"pid {os.getpid()}") and lock.is_current()
    if not held:
        lock.release()
    try:
        yield held
    finally:
        if held:
            # removed while held, so that no lock file outlives its use: there would be one for each tenant's every day
            lock.file.unlink(missing_ok=True)
            lock.release()
