"""Snapshots of real lakes: what a plan says about them is what counting row by row says."""

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retention import family_rows, snapshot
from retention.durations import Duration
from retention.holding import HoldsInForce, NoHolds
from retention.holds import Hold, HoldScope
from retention.plan import plan, stale_reasons
from retention.policy_compiler import compile_policy
from retention.remembered import Remembered
from retention.snapshot import read_snapshot
from warehouse.errors import UnavailableError
from warehouse.policies import Bundle

DAY, HOUR = 86_400_000_000_000, 3_600_000_000_000


@pytest.fixture(scope="session")
def policy(purging):
    """The policy that `tests/purging.py` counts by, compiled."""
    return compile_policy(Bundle("retention", {"a.yaml": purging.POLICY}))


def append(writer, batch):
    writer.append(batch).result(60)


@pytest.fixture
def filled(writers, purging, rows):
    """A lake with 45 days of everything, most days in several files."""
    writer = writers()
    for seed in range(16):
        append(writer, purging.batch(seed, rows.NOW - seed * 3 * DAY - 7 * HOUR))
        if seed % 6 == 0:
            writer.flush()
    writer.flush()
    return writer


def expected_due(lake, rows, now):
    """How many rows of each table are due, told from every row by its deadlines."""
    due, gone, ended = {}, {}, {}
    for table in ("spans", "audit_events", "logs"):
        for row in rows.read_table(lake, table).to_pylist():
            own, received = row["time_unix_nano"], row["received_unix_nano"]
            age = received if table == "audit_events" else min(own, received)
            keep, event = 40, row.get("event_name") or ""
            if table == "logs" and event.startswith("debug."):
                keep = 12
            elif table in {"spans", "logs"} and row["data_class"] == "restricted":
                keep = 20
            is_bot = row.get("agent_id") == "bot-1" or (row.get("actor_type") == "agent" and row["actor_id"] == "bot-1")
            if is_bot:
                keep = 60
            goes = age + keep * DAY <= now and not (table == "spans" and is_bot and received + 60 * DAY > now)
            goes = goes and not event.startswith(("key.", "log.", "lake."))
            place = row["tenant_id"], row["shard"], row["log_index"]
            gone[place] = goes
            ended[place] = (received, age + (2 if table == "logs" and event.startswith("debug.") else 9999) * DAY)
            due[table] = due.get(table, 0) + goes
    for row in rows.read_table(lake, "contents").to_pylist():
        place = row["tenant_id"], row["shard"], row["owner_index"]
        received, contents_end = ended[place]
        own = min(row["time_unix_nano"], received)
        due["contents"] = due.get("contents", 0) + (own + 10 * DAY <= now or contents_end <= now or gone[place])
    for row in rows.read_table(lake, "metrics").to_pylist():
        age = min(row["time_unix_nano"], row["received_unix_nano"])
        due["metrics"] = due.get("metrics", 0) + (age + 40 * DAY <= now)
    return due


def planned_due(found):
    due = {}
    for partition in found.partitions:
        for file in (*partition.drop, *partition.rewrite):
            due[partition.table] = due.get(partition.table, 0) + file.rows_due
    return due


@pytest.mark.parametrize("days", [-30, 0, 5, 11, 40, 400])
def test_a_plan_counts_what_counting_row_by_row_counts(policy, filled, lake, rows, days):
    """Rules by class, agent and event, minimums, records of the future, contents by their records: exact to the row."""
    now = rows.NOW + days * DAY + 5 * HOUR + 1
    found = plan(read_snapshot(lake, policy, NoHolds(), now, tenants=["acme"]), policy, NoHolds(), now, tenant="acme")
    expected = {table: count for table, count in expected_due(lake, rows, now).items() if count}
    assert planned_due(found) == expected
    assert expected
    for partition in found.partitions:
        if partition.whole:
            rows_there = rows.read_table(lake, partition.table).filter(
                (pa.compute.field("day") == dt.date.fromisoformat(partition.day))
                & (pa.compute.field("tenant_id") == "acme")
            )
            assert sum(file.rows for file in partition.drop) == rows_there.num_rows


