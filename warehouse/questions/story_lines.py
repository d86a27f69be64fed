"""A story as it is told: one line for each thing that happened, whatever it came from, with its seal and where more of it stands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from warehouse.clock import utc_text
from warehouse.questions.seals import Place, Seal
from warehouse.questions.sought import Kind
from warehouse.questions.story import TEXT_CHARACTERS, StoryRow

_ACCESSES = frozenset({"record.viewed", "data.exported"})
_MILLION = 1_000_000


class Entry(StrEnum):
    """What a line of a story comes from."""

    STEP = "step"
    EVENT = "event"
    ACCESS = "access"
    LOG = "log"
    CONTENT = "content"
    INCIDENT = "incident"
    HOLD = "hold"
    CERTIFICATE = "certificate"
    REQUEST = "request"


@dataclass(frozen=True)
class Line:
    """One thing that happened, at a time in nanoseconds since 1970.

    `marks` are the redactions in it (`email 2, phone 1`), `record` its shard and index, `seal` how that record's seal stands and
    `seal_note` why it does not hold. `link` is the id of an incident, a hold, a certificate or a request.
    """

    time_unix_nano: int
    entry: Entry
    what: str
    who: str = ""
    said: str = ""
    outcome: str = ""
    marks: str = ""
    seal: str = ""
    seal_note: str = ""
    trace_id: str = ""
    record: str = ""
    link: str = ""

    def to_json(self) -> dict[str, Any]:
        """The line for machines: its time to the microsecond beside nanoseconds."""
        return {"time": time_text(self.time_unix_nano), **asdict(self)}


@dataclass(frozen=True)
class Story:
    """What was found about what somebody typed, in order of time.

    `address` is a text that finds the same again and names nobody; empty where there is none. `sought` says as what the text was
    looked for, `found` as what it was found, `token` is the person's. `notes` say what was left away, or may not be shown.
    Texts of runs and logs before `texts_from`, nanoseconds since 1970, were not searched for a ticket, None where all were; `again` is what to
    look for in them, empty where it may be somebody's name.
    """

    tenant: str
    address: str
    sought: tuple[Kind, ...]
    found: tuple[Kind, ...]
    lines: tuple[Line, ...]
    as_of_unix_nano: int
    runs: tuple[str, ...] = ()
    token: str | None = None
    may_reveal: bool = False
    notes: tuple[str, ...] = field(default=())
    texts_from: int | None = None
    again: str = ""

    @property
    def seals(self) -> dict[str, int]:
        """How many records' seals stand how."""
        return {seal.value: count for seal in Seal if (count := sum(line.seal == seal for line in self.lines))}

    @property
    def extent(self) -> str:
        """How much there is, and of when, in words."""
        lines, runs = len(self.lines), len(self.runs)
        return (
            f"{lines:,} line{'' if lines == 1 else 's'} from {runs:,} run{'' if runs == 1 else 's'}, "
            f"as of {utc_text(self.as_of_unix_nano)}"
        )

    def to_json(self) -> dict[str, Any]:
        """The story for machines."""
        return {
            "tenant": self.tenant,
            "search": self.address or None,
            "as_of": utc_text(self.as_of_unix_nano),
            "sought_as": [kind.value for kind in self.sought],
            "found_as": [kind.value for kind in self.found],
            "person": self.token,
            "trace_ids": list(self.runs),
            "seals": self.seals,
            "notes": list(self.notes),
            "texts_searched_from": None if self.texts_from is None else utc_text(max(self.texts_from, 0)),
            "lines": [line.to_json() for line in self.lines],
        }


def record_lines(rows: Sequence[StoryRow], seals: Mapping[Place, tuple[Seal, str]]) -> list[Line]:
    """Each record and content part as a line."""
    return [_part_line(row) if row.part is not None else _record_line(row, seals) for row in rows]


def time_text(unix_nano: int) -> str:
    """RFC 3339 text, to the microsecond."""
    return f"{utc_text(unix_nano)[:-1]}.{unix_nano // 1_000 % _MILLION:06d}Z"


def _record_line(row: StoryRow, seals: Mapping[Place, tuple[Seal, str]]) -> Line:
    seal, why = seals.get((row.source, row.shard, row.log_index), (Seal.UNCHECKED, ""))
    return Line(
        row.time_unix_nano or 0,
        _entry(row),
        _words(row),
        row.who or "",
        row.said or "",
        "" if row.outcome == "UNSET" else row.outcome or "",
        redaction_marks(row.redactions),
        seal.value,
        why,
        row.trace_id or "",
        f"{row.shard}/{row.log_index}",
    )


def _part_line(row: StoryRow) -> Line:
    whole = row.characters or 0
    cut = f" … ({whole:,} characters in all)" if whole > TEXT_CHARACTERS else ""
    return Line(
        row.time_unix_nano or 0,
        Entry.CONTENT,
        row.part or "",
        said=f"{row.said or ''}{cut}",
        trace_id=row.trace_id or "",
        record=f"{row.shard}/{row.log_index}",
    )


def _entry(row: StoryRow) -> Entry:
    if row.source == "spans":
        return Entry.STEP
    if row.source == "logs":
        return Entry.LOG
    return Entry.ACCESS if row.name in _ACCESSES else Entry.EVENT


def _words(row: StoryRow) -> str:
    """Name and what was done, without saying one thing twice."""
    name, what = row.name or "", row.what or ""
    return what if not name or what == name or what.startswith(f"{name} ") else f"{name} {what}".strip()


def redaction_marks(redactions: str | None) -> str:
    """What was masked in a record, from its JSON counts by detector: `email 2, phone 1`; empty for nothing."""
    if not redactions:
        return ""
    counts: dict[str, Any] = json.loads(redactions)
    return ", ".join(f"{detector} {count}" for detector, count in counts.items())
