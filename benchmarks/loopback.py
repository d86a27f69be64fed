"""Programs that answer at a free port of this machine for as long as a block runs: the pages, for whoever drives a browser.

Invariant: what was started is a process group of its own, and no process of it outlives the block.
"""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

START_SECONDS = 180
_POLL_SECONDS = 0.1
_END_SECONDS = 10
_FIRST_PORT = 20_000
_PORTS = 12_000
_PORTS_A_PROCESS = 97
_given = itertools.count()


def free_port() -> int:
    """A port of this machine that nobody listens on now, and that nobody is given by chance before it is listened on.

    The system gives ports from 32768 on by itself, to connections too: one of those may be taken between this and its use, and
    who knocks at it before may even be connected to itself. Processes begin at places of their own, and go on from there.

    Raises:
        OSError: not one of the ports is free.
    """
    for _ in range(_PORTS):
        port = _FIRST_PORT + (os.getpid() * _PORTS_A_PROCESS + next(_given)) % _PORTS
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"expected a free port from {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1}, got none")


def wait_until_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until an address answers, while its process runs.

    Raises:
        RuntimeError: the process ended.
        TimeoutError: it did not answer within `START_SECONDS`.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).read()
        except OSError as exc:
            if process.poll() is not None:
                raise RuntimeError(f"{url}: expected an answer, got the end of its process") from exc
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url}: expected an answer within {START_SECONDS} s, got none") from exc
            time.sleep(_POLL_SECONDS)
        else:
            return


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started in a group of its own, with what it started."""
    with contextlib.suppress(ProcessLookupError):  # all of it ended by itself
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def serving(
    lake: Path, *, port: int | None = None, log: int | IO[bytes] = subprocess.DEVNULL, **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `muniment dashboard` with these environment variables more: its process, and the address at which its pages answer.

    Raises:
        RuntimeError, TimeoutError: as `wait_until_answers`.
    """
    port = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "muniment", "dashboard", "--lake", str(lake), "--port", str(port)],
        start_new_session=True,
        stdout=log,
        stderr=log,
        env={**os.environ, **variables},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_answers(f"{address}/_stcore/health", process)
        yield process, address
    finally:
        end_group(process)
