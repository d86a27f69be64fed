"""Whether the seals of some records hold: each row's commitment against its entry in the log, and that under the signed checkpoint.

Checked with the lake's own public keys: who signed is thereby not established towards anybody who doubts this lake. For that a proof
is made of the record (`warehouse.questions.proof`) and checked with keys that the verifier brings.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from warehouse.ledger.errors import LedgerError
from warehouse.ledger.proof_report import check_proof
from warehouse.questions.bulk_proofs import BulkProof, prove_rows
from warehouse.questions.proof import PROVABLE_TABLES, ProvableLog

if TYPE_CHECKING:
    from warehouse.query import QuerySession

MOST_SEALS = 500
"""Records whose seals one question checks."""

Place: TypeAlias = tuple[str, str, int]
"""Table, shard and index of a record."""


class Seal(StrEnum):
    """How the seal of a record stands, in the words of pages."""

    HOLDS = "holds"
    BROKEN = "broken"
    WAITS = "can't be established yet"
    UNCHECKED = "not checked"


def read_sealed_rows(session: "QuerySession", places: Collection[Place]) -> dict[str, pa.Table]:
    """The whole rows at these places, by table: what commitments are made of, so of a session without limits."""
    found = {}
    for table in PROVABLE_TABLES:
        mine = [(shard, index) for name, shard, index in places if name == table]
        if not mine or table not in session.tables:
            continue
        found[table] = session.run_trusted(
            f"select * from {table} where log_index between $low and $high "  # noqa: S608 - a ledgered table's own name
            "and (shard, log_index) in (select (unnest($shards::varchar[]), unnest($indices::bigint[])))",
            {
                "low": min(index for _, index in mine),
                "high": max(index for _, index in mine),
                "shards": [shard for shard, _ in mine],
                "indices": [index for _, index in mine],
            },
        )
    return found


def check_seals(
    logs: Mapping[str, ProvableLog], rows: Mapping[str, pa.Table], vkeys: Sequence[str]
) -> dict[Place, tuple[Seal, str]]:
    """How the seal of each row stands, and where it does not hold, why. `logs` are one tenant's, by shard."""
    return {(each.table, each.shard, each.index): _seal(each, logs, vkeys) for each in prove_rows(logs, rows)}


def _seal(proved: BulkProof, logs: Mapping[str, ProvableLog], vkeys: Sequence[str]) -> tuple[Seal, str]:
    log = logs.get(proved.shard)
    if log is None or proved.index >= log.checkpoint.size:
        return Seal.WAITS, "no signed checkpoint covers it yet; one is made a few seconds after a record came"
    if proved.proof is None:
        return Seal.BROKEN, proved.problem
    try:
        check_proof(proved.proof, vkeys=vkeys)
    except LedgerError as exc:
        return Seal.BROKEN, str(exc)
    return Seal.HOLDS, ""
