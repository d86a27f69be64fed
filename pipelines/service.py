"""Becomes one of the three processes of Dagster: `python -m pipelines.service code|daemon|web SOCKET [PORT] [--read-only]`.

The settings of the instance and the lake come in the environment, which `home.Home.variables` names.
"""

import socket
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from runpy import run_module

from warehouse.ports import is_free

HOST = "127.0.0.1"
EXIT_USAGE = 2
_WAIT_SECONDS = 120.0
_POLL_SECONDS = 0.2


def main(arguments: Sequence[str]) -> int:
    """Prepare, then run Dagster's own command in this process; returns only where it cannot."""
    role, address, *more = arguments
    path = Path(address)
    if role == "code":
        path.unlink(missing_ok=True)  # of a code server that was killed
        _fail_lost_runs()
        _become("dagster", "api", "grpc", "--socket", address, "--module-name", "pipelines.definitions", *_QUIET)
    elif role == "web":
        port, *flags = more
        if not is_free(HOST, int(port)):
            sys.stderr.write(
                f"dagster: port {port} of {HOST} is taken: set dagster.port, or dagster.enabled to false\n"
            )
            return EXIT_USAGE
        import_module("dagster_webserver.cli")  # it takes as long as the code server's start: both at once
        _wait_for(path)
        where = ("--host", HOST, "--port", port)
        _become("dagster_webserver", *where, *flags, *_WORKSPACE, *_QUIET, "--dagster-log-level", "warning")
    else:
        import_module("dagster._daemon.cli")
        _wait_for(path)
        _become("dagster._daemon", "run", *_WORKSPACE, *_QUIET)
    return 0


_QUIET = ("--log-level", "warning")
_WORKSPACE = ("--workspace", "workspace.yaml")


def _become(module: str, *arguments: str) -> None:
    sys.argv = [module, *arguments]
    run_module(module, run_name="__main__", alter_sys=True)


def _fail_lost_runs() -> None:
    """Nobody can have started a run that lives: all are children of the code server, which is about to begin."""
    from dagster import DagsterInstance

    from pipelines.history import fail_lost_runs

    with DagsterInstance.get() as instance:
        fail_lost_runs(instance)


def _wait_for(path: Path) -> None:
    """Wait until the code server listens; after two minutes Dagster itself is left to say that it does not."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                time.sleep(_POLL_SECONDS)
                continue
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
