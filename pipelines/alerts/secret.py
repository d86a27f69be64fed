"""The secret of a target: read each time it is needed, so that a new one counts at once; shown nowhere."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.alerts.config import TargetConfig
from pipelines.alerts.errors import TargetUnavailableError

ReadVariable = Callable[[str], str | None]
"""Returns the value of an environment variable, None where it is not set."""

_MOST_BYTES = 64 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Secret:
    """A secret's text, kept out of every representation."""

    text: str = field(repr=False)

    def hide(self, shown: str) -> str:
        """`shown` with every occurrence of the secret, and of its longer parts, taken out."""
        for part in sorted({self.text, *self.text.split("/"), *self.text.split(":")}, key=len, reverse=True):
            if len(part) >= _LEAST_PART:
                shown = shown.replace(part, "***")
        return shown


_LEAST_PART = 6
NO_SECRET = Secret("")


def read_secret(target: TargetConfig, read_variable: ReadVariable) -> Secret:
    """Read the secret of a target; an empty one where its settings name none.

    Raises:
        TargetUnavailableError: it cannot be read, others may read its file, or it is not one line of printable text.
    """
    if target.secret_file is not None:
        where, text = f"secret_file {target.secret_file}", _read_file(target.name, Path(target.secret_file))
    elif target.secret_variable is not None:
        where, found = f"variable {target.secret_variable}", read_variable(target.secret_variable)
        if found is None:
            raise TargetUnavailableError(f"target {target.name}: {where}: expected a secret, got none: it is not set")
        text = found
    else:
        return NO_SECRET
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable():
        raise TargetUnavailableError(
            f"target {target.name}: {where}: expected one line of printable ASCII, got another text"
        )
    return Secret(text)


def _read_file(name: str, file: Path) -> str:
    try:
        # without waiting: a pipe in the file's place must not hang the target
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or state.st_mode & _OTHERS:
                got = f"mode {stat.S_IMODE(state.st_mode):04o}" if stat.S_ISREG(state.st_mode) else "no regular file"
                raise TargetUnavailableError(
                    f"target {name}: secret_file {file}: expected a file that its owner alone may read (0600), got {got}",
                    hint=f"chmod 600 {file}",
                )
            return stream.read(_MOST_BYTES).decode("utf8")
    except OSError as exc:
        raise TargetUnavailableError(f"target {name}: secret_file {file}: {exc.strerror}") from exc
    except UnicodeDecodeError:
        raise TargetUnavailableError(f"target {name}: secret_file {file}: expected text, got other bytes") from None
