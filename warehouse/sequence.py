"""Sequencing: gives each row of a group its place in its tenant's log, its salt, and its contents' digests.

Within a group the rows of a tenant take consecutive indices in the order spans, audit events, logs. Pure but for the
random bytes, which come in as an argument.

Whatever could stop the commit later is refused here, before anybody is told that it was kept: a segment that no commit
takes would hold up every other sender's records.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.tables import TABLES, Table
from warehouse.treated import RecordSet

SALT_BYTES = 16
LEDGERED = ("spans", "audit_events", "logs")
RandomBytes = Callable[[int], bytes]

_DAYS_LIMIT = 1_000_000
# Arrow infers the type of a bare Python value anew at each call, and that costs more than the join
_NOTHING, _COMMA, _OPEN, _CLOSE = (pa.scalar(text, pa.string()) for text in ("", ",", "[", "]"))
_AFTER_PART, _AFTER_DIGEST = (pa.scalar(text, pa.string()) for text in (',"', '"]'))


@dataclass(frozen=True)
class Sequenced:
    """Whole rows by table, each tenant's next index afterwards, and the number of metric rows added."""

    tables: Mapping[str, pa.RecordBatch]
    next_index: dict[str, int]
    metric_rows: int


def sequence(
    records: RecordSet,
    *,
    shard: str,
    segment: int,
    metric_row: int,
    next_index: Mapping[str, int],
    random_bytes: RandomBytes,
) -> Sequenced:
    """Assign shard, log_index, salt, content digests, and a metric point's segment and row.

    `metric_row` is the first free row number of the segment's metrics.

    Raises:
        ValueError: rows that are not what a decoder makes: another schema, no tenant or day, a content without owner.
    """
    _check(records)
    given = {name: batch for name, batch in records.tables.items() if batch.num_rows}
    indices, after = _log_indices(given, next_index)
    tables: dict[str, pa.RecordBatch] = {}
    digests: dict[str, pa.Array] = {}
    if "contents" in given:
        tables["contents"], digests = _sequence_contents(given["contents"], indices, shard, random_bytes)
    for name, index in indices.items():
        batch = given[name]
        rows = batch.num_rows
        assigned = {
            "shard": _constant(shard, rows),
            "log_index": pa.array(index),
            "salt": _salts(rows, random_bytes),
            "content_digests": _spread(digests[name], rows) if name in digests else pa.nulls(rows, pa.string()),
        }
        tables[name] = _complete(TABLES[name], batch, assigned)
    metrics = given.get("metrics")
    if metrics is not None:
        rows = metrics.num_rows
        numbers = {
            "shard": _constant(shard, rows),
            "segment": pa.array(np.full(rows, segment, np.int64)),
            "row": pa.array(np.arange(metric_row, metric_row + rows, dtype=np.int64)),
        }
        tables["metrics"] = _complete(TABLES["metrics"], metrics, numbers)
    return Sequenced(tables, after, metrics.num_rows if metrics is not None else 0)


def _log_indices(
    given: Mapping[str, pa.RecordBatch], next_index: Mapping[str, int]
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """log_index arrays by table, and each tenant's next index after this group."""
    names = [name for name in LEDGERED if name in given]
    after = dict(next_index)
    if not names:
        return {}, after
    tenants = pa.chunked_array([given[name].column("tenant_id") for name in names]).combine_chunks()
    encoded = tenants.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=len(encoded.dictionary))
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    rank = np.empty(len(codes), np.int64)
    rank[order] = np.arange(len(codes)) - np.repeat(starts, counts)
    known = encoded.dictionary.to_pylist()
    base = np.array([after.get(tenant, 0) for tenant in known], np.int64)
    indices = base[codes] + rank
    for tenant, count in zip(known, counts.tolist(), strict=True):
        after[tenant] = after.get(tenant, 0) + count
    split = np.cumsum([given[name].num_rows for name in names])[:-1]
    return dict(zip(names, np.split(indices, split), strict=True)), after


def _check(records: RecordSet) -> None:
    for name, batch in records.tables.items():
        if name not in TABLES:
            raise ValueError(f"table: expected one of {', '.join(TABLES)}, got {name!r}")
        if not batch.schema.equals(TABLES[name].decoded_schema):
            raise ValueError(f"{name}: expected the table's decoded schema, got {batch.schema.names}")
        if not batch.num_rows:
            continue
        for column in ("tenant_id", "day"):
            if nulls := batch.column(column).null_count:
                raise ValueError(f"{name}: expected a {column} in every row, got {nulls} without")
        days = batch.column("day").view(pa.int32()).to_numpy()
        if days.min() < 0 or days.max() >= _DAYS_LIMIT:
            raise ValueError(f"{name}: expected days from 1970 on, got {days.min()} to {days.max()} days after 1970")


