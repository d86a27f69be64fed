"""What the page *Evidence* may ask of a lake: frameworks, findings, packs, and decisions on exceptions.

Reached through `Desk.evidence`. Each method MUST refuse, with `DeniedError`, what the viewer may not do, and record what it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

from dashboards.viewer import Viewer

Period = tuple[int, int]
"""Nanoseconds since 1970, the end not included."""


class Right(StrEnum):
    """What somebody may decide."""

    DISPOSE = "dispose"
    REVIEW = "review"


@dataclass(frozen=True)
class ExceptionLine:
    """One exception: its id, when, why, what else its record says, whether it is new, what was decided on it and by whom."""

    id: str
    time_unix_nano: int
    why: str
    what: str
    record: str
    trace_id: str
    is_new: bool
    disposition: str
    decided: str
    history: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One control over the period: what was found, what changed since the period before, and its exceptions, the first of them."""

    control: str
    title: str
    question: str
    limits: str
    finding: str
    why: str
    items: int
    exceptions: int
    before: str = ""
    new: int = 0
    continuing: int = 0
    gone: int = 0
    dispositions: Mapping[str, int] | None = None
    overdue: int = 0
    reviewed: str = ""
    listed: tuple[ExceptionLine, ...] = ()


@dataclass(frozen=True)
class CheckedPack:
    """What became of an evidence pack: `proved`, `broken` or `not established`, and everything that does not fit.

    `losses` is what the pack says of its own records that do not fit their seals.
    """

    result: str
    lines: tuple[str, ...] = ()
    losses: str = ""


@dataclass(frozen=True)
class DecisionForm:
    """What somebody decides on exceptions, as they typed it: one of `accepted`, `remediated`, `false positive`, `open`."""

    exceptions: tuple[str, ...]
    disposition: str
    reason: str
    ticket: str = ""
    due: date | None = None


class EvidenceDesk(Protocol):
    """Answers the page about one lake."""

    def frameworks(self, viewer: Viewer, tenant: str) -> Mapping[str, str]:
        """Title of each framework by its id, computed ones first."""
        ...

    def differing(self, viewer: Viewer, tenant: str, framework: str) -> str:
        """In a sentence how the framework's controls in force differ from those that this version ships; empty where they do not."""
        ...

    def rights(self, viewer: Viewer, tenant: str) -> frozenset[Right]:
        """What the viewer may decide in this tenant."""
        ...

    def findings(self, viewer: Viewer, tenant: str, framework: str, period: Period) -> Sequence[Finding]:
        """Every control's finding over the period, as a pack of it would say."""
        ...

    def dispose(self, viewer: Viewer, tenant: str, period: Period, form: DecisionForm) -> int:
        """Decide on exceptions; says on how many."""
        ...

    def review(self, viewer: Viewer, tenant: str, framework: str, control: str, period: Period, note: str) -> None:
        """Mark a control as reviewed over the period."""
        ...

    def build_pack(
        self, viewer: Viewer, tenant: str, framework: str, period: Period
    ) -> tuple[bytes, Sequence[Finding]]:
        """An evidence pack and its findings; recorded as an export."""
        ...

    def kept_packs(self, viewer: Viewer, tenant: str, framework: str) -> Mapping[str, str]:
        """The name of each pack of a framework that was built on schedule, by its month, newest first."""
        ...

    def read_pack(self, viewer: Viewer, tenant: str, name: str) -> bytes:
        """A pack that was built on schedule."""
        ...

    def check_pack(self, pack: bytes, fingerprint: str, witness_keys: Sequence[str] = ()) -> CheckedPack:
        """Verify a pack that somebody brought, with the fingerprint, and the keys of witnesses, that they brought."""
        ...
