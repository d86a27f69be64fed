"""What a verification can find, by name, and where. `docs/reference/findings.md` explains each."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

MAX_FINDINGS = 1000
"""Findings listed of one kind in one log; all of them are counted."""


class FindingKind(StrEnum):
    """Names of findings: each one makes the result `broken`."""

    ALTERED = "altered"
    MISSING = "missing"
    NOT_IN_LOG = "not-in-log"
    DUPLICATE_INDEX = "duplicate-index"
    REORDERED = "reordered"
    TAIL_CUT = "tail-cut"
    BAD_SIGNATURE = "bad-signature"
    UNKNOWN_KEY = "unknown-key"
    MISSING_TILE = "missing-tile"
    ALTERED_TILE = "altered-tile"
    PURGE_UNFINISHED = "purge-unfinished"
    LOST_IN_RESTORE = "lost-in-restore"
    REWOUND = "rewound"
    VANISHED_LOG = "vanished-log"
    FORKED = "forked"
    REWRITTEN = "rewritten-under-new-key"
    NOT_WITNESSED = "not-witnessed"
    CONTENT_ALTERED = "content-altered"
    CONTENT_NOT_LISTED = "content-not-listed"
    UNREADABLE_FILE = "unreadable-file"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was signed.

    `index` is the log index that it concerns, None where it concerns the log as a whole; `last` is the end of a run of
    consecutive indices, `index` itself for one.
    """

    kind: FindingKind
    index: int | None
    detail: str
    last: int | None = None

    @property
    def count(self) -> int:
        """How many indices it concerns; 1 for the log as a whole."""
        return 1 if self.index is None or self.last is None else self.last - self.index + 1

    def to_json(self) -> dict[str, Any]:
        """Form of the JSON report."""
        found: dict[str, Any] = {"kind": self.kind.value, "index": self.index, "detail": self.detail}
        return found | ({"last": self.last} if self.last not in {None, self.index} else {})


def runs(indices: np.ndarray) -> Iterable[tuple[int, int]]:
    """Runs of consecutive numbers, first and last each; `indices` ascend without repeats."""
    if not len(indices):
        return []
    breaks = np.flatnonzero(np.diff(indices) != 1)
    firsts = indices[np.concatenate(([0], breaks + 1))].tolist()
    lasts = indices[np.concatenate((breaks, [len(indices) - 1]))].tolist()
    return zip(firsts, lasts, strict=True)


def findings_of(kind: FindingKind, indices: np.ndarray, detail: str) -> list[Finding]:
    """Findings of one kind, one a run of consecutive indices; at most `MAX_FINDINGS`."""
    found = []
    for first, last in runs(np.unique(indices)):
        found.append(Finding(kind, first, detail, last))
        if len(found) == MAX_FINDINGS:
            break
    return found
