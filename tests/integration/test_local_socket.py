"""The local control socket, over real Unix sockets."""

import os
import socket
import stat
import subprocess
import sys
import threading

import pytest

from warehouse.errors import ConflictError, InputError, SettingsError, UnavailableError
from warehouse.local_socket import MAX_PAYLOAD_BYTES, LocalSocket, call_local_socket


@pytest.fixture
def serve():
    """Start sockets that are stopped at the end."""
    started = []

    def start(path, handler):
        local = LocalSocket(path, handler)
        local.start()
        started.append(local)
        return local

    yield start
    for local in started:
        local.stop()


def long_path(tmp_path):
    """A path longer than a socket address holds."""
    folder = tmp_path / ("a" * 80) / ("b" * 80)
    folder.mkdir(parents=True)
    path = folder / "collector-main.sock"
    assert len(os.fsencode(path)) > 200
    return path


@pytest.mark.parametrize("long", [False, True])
def test_a_payload_and_its_answer(tmp_path, serve, long):
    """A payload reaches the handler and its answer comes back, over paths of any length."""
    path = long_path(tmp_path) if long else tmp_path / "s.sock"
    serve(path, lambda payload: b"got " + payload)
    assert call_local_socket(path, b'{"op": 1}', timeout_seconds=60) == b'got {"op": 1}'
    assert call_local_socket(path, b"x" * 1_000_000, timeout_seconds=60) == b"got " + b"x" * 1_000_000


def test_only_the_owner_may_open_it(tmp_path, serve):
    """The socket's mode is 0600 whatever the umask."""
    before = os.umask(0)
    try:
        serve(tmp_path / "s.sock", bytes)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s.sock").stat().st_mode) == 0o600


def test_several_at_once(tmp_path, serve):
    """A handler that waits for another call does not keep it out."""
    both = threading.Barrier(2, timeout=60)

    def meet(payload):
        both.wait()
        return payload

    serve(tmp_path / "s.sock", meet)
    answers = []
    calls = [
        threading.Thread(
            target=lambda: answers.append(call_local_socket(tmp_path / "s.sock", b"x", timeout_seconds=60))
        )
        for _ in range(2)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert answers == [b"x", b"x"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnavailableError("disk full"), UnavailableError),
        (InputError("no such event"), InputError),
        (ZeroDivisionError("secret text"), UnavailableError),
    ],
)
def test_errors_of_the_handler(tmp_path, serve, error, expected, capfd):
    """What a repeat may mend is told apart from what it will not, and the socket lives on."""
    errors = [error]

    def handler(payload):
        if errors:
            raise errors.pop()
        return payload

    serve(tmp_path / "s.sock", handler)
    with pytest.raises(expected) as refused:
        call_local_socket(tmp_path / "s.sock", b"{}", timeout_seconds=60)
    assert "secret text" not in str(refused.value)
    assert call_local_socket(tmp_path / "s.sock", b"{}", timeout_seconds=60) == b"{}"
    assert capfd.readouterr().err == ""


def test_nobody_listens(tmp_path):
    """No socket, and a socket whose process died, are both unavailable."""
    path = tmp_path / "s.sock"
    with pytest.raises(UnavailableError, match="expected a collector at"):
        call_local_socket(path, b"{}", timeout_seconds=1)
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(path))
    left.close()
    with pytest.raises(UnavailableError, match="ConnectionRefusedError"):
        call_local_socket(path, b"{}", timeout_seconds=1)


def test_no_answer_in_time(tmp_path, serve):
    """A collector that does not answer in time is unavailable."""
    go_on = threading.Event()
    serve(tmp_path / "s.sock", lambda payload: (go_on.wait(60), payload)[1])
    with pytest.raises(UnavailableError, match="TimeoutError"):
        call_local_socket(tmp_path / "s.sock", b"{}", timeout_seconds=0.1)
    go_on.set()


def test_a_socket_left_behind_is_replaced(tmp_path, serve):
    """A socket of a process that died does not keep the next one from starting."""
    path = tmp_path / "s.sock"
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(path))
    left.close()
    serve(path, lambda _payload: b"new")
    assert call_local_socket(path, b"{}", timeout_seconds=60) == b"new"


def test_a_socket_in_use_is_left_alone(tmp_path, serve):
    """A second listener is refused, and the first goes on."""
    path = tmp_path / "s.sock"
    serve(path, lambda _payload: b"first")
    with pytest.raises(ConflictError, match="another process that listens there"):
        LocalSocket(path, bytes).start()
    assert call_local_socket(path, b"{}", timeout_seconds=60) == b"first"


def test_another_kind_of_file_is_left_alone(tmp_path):
    """A file that is no socket is never removed."""
    path = tmp_path / "s.sock"
    path.write_text("precious")
    with pytest.raises(SettingsError, match="another kind of file"):
        LocalSocket(path, bytes).start()
    assert path.read_text() == "precious"


def test_a_stop_removes_its_own_socket(tmp_path, serve):
    """Stopping removes the socket, is safe twice, and leaves what a successor put there."""
    path = tmp_path / "s.sock"
    local = serve(path, bytes)
    local.stop()
    assert not path.exists()
    second = serve(path, bytes)
    path.unlink()
    path.write_text("a successor's")
    second.stop()
    assert path.exists()
    local.stop()


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GET /internal/events HTTP/1.1\r\n\r\n", b" 501 "),
        (b"POST /other HTTP/1.1\r\ncontent-length: 0\r\n\r\n", b" 404 "),
        (b"POST /internal/events HTTP/1.1\r\n\r\n", b" 413 "),
        (b"POST /internal/events HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (MAX_PAYLOAD_BYTES + 1), b" 413 "),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_call(tmp_path, serve, request_bytes, expected):
    """Other methods, paths and sizes are refused and the handler sees nothing."""
    seen = []
    serve(tmp_path / "s.sock", lambda payload: (seen.append(payload), b"")[1])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(60)
        connection.connect(str(tmp_path / "s.sock"))
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert expected in answer
    assert seen == []


def test_the_client_imports_no_server():
    """A short command pays for the standard library alone."""
    code = (
        "import sys, warehouse.local_socket\n"
        "heavy = {'starlette', 'uvicorn', 'grpc', 'pyarrow', 'msgspec', 'sqlalchemy', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
