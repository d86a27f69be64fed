"""The collector as users run it: exporters in, SQL out, and the faults that must not lose or double anything."""

import json
import os
import signal
import socket
import sys
import threading
import time

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from benchmarks.loopback import free_port

EXPORT_SECONDS = 60
"""How long an exporter keeps trying: its own 10 s are short for two retries on a busy machine."""


def send_with(exporter, names):
    provider = TracerProvider(resource=Resource({"service.name": "e2e"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("e2e")
    for name in names:
        with tracer.start_as_current_span(
            name, attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
        ):
            pass
    provider.shutdown()


def test_real_exporters_over_both_protocols_end_in_sql(lake):
    """Spans of the SDK's own exporters, gRPC and HTTP, can be queried with who sent them."""
    collector = lake.collect(forked=False)
    send_with(
        HttpExporter(
            f"http://127.0.0.1:{collector.http_port}/v1/traces", headers={"x-api-key": lake.key}, timeout=EXPORT_SECONDS
        ),
        ["by-http"],
    )
    send_with(
        GrpcExporter(
            f"http://127.0.0.1:{collector.grpc_port}", headers={"authorization": f"Bearer {lake.key}"}, insecure=True,
            timeout=EXPORT_SECONDS,
        ),
        ["by-grpc"],
    )  # fmt: skip
    collector.flush()
    rows = lake.sql("select name, operation, request_model, recorded_by, peer, tenant_id from spans order by name")
    assert [row["name"] for row in rows] == ["by-grpc", "by-http"]
    assert all(row["operation"] == "chat" and row["request_model"] == "m" for row in rows)
    assert all(row["recorded_by"].startswith("key:") and row["peer"].startswith("127.0.0.1:") for row in rows)
    assert all(row["tenant_id"] == "acme" for row in rows)
    assert collector.stop() == 0


def test_every_query_is_recorded(lake):
    """`muniment sql` leaves a data.exported event with its query, through the running collector's socket."""
    collector = lake.collect()
    lake.sql("select count(*) from spans where name = 'secret-literal'")
    collector.flush()
    rows = lake.sql(
        "select actor_id, attributes, action, body, reason, shard from audit_events where event_name = 'data.exported'"
    )
    assert rows
    assert all(row["shard"].startswith("main-") for row in rows)
    text = json.dumps(rows)
    assert "select" in text.lower()
    assert "secret-literal" not in text


def test_second_collector_of_a_shard_is_refused_by_name(lake):
    """A second collector with the same shard name says who holds it; another name runs beside the first."""
    first = lake.collect()
    refused = lake.muniment("collect", "--http-port", "0", "--grpc-port", "0", check=False)
    assert refused.returncode == 3
    assert f"pid {first.process.pid}" in refused.stderr
    second = lake.collect(shard="edge")
    assert first.process.poll() is None
    assert second.http_port != first.http_port


def test_two_shards_at_once_lose_and_double_nothing(lake, spans):
    """Two collectors write the same tables at the same time; every span is there once."""
    collectors = [lake.collect(), lake.collect(shard="edge")]
    batches = 40

    def send(number):
        for batch in range(batches):
            assert collectors[number].post(spans(f"{number}-{batch}"))[0] == 200

    threads = [threading.Thread(target=send, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for collector in collectors:
        collector.flush()
    (row,) = lake.sql("select count(*) as n, count(distinct span_id) as d, count(distinct shard) as s from spans")
    assert (row["n"], row["d"], row["s"]) == (2 * batches * 8, 2 * batches * 8, 2)


class CuttingProxy:
    """Passes a request on, waits for the collector's answer, and hangs up without passing it back, `cuts` times."""

    def __init__(self, port, cuts):
        self.target, self.cuts = port, cuts
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
            while answer := server.recv(65536):
                if self.cuts > 0:
                    self.cuts -= 1
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(answer)

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            return


def test_connection_cut_between_fsync_and_ack_does_not_double(lake):
    """A real exporter that lost the answer sends again; the records are there once."""
    collector = lake.collect()
    proxy = CuttingProxy(collector.http_port, cuts=2)
    exporter = HttpExporter(
        f"http://127.0.0.1:{proxy.port}/v1/traces", headers={"x-api-key": lake.key}, timeout=EXPORT_SECONDS
    )
    send_with(exporter, ["once"])
    assert proxy.cuts == 0
    collector.flush()
    assert lake.sql("select count(*) as n from spans where name = 'once'") == [{"n": 1}]


def test_same_body_after_a_restart_is_not_stored_again(lake, spans):
    """The retry window outlives a restart, and a kill."""
    body = spans("again")
    collector = lake.collect()
    assert collector.post(body)[0] == 200
    collector.kill()
    collector = lake.collect()
    assert collector.post(body) == (200, b"")
    collector.flush()
    collector.stop()
    collector = lake.collect()
    assert collector.post(body)[0] == 200
    collector.flush()
    assert lake.sql("select count(*) as n from spans") == [{"n": 8}]


def hammer(lake, collector_of, stop, acked, lock, spans, worker):
    """Send batches, each again and again until it is acknowledged, as exporters do."""
    number = 0
    while not stop.is_set():
        batch = f"{worker}-{number}"
        body = spans(batch)
        while True:
            try:
                status, _ = collector_of().post(body)
            except (OSError, Exception):  # noqa: BLE001 - a killed server breaks connections in many ways
                status = 0
            if status == 200:
                with lock:
                    acked.append(batch)
                break
            if stop.is_set():
                return
            time.sleep(0.02)
        number += 1


def check_kill_rounds(lake, spans, rounds):
    acked, lock, stop = [], threading.Lock(), threading.Event()
    current = {"collector": lake.collect()}
    threads = [
        threading.Thread(target=hammer, args=(lake, lambda: current["collector"], stop, acked, lock, spans, worker))
        for worker in range(3)
    ]
    for thread in threads:
        thread.start()
    for round_number in range(rounds):
        time.sleep(0.05 + (round_number * 0.37) % 2.6)
        current["collector"].kill()
        current["collector"] = lake.collect()
        parts = lake.sql("select name, count(*) as n from spans group by name having count(*) <> 8")
        assert parts == [], "a reader saw a part of a batch"
    wait_for(lambda: len(acked), lambda count: count > rounds)
    stop.set()
    for thread in threads:
        thread.join()
    current["collector"].flush()
    counts = {row["name"]: row["n"] for row in lake.sql("select name, count(*) as n from spans group by name")}
    assert {batch: counts.get(batch) for batch in acked} == dict.fromkeys(acked, 8)
    assert set(counts.values()) == {8}
    gaps = lake.sql(
        "select shard, count(*) as n, min(log_index) as lowest, max(log_index) as highest from"
        " (select shard, log_index from spans union all select shard, log_index from audit_events) group by shard"
    )
    assert all(row["lowest"] == 0 and row["highest"] == row["n"] - 1 for row in gaps)
    current["collector"].stop()
    report = json.loads(lake.muniment("verify", "--json").stdout)
    assert report["result"] == "consistent", report


def test_kill_9_under_load_keeps_every_acknowledged_record_once(lake, spans):
    """After kill -9 under load every acknowledged batch is there whole and once, and indices have no gap."""
    check_kill_rounds(lake, spans, rounds=3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_twenty_five_times(lake, spans):
    """The same, twenty-five times."""
    check_kill_rounds(lake, spans, rounds=25)


def test_control_database_gone_and_back(lake, spans):
    """Without the control database keys cannot be checked: 503 with the reason; when it returns, so does the intake."""
    collector = lake.collect()
    assert collector.post(spans("before"))[0] == 200
    database = lake.path / "control.db"
    hidden = database.with_suffix(".hidden")
    database.rename(hidden)
    _, answer = wait_for(lambda: collector.post(spans("during")), lambda got: got[0] == 503)
    assert b"control" in answer
    hidden.rename(database)
    wait_for(lambda: collector.post(spans("after")), lambda got: got[0] == 200)
    collector.flush()
    names = {row["name"] for row in lake.sql("select distinct name from spans")}
    assert {"before", "after"} <= names


def test_tables_not_writable_and_back(lake, spans):
    """While a table cannot be written senders get 503 with the reason, what was acknowledged stays, and it recovers."""
    collector = lake.collect()
    assert collector.post(spans("first"))[0] == 200
    collector.flush()
    table = lake.path / "tables" / "spans"
    moved = table.with_name("spans.away")
    table.rename(moved)
    table.write_text("in the way")
    assert collector.post(spans("acknowledged"))[0] == 200
    _, answer = wait_for(lambda: collector.post(spans("refused")), lambda got: got[0] == 503)
    assert b"spans" in answer
    table.unlink()
    moved.rename(table)
    wait_for(lambda: collector.post(spans("after")), lambda got: got[0] == 200)
    collector.flush()
    counts = {row["name"]: row["n"] for row in lake.sql("select name, count(*) as n from spans group by name")}
    assert counts["first"] == counts["acknowledged"] == counts["after"] == 8


def test_stop_commits_what_was_acknowledged(lake, spans):
    """SIGTERM ends the collector with everything committed and an empty journal."""
    collector = lake.collect()
    assert collector.post(spans("last"))[0] == 200
    assert collector.stop() == 0
    assert lake.sql("select count(*) as n from spans") == [{"n": 8}]
    assert list((lake.path / "journal").glob("*/*.seg")) == []


def test_up_runs_the_collector_and_stops_it(lake, tmp_path):
    """`muniment up` runs the receivers, restarts them when they die, and ends them on SIGTERM."""
    ports = [free_port(), free_port()]
    settings = lake.path / "muniment.yaml"
    content = yaml.safe_load(settings.read_text()) | {"receivers": {"http_port": ports[0], "grpc_port": ports[1]}}
    content |= {name: {"enabled": False} for name in ("dagster", "dashboards")}
    settings.write_text(yaml.safe_dump(content))
    supervisor = lake.start([sys.executable, "-m", "muniment", "up", "--lake", str(lake.path)], tmp_path / "up.log")

    def holder():
        text = (
            (lake.path / "journal" / ".main.lock").read_text()
            if (lake.path / "journal" / ".main.lock").exists()
            else ""
        )
        return int(text.split()[1]) if text.startswith("pid") and listening(ports[0]) else 0

    first = wait_for(holder, bool)
    os.kill(first, signal.SIGKILL)
    second = wait_for(holder, lambda pid: pid not in (0, first))
    supervisor.terminate()
    assert supervisor.wait(120) == 0
    wait_for(lambda: alive(second), lambda running: not running)


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(attempt, good, seconds=120):
    """Try until the answer is good; the last answer is returned or shown."""
    deadline = time.monotonic() + seconds
    while True:
        got = attempt()
        if good(got):
            return got
        assert time.monotonic() < deadline, f"last answer: {got!r}"
        time.sleep(0.05)
