"""The registry of agents: what must be said of each, how it is read from files, and the rows that rules ask.

An entry names who answers for an agent, whom to call, what it is for and how risky that is, and what it may use. A list that is
left out says nothing and so forbids nothing; in `models`, `providers` and `tools` a `*` stands for any characters. What an entry
says is checked whole before anything is changed: an import with one wrong entry registers none.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import msgspec
import pyarrow as pa

from warehouse.control import AgentProfile, AgentRecord
from warehouse.errors import InputError
from warehouse.policies import PolicyError
from warehouse.policies.yaml_lines import Place, convert, read_document

VERSION = 1
MOST_AGENTS = 10_000
"""Most entries of one file."""
LONGEST_PURPOSE = 1_000
_LONGEST_TEXT = 200
_LONGEST_NAME = 200
_MOST_NAMES = 500
_SECONDS = {"W": 604_800, "D": 86_400, "H": 3_600, "M": 60, "S": 1}
_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_LEAST_SILENCE_SECONDS = 300
_MOST_SILENCE_SECONDS = 366 * 86_400
_NOT_IN_NAMES = frozenset("?[]")

REGISTRY_SCHEMA = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("id", pa.string()),
        ("name", pa.string()),
        ("owner", pa.string()),
        ("on_call", pa.string()),
        ("purpose", pa.string()),
        ("risk_class", pa.string()),
        ("state", pa.string()),
        ("allowed_models", pa.list_(pa.string())),
        ("allowed_providers", pa.list_(pa.string())),
        ("allowed_tools", pa.list_(pa.string())),
        ("keys", pa.list_(pa.string())),
        ("silent_after_seconds", pa.int64()),
        ("registered_unix_nano", pa.int64()),
        ("updated_unix_nano", pa.int64()),
    ]
)
"""Columns of the view `registry` that incident rules ask; an empty list forbids nothing."""


class RiskClass(StrEnum):
    """How much may depend on an agent, after the classes of the EU AI Act that may be in service."""

    MINIMAL = "minimal"
    LIMITED = "limited"
    HIGH = "high"


class AgentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An agent as files describe it."""

    id: str
    owner: str
    on_call: str
    purpose: str
    risk: str
    name: str | None = None
    models: list[str] = []
    providers: list[str] = []
    tools: list[str] = []
    keys: list[str] = []
    silent_after: str | None = None


class _AgentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: Annotated[int, msgspec.Meta(ge=VERSION, le=VERSION)]
    agents: list[AgentEntry]


def read_agents(file: str, text: str) -> dict[str, AgentProfile]:
    """Read a file of agents, YAML or JSON: each by its id.

    Raises:
        InputError: it cannot be used; the message names everything that is wrong, by file, line and key.
    """
    try:
        return _read(file, text)
    except PolicyError as exc:
        raise InputError(str(exc), hint="docs/how-to/register-agents.md shows such a file, key by key") from exc


def _read(file: str, text: str) -> dict[str, AgentProfile]:
    if file.endswith(".json"):
        # JSON is YAML but for tabs between its values; inside of its texts a tab is written \t.
        text = text.replace("\t", " ")
    document = read_document(file, text)
    content = convert(document, _AgentFile)
    problems, found = [], {}
    if not 0 < len(content.agents) <= MOST_AGENTS:
        message = f"got {len(content.agents):,} entries, expected 1 to {MOST_AGENTS:,}"
        problems.append(document.problem(("agents",), message))
    for at, entry in enumerate(content.agents):
        place: Place = ("agents", at)
        for key, message in entry_problems(entry):
            problems.append(document.problem((*place, key), message))
        if entry.id in found:
            problems.append(document.problem((*place, "id"), f"got {entry.id!r} twice, expected it once"))
        if not problems:
            found[entry.id] = _profile(entry)
    if problems:
        raise PolicyError(problems)
    return found


def check_entry(entry: AgentEntry) -> AgentProfile:
    """What one entry says.

    Raises:
        InputError: it cannot be used; the message names everything that is wrong.
    """
    if problems := entry_problems(entry):
        raise InputError("; ".join(f"{key}: {message}" for key, message in problems))
    return _profile(entry)


