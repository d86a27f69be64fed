"""Certificates on every folder that holds a backup of this lake, before whatever made them reports success.

Folders of the settings, and those that somebody backed up to by name: a restore from one of these must not bring back what was erased
since, so each is remembered in `LAKE/backups.json` until `muniment backup --forget` says that it is gone.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from muniment.wiring import CommandContext
from warehouse.backup.documents import mirror_documents
from warehouse.durable import replace_file
from warehouse.errors import CorruptionError, NotFoundError

_FILE = "backups.json"


def mirror_files(context: CommandContext, files: Sequence[Path]) -> None:
    """Copy documents to every folder that holds a backup; with no files it only sees that they can be written, and catch up.

    Raises:
        UnavailableError: one cannot be written.
        CorruptionError: nobody can tell which folders there are.
    """
    mirror_documents(
        tuple(dict.fromkeys((*context.settings.backup.folders, *remembered(context)))),
        files,
        lake=context.lake,
        lake_name=context.settings.lake,
        clock=context.clock,
    )


def remembered(context: CommandContext) -> list[Path]:
    """Folders that were backed up to by name.

    Raises:
        CorruptionError: nobody can tell.
    """
    file = context.lake.path / _FILE
    try:
        return [Path(each) for each in json.loads(file.read_bytes())] if file.exists() else []
    except (ValueError, TypeError) as exc:
        raise CorruptionError(f"{file}: expected a JSON list of folders, got {type(exc).__name__}") from exc


def remember(context: CommandContext, folder: Path) -> None:
    """Note a folder before it gets a backup; those of the settings need not be noted."""
    known = remembered(context)
    if folder not in (*known, *context.settings.backup.folders):
        _write(context, [*known, folder])


def forget(context: CommandContext, folder: Path) -> None:
    """Note that a folder holds no backup any more: certificates are not copied there from now on.

    Raises:
        NotFoundError: it was not noted.
    """
    known = remembered(context)
    if folder not in known:
        raise NotFoundError(
            f"backup --forget: expected one of {', '.join(map(str, known)) or 'no folders'}, got {folder}",
            hint="folders of the setting backup.targets are taken out of muniment.yaml",
        )
    _write(context, [each for each in known if each != folder])


def _write(context: CommandContext, folders: Sequence[Path]) -> None:
    replace_file(context.lake.path / _FILE, json.dumps([str(each) for each in folders]).encode())
