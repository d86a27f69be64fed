"""Witnesses and a collector as users run them: real processes, real HTTP, a real lake."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from benchmarks.loopback import free_port
from muniment.setup import set_up_lake
from muniment.wiring import command_context
from muniment.witness_rounds import witness_status
from tests.commands import run_command
from tests.processes import ForkedProcess, start_muniment
from tests.rows import read_table
from warehouse.clock import system_clock
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint, open_checkpoint, read_unverified, sign_checkpoint
from warehouse.ledger.cosignature import WitnessVerifier, cosignatures
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.signing import read_signing_keys
from warehouse.local_socket import call_local_socket
from warehouse.names import LAKE_TENANT

WAIT_SECONDS = 120
LAKE_NAME = "e2e"
INTERVAL_SECONDS = 0.4


def wait_until(condition, what):
    """Poll until `condition` holds; returns what it returned."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.05)


@dataclass
class Processes:
    """Commands in process groups of their own, ended with the test."""

    folder: Path
    started: list[ForkedProcess] = field(default_factory=list)

    def start(self, name, *arguments):
        """Start `muniment …`; its output goes to `<name>.log`."""
        self.started.append(start_muniment(*arguments, log=self.folder / f"{name}.log"))
        return self.started[-1]

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
        done = run_command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

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
        process = self.processes.start("collector", "collect", "--lake", self.lake, "--http-port", 0, "--grpc-port", 0)

        def answers():
            assert process.poll() is None, (self.processes.folder / "collector.log").read_text()
            with contextlib.suppress(Exception):
                return self.ask("state")["http_port"]

        wait_until(answers, "the collector listens")
        return process

    def ask(self, operation, shard="main", **fields):
        payload = json.dumps({"op": operation, **fields}).encode()
        socket_file = self.lake / "run" / f"collector-{shard}.sock"
        answer = json.loads(call_local_socket(socket_file, payload, timeout_seconds=90))
        assert answer["ok"], answer
        return answer

    def record(self, tenant, count=1):
        """Have the running collector record events of a tenant, and wait until they are committed."""
        event = {"tenant_id": tenant, "name": "data.exported", "recorded_by": "user:test"}
        self.ask("record", events=[event] * count)
        self.ask("flush", timeout_seconds=60)

    def log_folder(self, shard="main", tenant="_lake"):
        (folder,) = self.lake.glob(f"ledger/{tenant}/{shard}-*")
        return folder

    def lake_log_size(self):
        return read_unverified((self.log_folder() / "checkpoint").read_bytes()).size

    def metrics(self):
        url = f"http://127.0.0.1:{self.ask('state')['http_port']}/metrics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read().decode()

    def problem(self):
        (found,) = self.ask("state")["witness_rounds"]["witnesses"].values()
        return found

    def status(self):
        (found,) = witness_status(command_context(self.lake).lake, command_context(self.lake).settings)
        return found

    def is_up_to_date(self, logs=1):
        """Whether the heads of all tenants' logs are on record, and the logs of `_lake` are cosigned with that record."""
        if not self.has_heads():
            return None
        status = self.status()
        return status if status.logs >= logs and status.logs_behind == 0 else None

    def has_heads(self):
        checkpoints = [read_unverified(file.read_bytes()) for file in self.lake.glob("ledger/*/*/checkpoint")]
        wanted = {each.origin: each.size for each in checkpoints if f"/{LAKE_TENANT}/" not in each.origin}
        events = read_table(Lake(self.lake), "audit_events").to_pylist() if wanted else []
        heads = [json.loads(event["attributes"])["heads"] for event in events if event["event_name"] == "log.heads"]
        told = [(origin, size) for each in heads for origin, size, _ in each]
        return all(max((size for of, size in told if of == origin), default=0) >= wanted[origin] for origin in wanted)


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    """A lake with a witness that is asked often; neither collector nor witness runs yet."""
    lake, state, port = tmp_path / "lake", tmp_path / "state", free_port()
    set_up_lake(lake, name=LAKE_NAME, clock=system_clock)
    vkey = run_command("witness", "key", "--state", state, "--name", "witness.example/one").stdout.strip()
    settings = yaml.safe_load((lake / "muniment.yaml").read_text())
    settings["witnesses"] = [{"url": f"http://127.0.0.1:{port}", "vkey": vkey}]
    settings["witness_interval_seconds"] = INTERVAL_SECONDS
    settings["writer"] = {"commit_interval_seconds": 0.2}
    (lake / "muniment.yaml").write_text(yaml.safe_dump(settings))
    processes = Processes(tmp_path)
    yield Stage(lake, state, port, WitnessVerifier.from_vkey(vkey), processes)
    processes.end()