def entry_problems(entry: AgentEntry) -> list[tuple[str, str]]:
    """Key and what is wrong with it, for everything that is wrong with an entry."""
    texts = {"id": entry.id, "name": entry.name, "owner": entry.owner, "on_call": entry.on_call}
    found = [(key, _text_problem(text, _LONGEST_TEXT)) for key, text in texts.items() if text is not None]
    found.append(("purpose", _text_problem(entry.purpose, LONGEST_PURPOSE)))
    if entry.risk not in list(RiskClass):
        found.append(("risk", f"got {entry.risk!r}, expected {', '.join(RiskClass)}"))
    lists = {"models": entry.models, "providers": entry.providers, "tools": entry.tools, "keys": entry.keys}
    found += [(key, _names_problem(names, patterns=key != "keys")) for key, names in lists.items()]
    if entry.silent_after is not None:
        found.append(("silent_after", _silence_problem(entry.silent_after)))
    return [(key, message) for key, message in found if message is not None]


def entry_of(agent_id: str, profile: AgentProfile) -> AgentEntry:
    """A registered agent as a file would describe it: what changes to it start from."""
    return AgentEntry(
        id=agent_id,
        name=profile.name,
        owner=profile.owner,
        on_call=profile.on_call,
        purpose=profile.purpose,
        risk=profile.risk_class,
        models=list(profile.models),
        providers=list(profile.providers),
        tools=list(profile.tools),
        keys=list(profile.keys),
        silent_after=None if profile.silent_after_seconds is None else f"PT{profile.silent_after_seconds}S",
    )


def registry_table(agents: Iterable[AgentRecord]) -> pa.Table:
    """The view `registry`: one row an agent, retired ones too."""
    rows = [
        {
            "tenant_id": agent.tenant_id,
            "id": agent.id,
            "name": agent.profile.name,
            "owner": agent.profile.owner,
            "on_call": agent.profile.on_call,
            "purpose": agent.profile.purpose,
            "risk_class": agent.profile.risk_class,
            "state": agent.state.value,
            "allowed_models": agent.profile.models,
            "allowed_providers": agent.profile.providers,
            "allowed_tools": agent.profile.tools,
            "keys": agent.profile.keys,
            "silent_after_seconds": agent.profile.silent_after_seconds,
            "registered_unix_nano": agent.registered_unix_nano,
            "updated_unix_nano": agent.updated_unix_nano,
        }
        for agent in agents
    ]
    return pa.Table.from_pylist(rows, schema=REGISTRY_SCHEMA)


def _profile(entry: AgentEntry) -> AgentProfile:
    return AgentProfile(
        name=entry.name or entry.id,
        owner=entry.owner,
        on_call=entry.on_call,
        purpose=entry.purpose,
        risk_class=entry.risk,
        models=tuple(sorted(set(entry.models))),
        providers=tuple(sorted(set(entry.providers))),
        tools=tuple(sorted(set(entry.tools))),
        keys=tuple(sorted(set(entry.keys))),
        silent_after_seconds=None if entry.silent_after is None else _seconds(entry.silent_after),
    )


def _text_problem(text: str, at_most: int) -> str | None:
    if text and text == text.strip() and text.isprintable() and len(text) <= at_most:
        return None
    return f"got {text[:60]!r}, expected 1 to {at_most:,} printable characters without blanks at the ends"


def _names_problem(names: list[str], *, patterns: bool) -> str | None:
    if len(names) > _MOST_NAMES:
        return f"got {len(names):,} names, expected at most {_MOST_NAMES}"
    for name in names:
        if problem := _text_problem(name, _LONGEST_NAME):
            return problem
        if not _NOT_IN_NAMES.isdisjoint(name) or ("*" in name and not patterns):
            return f"got {name!r}, expected {'a name, with * for any characters' if patterns else 'the id of a key'}"
    return None


def _silence_problem(text: str) -> str | None:
    seconds = _seconds(text)
    if seconds is not None and _LEAST_SILENCE_SECONDS <= seconds <= _MOST_SILENCE_SECONDS:
        return None
    return f"got {text!r}, expected an ISO 8601 duration from PT5M to P366D, such as PT6H or P1DT2H"


def _seconds(text: str) -> int | None:
    match = _DURATION.fullmatch(text) if len(text) < 40 else None  # noqa: PLR2004 - far longer than any that is in range
    if match is None or not any(match.groups()):
        return None
    return sum(int(part or 0) * unit for part, unit in zip(match.groups(), _SECONDS.values(), strict=True))
