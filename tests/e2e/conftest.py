"""A real OTLP/HTTP server on loopback that keeps what it gets, for tests of what agents send."""

import gzip
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

WAIT_SECONDS = 120
PROTOBUF = "application/x-protobuf"
UNREACHABLE = (
    "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ERR_SOCKET_TIMEOUT", "EIDLETIMEOUT",
    "ENETUNREACH", "EHOSTUNREACH", "ENOTCACHED", "E429", "E500", "E502", "E503", "E504",
)  # fmt: skip
"""What npm says where a registry does not answer, or not now."""
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "connect" / "examples"

PYTHON_GUARD = """
import os, sys
def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host not in ("127.0.0.1", "localhost", "::1", b"127.0.0.1", None):
        with open(os.environ["OUTSIDE_LOG"], "a") as log:
            log.write(f"{event} {host}\\n")
        raise OSError(f"an example reached for {host}")
sys.addaudithook(watch)
"""
"""Run by Python at its start: a connection to anything but loopback fails and is written down."""

NODE_GUARD = """
const net = require("node:net"), dns = require("node:dns"), fs = require("node:fs");
const local = (host) => [undefined, "127.0.0.1", "localhost", "::1"].includes(host);
function outside(what, host) {
  fs.appendFileSync(process.env.OUTSIDE_LOG, `${what} ${host}\\n`);
  throw new Error(`an example reached for ${host}`);
}
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (options && typeof options === "object" && !local(options.host)) outside("connect", options.host);
  return connect.apply(this, args);
};
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => (local(host) ? lookup(host, ...rest) : outside("lookup", host));
"""
"""The same for Node."""


@dataclass
class CaptureReceiver:
    """What a test needs of a receiver: where it is, a key, and what came in.

    A span is `{name, trace_id, span_id, parent_span_id, attributes, resource}`, an event the same with `body`; ids are
    hex text, attributes plain values.
    """

    endpoint: str = ""
    api_key: str = field(default_factory=lambda: f"key-{secrets.token_hex(8)}", repr=False)
    spans: list[dict] = field(default_factory=list)
    events: list[dict] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def wait_for(self, count) -> list[dict]:
        """The spans, once so many are there."""
        return self._wait(self.spans, count)

    def wait_for_events(self, count) -> list[dict]:
        """The log records, once so many are there."""
        return self._wait(self.events, count)

    def _wait(self, kept, count):
        deadline = time.monotonic() + WAIT_SECONDS
        while len(kept) < count:
            assert time.monotonic() < deadline, f"expected {count} records, got {kept}; refused {self.refused}"
            time.sleep(0.01)
        return list(kept)


class Handler(BaseHTTPRequestHandler):
    """One connection of an exporter."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        """Take one export request, if it has the key."""
        receiver = self.server.receiver
        body = self._body()
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        kind = self.headers.get("content-type", "")
        if self.headers.get("x-api-key") != receiver.api_key:
            receiver.refused.append(f"{self.path}: wrong key")
            self._answer(401, kind, b"")
        elif self.path == "/v1/traces" and kind == PROTOBUF:
            receiver.spans += spans_of(ExportTraceServiceRequest.FromString(body))
            self._answer(200, kind, b"")
        elif self.path == "/v1/logs" and kind == PROTOBUF:
            receiver.events += events_of(ExportLogsServiceRequest.FromString(body))
            self._answer(200, kind, b"")
        elif self.path == "/v1/logs" and kind == "application/json":
            receiver.events += events_of_json(json.loads(body))
            self._answer(200, kind, b"{}")
        else:
            receiver.refused.append(f"{self.path} {kind}: unknown")
            self._answer(404, kind, b"")

    def _body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers["content-length"]))
        # RFC 9112 §7.1; Node's exporter sends its bodies so.
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


class CaptureServer(ThreadingHTTPServer):
    """The server of one `CaptureReceiver`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.receiver = CaptureReceiver(endpoint=f"http://127.0.0.1:{self.server_address[1]}")


