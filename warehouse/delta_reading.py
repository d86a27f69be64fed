"""A table's Delta log, opened for reading beside writers and clean-up.

Clean-up writes a checkpoint and then deletes the entries before it, so a reader that listed the log just before finds an entry
gone when it opens it. What it reads is whole again at the next opening, which finds the checkpoint.
"""

from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse.errors import UnavailableError

_OPENINGS = 10


def open_table(folder: Path) -> DeltaTable | None:
    """A handle of the caller's own at the newest version; None where no table was made yet.

    Raises:
        UnavailableError: the log cannot be read, or is shortened faster than it can be read.
    """
    try:
        # a log without its first entry belongs to a table that is being made right now
        if not DeltaTable.is_deltatable(str(folder)):
            return None
        for _ in range(_OPENINGS - 1):
            before = _entries(folder)
            try:
                return DeltaTable(str(folder))
            except DeltaError:
                if _entries(folder) == before:
                    raise
        return DeltaTable(str(folder))
    except (OSError, DeltaError) as exc:
        reason = str(exc).partition("\n")[0]
        raise UnavailableError(f"table {folder.name}: its Delta log cannot be read: {reason}") from exc


def open_existing(folder: Path) -> DeltaTable:
    """As `open_table`, of a table that must be there.

    Raises:
        UnavailableError: as there, or no table was made.
    """
    handle = open_table(folder)
    if handle is None:
        raise UnavailableError(f"table {folder.name}: expected a Delta log in {folder / '_delta_log'}, got none")
    return handle


def updated(handle: DeltaTable, folder: Path) -> DeltaTable:
    """The table at its newest version: the same handle, or another where entries behind the handle's version are gone.

    Raises:
        UnavailableError: the log cannot be read.
    """
    try:
        handle.update_incremental()
    except (OSError, DeltaError):
        return open_table(folder) or handle
    return handle


def _entries(folder: Path) -> frozenset[str]:
    return frozenset(entry.name for entry in (folder / "_delta_log").iterdir())
