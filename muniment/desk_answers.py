"""Answers that the desk keeps, so that a page which is drawn again asks the lake for its files and not for its rows.

Invariants:
- An answer is given again only to the same principal, for the same tenant and question, within the same limits, while the lake has
  exactly the files that it was read from: what a purge, an erasure or a new record changes is asked anew.
- Whether somebody may ask, and that they looked, is not settled here but by the desk, each time and before.
- No more than `MOST_KEPT` answers, in this process's memory alone, none longer than `KEPT_SECONDS` after the lake was last seen to
  have those files; what it no longer has is gone from memory with the next look, whoever asks.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from warehouse.clock import NANOS_PER_SECOND
from warehouse.query import QuerySession
from warehouse.query.files import list_files

if TYPE_CHECKING:
    from muniment.wiring import CommandContext
    from warehouse.lake import Lake
    from warehouse.query.limits import ReadLimits

MOST_KEPT = 64
KEPT_SECONDS = 600

T = TypeVar("T")


_Key = tuple[Hashable, str, tuple[str, ...], Hashable, Hashable]
"""Principal, tenant, tables, limits, question."""


@dataclass(frozen=True)
class _Answer:
    files: frozenset[str]
    at_seconds: float
    value: object


@dataclass
class Answers:
    """The answers. Safe to use from several threads: of those who ask the same at once one reads the lake, and the others wait."""

    _kept: OrderedDict[_Key, _Answer] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reading: WeakValueDictionary[_Key, threading.Lock] = field(default_factory=WeakValueDictionary)
    """By question, held by who reads, for as long as anybody waits for it."""

    def ask(
        self,
        context: "CommandContext",
        tenant: str,
        tables: Sequence[str],
        question: tuple[Hashable, ...],
        read: Callable[[QuerySession], T],
    ) -> T:
        """What `read` gives in a session over one tenant, within what the principal may see of it.

        `question` names everything besides the lake's files that the answer depends on.
        """
        limits = context.access.limits(context.principal, [tenant])
        key: _Key = (context.principal, tenant, tuple(sorted(tables)), _limits_key(limits), question)
        files = _files(context.lake, tenant, tables)  # before the reading: what comes between them is asked anew
        with self._lock:
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:
            now = context.clock() / NANOS_PER_SECOND
            found = self._find(key, now)
            if found is not None and found.files == files:
                return found.value  # type: ignore[return-value]
            with context.session([tenant], tables=tables, limits=limits) as session:
                value = read(session)
            self._keep(key, _Answer(files, now, value))
            return value

    def look(self, lake: "Lake", now_unix_nano: int) -> None:
        """Let answers stay whose files the lake still has, and forget the others. Reads no row.

        Raises:
            MunimentError: the lake cannot be read.
        """
        now = now_unix_nano / NANOS_PER_SECOND
        with self._lock:
            known = dict(self._kept)
        places = {(tenant, tables): _files(lake, tenant, tables) for _, tenant, tables, _, _ in known}
        with self._lock:
            for key, answer in known.items():
                if self._kept.get(key) is not answer:
                    continue  # asked anew meanwhile
                if places[key[1], key[2]] == answer.files:
                    self._kept[key] = replace(answer, at_seconds=now)
                else:
                    del self._kept[key]

    def _find(self, key: _Key, now: float) -> _Answer | None:
        with self._lock:
            for old in [each for each, answer in self._kept.items() if now - answer.at_seconds > KEPT_SECONDS]:
                del self._kept[old]
            return self._kept.get(key)

    def _keep(self, key: _Key, answer: _Answer) -> None:
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = answer
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _files(lake: "Lake", tenant: str, tables: Sequence[str]) -> frozenset[str]:
    return frozenset(path for paths in list_files(lake, [tenant], tables).files.values() for path in paths)


def _limits_key(limits: "ReadLimits | None") -> Hashable:
    if limits is None:
        return None
    return (
        tuple(sorted((table, tuple(sorted(columns))) for table, columns in limits.columns.items())),
        limits.classes,
    )
