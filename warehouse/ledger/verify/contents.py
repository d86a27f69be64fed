"""Contents against the digests that their owners list: SHA-256(body_salt ‖ body), by shard, owner and part.

A content may go before its owner does, so one that is not there is counted and is no finding. One whose digest differs was
altered; one that no owner lists was put there.

Contents are written in the segment of their owners. So a partition whose files still are those of segments is compared some
segments at a time. Once a rewrite has mixed them it is compared as a whole, and where it has more parts than memory allows, in
several rounds, each of which reads it all.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.ledger.verify.deleted_contents import DeletedContents
from warehouse.ledger.verify.files import CONTENTS, TableFile
from warehouse.ledger.verify.scan import LogView, read_batches

ROUND_PARTS = 400_000
"""Parts held at a time: some 160 MB."""
TASK_PARTS = 32_768
"""Parts a task where segments can be told apart: below a second, so that all workers end together."""
KEPT_PARTS = 10_000
"""Parts of each finding kept a log."""

_LISTED_COLUMNS = ["shard", "log_index", "content_digests"]
_TABLE = "owner_table"
_CONTENT_COLUMNS = ["shard", "owner_table", "owner_index", "part", "body", "body_salt"]
_DIGESTS = msgspec.json.Decoder(list[tuple[str, str]])

Key = tuple[str, int, str, str]
"""Shard, owner's index, owner's table, part."""


@dataclass(frozen=True)
class ContentTask:
    """One round over files of one partition (tenant, day): owners whose index leaves the remainder `place` by `rounds`.

    `certified` are, by shard, the contents of which certificates say that they went.
    """

    tenant: str
    day: str
    owners: Sequence[TableFile]
    contents: Sequence[TableFile]
    logs: Mapping[str, LogView]
    certified: Mapping[str, DeletedContents] = field(default_factory=dict)
    place: int = 0
    rounds: int = 1

    @property
    def rows(self) -> int:
        """How many rows to expect, to put long tasks first."""
        return sum(file.rows for file in (*self.owners, *self.contents))


@dataclass
class ShardContents:
    """Contents of one log's rows: how many fit, how many listed ones are not there.

    Of these `certified` are those that certificates list. `altered`, `not_listed` and `returned` (there, though a certificate
    says that they went) are such pairs too; `beyond` are owners' indices that are not below the signed size, by file. Of each, a log keeps a bounded number.
    """

    matching: int = 0
    expired: int = 0
    certified: int = 0
    altered: list[tuple[int, str]] = field(default_factory=list)
    not_listed: list[tuple[int, str]] = field(default_factory=list)
    returned: list[tuple[int, str]] = field(default_factory=list)
    beyond: list[tuple[TableFile, int]] = field(default_factory=list)

    def add(self, other: "ShardContents") -> None:
        """Take over what another task found."""
        self.matching += other.matching
        self.expired += other.expired
        self.certified += other.certified
        self.beyond += other.beyond
        if len(self.beyond) > 4 * KEPT_PARTS:  # those that no commit under way explains lie at the ends
            self.beyond.sort(key=lambda place: place[1])
            del self.beyond[KEPT_PARTS:-KEPT_PARTS]
        self.altered += other.altered[: max(0, KEPT_PARTS - len(self.altered))]
        self.not_listed += other.not_listed[: max(0, KEPT_PARTS - len(self.not_listed))]
        self.returned += other.returned[: max(0, KEPT_PARTS - len(self.returned))]


@dataclass
class ContentResult:
    """What a round found, by shard. `problem` says why a file could not be read to its end."""

    task: ContentTask
    rows: int = 0
    shards: dict[str, ShardContents] = field(default_factory=dict)
    problems: list[tuple[TableFile, str]] = field(default_factory=list)
    vanished: bool = False


def content_tasks(
    tenant: str,
    day: str,
    files: Sequence[TableFile],
    logs: Mapping[str, LogView],
    certified: Mapping[str, DeletedContents],
    *,
    by_segment: bool = True,
) -> list[ContentTask]:
    """Tasks over one partition; `by_segment` unless its files are being replaced."""
    tasks = []
    for together in _by_segments(files) if by_segment else [files]:
        owners = [file for file in together if file.table != CONTENTS]
        contents = [file for file in together if file.table == CONTENTS]
        parts = max(sum(file.rows for file in contents), sum(file.rows for file in owners))
        rounds = max(1, -(-parts // ROUND_PARTS))
        tasks += [ContentTask(tenant, day, owners, contents, logs, certified, place, rounds) for place in range(rounds)]
    return tasks


def _by_segments(files: Sequence[TableFile]) -> list[list[TableFile]]:
    """Files that are to be compared together: those of some segments, or all where a rewrite made one of them."""
    if any(file.segment is None for file in files):
        return [list(files)]
    groups: list[list[TableFile]] = []
    rows = 0
    by_segment = sorted(files, key=lambda file: (file.shard or "", file.segment or 0))
    for _, segment in groupby(by_segment, key=lambda file: (file.shard, file.segment)):
        together = list(segment)
        if not groups or rows > TASK_PARTS:
            groups.append([])
            rows = 0
        groups[-1] += together
        rows += sum(file.rows for file in together)
    return groups


def check_contents(task: ContentTask) -> ContentResult:
    """Compare the contents of a task's files with the digests that its rows list."""
    result = ContentResult(task)
    try:
        if not task.contents and not any(len(known) for known in task.certified.values()):
            _count_listed(task, result)
            return result
        listed = dict(_listed(task))
        for file in task.contents:
            try:
                _compare_file(task, file, listed, result)
            except (pa.ArrowException, ValueError, KeyError) as exc:
                result.problems.append((file, str(exc).partition("\n")[0]))
    except FileNotFoundError:
        result.vanished = True
        return result
    absent: dict[str, list[tuple[int, str]]] = {}
    for (shard, index, _table, part), digest in listed.items():
        if digest is not None:
            absent.setdefault(shard, []).append((index, part))
    for shard, parts in absent.items():
        found = result.shards.setdefault(shard, ShardContents())
        found.expired += len(parts)
        if shard in task.certified:
            found.certified += task.certified[shard].count(parts)
    return result


