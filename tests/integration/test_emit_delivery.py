"""`muniment.emit` against a real HTTP server: acknowledgement, refusal, retry, lost answers, and a killed process."""

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from muniment.emit import Emitter, RefusedError, SpoolFullError, UndeliveredError

ROOT = Path(__file__).parents[2]


class Receiver(ThreadingHTTPServer):
    """Answers OTLP/HTTP as it is told to: `script` holds the next answers, and an empty one acknowledges.

    An answer is a status with headers and a body, or `cut`: the request is read and stored, then the connection ends
    without an answer, as when a receiver dies between its fsync and its 200.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, *, listens=True):
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.script = deque()
        self.requests = []
        self.stored = []
        self.connections = 0
        self.listens = False
        self.server_bind()  # whoever connects is refused until it listens, and the port is nobody else's meanwhile
        if listens:
            self.listen()

    def listen(self):
        """Begin to answer."""
        self.server_activate()
        self.listens = True
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def endpoint(self):
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def numbers(self):
        """`audit.sequence.number` of every record stored, in order of arrival."""
        return [int(attributes(record)["audit.sequence.number"]) for record in self.stored]

    def stop(self):
        """Stop listening; open connections end with their requests."""
        if self.listens:
            self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection to the `Receiver`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        """Count the connection."""
        super().setup()
        self.server.connections += 1

    def do_POST(self):
        """Take one request and answer as the script says."""
        size = int(self.headers["content-length"])
        body = self.rfile.read(size)
        if len(body) < size:  # its sender was killed between two writes: no receiver stores half a request
            self.close_connection = True
            return
        self.server.requests.append((self.path, dict(self.headers), body))
        answer = self.server.script.popleft() if self.server.script else (200, {}, b"{}")
        if answer == "cut" or answer[0] == 200:
            (resource_logs,) = json.loads(body)["resourceLogs"]
            self.server.stored += resource_logs["scopeLogs"][0]["logRecords"]
        if answer == "cut":
            self.close_connection = True
            return
        status, headers, text = answer
        if b"rejectedLogRecords" in text:
            self.server.stored.pop()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        """Say nothing."""


def attributes(record):
    """Attributes of a record, without the type of their values."""
    return {pair["key"]: next(iter(pair["value"].values())) for pair in record["attributes"]}


def unavailable(retry_after=None):
    """A 503, with or without a time to come back."""
    return (503, {} if retry_after is None else {"Retry-After": retry_after}, b"queue is full")


def refusal(message):
    """A partial success that takes nothing."""
    return (
        200,
        {},
        json.dumps({"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": message}}).encode(),
    )


@pytest.fixture
def receiver():
    """A receiver on a free port of loopback."""
    server = Receiver()
    yield server
    server.stop()


@pytest.fixture
def absent():
    """A receiver that does not listen yet, so that nobody answers at its address."""
    server = Receiver(listens=False)
    yield server
    server.stop()


def connected(receiver, **settings):
    """An emitter that sends to the receiver."""
    return Emitter(
        **{
            "endpoint": receiver if isinstance(receiver, str) else receiver.endpoint,
            "api_key": "key-1",
            "service_name": "shop",
            "agent_id": "buyer",
            "timeout_seconds": 25,  # less than an emitter waits where key or address are wrong
            **settings,
        }
    )


def emitted(emitter, count=1):
    """The receipts of so many events."""
    return [emitter.workflow_started(workflow_id=f"w{index}") for index in range(count)]


def eventually(condition, seconds=60):
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.01)


def test_a_call_returns_when_the_receiver_has_acknowledged(receiver):
    """Each event is one request with the key, over one connection, with numbers from 0 and ids of their own."""
    with connected(receiver) as emitter:
        receipts = emitted(emitter, 5)
        assert [receipt.number for receipt in receipts] == receiver.numbers() == [0, 1, 2, 3, 4]
    assert all(receipt.acknowledged for receipt in receipts)
    kept = [attributes(record) for record in receiver.stored]
    assert [receipt.record_id for receipt in receipts] == [each["audit.record.id"] for each in kept]
    assert len({each["audit.record.id"] for each in kept}) == 5
    assert {each["audit.sequence.stream"] for each in kept} == {receipts[0].stream}
    path, headers, _ = receiver.requests[0]
    assert (path, headers["x-api-key"], headers["content-type"]) == ("/v1/logs", "key-1", "application/json")
    assert receiver.connections == 1


def test_a_refused_event_raises_with_the_receivers_words(receiver):
    """A partial success that takes nothing raises its message, and the number goes to the next event."""
    receiver.script += [(200, {}, b"{}"), refusal("approval.granted is outside the key's scope")]
    with connected(receiver) as emitter:
        emitted(emitter)
        with pytest.raises(RefusedError, match=r"refused the event: approval\.granted is outside") as caught:
            emitted(emitter)
        assert not caught.value.about_sender
        assert emitted(emitter)[0].number == 1
    assert receiver.numbers() == [0, 1]


@pytest.mark.parametrize(
    ("answer", "about_sender", "message"),
    [
        ((401, {}, b"no such key"), True, "expected HTTP 200, got 401 no such key"),
        ((403, {}, b""), True, "got 403"),
        ((404, {}, b""), True, "got 404"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), True, "got 302"),
        ((500, {}, b""), True, "got 500"),
        ((400, {}, b"bad body"), False, "got 400 bad body"),
        ((413, {}, b"over 16 MiB"), False, "got 413 over 16 MiB"),
        ((200, {}, b"<html>hello</html>"), True, "expected OTLP/JSON, got b'<html>"),
    ],
)
def test_what_is_not_retriable_raises_at_once(receiver, answer, about_sender, message):
    """A permanent failure is tried once; it is told whether the event or the sender is at fault."""
    receiver.script.append(answer)
    with connected(receiver) as emitter, pytest.raises(RefusedError, match=message) as caught:
        emitted(emitter)
    assert caught.value.about_sender is about_sender
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_retriable_answer_is_retried_with_the_same_bytes(receiver, status):
    """The request that is sent again is the same one, so that the receiver can recognise it."""
    receiver.script += [(status, {}, b""), (status, {}, b"")]
    with connected(receiver) as emitter:
        assert emitted(emitter)[0].acknowledged
    assert len(receiver.requests) == 3
    assert len({body for _, _, body in receiver.requests}) == 1


def test_retry_after_is_honoured(receiver):
    """A call does not come back before the time that the receiver asked for."""
    receiver.script.append(unavailable("1"))
    begun = time.monotonic()
    with connected(receiver) as emitter:
        emitted(emitter)
    assert time.monotonic() - begun >= 1
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("retry_after", ["120", "Sun, 06 Nov 2994 08:49:37 GMT"])
def test_a_retry_after_beyond_the_time_out_raises_at_once(receiver, retry_after):
    """When the receiver asks for more time than the call has, the call does not sit it out."""
    receiver.script.append(unavailable(retry_after))
    with connected(receiver) as emitter:
        with pytest.raises(UndeliveredError, match="got HTTP 503 queue is full") as caught:
            emitted(emitter)
        assert not caught.value.maybe_stored
        assert emitted(emitter)[0].number == 0
    assert len(receiver.requests) == 2


def test_an_answer_lost_on_the_way_is_asked_for_again(receiver):
    """A connection cut between storing and answering is retried with the same bytes, under the same number."""
    receiver.script.append("cut")
    with connected(receiver) as emitter:
        assert [receipt.number for receipt in emitted(emitter, 2)] == [0, 1]
    first, again, _ = [body for _, _, body in receiver.requests]
    assert first == again
    assert receiver.numbers() == [0, 0, 1]


def test_a_number_that_may_be_in_the_lake_is_not_given_to_another_event(receiver):
    """After a call whose outcome is unknown the next event takes the next number: two events never share one."""
    receiver.script += ["cut", unavailable("60")]
    with connected(receiver) as emitter:
        with pytest.raises(UndeliveredError) as caught:
            emitted(emitter)
        assert caught.value.maybe_stored
        assert emitted(emitter)[0].number == 1
    assert receiver.numbers() == [0, 1]


def test_nobody_there_raises_in_time_and_takes_no_number(absent):
    """With no receiver and no disk queue the call raises, and the event certainly is not in the lake."""
    with connected(absent, timeout_seconds=0.3) as emitter:
        with pytest.raises(UndeliveredError, match="ConnectionRefusedError") as caught:
            emitted(emitter)
        assert not caught.value.maybe_stored
        assert "spool_dir" in caught.value.hint


@pytest.fixture
def certificate(tmp_path):
    """Files of a self-signed certificate for 127.0.0.1 and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "receiver.crt").write_bytes(signed.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "receiver.key").write_bytes(private)
    return tmp_path / "receiver.crt", tmp_path / "receiver.key"


