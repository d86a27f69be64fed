"""What the page of requests may ask: erasure, access request and hold, from the form over a second person's approval to the certificate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from dashboards.viewer import Viewer


class Right(StrEnum):
    """What a viewer may ask for."""

    REPORT = "report"
    ERASE = "erase"
    HOLD = "hold"
    RELEASE = "release"


class Matter(StrEnum):
    """What waits for a second person."""

    ERASURE = "erasure"
    RELEASE = "release of a hold"


@dataclass(frozen=True)
class Waiting:
    """Something that waits: `id` names it to `approve`; `own` says that the viewer asked for it, and so cannot approve it.

    `what` and `reason` are texts of people; nobody is named in them.
    """

    id: str
    matter: Matter
    what: str
    reason: str
    asked_by: str
    own: bool


@dataclass(frozen=True)
class Outlook:
    """What erasing a person would do now: rows that go by table, refused records, what stays and why; `packs` name the person."""

    going: Mapping[str, int]
    refused_records: int
    staying: tuple[str, ...]
    key_goes: bool
    packs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Erasure:
    """How far an erasure came: `waits` while a second person has to approve it, else what went, with certificates.

    `nonce` is shown once and kept nowhere: by it the person can be shown later that the certificate is about them.
    """

    id: str
    waits: bool
    nonce: str | None = field(default=None, repr=False)
    erased: Mapping[str, int] = field(default_factory=dict)
    refused_records: int = 0
    staying: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    key_certificate: str | None = None
    rows_searched: int = 0
    packs: tuple[str, ...] = ()
    """Stored packs that went, as they held what was erased."""


@dataclass(frozen=True)
class Report:
    """Everything that is held about a person, as a ZIP file: its SHA-256, rows by table, proofs, and what could not be proved."""

    content: bytes = field(repr=False)
    sha256: str
    rows: Mapping[str, int]
    proofs: int
    problems: tuple[str, ...]
    nonce: str = field(repr=False)


@dataclass(frozen=True)
class HeldCase:
    """A hold in force."""

    id: str
    scope: str
    reason: str
    owner: str
    placed_unix_nano: int
    release_asked: bool


@dataclass(frozen=True)
class HoldForm:
    """What somebody wants kept. `persons` are tokens or values; times in nanoseconds since 1970, both included."""

    reason: str
    case: str = ""
    persons: tuple[str, ...] = field(default=(), repr=False)
    agents: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    conversations: tuple[str, ...] = ()
    first_unix_nano: int | None = None
    last_unix_nano: int | None = None
    everything: bool = False


@dataclass(frozen=True)
class Placed:
    """A hold in force: what it keeps, in words, and the deletions for which it came too late."""

    id: str
    keeps: str
    too_late_for: tuple[str, ...] = ()
    nonce: str | None = field(default=None, repr=False)


class RequestDesk(Protocol):
    """Carries out what people ask for. Each method MUST refuse, with `DeniedError`, what the viewer may not ask."""

    def rights(self, viewer: Viewer, tenant: str) -> frozenset[Right]:
        """What the viewer may ask for in a tenant."""
        ...

    def waiting(self, viewer: Viewer, tenant: str) -> Sequence[Waiting]:
        """What waits for a second person, as far as the viewer may see it."""
        ...

    def approve(self, viewer: Viewer, tenant: str, matter: Matter, waiting_id: str) -> Erasure | None:
        """Approve, as the second person, and carry out; None for a release."""
        ...

    def foresee(self, viewer: Viewer, tenant: str, person: str, *, texts: bool) -> Outlook:
        """What erasing a person would do; deletes nothing."""
        ...

    def erase(self, viewer: Viewer, tenant: str, person: str, reason: str, *, texts: bool) -> Erasure:
        """Erase a person, or ask a second one to approve it."""
        ...

    def report(self, viewer: Viewer, tenant: str, person: str, *, texts: bool) -> Report:
        """Collect everything that is held about a person; recorded as an export before it is handed out."""
        ...

    def holds(self, viewer: Viewer, tenant: str) -> Sequence[HeldCase]:
        """The holds in force."""
        ...

    def place_hold(self, viewer: Viewer, tenant: str, form: HoldForm) -> Placed:
        """Place a hold."""
        ...

    def release_hold(self, viewer: Viewer, tenant: str, hold_id: str, reason: str) -> bool:
        """Release a hold: True where it ended, False where a second person has to approve it."""
        ...
