"""Reads one entry of a retention policy file: every word checked, everything that is wrong reported with its place."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from retention.durations import Duration
from retention.patterns import PATTERN, protected_family
from retention.policy import (
    AGENT_TABLES,
    CLASS_TABLES,
    EVENT_TABLES,
    EVERY,
    OWNER_TABLES,
    RETAINED_TABLES,
    Minimum,
    Rule,
    Scope,
)
from retention.policy_config import Action, EntryConfig
from warehouse.errors import NameRuleError
from warehouse.names import LAKE_TENANT, check_name
from warehouse.policies import Problem
from warehouse.policies.yaml_lines import Document, Place
from warehouse.tables import DATA_CLASSES

MOST_AGENT_CHARACTERS = 200
MOST_CITATION_CHARACTERS = 500
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_CONTENTS = "contents"


@dataclass(frozen=True)
class Entry:
    """One entry as read, with its place, so that what is wrong between entries can be reported too."""

    document: Document
    place: Place
    rule: Rule | None
    minimum: Minimum | None

    def problem(self, key: str, message: str) -> Problem:
        """What is wrong at one of the entry's keys."""
        return self.document.problem((*self.place, key), message)


class EntryReader:
    """Checks one entry; `problems` is what is wrong with it, in the order in which it was found."""

    def __init__(self, document: Document, place: Place, config: EntryConfig) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._place = place
        self._config = config

    def read(self) -> Entry:
        """The entry; worth using only when nothing was reported."""
        config = self._config
        if not _NAME.fullmatch(config.name):
            self._report("name", f"got {config.name!r}, expected [a-z0-9][a-z0-9_-]{{0,59}}")
        if config.keep is None and config.minimum is None:
            self._report("keep", "got neither keep nor minimum, expected one of them or both")
        where = f"{self._document.file}:{self._document.problem(self._place, '').line}"
        scope = self._scope()
        return Entry(self._document, self._place, self._rule(scope, where), self._minimum(scope, where))

    def _report(self, key: str, message: str, at: int | None = None) -> None:
        place = (*self._place, key) if at is None else (*self._place, key, at)
        self.problems.append(self._document.problem(place, message))

    # -- what it is for

    def _scope(self) -> Scope:
        tables, every_table = self._tables()
        self._check_each("tenants", self._config.tenants, _tenant_problem, everybody=True)
        self._check_each("classes", self._config.classes, _class_problem)
        self._check_each("events", self._config.events, _event_problem)
        self._check_each("agents", self._config.agents, _agent_problem)
        for key, values, having in (
            ("classes", self._config.classes, CLASS_TABLES),
            ("events", self._config.events, EVENT_TABLES),
            ("agents", self._config.agents, AGENT_TABLES),
        ):
            if values and (without := [table for table in RETAINED_TABLES if table in tables - having]):
                self._report(
                    key,
                    f"got {key} for {', '.join(without)}, expected only tables whose records have them: "
                    f"{_listed(table for table in RETAINED_TABLES if table in having)}",
                )
        return Scope(
            tables,
            frozenset(self._config.tenants) - {EVERY},
            frozenset(self._config.classes or ()),
            tuple(sorted(set(self._config.events or ()))),
            frozenset(self._config.agents or ()),
            every_table=every_table,
        )

    def _tables(self) -> tuple[frozenset[str], bool]:
        words = self._config.tables
        self._check_each("tables", words, _table_problem, everybody=True)
        if EVERY in words:
            return frozenset(RETAINED_TABLES), True
        return frozenset(word for word in words if word in RETAINED_TABLES), False

    def _check_each(
        self, key: str, words: Sequence[str] | None, problem: Callable[[str], str | None], *, everybody: bool = False
    ) -> None:
        """Report each word that is wrong; a list that is there and empty says nothing: whoever wrote it meant something else."""
        if words is not None and not words:
            self._report(key, "got an empty list, expected one entry or more")
        for at, word in enumerate(words or ()):
            if everybody and word == EVERY:
                if len(words or ()) > 1:
                    self._report(key, f"got {EVERY!r} beside others, expected it alone: it stands for all", at)
            elif (message := problem(word)) is not None:
                self._report(key, f"got {word!r}, expected {message}", at)

    # -- what it says

    def _rule(self, scope: Scope, where: str) -> Rule | None:
        config = self._config
        if config.keep is None:
            if config.action is not None:
                self._report("action", "got an action without keep, expected both: it is taken when that time is over")
            return None
        keep, action = self._duration("keep", config.keep), Action.DELETE
        if config.action is not None:
            if config.action in set(Action):
                action = Action(config.action)
            else:
                self._report("action", f"got {config.action!r}, expected {_listed(Action)}")
        others = [table for table in RETAINED_TABLES if table in scope.tables and table not in OWNER_TABLES]
        if action is Action.CONTENTS and others:
            self._report(
                "action",
                f"got 'contents' for {', '.join(others)}, expected only tables whose records have contents: "
                f"{_listed(OWNER_TABLES)}",
            )
        return None if keep is None else Rule(config.name, scope, keep, action, where)

    def _minimum(self, scope: Scope, where: str) -> Minimum | None:
        config = self._config
        if config.minimum is None:
            if config.citation is not None:
                self._report("citation", "got a citation without minimum, expected both: it says which law asks for it")
            return None
        keep = self._duration("minimum", config.minimum)
        citation = (config.citation or "").strip()
        if not 1 <= len(citation) <= MOST_CITATION_CHARACTERS or not citation.isprintable():
            self._report(
                "citation",
                f"got {'nothing' if not citation else repr(citation[:60])}, "
                f"expected the law that asks for the minimum, at most {MOST_CITATION_CHARACTERS} characters",
            )
        self._check_contents_minimum(scope)
        return None if keep is None else Minimum(config.name, scope, keep, citation, where)

    def _check_contents_minimum(self, scope: Scope) -> None:
        """Contents go with their owner, so a minimum for them has to hold for whatever owner they have."""
        if _CONTENTS not in scope.tables:
            return
        if missing := [table for table in OWNER_TABLES if table not in scope.tables]:
            self._report(
                "tables",
                f"got a minimum for contents without {', '.join(missing)}, expected all of {_listed(OWNER_TABLES)} beside "
                "it: contents go with their owner",
            )
        for key, values in (("classes", scope.classes), ("events", scope.events), ("agents", scope.agents)):
            if values:
                self._report(
                    key,
                    f"got {key} in a minimum for contents, expected tenants alone: an owner's may differ from its contents'",
                )

    def _duration(self, key: str, value: int | str) -> Duration | None:
        try:
            return Duration.parse(value)
        except ValueError as exc:
            self._report(key, str(exc))
            return None


