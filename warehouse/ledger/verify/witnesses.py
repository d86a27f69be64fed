"""Cosigned checkpoints, and what they say of each log: of `_lake` at first hand, of the others through its `log.heads` events."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from warehouse.ledger import fields
from warehouse.ledger.checkpoint import Checkpoint, read_unverified
from warehouse.ledger.cosignature import WitnessVerifier, cosignatures
from warehouse.ledger.errors import NoteError
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.ledger.verify.events import HEADS, OwnRow
from warehouse.ledger.verify.heads import LogName
from warehouse.names import LAKE_TENANT

WITNESSED_FILE = "checkpoint.witnessed"
WITNESSED_FOLDER = "witnessed"


@dataclass
class Cosigned:
    """Checkpoints of one log that witnesses cosigned: how many different ones each."""

    witnesses: dict[Checkpoint, set[bytes]] = field(default_factory=dict)

    def best(self, required: int) -> Checkpoint | None:
        """The largest checkpoint that at least `required` witnesses cosigned, or a later one each of them did."""
        for checkpoint in sorted(self.witnesses, key=lambda known: -known.size):
            counted = {key for other, keys in self.witnesses.items() if other.size >= checkpoint.size for key in keys}
            if len(counted) >= required:
                return checkpoint
        return None


def read_cosigned(folder: Path, origin: str, witnesses: Sequence[WitnessVerifier]) -> Cosigned:
    """Cosigned checkpoints that stand beside a log of `_lake`, by witnesses that the verifier brought."""
    found = Cosigned()
    kept = folder / WITNESSED_FOLDER
    files = [folder / CHECKPOINT_FILE, folder / WITNESSED_FILE, *(sorted(kept.iterdir()) if kept.is_dir() else ())]
    for file in files:
        for witness in witnesses:
            # a file that is not there or not sound says nothing, and the checkpoint itself is read elsewhere
            with contextlib.suppress(OSError, NoteError):
                note = file.read_bytes()
                if cosignatures(note, [witness]) and (checkpoint := read_unverified(note)).origin == origin:
                    found.witnesses.setdefault(checkpoint, set()).add(witness.public_key)
    return found


def told_heads(rows: Iterable[OwnRow], cosigned: Mapping[LogName, Checkpoint]) -> dict[str, Checkpoint]:
    """The largest head of each origin in `log.heads` events that lie within a cosigned checkpoint of `_lake`."""
    found: dict[str, Checkpoint] = {}
    for row in rows:
        within = cosigned.get(LogName(row.tenant, row.shard))
        if row.name != HEADS or row.tenant != LAKE_TENANT or within is None or row.index >= within.size:
            continue
        heads = row.attributes.get("heads")
        for entry in heads if isinstance(heads, list) else ():
            match entry:
                case [str(origin), int(size), str(root)]:
                    with contextlib.suppress(ValueError):
                        head = Checkpoint(origin, size, fields.decode_hash(root, "root"))
                        if origin not in found or found[origin].size < size:
                            found[origin] = head
    return found
