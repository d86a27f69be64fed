"""Commits a closed segment: Parquet files, one Delta commit a table, mark, head, and then the segment goes.

Safe to repeat from any point: file names and bytes depend on the segment alone, each table's commit is recognised by its
transaction, and the segment is deleted last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from warehouse.clock import Clock
from warehouse.delta import DeltaStore
from warehouse.durable import sync_folder
from warehouse.errors import UnavailableError
from warehouse.journal import Frame, Position, segment_file, write_position
from warehouse.lake import Lake
from warehouse.ledger.keeper import LedgerKeeper
from warehouse.marks import write_mark
from warehouse.parquet import Part, write_parts
from warehouse.recent import RecentRequests, RequestRow
from warehouse.sequence import LEDGERED
from warehouse.tables import TABLES

_NANOS_PER_MILLI = 1_000_000


@dataclass(frozen=True)
class ClosedSegment:
    """A segment that takes no more frames: its number, its frames, where the shard stands after it, its frames' size."""

    number: int
    frames: Sequence[Frame]
    closing: Position
    size_bytes: int = 0

    @property
    def requests(self) -> list[RequestRow]:
        """Requests of all frames."""
        return [request for frame in self.frames for request in frame.requests]


@dataclass(frozen=True)
class CommitReport:
    """What one commit wrote."""

    segment: int
    rows: Mapping[str, int]
    files: int
    size_bytes: int


class Committer:
    """Commits the segments of one shard, in order. Not thread-safe: one thread owns it."""

    def __init__(
        self,
        lake: Lake,
        shard: str,
        stores: Mapping[str, DeltaStore],
        recent: RecentRequests,
        *,
        clock: Clock,
        ledger: LedgerKeeper | None = None,
    ) -> None:
        self._lake = lake
        self._shard = shard
        self._stores = stores
        self._recent = recent
        self._ledger = ledger
        self._clock = clock
        self._folder = lake.journal / shard

    def commit(self, segment: ClosedSegment) -> CommitReport:
        """Bring one segment into the tables; idempotent.

        Raises:
            UnavailableError: a disk or a table refused; the segment stays and the same call may be made again.
        """
        try:
            return self._commit(segment)
        except OSError as exc:
            where = f" ({exc.filename})" if exc.filename else ""
            raise UnavailableError(f"commit of segment {segment.number} failed: {exc.strerror or exc}{where}") from exc

    def _commit(self, segment: ClosedSegment) -> CommitReport:
        rows = {name: _gather(name, segment.frames) for name in TABLES}
        extra = _last_versions(segment.frames)
        # spans carry the further transactions even without rows: it is committed last, so what it says holds for all
        wanted = [name for name, table in rows.items() if table.num_rows or (name == "spans" and extra)]
        pending = [name for name in wanted if self._is_pending(name, segment)]
        parts = {name: self._write(name, rows[name], segment.number) for name in pending}
        modified = self._clock() // _NANOS_PER_MILLI
        for name in pending:
            transactions = [
                (f"{self._shard}/{name}", segment.number),
                *((f"{app}/{name}", version) for app, version in extra.items()),
            ]
            if name == wanted[-1]:
                transactions.append((whole_app(self._shard), segment.number))
            self._stores[name].append([part.add_action(modified) for part in parts[name]], transactions)
        if self._ledger is not None:
            self._ledger.advance({name: rows[name] for name in LEDGERED})
        self._finish(segment)
        written = [part for group in parts.values() for part in group]
        return CommitReport(
            segment=segment.number,
            rows={name: table.num_rows for name, table in rows.items()},
            files=len(written),
            size_bytes=sum(part.size_bytes for part in written),
        )

    def _is_pending(self, name: str, segment: ClosedSegment) -> bool:
        store = self._stores[name]
        if store.committed(f"{self._shard}/{name}") < segment.number:
            return True
        # an attempt before this one may have ended between the entry and its fsync; the segment goes after this
        store.make_durable()
        return False

    def _write(self, name: str, rows: pa.Table, number: int) -> list[Part]:
        if not rows.num_rows:
            return []
        return write_parts(TABLES[name], rows, self._stores[name].folder, stem=f"{self._shard}-{number:010d}")

    def _finish(self, segment: ClosedSegment) -> None:
        if segment.requests:
            self._recent.save(segment.number, segment.requests)
        write_mark(self._folder, segment.number)
        write_position(self._folder / "head", segment.closing)
        file = segment_file(self._folder, segment.number)
        file.unlink(missing_ok=True)
        sync_folder(self._folder)


def open_stores(lake: Lake) -> dict[str, DeltaStore]:
    """Open every table's Delta log, making the tables that do not exist yet.

    Raises:
        UnavailableError: a table can be neither opened nor made.
        CorruptionError: a log entry is torn or missing where no crash tears one.
    """
    return {name: DeltaStore(table, lake.table(name)) for name, table in TABLES.items()}


def committed_segment(stores: Mapping[str, DeltaStore], shard: str) -> int:
    """Highest segment of `shard` in any table, -1 for none; of the last one some tables may still be missing."""
    return max(store.committed(f"{shard}/{name}") for name, store in stores.items())


def whole_segment(stores: Mapping[str, DeltaStore], shard: str) -> int:
    """Highest segment of `shard` that all its tables hold, -1 for none."""
    return max(store.committed(whole_app(shard)) for store in stores.values())


def whole_app(shard: str) -> str:
    """Delta application whose version says up to which segment a shard is in all tables.

    It goes with the last commit of a segment. The mark in the journal's folder says the same, but may be lost with it.
    """
    return f"{shard}/segment"


def _gather(name: str, frames: Sequence[Frame]) -> pa.Table:
    batches = [frame.tables[name] for frame in frames if name in frame.tables]
    return pa.Table.from_batches(batches, schema=TABLES[name].schema)


def _last_versions(frames: Sequence[Frame]) -> dict[str, int]:
    """Highest version of each further transaction: the chunks of an import come in ascending order."""
    last: dict[str, int] = {}
    for frame in frames:
        for app, version in frame.transactions:
            last[app] = max(version, last.get(app, version))
    return last
