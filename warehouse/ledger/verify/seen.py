"""What a verifier remembers: each origin's last checkpoint that was found sound. The verifier's own file, outside the lake.

Nothing in the lake can prove that the lake was not put back to yesterday; this file can. It never moves backwards.
"""

import json
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from warehouse.clock import Clock
from warehouse.durable import replace_file
from warehouse.errors import InputError
from warehouse.ledger.checkpoint import Checkpoint, read_unverified, split_origin
from warehouse.ledger.errors import NoteError
from warehouse.ledger.verify.report import VerifyReport
from warehouse.ledger.vkey import check_public_key
from warehouse.locks import locked

_VERSION = 1
_LOCK_SECONDS = 30.0
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_KINDS: Mapping[type, str] = {
    str: "a text", list: "a list", dict: "an object", int: "a whole number",
}  # fmt: skip

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Quorum:
    """How many of which witnesses (public keys) a verifier requires to vouch for a log."""

    required: int
    keys: tuple[bytes, ...]

    def is_met_by(self, other: "Quorum") -> bool:
        """Whether a log for which `other` vouched meets this one by that: its witnesses are all among these, and enough."""
        return set(other.keys) <= set(self.keys) and other.required >= self.required


@dataclass(frozen=True)
class SeenLog:
    """The last checkpoint of one log: its note, the public keys whose signature was verified, and when (nanoseconds).

    `quorum` is that which vouched for the log in some run, None when none did yet.
    """

    checkpoint: Checkpoint
    note: str
    keys: tuple[bytes, ...]
    verified_unix_nano: int
    quorum: Quorum | None = None


@dataclass(frozen=True)
class Seen:
    """What was seen, by origin; empty before the first run."""

    logs: Mapping[str, SeenLog] = field(default_factory=dict)


