"""What independent witnesses vouch for of one tenant's logs: the newest head that stands in a cosigned log of `_lake`, with its proofs.

Witnesses cosign the logs of `_lake` alone (`warehouse.ledger.heads`). A tenant's log is vouched for as far as a `log.heads` event
tells its head, in a record below a cosigned size. Only an event that tells of no other tenant is handed out.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from warehouse.lake import Lake
from warehouse.ledger import fields
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.cosignature import Cosignature, WitnessVerifier
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import add_signatures
from warehouse.ledger.witnessing import CosignatureStore
from warehouse.names import LAKE_TENANT
from warehouse.query import QuerySession
from warehouse.questions.bulk_proofs import prove_rows
from warehouse.questions.proof import ProvableLog, list_logs

_LOOKED_AT = 50
"""Events looked at for one that tells of the tenant alone: those of older versions told of every tenant."""
_NEWEST = (
    "select * exclude (time) from audit_events where event_name = 'log.heads' and starts_with(recorded_by, 'muniment:') "
    "and tenant_id = ? and shard = ? and log_index < ? and contains(attributes, ?) order by log_index desc limit ?"
)


@dataclass(frozen=True)
class Witnessed:
    """How far witnesses vouch for one log: its head then (`size`, `root`), and what shows it.

    `proof` is the tlog-proof of the event that tells the head, with the cosigned checkpoint in it, at `index` of the log `teller`
    of `_lake`; `consistency` leads from `size` to the size that the log has now.
    """

    shard: str
    size: int
    root: bytes
    teller: str
    index: int
    proof: bytes
    consistency: tuple[bytes, ...]
    cosigned: tuple[tuple[str, int], ...]
    """Name of each witness, and when it cosigned, in seconds since 1970."""

    @property
    def newest_seconds(self) -> int:
        """When it was cosigned last."""
        return max(seconds for _, seconds in self.cosigned)


def find_witnessed(
    session: QuerySession, lake: Lake, logs: Sequence[ProvableLog], witnesses: Sequence[WitnessVerifier]
) -> list[Witnessed]:
    """What these witnesses vouch for of a tenant's logs, by log, the newest cosignature first. `session` is over `_lake`.

    Raises:
        QueryError: the tables cannot be read.
        TileError: a tile that a proof needs is missing or damaged.
    """
    found = [
        witnessed
        for teller, cosigned in _cosigned(lake, witnesses)
        for log in logs
        if (witnessed := _newest(session, teller, cosigned, log)) is not None
    ]
    return sorted(found, key=lambda each: (each.shard, -each.newest_seconds, each.teller, each.index))


def _cosigned(
    lake: Lake, witnesses: Sequence[WitnessVerifier]
) -> Iterator[tuple[ProvableLog, tuple[Cosignature, ...]]]:
    """Each log of `_lake` as witnesses cosigned it last: witnesses that cosigned the same checkpoint share one note."""
    store = CosignatureStore(lake, witnesses)
    for log in list_logs(lake, LAKE_TENANT):
        notes: dict[str, tuple[bytes, tuple[Cosignature, ...]]] = {}
        for witness in witnesses:
            if (newest := store.newest(log.shard, witness)) is None:
                continue
            note, cosignature = newest
            content, before = notes.get(note.text, (note.encode(), ()))
            notes[note.text] = add_signatures(content, [cosignature.signature]), (*before, cosignature)
        for content, cosignatures in notes.values():
            yield replace(log, note=content, checkpoint=read_unverified(content)), cosignatures


def _newest(
    session: QuerySession, teller: ProvableLog, cosigned: Sequence[Cosignature], log: ProvableLog
) -> Witnessed | None:
    origin = log.checkpoint.origin
    rows = session.run_trusted(
        _NEWEST, [LAKE_TENANT, teller.shard, teller.checkpoint.size, json.dumps(origin), _LOOKED_AT]
    )
    own = f"{origin.rpartition('/')[0]}/"
    for at, text in enumerate(rows.column("attributes").to_pylist()):
        heads = json.loads(text).get("heads", [])
        if not all(str(head[0]).startswith(own) for head in heads):
            continue
        head = next(head for head in heads if head[0] == origin)
        if 0 < int(str(head[1])) <= log.checkpoint.size:  # it may have grown, and been told of, since it was read
            return _shown(rows.slice(at, 1), teller, cosigned, log, head)
    return None


def _shown(
    row: pa.Table, teller: ProvableLog, cosigned: Sequence[Cosignature], log: ProvableLog, head: Sequence[object]
) -> Witnessed | None:
    size = int(str(head[1]))
    (made,) = prove_rows({teller.shard: teller}, {"audit_events": row})
    if made.proof is None:
        return None
    grown = size < log.checkpoint.size
    return Witnessed(
        log.shard,
        size,
        fields.decode_base64(str(head[2])),
        teller.shard,
        made.index,
        made.proof.encode(),
        tuple(LogTiles(log.folder).consistency_proof(size, log.checkpoint.size)) if grown else (),
        tuple(sorted((each.witness, each.time_seconds) for each in cosigned)),
    )
