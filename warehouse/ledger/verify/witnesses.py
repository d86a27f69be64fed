"""Cosigned checkpoints, and what they say of each log: of `_lake` at first hand, of the others through its `log.heads` events."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from warehouse.clock import NANOS_PER_SECOND
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
    """Checkpoints of one log that witnesses cosigned: by public key, when each did first, in seconds since 1970."""

    witnesses: dict[Checkpoint, dict[bytes, int]] = field(default_factory=dict)

    def add(self, checkpoint: Checkpoint, public_key: bytes, time_seconds: int) -> None:
        """Take a cosignature that fits."""
        times = self.witnesses.setdefault(checkpoint, {})
        times[public_key] = min(time_seconds, times.get(public_key, time_seconds))

    def best(self, required: int, *, until_unix_nano: int | None = None) -> Checkpoint | None:
        """The largest checkpoint that at least `required` witnesses cosigned, or a later one each of them did.

        With `until_unix_nano` only cosignatures made at or before that instant count, by the witnesses' clocks.
        """
        counted: set[bytes] = set()
        for checkpoint in sorted(self.witnesses, key=lambda known: -known.size):
            mine = {
                key
                for key, seconds in self.witnesses[checkpoint].items()
                if until_unix_nano is None or seconds * NANOS_PER_SECOND <= until_unix_nano
            }
            counted |= mine
            if mine and len(counted) >= required:
                return checkpoint
        return None

    @property
    def count(self) -> int:
        """How many different witnesses cosigned anything of this log."""
        return len({key for keys in self.witnesses.values() for key in keys})


def read_cosigned(folder: Path, origin: str, witnesses: Sequence[WitnessVerifier]) -> Cosigned:
    """Cosigned checkpoints that stand beside a log of `_lake`, by witnesses that the verifier brought."""
    found = Cosigned()
    kept = folder / WITNESSED_FOLDER
    files = [folder / CHECKPOINT_FILE, folder / WITNESSED_FILE, *(sorted(kept.iterdir()) if kept.is_dir() else ())]
    for file in files:
        # a file that is not there or not sound says nothing, and the checkpoint itself is read elsewhere
        with contextlib.suppress(OSError, NoteError):
            note = file.read_bytes()
            checkpoint = read_unverified(note)
            if checkpoint.origin == origin and checkpoint.size:
                _add_cosignatures(found, checkpoint, note, witnesses)
    return found


def _add_cosignatures(
    found: Cosigned, checkpoint: Checkpoint, note: bytes, witnesses: Sequence[WitnessVerifier]
) -> None:
    for witness in witnesses:
        with contextlib.suppress(NoteError):  # one that does not fit takes nothing from the others
            for cosignature in cosignatures(note, [witness]):
                found.add(checkpoint, witness.public_key, cosignature.time_seconds)


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
                        if size > 0 and (origin not in found or found[origin].size < size):
                            found[origin] = head
    return found