def plain(value):
    """The plain value of a protobuf AnyValue."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)


def attributes_of(pairs):
    """The attributes of a protobuf message as plain values."""
    return {pair.key: plain(pair.value) for pair in pairs}


def spans_of(request):
    """The spans of a trace request."""
    return [
        {
            "name": span.name,
            "trace_id": span.trace_id.hex(),
            "span_id": span.span_id.hex(),
            "parent_span_id": span.parent_span_id.hex(),
            "attributes": attributes_of(span.attributes),
            "resource": attributes_of(group.resource.attributes),
        }
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def events_of(request):
    """The records of a logs request."""
    return [
        {
            "name": record.event_name,
            "trace_id": record.trace_id.hex(),
            "span_id": record.span_id.hex(),
            "attributes": attributes_of(record.attributes),
            "resource": attributes_of(group.resource.attributes),
            "body": plain(record.body),
        }
        for group in request.resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]


def json_attributes(pairs):
    """Attributes of OTLP/JSON, of the types that audit events have."""
    texts = {pair["key"]: pair["value"] for pair in pairs}
    return {
        key: int(value["intValue"]) if "intValue" in value else next(iter(value.values()))
        for key, value in texts.items()
    }


def events_of_json(request):
    """The records of a logs request in JSON."""
    return [
        {
            "name": record["eventName"],
            "trace_id": record.get("traceId", ""),
            "span_id": record.get("spanId", ""),
            "attributes": json_attributes(record["attributes"]),
            "resource": json_attributes(group["resource"]["attributes"]),
            "body": record.get("body"),
        }
        for group in request["resourceLogs"]
        for scope in group["scopeLogs"]
        for record in scope["logRecords"]
    ]


@pytest.fixture
def receiver() -> Iterator[CaptureReceiver]:
    """A running receiver, with nothing in it yet."""
    server = CaptureServer()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.receiver
    server.shutdown()
    server.server_close()


@dataclass
class Examples:
    """Runs the examples of docs/connect against the receiver, with no way out of this machine."""

    receiver: CaptureReceiver
    folder: Path

    @property
    def outside(self):
        """Where connections to other machines are written down."""
        return self.folder / "outside.log"

    def write_guards(self):
        """Put the guards where both languages load them from."""
        (self.folder / "sitecustomize.py").write_text(PYTHON_GUARD)
        (self.folder / "guard.cjs").write_text(NODE_GUARD)

    def python(self, name, **environment):
        """What a Python example prints."""
        self.write_guards()
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        script = EXAMPLES / "python" / name
        return self.run([sys.executable, "-B", script], self.folder, PYTHONPATH=path, **environment)

    def node(self, name):
        """What a JavaScript example prints; its packages are installed from the lock file first."""
        for tool in ("node", "npm"):
            if shutil.which(tool) is None:
                pytest.skip(
                    f"JavaScript: {tool} is not installed; `apt-get install nodejs npm` and run the tests again"
                )
        source = EXAMPLES / "javascript"
        for path in source.iterdir():
            if path.is_file():
                shutil.copy(path, self.folder)
        self._install()
        self.write_guards()
        return self.run(["node", "--require", "./guard.cjs", self.folder / name], self.folder)

    def run(self, command, folder, **environment):
        """What a command prints, run with the receiver's address and key in its environment."""
        result = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=480,
            check=False,
            env={
                **os.environ,
                "MUNIMENT_ENDPOINT": self.receiver.endpoint,
                "MUNIMENT_API_KEY": self.receiver.api_key,
                "OUTSIDE_LOG": str(self.outside),
                **environment,
            },
        )
        assert result.returncode == 0, result.stderr
        assert not self.outside.exists(), f"reached outside this machine: {self.outside.read_text()}"
        assert self.receiver.refused == []
        return result.stdout

    def _install(self):
        unreachable = "JavaScript: npm reaches no registry and has no cache; run the tests once with a connection"
        try:
            result = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
                env={**os.environ, "npm_config_update_notifier": "false"},
            )
        except subprocess.TimeoutExpired:
            pytest.skip(unreachable)
        if result.returncode and any(f" {code}" in result.stderr for code in UNREACHABLE):
            pytest.skip(unreachable)
        assert result.returncode == 0, result.stderr


@pytest.fixture
def examples(receiver, tmp_path) -> Examples:
    """The examples of docs/connect, sending to `receiver`."""
    return Examples(receiver, tmp_path)


def one(records, name):
    """The one record of that name."""
    (found,) = [record for record in records if record["name"] == name]
    return found


@pytest.fixture
def named():
    """Picks the one record of a name."""
    return one