def _count_listed(task: ContentTask, result: ContentResult) -> None:
    """Count the parts that rows list where none of them is there any more: what stands between a part and its digest.

    Within a JSON text a quotation mark has a backslash before it, so this can stand nowhere else.
    """
    for rows in _listing_rows(task):
        counts = pc.count_substring(rows.column("content_digests"), '","')
        shards = rows.column("shard")
        for shard in shards.unique().to_pylist():
            mine = pc.filter(counts, pc.equal(shards, pa.scalar(shard)))
            result.shards.setdefault(shard, ShardContents()).expired += pc.sum(mine).as_py()


def _listed(task: ContentTask) -> Iterator[tuple[Key, str | None]]:
    """Digests by key, as the rows below the signed size list them."""
    for rows in _listing_rows(task):
        for shard, index, digests, table in zip(
            *(rows.column(name).to_pylist() for name in (*_LISTED_COLUMNS, _TABLE)), strict=True
        ):
            with contextlib.suppress(msgspec.MsgspecError):  # an altered list is an altered row: the scan says so
                for part, digest in _DIGESTS.decode(digests):
                    yield (shard, index, table, part), digest


def _listing_rows(task: ContentTask) -> Iterator[pa.RecordBatch]:
    """Rows of the owners below the signed size that list contents."""
    for file in task.owners:
        try:
            for batch in read_batches(file, since=_lowest(task.logs), columns=_LISTED_COLUMNS):
                chosen = _chosen(task, batch.column("shard"), batch.column("log_index"))
                rows = batch.filter(pc.and_(chosen, pc.is_valid(batch.column("content_digests"))))
                if rows.num_rows:
                    yield rows.append_column(_TABLE, pa.repeat(pa.scalar(file.table, pa.string()), rows.num_rows))
        except (pa.ArrowException, ValueError, KeyError):
            continue  # the scan of its rows says so: an unreadable file is named once


