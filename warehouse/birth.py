"""When a file was made, as the kernel knows it: statx(2), which Python's `os.stat` does not reach on Linux.

A file's birth time is the one time that neither a copy nor a restore gives back, and that `chown`, `chmod` and `touch`
leave alone.
"""

import ctypes
import os
import struct
from pathlib import Path

from warehouse.clock import NANOS_PER_SECOND

_AT_FDCWD = -100
_STATX_BTIME = 0x800
_STATX_BYTES = 256
_MASK = struct.Struct("=I")
_BTIME_OFFSET = 80
_TIMESTAMP = struct.Struct("=qI")


def birth_unix_nano(file: Path) -> int | None:
    """Birth time of `file` in nanoseconds since 1970; None where the C library or the file system has none.

    Raises:
        OSError: the file cannot be looked at.
    """
    try:
        statx = ctypes.CDLL(None, use_errno=True).statx
    except AttributeError:  # a C library before glibc 2.28 or musl 1.2.3
        return None
    answer = ctypes.create_string_buffer(_STATX_BYTES)
    if statx(_AT_FDCWD, os.fsencode(file), 0, _STATX_BTIME, answer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(file))
    (mask,) = _MASK.unpack_from(answer.raw, 0)
    if not mask & _STATX_BTIME:
        return None
    seconds, nanoseconds = _TIMESTAMP.unpack_from(answer.raw, _BTIME_OFFSET)
    return int(seconds * NANOS_PER_SECOND + nanoseconds)
