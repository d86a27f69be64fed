"""The supervisor of `muniment up`: starts services, restarts what dies, stops all.

A service that ends before it was ever ready, such as a collector whose port is taken, would only end again: `up` ends with
its exit code, and the service itself has said why. One that a signal ended is always started
again. Each service runs in its own process group, so that it can be ended with everything it started.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from muniment.environment import with_variables
from muniment.settings import MunimentConfig
from pipelines.home import Home
from warehouse.errors import MunimentError
from warehouse.lake import Lake
from warehouse.local_socket import call_local_socket

_STOP_GRACE_SECONDS = 30.0
_POLL_SECONDS = 0.2
_FIRST_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_READY_SECONDS = 5.0
_ASK_SECONDS = 2.0
_GROUP_GRACE_SECONDS = 5.0
EXIT_USAGE = 2


@dataclass(frozen=True)
class Service:
    """One child: its name, its command line, and for a periodic one the seconds between its runs.

    `socket` is where it says that it is ready; a service without one counts as ready once it ran for 5 s. `variables` are added to the
    environment, `folder` is where it runs.
    """

    name: str
    command: tuple[str, ...]
    every_seconds: float | None = None
    socket: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass
class _Running:
    service: Service
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    next_start: float = 0.0
    backoff: float = field(default=_FIRST_BACKOFF_SECONDS)
    was_ready: bool = False


def services_of(lake: Lake, settings: MunimentConfig, *, shard: str, home: Home | None = None) -> list[Service]:
    """Return what `up` runs for this lake: its collector, the loop that alerts, and Dagster where it has a home, else maintenance every so often."""
    python = (sys.executable, "-m", "muniment")
    where = ("--lake", str(lake.path))
    collector = Service(
        "collector",
        (*python, "collect", *where, "--shard", shard),
        socket=lake.run / f"collector-{shard}.sock",
    )
    # By its own command, so that each start has a new secret for its cookies.
    pages = [Service("pages", (*python, "dashboard", *where))] if settings.dashboards.enabled else []
    alerts = [Service("alerts", (*python, "alert", "watch", *where))] if settings.alerts.enabled else []
    if home is not None:
        commands = home.commands(settings.dagster.port, read_only=settings.dagster.read_only)
        return [
            collector,
            *alerts,
            *(
                Service(f"dagster {name}", command, variables=home.variables, folder=home.folder)
                for name, command in commands.items()
            ),
            *pages,
        ]
    return [
        collector,
        *alerts,
        Service(
            "maintenance",
            (*python, "maintenance", "run", *where, "--quiet"),
            every_seconds=settings.maintenance.interval_seconds,
        ),
        *pages,
    ]


class Supervisor:
    """Runs services until `request_stop`, which is safe to call from a signal handler."""

    def __init__(self, services: Sequence[Service], *, say: Callable[[str], None]) -> None:
        self._running = [_Running(service) for service in services]
        self._say = say
        self._stopping = threading.Event()

    def request_stop(self) -> None:
        """Ask `run` to stop every service and return."""
        self._stopping.set()

    def run(self) -> int:
        """Run until asked to stop; the exit code is that of a service that never got ready, else 0."""
        now = time.monotonic()
        for running in self._running:
            running.next_start = now + (running.service.every_seconds or 0.0)
        code = 0
        try:
            while not self._stopping.is_set() and code == 0:
                code = max(self._tend(running) for running in self._running)
                self._stopping.wait(_POLL_SECONDS)
        finally:
            self._stop_all()
        return code

    def _tend(self, running: _Running) -> int:
        now = time.monotonic()
        if running.process is None:
            if now >= running.next_start:
                self._start(running)
            return 0
        code = running.process.poll()
        service = running.service
        if code is None:
            running.was_ready = running.was_ready or _is_ready(service, running.process.pid, now - running.started)
            return 0
        _signal_group(running.process, signal.SIGKILL)  # what it started must not go on beside its next start
        running.process = None
        if service.every_seconds is not None:
            running.next_start = now + service.every_seconds
            if code:
                self._say(f"{service.name}: run ended with exit code {code}")
            return 0
        if code == EXIT_USAGE:
            self._say(f"{service.name}: cannot run with these settings")
            return code
        if code > 0 and not running.was_ready:  # it refused to start; one that was killed is started again
            self._say(f"{service.name}: ended with exit code {code} before it was ready, so it is not started again")
            return code
        steady = now - running.started >= _STEADY_SECONDS
        running.backoff = _FIRST_BACKOFF_SECONDS if steady else min(running.backoff * 2, _MAX_BACKOFF_SECONDS)
        running.next_start = now + running.backoff
        self._say(f"{service.name}: ended with exit code {code}, starts again in {running.backoff:g} s")
        return 0

    def _start(self, running: _Running) -> None:
        # the services are this program's own commands, built above, never a shell line
        service = running.service
        running.process = subprocess.Popen(  # noqa: S603 - see above
            service.command, start_new_session=True, env=with_variables(service.variables), cwd=service.folder
        )
        running.started = time.monotonic()

    def _stop_all(self) -> None:
        alive = [running.process for running in self._running if running.process is not None]
        for process in alive:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_GRACE_SECONDS
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()
        _end_groups(alive)


def _end_groups(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End what services started and left behind: it got the signal too, and has a little longer to end by itself."""
    deadline = time.monotonic() + _GROUP_GRACE_SECONDS
    left = [process for process in processes if _has_group(process)]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = [process for process in left if _has_group(process)]
    for process in left:
        _signal_group(process, signal.SIGKILL)


def _has_group(process: subprocess.Popen[bytes]) -> bool:
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _is_ready(service: Service, pid: int, seconds: float) -> bool:
    """Whether this very process is ready: another collector may answer at the socket of the shard that it holds."""
    if service.socket is None:
        return seconds >= _READY_SECONDS
    if not service.socket.exists():
        return False
    try:
        state = json.loads(call_local_socket(service.socket, b'{"op":"state"}', timeout_seconds=_ASK_SECONDS))
    except (OSError, ValueError, MunimentError):
        return False
    return bool(state.get("pid") == pid and state.get("http_port"))


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
