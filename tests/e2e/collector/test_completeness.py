"""Completeness with real senders: the OpenTelemetry SDK counts, its queue overflows, a proxy loses a batch, and each is named."""

import http.client
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.days import day_with_room

INSTRUMENTED = Path(__file__).with_name("instrumented.py")


class LossyProxy(ThreadingHTTPServer):
    """Passes requests on to a collector; those of the numbers in `lost` it answers itself, and passes on to nobody."""

    daemon_threads = True

    def __init__(self, port, lost=()):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.target, self.lost, self.traces = port, set(lost), 0
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def endpoint(self):
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class ProxyHandler(BaseHTTPRequestHandler):
    """One request to the proxy."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """Pass the request on and the answer back, or say that all is well."""
        body = self.rfile.read(int(self.headers["content-length"]))
        status, answer = 200, b""
        number = self.server.traces
        self.server.traces += self.path == "/v1/traces"
        if self.path != "/v1/traces" or number not in self.server.lost:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=30)
            connection.request("POST", self.path, body=body, headers=dict(self.headers))
            response = connection.getresponse()
            status, answer = response.status, response.read()
            connection.close()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def proxy_to():
    """Make a lossy proxy; it is stopped at the test's end."""
    started = []

    def make(*arguments):
        started.append(LossyProxy(*arguments))
        return started[-1]

    yield make
    for each in started:
        each.shutdown()
        each.server_close()


def run_instrumented(lake, endpoint, **plan):
    """Run the instrumented program to its end: how many spans it made."""
    given = {
        "endpoint": endpoint,
        "key": lake.key,
        "instance": "i-1",
        "held": 0,
        "batches": [],
        "counted": True,
        **plan,
    }
    environment = {**os.environ, "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true"}
    done = subprocess.run(
        [sys.executable, str(INSTRUMENTED)],
        input=json.dumps(given),
        env=environment,
        capture_output=True,
        text=True,
        timeout=480,
        check=True,
    )
    return json.loads(done.stdout)["made"]


def completeness(lake, day):
    """Exit code of the command, what it found of a day, and that by check and service."""
    done = lake.muniment(
        *("quality", "completeness", "--tenant", lake.tenant, "--day", day, "--grace-minutes", "0", "--json"),
        check=False,
    )
    found = json.loads(done.stdout)
    senders = {(each["check_name"], each["service_name"]): each for each in found["senders"]}
    return done.returncode, found, senders


def test_what_real_senders_lost_is_counted_and_named(lake, proxy_to):
    """Spans dropped by a full queue and those of a batch that got lost are missing, to the span; a sender that loses none is complete.

    What is missing is told from what the program made and what the lake holds, not from any counter.
    """
    collector = lake.collect()
    today = day_with_room()
    proxy = proxy_to(collector.http_port, [2])
    made = run_instrumented(lake, proxy.endpoint, service="lossy", held=40, batches=[5, 6, 7])
    run_instrumented(lake, proxy_to(collector.http_port).endpoint, service="careful", batches=[4, 4])
    run_instrumented(lake, proxy_to(collector.http_port).endpoint, service="silent", batches=[3], counted=False)
    collector.flush()
    code, found, senders = completeness(lake, today)
    assert code == 1
    assert found["measured"] is True
    lossy = senders["completeness-spans-counted", "lossy"]
    (row,) = lake.sql("select count(*) as came from spans where service_name = 'lossy'")
    lost = made - row["came"]
    assert lossy["missing"] == lost
    assert lossy["total"] == made
    assert lossy["basis"] == "exported"
    assert lossy["errors"] == {"queue_full": lossy["dropped"]}
    assert (lossy["dropped"], lossy["sent"] - lossy["arrived"]) == (24, 5)
    assert lossy["instance_id"] == "i-1"
    assert lossy["recorded_by"].startswith("key:")
    (place,) = lossy["places"]
    assert (place["first_index"], place["last_index"]) == (0, row["came"] - 1)
    careful = senders["completeness-spans-counted", "careful"]
    assert (careful["total"], careful["missing"], careful["surplus"]) == (8, 0, 0)
    silent = senders["completeness-spans-counted", "silent"]
    assert (silent["measured"], silent["missing"], silent["reason"]) == (False, None, "no counters")
    whole = senders["completeness-spans-whole", "careful"]
    assert (whole["missing"], whole["dropped_attributes"]) == (8, 24)
    shown = lake.muniment("quality", "show", "--tenant", lake.tenant, "--day", found["day"], "--json", check=False)
    rows = json.loads(shown.stdout)["results"]
    kept = {row["sender"]: row for row in rows if row["check_name"] == "completeness-spans-counted"}
    assert shown.returncode == 1
    assert (kept[None]["outcome"], kept[None]["unexpected"]) == ("failed", lost)
    key = lossy["recorded_by"]
    assert kept[f"{key} lossy/i-1"]["unexpected"] == lost
    assert kept[f"{key} silent/i-1"]["outcome"] == "unmeasured"
    assert f"{key} careful/i-1" not in kept
    assert "otel.sdk.exporter.span.exported" in kept[None]["sql"]
