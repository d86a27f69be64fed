"""Ports of this machine, asked about before somebody else's program is told to listen on one."""

import socket


def is_free(host: str, port: int) -> bool:
    """Whether a program could listen there now; one that ended a moment ago does not count.

    Both are needed: an address that is bound and not listened on can be bound again with `SO_REUSEADDR`.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True
