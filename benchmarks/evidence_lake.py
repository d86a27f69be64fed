"""The lake that evidence packs are measured on: 5 million spans, 500,000 audit events, and the logs that seal both; made once.

Spans are those of the lake that queries are measured on, their files linked. Audit events come from one decoded request, dealt
out with times and approvals of their own. Tiles and checkpoints are written by the product's own keeper, from the rows.
"""

import json
import secrets
import shutil
import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from benchmarks.machine import cache_folder
from benchmarks.query_lake import SHARD, TENANTS, linked, query_lake
from collectors.costs import PriceBook
from collectors.decode import decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal
from governance.access import local_principal
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND, system_clock
from warehouse.commit import open_stores
from warehouse.lake import Lake
from warehouse.ledger.keeper import LedgerKeeper
from warehouse.maintenance import MaintenanceConfig, run_maintenance
from warehouse.marks import read_marks, write_mark
from warehouse.parquet import write_parts
from warehouse.query import QuerySettings, open_session
from warehouse.sequence import sequence
from warehouse.tables import TABLES
from warehouse.treated import RecordSet

LAKE_NAME = "bench"
_SEED = 31
_FORMAT = 1
_CHANGES = ("prompt.changed", "model.switched", "tool.changed", "release.promoted")
_KEPT = "kept.json"


@dataclass(frozen=True)
class EvidenceLake:
    """A lake, how many spans and audit events it holds, and its first and last day (nanoseconds since 1970)."""

    lake: Lake
    spans: int
    events: int
    first_unix_nano: int
    last_unix_nano: int


def evidence_lake(spans: int) -> EvidenceLake:
    """The lake of about `spans` spans and a tenth as many audit events, made if the cache does not hold it."""
    folder = cache_folder() / f"evidence-{spans}"
    description = folder / _KEPT
    if not description.exists() or json.loads(description.read_text(encoding="utf8"))["format"] != _FORMAT:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        description.write_text(json.dumps(_make(f"{folder.name}/lake", spans)), encoding="utf8")
    made = json.loads(description.read_text(encoding="utf8"))
    lake = Lake((folder / "lake").absolute())
    return EvidenceLake(lake, made["spans"], made["events"], made["first"], made["last"])


