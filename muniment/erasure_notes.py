"""Notes of erasures that have not ended: `LAKE/keys/erasing-<id>.json`, beside the vault and under its protection.

A note holds the token and never the value. It is written before anything is deleted, and goes last.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from muniment.wiring import CommandContext
from warehouse.durable import replace_file, sync_folder
from warehouse.errors import CorruptionError


@dataclass(frozen=True)
class Note:
    """An erasure that was ordered and has not ended. `request` is the id of the request that a second principal approves.

    `texts` says that all texts are searched, as was ordered, for values that redaction missed.
    """

    id: str
    tenant: str
    token: str
    subject_ref: str
    reason: str
    ordered_by: str
    four_eyes: str
    request: str | None = None
    approved_by: str | None = None
    kept_since_unix_nano: int | None = None
    texts: bool = False


def read_notes(context: CommandContext) -> list[Note]:
    """Erasures that have not ended, oldest first.

    Raises:
        CorruptionError: a note cannot be read.
    """
    found = []
    for file in sorted(context.lake.keys.glob("erasing-*.json"), key=lambda file: file.stat().st_mtime_ns):
        try:
            found.append(Note(**json.loads(file.read_bytes())))
        except (ValueError, TypeError) as exc:
            raise CorruptionError(f"{file}: expected the note of an erasure, got {type(exc).__name__}") from exc
    return found


def write_note(context: CommandContext, note: Note) -> None:
    """Put a note in its place, durably."""
    replace_file(_file(context, note), json.dumps(asdict(note)).encode())


def drop_note(context: CommandContext, note: Note) -> None:
    """Take away the note of an erasure that ended, durably; safe to repeat."""
    file = _file(context, note)
    file.unlink(missing_ok=True)
    sync_folder(file.parent)


def _file(context: CommandContext, note: Note) -> Path:
    return context.lake.keys / f"erasing-{note.id}.json"