def test_what_a_hold_keeps_is_not_due(policy, filled, lake, rows):
    """A hold on an agent keeps its spans and their contents, to the row, and nothing of another tenant or agent."""
    now = rows.NOW + 400 * DAY

    def planned(*holds):
        held = HoldsInForce(holds)
        return plan(read_snapshot(lake, policy, held, now, tenants=["acme"]), policy, held, now, tenant="acme")

    free = planned()
    spans = rows.read_table(lake, "spans").filter(pa.compute.field("tenant_id") == "acme")
    parts = rows.read_table(lake, "contents").filter(pa.compute.field("owner_table") == "spans")
    bots = [row["log_index"] for row in spans.to_pylist() if row["agent_id"] == "bot-2"]
    theirs = sum(
        index in bots for index in parts.filter(pa.compute.field("tenant_id") == "acme")["owner_index"].to_pylist()
    )
    hold = Hold("h1", "acme", HoldScope(agents=("bot-2",)))
    held = planned(hold)
    assert held.holds_hash != free.holds_hash == NoHolds().content_hash
    assert bots
    assert theirs
    assert planned_due(free)["spans"] - planned_due(held)["spans"] == len(bots)
    assert planned_due(free)["contents"] - planned_due(held)["contents"] == theirs
    assert planned_due(planned(Hold("h2", "beta", HoldScope(everything=True)))) == planned_due(free)
    assert planned_due(planned(Hold("h3", "acme", HoldScope(everything=True)))) == {}


def test_only_what_matters_is_read(filled, lake, rows, monkeypatch):
    """Columns of times, places and those that a rule names; no file of a day that metadata decide."""
    read = []
    real = pq.ParquetFile

    class Spy(real):
        def read(self, columns=None, **more):
            read.append(tuple(columns))
            return super().read(columns=columns, **more)

    monkeypatch.setattr(family_rows.pq, "ParquetFile", Spy)
    simple = compile_policy(Bundle("retention", {"a.yaml": 'retention:\n  - {name: a, tables: ["*"], keep: 40}\n'}))
    old = rows.NOW + 4000 * DAY
    found = plan(read_snapshot(lake, simple, NoHolds(), old, tenants=["acme"]), simple, NoHolds(), old)
    assert {partition.table for partition in found.partitions if partition.whole} >= {"spans", "logs", "metrics"}
    assert {columns for columns in read if "event_name" not in columns} <= {
        ("time_unix_nano", "shard", "owner_table", "owner_index"),
        ("time_unix_nano", "received_unix_nano", "shard", "log_index"),
    }
    read.clear()
    young = rows.NOW - 400 * DAY
    assert plan(read_snapshot(lake, simple, NoHolds(), young), simple, NoHolds(), young).is_empty
    assert read == []


def test_what_is_remembered_makes_the_same_plan(policy, filled, lake, rows, monkeypatch):
    """With what earlier plans read, each later or earlier one is the one made without; what did not change is not read again."""
    read = []
    real = pq.ParquetFile

    class Spy(real):
        def read(self, columns=None, **more):
            read.append(tuple(columns))
            return super().read(columns=columns, **more)

    remembered = Remembered()
    nobody, held = NoHolds(), HoldsInForce([Hold("h1", "acme", HoldScope(agents=("bot-2",)))])
    moments = [
        rows.NOW + hours * HOUR for hours in (-24, 9 * 24, 12 * 24, 12 * 24 + 1, 39 * 24 + 3, 40 * 24, 61 * 24, 12 * 24)
    ]
    for now in moments:
        for holds in (nobody, held, nobody):
            fresh = plan(read_snapshot(lake, policy, holds, now), policy, holds, now)
            again = plan(read_snapshot(lake, policy, holds, now, remembered=remembered), policy, holds, now)
            assert again == fresh
    monkeypatch.setattr(family_rows.pq, "ParquetFile", Spy)
    monkeypatch.setattr(snapshot.pq, "read_metadata", None)
    now = moments[-1]
    assert plan(read_snapshot(lake, policy, nobody, now, remembered=remembered), policy, nobody, now).partitions
    assert read == []
    monkeypatch.undo()
    append(filled, rows.whole_batch("later", time=rows.NOW - 30 * DAY))
    filled.flush()
    fresh = plan(read_snapshot(lake, policy, nobody, now), policy, nobody, now)
    assert plan(read_snapshot(lake, policy, nobody, now, remembered=remembered), policy, nobody, now) == fresh


