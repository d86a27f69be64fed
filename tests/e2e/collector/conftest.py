"""A real lake made by the functions behind the commands, and a real `muniment collect` in a process group of its own."""

import contextlib
import functools
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from muniment.setup import set_up_lake
from muniment.tenancy import add_tenant, issue_key
from muniment.wiring import command_context
from tests.commands import run_command
from tests.processes import start_muniment
from tests.template import copy_lake, room
from warehouse.clock import system_clock
from warehouse.local_socket import call_local_socket

START_SECONDS = 120
STOP_SECONDS = 120
FLUSH_SECONDS = 120
PROTOBUF = "application/x-protobuf"


@dataclass
class LakeUnderTest:
    """A lake on disk, its tenant's key, and the collectors that a test started."""

    path: Path
    tenant: str = "acme"
    key: str = field(default="", repr=False)
    started: list = field(default_factory=list)
    apart: bool = False
    """Whether each command has a process of its own, as with PostgreSQL, whose connections end with the process."""

    def muniment(self, *arguments, check=True, stdin=""):
        """Run one command on this lake, in this process: those whose process matters are started."""
        words = [*map(str, arguments), "--lake", str(self.path)]
        if self.apart:
            command = [sys.executable, "-m", "muniment", *words]
            done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, input=stdin)
        else:
            done = run_command(*words, stdin=stdin)
        assert not check or done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def sql(self, text):
        """Rows of a query as dicts."""
        return json.loads(self.muniment("sql", text, "--tenant", self.tenant, "--format", "json").stdout)

    def start(self, command, log):
        """Start a command in a process group of its own; it is ended with the test."""
        with log.open("ab") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
        self.started.append(process)
        return process

    def begin(self, *arguments, log):
        """Start one command on this lake in a process that is forked; it is ended with the test."""
        self.started.append(start_muniment(*arguments, "--lake", self.path, log=log))
        return self.started[-1]

    def collect(self, *arguments, shard="main", forked=True):
        """Start a collector and wait until it listens; forked from a process that has loaded it, or as users start it."""
        words = ["collect", "--shard", shard, "--http-port", "0", "--grpc-port", "0", *arguments]
        log = self.path.parent / f"collector-{shard}.log"
        if forked:
            process = self.begin(*words, log=log)
        else:
            process = self.start([sys.executable, "-m", "muniment", *words, "--lake", str(self.path)], log)
        collector = RunningCollector(self, process, shard)
        collector.wait_until_ready(log)
        return collector


@dataclass
class RunningCollector:
    """One running collector process."""

    lake: LakeUnderTest
    process: subprocess.Popen
    shard: str
    http_port: int = 0
    grpc_port: int = 0

    def ask(self, operation, **fields):
        """Ask through the local socket."""
        socket = self.lake.path / "run" / f"collector-{self.shard}.sock"
        payload = json.dumps({"op": operation, **fields}).encode()
        return json.loads(call_local_socket(socket, payload, timeout_seconds=FLUSH_SECONDS))

    def wait_until_ready(self, log):
        """Poll until the receivers listen."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, f"collector ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"collector does not listen: {log.read_text()}"
            with contextlib.suppress(Exception):
                state = self.ask("state")
                if state["ok"] and state["http_port"]:
                    self.http_port, self.grpc_port = state["http_port"], state["grpc_port"]
                    return
            time.sleep(0.05)

    def flush(self):
        """Wait until everything acknowledged can be queried."""
        answer = self.ask("flush", timeout_seconds=FLUSH_SECONDS)
        assert answer["ok"], answer

    def post(self, body, path="/v1/traces", content_type=PROTOBUF, **headers):
        """Send one request; returns (status, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        try:
            connection.request(
                "POST", path, body=body, headers={"content-type": content_type, "x-api-key": self.lake.key, **headers}
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def kill(self):
        """Kill -9 the whole group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM, and wait for the end."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


def make_lake(path) -> LakeUnderTest:
    """Make a lake with one tenant and one key, by the functions behind the commands: a process each would be slow."""
    pattern, key = made_pattern()
    return LakeUnderTest(copy_lake(pattern, path), key=key)


@functools.cache
def made_pattern():
    """Make the lake that all of a process are copies of; returns its folder and the key of its tenant."""
    path = room() / "lake"
    set_up_lake(path, name="e2e", clock=system_clock)
    context = command_context(path)
    acting = (context.control, context.access, context.principal, lambda *_, **__: None)
    add_tenant(*acting, tenant_id=LakeUnderTest.tenant, name=None)
    key = issue_key(*acting, tenant_id=LakeUnderTest.tenant).secret_text
    context.control.close()
    return path, key


@pytest.fixture
def lake_in() -> Iterator[Callable[[Path], LakeUnderTest]]:
    """Makes lakes with one tenant and one key; collectors that a test leaves running are ended."""
    lakes = []

    def make(path):
        lakes.append(make_lake(path))
        return lakes[-1]

    yield make
    for process in (process for lake in lakes for process in lake.started):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def lake(lake_in, tmp_path) -> LakeUnderTest:
    """A lake with one tenant and one key."""
    return lake_in(tmp_path / "lake")


def span_request(batch, spans=8, now=None, service="e2e"):
    """Serialized request of `spans` spans that share the attribute `batch`."""
    now = now or time.time_ns()
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add()
    attribute.key, attribute.value.string_value = "service.name", service
    scope = resource.scope_spans.add()
    trace_id = secrets.token_bytes(16)
    for number in range(spans):
        span = scope.spans.add()
        span.trace_id, span.span_id, span.name = trace_id, secrets.token_bytes(8), f"{batch}"
        span.start_time_unix_nano, span.end_time_unix_nano = now + number, now + number + 1_000_000
        attribute = span.attributes.add()
        attribute.key, attribute.value.string_value = "test.batch", str(batch)
    return request.SerializeToString()


@pytest.fixture
def spans():
    """Builds a serialized request of spans."""
    return span_request
