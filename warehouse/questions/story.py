"""The whole story of a person, ticket, conversation, approval, trace or record: every record that belongs to it, in order of time.

First the records that name what is sought, then the runs in which they were made, with everything in them, then events elsewhere
that name these runs, their approvals and handoffs: decisions that came later, and who looked.

Invariants:
- Every value is a bound parameter, and what is read of a text is cut to a length: a text of 10 MB costs no more than a short one.
- What is found is bounded by `Bounds`; where it was cut, `StoryRecords.cut` says so in words.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from warehouse.query import QuerySession
from warehouse.questions.sought import Kind, Sought
from warehouse.questions.story_tickets import Mentions, read_mentions

STORY_TABLES = ("spans", "audit_events", "logs")
"""The tables that a session for a story has to open; `contents` too, where contents may be read."""
CONTENTS = "contents"
MOST_LINES = 2_000
"""Records of a story, unless less is asked for."""
MOST_RUNS = 100
"""Runs that are followed: a person can have thousands."""
TEXT_CHARACTERS = 2_000
"""What is shown of one text."""

_SEEDS = (Kind.PERSON, Kind.CONVERSATION, Kind.APPROVAL, Kind.TRACE, Kind.RECORD)
_SEPARATOR = "-- next"
_IN_RUNS = "trace_id in (select unnest($traces::varchar[]))"
_AT_PLACES = (
    "log_index between $low and $high "
    "and (shard, log_index) in (select (unnest($shards::varchar[]), unnest($indices::bigint[])))"
)
_LATEST = 2**63 - 1
_MOST_NAMES = 1_000
_APPROVAL, _HANDOFF = "approval.", "handoff."


@dataclass(frozen=True)
class Bounds:
    """From when to when, nanoseconds since 1970, both included and None without an end, and how many records at most.

    With `all_time` the texts of every run and log are searched for a ticket, however long it takes.
    """

    first_unix_nano: int | None = None
    last_unix_nano: int | None = None
    most: int = MOST_LINES
    all_time: bool = False


@dataclass(frozen=True)
class StoryRow:
    """One record of a story, or with `part` one part of its contents.

    `source` is its table, `name` its event's or operation's name, `what` in words what was done, `said` the beginning of its text,
    `redactions` JSON counts by detector. `characters` is the length of a part's whole text.
    """

    source: str
    shard: str
    log_index: int
    trace_id: str | None
    time_unix_nano: int | None
    name: str | None = None
    what: str | None = None
    who: str | None = None
    said: str | None = None
    outcome: str | None = None
    redactions: str | None = None
    approval_id: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    agent_id: str | None = None
    part: str | None = None
    media_type: str | None = None
    characters: int | None = None


@dataclass(frozen=True)
class StoryRecords:
    """What was found: looked for as which kinds, found as which, in which runs, and every record in order of time.

    `cut` says what was left away; the texts of runs and logs before `texts_from` were not searched, None where all were.
    """

    sought: tuple[Kind, ...]
    kinds: tuple[Kind, ...]
    runs: tuple[str, ...]
    rows: tuple[StoryRow, ...]
    cut: tuple[str, ...] = ()
    texts_from: int | None = None


def read_story(
    session: QuerySession, sought: Sought, bounds: Bounds, *, token: str | None, now: int, also: Collection[str] = ()
) -> StoryRecords:
    """Read the records of a story. `token` is the person's, None where nobody is sought or known; events about `also` belong to it.

    Raises:
        QueryError: the records cannot be read, or there are more than settings allow time for.
    """
    when = {
        "first": bounds.first_unix_nano or 0,
        "last": _LATEST if bounds.last_unix_nano is None else bounds.last_unix_nano,
    }
    seeds, cut = _read_seeds(session, sought, when, token=token, bounds=bounds)
    # Texts are read last and only where nothing more exact was found: they cost ten times the rest.
    mentions = Mentions()
    if Kind.TICKET in sought.kinds and not any(seeds.values()):
        mentions = read_mentions(
            session,
            sought.text,
            first=bounds.first_unix_nano,
            last=when["last"],
            now=now,
            most=bounds.most + 1,
            all_time=bounds.all_time,
        )
        seeds[Kind.TICKET] = list(mentions.rows)
        cut += [note for note in (mentions.note, _too_many(Kind.TICKET, mentions.rows, bounds)) if note]
    found = {kind: rows for kind, rows in seeds.items() if rows}
    newest = sorted(
        (row for rows in found.values() for row in rows), key=lambda row: row["time_unix_nano"] or 0, reverse=True
    )
    runs = list(dict.fromkeys(row["trace_id"] for row in newest if row["trace_id"]))
    if len(runs) > MOST_RUNS:
        cut.append(f"the newest {MOST_RUNS} of {len(runs):,} runs are followed: narrow the time for others")
        runs = runs[:MOST_RUNS]
    followed = frozenset(runs)
    alone = [(row["shard"], row["log_index"]) for row in newest if row["trace_id"] not in followed][: bounds.most]
    rows = _read_rows(session, bounds, when, runs, alone)
    rows += _read_related(session, bounds, when, runs, rows, names=[*also, *_named(sought, token, runs, rows)])
    if len(rows) > bounds.most:
        cut.append(f"the newest {bounds.most:,} records are shown: narrow the time, or ask for more")
    rows = _newest(_once(rows), bounds.most)
    parts = _read_parts(session, when, runs, bounds.most)
    if len(parts) > bounds.most:
        cut.append(f"the newest {bounds.most:,} parts of contents are shown")
    every = [*rows, *parts[: bounds.most]]
    every.sort(key=lambda row: (row.time_unix_nano or 0, row.shard, row.log_index, row.part or ""))
    return StoryRecords(tuple(seeds), tuple(found), tuple(runs), tuple(every), tuple(cut), mentions.texts_from)


def _read_seeds(
    session: QuerySession, sought: Sought, when: Mapping[str, int], *, token: str | None, bounds: Bounds
) -> tuple[dict[Kind, list[dict[str, Any]]], list[str]]:
    """The records that name what is sought, newest first, by what it was taken for."""
    statements = dict(zip(_SEEDS, _sql("story_seeds").split(_SEPARATOR), strict=True))
    given: Mapping[Kind, Mapping[str, Any]] = {
        Kind.TRACE: {"text": sought.text.lower(), "after": sought.text.lower() + "g"},
        Kind.APPROVAL: {"text": sought.text},
        Kind.CONVERSATION: {"text": sought.text, "quoted": _quoted(sought.text)},
        Kind.PERSON: {"text": token},
        Kind.RECORD: {"shard": sought.shard, "index": sought.index},
    }
    found: dict[Kind, list[dict[str, Any]]] = {}
    cut = []
    for kind in (each for each in _SEEDS if each in sought.kinds):
        if kind is Kind.PERSON and token is None:
            continue
        times: Mapping[str, Any] = {} if kind is Kind.RECORD else when
        values = {**times, **given[kind], "most": bounds.most + 1}
        found[kind] = session.run_trusted(statements[kind], values).to_pylist()
        if note := _too_many(kind, found[kind], bounds):
            cut.append(note)
    return found, cut


def _too_many(kind: Kind, rows: Collection[object], bounds: Bounds) -> str:
    return (
        f"only the newest {bounds.most:,} records that name this {kind.value} are looked at"
        if len(rows) > bounds.most
        else ""
    )


def _read_rows(
    session: QuerySession, bounds: Bounds, when: Mapping[str, int], runs: list[str], alone: list[tuple[str, int]]
) -> list[StoryRow]:
    values = {**when, "length": TEXT_CHARACTERS, "most": bounds.most + 1}
    rows = []
    if runs:
        rows += session.run_trusted(_sql("story_records"), {**values, "traces": runs}).to_pylist()
    if alone:
        indices = [index for _, index in alone]
        places = {
            "shards": [shard for shard, _ in alone],
            "indices": indices,
            "low": min(indices),
            "high": max(indices),
        }
        sql = _sql("story_records").replace(_IN_RUNS, _AT_PLACES)
        rows += session.run_trusted(sql, {**values, **places}).to_pylist()
    return [StoryRow(**row) for row in rows]


def _read_related(
    session: QuerySession,
    bounds: Bounds,
    when: Mapping[str, int],
    runs: list[str],
    rows: Collection[StoryRow],
    *,
    names: list[str],
) -> list[StoryRow]:
    values = {
        **when,
        "traces": runs,
        "approvals": sorted({row.approval_id for row in rows if row.approval_id})[:_MOST_NAMES],
        "names": names,
        "records": [f"{row.shard}/{row.log_index}" for row in rows],
        "length": TEXT_CHARACTERS,
        "most": bounds.most + 1,
    }
    return [StoryRow(**row) for row in session.run_trusted(_sql("story_related"), values).to_pylist()]


def _read_parts(session: QuerySession, when: Mapping[str, int], runs: list[str], most: int) -> list[StoryRow]:
    if CONTENTS not in session.tables or not runs:
        return []
    values = {**when, "traces": runs, "length": TEXT_CHARACTERS, "most": most + 1}
    return [StoryRow(**row) for row in session.run_trusted(_sql("story_contents"), values).to_pylist()]


def _named(sought: Sought, token: str | None, runs: list[str], rows: Iterable[StoryRow]) -> list[str]:
    """What events elsewhere may be about: the runs, their approvals and handoffs, and what is sought itself."""
    names = dict.fromkeys(runs)
    names |= dict.fromkeys(row.approval_id for row in rows if row.approval_id)
    names |= dict.fromkeys(row.resource_id for row in rows if row.resource_id and (row.name or "").startswith(_HANDOFF))
    own = token if token is not None else None if sought.only_person else sought.text
    return [*([own] if own else []), *(name for name in names if name)][:_MOST_NAMES]


def _once(rows: Iterable[StoryRow]) -> list[StoryRow]:
    return list({(row.source, row.shard, row.log_index): row for row in rows}.values())


def _newest(rows: list[StoryRow], most: int) -> list[StoryRow]:
    return sorted(rows, key=lambda row: row.time_unix_nano or 0, reverse=True)[:most]


def _quoted(text: str) -> str:
    """The text as a whole value of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _sql(name: str) -> str:
    return resources.files("warehouse.questions").joinpath(f"sql/{name}.sql").read_text(encoding="utf8")
