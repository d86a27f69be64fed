"""A receiver of alerts on loopback that answers what a test says, and builders of alerts and targets."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from pipelines.alerts.alert import Alert
from pipelines.alerts.config import TargetConfig
from pipelines.alerts.episodes import content_text
from warehouse.control import AlertRecord

NOW = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
WAIT_SECONDS = 120


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Receiver:
    """A real HTTP server. `script` holds answers `(status, body, *headers)` for the next requests; without one it answers 200.

    An answer may be a callable: it gets the handler and answers by itself, or hangs.
    """

    script: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.requests.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer = receiver.script.pop(0) if receiver.script else (200, b"ok")
                if callable(answer):
                    answer(self)
                    return
                status, text, *headers = answer
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                """A redirect that was followed would come here."""
                receiver.requests.append(Request(f"GET {self.path}", {}, b""))
                self.send_error(404)

            def log_message(self, *arguments):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def hang(self, _handler):
        """An answer that never comes, until the test ends."""
        self.hanging.wait(WAIT_SECONDS)

    def wait_for(self, condition):
        """The requests, once they fulfil the condition."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition(list(self.requests)):
            assert time.monotonic() < deadline, [request.path for request in self.requests]
            time.sleep(0.02)
        return list(self.requests)

    def close(self):
        self.hanging.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def target(kind, **settings):
    """A target as settings make it."""
    return msgspec.convert({"name": kind, "type": kind, **settings}, TargetConfig)


def alert(name="slow", **fields):
    """An alert of acme that began at NOW."""
    given = {
        "kind": "slo",
        "tenant": "acme",
        "severity": "page",
        "summary": "answers are slow",
        "description": "burn rate 20 over 1 h, 14.4 allowed",
        "starts_unix_nano": NOW,
    }
    return Alert(name, **{**given, **fields})


def record(made, **columns):
    """The row of an alert, seen when it began and on record."""
    given = {
        "seen_unix_nano": made.starts_unix_nano,
        "began_recorded": True,
        "ends_unix_nano": made.ends_unix_nano,
        "end_recorded": made.ends_unix_nano is not None,
    }
    return AlertRecord(
        fingerprint=made.fingerprint,
        tenant_id=made.tenant,
        content=content_text(made),
        starts_unix_nano=made.starts_unix_nano,
        **{**given, **columns},
    )
