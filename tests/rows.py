"""Builders of decoded rows, and readers of what a lake holds: for tests, and for the processes that tests start.

Every row names its batch in `attributes` (or a content's `body`), so that what comes out can be held against what went in.
"""

import datetime as dt
import hashlib
import json
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from warehouse.marks import is_readable, read_marks
from warehouse.names import LAKE_TENANT
from warehouse.tables import TABLES
from warehouse.treated import RecordSet, RequestMark, UnsafeKeepAll

NOW = 1_795_392_000_000_000_000  # 2026-11-23T00:00:00Z
DAY_NANOS = 86_400_000_000_000
LEDGERED = ("spans", "audit_events", "logs")


class MemoryClaims:
    """Shard identities in memory."""

    def __init__(self):
        self.opened = []
        self.closed = {}

    def claim_shard(self, name):
        """Return an identity never returned before."""
        identity = f"{name}-{os.urandom(4).hex()}"
        self.opened.append(identity)
        return identity

    def close_shard(self, identity, reason):
        """Remember why an identity is closed."""
        self.closed[identity] = reason

    def open_shards(self, name):
        """Identities of `name` that are not closed."""
        return [i for i in self.opened if i not in self.closed and i.rpartition("-")[0] == name]


class FileClaims:
    """Shard identities in a file beside the lake, for tests with several processes."""

    def __init__(self, file):
        self._file = Path(file)

    def _read(self):
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def _set(self, identity, reason):
        temporary = self._file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({**self._read(), identity: reason}))
        temporary.replace(self._file)

    def claim_shard(self, name):
        """Return an identity never returned before."""
        identity = f"{name}-{os.urandom(4).hex()}"
        self._set(identity, None)
        return identity

    def close_shard(self, identity, reason):
        """Remember why an identity is closed."""
        self._set(identity, reason)

    def open_shards(self, name):
        """Identities of `name` that are not closed."""
        return [i for i, reason in self._read().items() if reason is None and i.rpartition("-")[0] == name]


