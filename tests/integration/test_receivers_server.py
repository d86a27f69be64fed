"""Starting, stopping, ports and TLS of the receivers."""

import datetime as dt
import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time

import grpc
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from collectors.config import ReceiversConfig
from collectors.exports import IntakeLimits
from collectors.server import Receivers
from warehouse.errors import SettingsError, UnavailableError


@pytest.fixture(scope="module")
def certificate_files(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, made here, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "muniment test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


@pytest.fixture(autouse=True)
def own_authority_alone(monkeypatch):
    """These variables would win over the certificate that an exporter is given."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)


def receivers_of(**settings):
    """Receivers with settings of a test, not started."""
    return Receivers(
        ReceiversConfig(**{"grpc_port": 0, "http_port": 0, **settings}),
        intake=None,
        keys=None,
        limits=IntakeLimits(),
        clock=time.time_ns,
        digest_key=b"",
        ready=list,
        metrics_text=bytes,
    )


def ended_span():
    """A span ended and not exported."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
    span.end()
    return span


def http_exporter(harness, **arguments):
    """A span exporter that speaks to the harness over TLS."""
    url = f"https://127.0.0.1:{harness.receivers.http_port}/v1/traces"
    return HttpSpanExporter(endpoint=url, headers={"x-api-key": harness.key}, timeout=60, **arguments)


def test_tls_for_both_protocols(make_harness, certificate_files):
    """With a certificate configured, real exporters reach both receivers over TLS."""
    certificate_file, key_file = certificate_files
    harness = make_harness(tls_cert_file=str(certificate_file), tls_key_file=str(key_file))
    over_http = http_exporter(harness, certificate_file=str(certificate_file))
    over_grpc = GrpcSpanExporter(
        endpoint=f"https://{harness.grpc}",
        credentials=grpc.ssl_channel_credentials(certificate_file.read_bytes()),
        headers={"x-api-key": harness.key},
        timeout=60,
    )
    assert over_http.export([ended_span()]) is SpanExportResult.SUCCESS
    assert over_grpc.export([ended_span()]) is SpanExportResult.SUCCESS
    over_http.shutdown()
    over_grpc.shutdown()
    assert len(harness.intake.exports) == 2


def test_a_client_certificate_is_asked_for_where_configured(make_harness, certificate_files):
    """With a client authority configured, a client without its certificate is not let in and one with it is."""
    certificate_file, key_file = certificate_files
    harness = make_harness(
        tls_cert_file=str(certificate_file), tls_key_file=str(key_file), tls_client_ca_file=str(certificate_file)
    )
    trusting = ssl.create_default_context(cafile=certificate_file)
    connection = http.client.HTTPSConnection("127.0.0.1", harness.receivers.http_port, timeout=60, context=trusting)
    with pytest.raises(OSError) as refused:  # noqa: PT011 - an SSL alert or a reset, whichever comes first
        ask(connection)
    assert not isinstance(refused.value, ssl.SSLCertVerificationError)
    connection.close()
    exporter = http_exporter(
        harness,
        certificate_file=str(certificate_file),
        client_certificate_file=str(certificate_file),
        client_key_file=str(key_file),
    )
    assert exporter.export([ended_span()]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    with grpc.secure_channel(harness.grpc, grpc.ssl_channel_credentials(certificate_file.read_bytes())) as channel:
        call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        with pytest.raises(grpc.RpcError) as not_let_in:
            call(b"", metadata=(("x-api-key", harness.key),), timeout=60)
    assert not_let_in.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(harness.intake.exports) == 1


def test_plain_text_is_not_spoken_on_a_tls_port(make_harness, certificate_files):
    """A client that speaks no TLS gets no answer that could carry its key."""
    certificate_file, key_file = certificate_files
    harness = make_harness(tls_cert_file=str(certificate_file), tls_key_file=str(key_file))
    connection = http.client.HTTPConnection("127.0.0.1", harness.receivers.http_port, timeout=60)
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(connection)
    connection.close()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"tls_cert_file": "c.pem"}, "tls_cert_file and tls_key_file together"),
        ({"tls_key_file": "k.pem"}, "tls_cert_file and tls_key_file together"),
        ({"tls_client_ca_file": "ca.pem"}, "expected tls_cert_file with tls_client_ca_file"),
        ({"host": "0.0.0.0"}, "expected TLS for host 0.0.0.0"),
        ({"host": "collector.example"}, "expected TLS for host collector.example"),
    ],
)
def test_settings_that_contradict_each_other(settings, expected):
    """Half of TLS, and keys in the clear on a network, are refused at start."""
    with pytest.raises(SettingsError, match=expected):
        receivers_of(**settings)


