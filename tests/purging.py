"""Lakes to purge, what is in them, and an oracle of what must stay: for tests, and for processes that tests kill.

Run as `python tests/purging.py LAKE --days N [--die-at STEP]` it applies what is due that many days after `rows.NOW`, and ends as by
kill -9 after its STEP-th durable step. Nothing of the product knows of this but the hook that hears of each step.
"""

import argparse
import json
import os
import random
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import rows

from governance.access import Access, local_principal
from muniment.purging import purge_due
from muniment.settings import read_settings
from muniment.setup import set_up_lake
from muniment.wiring import CommandContext
from retention.policy_compiler import KIND, compile_policy
from warehouse.commit import open_stores
from warehouse.lake import Lake
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.verify import VerifyOptions, verify_lake
from warehouse.policies import Bundle, apply
from warehouse.treated import UnsafeKeepAll
from warehouse.writer import WriterConfig, open_writer

DIED = 9
DAY, HOUR = 86_400_000_000_000, 3_600_000_000_000
LAKE_NAME = "test"
TENANTS = ("acme", "beta")
TABLES = ("spans", "audit_events", "logs", "contents", "metrics")
POLICY = """
retention:
  - {name: base, tables: ["*"], keep: 40}
  - {name: parts, tables: [contents], keep: 10}
  - {name: secret, tables: [spans, logs], classes: [restricted], keep: 20}
  - {name: bot, tables: [spans, audit_events], agents: [bot-1], keep: 60}
  - {name: debug, tables: [logs], events: ["debug.*"], keep: 12}
  - {name: dumps, tables: [logs], events: ["debug.*"], keep: 2, action: contents}
  - {name: floor, tables: [spans], agents: [bot-1], minimum: 60, citation: a law}
"""


def batch(seed, time, *, tenant="acme", count=5):
    """Some rows of every table around `time`, received up to three days apart from their own time."""
    pick = random.Random(seed)

    def owned(table):
        times = [time + pick.randrange(-6 * HOUR, 6 * HOUR) for _ in range(count)]
        more = {
            "received_unix_nano": [each + pick.randrange(-3 * DAY, 3 * DAY) for each in times],
            "data_class": [pick.choice([None, "internal", "restricted"]) for _ in range(count)],
        }
        if table == "spans":
            more["agent_id"] = [pick.choice([None, "bot-1", "bot-2"]) for _ in range(count)]
        if table == "audit_events":
            more["actor_id"] = [pick.choice(["bot-1", "alice"]) for _ in range(count)]
            more["actor_type"] = [pick.choice(["agent", "human"]) for _ in range(count)]
            more["event_name"] = [pick.choice(["approval.granted", "key.rotated"]) for _ in range(count)]
        if table == "logs":
            more["event_name"] = [pick.choice([None, "debug.dump", "started"]) for _ in range(count)]
        return rows.ledgered(table, count, f"b{seed}", tenant=tenant, time=times, **more)

    spans, logs = owned("spans"), owned("logs")
    parts = []
    for table, owner in (("spans", spans), ("logs", logs)):
        for number in range(0, count, 2):
            own = owner.column("time_unix_nano")[number].as_py()
            parts.append(
                rows.contents([number], [f"p{number}"], owner_table=table, tenant=tenant, time=own, tag=f"b{seed}")
            )
    return rows.treated(
        spans=spans,
        logs=logs,
        audit_events=owned("audit_events"),
        metrics=rows.metrics(3, f"b{seed}", tenant=tenant, time=time),
        contents=pa.Table.from_batches(parts).combine_chunks().to_batches()[0],
    )


def open_context(folder, *, days=0, user=None):
    """The lake as a command sees it, so many days after `rows.NOW`; own events are kept as they are."""
    lake = Lake(Path(folder))
    settings = read_settings(lake)
    principal = local_principal() if user is None else user
    context = CommandContext(
        lake, settings, Access.for_lake(lake.path, settings.users), principal, lambda: rows.NOW + int(days * DAY)
    )
    context.__dict__["redactor"] = UnsafeKeepAll()
    return context


def open_shard(context, name="main", **settings):
    """A writer that commits when told."""
    hour = {"commit_interval_seconds": 3600.0, "max_commit_interval_seconds": 3600.0}
    return open_writer(
        context.lake, name, context.claims, open_stores(context.lake), config=WriterConfig(**{**hour, **settings}),
        clock=context.clock, lake_name=LAKE_NAME, redactor=UnsafeKeepAll(),
    )  # fmt: skip


def write(context, *batches, shard="main"):
    """Write batches as one segment, committed."""
    writer = open_shard(context, shard)
    try:
        for each in batches:
            writer.append(each).result(120)
    finally:
        writer.stop()


def put_in_force(context, text=POLICY):
    """Make a retention policy the one in force."""
    bundle = Bundle(KIND, {"a.yaml": text})
    compile_policy(bundle)
    apply(context.control, bundle, "user:test", replacing=context.control.policy_hash(KIND))


def new_lake(folder, *, policy=POLICY, tenants=TENANTS):
    """A lake with tenants and a policy, and nothing in it."""
    set_up_lake(Path(folder), name=LAKE_NAME, clock=lambda: rows.NOW)
    context = open_context(folder)
    for tenant in tenants:
        context.control.add_tenant(tenant)
    put_in_force(context, policy)
    return context


