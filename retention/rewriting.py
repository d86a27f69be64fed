"""Takes rows out of a table: writes what stays of each file, and replaces the files in one commit.

Invariants. Files are listed and read under the partition's maintenance lock, by the handle that the commit is made on. A file that
nothing stays of is removed without one being written. Outputs are deleted where their commit failed, unless they became live.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import RemoveAction

from retention.doomed import DoomedFile
from retention.policy import QUARANTINE
from warehouse.clock import Clock
from warehouse.delta import DeltaStore
from warehouse.durable import sync_folder
from warehouse.errors import ConflictError, UnavailableError
from warehouse.lake import Lake
from warehouse.maintenance.compaction import RandomName
from warehouse.maintenance.filter import filter_file
from warehouse.maintenance.footer import describe_file
from warehouse.maintenance.partition import Partition, partition_lock
from warehouse.maintenance.plan import live_paths
from warehouse.parquet import Part

_NANOS_PER_MILLI = 1_000_000
_FOOTER_TAIL = 8


@dataclass(frozen=True)
class Replaced:
    """A file before and after: what certificates say of it. `after` is None where nothing stayed.

    `before_sha256` is over the whole file where it was read whole, `before_footer_sha256` over its Parquet footer where it went unread.
    """

    table: str
    before: str
    before_bytes: int
    before_rows: int
    rows_deleted: int
    before_sha256: str | None = None
    before_footer_sha256: str | None = None
    after: str | None = None
    after_bytes: int = 0
    after_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As a certificate has it."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def planned(cls, file: DoomedFile) -> "Replaced":
        """As an intent has it: before anything was written or read whole."""
        return cls(file.table, file.path, file.size_bytes, file.rows, file.count)


@dataclass(frozen=True)
class TableRewrite:
    """One table's rewrite, prepared: durable outputs that no commit names yet, and the handle to commit on."""

    store: DeltaStore
    handle: DeltaTable
    replaced: tuple[Replaced, ...]
    outputs: tuple[Part, ...]
    files: tuple[DoomedFile, ...]

    def commit(self, clock: Clock) -> None:
        """Replace the files, in one commit.

        Raises:
            ConflictError: one of them is not live any more; nothing was committed.
            UnavailableError: the log cannot be written.
        """
        now = clock() // _NANOS_PER_MILLI
        remove = [
            RemoveAction(
                path=file.path,
                data_change=True,
                deletion_timestamp=now,
                size=file.size_bytes,
                partition_values={"tenant_id": file.tenant_id, "day": file.day},
            )
            for file in self.files
        ]
        self.store.rewrite(self.handle, remove, [part.add_action(now) for part in self.outputs])

    def discard(self) -> None:
        """Delete outputs that did not become live; where that cannot be told they are left to the orphan sweep."""
        _discard(self.store, [part.path for part in self.outputs])

    def delete_replaced(self) -> None:
        """Take the replaced files from the disk, durably: their rows are gone with them.

        Raises:
            UnavailableError: the disk refused.
        """
        delete_files(self.store.folder, [file.path for file in self.files])


@contextmanager
def holding_partitions(lake: Lake, partitions: Iterable[Partition]) -> Iterator[list[Partition]]:
    """Hold the maintenance locks of those partitions that nobody else holds; yields the ones that somebody does. Never waits."""
    with ExitStack() as locks:
        yield [each for each in sorted(set(partitions)) if not locks.enter_context(partition_lock(lake, each))]


def prepare(
    store: DeltaStore, handle: DeltaTable, files: Sequence[DoomedFile], random_name: RandomName
) -> TableRewrite:
    """Write what stays of these files. `handle` is the caller's, opened under the partitions' locks before it read them.

    Raises:
        ConflictError: a file is gone.
        UnavailableError: the disk refused; outputs are deleted again.
    """
    outputs: list[Part] = []
    replaced: list[Replaced] = []
    try:
        for file in files:
            done, part = _rewrite(store, file, random_name)
            replaced.append(done)
            outputs += [] if part is None else [part]
    except FileNotFoundError as exc:
        _discard(store, [part.path for part in outputs])
        raise ConflictError(f"{store.table.name}: {exc.filename or exc} is gone") from exc
    except (OSError, pa.ArrowException) as exc:
        _discard(store, [part.path for part in outputs])
        raise UnavailableError(f"{store.table.name}: rewrite failed: {exc}") from exc
    except BaseException:
        _discard(store, [part.path for part in outputs])
        raise
    return TableRewrite(store, handle, tuple(replaced), tuple(outputs), tuple(files))


def delete_files(folder: Path, paths: Iterable[str]) -> None:
    """Delete files below a folder, durably; those that are gone already count as deleted.

    Raises:
        UnavailableError: the disk refused.
    """
    parents = set()
    try:
        for path in paths:
            (folder / path).unlink(missing_ok=True)
            parents.add((folder / path).parent)
        for parent in sorted(parents):
            if parent.is_dir():
                sync_folder(parent)
    except OSError as exc:
        raise UnavailableError(
            f"{exc.filename}: cannot be deleted: {exc.strerror}", hint="what was deleted stays so; apply again"
        ) from exc


def quarantine_replaced(lake: Lake, files: Sequence[DoomedFile]) -> list[Replaced]:
    """What a certificate says of files of quarantine, which go whole.

    Raises:
        UnavailableError: one cannot be read.
    """
    try:
        return [
            Replaced(
                QUARANTINE, file.path, file.size_bytes, 0, 0,
                before_sha256=_sha256(lake.quarantine / file.path),
            )
            for file in files
            if (lake.quarantine / file.path).exists()
        ]  # fmt: skip
    except OSError as exc:
        raise UnavailableError(f"{exc.filename}: cannot be read: {exc.strerror}") from exc


def _rewrite(store: DeltaStore, file: DoomedFile, random_name: RandomName) -> tuple[Replaced, Part | None]:
    source = store.folder / file.path
    done = Replaced.planned(file)
    if file.going is None:
        return replace(done, before_footer_sha256=_footer_sha256(source)), None
    partition = Partition(file.table, file.tenant_id, file.day)
    output = store.folder / partition.folder / f"compact-{random_name()}.parquet"
    try:
        filter_file(store.table, source, output, stays=~file.going)
        part = describe_file(store.table, store.folder, output, tenant_id=file.tenant_id, day=file.day)
        return (
            replace(
                done,
                before_sha256=_sha256(source),
                after=part.path,
                after_bytes=part.size_bytes,
                after_sha256=_sha256(output),
            ),
            part,
        )
    except BaseException:
        output.unlink(missing_ok=True)
        raise


def _discard(store: DeltaStore, paths: Iterable[str]) -> None:
    made = set(paths)
    try:
        made -= live_paths(store.fresh()) if made else set()
    except (OSError, DeltaError, UnavailableError):
        return
    for path in made:
        (store.folder / path).unlink(missing_ok=True)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _footer_sha256(file: Path) -> str:
    """SHA-256 of a Parquet file's footer, from its metadata to the end: offsets, sizes and statistics of every column."""
    with file.open("rb") as stream:
        size = stream.seek(-_FOOTER_TAIL, 2) + _FOOTER_TAIL
        length = int.from_bytes(stream.read(4), "little")
        stream.seek(max(0, size - _FOOTER_TAIL - length))
        return hashlib.sha256(stream.read()).hexdigest()
