"""What a proof establishes, for whoever holds it and a public key: checked and put into words. No I/O.

Whom to believe comes from the caller alone. A key named like the lake counts under the origin of each of its logs, a key named
like a whole origin for that log only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse.clock import NANOS_PER_SECOND, utc_text
from warehouse.ledger import fields
from warehouse.ledger.checkpoint import read_unverified, split_origin
from warehouse.ledger.cosignature import WitnessVerifier
from warehouse.ledger.errors import ProofError, UnknownKeyError
from warehouse.ledger.note import Ed25519Verifier
from warehouse.ledger.record import Record, parse_record_text
from warehouse.ledger.tiles import ENTRY_BYTES
from warehouse.ledger.tlog_proof import Proved, TlogProof, record_of, verify_entry_proof, verify_record_proof

FRESHNESS = "that this is the log's latest state: ask for a newer proof or run `muniment verify` with --seen"
ONE_HISTORY = "that nobody was shown another history of this log: a witness's cosignature would show it"
TRUTH = "that what the record says is true: only that it was recorded, by whom, and not changed since"
CONTENT = "what the record said: the proof holds its entry alone; it was gone from the lake, or was left out: `muniment verify` tells"


@dataclass(frozen=True)
class ProofReport:
    """A proof that holds. `record` is None where it shows an entry alone; `signers` are the vkeys that signed."""

    proved: Proved
    record: Record | None
    signers: tuple[str, ...]
    not_established: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The report for machines."""
        head = self.proved.checkpoint
        record = self.record and {
            "table": self.record.table,
            "schema_version": self.record.schema_version,
            "values": {name: value for name, value in self.record.values.items() if value is not None},
        }
        return {
            "origin": head.origin,
            "index": self.proved.index,
            "size": head.size,
            "root": fields.encode_base64(head.root),
            "commitment": self.proved.entry.hex(),
            "signed_by": list(self.signers),
            "cosigned_by": [
                {"name": cosigned.witness, "time": utc_text(cosigned.time_seconds * NANOS_PER_SECOND)}
                for cosigned in self.proved.cosignatures
            ],
            "record": record,
            "not_established": list(self.not_established),
        }

    def lines(self) -> list[str]:
        """The report for people."""
        head = self.proved.checkpoint
        lines = [f"proved: entry {self.proved.index} of the log {head.origin}, which then had {head.size} entries"]
        lines += [f"  signed by     {vkey}" for vkey in self.signers]
        lines += [
            f"  cosigned by   {cosigned.witness} at {utc_text(cosigned.time_seconds * NANOS_PER_SECOND)}"
            for cosigned in self.proved.cosignatures
        ]
        lines += [f"  root          {fields.encode_base64(head.root)}", f"  commitment    {self.proved.entry.hex()}"]
        if self.record is not None:
            lines.append(f"the record, a row of {self.record.table} (schema version {self.record.schema_version}):")
            lines += [f"  {name:<28}{value}" for name, value in self.record.values.items() if value is not None]
        lines.append("not established:")
        lines += [f"  - {what}" for what in self.not_established]
        return lines


def check_proof(
    proof: TlogProof, *, vkeys: Sequence[str], witnesses: Iterable[str] = (), quorum: int = 0
) -> ProofReport:
    """Check a proof with the verifier's own keys, given as vkeys.

    Raises:
        ProofError: inclusion is not shown, fewer than `quorum` of the witnesses cosigned, or the record says of itself that
            it stands elsewhere.
        UnknownKeyError: none of the keys is for this log, or none of them signed.
        NoteError: the checkpoint or a key is not in its format.
        RecordTextError: what the proof carries is not a record.
    """
    origin = read_unverified(proof.checkpoint).origin
    keys = {key.key_id: (vkey, key) for vkey, key in _keys_of(origin, vkeys)}
    if not keys:
        got = ", ".join(sorted({vkey.partition("+")[0] for vkey in vkeys})) or "none"
        raise UnknownKeyError(f"the proof is of the log {origin}: expected a key named so or like its lake, got {got}")
    given = [WitnessVerifier.from_vkey(vkey) for vkey in witnesses]
    log_keys = [key for _, key in keys.values()]
    entry = proof.extra if proof.extra is not None and len(proof.extra) == ENTRY_BYTES else None
    if entry is not None:
        proved = verify_entry_proof(proof, entry, origin=origin, log_keys=log_keys, witnesses=given, quorum=quorum)
        record = None
    else:
        proved = verify_record_proof(proof, origin=origin, log_keys=log_keys, witnesses=given, quorum=quorum)
        record = parse_record_text(record_of(proof)[1])
        _check_place(record, proved)
    signers = tuple(keys[signature.key_id][0] for signature in proved.signatures)
    return ProofReport(proved, record, signers, _not_established(proved, record))


def _keys_of(origin: str, vkeys: Iterable[str]) -> Sequence[tuple[str, Ed25519Verifier]]:
    """The keys that count for a log, with the text by which the verifier knows each."""
    known = [(vkey, Ed25519Verifier.from_vkey(vkey)) for vkey in vkeys]
    return [(vkey, key.named(origin)) for vkey, key in known if origin == key.name or origin.startswith(f"{key.name}/")]


def _check_place(record: Record, proved: Proved) -> None:
    """Check that the record names the place where it stands: whoever signs could commit a row of one log to another."""
    said = tuple(record.values.get(name) for name in ("tenant_id", "shard", "log_index"))
    _, tenant, shard = split_origin(proved.checkpoint.origin)
    if said != (tenant, shard, str(proved.index)):
        raise ProofError(
            f"the record: expected one of index {proved.index} of {tenant}/{shard}, got one that says of itself index "
            f"{said[2]} of {said[0]}/{said[1]}: the log was not written as Muniment writes it",
            hint="keep the file: with the signature it shows what the holder of the key put there",
        )


def _not_established(proved: Proved, record: Record | None) -> tuple[str, ...]:
    history = () if proved.cosignatures else (ONE_HISTORY,)
    return (FRESHNESS, *history, TRUTH if record is not None else CONTENT)
