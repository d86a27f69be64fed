"""Brings every journal into the tables: before records are deleted, what waits in a journal has to stand where it can be found.

A shard that nobody holds is replayed here; the process that holds another one is asked to commit, and waited for.
"""

import contextlib
import json
import re
import time
from pathlib import Path

from muniment.wiring import CommandContext
from warehouse.errors import MunimentError, ShardHeldError, UnavailableError
from warehouse.journal import list_segments
from warehouse.local_socket import call_local_socket

DRAIN_SECONDS = 60.0
_POLL_SECONDS = 0.1
_IDENTITY = re.compile(r"(?P<name>[a-z0-9-]+)-[0-9a-f]{8}")


def drain_journals(context: CommandContext, *, timeout_seconds: float = DRAIN_SECONDS) -> int:
    """Commit what waits in any journal now; returns how many segments did. What comes meanwhile is not waited for.

    Raises:
        UnavailableError: a journal could not be committed in time, or is damaged.
    """
    waiting = _waiting(context)
    count = sum(len(files) for files in waiting.values())
    deadline = time.monotonic() + timeout_seconds
    problems: dict[str, str] = {}
    while waiting:
        for name in waiting:
            problems[name] = _drain(context, name, deadline)
        waiting = {name: left for name, files in waiting.items() if (left := [file for file in files if file.exists()])}
        if waiting and time.monotonic() > deadline:
            name, files = min(waiting.items())
            raise UnavailableError(
                f"shard {name}: {len(files)} journal segments were not committed within {timeout_seconds:g} s, "
                f"so nothing was deleted: {problems.get(name) or 'its collector did not get to it'}",
                hint="look at `muniment status`: end or mend the process that holds the shard, then apply again",
            )
        if waiting:
            time.sleep(_POLL_SECONDS)
    return count


def _waiting(context: CommandContext) -> dict[str, list[Path]]:
    """Segments that are not committed, by the name of their shard."""
    found: dict[str, list[Path]] = {}
    for folder in sorted(context.lake.journal.iterdir()):
        match = _IDENTITY.fullmatch(folder.name)
        if match and folder.is_dir() and (files := [file for _, file in list_segments(folder)]):
            found.setdefault(match["name"], []).extend(files)
    return found


def _drain(context: CommandContext, name: str, deadline: float) -> str:
    """Have one shard committed; returns why it could not be, or nothing."""
    try:
        context.open_writer(name).stop()  # opening a shard replays its journal
    except ShardHeldError as exc:
        socket = context.lake.run / f"collector-{name}.sock"
        if not socket.exists():
            return str(exc)
        left = max(1.0, deadline - time.monotonic())
        with contextlib.suppress(OSError, ValueError, MunimentError):
            payload = json.dumps({"op": "flush", "timeout_seconds": left}).encode()
            answer = json.loads(call_local_socket(socket, payload, timeout_seconds=left + 1.0))
            return "" if answer.get("ok") else str(answer.get("error"))
        return str(exc)
    except MunimentError as exc:
        return str(exc)
    return ""