def test_tls_is_verified(receiver, certificate):
    """Over https a receiver with a known certificate is used, and another one is refused at once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    endpoint = receiver.endpoint.replace("http:", "https:")
    known = ssl.create_default_context(cafile=certificate[0])
    with connected(endpoint, ssl_context=known) as emitter:
        assert emitted(emitter)[0].acknowledged
    with (
        connected(endpoint) as emitter,
        pytest.raises(RefusedError, match="certificate is not to be trusted") as caught,
    ):
        emitted(emitter)
    assert caught.value.about_sender
    assert receiver.numbers() == [0]


def test_threads_share_one_emitter(receiver):
    """Events of several threads get every number once and arrive in order."""
    with connected(receiver) as emitter:
        threads = [threading.Thread(target=emitted, args=(emitter, 20)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert receiver.numbers() == list(range(100))


def test_spooled_events_arrive_in_order_once_the_receiver_is_back(absent, tmp_path):
    """While nobody answers events go to disk; a thread delivers them, in order, when somebody does."""
    with connected(absent, spool_dir=tmp_path) as emitter:
        receipts = emitted(emitter, 30)
        assert [(receipt.number, receipt.acknowledged) for receipt in receipts] == [(n, False) for n in range(30)]
        absent.listen()
        eventually(lambda: emitter.flush(5).waiting == 0)
        assert absent.numbers() == list(range(30))
        emitted(emitter)
        eventually(lambda: len(absent.stored) == 31)


def test_close_delivers_what_is_queued(receiver, tmp_path):
    """Leaving the context waits for the queue, and a second emitter continues the same stream."""
    with connected(receiver, spool_dir=tmp_path) as emitter:
        (first,) = emitted(emitter)
    assert receiver.numbers() == [0]
    with connected(receiver, spool_dir=tmp_path) as emitter:
        (second,) = emitted(emitter)
    assert (second.stream, second.number) == (first.stream, 1)
    assert receiver.numbers() == [0, 1]


def test_a_refused_spooled_event_is_kept_aside_and_reported(receiver, tmp_path, caplog):
    """One refused event neither blocks nor loses the others; it is logged, counted and kept with its message."""
    receiver.script += [(200, {}, b"{}"), refusal("time-out-of-window")]
    with connected(receiver, spool_dir=tmp_path, background=False) as emitter:
        emitted(emitter, 3)
        flushed = emitter.flush()
    assert (flushed.acknowledged, flushed.refused, flushed.waiting) == (2, 1, 0)
    assert receiver.numbers() == [0, 2]
    assert "audit event 1" in caplog.text
    (line,) = (tmp_path / "events.refused").read_text().splitlines()
    assert json.loads(line)["number"] == 1
    assert "time-out-of-window" in json.loads(line)["message"]


def test_a_wrong_key_keeps_the_queue(receiver, tmp_path):
    """An answer that is about the key condemns no event: the queue stays, and says why."""
    receiver.script.append((401, {}, b"no such key"))
    with connected(receiver, spool_dir=tmp_path, background=False) as emitter:
        emitted(emitter, 2)
        flushed = emitter.flush()
        assert (flushed.waiting, flushed.refused) == (2, 0)
        assert "got 401 no such key" in flushed.problem
    with connected(receiver, spool_dir=tmp_path, background=False, api_key="key-2") as emitter:
        assert emitter.flush().waiting == 0
    assert receiver.numbers() == [0, 1]
    assert not (tmp_path / "events.refused").exists()


def test_a_full_spool_raises(receiver, tmp_path):
    """A full disk queue raises; what was taken is still delivered without a gap."""
    receiver.script.append(unavailable("60"))  # which is longer than the emitter would wait for an answer
    with connected(receiver, spool_dir=tmp_path, spool_max_bytes=5000) as emitter:
        with pytest.raises(SpoolFullError):
            emitted(emitter, 100)
        waiting = emitter.flush().waiting
        assert waiting > 2
    with connected(receiver, spool_dir=tmp_path) as emitter:
        assert emitted(emitter)[0].number == waiting
    assert receiver.numbers() == list(range(waiting + 1))


SPOOLING_PROGRAM = """
import sys
from muniment.emit import Emitter
emitter = Emitter(endpoint=sys.argv[1], api_key="key-1", service_name="shop", agent_id="buyer", spool_dir=sys.argv[2])
while True:
    print(emitter.workflow_started(workflow_id="w", body="x" * 500).number, flush=True)
"""


@pytest.mark.parametrize("receiver_answers", [False, True], ids=["receiver down", "receiver up"])
def test_kill_in_the_middle_of_spooling_loses_nothing(receiver, tmp_path, receiver_answers):
    """Every number that a killed process was given arrives, in order, whether or not it was sending meanwhile."""
    endpoint = receiver.endpoint if receiver_answers else "http://127.0.0.1:9"
    promised = -1
    for round_number in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", SPOOLING_PROGRAM, endpoint, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(20 + 37 * round_number):
            promised = int(process.stdout.readline())
        os.killpg(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split()
        promised = int(rest[-1]) if rest else promised
        process.wait()
        process.stdout.close()
    with connected(receiver, spool_dir=tmp_path, background=False) as emitter:
        assert emitter.flush(60).waiting == 0
        next_number = emitted(emitter)[0].number
    assert promised + 1 <= next_number <= promised + 1 + 4
    # Killed between an answer and its mark, the newest unsettled entry is sent once more, with the same bytes.
    numbers = receiver.numbers()
    assert list(dict.fromkeys(numbers)) == list(range(next_number + 1))
    assert len(numbers) <= next_number + 1 + 4
    assert len({body for _, _, body in receiver.requests}) == next_number + 1