def test_a_host_behind_a_proxy_may_do_without_tls():
    """Plain text beyond loopback has to be asked for by a name that says what it is."""
    ReceiversConfig(host="0.0.0.0", unsafe_plaintext=True).check()


@pytest.mark.parametrize("content", [{"prot": 1}, {"grpc_port": 70_000}, {"http_port": "4318"}, {"body_seconds": 0}])
def test_settings_of_another_shape(content):
    """An unknown key, a wrong type and a value out of range are errors."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(content, ReceiversConfig)


def test_certificate_files_that_cannot_be_used(tmp_path, certificate_files):
    """Files that are absent or no certificate stop the start with a message that names them."""
    absent = receivers_of(tls_cert_file=str(tmp_path / "none.pem"), tls_key_file=str(certificate_files[1]))
    with pytest.raises(SettingsError, match=r"none\.pem"):
        absent.start()
    absent.stop()
    (tmp_path / "empty.pem").write_text("")
    empty = receivers_of(tls_cert_file=str(tmp_path / "empty.pem"), tls_key_file=str(certificate_files[1]))
    with pytest.raises(SettingsError, match=r"empty\.pem"):
        empty.start()
    empty.stop()


@pytest.mark.parametrize("setting", ["http_port", "grpc_port"])
def test_a_port_in_use(setting):
    """A port that another process holds stops the start, naming port, setting and how to find the process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        receivers = receivers_of(**{setting: port})
        with pytest.raises(UnavailableError, match=f"expected {setting} {port} on 127.0.0.1 to be free") as refused:
            receivers.start()
        assert f"ss -ltnp 'sport = :{port}'" in refused.value.hint
        assert f"set receivers.{setting} in the lake's muniment.yaml" in refused.value.hint
        receivers.stop()


def test_two_collectors_do_not_share_a_port(make_harness):
    """A second collector on the same ports is refused: neither protocol shares a port in silence."""
    harness = make_harness()
    for setting, port in (("http_port", harness.receivers.http_port), ("grpc_port", harness.receivers.grpc_port)):
        second = receivers_of(**{setting: port})
        with pytest.raises(UnavailableError):
            second.start()
        second.stop()


def test_stop_without_start_and_twice(make_harness):
    """Stopping is safe before a start and a second time."""
    receivers_of().stop()
    harness = make_harness()
    harness.receivers.stop(1)
    harness.receivers.stop(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", harness.receivers.http_port), timeout=10)


def test_a_stop_answers_what_is_in_hand(make_harness):
    """Requests submitted before a stop are answered, over both protocols, and new connections are refused."""
    harness = make_harness()
    harness.intake.hold.set()
    answers = {}

    def over_http():
        connection = http.client.HTTPConnection("127.0.0.1", harness.receivers.http_port, timeout=60)
        headers = {"x-api-key": harness.key, "content-type": "application/json"}
        connection.request("POST", "/v1/logs", b"{}", headers)
        answers["http"] = json.loads(connection.getresponse().read())
        connection.close()

    def over_grpc():
        with grpc.insecure_channel(harness.grpc) as channel:
            call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            answers["grpc"] = call(b"", metadata=(("x-api-key", harness.key),), timeout=60)

    clients = [threading.Thread(target=client) for client in (over_http, over_grpc)]
    for client in clients:
        client.start()
    deadline = time.monotonic() + 60
    while harness.intake.submitted < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stopping = threading.Thread(target=harness.receivers.stop, args=(60,))
    stopping.start()
    while not_refused(harness.receivers.http_port):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    harness.intake.hold.clear()
    for thread in (*clients, stopping):
        thread.join(60)
    assert answers == {"http": {}, "grpc": b""}


def test_a_stop_does_not_wait_longer_than_its_grace(make_harness):
    """A request not answered when the grace is over is told to come back, never that it was kept."""
    harness = make_harness()
    harness.intake.hold.set()
    connection = http.client.HTTPConnection("127.0.0.1", harness.receivers.http_port, timeout=60)
    connection.request("POST", "/v1/logs", b"", {"x-api-key": harness.key, "content-type": "application/x-protobuf"})
    deadline = time.monotonic() + 60
    while harness.intake.submitted == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    harness.receivers.stop(1)
    assert not harness.receivers._thread.is_alive()
    response = connection.getresponse()
    assert (response.status, response.headers["retry-after"]) == (503, "5")
    connection.close()


def ask(connection):
    """Send a request and wait for the head of its answer."""
    connection.request("GET", "/healthz")
    return connection.getresponse()


def not_refused(port):
    """Whether something still listens at the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True
