"""A small real lake: Delta tables with Parquet files of two tenants, written by the parts that write any lake."""

import datetime as dt
import secrets

import pyarrow as pa
import pytest
from deltalake.transaction import RemoveAction

from warehouse.delta import DeltaStore
from warehouse.durable import make_folder
from warehouse.lake import make_lake
from warehouse.marks import write_mark
from warehouse.parquet import write_parts
from warehouse.principals import Principal, PrincipalKind
from warehouse.query import QuerySettings, open_session
from warehouse.tables import TABLES

SHARD = "main-1a2b3c4d"
DAY = dt.date(2026, 11, 20)
NOON = 1_795_176_000_000_000_000  # 2026-11-20T12:00:00Z
CANARY = "canary-7c1f-globex"


class QueryLake:
    """Writes segments into a lake and opens sessions on it."""

    noon = NOON
    shard = SHARD
    canary = CANARY

    def __init__(self, folder):
        self.lake = make_lake(folder)
        self.principal = Principal(PrincipalKind.LOCAL_USER, "tester")
        self._stores = {}
        self._next_index = 0

    def store(self, name):
        """Return the table's Delta store, made at first use."""
        if name not in self._stores:
            self._stores[name] = DeltaStore(TABLES[name], self.lake.table(name))
        return self._stores[name]

    def write(self, table, rows, *, tenant="acme", segment=1, shard=SHARD, mark=True, stem=None):
        """Write `rows`, dicts of columns, as one file and one commit; `mark` moves the shard's mark over it."""
        schema = TABLES[table].schema
        full = []
        for row in rows:
            filled = {"tenant_id": tenant, "day": DAY, "shard": shard, "time_unix_nano": NOON}
            if "log_index" in schema.names:
                filled["log_index"] = self._next_index
                self._next_index += 1
            full.append(filled | row)
        stem = stem or f"{shard}-{segment:010d}"
        parts = write_parts(TABLES[table], pa.Table.from_pylist(full, schema=schema), self.lake.table(table), stem=stem)
        self.store(table).append([part.add_action(0) for part in parts], [(f"{stem}/{table}", segment)])
        if mark:
            self.mark(segment, shard=shard)
        return [self.lake.table(table) / part.path for part in parts]

    def mark(self, segment, *, shard=SHARD):
        """Move the shard's mark."""
        make_folder(self.lake.journal / shard)
        write_mark(self.lake.journal / shard, segment)

    def compact(self, table, rows, *, tenant="acme"):
        """Replace all files of a table by one with `rows`, as compaction does."""
        store = self.store(table)
        handle = store.fresh()
        paths = ["/".join(uri.rsplit("/", 3)[1:]) for uri in handle.file_uris()]
        actions = [RemoveAction(path=path, data_change=False, deletion_timestamp=0) for path in paths]
        full = [
            {"tenant_id": tenant, "day": DAY, "shard": SHARD, "time_unix_nano": NOON, "log_index": i} | row
            for i, row in enumerate(rows)
        ]
        parts = write_parts(
            TABLES[table],
            pa.Table.from_pylist(full, schema=TABLES[table].schema),
            self.lake.table(table),
            stem=f"compact-{secrets.token_hex(16)}",
        )
        store.rewrite(handle, actions, [part.add_action(0) for part in parts])

    def session(self, *tenants, **more):
        """Open a session as the tester."""
        options = {"principal": self.principal, "settings": QuerySettings(memory_limit_mib=256)} | more
        return open_session(self.lake.path, tenants=tenants or ("acme",), **options)


@pytest.fixture
def query_lake(tmp_path):
    """An empty lake, in a folder whose name a naive quoting would trip over."""
    return QueryLake(tmp_path / "it's a [lake] é")


@pytest.fixture(scope="module")
def two_tenants(tmp_path_factory):
    """A lake where acme has two spans and a log, and globex one span and one event that hold the canary."""
    made = QueryLake(tmp_path_factory.mktemp("two") / "lake")
    made.write(
        "spans", [{"name": "chat", "trace_id": "a" * 32, "span_id": f"{i:016x}", "input_tokens": i} for i in (1, 2)]
    )
    made.write("logs", [{"body": "hello", "severity_text": "INFO"}], segment=2)
    made.write("spans", [{"name": CANARY, "trace_id": "b" * 32, "span_id": "f" * 16}], tenant="globex", segment=3)
    made.write("audit_events", [{"event_name": "approval.granted", "actor_id": CANARY}], tenant="globex", segment=4)
    (made.lake.path / "outside.csv").write_text(f"name\n{CANARY}\n")
    return made
