"""What one verification is asked, and what it has found so far: shared by its passes."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint
from warehouse.ledger.cosignature import WitnessVerifier
from warehouse.ledger.errors import NoteError
from warehouse.ledger.listening import CollectorEvent
from warehouse.ledger.note import Ed25519Verifier
from warehouse.ledger.rotation import EVENT_NAME as KEY_ROTATED
from warehouse.ledger.rotation import RESOURCE_TYPE as LEDGER_KEY
from warehouse.ledger.rotation import Rotation, read_rotations
from warehouse.ledger.verify.events import OwnRow
from warehouse.ledger.verify.heads import Head, LogName
from warehouse.ledger.verify.report import VerifyReport
from warehouse.ledger.verify.seen import Quorum, Seen
from warehouse.ledger.verify.witnesses import Cosigned, told_heads
from warehouse.names import LAKE_TENANT

ATTEMPTS = 5
"""Times that a partition is read whose files rewrites replace meanwhile."""

Progress = Callable[[str, int, int], None]
"""`progress(stage, done, total)`: entries and rows, as far as they are known beforehand."""


@dataclass(frozen=True)
class VerifyOptions:
    """What the verifier brings along, and how it wants to look.

    `seen` is its memory of earlier checkpoints, None without one. `since` looks only at what came after it. Of
    `witness_keys`, at least `require_witness` must have cosigned. `workers` are processes. `by_number` accounts for every index,
    and makes commitments of audit events alone: of spans and logs only that a row is there is looked at, of contents nothing.
    """

    vkeys: Sequence[Ed25519Verifier] = ()
    seen: Seen | None = None
    since: bool = False
    require_witness: int = 0
    witness_keys: Sequence[WitnessVerifier] = ()
    workers: int = 1
    by_number: bool = False

    @property
    def quorum(self) -> Quorum | None:
        """What is required of which witnesses; None where the verifier brought no witness."""
        keys = tuple(sorted({key.public_key for key in self.witness_keys}))
        return Quorum(self.require_witness, keys) if keys or self.require_witness else None


@dataclass
class Job:
    """One verification. `rows` and `listening` are Muniment's own events, `cosigned` what witnesses vouch for."""

    lake: Lake
    lake_name: str
    tenants: Collection[str] | None
    options: VerifyOptions
    progress: Progress
    stop: Callable[[], bool]
    report: VerifyReport = field(default_factory=VerifyReport)
    rows: list[OwnRow] = field(default_factory=list)
    listening: list[CollectorEvent] = field(default_factory=list)
    cosigned: dict[LogName, Cosigned] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    def is_wanted(self, tenant: str) -> bool:
        """Whether a tenant's logs are looked at."""
        return self.tenants is None or tenant in self.tenants or tenant == LAKE_TENANT

    def advance(self, stage: str, count: int) -> None:
        """Show that so many entries or rows more are done."""
        self.done += count
        self.progress(stage, self.done, max(self.total, self.done))

    def since(self, head: Head) -> int:
        """From which entry on a log is looked at."""
        known = self.options.seen.logs.get(head.origin) if self.options.seen and self.options.since else None
        return min(known.checkpoint.size, head.size) if known else 0

    def told(self, *, until_unix_nano: int | None = None) -> dict[str, Checkpoint]:
        """Heads that the `_lake` logs tell within what witnesses cosigned, by origin; with a time, what they cosigned by then."""
        required = max(1, self.options.require_witness)
        within = {
            name: checkpoint
            for name, known in self.cosigned.items()
            if (checkpoint := known.best(required, until_unix_nano=until_unix_nano))
        }
        return told_heads(self.rows, within)

    def vouched_by(self, rotations: Sequence[Rotation]) -> dict[int, dict[str, Checkpoint]]:
        """For each time of a compromise: of every log the largest checkpoint that witnesses vouched for by then, by origin."""
        required = max(1, self.options.require_witness)
        found = {}
        for since in {rotation.compromised_since_unix_nano for rotation in rotations if rotation.compromised}:
            known = self.told(until_unix_nano=since)
            for cosigned in self.cosigned.values():
                best = cosigned.best(required, until_unix_nano=since)
                if best and (best.origin not in known or known[best.origin].size < best.size):
                    known[best.origin] = best
            found[since] = known
        return found

    def rotations(self) -> list[Rotation]:
        """Rotations of the signing key, as `_lake` tells them."""
        told = sorted(
            (
                row
                for row in self.rows
                if row.name == KEY_ROTATED and row.resource_type == LEDGER_KEY and row.tenant == LAKE_TENANT
            ),
            key=lambda row: (row.time_unix_nano, row.index),
        )
        try:
            return read_rotations(row.attributes_text or "{}" for row in told)
        except (NoteError, ValueError):
            return []
