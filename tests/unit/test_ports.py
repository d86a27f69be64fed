"""Whether a port is free is asked before another program is told to listen on it."""

import socket

from warehouse.ports import is_free

HOST = "127.0.0.1"


def test_a_port_that_is_listened_on_is_taken_until_it_is_let_go():
    """Another listener makes it taken; once that ended it is free at once."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        assert not is_free(HOST, port)
    assert is_free(HOST, port)
