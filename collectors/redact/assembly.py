"""Treated tables put together again: what may not be kept goes, all else is classified.

What was found in a record's contents counts for the record too: that a restricted text went to a model is told by the span.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors.redact.classification import TableFindings, classify_rows
from collectors.redact.policy import RedactionPolicy
from collectors.redact.policy_config import Contents
from warehouse.treated import RecordSet, RejectedRow

_OWNERS = ("spans", "audit_events", "logs")
Flags = npt.NDArray[np.bool_]
Treated = Mapping[str, tuple[pa.RecordBatch, TableFindings]]


def assemble(records: RecordSet, treated: Treated, policy: RedactionPolicy) -> RecordSet:
    """The record set with treated and classified tables; rows that the policy rejects are in `rejected` and nowhere else."""
    contents = treated.get("contents")
    if contents is not None:
        _tell_owners(contents, treated)
    tables = {
        name: classify_rows(batch, found, policy, contents=name == "contents")
        for name, (batch, found) in treated.items()
    }
    kept = {name: _kept(tables[name].num_rows, treated[name][1]) for name in tables if name != "contents"}
    if contents is not None:
        tables["contents"] = _kept_contents(tables["contents"], treated, kept, policy)
        if not tables["contents"].num_rows:
            del tables["contents"]
    rejected = [row for name in kept for row in _rejected(name, tables[name], treated[name][1])]
    for name, flags in kept.items():
        if not flags.all():
            tables[name] = tables[name].filter(pa.array(flags))
    return replace(records, tables={n: b for n, b in tables.items() if b.num_rows}, rejected=tuple(rejected))


def _tell_owners(contents: tuple[pa.RecordBatch, TableFindings], treated: Treated) -> None:
    batch, found = contents
    for row, findings in found.rows.items():
        owner = treated[batch.column("owner_table")[row].as_py()][1]
        owner.note(batch.column("owner_index")[row].as_py(), findings)


def _kept(rows: int, found: TableFindings) -> Flags:
    flags = np.ones(rows, np.bool_)
    flags[[row for row, findings in found.rows.items() if findings.reject]] = False
    return flags


def _kept_contents(
    contents: pa.RecordBatch, treated: Treated, kept: Mapping[str, Flags], policy: RedactionPolicy
) -> pa.RecordBatch:
    """Contents whose owner stays and may have contents, with owners renumbered as the rejected ones go."""
    owner_tables = contents.column("owner_table").to_numpy(zero_copy_only=False)
    owners = contents.column("owner_index").to_numpy()
    flags = np.ones(len(owners), np.bool_)
    renumbered = owners.copy()
    for name in _OWNERS:
        if name not in treated:
            continue
        allowed = kept[name].copy()
        allowed[[row for row, findings in treated[name][1].rows.items() if findings.drops_contents]] = False
        mine = owner_tables == name
        flags[mine] = allowed[owners[mine]]
        renumbered[mine] = (np.cumsum(kept[name]) - 1)[owners[mine]]
    tenants = contents.column("tenant_id").dictionary_encode()
    drops = [policy.for_tenant(tenant).contents is Contents.DROP for tenant in tenants.dictionary.to_pylist()]
    flags &= ~np.array(drops, np.bool_)[tenants.indices.to_numpy()]
    place = contents.schema.get_field_index("owner_index")
    contents = contents.set_column(place, contents.schema.field(place), pa.array(renumbered))
    return contents if flags.all() else contents.filter(pa.array(flags))


def _rejected(name: str, batch: pa.RecordBatch, found: TableFindings) -> list[RejectedRow]:
    return [
        RejectedRow(name, row, findings.reject, batch.column("tenant_id")[row].as_py())
        for row, findings in sorted(found.rows.items())
        if findings.reject
    ]