def read_seen(file: Path) -> Seen:
    """Read the file; a file that is not there yet is an empty memory.

    Raises:
        InputError: it is there and is not one of these files, or cannot be read.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Seen()
    except OSError as exc:
        raise InputError(
            f"--seen {file}: expected a file that you may read, got: {exc.strerror or exc}",
            hint="name a file of your own; the first run makes it",
        ) from exc
    try:
        return _parse(content)
    except (ValueError, NoteError) as exc:
        raise InputError(
            f"--seen {file}: expected what an earlier `muniment verify --seen` wrote, got {exc}",
            hint="restore the file, or name another: with an empty memory nothing shows that the lake was put back",
        ) from exc


def check_seen(file: Path, seen: Seen, *, lake_name: str) -> str | None:
    """Check that a memory is of this lake, and can be kept; returns what its owner should know about the file.

    Raises:
        InputError: it is the memory of another lake, or its folder is not there or not writable.
    """
    others = sorted({split_origin(origin)[0] for origin in seen.logs} - {lake_name})
    if others and not any(split_origin(origin)[0] == lake_name for origin in seen.logs):
        raise InputError(
            f"--seen {file}: expected the memory of lake {lake_name}, got that of {', '.join(others)}",
            hint="keep one file a lake: name that of this lake, or a new one to begin with",
        )
    folder = file.absolute().parent
    if not folder.is_dir():
        raise InputError(f"--seen {file}: expected a folder that is there, got {folder}", hint="make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"--seen {file}: expected a folder that you may write to, got {folder}",
            hint="the file is replaced after each run: keep it in a folder of your own",
        )
    try:
        mode = file.stat().st_mode
    except OSError:
        return None
    if mode & _OTHERS_WRITE:
        return (
            f"--seen {file}: others may write to it (mode {stat.S_IMODE(mode):04o}): whoever does can make it forget. "
            "It is written with mode 0600 after this run"
        )
    return None


def update_seen(file: Path, seen: Seen, report: VerifyReport, *, clock: Clock, quorum: Quorum | None = None) -> Seen:
    """Remember the checkpoints of all logs without findings; replaces the file at once and durably, mode 0600.

    The file is read again under a lock beside it: another run that ended meanwhile may have seen more, and nothing moves
    backwards. `quorum` is what the run required of witnesses.

    Raises:
        InputError: it is not one of these files any more.
        UnavailableError: another run holds it for too long.
        OSError: the disk refuses; the file is as it was.
    """
    lock = file.with_name(f".{file.name}.lock")
    with locked(lock, holder="muniment verify --seen", timeout_seconds=_LOCK_SECONDS):
        logs = _longest(seen.logs, read_seen(file).logs)
        for log in report.logs:
            before = logs.get(log.origin)
            if log.findings or log.head is None or log.head.checkpoint is None:
                continue
            if before is not None and before.checkpoint.size > log.size:
                continue
            vouched = quorum if quorum is not None and log.witnessed_size else before.quorum if before else None
            note = log.head.note.decode()
            logs[log.origin] = SeenLog(log.head.checkpoint, note, log.signing_keys, clock(), vouched)
        content = {"version": _VERSION, "origins": {origin: _entry(log) for origin, log in sorted(logs.items())}}
        replace_file(file, json.dumps(content, indent=1).encode())
    return Seen(logs)


def _longest(*memories: Mapping[str, SeenLog]) -> dict[str, SeenLog]:
    """Of each log the longest checkpoint, of equally long ones the first."""
    found: dict[str, SeenLog] = {}
    for memory in memories:
        for origin, log in memory.items():
            if origin not in found or found[origin].checkpoint.size < log.checkpoint.size:
                found[origin] = log
    return found


def _entry(log: SeenLog) -> dict[str, object]:
    entry: dict[str, object] = {
        "checkpoint": log.note,
        "keys": [key.hex() for key in log.keys],
        "verified_unix_nano": log.verified_unix_nano,
    }
    if log.quorum is not None:
        entry["witnesses"] = {"required": log.quorum.required, "keys": [key.hex() for key in log.quorum.keys]}
    return entry


def _parse(content: bytes) -> Seen:
    try:
        value = json.loads(content)
    except ValueError as exc:
        raise ValueError("text that is no JSON") from exc
    if not isinstance(value, dict):
        raise ValueError(f"JSON that is {_kind(value)}, expected an object")  # noqa: TRY004 - one error for all of the file
    if (version := value.get("version")) != _VERSION:
        raise ValueError(f"version {version!r}, expected {_VERSION}" if version is not None else "no version")
    origins = _field(value, "origins", dict, "the file")
    return Seen({origin: _read_log(origin, entry) for origin, entry in origins.items()})


def _read_log(origin: str, entry: object) -> SeenLog:
    split_origin(origin)
    if not isinstance(entry, dict):
        raise ValueError(f"{_kind(entry)} for {origin}, expected an object")  # noqa: TRY004 - one error for all of the file
    note = _field(entry, "checkpoint", str, origin)
    checkpoint = read_unverified(note.encode())
    if checkpoint.origin != origin:
        raise ValueError(f"a checkpoint of {checkpoint.origin} for {origin}")
    keys = _keys(_field(entry, "keys", list, origin), origin)
    verified = _field(entry, "verified_unix_nano", int, origin)
    quorum = None
    if "witnesses" in entry:
        stated = _field(entry, "witnesses", dict, origin)
        required = _field(stated, "required", int, origin)
        quorum = Quorum(required, _keys(_field(stated, "keys", list, origin), origin))
    return SeenLog(checkpoint, note, keys, verified, quorum)


def _field(value: Mapping[str, object], name: str, kind: type[_Value], where: str) -> _Value:
    """A field of an object, of this type.

    Raises:
        ValueError: it is not there, or of another type; the message says what was got.
    """
    if name not in value:
        raise ValueError(f"no {name!r} in {where}")
    found = value[name]
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ValueError(f"{_kind(found)} as {name!r} of {where}, expected {_KINDS[kind]}")  # noqa: TRY004 - as above
    return found


def _keys(values: Collection[object], where: str) -> tuple[bytes, ...]:
    keys = []
    for value in values:
        try:
            keys.append(bytes.fromhex(value) if isinstance(value, str) else b"")
            check_public_key(keys[-1])
        except (ValueError, NoteError) as exc:
            raise ValueError(f"a key of {where} that is not 64 hex digits") from exc
    return tuple(keys)


def _kind(value: object) -> str:
    """What a value is called in JSON."""
    return "null" if value is None else "a boolean" if isinstance(value, bool) else _KINDS.get(type(value), "a number")
