"""Witnesses and a collector as users run them: real processes, real HTTP, a real lake."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from muniment.setup import set_up_lake
from muniment.wiring import command_context
from muniment.witness_rounds import witness_status
from warehouse.clock import system_clock
from warehouse.ledger.checkpoint import open_checkpoint, read_unverified
from warehouse.ledger.cosignature import WitnessVerifier, cosignatures
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.signing import read_signing_keys
from warehouse.local_socket import call_local_socket

WAIT_SECONDS = 60
LAKE_NAME = "e2e"


def wait_until(condition, what):
    """Poll until `condition` holds; returns what it returned."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Processes:
    """Commands in process groups of their own, ended with the test."""

    folder: Path
    started: list[subprocess.Popen] = field(default_factory=list)

    def start(self, name, *arguments):
        """Start `muniment …`; its output goes to `<name>.log`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "muniment", *map(str, arguments)], stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(process)
        return process

    def end(self):
        """Kill what still runs, and its children."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@dataclass
class Stage:
    """A lake that knows one witness, which may run or not."""

    lake: Path
    state: Path
    port: int
    verifier: WitnessVerifier
    processes: Processes

    def muniment(self, *arguments):
        command = [sys.executable, "-m", "muniment", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    def log_keys(self):
        return [key.vkey for key in read_signing_keys(self.lake / "keys").verifiers(LAKE_NAME)]

    def start_witness(self):
        """Start the witness and wait until it answers."""
        logs = [part for vkey in self.log_keys() for part in ("--log", vkey)]
        process = self.processes.start("witness", "witness", "--state", self.state, "--port", self.port, *logs)

        def answers():
            assert process.poll() is None, (self.processes.folder / "witness.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True

        wait_until(answers, "the witness listens")
        return process

    def start_collector(self):
        """Start a collector and wait until it answers."""
        process = self.processes.start(
            "collector", "collect", "--lake", self.lake, "--http-port", 0, "--grpc-port", 0
        )

        def answers():
            assert process.poll() is None, (self.processes.folder / "collector.log").read_text()
            with contextlib.suppress(Exception):
                return self.ask("state")["http_port"]

        wait_until(answers, "the collector listens")
        return process

    def ask(self, operation, **fields):
        payload = json.dumps({"op": operation, **fields}).encode()
        socket_file = self.lake / "run" / "collector-main.sock"
        answer = json.loads(call_local_socket(socket_file, payload, timeout_seconds=30))
        assert answer["ok"], answer
        return answer

    def record(self, tenant, count=1):
        """Have the running collector record events of a tenant, and wait until they are committed."""
        event = {"tenant_id": tenant, "name": "data.exported", "recorded_by": "user:test"}
        self.ask("record", events=[event] * count)
        self.ask("flush", timeout_seconds=30)

    def log_folder(self, shard="main", tenant="_lake"):
        (folder,) = self.lake.glob(f"ledger/{tenant}/{shard}-*")
        return folder

    def status(self):
        (found,) = witness_status(command_context(self.lake).lake, command_context(self.lake).settings)
        return found

    def is_up_to_date(self, logs=1):
        status = self.status()
        return status if status.logs >= logs and status.logs_behind == 0 else None


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    """A lake with a witness every half second; neither collector nor witness runs yet."""
    lake, state, port = tmp_path / "lake", tmp_path / "state", free_port()
    set_up_lake(lake, name=LAKE_NAME, clock=system_clock)
    command = [sys.executable, "-m", "muniment", "witness", "key", "--state", state, "--name", "witness.example/one"]
    vkey = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    settings = yaml.safe_load((lake / "muniment.yaml").read_text())
    settings["witnesses"] = [{"url": f"http://127.0.0.1:{port}", "vkey": vkey}]
    settings["witness_interval_seconds"] = 0.5
    settings["writer"] = {"commit_interval_seconds": 0.2}
    (lake / "muniment.yaml").write_text(yaml.safe_dump(settings))
    processes = Processes(tmp_path)
    yield Stage(lake, state, port, WitnessVerifier.from_vkey(vkey), processes)
    processes.end()


def test_heads_of_all_logs_are_cosigned(stage):
    """A tenant's log that grew is in a `log.heads` event, and the log of `_lake` with that event is cosigned."""
    stage.start_witness()
    stage.start_collector()
    stage.record("acme", 3)
    wait_until(stage.is_up_to_date, "cosigned")
    folder = stage.log_folder()
    note = (folder / "checkpoint.witnessed").read_bytes()
    (cosignature,) = cosignatures(note, [stage.verifier])
    assert abs(cosignature.time_seconds - time.time()) < 120
    origin = f"{LAKE_NAME}/_lake/{folder.name}"
    keys = read_signing_keys(stage.lake / "keys").verifiers(origin)
    cosigned = open_checkpoint(note, origin=origin, verifiers=keys).checkpoint
    assert cosigned.root == LogTiles(folder).root(cosigned.size)

    acme = read_unverified((stage.log_folder(tenant="acme") / "checkpoint").read_bytes())
    query = "select attributes, recorded_by, log_index from audit_events where event_name = 'log.heads' order by log_index"
    rows = json.loads(stage.muniment("sql", query, "--tenant", "_lake", "--format", "json", "--lake", stage.lake))
    heads = [head for row in rows for head in json.loads(row["attributes"])["heads"]]
    assert [acme.origin, acme.size, acme.text.split("\n")[2]] in heads
    assert {row["recorded_by"] for row in rows} == {"muniment:collector"}
    assert rows[0]["log_index"] < cosigned.size


def test_quiet_lake_takes_no_heads(stage):
    """Once all is cosigned, further rounds record nothing: an event of heads does not call for the next."""
    stage.start_witness()
    stage.start_collector()
    stage.record("acme")
    wait_until(stage.is_up_to_date, "cosigned")
    before = read_unverified((stage.log_folder() / "checkpoint").read_bytes()).size
    log = stage.processes.folder / "witness.log"
    asked = log.read_text()
    time_of_rest = time.monotonic() + 2.5
    while time.monotonic() < time_of_rest:
        time.sleep(0.1)
    stage.ask("flush", timeout_seconds=30)
    assert read_unverified((stage.log_folder() / "checkpoint").read_bytes()).size == before
    assert log.read_text() == asked