def _sequence_contents(
    batch: pa.RecordBatch, indices: Mapping[str, np.ndarray], shard: str, random_bytes: RandomBytes
) -> tuple[pa.RecordBatch, dict[str, tuple[np.ndarray, pa.Array]]]:
    """Contents with their owners' log indices and salts, and by owner table (owner rows, digest texts)."""
    rows = batch.num_rows
    for column in ("owner_table", "owner_index", "part", "body"):
        if nulls := batch.column(column).null_count:
            raise ValueError(f"contents: expected a value of {column} in every row, got {nulls} without")
    owner_row = batch.column("owner_index").to_numpy()
    owner_table = batch.column("owner_table")
    salts = random_bytes(SALT_BYTES * rows)
    digest_texts = pc.binary_join_element_wise(
        _OPEN, _json_texts(batch.column("part")), _AFTER_PART, _digests(salts, batch.column("body")), _AFTER_DIGEST,
        _NOTHING,
    )  # fmt: skip
    owner_index = np.full(rows, -1, np.int64)
    digests = {}
    for name, index in indices.items():
        mine = np.flatnonzero(pc.equal(owner_table, pa.scalar(name, pa.string())).to_numpy(zero_copy_only=False))
        if not len(mine):
            continue
        owners = owner_row[mine]
        if owners.min() < 0 or owners.max() >= len(index):
            raise ValueError(
                f"contents: expected owners among {len(index)} {name}, got rows {owners.min()} to {owners.max()}"
            )
        owner_index[mine] = index[owners]
        digests[name] = _join_by_owner(owners, digest_texts.take(pa.array(mine)))
    if len(orphans := np.flatnonzero(owner_index < 0)):
        raise ValueError(f"contents: expected an owner for each part, got {len(orphans)} without one in this set")
    assigned = {
        "shard": _constant(shard, rows),
        "owner_index": pa.array(owner_index),
        "body_salt": _fixed_binary(salts, rows),
    }
    return _complete(TABLES["contents"], batch, assigned), digests


def _json_texts(parts: pa.Array) -> pa.Array:
    """Part names as JSON strings: few different ones, so each is escaped once."""
    encoded = parts.dictionary_encode()
    texts = [json.dumps(part, ensure_ascii=False) for part in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)


def _digests(salts: bytes, bodies: pa.Array) -> pa.Array:
    """SHA-256(body_salt ‖ body) in hex for each part."""
    size = SALT_BYTES
    starts = range(0, len(salts), size)
    sha256 = hashlib.sha256
    return pa.array(
        [
            sha256(salts[at : at + size] + body).hexdigest()
            for at, body in zip(starts, bodies.cast(pa.binary()).to_pylist(), strict=True)
        ],
        pa.string(),
    )


def _join_by_owner(owner_row: np.ndarray, texts: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Owner rows in ascending order, and for each the JSON array of its parts' texts."""
    order = np.argsort(owner_row, kind="stable")
    sorted_rows = owner_row[order]
    owners, starts = np.unique(sorted_rows, return_index=True)
    offsets = pa.array(np.append(starts, len(order)).astype(np.int32))
    lists = pa.ListArray.from_arrays(offsets, texts.take(pa.array(order)))
    return owners, pc.binary_join_element_wise(_OPEN, pc.binary_join(lists, _COMMA), _CLOSE, _NOTHING)


def _spread(digests: tuple[np.ndarray, pa.Array], rows: int) -> pa.Array:
    owners, texts = digests
    where = np.full(rows, -1, np.int64)
    where[owners] = np.arange(len(owners))
    return texts.take(pa.array(where, mask=where < 0))


def _salts(rows: int, random_bytes: RandomBytes) -> pa.Array:
    return _fixed_binary(random_bytes(SALT_BYTES * rows), rows)


def _fixed_binary(content: bytes, rows: int) -> pa.Array:
    offsets = np.arange(0, SALT_BYTES * (rows + 1), SALT_BYTES, dtype=np.int32)
    return pa.BinaryArray.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(content)])


def _constant(text: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), rows)


def _complete(table: Table, batch: pa.RecordBatch, assigned: Mapping[str, pa.Array]) -> pa.RecordBatch:
    schema = table.schema
    return pa.RecordBatch.from_arrays(
        [assigned[name] if name in assigned else batch.column(name) for name in schema.names], schema=schema
    )