def record_batch(table, rows, **values):
    """A decoded batch of `table`: `values` gives columns as a list or as one value; the rest is NULL."""
    schema = TABLES[table].decoded_schema
    columns = []
    for field in schema:
        value = values.get(field.name)
        if value is None:
            columns.append(pa.nulls(rows, field.type))
        else:
            given = value if isinstance(value, (list, np.ndarray)) else [value] * rows
            columns.append(pa.array(given, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def ledgered(table, rows, tag, *, tenant="acme", time=NOW, **values):
    """Rows of one of the ledgered tables, each naming `tag` and its number. `tenant` may be a list."""
    times = [time + n for n in range(rows)] if isinstance(time, int) else list(time)
    own = {"end_unix_nano": times, "duration_ns": 0, "name": "chat"} if table == "spans" else {}
    if table == "audit_events":
        own["event_name"] = "access.decided"
    return record_batch(
        table,
        rows,
        **{
            "tenant_id": tenant,
            "day": [_day(t) for t in times],
            "schema_version": 1,
            "received_unix_nano": NOW,
            "time_unix_nano": times,
            "recorded_by": "key:k1",
            "trace_id": [hashlib.md5(f"{tag}/{n // 4}".encode()).hexdigest() for n in range(rows)],
            "span_id": [f"{n:016x}" for n in range(rows)],
            "service_name": "support",
            "resource": '{"service.name":"support"}',
            "attributes": [json.dumps({"batch": tag, "n": n}) for n in range(rows)],
            **own,
            **values,
        },
    )


def contents(owners, parts, *, owner_table="spans", tenant="acme", time=NOW, tag=""):
    """Contents of the rows `owners` of `owner_table`: `parts` names each one's part, `body` says tag, owner and part."""
    rows = len(owners)
    return record_batch(
        "contents",
        rows,
        tenant_id=tenant,
        day=_day(time),
        owner_table=owner_table if isinstance(owner_table, list) else [owner_table] * rows,
        owner_index=list(owners),
        part=list(parts),
        media_type="text/plain",
        time_unix_nano=time,
        body=[f"{tag}|{owner}|{part}" for owner, part in zip(owners, parts, strict=True)],
    )


def metrics(rows, tag, *, tenant="acme", time=NOW):
    """Metric points."""
    return record_batch(
        "metrics", rows, tenant_id=tenant, day=_day(time), schema_version=1, received_unix_nano=NOW, recorded_by="key:k1",
        time_unix_nano=[time + n for n in range(rows)], name="gen_ai.client.token.usage", type="gauge",
        value=[float(n) for n in range(rows)], attributes=[json.dumps({"batch": tag, "n": n}) for n in range(rows)],
    )  # fmt: skip


def request(tag, accepted=1):
    """A request's mark; the same tag gives the same digest."""
    return RequestMark(hashlib.md5(str(tag).encode()).digest(), accepted=accepted, message=f"ok {tag}")


def records(*, requests=(), transactions=(), **tables):
    """A record set of the tables given."""
    return RecordSet(tables, requests=tuple(requests), transactions=tuple(transactions))


def treated(*, requests=(), transactions=(), **tables):
    """A treated batch of the tables given."""
    return UnsafeKeepAll().treat(records(requests=requests, transactions=transactions, **tables))


def whole_batch(tag, rows=3, *, tenant="acme", time=NOW):
    """A treated batch with `rows` spans, audit events and logs and a content for each span."""
    return treated(
        spans=ledgered("spans", rows, tag, tenant=tenant, time=time),
        audit_events=ledgered("audit_events", rows, tag, tenant=tenant, time=time),
        logs=ledgered("logs", rows, tag, tenant=tenant, time=time),
        contents=contents(range(rows), ["prompt"] * rows, tenant=tenant, time=time, tag=tag),
        requests=[request(tag, rows * 3)],
    )


def read_table(lake, table, *, marks=True):
    """Rows of the live files that a reader may show, with their partition columns.

    `marks` may be what `read_marks` said before, for one view of several tables; False shows all live files.
    """
    folder = lake.table(table)
    known = read_marks(lake) if marks is True else marks
    found = [
        _read_file(folder / path, table)
        for path in live_files(lake, table)
        if known is False or is_readable(path, known)
    ]
    return pa.concat_tables(found) if found else TABLES[table].schema.empty_table()


def live_files(lake, table):
    """Paths of the live files of a table, below its folder."""
    return sorted(DeltaTable(str(lake.table(table))).get_add_actions().column("path").to_pylist())


def batches_of(rows):
    """How many rows of each batch a table has; what the writer says itself, in the lake's own log, is in none."""
    own = [tenant == LAKE_TENANT for tenant in rows.column("tenant_id").to_pylist()]
    texts = rows.column("attributes").to_pylist()
    return Counter(json.loads(text)["batch"] for text, is_own in zip(texts, own, strict=True) if not is_own)


def indices(lake, *, marks=True):
    """log_index values by (tenant, shard) over all ledgered tables, sorted."""
    found = {}
    for table in LEDGERED:
        rows = read_table(lake, table, marks=marks)
        for tenant, shard, index in zip(
            *(rows.column(name).to_pylist() for name in ("tenant_id", "shard", "log_index")), strict=True
        ):
            found.setdefault((tenant, shard), []).append(index)
    return {key: sorted(values) for key, values in found.items()}


def hashes(lake):
    """SHA-256 of each Parquet file of the lake."""
    return {
        file.relative_to(lake.tables).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(lake.tables.rglob("*.parquet"))
        if "_delta_log" not in file.parts
    }


def _read_file(file, table):
    rows = pq.ParquetFile(file).read()
    tenant = re.search(r"tenant_id=([^/]+)/", str(file))[1]
    day = dt.date.fromisoformat(re.search(r"day=([^/]+)/", str(file))[1])
    rows = rows.append_column("tenant_id", pa.array([tenant] * rows.num_rows, pa.string()))
    rows = rows.append_column("day", pa.array([day] * rows.num_rows, pa.date32()))
    return rows.select(TABLES[table].schema.names).cast(TABLES[table].schema)


def _day(unix_nano):
    return dt.datetime.fromtimestamp(unix_nano // 1_000_000_000, dt.UTC).date()
