"""Commands run in this process: what they print and how they end, without the second that a process takes to load the program."""

import contextlib
import io
import sys
from dataclasses import dataclass

from muniment.cli.app import run


@dataclass(frozen=True)
class Done:
    """A command that has ended, as `subprocess.CompletedProcess` tells it."""

    returncode: int
    stdout: str
    stderr: str


def run_command(*arguments, stdin=""):
    """Run a command, by its words after `muniment`."""
    said = [io.TextIOWrapper(io.BytesIO(), encoding="utf8", write_through=True) for _ in range(2)]
    given, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf8")
    try:
        with contextlib.redirect_stdout(said[0]), contextlib.redirect_stderr(said[1]):
            code = run([*map(str, arguments)])
    finally:
        sys.stdin = given
    return Done(code, *(stream.buffer.getvalue().decode() for stream in said))
