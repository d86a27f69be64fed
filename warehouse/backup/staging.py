"""Where a restore works: `LAKE/.restoring`, in which no command finds a lake, until its parts move into their places.

It lies inside the lake's folder, so that moving is renaming, also where that folder is a disk of its own. The step that was reached is
kept in a file, so an interrupted restore is carried on. `muniment.yaml`, by which a lake is found, moves last.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from warehouse.durable import make_folder, replace_file, sync_folder
from warehouse.errors import ConflictError
from warehouse.lake import Lake

FOLDER = ".restoring"
_STEP_FILE = "restore.json"
_IGNORED = frozenset({"lost+found"})


class Step(StrEnum):
    """What was reached: files are being copied; all are there; events are recorded; parts are moving into place."""

    COPYING = "copying"
    COPIED = "copied"
    RECORDED = "recorded"
    PLACING = "placing"


@dataclass(frozen=True)
class Staging:
    """The folder in which the lake `to` is made from the backup whose manifest has this SHA-256."""

    to: Path
    manifest_sha256: str

    @property
    def lake(self) -> Lake:
        """The lake as it is being made."""
        return Lake(self.to / FOLDER)

    def begin(self) -> Step:
        """Make the folder, or find what an interrupted restore has left; returns the step from which to go on.

        Raises:
            ConflictError: `to` is not empty, or a restore from another backup was interrupted there.
        """
        names = {entry.name for entry in self.to.iterdir()} - _IGNORED if self.to.exists() else set()
        file = self.lake.path / _STEP_FILE
        if FOLDER in names and file.exists():
            content = json.loads(file.read_bytes())
            if content["manifest"] != self.manifest_sha256:
                raise ConflictError(
                    f"{self.to}: expected an empty folder, got a restore from another backup that was interrupted",
                    hint=f"finish that one, or remove {self.lake.path}",
                )
            step = Step(content["step"])
        else:
            step = Step.COPYING
        if step is not Step.PLACING and (others := sorted(names - {FOLDER})):
            raise ConflictError(
                f"{self.to}: expected an empty folder or none, got one with {', '.join(others[:3])}",
                hint="a restore never writes over a lake: name another folder",
            )
        make_folder(self.lake.path)
        if step is Step.COPYING:
            self.reach(step)
        return step

    def reach(self, step: Step) -> None:
        """Remember durably that a step was reached."""
        content = {"manifest": self.manifest_sha256, "step": step.value}
        replace_file(self.lake.path / _STEP_FILE, json.dumps(content).encode())

    def place(self) -> None:
        """Move every part into its place, the settings last; nothing of the staging is left."""
        self.reach(Step.PLACING)
        settings = self.lake.settings_file
        parts = [part for part in self.lake.path.iterdir() if part.name not in {settings.name, _STEP_FILE}]
        for part in sorted(parts):
            part.rename(self.to / part.name)
        sync_folder(self.to)
        if settings.exists():
            settings.rename(self.to / settings.name)
            sync_folder(self.to)
        (self.lake.path / _STEP_FILE).unlink()
        self.lake.path.rmdir()
        sync_folder(self.to)
