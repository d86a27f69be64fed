"""A collector of its own process over a fresh lake: started, asked for its state, measured, stopped.

CPU is user and system time of the whole process, read from the kernel: what else runs on the machine changes it little,
unlike elapsed time.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import yaml

from benchmarks.machine import cache_folder
from muniment.setup import set_up_lake
from muniment.wiring import CommandContext, command_context
from warehouse.clock import system_clock
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.local_socket import call_local_socket

_START_SECONDS = 60.0
_STOP_SECONDS = 120.0
_FLUSH_SECONDS = 120.0


@dataclass(frozen=True)
class Usage:
    """What a process had used at one moment: CPU seconds in user and system mode, and the kernel's clock."""

    user_seconds: float
    system_seconds: float
    wall_seconds: float

    @property
    def cpu_seconds(self) -> float:
        """User and system time together."""
        return self.user_seconds + self.system_seconds

    def since(self, earlier: Self) -> Self:
        """What was used between two moments."""
        return type(self)(
            self.user_seconds - earlier.user_seconds,
            self.system_seconds - earlier.system_seconds,
            self.wall_seconds - earlier.wall_seconds,
        )


@dataclass(frozen=True)
class BenchLake:
    """A lake with tenants and one key each."""

    context: CommandContext
    keys: Mapping[str, str]

    @property
    def lake(self) -> Lake:
        """Where it lies."""
        return self.context.lake


@contextmanager
def bench_lake(
    name: str, tenants: Sequence[str], *, settings: Mapping[str, Any] | None = None, keep: bool = False
) -> Iterator[BenchLake]:
    """Make a fresh lake in the cache folder, and remove it afterwards unless it is to be kept."""
    folder = cache_folder() / f"lake-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    lake, _ = set_up_lake(folder, name="bench", clock=system_clock)
    if settings:
        content = yaml.safe_load(lake.settings_file.read_text(encoding="utf8")) or {}
        lake.settings_file.write_text(yaml.safe_dump(content | dict(settings)), encoding="utf8")
    context = command_context(lake.path)
    try:
        keys = {}
        for tenant in tenants:
            context.control.add_tenant(tenant)
            keys[tenant] = context.control.issue_key(tenant).secret_text
        yield BenchLake(context, keys)
    finally:
        context.control.close()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


class Server:
    """A running `muniment collect`."""

    def __init__(self, process: subprocess.Popen[bytes], lake: Lake, log: Path) -> None:
        self._process = process
        self._lake = lake
        self._log = log
        self._kernel = psutil.Process(process.pid)
        self.http_port = 0
        self.grpc_port = 0

    def wait(self) -> None:
        """Wait until it listens.

        Raises:
            RuntimeError: it ended instead, or took too long; its own words are in the message.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                state = self.state()
            except UnavailableError:
                time.sleep(0.05)
                continue
            self.http_port, self.grpc_port = state["http_port"], state["grpc_port"]
            if self.http_port and self.grpc_port:
                return
        raise RuntimeError(f"the collector did not start: {self._log.read_text(encoding='utf8')[-2000:]}")

    def state(self) -> dict[str, Any]:
        """What the collector says of itself."""
        return self._ask({"op": "state"}, 5.0)

    def flush(self) -> None:
        """Wait until everything acknowledged can be queried."""
        answer = self._ask({"op": "flush", "timeout_seconds": _FLUSH_SECONDS}, _FLUSH_SECONDS + 5)
        if not answer["ok"]:
            raise RuntimeError(f"flush: {answer['error']}")

    def _ask(self, message: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        socket = self._lake.run / "collector-main.sock"
        answer: dict[str, Any] = json.loads(
            call_local_socket(socket, json.dumps(message).encode(), timeout_seconds=timeout_seconds)
        )
        return answer

    def usage(self) -> Usage:
        """CPU used so far."""
        times = self._kernel.cpu_times()
        return Usage(times.user, times.system, time.monotonic())

    def peak_memory_mb(self) -> float:
        """Resident memory at its highest (VmHWM), in millions of bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf8")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return int(fields["VmHWM"].split()[0]) * 1024 / 1e6

    def stop(self) -> None:
        """End it in good order."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(lake: Lake) -> Iterator[Server]:
    """Run a collector over `lake` on free ports of the loopback address."""
    log = lake.path / "collector.log"
    command = [
        sys.executable,
        "-m",
        "muniment",
        "collect",
        "--lake",
        str(lake.path),
        "--http-port",
        "0",
        "--grpc-port",
        "0",
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=Path(__file__).parents[1])
    server = Server(process, lake, log)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
