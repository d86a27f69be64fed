"""What pages may ask of a lake, and the place where they find who answers.

`dashboards` may not import `muniment`, which puts the rooms together; so pages ask a `Desk`, and the entry point `lake` of the
group `muniment.desk` makes one. Every question names its viewer: the desk decides, records what was viewed, and answers with
plain data. A page never opens a file of the lake itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from dashboards.evidence_desk import EvidenceDesk
from dashboards.request_desk import HeldCase, RequestDesk
from dashboards.search_desk import SearchDesk
from dashboards.viewer import Viewer
from warehouse.control.incidents import IncidentDetails, IncidentRecord
from warehouse.errors import UnavailableError
from warehouse.questions.audit_events import EventFilter
from warehouse.questions.trace import Trace

GROUP = "muniment.desk"
NAME = "lake"
TENDED_SECONDS = 240
"""How often the desk is tended."""


class Handed(StrEnum):
    """What kind of file, made before, somebody takes along: as its export is recorded."""

    PACK = "pack"
    PROOF = "proof"
    REPORT = "subject report"


@dataclass(frozen=True)
class Fact:
    """One line of an overview: what, how it stands (`good`, `bad`, `unknown`), in words, and what to do where it is not good."""

    what: str
    state: str
    said: str
    advice: str = ""
    page: str = ""


@dataclass(frozen=True)
class LogHead:
    """One log: its origin, how many records it holds, its root in base64, by which keys it is signed, when it grew last."""

    origin: str
    size: int
    root: str
    signed_by: tuple[str, ...]
    grown_unix_nano: int
    problem: str = ""


@dataclass(frozen=True)
class Silence:
    """A time in which nobody listened, nanoseconds since 1970: by which collector, and whether it had said that it would stop."""

    collector: str
    first_unix_nano: int
    last_unix_nano: int
    announced: bool


@dataclass(frozen=True)
class Integrity:
    """The logs of a tenant and of the lake itself, its public keys, its witnesses, and the times when nobody listened.

    `fingerprints` are those of `vkeys`, in the same order; `listened` is when a collector was heard
    first and when last, None where none ever started.
    """

    logs: tuple[LogHead, ...]
    vkeys: tuple[str, ...]
    witnesses: tuple[tuple[str, int], ...]
    silences: tuple[Silence, ...]
    fingerprints: tuple[str, ...] = ()
    listened: tuple[int, int] | None = None
    lacking: str = ""
    """What of the records that the logs count is not in the tables, in words."""


@dataclass(frozen=True)
class Due:
    """What of a table is due to go: on which day, by which rules, rows and bytes, and what a hold or a law keeps of it."""

    table: str
    day: str
    rules: str
    rows: int
    size_bytes: int
    kept: int


@dataclass(frozen=True)
class Certificate:
    """What went, under which certificate; `finished` is false for what was begun and has none yet."""

    sha256: str
    kind: str
    time_unix_nano: int
    rows: str
    ordered_by: str
    approved_by: str
    finished: bool


@dataclass(frozen=True)
class Retention:
    """What will go, what is held, and what went."""

    due: tuple[Due, ...] = ()
    holds: tuple[HeldCase, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckedProof:
    """What became of a proof that somebody pasted: whether it holds, and everything that is to be said about it."""

    holds: bool
    lines: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Objective:
    """One objective of an SLO over its window: shares from 0 to 1, None where nothing was measured."""

    slo: str
    title: str
    objective: str
    state: str
    target: float
    attainment: float | None
    budget_remaining: float | None
    coverage: float
    total: int
    window: str
    burns: str


class Desk(Protocol):
    """Answers pages about one lake. Each method MUST refuse, with `DeniedError`, what the viewer may not ask."""

    @property
    def lake_name(self) -> str:
        """The lake's name."""
        ...

    @property
    def asks_sign_in(self) -> bool:
        """Whether people have to sign in by a provider; else the local user looks."""
        ...

    @property
    def evidence(self) -> EvidenceDesk:
        """Who answers about frameworks, findings and packs."""
        ...

    @property
    def requests(self) -> RequestDesk:
        """Who carries out what people ask for."""
        ...

    @property
    def search(self) -> SearchDesk:
        """Who answers the search box."""
        ...

    def viewer(self, id_token: str | None) -> Viewer:
        """Who is looking: the local user without `id_token`, else whom that token names. The desk MUST check the token itself."""
        ...

    def warm(self) -> None:
        """Bring in what the first question needs, before anybody asks one; shows and records nothing."""
        ...

    def tend(self) -> None:
        """Keep answers that still hold, forget those that do not, and ask ahead what is likely to be asked; shows and records nothing.

        To be called every `TENDED_SECONDS`; it takes no more than a fiftieth of a core of that.
        """
        ...

    def may_export(self, viewer: Viewer, tenant: str) -> bool:
        """Whether what a page shows of a tenant may be taken along."""
        ...

    def export(self, viewer: Viewer, tenant: str, what: str, rows: int) -> None:
        """Decide and record that so many rows of what a page shows are taken along; MUST come before they are given out."""
        ...

    def hand_out(self, viewer: Viewer, tenant: str, kind: Handed, name: str, sha256: str) -> None:
        """Decide and record that a file which was made before is taken along; MUST come before its bytes are given out."""
        ...

    def sign_out(self, viewer: Viewer) -> None:
        """End the viewer's session: neither its ticket nor its token counts any more. Safe to repeat."""
        ...

    def overview(self, viewer: Viewer, tenant: str) -> Sequence[Fact]:
        """Whether everything is all right, most important first."""
        ...

    def activity(self, viewer: Viewer, tenant: str, days: int) -> pa.Table:
        """Per day: records, runs, errors, tokens, cost."""
        ...

    def events(self, viewer: Viewer, tenant: str, wanted: EventFilter) -> pa.Table:
        """Audit events, newest first."""
        ...

    def event_names(self, viewer: Viewer, tenant: str) -> Sequence[str]:
        """Names of events that the tenant has."""
        ...

    def trace(self, viewer: Viewer, tenant: str, trace_id: str) -> Trace:
        """One trace with its events."""
        ...

    def recent_traces(self, viewer: Viewer, tenant: str, limit: int) -> pa.Table:
        """The newest runs."""
        ...

    def integrity(self, viewer: Viewer, tenant: str) -> Integrity:
        """Logs, keys, witnesses, silences."""
        ...

    def prove(self, viewer: Viewer, tenant: str, shard: str, index: int) -> bytes:
        """A record's proof, to be taken along."""
        ...

    def check_proof(self, proof: bytes, vkeys: Sequence[str]) -> CheckedProof:
        """Check what somebody pasted with keys that they brought."""
        ...

    def retention(self, viewer: Viewer, tenant: str, days: int = 0) -> Retention:
        """What is due now, or will be within so many days; what is held, what went."""
        ...

    def objectives(self, viewer: Viewer, tenant: str) -> Sequence[Objective]:
        """Every objective as it was computed last."""
        ...

    def worst_events(self, viewer: Viewer, tenant: str, slo: str, objective: str, limit: int) -> pa.Table:
        """The events that made an objective worse: time, agent, name, measured, trace_id, shard, log_index."""
        ...

    def incidents(self, viewer: Viewer, tenant: str, *, closed: bool) -> Sequence[IncidentRecord]:
        """Incidents that are open, with `closed` the others too."""
        ...

    def incident(self, viewer: Viewer, tenant: str, incident_id: str) -> IncidentDetails:
        """One incident of a tenant; another's is as if it were not there."""
        ...

    def may_handle(self, viewer: Viewer, tenant: str) -> bool:
        """Whether the viewer may handle the tenant's incidents."""
        ...

    def handle_incident(self, viewer: Viewer, incident_id: str, step: str, note: str) -> None:
        """Acknowledge, mitigate, close or reopen it."""
        ...

    def agents(self, viewer: Viewer, tenant: str, days: int) -> tuple[pa.Table, pa.Table]:
        """The registry, and who was seen within so many days."""
        ...

    def data_map(self, viewer: Viewer, tenant: str, days: int) -> pa.Table:
        """Which class of an agent's data reached which provider within so many days, as steps show them together."""
        ...

    def changes(self, viewer: Viewer, tenant: str, days: int) -> pa.Table:
        """Changes of agents within so many days, newest first: each approved, or why not."""
        ...


def open_desk(lake: Path) -> Desk:
    """Who answers about the lake in this folder.

    Raises:
        UnavailableError: nothing implements it.
        LakeNotFoundError: there is no lake.
    """
    found = entry_points(group=GROUP, name=NAME)
    if not found:
        raise UnavailableError(
            f"dashboards: expected an entry point {NAME} in the group {GROUP}, got none",
            hint="install the distribution muniment into the environment that runs the pages",
        )
    opener: Callable[[Path], Desk] = next(iter(found)).load()
    return opener(lake)
