"""The witness over HTTP: its answers on the wire, bounds on strangers, TLS, and a kill between storing and answering."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http import HTTPStatus

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collectors.witness_server import WitnessServer
from warehouse.errors import ConflictError, SettingsError
from warehouse.lake import Lake
from warehouse.ledger.add_checkpoint import AddCheckpoint
from warehouse.ledger.checkpoint import Checkpoint, SignedCheckpoint, read_unverified, sign_checkpoint
from warehouse.ledger.cosignature import cosignatures
from warehouse.ledger.heads import LogHead
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import Ed25519Signer
from warehouse.ledger.witness import TrustedLogs, open_witness
from warehouse.ledger.witness_key import make_witness_key
from warehouse.ledger.witnessing import (
    CosignatureStore,
    WitnessClient,
    WitnessEndpoint,
    WitnessRefusalError,
    WitnessUnavailableError,
)

WAIT_SECONDS = 120
ORIGIN = "lab/_lake/main-1a2b3c4d"
HASH = sha256(ORIGIN.encode()).hexdigest()
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
LAKE_KEY = Ed25519Signer("lab", SIGNER.private_key).verifier


class SmallLog:
    """The log of `_lake` of a lake on disk, signed with the lake's key; its entries all say `word`."""

    def __init__(self, path, word="a"):
        self.lake, self.word, self.size = Lake(path), word, 0
        self.folder = path / "ledger" / "_lake" / "main-1a2b3c4d"

    def grow(self, count):
        entries = [sha256(f"{self.word}{n}".encode()).digest() for n in range(self.size, self.size + count)]
        LogTiles(self.folder).append(self.size, b"".join(entries))
        self.size += count
        return self

    def head(self):
        checkpoint = Checkpoint(ORIGIN, self.size, LogTiles(self.folder).root(self.size))
        signed = SignedCheckpoint(checkpoint, (), sign_checkpoint(checkpoint, [SIGNER]))
        return LogHead("_lake", self.folder, signed)

    def request(self, old=0):
        return AddCheckpoint(old, (), self.head().signed.note).encode()

    def client(self, url, verifier):
        return WitnessClient(
            WitnessEndpoint(url, verifier), CosignatureStore(self.lake, [verifier]), timeout_seconds=60
        )


@pytest.fixture
def log(tmp_path):
    """A log of 40 entries."""
    return SmallLog(tmp_path / "lake").grow(40)


class Served:
    """A served witness."""

    def __init__(self, state, **given):
        self.said = []
        self.witness, self.lock = open_witness(state, TrustedLogs([LAKE_KEY]), clock=time.time_ns, say=self.said.append)
        self.server = WitnessServer(self.witness, host="127.0.0.1", port=0, say=self.said.append, **given)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(method, path, body=body)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def stop(self):
        self.server.stop()
        self.lock.release()


@pytest.fixture
def served(tmp_path):
    """A witness that listens on a free port."""
    made = Served(tmp_path / "state")
    yield made
    made.stop()


def test_round_trip(served, log):
    """A client gets its growing log cosigned, and anybody reads what was cosigned last."""
    client = log.client(served.url, served.witness.signer.verifier)
    assert served.ask("GET", f"/{HASH}/checkpoint")[0] == 404
    for count in (0, 1, 300):
        head = log.grow(count).head()
        client.cosign(head)
        status, headers, note = served.ask("GET", f"/{HASH}/checkpoint")
        assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert read_unverified(note) == head.checkpoint
        assert cosignatures(note, [served.witness.signer.verifier])
    status, headers, body = served.ask("HEAD", f"/{HASH}/checkpoint")
    assert (status, headers["content-length"], body) == (200, str(len(note)), b"")


def test_statuses_on_the_wire(served, log):
    """Status, media type and body reach the client as the rules make them; other paths and methods are refused."""
    assert served.ask("POST", "/add-checkpoint", log.request())[0] == 200
    status, headers, body = served.ask("POST", "/add-checkpoint", log.request())
    assert (status, headers["content-type"], body) == (409, "text/x.tlog.size", b"40\n")
    for method, path, body, expected in [
        ("POST", "/add-checkpoint", b"", 400),
        ("POST", "/add-checkpoint", log.request().replace(b"lab/", b"other/"), 404),
        ("POST", "/add-checkpoint", log.request().replace(b"\n40\n", b"\n41\n"), 403),
        ("GET", "/add-checkpoint", None, 405),
        ("POST", f"/{HASH}/checkpoint", b"", 405),
        ("GET", "/", None, 404),
        ("GET", "/../key.json", None, 404),
        ("GET", f"/{HASH}/../../key.json", None, 404),
        ("GET", f"/{HASH.upper()}/checkpoint", None, 404),
        ("POST", "/add-checkpoint", bytes(64 * 1024 + 1), 413),
        ("POST", "/add-checkpoint", iter([bytes(40_000), bytes(40_000)]), 413),
    ]:
        assert served.ask(method, path, body)[0] == expected, (method, path)


