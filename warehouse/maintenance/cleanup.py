"""Clean-up of a table: replaced files, checkpoint, log entries, in the one order that loses nothing.

1. Log entries are made durable, then files that the log says were removed, and whose grace is over, are deleted. What to
   delete comes from delta-rs's `vacuum(full=False, dry_run=True)`: removed files alone, never a file that is only unknown
   to the log, which may be one that a writer is about to commit. It is a dry run because the real one adds two commits
   that would have to hold the writer's commit lock while files are deleted.
2. A checkpoint, made durable with `_last_checkpoint` and the folder.
3. The table is read back from the checkpoint alone and compared: files, schema, settings, every transaction.
4. Only then log entries go, up to the checkpoint's version.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse.delta import DeltaStore
from warehouse.durable import PRIVATE_FILE, make_folder, replace_file, sync_file, sync_folder
from warehouse.errors import CorruptionError, UnavailableError
from warehouse.maintenance.log import application_ids, log_entries
from warehouse.maintenance.plan import live_paths

_LAST = "_last_checkpoint"
READ_BACK_PREFIX = "_readback-"


@dataclass(frozen=True)
class Checkpointed:
    """A checkpoint made and read back: its version, what it holds, and the log entries removed after it."""

    version: int
    files: int
    transactions: int
    entries_removed: int


def delete_removed(store: DeltaStore) -> int:
    """Delete files that the log says were removed longer ago than the table's grace; returns how many.

    Raises:
        UnavailableError: the log cannot be read or the disk refused.
        CorruptionError: the log names a file as live and as removed.
    """
    try:
        handle = store.fresh()
        # a removal that a power failure could still take back must not cost the file
        store.make_durable()
        expired = set(handle.vacuum(dry_run=True))
        if both := expired & live_paths(handle):
            raise CorruptionError(f"{store.table.name}: the Delta log names {min(both)} as live and as removed")
        found = [path for path in expired if (store.folder / path).exists()]
        for path in found:
            (store.folder / path).unlink(missing_ok=True)
        for folder in {(store.folder / path).parent for path in found}:
            sync_folder(folder)
    except (OSError, DeltaError) as exc:
        raise UnavailableError(f"table {store.table.name}: clean-up of removed files failed: {exc}") from exc
    return len(found)


def checkpoint(store: DeltaStore) -> Checkpointed:
    """Write a checkpoint, read the table back from it alone, and only then remove the log entries before it.

    The caller holds the table's clean-up lock. Writers need not wait: entries after the checkpoint stay.

    Raises:
        CorruptionError: the table read back differs; the checkpoint is taken away again and no entry is removed.
        UnavailableError: the log cannot be read or written.
    """
    try:
        handle = store.fresh()
        version = handle.version()
        applications = application_ids(store.log, version)
        last = store.log / _LAST
        before = last.read_bytes() if last.exists() else None
        file = store.log / f"{version:020d}.checkpoint.parquet"
        handle.create_checkpoint()
        file.chmod(PRIVATE_FILE)
        last.chmod(PRIVATE_FILE)
        sync_file(file)
        sync_file(last)
        sync_folder(store.log)
        try:
            _read_back(store, handle, file, applications)
        except (CorruptionError, DeltaError):
            _take_away(store.log, file, before)
            raise
        entries = len(log_entries(store.log))
        # on this handle and no newer one: entries before the handle's version go
        handle.cleanup_metadata()
        sync_folder(store.log)
        removed = entries - len(log_entries(store.log))
        return Checkpointed(version, len(live_paths(handle)), len(applications), max(removed, 0))
    except (OSError, DeltaError) as exc:
        raise UnavailableError(f"table {store.table.name}: checkpoint failed: {exc}") from exc


def _read_back(store: DeltaStore, handle: DeltaTable, file: Path, applications: set[str]) -> None:
    """Open the table from the checkpoint alone, in a folder of links, and compare it with `handle`."""
    folder = store.folder / f"{READ_BACK_PREFIX}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    log = folder / "_delta_log"
    make_folder(log)
    try:
        for name in (file.name, _LAST):
            os.link(store.log / name, log / name)
        copy = DeltaTable(str(folder))
        differences = {
            "version": (handle.version(), copy.version()),
            "files": (live_paths(handle), live_paths(copy)),
            "schema": (handle.schema(), copy.schema()),
            "settings": (handle.metadata().configuration, copy.metadata().configuration),
            "protocol": (handle.protocol(), copy.protocol()),
            "transactions": (_versions(handle, applications), _versions(copy, applications)),
        }
        wrong = [name for name, (expected, got) in differences.items() if expected != got]
        if wrong:
            raise CorruptionError(
                f"{store.table.name}: checkpoint {file.name}: expected what the log says, got other {', '.join(wrong)}"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _versions(handle: DeltaTable, applications: set[str]) -> dict[str, int | None]:
    return {application: handle.transaction_version(application) for application in applications}


def _take_away(log: Path, file: Path, before: bytes | None) -> None:
    """Put `_last_checkpoint` back and remove a checkpoint that is not the table; every log entry is still there."""
    if before is None:
        (log / _LAST).unlink(missing_ok=True)
    else:
        replace_file(log / _LAST, before)
    file.unlink(missing_ok=True)
    sync_folder(log)
