"""What was read of a lake's files for one plan and is as true for a later one: for a process that plans again and again.

Invariant: a plan made with it is the plan made without it. Files never change under their path, so the bounds of their receipt don't.
A day's cohorts are given again for the same files, policy, holds and tables read, as long as each lies on one side of every instant
of the later plan too: once an instant has moved into a cohort, its rows have to be counted anew.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from retention.lake_state import Bounds, FileState

MOST_DAYS = 1_000
MOST_FILES = 50_000

FamilyKey = tuple[str, str, frozenset[str], tuple[tuple[str, str, bool], ...]]
"""Hashes of policy and holds, the tables whose rows are read, and the files: table, path, whether it is settled."""


def family_key(policy_hash: str, holds_hash: str, tables: frozenset[str], family: Sequence[FileState]) -> FamilyKey:
    """What cohorts of a family depend on besides the clock."""
    return policy_hash, holds_hash, tables, tuple((file.table, file.path, file.settled) for file in family)


@dataclass
class Remembered:
    """Receipts and cohorts of one lake, in memory; the oldest are forgotten. Safe to use from several threads."""

    _receipts: OrderedDict[tuple[str, str], Bounds] = field(default_factory=OrderedDict)
    _families: OrderedDict[FamilyKey, tuple[FileState, ...]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def receipt(self, table: str, path: str) -> Bounds | None:
        """Bounds of a file's receipt, where they were read."""
        with self._lock:
            return self._receipts.get((table, path))

    def keep_receipt(self, table: str, path: str, received: Bounds) -> None:
        """Remember them."""
        with self._lock:
            self._receipts[table, path] = received
            while len(self._receipts) > MOST_FILES:
                self._receipts.popitem(last=False)

    def family(self, key: FamilyKey) -> tuple[FileState, ...] | None:
        """The files with the cohorts that were read, whenever that was."""
        with self._lock:
            return self._families.get(key)

    def keep_family(self, key: FamilyKey, read: Sequence[FileState]) -> None:
        """Remember them, instead of what was read before."""
        with self._lock:
            self._families.pop(key, None)
            self._families[key] = tuple(read)
            while len(self._families) > MOST_DAYS:
                self._families.popitem(last=False)
