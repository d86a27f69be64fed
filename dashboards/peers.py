"""Which operating-system user is at the other end of a connection within this machine: Linux's table of TCP sockets.

The kernel lists each socket with its two ends and the user whose it is (`proc_pid_net(5)`), so the far end of a loopback connection is
a row of its own. Invariant: what is not found there, or has gone, is nobody, and never taken for somebody.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

Address = tuple[str, int]

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _STATE, _USER = 1, 2, 3, 7
_OPEN = "01"
"""A connection that both ends keep open. Of one that its program has closed the table says user 0, whoever that was."""
_MAPPED = "0000000000000000FFFF0000"
"""What an IPv4 address begins with in the table of IPv6."""


def can_tell() -> bool:
    """Whether this system has such a table."""
    return TABLES[0].exists()


def user_of(client: Address, server: Address) -> int | None:
    """The id of the user whose socket `client` is, connected to `server`: IPv4 addresses with their ports; None where there is none."""
    wanted = (_row_form(client), _row_form(server))
    for fields in _rows():
        ends = (fields[_LOCAL].removeprefix(_MAPPED), fields[_REMOTE].removeprefix(_MAPPED))
        if ends == wanted and fields[_STATE] == _OPEN:
            return int(fields[_USER])
    return None


def _rows() -> Iterator[list[str]]:
    for table in TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        yield from (fields for fields in map(str.split, lines) if len(fields) > _USER)


def _row_form(address: Address) -> str:
    """As the table writes an address: the bytes as this machine's number in hexadecimal, a colon, the port."""
    number = int.from_bytes(bytes(int(part) for part in address[0].split(".")), sys.byteorder)
    return f"{number:08X}:{address[1]:04X}"
