"""A small real lake, written once a session through the real writer, and copied for each test that damages it."""

import copy
import dataclasses
import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from warehouse.birth import birth_unix_nano
from warehouse.commit import open_stores
from warehouse.lake import Lake, make_lake
from warehouse.ledger.note import Ed25519Verifier
from warehouse.ledger.signing import make_keys, read_signing_keys
from warehouse.ledger.verify import Seen, VerifyOptions, read_seen, update_seen, verify_lake
from warehouse.own_events import OwnEvent, own_event_records
from warehouse.treated import UnsafeKeepAll
from warehouse.writer import WriterConfig, open_writer

LAKE_NAME = "test"
TABLES = ("spans", "audit_events", "logs")
BATCH_ROWS = 80  # of each table: 240 entries a batch, so that three batches fill tiles and leave one incomplete


@dataclasses.dataclass
class LedgerLake:
    """A lake with logs; `shard` is the identity that wrote it, `day` what its rows' paths say."""

    lake: Lake
    rows: object
    claims: object
    shard: str = ""

    # -- writing, through the real writer

    def write(self, *batches, shard="main"):
        """Append treated batches through a writer of its own and commit them as one segment."""
        hour = {"commit_interval_seconds": 3600.0, "max_commit_interval_seconds": 3600.0}
        writer = open_writer(
            self.lake, shard, self.claims, open_stores(self.lake),
            config=WriterConfig(**hour), clock=lambda: self.rows.NOW, lake_name=LAKE_NAME,
        )  # fmt: skip
        try:
            for batch in batches:
                writer.append(batch).result(120)
        finally:
            writer.stop()
        return writer.shard

    def record(
        self,
        name,
        *,
        tenant="_lake",
        recorded_by="muniment:test",
        attributes=None,
        after_seconds=0,
        shard="main",
        **columns,
    ):
        """Record an event of Muniment's own."""
        event = OwnEvent(tenant, name, recorded_by, fields=columns, attributes=attributes or {})
        records = own_event_records([event], now_unix_nano=self.rows.NOW + after_seconds * 1_000_000_000)
        return self.write(UnsafeKeepAll().treat(records), shard=shard)

    def fill(self):
        """Three segments of two tenants, and one event of the lake's own."""
        for number in range(3):
            self.shard = self.write(
                self.rows.whole_batch(f"acme-{number}", BATCH_ROWS),
                self.rows.whole_batch(f"beta-{number}", 5, tenant="beta"),
            )
        self.record("policy.changed")
        return self

    def copy(self, target):
        """A copy on disk, with everything but the shard's lock."""
        shutil.copytree(self.lake.path, target)
        return LedgerLake(Lake(Path(target)), self.rows, self.claims, self.shard)

    # -- verifying

    @property
    def vkey(self):
        """The lake's public key, as its operator hands it out."""
        return read_signing_keys(self.lake.keys).verifiers(LAKE_NAME)[0]

    def verify(self, *, vkey=None, seen=None, **options):
        """Verify as somebody who brought this along."""
        keys = (vkey,) if isinstance(vkey, Ed25519Verifier) else tuple(vkey or ())
        return verify_lake(
            self.lake, lake_name=LAKE_NAME, tenants=options.pop("tenants", None),
            options=VerifyOptions(vkeys=keys, seen=seen, **options),
        )  # fmt: skip

    def remember(self, file):
        """What a verifier's memory holds after a run over the lake as it is."""
        update_seen(file, Seen(), self.verify(), clock=lambda: self.rows.NOW)
        return read_seen(file)

    # -- damaging

    def log(self, tenant="acme"):
        """Folder of a log."""
        return self.lake.path / "ledger" / tenant / self.shard

    def files(self, table="spans", tenant="acme"):
        """Live files of a tenant, oldest segment first."""
        paths = DeltaTable(str(self.lake.table(table))).get_add_actions().column("path").to_pylist()
        return [self.lake.table(table) / path for path in sorted(paths) if f"tenant_id={tenant}/" in path]

    def find(self, index, tenant="acme"):
        """The table and file that hold the row at this index."""
        for table in TABLES:
            for file in self.files(table, tenant):
                if index in pq.ParquetFile(file).read(["log_index"]).column("log_index").to_pylist():
                    return table, file
        raise LookupError(index)

    def indices(self, table, file_number, tenant="acme"):
        """Sorted indices of one file's rows."""
        return sorted(
            pq.ParquetFile(self.files(table, tenant)[file_number]).read(["log_index"])["log_index"].to_pylist()
        )

    def rewrite(self, file, change):
        """Replace a Parquet file by what `change` makes of its rows: a list of dicts."""
        table = pq.ParquetFile(file).read()
        pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), schema=table.schema), file)

    def change_row(self, index, tenant="acme", **values):
        """Set columns of the row at one index."""
        _, file = self.find(index, tenant)
        self.rewrite(file, lambda rows: [row | values if row["log_index"] == index else row for row in rows])

    def delete_rows(self, *indices, tenant="acme"):
        """Take rows away."""
        for index in indices:
            _, file = self.find(index, tenant)
            self.rewrite(file, lambda rows, gone=index: [row for row in rows if row["log_index"] != gone])

    def drop_add(self, table, file):
        """Delete a file and the Delta action that added it."""
        path = file.relative_to(self.lake.table(table)).as_posix()
        for entry in sorted((self.lake.table(table) / "_delta_log").glob("*.json")):
            lines = entry.read_text().splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line).get("add", {}).get("path") != path]
            entry.write_text("".join(kept))
        file.unlink()


def found(report):
    """Findings as (log, kind, index, last), sorted; the shard's random part left out."""
    return sorted(
        (
            (f"{log.tenant}/{re.sub('-[0-9a-f]{8}$', '', log.shard)}", finding.kind.value, finding.index,
             finding.index if finding.last is None else finding.last)
            for log in report.logs
            for finding in log.findings
        ),
        key=str,
    )  # fmt: skip


def new_lake(folder, rows):
    """Write the lake."""
    lake = make_lake(folder)
    make_keys(lake.keys, now_unix_nano=rows.NOW)
    return LedgerLake(lake, rows, rows.MemoryClaims()).fill()


@pytest.fixture(scope="session")
def pristine(tmp_path_factory, rows):
    """The lake as the writer left it; never to be changed."""
    return new_lake(tmp_path_factory.mktemp("pristine") / "lake", rows)


@pytest.fixture
def lake(pristine, tmp_path):
    """A copy to damage."""
    return pristine.copy(tmp_path / "lake")


@pytest.fixture
def growing(pristine, tmp_path):
    """A lake that can be written on: its shards' identities are bound to the copy, as if it had been written here."""
    lake = pristine.copy(tmp_path / "growing")
    for file in lake.lake.journal.glob("*/identity"):
        identity = json.loads(file.read_bytes())
        binding = {"inode": file.stat().st_ino, "birth_unix_nano": birth_unix_nano(file)}
        with file.open("r+") as stream:  # in place: another file would have another inode
            stream.write(json.dumps(identity | binding).ljust(file.stat().st_size))
    lake.claims = copy.deepcopy(pristine.claims)
    return lake


@pytest.fixture(scope="session")
def memory(pristine, tmp_path_factory):
    """What a verifier remembers of the pristine lake."""
    return pristine.remember(tmp_path_factory.mktemp("memory") / "seen.json")


@pytest.fixture(scope="session")
def findings():
    """Reads the findings of a report."""
    return found
