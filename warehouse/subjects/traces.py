"""Looking into a file's bytes for what should be gone from it."""

import mmap
from collections.abc import Iterable
from pathlib import Path

from warehouse.errors import VaultUnavailableError


def holds_any(file: Path, traces: Iterable[bytes]) -> bool:
    """Whether any of these byte strings stands anywhere in the file, in use or not.

    Raises:
        VaultUnavailableError: it cannot be read.
    """
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(trace) >= 0 for trace in traces)
    except (OSError, ValueError) as exc:
        raise VaultUnavailableError(f"vault {file}: cannot be read through for traces: {exc}") from exc