def test_heads_of_all_logs_are_cosigned(stage):
    """A tenant's log that grew is in a `log.heads` event, the log of `_lake` with it is cosigned, and then there is rest."""
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
    query = (
        "select attributes, recorded_by, log_index from audit_events where event_name = 'log.heads' order by log_index"
    )
    rows = json.loads(stage.muniment("sql", query, "--tenant", "_lake", "--format", "json", "--lake", stage.lake))
    heads = [head for row in rows for head in json.loads(row["attributes"])["heads"]]
    assert [acme.origin, acme.size, acme.text.split("\n")[2]] in heads
    assert {row["recorded_by"] for row in rows} == {"muniment:collector"}
    assert rows[0]["log_index"] < cosigned.size

    # the query was recorded in `_lake`; once that is cosigned, an event of heads does not call for the next
    stage.ask("flush", timeout_seconds=60)
    wait_until(stage.is_up_to_date, "cosigned")
    before, log = stage.lake_log_size(), stage.processes.folder / "witness.log"
    asked = log.read_text()
    rest_until = time.monotonic() + 4 * INTERVAL_SECONDS
    while time.monotonic() < rest_until:
        time.sleep(0.1)
    stage.ask("flush", timeout_seconds=60)
    assert stage.lake_log_size() == before
    assert log.read_text() == asked


def test_witness_down_does_not_stop_ingest(stage):
    """Without its witness the collector takes and commits records; once the witness is there all is cosigned."""
    stage.start_collector()
    stage.record("acme", 5)

    assert "expected an answer from" in wait_until(stage.problem, "the failure is told")
    assert stage.ask("state")["problems"] == [], "the collector stays ready"
    for _ in range(5):
        stage.record("acme", 5)
    assert read_unverified((stage.log_folder(tenant="acme") / "checkpoint").read_bytes()).size == 30
    assert not stage.log_folder().joinpath("checkpoint.witnessed").exists()
    assert re.search(
        r'^muniment_witness_requests_total\{.*outcome="unavailable".*\} [1-9]', stage.metrics(), re.MULTILINE
    )
    shown = stage.muniment("status", "--lake", stage.lake)
    assert f"witness {stage.verifier.name}+{stage.verifier.key_id.hex()}" in shown
    assert f"(http://127.0.0.1:{stage.port}) last cosigned never; 0 of 1 logs of _lake up to date" in shown
    assert "expected an answer from" in shown
    stage.start_witness()
    wait_until(stage.is_up_to_date, "cosigned")
    assert stage.ask("state")["witness_rounds"]["problems"] == []
    status = json.loads(stage.muniment("status", "--json", "--lake", stage.lake))
    (witness,) = status["witnesses"]
    name = re.escape(witness["name"])
    assert re.search(rf'^muniment_witness_age_seconds\{{.*witness="{name}"\}} ', stage.metrics(), re.MULTILINE)
    assert abs(witness["last_cosigned_unix_nano"] / 1e9 - time.time()) < 120
    assert witness["logs"] == 1


def test_stuck_witness_does_not_hold_up_the_collectors_end(stage):
    """A witness that takes connections and says nothing: records go on, and the collector stops at once."""
    with socket.create_server(("127.0.0.1", stage.port)) as listener:
        collector = stage.start_collector()
        stage.record("acme")
        listener.settimeout(WAIT_SECONDS)
        connection, _ = listener.accept()
        stage.record("acme")
        collector.terminate()
        assert collector.wait(WAIT_SECONDS) == 0
        connection.close()
    assert read_unverified((stage.log_folder(tenant="acme") / "checkpoint").read_bytes()).size == 2


def test_events_of_commands_are_cosigned(stage):
    """What commands record without a collector, in the log of the shard `self`, is cosigned by the next collector."""
    stage.muniment("tenant", "add", "beta", "--lake", stage.lake)
    stage.start_witness()
    stage.start_collector()
    wait_until(lambda: stage.is_up_to_date(1), "cosigned")
    note = (stage.log_folder("self") / "checkpoint.witnessed").read_bytes()
    assert cosignatures(note, [stage.verifier])
    assert read_unverified(note).size >= 1