def fill(context):
    """Some weeks of two tenants, in two shards that share their days, most days in several files."""
    for shard, seeds in (("main", (0, 1, 3, 5, 6)), ("side", (8, 9, 14))):
        writer = open_shard(context, shard)
        try:
            for seed in seeds:
                time = rows.NOW - (seed % 8) * 5 * DAY - 7 * HOUR
                writer.append(batch(seed, time)).result(120)
                writer.append(batch(100 + seed, time, tenant="beta", count=3)).result(120)
                if seed % 3 == 0:
                    writer.flush()
        finally:
            writer.stop()
    return context


def copy(lake, folder):
    """A copy of a lake on disk."""
    shutil.copytree(lake, folder, ignore=shutil.ignore_patterns("*.sock"))
    return Path(folder)


def key_of(table, row):
    """What names a row for ever."""
    if table == "contents":
        return table, row["tenant_id"], row["shard"], row["owner_index"], row["part"]
    if table == "metrics":
        return table, row["tenant_id"], row["attributes"]
    return table, row["tenant_id"], row["shard"], row["log_index"]


def is_own(row):
    """Whether Muniment or its operator wrote a row itself."""
    return not (row.get("recorded_by") or "key:").startswith("key:")


def keys(lake, *, tenant=None, own=False):
    """What names each row that a reader may show, but those that Muniment wrote itself."""
    return {
        key_of(table, row)
        for table in TABLES
        for row in rows.read_table(lake, table).to_pylist()
        if (own or not is_own(row)) and tenant in {None, row["tenant_id"]}
    }


def keys_on_disk(lake):
    """What names each row of any Parquet file that lies in a table's folder, live or not."""
    found = {}
    for table in TABLES:
        for file in sorted(lake.table(table).glob("tenant_id=*/day=*/*.parquet")):
            tenant = file.parent.parent.name.removeprefix("tenant_id=")
            for row in pq.ParquetFile(file).read().to_pylist():
                found.setdefault(key_of(table, row | {"tenant_id": tenant}), []).append(file)
    return found


def staying(lake, now):
    """What names each row that must stay at `now` under `POLICY`, told from every row by its deadlines."""
    kept, gone, ends = set(), {}, {}
    for table in ("spans", "audit_events", "logs"):
        for row in rows.read_table(lake, table).to_pylist():
            own, received = row["time_unix_nano"], row["received_unix_nano"]
            age = received if table == "audit_events" else min(own, received)
            event, keep = row.get("event_name") or "", 40
            if table == "logs" and event.startswith("debug."):
                keep = 12
            elif table in {"spans", "logs"} and row["data_class"] == "restricted":
                keep = 20
            bot = row.get("agent_id") == "bot-1" or (row.get("actor_type") == "agent" and row["actor_id"] == "bot-1")
            keep = 60 if bot else keep
            goes = age + keep * DAY <= now
            goes = goes and not (table == "spans" and bot and received + 60 * DAY > now)
            goes = goes and not event.startswith(
                ("key.", "log.", "lake.", "retention.", "hold.", "erasure.", "ledger.")
            )
            place = row["tenant_id"], row["shard"], row["log_index"]
            gone[place] = goes
            dumped = table == "logs" and event.startswith("debug.") and age + 2 * DAY <= now
            ends[place] = (received, dumped)
            if not goes:
                kept.add(key_of(table, row))
    for row in rows.read_table(lake, "contents").to_pylist():
        place = row["tenant_id"], row["shard"], row["owner_index"]
        received, dumped = ends.get(place, (row["time_unix_nano"], False))
        own = min(row["time_unix_nano"], received)
        if not (own + 10 * DAY <= now or dumped or gone.get(place, False)):
            kept.add(key_of("contents", row))
    for row in rows.read_table(lake, "metrics").to_pylist():
        if min(row["time_unix_nano"], row["received_unix_nano"]) + 40 * DAY > now:
            kept.add(key_of("metrics", row))
    return kept


def certificates(context, tenant):
    """Documents of a tenant: intents, certificates."""
    from retention.documents import Documents
    from warehouse.ledger.certificates import PurgeIntent

    stored = [each for each in Documents(context.lake, LAKE_NAME).read() if each.document.details["tenant"] == tenant]
    intents = [each for each in stored if isinstance(each.document, PurgeIntent)]
    return intents, [each for each in stored if not isinstance(each.document, PurgeIntent)]


def verify(lake):
    """A verification with the lake's own key brought along."""
    key = read_signing_keys(lake.keys).verifiers(LAKE_NAME)[0]
    return verify_lake(lake, lake_name=LAKE_NAME, tenants=None, options=VerifyOptions(vkeys=(key,), seen=None))


def findings(report):
    """Findings as (tenant, shard's name, kind, first, last)."""
    return sorted(
        (log.tenant, log.shard.rpartition("-")[0], each.kind.value, each.index, each.index if each.last is None else each.last)
        for log in report.logs
        for each in log.findings
    )  # fmt: skip


def main():
    """Apply what is due, and die where told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lake")
    parser.add_argument("--days", type=float, required=True)
    parser.add_argument("--die-at", type=int, default=0)
    given = parser.parse_args()
    steps = []

    def step(tenant, what):
        steps.append(f"{tenant}: {what}")
        if len(steps) == given.die_at:
            sys.stdout.write(json.dumps(steps) + "\n")
            sys.stdout.flush()
            os._exit(DIED)

    purge_due(open_context(given.lake, days=given.days), step=step)
    sys.stdout.write(json.dumps(steps) + "\n")


if __name__ == "__main__":
    main()
