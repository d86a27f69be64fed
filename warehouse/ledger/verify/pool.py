"""Runs tasks in this process or in several, with few of them under way at a time so that results never pile up."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

import pyarrow as pa

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_AHEAD = 3
"""Tasks a worker: one running and the next ones waiting."""


class TaskPool(AbstractContextManager["TaskPool"]):
    """Workers of one verification. With one worker everything runs here."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._workers > 1:
            # they take half a second to start, in which the first heads and files are read
            self._start().submit(_ready)
        return self

    def run(
        self, function: Callable[[_Task], _Result], tasks: Iterable[_Task], *, stop: Callable[[], bool]
    ) -> Iterator[_Result]:
        """Results of `function` for all tasks, in any order, until `stop` says so."""
        if self._workers == 1:
            for task in tasks:
                if stop():
                    return
                yield function(task)
            return
        executor = self._start()
        waiting: set[Future[_Result]] = set()
        remaining = iter(tasks)
        while True:
            if not stop():
                room = self._workers * _AHEAD - len(waiting)
                waiting |= {executor.submit(function, task) for task in islice(remaining, room)}
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        if self._executor is None:
            context: Any = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_prepare_worker)
        return self._executor


def _ready() -> None:
    """Nothing: a first task has the workers started."""


def _prepare_worker() -> None:
    """One thread a process: the processes are the parallelism. The parent decides what an interrupt means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pa.set_cpu_count(1)
    pa.set_memory_pool(pa.system_memory_pool())
