"""Commitments of many rows: SHA-256(salt ‖ record_text), and the entries that a segment adds to each tenant's log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.ledger.columns import LEDGER_COLUMNS
from warehouse.ledger.errors import RecordTextError
from warehouse.ledger.record import SALT_BYTES
from warehouse.ledger.record_text import salted_texts
from warehouse.ledger.tree import HASH_BYTES


@dataclass(frozen=True)
class Commitments:
    """Commitments of rows, 32 bytes each, one after another, in the rows' order.

    `unknown` holds the row numbers of which none can be made: their `schema_version` has no ledger columns, or their salt is
    not 16 bytes. Their place holds zeros, which no SHA-256 is known to give.
    """

    hashes: bytes
    unknown: np.ndarray


@dataclass(frozen=True)
class LogEntries:
    """Consecutive entries of one tenant's log: the first one's index, and 32 bytes each, one after another."""

    first: int
    entries: bytes

    @property
    def after(self) -> int:
        """The log's size with them."""
        return self.first + len(self.entries) // HASH_BYTES


def commit_rows(table: str, rows: pa.RecordBatch) -> Commitments:
    """Commitments of rows of a ledgered table.

    Raises:
        RecordTextError: a table that is not ledgered, or columns that are missing or of another type.
    """
    count = rows.num_rows
    if not count:
        return Commitments(b"", np.empty(0, np.int64))
    if missing := {"salt", "schema_version"}.difference(rows.schema.names):
        raise RecordTextError(f"{table}: expected columns salt and schema_version, got rows without {min(missing)}")
    versions = rows.column("schema_version").cast(pa.int64())
    usable = pc.fill_null(pc.equal(pc.binary_length(rows.column("salt").cast(pa.binary())), SALT_BYTES), False)
    known = pa.array([version for name, version in LEDGER_COLUMNS if name == table], pa.int64())
    if not len(known):
        raise RecordTextError(f"expected a ledgered table, got {table!r}")
    usable = pc.and_(usable, pc.is_in(versions, value_set=known))
    range_ = pc.min_max(versions)
    if range_["min"].equals(range_["max"]) and pc.all(usable).as_py():
        return Commitments(_hash_rows(table, range_["min"].as_py(), rows), np.empty(0, np.int64))
    hashes = np.zeros((count, HASH_BYTES), np.uint8)
    for version in known.to_pylist():
        chosen = pc.and_(usable, pc.fill_null(pc.equal(versions, version), False))
        places = np.flatnonzero(chosen.to_numpy(zero_copy_only=False))
        found = _hash_rows(table, version, rows.take(pa.array(places)))
        hashes[places] = np.frombuffer(found, np.uint8).reshape(-1, HASH_BYTES)
    return Commitments(hashes.tobytes(), np.flatnonzero(~usable.to_numpy(zero_copy_only=False)))


def log_entries(tables: Iterable[tuple[str, pa.RecordBatch]]) -> Mapping[str, LogEntries]:
    """What a segment's rows add to each tenant's log; all rows are of one shard.

    Raises:
        RecordTextError: rows of which no commitment can be made, or whose indices repeat or leave a gap.
    """
    tenants, indices, hashes = [], [], []
    for name, rows in tables:
        committed = commit_rows(name, rows)
        if len(committed.unknown):
            raise RecordTextError(
                f"{name}: expected a known schema version and a salt of {SALT_BYTES} bytes in every row, "
                f"got {len(committed.unknown)} rows without"
            )
        tenants.append(rows.column("tenant_id"))
        indices.append(rows.column("log_index").to_numpy())
        hashes.append(committed.hashes)
    if not tenants:
        return {}
    return _by_tenant(
        pa.chunked_array(tenants).combine_chunks().dictionary_encode(),
        np.concatenate(indices),
        np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH_BYTES),
    )


def _hash_rows(table: str, schema_version: int, rows: pa.RecordBatch) -> bytes:
    hashes: list[bytes] = []
    for texts in salted_texts(table, schema_version, rows):
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].tolist()
        view = memoryview(data)
        # slices of one buffer: a bytes object a row would cost a copy of every text
        hashes.extend([sha256(view[begin:end]).digest() for begin, end in pairwise(ends)])
    return b"".join(hashes)


def _by_tenant(tenants: pa.DictionaryArray, indices: np.ndarray, hashes: np.ndarray) -> dict[str, LogEntries]:
    codes = tenants.indices.to_numpy()
    order = np.lexsort((indices, codes))
    codes, indices, hashes = codes[order], indices[order], hashes[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    found = {}
    for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
        tenant, first = tenants.dictionary[int(codes[start])].as_py(), int(indices[start])
        if not np.array_equal(indices[start:end], np.arange(first, first + end - start)):
            raise RecordTextError(f"{tenant}: expected log indices from {first} on without gap or repeat, got others")
        found[tenant] = LogEntries(first, hashes[start:end].tobytes())
    return found
