"""What verification accepts of a purged lake, and what a certificate's own search finds: exactly what was deleted, and no row more."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from muniment.purging import purge_due, rescan_certificate
from warehouse.errors import ConflictError
from warehouse.tables import PARTITION_COLUMNS

ONLY_LOGS = """
retention:
  - {name: base, tables: ["*"], keep: 4000}
  - {name: dumps, tables: [logs], events: ["debug.*"], keep: 12}
"""


def commit(lake, table, remove, add):
    """Replace files in a table's log, as somebody who may write to the folder can: (path, tenant, day, size) each."""
    handle = DeltaTable(str(lake.table(table)))
    actions = [
        RemoveAction(
            path=path, data_change=True, deletion_timestamp=0, size=size, partition_values={"tenant_id": tenant, "day": day}
        )
        for path, tenant, day, size in remove
    ] + [
        AddAction(
            path=path, size=size, partition_values={"tenant_id": tenant, "day": day}, modification_time=0,
            data_change=True, stats="{}",
        )
        for path, tenant, day, size in add
    ]  # fmt: skip
    handle.create_write_transaction(
        actions, "append", handle.schema(), partition_by=list(PARTITION_COLUMNS), commit_properties=CommitProperties()
    )


def place_of(lake, table, file):
    path = file.relative_to(lake.table(table)).as_posix()
    tenant, day = (part.partition("=")[2] for part in path.split("/")[:2])
    return path, tenant, day, file.stat().st_size


def files(purging, lake, table, tenant="acme"):
    live = [lake.table(table) / path for path in purging.rows.live_files(lake, table)]
    return [file for file in live if f"tenant_id={tenant}/" in str(file)]


def take_out(purging, lake, table, key):
    """Rewrite the file that holds a row without it, under another name, with a commit."""
    for file in files(purging, lake, table):
        rows = pq.ParquetFile(file).read()
        stays = [purging.key_of(table, row | {"tenant_id": "acme"}) != key for row in rows.to_pylist()]
        if not all(stays):
            after = file.with_name(f"{file.stem}x.parquet")
            pq.write_table(rows.filter(pa.array(stays)), after)
            commit(lake, table, [place_of(lake, table, file)], [place_of(lake, table, after)])
            file.unlink()
            return
    raise LookupError(key)


def test_a_certificate_excuses_exactly_its_rows(purging, open_copy):
    """Two tables share a log; one loses rows by a purge: a row of the other one removed by hand is missing, and a neighbour as well."""
    context = open_copy()
    lake = context.lake
    purging.put_in_force(context, ONLY_LOGS)
    before = purging.keys(lake, tenant="acme")
    (done,) = purge_due(context, "acme")
    left = purging.keys(lake, tenant="acme")
    gone = before - left
    purged = {each[2:] for each in gone if each[0] == "logs"}
    assert {each[0] for each in gone} == {"logs", "contents"}
    named = {
        (run.shard, index) for run in done.certificate.document.deleted.runs for index in range(run.first, run.last + 1)
    }
    assert named == purged
    assert purging.findings(purging.verify(lake)) == []

    def near(table):
        """A row that stays, as near to a purged one as any of its table."""
        found = [each for each in left if each[0] == table and any(each[2] == shard for shard, _ in purged)]
        return min(found, key=lambda each: (min(abs(each[3] - at) for shard, at in purged if shard == each[2]), each))

    other, neighbour = near("spans"), near("logs")
    expected = []
    for table, key in (("spans", other), ("logs", neighbour)):
        take_out(purging, lake, table, key)
        expected.append(("acme", key[2].rpartition("-")[0], "missing", key[3], key[3]))
        assert purging.findings(purging.verify(lake)) == sorted(expected)


def test_rows_put_back_are_found(purging, open_copy, tmp_path):
    """An old file copied back is found on the disk, and its rows once a log names it again, by search and by verification."""
    context = open_copy()
    lake = context.lake
    purging.put_in_force(context, ONLY_LOGS)
    kept = purging.copy(lake.path, tmp_path / "kept")
    (done,) = purge_due(context, "acme")
    name = done.certificate.sha256[:12]
    assert rescan_certificate(context, name)[2].is_clean
    replaced = [each for each in done.certificate.document.details["files"] if each["table"] == "logs"]
    assert replaced
    path = replaced[0]["before"]
    back = lake.table("logs") / path
    shutil.copy(Path(kept) / "tables" / "logs" / path, back)
    found = rescan_certificate(context, name)[2]
    assert (found.files_on_disk, found.files_named, found.rows_found) == ((path,), (), {})
    commit(lake, "logs", [], [place_of(lake, "logs", back)])
    found = rescan_certificate(context, name)[2]
    assert (found.files_named, found.rows_found) == ((path,), {"logs": replaced[0]["rows_deleted"]})
    assert not found.is_clean
    kinds = {kind for _, _, kind, _, _ in purging.findings(purging.verify(lake))}
    assert "purge-unfinished" in kinds


def test_an_intent_is_no_certificate(purging, open_copy):
    """Asked for an intent, the search says that its purge was not finished."""
    context = open_copy()
    purge_due(context, "acme")
    (intents, _) = purging.certificates(context, "acme")
    with pytest.raises(ConflictError, match="expected a certificate, got an intent"):
        rescan_certificate(context, intents[0].sha256)