def _make(name: str, spans: int) -> dict[str, int]:
    started = time.monotonic()
    made = query_lake(spans)
    lake = linked(made.lake, name)
    days = _days(lake)
    keeper = LedgerKeeper(lake, lake_name=LAKE_NAME, shard=SHARD, clock=system_clock)
    for day in days:
        keeper.advance({"spans": _spans_of(lake, day)})
    print(f"evidence lake: spans sealed after {time.monotonic() - started:.0f} s", flush=True)
    events = _add_events(lake, keeper, days, made.spans // 10)
    config = MaintenanceConfig(settled_merge_files=2, removed_grace_seconds=0)
    report = run_maintenance(lake, open_stores(lake), config=config, clock=system_clock)
    if report.failures:
        raise RuntimeError(f"maintenance: {report.failures}")
    print(f"evidence lake: made after {time.monotonic() - started:.0f} s", flush=True)
    return {
        "format": _FORMAT,
        "spans": made.spans,
        "events": events,
        "first": days[0] * NANOS_PER_DAY,
        "last": days[-1] * NANOS_PER_DAY,
    }


def _days(lake: Lake) -> list[int]:
    with open_session(
        lake.path, tenants=TENANTS[:1], principal=local_principal(), settings=QuerySettings(), tables=("spans",)
    ) as session:
        found = session.run_trusted("select min(day), max(day) from spans").to_pylist()[0]
    first, last = (int(np.datetime64(value, "D").astype(np.int64)) for value in found.values())
    return list(range(first, last + 1))


def _spans_of(lake: Lake, day: int) -> pa.Table:
    """Whole rows of one day, of every tenant."""
    rows = []
    for tenant in TENANTS:
        with open_session(
            lake.path, tenants=[tenant], principal=local_principal(), settings=QuerySettings(), tables=("spans",)
        ) as session:
            rows.append(
                session.run_trusted(
                    "select * exclude (time) from spans where day = ?::date order by log_index",
                    [str(np.datetime64(day, "D"))],
                )
            )
    return pa.concat_tables(rows)


def _add_events(lake: Lake, keeper: LedgerKeeper, days: list[int], wanted: int) -> int:
    pool = _decoded()
    random = np.random.default_rng(_SEED)
    store = open_stores(lake)["audit_events"]
    segment = read_marks(lake)[SHARD]
    cycles = max(1, wanted // (len(days) * len(TENANTS) * pool.num_rows))
    next_index = {tenant: _next_index(lake, tenant) for tenant in TENANTS}
    total = 0
    for day in days:
        segment += 1
        batches = []
        for tenant in TENANTS:
            given = _deal(pool, cycles, tenant, day, random)
            after = sequence(
                RecordSet({"audit_events": given}), shard=SHARD, segment=segment, metric_row=0,
                next_index={tenant: next_index[tenant]}, random_bytes=secrets.token_bytes,
            )  # fmt: skip
            next_index[tenant] += given.num_rows
            total += given.num_rows
            batches.append(after.tables["audit_events"])
        rows = pa.Table.from_batches(batches)
        parts = write_parts(TABLES["audit_events"], rows, store.folder, stem=f"{SHARD}-{segment:010d}")
        modified = system_clock() // (NANOS_PER_SECOND // 1000)
        store.append([part.add_action(modified) for part in parts], [(f"{SHARD}/audit_events", segment)])
        keeper.advance({"audit_events": rows})
        write_mark(lake.journal / SHARD, segment)
    return total


def _next_index(lake: Lake, tenant: str) -> int:
    with open_session(
        lake.path, tenants=[tenant], principal=local_principal(), settings=QuerySettings(), tables=("spans",)
    ) as session:
        return int(session.run_trusted("select max(log_index) from spans").column(0)[0].as_py()) + 1


def _deal(pool: pa.RecordBatch, cycles: int, tenant: str, day: int, random: np.random.Generator) -> pa.RecordBatch:
    """The pool so many times over, in the day, each time with an approval of its own; one in ten approvals is asserted."""
    count = cycles * pool.num_rows
    rows = pool.take(pa.array(np.tile(np.arange(pool.num_rows), cycles)))
    cycle = np.repeat(np.arange(cycles), pool.num_rows)
    begin = day * NANOS_PER_DAY + random.integers(0, 22 * 3_600 * NANOS_PER_SECOND, cycles)
    times = begin[cycle] + np.tile(np.arange(pool.num_rows), cycles) * NANOS_PER_SECOND
    named = rows.column("approval_id").is_valid().to_numpy(zero_copy_only=False)
    approvals = [f"apr-{day}-{number}" if has else None for number, has in zip(cycle.tolist(), named, strict=True)]
    granted = np.array(rows.column("event_name").to_pylist()) == "approval.granted"
    how = np.where(cycle % 10 == 0, "asserted", "key-bound")
    given = {
        "tenant_id": pa.repeat(pa.scalar(tenant), count),
        "time_unix_nano": pa.array(times),
        "received_unix_nano": pa.array(times + NANOS_PER_SECOND),
        "day": pa.array(np.full(count, day, np.int32)).view(pa.date32()),
        "approval_id": pa.array(approvals, pa.string()),
        "assurance": pa.array(
            [each if is_granted else None for each, is_granted in zip(how, granted, strict=True)], pa.string()
        ),
    }
    arrays = [given.get(name, rows.column(name)) for name in rows.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=rows.schema)


def _decoded() -> pa.RecordBatch:
    """Forty audit events as a fleet sends them: mostly decisions, with an approved change, a credential and a gate."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    _event(records.add(), "approval.requested", "agt-desk", "agent", approval="apr", action="change", resource="desk")
    _event(records.add(), "approval.granted", "ann", "human", approval="apr", action="change", resource="desk")
    _event(records.add(), "gate.evaluated", "ci", "service", approval="apr", action="evaluate", resource="desk")
    for number, name in enumerate(_CHANGES):
        _event(records.add(), name, "bob", "human", approval="apr" if number else "", action="change", resource="desk")
    _event(records.add(), "credential.issued", "ann", "human", action="issue", resource="cred-1")
    for number in range(32):
        outcome = "denied" if number % 16 == 5 else "success"
        action = "delete_account" if outcome == "denied" else "refund"
        _event(
            records.add(),
            "access.decided",
            f"agt-{number % 8}",
            "agent",
            action=action,
            resource="order",
            outcome=outcome,
        )
    sender = Sender(tenant_id=TENANTS[0], key_id="bench", recorded_by="key:bench", peer="127.0.0.1:40000")
    export = Export(Signal.LOGS, request.SerializeToString(), sender, system_clock(), bytes(16))
    return decode_group([export], limits=IntakeLimits(), prices=PriceBook([])).records.tables["audit_events"]


def _event(
    record: LogRecord, name: str, actor: str, kind: str, *, action: str, resource: str, approval: str = "", outcome: str = "success"
) -> None:  # fmt: skip
    record.time_unix_nano = record.observed_time_unix_nano = system_clock()
    record.event_name = name
    values = {
        "audit.actor.id": actor, "audit.actor.type": kind, "audit.action": action, "audit.resource.type": "thing",
        "audit.resource.id": resource, "audit.outcome": outcome, "audit.policy.id": "limits", "audit.policy.version": "3",
        "audit.reason": "as asked", "audit.approval.id": approval,
    }  # fmt: skip
    for key, value in values.items():
        if value:
            attribute = record.attributes.add()
            attribute.key = key
            attribute.value.string_value = value
