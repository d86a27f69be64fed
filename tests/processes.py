"""Processes that run the program without loading it anew: a server per test worker loads it once and forks them off.

Loading takes longer than most of what tests run. A forked process is one like any other: it is killed, holds locks, has
descriptors, threads and an exit code of its own. That the program starts from nothing is tested where that is the question.
"""

import atexit
import contextlib
import os
import subprocess
import sys
from multiprocessing import forkserver, get_context
from pathlib import Path
from types import ModuleType

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.program"])


class ForkedProcess:
    """A running process in a group of its own; what a test asks of it is called as in `subprocess.Popen`."""

    def __init__(self, target, *arguments, log):
        with Path(log).open("ab"):
            pass  # it is there though nothing was written yet
        self._process = _CONTEXT.Process(target=_run, args=(target, arguments, str(log), str(Path.cwd())), daemon=True)
        with _without_main():
            self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self):
        """The exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout=None):
        """Wait for the end; returns the exit code."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self._process.exitcode

    def terminate(self):
        """SIGTERM."""
        self._process.terminate()


@contextlib.contextmanager
def _without_main():
    """Keep the new process from running what is `__main__` here: pytest, or a page that was drawn in a test before."""
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def start_muniment(*words, log):
    """Start a command, by its words after `muniment`; what it writes goes to the file `log`."""
    return ForkedProcess(_muniment, *map(str, words), log=log)


def start_code(code, *, log=os.devnull):
    """Start Python source text as a program."""
    return ForkedProcess(exec, code, {"__name__": "__main__"}, log=log)


def run_code(code, *, log=os.devnull, timeout=480):
    """Run Python source text as a program to its end; returns the exit code."""
    return start_code(code, log=log).wait(timeout)


def _muniment(*words):
    from muniment.cli.app import main

    sys.argv = ["muniment", *words]
    main()


def _run(target, arguments, log, folder):
    os.setsid()
    os.chdir(folder)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(written, stream)
    os.close(written)
    try:
        target(*arguments)
    finally:
        atexit._run_exitfuncs()  # a forked process ends without them


@atexit.register
def _stop_server():
    with contextlib.suppress(Exception):  # it ends with its parent at the latest
        forkserver._forkserver._stop()
