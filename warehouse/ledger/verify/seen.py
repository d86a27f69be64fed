"""What a verifier remembers: each origin's last checkpoint that was found sound. The verifier's own file, outside the lake.

Nothing in the lake can prove that the lake was not put back to yesterday; this file can. It never moves backwards.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from warehouse.clock import Clock
from warehouse.durable import replace_file
from warehouse.errors import InputError
from warehouse.ledger.checkpoint import Checkpoint, read_unverified
from warehouse.ledger.errors import NoteError
from warehouse.ledger.verify.report import VerifyReport

_VERSION = 1


@dataclass(frozen=True)
class SeenLog:
    """The last checkpoint of one log: its note, the public keys whose signature was verified, and when (nanoseconds)."""

    checkpoint: Checkpoint
    note: str
    keys: tuple[bytes, ...]
    verified_unix_nano: int


@dataclass(frozen=True)
class Seen:
    """What was seen, by origin; empty before the first run."""

    logs: Mapping[str, SeenLog] = field(default_factory=dict)


def read_seen(file: Path) -> Seen:
    """Read the file; a file that is not there yet is an empty memory.

    Raises:
        InputError: it is there and is not one of these files.
    """
    try:
        content = json.loads(file.read_bytes())
        if content["version"] != _VERSION:
            raise InputError(f"{file}: expected version {_VERSION}, got {content['version']!r}")
        return Seen({origin: _read_log(origin, entry) for origin, entry in content["origins"].items()})
    except FileNotFoundError:
        return Seen()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, NoteError) as exc:
        raise InputError(
            f"{file}: expected what an earlier `muniment verify --seen` wrote, got {type(exc).__name__}: {exc}",
            hint="name another file, or restore this one: without it nothing shows that the lake was put back",
        ) from exc


def update_seen(file: Path, seen: Seen, report: VerifyReport, *, clock: Clock) -> Seen:
    """Remember the checkpoints of all logs without findings; replaces the file at once and durably.

    Raises:
        OSError: the disk refuses; the file is as it was.
    """
    logs = dict(seen.logs)
    for log in report.logs:
        before = logs.get(log.origin)
        if log.findings or log.head is None or log.head.checkpoint is None:
            continue
        if before is not None and before.checkpoint.size > log.size:
            continue
        note = log.head.note.decode()
        logs[log.origin] = SeenLog(log.head.checkpoint, note, log.signing_keys, clock())
    content = {
        "version": _VERSION,
        "origins": {
            origin: {
                "checkpoint": entry.note,
                "keys": [key.hex() for key in entry.keys],
                "verified_unix_nano": entry.verified_unix_nano,
            }
            for origin, entry in sorted(logs.items())
        },
    }
    replace_file(file, json.dumps(content, indent=1).encode())
    return Seen(logs)


def _read_log(origin: str, entry: Mapping[str, object]) -> SeenLog:
    note, keys, verified = entry["checkpoint"], entry["keys"], entry["verified_unix_nano"]
    if not isinstance(note, str) or not isinstance(keys, list) or not isinstance(verified, int):
        raise TypeError(f"{origin}: expected a checkpoint, keys and a time")
    checkpoint = read_unverified(note.encode())
    if checkpoint.origin != origin:
        raise ValueError(f"expected a checkpoint of {origin}, got one of {checkpoint.origin}")
    return SeenLog(checkpoint, note, tuple(bytes.fromhex(key) for key in keys), verified)
