"""An incident as evidence to hand out: what is known of it, the records that made it, and the proof of each, in one ZIP file.

Invariants:
- The file has its name only after `data.exported` stands in the tenant's log: what cannot be recorded is not given out.
- A record that is gone is represented by the proof that its entry stands in the log, and by whether a certificate says why it went.
- The same incident of the same lake gives the same bytes: no clock is in them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from governance.access import Action
from muniment.handing_out import check_whole
from muniment.incident_handling import read_incident
from muniment.incident_rows import RowState, place_condition, place_parameters, row_states, rows_by_table
from muniment.wiring import CommandContext
from muniment.zip_files import expect_free, place_file, write_zip
from pipelines.incidents.clocks import LEGAL_CLOCKS
from retention.subject_rows import parquet_bytes
from warehouse.control import IncidentDetails, IncidentRow
from warehouse.ledger.signing import read_signing_keys
from warehouse.questions.bulk_proofs import BulkProof, prove_rows
from warehouse.questions.proof import PROVABLE_TABLES, ProvableLog, list_logs, prove_entry

_README = """\
Incident {id}: {title}
Rule {rule}, severity {severity}, tenant {tenant}, {rows} records of which {listed} are listed.

incident.json      the incident: what it touches, its timeline and legal clocks, its records with what became of each
tables/            the records that are there, whole, as Parquet
proofs/            for each listed record a proof (c2sp.org/tlog-proof@v1) that it stands in the lake's log; of a record that is
                   gone, that its entry does
checkpoints/       the signed heads of the logs that the proofs lead to
vkeys.txt          the lake's public keys, newest first. They prove nothing about whose lake it is: have its operator tell them
                   to you by another way
manifest.json      SHA-256 and size of every other file

Each proof is verified offline:  muniment verify-proof FILE --vkey KEY
{problems}"""


@dataclass(frozen=True)
class Export:
    """A file that was given out. `gone` are records of which only the log's entry is proved, `problems` those without a proof."""

    file: Path
    sha256: str
    records: int
    proofs: int
    gone: int
    problems: tuple[str, ...]


def export_incident(context: CommandContext, incident_id: str, out: Path) -> Export:
    """Write an incident with its records and their proofs into a ZIP file of mode 0600, recorded as `data.exported` first.

    Raises:
        DeniedError: the principal may not see the incident, or not export its tenant's records, or not read all of them.
        NotFoundError: there is no such incident.
        InputError: the file is there already.
        UnavailableError: the lake cannot be read, the file cannot be written, or the export cannot be recorded.
    """
    details = read_incident(context, incident_id)
    tenant = details.record.tenant_id
    decision = context.check(Action.RECORDS_EXPORT, tenant)
    expect_free(out)
    states = row_states(context, details)
    tables = _tables(context, details)
    check_whole(context, tenant, tables, "an incident's records")
    logs = {log.shard: log for log in list_logs(context.lake, tenant)}
    proved = list(prove_rows(logs, {name: rows for name, rows in tables.items() if name in PROVABLE_TABLES}))
    problems = tuple(f"{each.table} {each.shard} {each.index}: {each.problem}" for each in proved if each.proof is None)
    gone = {row: _entry_proof(logs, row) for row, state in states.items() if state is not RowState.THERE}
    files = _files(context, details, states, tables, proved, gone, problems)

    def record(digest: str) -> None:
        context.record(
            "data.exported",
            tenant,
            action="export",
            resource_type="incident",
            resource_id=incident_id,
            policy_id=decision.policy_id,
            policy_version=decision.policy_version,
            attributes={
                "muniment.report.sha256": digest,
                "muniment.report.rows": {name: rows.num_rows for name, rows in tables.items()},
                "muniment.report.proofs": len(proved) - len(problems),
            },
        )

    digest = place_file(out, lambda file: write_zip(file, files), record)
    return Export(out, digest, len(details.rows), len(proved) - len(problems), len(gone), problems)


def incident_content(details: IncidentDetails, states: Mapping[IncidentRow, RowState]) -> dict[str, Any]:
    """All that is known of an incident, without the present: the same each time until it changes."""
    record = details.record
    return {
        **{name: value for name, value in vars(record).items() if name != "state"},
        "state": record.state.value,
        "affected": {kind: list(values) for kind, values in details.affected.items()},
        "timeline": [vars(line) for line in details.changes],
        "clocks": [
            vars(clock) | {"citation": LEGAL_CLOCKS[clock.clock].citation if clock.clock in LEGAL_CLOCKS else None}
            for clock in details.clocks
        ],
        "records": [vars(row) | {"state": states[row].value} for row in details.rows],
        "duplicates": list(details.duplicates),
    }


def _tables(context: CommandContext, details: IncidentDetails) -> dict[str, pa.Table]:
    """The incident's records that are there, whole, by table."""
    wanted = {
        table: rows for table, rows in rows_by_table(details.rows).items() if table in (*PROVABLE_TABLES, "contents")
    }
    if not wanted:
        return {}
    with context.session([details.record.tenant_id], tables=sorted(wanted)) as session:
        found = {
            table: session.run_trusted(
                f"select * exclude (time) from {table} where {place_condition(table)} order by all",  # noqa: S608  names of the schema
                place_parameters(rows),
            )
            for table, rows in sorted(wanted.items())
        }
    return {table: rows for table, rows in found.items() if rows.num_rows}


def _entry_proof(logs: Mapping[str, ProvableLog], row: IncidentRow) -> bytes | None:
    log = logs.get(row.shard)
    return None if log is None or row.log_index >= log.checkpoint.size else prove_entry(log, row.log_index).encode()


def _files(
    context: CommandContext,
    details: IncidentDetails,
    states: Mapping[IncidentRow, RowState],
    tables: Mapping[str, pa.Table],
    proved: list[BulkProof],
    gone: Mapping[IncidentRow, bytes | None],
    problems: tuple[str, ...],
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file."""
    record = details.record
    said = "".join(f"\nNot proved: {problem}" for problem in problems)
    yield "README.txt", _README.format(
        id=record.id, title=record.title, rule=record.rule, severity=record.severity, tenant=record.tenant_id,
        rows=record.row_count, listed=len(details.rows), problems=said,
    ).encode()  # fmt: skip
    yield "incident.json", json.dumps(incident_content(details, states), ensure_ascii=False, indent=1).encode()
    for table, rows in tables.items():
        yield f"tables/{table}.parquet", parquet_bytes(rows)
    checkpoints: dict[str, bytes] = {}
    for each in proved:
        if each.proof is not None:
            checkpoints[each.shard] = each.proof.checkpoint
            yield f"proofs/{each.shard}/{each.index}.tlog-proof", each.proof.encode()
    for row, proof in gone.items():
        if proof is not None:
            yield f"proofs/{row.shard}/{row.log_index}.tlog-proof", proof
    for shard, note in sorted(checkpoints.items()):
        yield f"checkpoints/{shard}", note
    verifiers = read_signing_keys(context.lake.keys).verifiers(context.settings.lake)
    yield "vkeys.txt", "".join(f"{verifier.vkey}\n" for verifier in verifiers).encode()