def _compare_file(task: ContentTask, file: TableFile, listed: dict[Key, str | None], result: ContentResult) -> None:
    for batch in read_batches(file, columns=_CONTENT_COLUMNS):
        indices = batch.column("owner_index")
        beyond = _beyond(task, batch.column("shard"), indices) if task.place == 0 else None
        if beyond is not None and len(beyond):
            shards = batch.column("shard").take(beyond).to_pylist()
            for shard, index in zip(shards, indices.take(beyond).to_pylist(), strict=True):
                result.shards.setdefault(shard, ShardContents()).beyond.append((file, index))
        rows = batch.filter(_chosen(task, batch.column("shard"), indices))
        result.rows += rows.num_rows
        _compare_rows(rows, listed, result)
        _note_returned(task, rows, result)


def _note_returned(task: ContentTask, rows: pa.RecordBatch, result: ContentResult) -> None:
    """Note the parts that are there although a certificate says that they went."""
    for shard, certified in task.certified.items():
        # by the owners' bounds first: of a file that no purge named nothing is taken apart
        owners = rows.column("owner_index")
        near = pc.and_(
            pc.equal(rows.column("shard"), pa.scalar(shard)),
            pc.is_in(owners, pa.array(np.unique(certified.owners))) if len(certified) else pa.scalar(False),
        )
        found = rows.filter(near)
        if found.num_rows:
            pairs = zip(found.column("owner_index").to_pylist(), found.column("part").to_pylist(), strict=True)
            result.shards.setdefault(shard, ShardContents()).returned += certified.among(pairs)


def _compare_rows(rows: pa.RecordBatch, listed: dict[Key, str | None], result: ContentResult) -> None:
    shards, tables, indices, parts = (rows.column(name).to_pylist() for name in _CONTENT_COLUMNS[:4])
    bodies = rows.column("body").cast(pa.binary()).to_pylist()
    salts = rows.column("body_salt").cast(pa.binary()).to_pylist()
    missing = object()
    for shard, table, index, part, body, salt in zip(shards, tables, indices, parts, bodies, salts, strict=True):
        found = result.shards.get(shard)
        if found is None:
            found = result.shards[shard] = ShardContents()
        key = (shard, index, table, part)
        digest = listed.get(key, missing)
        if digest is missing or digest is None:  # None: a second row for the same part
            found.not_listed.append((index, part))
            continue
        listed[key] = None
        if digest == hashlib.sha256((salt or b"") + (body or b"")).hexdigest():
            found.matching += 1
        else:
            found.altered.append((index, part))


def _chosen(task: ContentTask, shards: pa.Array, indices: pa.Array) -> pa.Array:
    """Rows of this round whose owners are below the signed size and not accounted for before."""
    values = indices.to_numpy(zero_copy_only=False)
    lows, highs = _bounds(task, shards)
    mine = (values >= lows) & (values < highs)
    if task.rounds > 1:
        mine &= values % task.rounds == task.place
    return pa.array(mine)


def _beyond(task: ContentTask, shards: pa.Array, indices: pa.Array) -> pa.Array:
    values = indices.to_numpy(zero_copy_only=False)
    _, highs = _bounds(task, shards)
    return pa.array(np.flatnonzero((values >= highs) | (values < 0)))


def _bounds(task: ContentTask, shards: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    encoded = shards.dictionary_encode()
    views = [task.logs.get(name) for name in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    lows = np.array([view.since if view else 0 for view in views], np.int64)
    highs = np.array([view.size if view else 0 for view in views], np.int64)
    return lows[codes], highs[codes]


def _lowest(logs: Mapping[str, LogView]) -> int:
    return min((view.since for view in logs.values()), default=0)


def partitions(files: Sequence[TableFile]) -> dict[tuple[str, str], list[TableFile]]:
    """Files by (tenant, day)."""
    found: dict[tuple[str, str], list[TableFile]] = {}
    for file in files:
        found.setdefault((file.tenant, file.day), []).append(file)
    return found
