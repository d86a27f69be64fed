"""Certificates on the backup targets of the settings, before whatever made them reports success."""

from collections.abc import Sequence
from pathlib import Path

from muniment.wiring import CommandContext
from warehouse.backup.documents import mirror_documents


def mirror_files(context: CommandContext, files: Sequence[Path]) -> None:
    """Copy documents to every target; with no files it only sees that the targets can be written, and catch up.

    Raises:
        UnavailableError: a target cannot be written.
    """
    mirror_documents(
        context.settings.backup.folders,
        files,
        lake=context.lake,
        lake_name=context.settings.lake,
        clock=context.clock,
    )
