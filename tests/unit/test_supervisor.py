"""The supervisor: what was ready is restarted, what never was ends it."""

import json
import sys
import threading
import time

import msgspec
import pytest

from muniment.settings import MunimentConfig
from muniment.supervisor import Service, Supervisor, services_of
from warehouse.local_socket import LocalSocket


def python(text):
    """A command line that runs this Python."""
    return (sys.executable, "-c", text)


@pytest.mark.parametrize(("code", "expected"), [(3, 3), (1, 1), (2, 2)])
def test_a_service_that_was_never_ready_ends_the_supervisor(tmp_path, code, expected):
    """A service that ends before it was ready is not started again: its exit code is the supervisor's."""
    starts = tmp_path / "starts"
    command = python(f"import sys; open({str(starts)!r}, 'a').write('x'); sys.exit({code})")
    said = []
    supervisor = Supervisor([Service("one", command, socket=tmp_path / "none.sock")], say=said.append)
    assert supervisor.run() == expected
    assert starts.read_text() == "x"
    assert len(said) == 1


def test_what_a_signal_ended_is_started_again(tmp_path):
    """A service that was killed did not refuse to start, ready or not."""
    said = []

    def say(text):
        said.append(text)
        supervisor.request_stop()

    command = python("import os; os.kill(os.getpid(), 9)")
    supervisor = Supervisor([Service("one", command, socket=tmp_path / "none.sock")], say=say)
    assert supervisor.run() == 0
    assert said == ["one: ended with exit code -9, starts again in 2 s"]


@pytest.mark.parametrize("own", [True, False], ids=["its own answer", "the answer of another process"])
def test_only_what_was_ready_is_started_again(tmp_path, own):
    """An answer at the local socket makes a service ready only when it comes from that very process."""
    socket, pid = tmp_path / "one.sock", tmp_path / "pid"
    asked = []

    def answer(_payload):
        answered = json.dumps({"ok": True, "pid": int(pid.read_text()) if own else 1, "http_port": 4318}).encode()
        asked.append(answered)  # only once the process has said who it is: on a busy machine that takes a while
        return answered

    listener = LocalSocket(socket, answer)
    listener.start()
    go = tmp_path / "go"
    command = python(
        f"import os, pathlib, sys, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.02)\nsys.exit(3)"
    )
    said = []

    def say(text):
        said.append(text)
        supervisor.request_stop()

    def heard():
        """An answer reached the supervisor: it took it for its own, or asks again since it did not."""
        return supervisor._running[0].was_ready if own else len(asked) > 1

    def end_once_heard():
        deadline = time.monotonic() + 120
        while not heard() and time.monotonic() < deadline:
            time.sleep(0.01)
        go.touch()

    supervisor = Supervisor([Service("one", command, socket=socket)], say=say)
    other = threading.Thread(target=end_once_heard)
    other.start()
    try:
        code = supervisor.run()
    finally:
        other.join()
        listener.stop()
    assert code == (0 if own else 3)
    assert ("starts again" in said[0]) == own


def services(lake, **settings):
    made = services_of(lake, msgspec.convert(settings, MunimentConfig), shard="main")
    return {service.name: service for service in made}


def test_the_loop_that_alerts_is_a_service_of_its_own(lake):
    """`up` runs it beside the collector, for ever and not now and then; settings may turn it off."""
    found = services(lake)
    assert found["alerts"].command[-4:] == ("alert", "watch", "--lake", str(lake.path))
    assert found["alerts"].every_seconds is None
    assert "alerts" not in services(lake, alerts={"enabled": False})
