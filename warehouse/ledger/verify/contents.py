"""Contents against the digests that their owners list: SHA-256(body_salt ‖ body), by shard, owner and part.

A content may go before its owner does, so one that is not there is counted and is no finding. One whose digest differs was
altered; one that no owner lists was put there. A partition with more parts than memory allows is read in several rounds.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.ledger.verify.files import CONTENTS, TableFile
from warehouse.ledger.verify.scan import LogView, read_batches

ROUND_PARTS = 400_000
"""Parts held at a time: some 160 MB."""

_LISTED_COLUMNS = ["shard", "log_index", "content_digests"]
_CONTENT_COLUMNS = ["shard", "owner_table", "owner_index", "part", "body", "body_salt"]
_DIGESTS = msgspec.json.Decoder(list[tuple[str, str]])

Key = tuple[str, int, str, str]
"""Shard, owner's index, owner's table, part."""


@dataclass(frozen=True)
class ContentTask:
    """One round over one partition (tenant, day): owners whose index leaves the remainder `place` by `rounds`."""

    tenant: str
    day: str
    owners: Sequence[TableFile]
    contents: Sequence[TableFile]
    logs: Mapping[str, LogView]
    place: int = 0
    rounds: int = 1


@dataclass
class ShardContents:
    """Contents of one log's rows; `absent` lists (owner's index, part), `beyond` owners' indices above the signed size by file."""

    matching: int = 0
    absent: list[tuple[int, str]] = field(default_factory=list)
    altered: list[tuple[int, str]] = field(default_factory=list)
    not_listed: list[tuple[int, str]] = field(default_factory=list)
    beyond: list[tuple[TableFile, int]] = field(default_factory=list)


@dataclass
class ContentResult:
    """What a round found, by shard. `problem` says why a file could not be read to its end."""

    task: ContentTask
    rows: int = 0
    shards: dict[str, ShardContents] = field(default_factory=dict)
    problems: list[tuple[TableFile, str]] = field(default_factory=list)
    vanished: bool = False


def content_tasks(
    tenant: str, day: str, owners: Sequence[TableFile], contents: Sequence[TableFile], logs: Mapping[str, LogView]
) -> list[ContentTask]:
    """Rounds over one partition."""
    parts = max(sum(file.rows for file in contents), sum(file.rows for file in owners))
    rounds = max(1, -(-parts // ROUND_PARTS))
    return [ContentTask(tenant, day, owners, contents, logs, place, rounds) for place in range(rounds)]


def check_contents(task: ContentTask) -> ContentResult:
    """Compare the contents of one partition with the digests that its rows list."""
    result = ContentResult(task)
    try:
        listed = dict(_listed(task))
        for file in task.contents:
            try:
                _compare_file(task, file, listed, result)
            except (pa.ArrowException, ValueError, KeyError) as exc:
                result.problems.append((file, str(exc).partition("\n")[0]))
    except FileNotFoundError:
        result.vanished = True
        return result
    for (shard, index, _table, part), digest in listed.items():
        if digest is not None:
            result.shards.setdefault(shard, ShardContents()).absent.append((index, part))
    return result


def _listed(task: ContentTask) -> Iterator[tuple[Key, str | None]]:
    """Digests by key, as the rows below the signed size list them."""
    for file in task.owners:
        try:
            for batch in read_batches(file, since=_lowest(task.logs), columns=_LISTED_COLUMNS):
                chosen = _chosen(task, batch.column("shard"), batch.column("log_index"))
                rows = batch.filter(pc.and_(chosen, pc.is_valid(batch.column("content_digests"))))
                for shard, index, digests in zip(
                    *(rows.column(name).to_pylist() for name in _LISTED_COLUMNS), strict=True
                ):
                    for part, digest in _DIGESTS.decode(digests):
                        yield (shard, index, file.table, part), digest
        except (pa.ArrowException, ValueError, KeyError, msgspec.MsgspecError):
            # the scan of its rows says so: an unreadable file is named once, an altered list is an altered row
            continue


def _compare_file(task: ContentTask, file: TableFile, listed: dict[Key, str | None], result: ContentResult) -> None:
    for batch in read_batches(file, columns=_CONTENT_COLUMNS):
        indices = batch.column("owner_index")
        beyond = _beyond(task, batch.column("shard"), indices) if task.place == 0 else None
        if beyond is not None and len(beyond):
            for shard, index in zip(
                batch.column("shard").take(beyond).to_pylist(), indices.take(beyond).to_pylist(), strict=True
            ):
                result.shards.setdefault(shard, ShardContents()).beyond.append((file, index))
        rows = batch.filter(_chosen(task, batch.column("shard"), indices))
        result.rows += rows.num_rows
        _compare_rows(rows, listed, result)


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


def partitions(
    files: Sequence[TableFile],
) -> dict[tuple[str, str], tuple[list[TableFile], list[TableFile]]]:
    """Files of owners and of contents by (tenant, day)."""
    found: dict[tuple[str, str], tuple[list[TableFile], list[TableFile]]] = {}
    for file in files:
        owners, contents = found.setdefault((file.tenant, file.day), ([], []))
        (contents if file.table == CONTENTS else owners).append(file)
    return found
