"""How a verification runs: in several processes, beside writers and rewrites, for some tenants, and until it is stopped."""

import pyarrow.parquet as pq

from warehouse.clock import NANOS_PER_SECOND, utc_text
from warehouse.commit import open_stores
from warehouse.ledger.verify import VerifyOptions, contents, run, scan, verify_lake
from warehouse.maintenance import MaintenanceConfig, run_maintenance

TABLES = ("spans", "audit_events", "logs")


def test_two_processes_find_the_same(lake, findings):
    """Workers share the files; the report is the one of a single process."""
    lake.change_row(50, name="forged")
    lake.delete_rows(400)
    alone, together = lake.verify(vkey=lake.vkey), lake.verify(vkey=lake.vkey, workers=2)
    assert findings(together) == findings(alone) != []
    assert together.to_json() == alone.to_json()


def test_compacted_files_verify(growing, findings, rows):
    """Rows keep their commitments when files are merged."""
    growing.write(rows.whole_batch("acme-later", 4), shard="other")
    run_maintenance(
        growing.lake, open_stores(growing.lake), config=MaintenanceConfig(), clock=lambda: rows.NOW + 3 * rows.DAY_NANOS
    )
    assert {file.name.partition("-")[0] for file in growing.files()} == {"compact"}
    assert findings(growing.verify(vkey=growing.vkey)) == []
    growing.change_row(10, name="forged")
    assert findings(growing.verify(vkey=growing.vkey)) == [("acme/main", "altered", 10, 10)]


def test_what_is_committed_meanwhile_is_no_finding(growing, findings, rows, monkeypatch):
    """Rows whose checkpoint came after the run began are left to the next run."""
    listed = run.live_files

    def list_after_a_commit(*arguments, **options):
        growing.write(rows.whole_batch("acme-meanwhile", 4))
        return listed(*arguments, **options)

    monkeypatch.setattr(run, "live_files", list_after_a_commit)
    report = growing.verify(vkey=growing.vkey)
    assert findings(report) == []
    log = next(log for log in report.logs if log.tenant == "acme")
    assert (log.size, log.present, log.unfinished) == (720, 720, 12)


def test_files_that_a_rewrite_replaced_meanwhile_are_read_anew(growing, findings, rows, monkeypatch):
    """A partition whose files were merged and deleted under the run is read again as a whole."""
    growing.write(rows.whole_batch("acme-later", 4))
    listed = run.live_files

    def compact_after_the_list(*arguments, **options):
        files = listed(*arguments, **options)
        old = [file.path for file in files if file.tenant == "acme"]
        later = rows.NOW + 3 * rows.DAY_NANOS
        run_maintenance(growing.lake, open_stores(growing.lake), config=MaintenanceConfig(), clock=lambda: later)
        live = {path for table in ("contents", *TABLES) for path in growing.files(table)}
        assert not live & set(old)
        for path in old:
            path.unlink(missing_ok=True)
        return files

    monkeypatch.setattr(run, "live_files", compact_after_the_list)
    assert findings(growing.verify(vkey=growing.vkey)) == []


def test_one_tenant_and_the_lakes_own(pristine):
    """With tenants named, only their logs and those of `_lake` are looked at."""
    report = pristine.verify(tenants=["beta"])
    assert [(log.tenant, log.present) for log in report.logs] == [("_lake", 1), ("beta", 45)]


def test_a_run_that_is_stopped_establishes_nothing(pristine, memory):
    """Stopped before its end, a run says so and proves nothing."""
    options = VerifyOptions(vkeys=[pristine.vkey], seen=memory)
    report = verify_lake(pristine.lake, lake_name="test", options=options, stop=lambda: True)
    assert report.interrupted
    assert report.result.value != "proved"


def test_progress_reaches_its_total(pristine):
    """Progress counts entries, rows and contents, and never goes back."""
    told = []
    verify_lake(pristine.lake, lake_name="test", progress=lambda stage, done, total: told.append((stage, done, total)))
    assert {stage for stage, _, _ in told} == {"entries", "records", "contents"}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1] == told[-1][2]


def test_commitments_are_compared_in_pieces(pristine, monkeypatch, findings):
    """However few rows are held at a time, the report is the same."""
    monkeypatch.setattr(scan, "HELD_ROWS", 7)
    monkeypatch.setattr(scan, "BATCH_ROWS", 5)
    monkeypatch.setattr(contents, "TASK_PARTS", 100)
    monkeypatch.setattr(contents, "ROUND_PARTS", 200)
    report = pristine.verify(vkey=pristine.vkey)
    assert findings(report) == []
    assert sum(log.present for log in report.logs) == 766


def test_a_file_is_read_in_stretches_of_its_row_groups(lake, findings, monkeypatch):
    """Tasks over parts of a file together find what one finds, whatever the Delta log says of its rows."""
    for table in TABLES:
        for file in lake.files(table):
            rows = pq.ParquetFile(file).read()
            pq.write_table(rows, file, row_group_size=9)
    monkeypatch.setattr(scan, "TASK_ROWS", 17)
    assert findings(lake.verify(vkey=lake.vkey)) == []
    lake.change_row(50, name="forged")
    lake.delete_rows(400)
    lake.files("logs")[0].unlink()
    lost = lake.verify(vkey=lake.vkey)
    kinds = [kind for _, kind, _, _ in findings(lost)]
    assert sorted(kinds) == ["altered", "missing", "missing", "unreadable-file"]


def test_times_without_a_collector_are_listed(growing):
    """A stop until the next start, and a silence of more than two heartbeats, are gaps; heartbeats in time are none."""
    for name, minutes in (("started", 0), ("heartbeat", 5), ("heartbeat", 25), ("stopped", 27), ("started", 60)):
        growing.record(
            f"collector.{name}", after_seconds=minutes * 60, resource_type="collector", resource_id="main-1a2b3c4d"
        )
    gaps = growing.verify().to_json()["gaps"]
    assert [(gap["shard"], gap["stopped"], gap["seconds"]) for gap in gaps] == [
        ("main-1a2b3c4d", False, 1200),
        ("main-1a2b3c4d", True, 1980),
    ]
    assert gaps[0] == {
        "shard": "main-1a2b3c4d", "from": utc_text(growing.rows.NOW + 300 * NANOS_PER_SECOND),
        "to": utc_text(growing.rows.NOW + 1500 * NANOS_PER_SECOND), "seconds": 1200, "stopped": False,
    }  # fmt: skip


def test_the_stated_interval_and_other_collectors_count(growing):
    """A collector that states an hour is silent for an hour without a gap, and one that listens covers for another."""
    hour = {"muniment.heartbeat_seconds": 3600.0}
    events = [
        ("started", 0, "slow", hour), ("heartbeat", 60, "slow", hour), ("stopped", 61, "slow", hour),
        ("started", 50, "other", hour), ("heartbeat", 110, "other", hour), ("started", 100, "slow", hour),
    ]  # fmt: skip
    for name, minutes, collector, attributes in events:
        growing.record(
            f"collector.{name}", after_seconds=minutes * 60, resource_type="collector", resource_id=collector,
            attributes=attributes,
        )  # fmt: skip
    growing.record("collector.started", after_seconds=90_000, recorded_by="user:liar", resource_id="slow")
    growing.record("collector.started", after_seconds=90_000, tenant="acme", resource_id="slow")
    assert growing.verify().gaps == []