def _table_problem(word: str) -> str | None:
    return None if word in RETAINED_TABLES else f"a table: {_listed(RETAINED_TABLES)}, or '{EVERY}' alone"


def _tenant_problem(word: str) -> str | None:
    try:
        if word != LAKE_TENANT:
            check_name(word, "tenant")
    except NameRuleError:
        return f"a tenant's id ([a-z0-9][a-z0-9-]{{0,39}}), {LAKE_TENANT}, or '{EVERY}' alone"
    return None


def _class_problem(word: str) -> str | None:
    return None if word in DATA_CLASSES else f"a class: {_listed(DATA_CLASSES)}"


def _event_problem(word: str) -> str | None:
    if not PATTERN.fullmatch(word):
        return "an event name or a pattern: letters, digits, '_.:/-', and '*' for any characters; at most 200"
    if not word.strip("*"):
        return "a name or part of one: leave events out to mean every event"
    if (family := protected_family(word)) is not None:
        return f"a pattern that matches nothing in {family}: no rule may match these events, which never expire"
    return None


def _agent_problem(word: str) -> str | None:
    if EVERY in word:
        return "an agent's id as it is: leave agents out to mean every agent"
    if not 1 <= len(word) <= MOST_AGENT_CHARACTERS or not word.isprintable():
        return f"an agent's id: 1 to {MOST_AGENT_CHARACTERS} printable characters"
    return None


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
