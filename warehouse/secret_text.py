"""Reads secrets that people keep outside of the lake's settings: one line of text, in a file that nobody else may read.

Invariant: no message holds a part of what was read.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

ReadVariable = Callable[[str], str | None]
"""Returns the value of an environment variable, None where it is not set."""

_MOST_BYTES = 64 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SecretTextError(ValueError):
    """A secret cannot be used: why, without the secret and without where it came from; `hint` says what to do, where there is more to say."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def read_private_text(file: Path) -> str:
    """The text of a regular file that its owner alone may read, at most 64 KiB of it.

    Raises:
        SecretTextError: it cannot be read, is no regular file, others may read it, or it is no text.
    """
    try:
        # without waiting: a pipe in the file's place must not hang who reads it
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or state.st_mode & _OTHERS:
                got = f"mode {stat.S_IMODE(state.st_mode):04o}" if stat.S_ISREG(state.st_mode) else "no regular file"
                raise SecretTextError(
                    f"expected a file that its owner alone may read (0600), got {got}", hint=f"chmod 600 {file}"
                )
            return stream.read(_MOST_BYTES).decode("utf8")
    except OSError as exc:
        raise SecretTextError(str(exc.strerror)) from exc
    except UnicodeDecodeError:
        raise SecretTextError("expected text, got other bytes") from None


def read_secret_line(file: Path | None, variable: str, read_variable: ReadVariable, *, what: str = "a secret") -> str:
    """The one line of a file, or of an environment variable where no file is given; `what` it is stands in messages.

    Raises:
        SecretTextError: it is not there, empty, or not one line of printable ASCII.
    """
    text = read_variable(variable) if file is None else read_private_text(file)
    if text is None:
        raise SecretTextError(f"expected {what}, got none: it is not set")
    line = text.strip()
    if not line or not line.isascii() or not line.isprintable():
        raise SecretTextError("expected one line of printable ASCII, got another text")
    return line
