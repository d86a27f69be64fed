"""Whose the other end of a connection is, by real sockets of this machine."""

import os
import socket
import subprocess
import sys

import pytest

from dashboards.peers import can_tell, user_of

pytestmark = pytest.mark.skipif(not can_tell(), reason="this system has no table of sockets with their users")
CONNECT = (
    "import os, socket, sys\n"
    "os.setuid(65534)\n"
    "there = socket.socket()\n"
    "there.connect((b'127.0.0.1', int(sys.argv[1])))\n"
    "print(there.getsockname()[1], flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def server():
    """A socket that listens on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_an_own_connection_is_ones_own(server, family):
    """By the table of IPv4, or of IPv6 where the address is an IPv4 one within."""
    here = server.getsockname()
    try:
        client = socket.socket(family)
    except OSError as exc:
        pytest.skip(f"IPv6: this system has none ({exc.strerror})")
    with client:
        client.connect(here if family == socket.AF_INET else (f"::ffff:{here[0]}", here[1]))
        port = client.getsockname()[1]
        assert user_of(("127.0.0.1", port), here) == os.getuid()


def test_a_connection_that_is_not_there_is_nobodys(server):
    """Neither another port nor the other way round is taken for it."""
    here = server.getsockname()
    with socket.create_connection(here) as client:
        there = client.getsockname()
        assert user_of(("127.0.0.1", 1), here) is None
        assert user_of(there, ("127.0.0.1", 1)) is None
        assert user_of(("127.0.0.2", there[1]), here) is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root may be somebody else for a moment")
def test_another_users_connection_is_theirs(server):
    """Another account of the same machine is told apart."""
    here = server.getsockname()
    words = [sys.executable, "-I", "-c", CONNECT, str(here[1])]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        port = int(other.stdout.readline())
        assert user_of(("127.0.0.1", port), here) == 65534
        other.stdin.close()


def test_a_connection_that_its_owner_has_closed_is_nobodys(server):
    """The table lists it for a while as the user 0, which is root: what was asked by it is not asked by root."""
    here = server.getsockname()
    with socket.create_connection(here) as client:
        there = client.getsockname()
        with server.accept()[0]:
            assert user_of(there, here) == os.getuid()
            client.close()
            assert user_of(there, here) is None