def test_lost_witnessed_files_come_back(stage):
    """A lake whose copies of cosignatures are gone asks again and gets them, led by the witness's answer 409."""
    stage.start_witness()
    collector = stage.start_collector()
    stage.record("acme")
    wait_until(stage.is_up_to_date, "cosigned")
    collector.terminate()
    collector.wait(WAIT_SECONDS)
    folder = stage.log_folder()
    (folder / "checkpoint.witnessed").unlink()
    shutil.rmtree(folder / "witnessed")
    assert stage.status().logs_behind == 1
    stage.start_collector()
    wait_until(stage.is_up_to_date, "cosigned again")
    assert (folder / "checkpoint.witnessed").exists()


def test_rewritten_lake_is_refused(stage):
    """Somebody who holds the lake's key and rewrites a log gets no cosignature, and the old one contradicts the new log."""
    stage.muniment("tenant", "add", "beta", "--lake", stage.lake)
    stage.start_witness()
    stage.start_collector()
    wait_until(stage.is_up_to_date, "cosigned")
    folder = stage.log_folder("self")
    cosigned_note = (folder / "checkpoint.witnessed").read_bytes()
    cosigned = read_unverified(cosigned_note)
    rewrite_log(stage.lake, folder, size=cosigned.size + 3)
    assert "got 422" in wait_until(stage.problem, "the refusal is told")
    assert (folder / "checkpoint.witnessed").read_bytes() == cosigned_note
    assert cosignatures(cosigned_note, [stage.verifier])
    assert LogTiles(folder).root(cosigned.size) != cosigned.root
    shown = stage.muniment("status", "--lake", stage.lake)
    assert "got 422" in shown
    assert stage.status().logs_behind == 1


def rewrite_log(lake, folder, size):
    """Put a log of other entries in the place of the true one, signed with the lake's own key."""
    shutil.rmtree(folder / "tile")
    LogTiles(folder).append(0, b"".join(sha256(b"forged %d" % n).digest() for n in range(size)))
    origin = f"{LAKE_NAME}/_lake/{folder.name}"
    signers = read_signing_keys(lake / "keys").signers(origin, system_clock())
    checkpoint = Checkpoint(origin, size, LogTiles(folder).root(size))
    (folder / "checkpoint").write_bytes(sign_checkpoint(checkpoint, signers))


def test_one_collector_does_the_rounds(stage):
    """Of two collectors one asks the witnesses; when it is killed the other takes over."""
    stage.start_witness()
    first = stage.start_collector()
    stage.record("acme")
    wait_until(stage.is_up_to_date, "cosigned")
    arguments = ("--lake", stage.lake, "--http-port", 0, "--grpc-port", 0, "--shard", "edge")
    second = stage.processes.start("edge", "collect", *arguments)

    def holds():
        assert second.poll() is None, (stage.processes.folder / "edge.log").read_text()
        with contextlib.suppress(Exception):
            return [stage.ask("state", shard="edge")["witness_rounds"]["holds_lock"]]

    assert wait_until(holds, "the second collector answers") == [False]
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    wait_until(lambda: holds() == [True], "the second collector takes over")


def test_a_healthy_lake_is_proved_right_after_a_round(stage, tmp_path):
    """By key and witness alone, strictly; a copy of it, where the run itself opens a log, is not established and not broken."""
    stage.muniment("tenant", "add", "beta", "--lake", stage.lake)
    stage.start_witness()
    collector = stage.start_collector()
    stage.record("acme")
    wait_until(lambda: stage.is_up_to_date(2), "cosigned")
    (tmp_path / "lake.vkey").write_text("\n".join(stage.log_keys()))
    trust = ["--vkey", tmp_path / "lake.vkey", "--require-witness", 1, "--witness", stage.verifier.vkey, "--json"]
    proved = json.loads(stage.muniment("verify", "--lake", stage.lake, *trust, "--strict"))
    assert (proved["result"], proved["findings"]) == ("proved", {})
    assert all(0 < log["witnessed_size"] <= log["size"] for log in proved["logs"])
    collector.terminate()
    collector.wait(WAIT_SECONDS)

    shutil.copytree(stage.lake, tmp_path / "copy", ignore=shutil.ignore_patterns("run"))
    done = run_command("verify", "--lake", tmp_path / "copy", *trust)
    assert done.returncode == 4, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["result"], report["findings"]) == ("consistent", {})
    unseen = [log for log in report["logs"] if log["freshness"] == "not established"]
    assert {log["tenant"] for log in unseen} == {"_lake"}
    assert all("got 0" in log["freshness_note"] for log in unseen)
    assert {log["freshness"] for log in report["logs"] if log not in unseen} == {"witnessed"}
