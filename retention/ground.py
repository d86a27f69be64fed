"""What purges stand on, what somebody ordered, and what came of it: plain values."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retention.documents import Documents, StoredDocument
from retention.doomed import NOTHING
from retention.holding import HoldsInForce
from retention.holds import holds_of
from retention.rescan import Rescanned
from retention.rewriting import Replaced
from warehouse.clock import Clock
from warehouse.control import ControlStore
from warehouse.delta import DeltaStore
from warehouse.lake import Lake
from warehouse.ledger.certificates import Deleted
from warehouse.own_events import OwnEvent


@dataclass(frozen=True)
class Ground:
    """What purges of one lake stand on.

    Attributes:
        record: makes an event of Muniment's own durable, or raises `UnavailableError`.
        mirror: copies intents and certificates to every backup target, durably, or raises `UnavailableError`.
        step: hears of each step once it is durable.
    """

    lake: Lake
    lake_name: str
    control: ControlStore
    stores: Mapping[str, DeltaStore]
    clock: Clock
    record: Callable[[OwnEvent], None]
    mirror: Callable[[Sequence[Path]], None]
    step: Callable[[str], None] = field(default=lambda _name: None)
    random_name: Callable[[], str] = field(default=lambda: secrets.token_hex(16))

    @property
    def documents(self) -> Documents:
        """The lake's intents and certificates."""
        return Documents(self.lake, self.lake_name)

    def holds(self) -> HoldsInForce:
        """The holds in force now."""
        return HoldsInForce(holds_of(self.control.list_holds()))


@dataclass(frozen=True)
class Order:
    """What somebody ordered: whose records go, by which plan and policy, and who answers for it.

    `details` go into intent and certificate as they are.
    """

    tenant_id: str
    plan_sha256: str
    policy_sha256: str
    ordered_by: str
    approved_by: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a purge ended, beside what its intent says already.

    Attributes:
        replaced: the files that it replaced.
        earlier: those of the intent that were replaced before it was resumed.
        gone: names of all files that held deleted rows and must be nowhere.
        points: files of metrics whose points are known to be deleted; None for all of the intent.
        kept: rows of the intent that holds keep.
    """

    replaced: tuple[Replaced, ...] = ()
    earlier: tuple[Replaced, ...] = ()
    gone: tuple[str, ...] = ()
    points: frozenset[str] | None = None
    kept: Deleted = NOTHING
    holds: tuple[str, ...] = ()
    resumed: bool = False


@dataclass(frozen=True)
class Purged:
    """One purge that ended: its certificate, and what it took and kept. Sizes in bytes."""

    tenant_id: str
    purge_id: str
    certificate: StoredDocument
    rows: Mapping[str, int]
    size_bytes: int
    kept: Deleted
    holds: tuple[str, ...]
    rescanned: Rescanned
    resumed: bool = False