def test_stalled_body(tmp_path):
    """A body that does not arrive is given up, and the witness goes on."""
    served = Served(tmp_path / "state", body_seconds=0.5)
    try:
        with socket.create_connection(("127.0.0.1", served.server.port), timeout=60) as connection:
            connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 100\r\n\r\nold 0")
            assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert served.ask("GET", "/")[0] == 404
    finally:
        served.stop()


def test_failure_is_answered_and_told(served, log, monkeypatch):
    """A state that cannot be read is a 500 without inner details, told to the operator."""
    assert served.ask("POST", "/add-checkpoint", log.request())[0] == 200
    (served.witness._folder / HASH).write_bytes(b"damaged")
    status, _, body = served.ask("POST", "/add-checkpoint", log.request(40))
    assert (status, body) == (500, b"the witness cannot read or write its state\n")
    assert served.said[-1].startswith("500 CorruptionError: ")
    with pytest.raises(WitnessUnavailableError, match="got 500"):
        log.client(served.url, served.witness.signer.verifier).cosign(log.head())


def test_32_clients_at_once(served, tmp_path):
    """Clients of two trees under one origin, all at once: only one tree is ever cosigned, and never an older size."""
    logs = [SmallLog(tmp_path / f"lake{n}", "ab"[n % 2]).grow(20 + n) for n in range(32)]

    def cosign(log):
        try:
            return log.client(served.url, served.witness.signer.verifier).cosign(log.head()), log
        except (WitnessRefusalError, WitnessUnavailableError):
            return None, log

    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(cosign, logs))
    cosigned = [log for cosignature, log in results if cosignature]
    assert cosigned
    assert len({log.word for log in cosigned}) == 1
    sizes = [int(line.rpartition(" ")[2]) for line in served.said if line.startswith("200 ")]
    assert sizes == sorted(sizes)


def test_fork_is_refused(served, log, tmp_path):
    """A client that presents another tree gets 422 and learns so."""
    verifier = served.witness.signer.verifier
    log.client(served.url, verifier).cosign(log.head())
    fork = SmallLog(tmp_path / "fork", "b").grow(50)
    with pytest.raises(WitnessRefusalError, match="got 422"):
        fork.client(served.url, verifier).cosign(fork.head())
    short = SmallLog(tmp_path / "short").grow(30)
    with pytest.raises(WitnessRefusalError, match="at size 40, and the log has only 30"):
        short.client(served.url, verifier).cosign(short.head())


KILLED = """
    import os, signal, sys, time
    from pathlib import Path
    from collectors.witness_server import WitnessServer
    from warehouse.ledger.note import Ed25519Verifier
    from warehouse.ledger.witness import TrustedLogs, open_witness

    def die(message):
        if message.startswith("200 "):
            os.kill(os.getpid(), signal.SIGKILL)

    keys = TrustedLogs([Ed25519Verifier.from_vkey(sys.argv[2])])
    witness, lock = open_witness(Path(sys.argv[1]), keys, clock=time.time_ns, say=die)
    server = WitnessServer(witness, host="127.0.0.1", port=0, say=die)
    server.start()
    print(server.port, flush=True)
    time.sleep(60)
"""


def test_kill_between_storing_and_answering(log, tmp_path):
    """A witness killed after it stored a size and before it answered leads its client on with 409; no size is lost."""
    state = tmp_path / "state"
    verifier = make_witness_key(state).verifier
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(state), LAKE_KEY.vkey]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        with pytest.raises(WitnessUnavailableError):
            log.client(url, verifier).cosign(log.head())
        assert process.wait(WAIT_SECONDS) == -signal.SIGKILL
    finally:
        process.stdout.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    again = Served(state)
    try:
        assert again.ask("POST", "/add-checkpoint", log.request())[::2] == (409, b"40\n")
        head = log.grow(5).head()
        assert log.client(again.url, verifier).cosign(head).witness == verifier.name
        assert read_unverified((log.folder / "checkpoint.witnessed").read_bytes()) == head.checkpoint
    finally:
        again.stop()


def test_tls(tmp_path, log):
    """With certificate and key the witness speaks TLS alone."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    served = Served(tmp_path / "state", tls_files=(str(certificate), str(key)))
    try:
        context = ssl.create_default_context(cafile=certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", served.server.port, timeout=60, context=context)
        connection.request("POST", "/add-checkpoint", body=log.request())
        assert connection.getresponse().status == HTTPStatus.OK
        connection.close()
        url = f"https://127.0.0.1:{served.server.port}"
        with pytest.raises(WitnessUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            log.client(url, served.witness.signer.verifier).cosign(log.head())
    finally:
        served.stop()


def test_settings_that_cannot_be_served(tmp_path, served):
    """A port in use, a host of elsewhere and files that are no certificate are refused at start with what was expected."""
    (tmp_path / "no.pem").write_text("")
    files = (str(tmp_path / "no.pem"),) * 2
    for given, error, message in [
        ({"port": served.server.port}, ConflictError, "in use"),
        ({"host": "192.0.2.1"}, SettingsError, "expected"),
        ({"tls_files": files}, SettingsError, "certificate"),
    ]:
        server = WitnessServer(served.witness, **{"host": "127.0.0.1", "port": 0, "say": print, **given})
        with pytest.raises(error, match=message):
            server.start()
        server.stop()