def test_what_is_not_committed_yet_is_not_for_a_plan(policy, filled, lake, rows):
    """Files above their shard's mark are left alone, and a new file does not make a plan stale; a replaced one does."""
    later = rows.NOW + 400 * DAY
    found = plan(read_snapshot(lake, policy, NoHolds(), later), policy, NoHolds(), later)
    append(filled, rows.whole_batch("new", time=rows.NOW - 3 * DAY))
    filled.flush()
    live = {table: rows.live_files(lake, table) for table in ("spans", "audit_events", "logs", "contents", "metrics")}
    inputs = {"policy_hash": policy.content_hash, "holds_hash": NoHolds().content_hash}
    assert stale_reasons(found, **inputs, live=live) == []
    assert stale_reasons(found, **inputs, live=live | {"metrics": []}) != []
    mark = next((lake.journal / filled.shard).glob("committed"))
    mark.write_text(json.dumps({"segment": -1}))
    unsettled = plan(read_snapshot(lake, policy, NoHolds(), later), policy, NoHolds(), later)
    assert unsettled.is_empty


def test_quarantine_goes_by_whole_days(lake, policy, rows):
    """Refused records are due when the last moment of their day is."""
    folder = lake.quarantine / "acme" / "2026-11-01"
    folder.mkdir(parents=True)
    (folder / "main.jsonl").write_text("{}\n")
    ends = int(dt.datetime(2026, 11, 2, tzinfo=dt.UTC).timestamp()) * 1_000_000_000 - 1
    due = Duration(0, 40).deadline(ends)
    for now, partitions in ((due - 1, 0), (due, 1)):
        found = plan(read_snapshot(lake, policy, NoHolds(), now), policy, NoHolds(), now)
        assert len(found.partitions) == partitions
    (partition,) = found.partitions
    assert (partition.table, partition.whole, partition.drop[0].path) == (
        "quarantine",
        True,
        "acme/2026-11-01/main.jsonl",
    )


class HoldSpans:
    """Keeps every second record of spans, and with it its contents; an example of the protocol."""

    content_hash = "sha256:half"

    def may_keep(self, table, tenant_id, day):
        return ("half",) if table in {"spans", "contents"} else ()

    def columns(self, table, tenant_id):
        return ("trace_id",) if table in {"spans", "contents"} else ()

    def kept(self, table, tenant_id, rows):
        return {}

    def kept_families(self, owner_table, tenant_id, owners, parts):
        indices = owners.column("log_index").to_numpy()
        mask = indices % 2 == 0 if owner_table == "spans" else np.zeros(len(indices), bool)
        of_parts = (
            parts.column("owner_index").to_numpy() % 2 == 0
            if owner_table == "spans"
            else np.zeros(parts.num_rows, bool)
        )
        assert "trace_id" in parts.column_names
        return {"half": (mask, of_parts)}


def test_what_a_hold_keeps_is_counted_by_row(policy, filled, lake, rows):
    """Held records and their contents stay, are told with their number, and nothing else is kept for them."""
    now = rows.NOW + 400 * DAY
    found = plan(read_snapshot(lake, policy, HoldSpans(), now, tenants=["acme"]), policy, HoldSpans(), now)
    spans = rows.read_table(lake, "spans").to_pylist()
    held = [row for row in spans if row["log_index"] % 2 == 0 and row["tenant_id"] == "acme"]
    parts = [
        row
        for row in rows.read_table(lake, "contents").to_pylist()
        if row["owner_table"] == "spans" and row["owner_index"] % 2 == 0
    ]
    assert {each.table: each.rows for each in found.kept if each.by == "hold"} == {
        "spans": len(held),
        "contents": len(parts),
    }
    assert planned_due(found)["spans"] == len(spans) - len(held)
    assert planned_due(found)["logs"] == rows.read_table(lake, "logs").num_rows


def test_a_damaged_file_is_reported(lake, policy, filled, rows):
    """A file that cannot be read ends the planning; it is not passed over."""
    victim = lake.table("spans") / rows.live_files(lake, "spans")[0]
    victim.write_bytes(b"nothing")
    with pytest.raises(UnavailableError, match="retention: the lake cannot be read"):
        read_snapshot(lake, policy, NoHolds(), rows.NOW)
