"""What is known of one log while its rows come in, and what it is held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from warehouse.ledger.checkpoint import Checkpoint
from warehouse.ledger.rotation import Rotation
from warehouse.ledger.verify.accounting import IndexAccount
from warehouse.ledger.verify.contents import ShardContents
from warehouse.ledger.verify.excuses import Excuses
from warehouse.ledger.verify.files import TableFile
from warehouse.ledger.verify.heads import Head
from warehouse.ledger.verify.levels import LeafCheck
from warehouse.ledger.verify.scan import LogView, ShardRows
from warehouse.ledger.verify.seen import Quorum, SeenLog
from warehouse.ledger.verify.witnesses import Cosigned

KEPT_INDICES = 1 << 20
"""Indices kept of altered rows and of rows above the signed size: 8 MiB each a log; all are counted."""
SWAP_CANDIDATES = 256
"""Altered rows that are tried at each other's places: every pair, so at most 65,536 commitments."""


class LogState:
    """One log: its head, the check of its entries, and what its rows were found to be."""

    def __init__(self, head: Head, since: int = 0) -> None:
        self.head = head
        self.since = since
        self.check: LeafCheck | None = None
        self.account = IndexAccount(head.size)
        self.beyond: list[tuple[TableFile, np.ndarray]] = []
        self.events: list[pa.Table] = []
        self.altered_rows: list[tuple[str, pa.RecordBatch]] = []
        self.contents = ShardContents()
        self.unreadable: list[tuple[TableFile, str]] = []
        self._altered: list[np.ndarray] = []
        self._altered_kept = 0
        self._beyond_kept = 0
        self.altered_count = 0
        self.beyond_count = 0

    def view(self) -> LogView:
        """What a scan needs to know."""
        check = self.check
        if check is None:
            return LogView(self.head.folder, self.head.size, self.since)
        return LogView(self.head.folder, self.head.size, self.since, check.by_hash, check.blind)

    def add(self, file: TableFile, rows: ShardRows) -> None:
        """Account for rows of one file."""
        self.account.add(rows.indices)
        self.altered_count += rows.altered_count
        self.beyond_count += rows.beyond_count
        if len(rows.altered) and self._altered_kept < KEPT_INDICES:
            self._altered.append(rows.altered[: KEPT_INDICES - self._altered_kept])
            self._altered_kept += len(self._altered[-1])
        if len(rows.beyond) and self._beyond_kept < KEPT_INDICES:
            self.beyond.append((file, rows.beyond[: KEPT_INDICES - self._beyond_kept]))
            self._beyond_kept += len(self.beyond[-1][1])

    def add_altered(self, table: str, rows: pa.RecordBatch) -> None:
        """Keep altered rows themselves, as long as there are few enough to be tried at each other's places."""
        if self.altered_count <= SWAP_CANDIDATES:
            self.altered_rows.append((table, rows))
        else:
            self.altered_rows.clear()

    def add_unreadable(self, file: TableFile, problem: str) -> None:
        """Name a file that cannot be read, once: several tasks may have tried."""
        if all(known.path != file.path for known, _ in self.unreadable):
            self.unreadable.append((file, problem))

    @property
    def altered_indices(self) -> np.ndarray:
        """Indices of rows whose commitment is not the entry, ascending."""
        return np.unique(np.concatenate(self._altered)) if self._altered else np.empty(0, np.int64)


@dataclass(frozen=True)
class Evidence:
    """What one log is held against.

    `marks`, `promised` (the size that the journal's head says) and `later_size` were read in this order after all rows. `told`
    is its head in a `log.heads` event within what witnesses cosigned, `cosigned` what they cosigned of itself. `vouched_by` has,
    for each time of a compromise (nanoseconds), the largest checkpoint of this log that witnesses vouched for by then.
    """

    marks: Mapping[str, int]
    promised: int
    later_size: int
    excuses: Excuses
    rotations: Sequence[Rotation] = ()
    seen: SeenLog | None = None
    cosigned: Cosigned | None = None
    told: Checkpoint | None = None
    vouched_by: Mapping[int, Checkpoint | None] = field(default_factory=dict)
    quorum: Quorum | None = None
