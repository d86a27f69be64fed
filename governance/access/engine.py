"""The one module that calls Cedar: policies parsed once, questions decided in batches, policies named by their place.

Parsing costs a hundred times what a decision does, so what is parsed is kept. Cedar calls policies `policy0`, `policy1`, … in the
order in which they were given; those names never leave this module.
"""

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

Entity = Mapping[str, Any]
"""One entity in Cedar's JSON: `uid`, `attrs`, `parents`."""

_IMPORTING = threading.Lock()
_SYNTAX = "cedarpy.pst"


@dataclass(frozen=True)
class Answer:
    """What the engine says: whether it is allowed, by which policies (their places), and what failed while it was evaluated."""

    allowed: bool
    deciding: tuple[int, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True)
class EngineProblem:
    """What the engine does not like, in its words, and the place of the policy that it is about; None where it does not say."""

    place: int | None
    message: str


class Engine:
    """Policies in the engine's own form. Safe to use from several threads.

    Raises:
        ValueError: the text is not Cedar; the message is the engine's.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._policies = _cedar().PolicySet.from_str("\n".join(texts))

    @property
    def has_templates(self) -> bool:
        """Whether some policies have slots."""
        return bool(self._policies.templates())

    def decide(self, requests: Sequence[Mapping[str, Any]], entities: Sequence[Entity]) -> list[Answer]:
        """Answer each request, all over the same entities."""
        cedar = _cedar()
        results = cedar.is_authorized_batch(list(requests), self._policies, json.dumps(list(entities)))
        return [
            Answer(
                result.decision is cedar.Decision.Allow,
                tuple(sorted(_place(name) for name in result.diagnostics.reasons)),
                tuple(map(str, result.diagnostics.errors)),
            )
            for result in results
        ]


def parse_problem(text: str) -> str | None:
    """What keeps one policy from being parsed, in the engine's words; None where nothing does."""
    try:
        parsed = json.loads(_cedar().policies_to_json_str(text))
    except ValueError as exc:
        return str(exc)
    if parsed["templates"]:
        return "got a template (`?principal` or `?resource`), expected a policy"
    return None


def validate(texts: Sequence[str], schema: str) -> list[EngineProblem]:
    """What is wrong with parsed policies under a schema; empty where nothing is.

    Raises:
        ValueError: the schema itself is not one.
    """
    result = _cedar().validate_policies("\n".join(texts), _schema(schema))
    return [
        EngineProblem(_place(each.policy_id) if each.policy_id else None, _without_name(each.error, each.policy_id))
        for each in result.errors
    ]


def check_entities(entities: Sequence[Entity], schema: str) -> None:
    """Check that entities are what the schema says.

    Raises:
        ValueError: they are not.
    """
    _cedar().Entities.from_json_str(json.dumps(list(entities)), _schema(schema))


@cache
def _schema(text: str) -> Any:
    return _cedar().Schema.from_str(text)


def _place(name: str) -> int:
    return int(name.removeprefix("policy"))


def _without_name(message: str, policy: str) -> str:
    return message.removeprefix(f"for policy `{policy}`, ")


@cache
def _cedar() -> ModuleType:
    """The package, without its typed syntax trees: making those classes takes ten times as long as all the rest of its import.

    They are made when somebody asks for them: the placeholder is gone when this returns.
    """
    with _IMPORTING:
        placeholder = ModuleType(_SYNTAX) if _SYNTAX not in sys.modules else None
        if placeholder is not None:
            sys.modules[_SYNTAX] = placeholder
        try:
            import cedarpy
        finally:
            if placeholder is not None and sys.modules.get(_SYNTAX) is placeholder:
                del sys.modules[_SYNTAX]
        if placeholder is not None and getattr(cedarpy, "pst", None) is placeholder:
            del cedarpy.pst
        return cedarpy
