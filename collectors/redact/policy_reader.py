"""Reads one redaction policy: every word checked, everything that is wrong reported with its place, the rest compiled."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TypeVar

from collectors.redact.custom import check_trigger, make_find
from collectors.redact.detector import Category, DataClass, Detector
from collectors.redact.policy import FieldRule, KeyedRule, TableRule, TenantPolicy
from collectors.redact.policy_config import (
    Action,
    AttributeConfig,
    Contents,
    CustomConfig,
    Identity,
    PolicyConfig,
    TableConfig,
    written,
)
from warehouse.policies import Problem
from warehouse.policies.yaml_lines import Document, Place
from warehouse.tables import TABLES

MOST_KEY_CHARACTERS = 200
_POLICY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_DETECTOR_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

E = TypeVar("E", bound=Enum)
S = TypeVar("S", bound=StrEnum)
T = TypeVar("T")


@dataclass
class SharedDetectors:
    """Detectors that policies define, across all policies of a bundle: their texts are searched together."""

    detectors: dict[str, Detector] = field(default_factory=dict)
    first: dict[str, tuple[CustomConfig, str]] = field(default_factory=dict)


class PolicyReader:
    """Checks one policy; `problems` is what is wrong with it, in the order in which it was found."""

    def __init__(
        self,
        document: Document,
        place: Place,
        config: PolicyConfig,
        *,
        known: Mapping[str, Detector],
        shared: SharedDetectors,
    ) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._place = place
        self._config = config
        self._known = known
        self._shared = shared
        self._custom = {custom.name: custom for custom in reversed(config.custom or ())}

    def _report(self, place: Place, message: str) -> None:
        """Note what is wrong at a place inside this policy."""
        self.problems.append(self._document.problem((*self._place, *place), message))

    def compile(self, content_hash: str) -> TenantPolicy:
        """The compiled policy; worth using only when nothing was reported."""
        config = self._config
        if not _POLICY_NAME.fullmatch(config.name):
            self._report(("name",), f"got {config.name!r}, expected [a-z0-9][a-z0-9_-]{{0,39}}")
        self._expect_entries((), config)
        own = {
            custom.name: detector
            for at, custom in enumerate(config.custom or ())
            if (detector := self._read_custom(custom, ("custom", at))) is not None
        }
        actions = {
            custom.name: self._action(custom.action, ("custom", at, "action"), detectors=(custom.name,))
            for at, custom in enumerate(config.custom or ())
            if custom.action is not None
        }
        return TenantPolicy(
            name=config.name,
            content_hash=content_hash,
            default=self._default(config.default, ("default",)),
            actions=actions | self._actions(config.detectors, ("detectors",)),
            classes=self._classes(config.classes),
            identity=self._word(Identity, config.identity, ("identity",)),
            contents=self._word(Contents, config.contents, ("contents",)),
            default_class=self._data_class(config.default_class, ("default_class",)),
            contents_class=self._data_class(config.contents_class, ("contents_class",)),
            tables={name: self._table(name, table) for name, table in config.tables.items()},
            rules=[self._rule(rule, ("attributes", at)) for at, rule in enumerate(config.attributes or ())],
            detectors={**self._known, **own},
            searches={name: (custom.pattern, custom.trigger, custom.context) for name, custom in self._custom.items()},
        )

    # -- words

    def _word(self, kind: type[S], word: str, place: Place) -> S:
        return self._choose({member.value: member for member in kind}, word, place)

    def _data_class(self, word: str, place: Place) -> DataClass:
        return self._choose({member.label: member for member in DataClass}, word, place)

    def _choose(self, choices: Mapping[str, E], word: str, place: Place) -> E:
        if word not in choices:
            self._report(place, f"got {word!r}, expected {_listed(choices)}")
            return next(iter(choices.values()))
        return choices[word]

    def _action(self, word: str, place: Place, *, detectors: Iterable[str]) -> Action:
        action = self._word(Action, word, place)
        if action is Action.PARTIAL:
            for name in detectors:
                if name in self._custom or self._known[name].partial is None:
                    having = [each for each, detector in self._known.items() if detector.partial]
                    self._report(place, f"got 'partial', which {name} has no form for; only {_listed(having)} have one")
        return action

    def _default(self, word: str, place: Place) -> Action:
        action = self._word(Action, word, place)
        if action is Action.PARTIAL:
            self._report(place, "got 'partial', expected an action that every detector has: name the detectors instead")
        return action

    def _actions(self, words: Mapping[str, str], place: Place) -> dict[str, Action]:
        return {
            name: self._action(word, (*place, name), detectors=(name,))
            for name, word in words.items()
            if self._is_detector(name, (*place, name))
        }

    def _classes(self, words: Mapping[str, str]) -> dict[str, DataClass]:
        own = {
            custom.name: self._data_class(custom.data_class, ("custom", at, "class"))
            for at, custom in enumerate(self._config.custom or ())
        }
        return own | {
            name: self._data_class(word, ("classes", name))
            for name, word in words.items()
            if self._is_detector(name, ("classes", name))
        }

    def _is_detector(self, name: str, place: Place) -> bool:
        if name in self._known or name in self._custom:
            return True
        self._report(place, f"got {name!r}, expected a detector: {_listed([*self._known, *self._custom])}")
        return False

    def _is_table(self, name: str, place: Place) -> None:
        if name not in TABLES:
            self._report(place, f"got {name!r}, expected a table: {_listed(TABLES)}")

    def _expect_entries(self, place: Place, config: PolicyConfig | AttributeConfig | CustomConfig) -> None:
        """A list that is there and empty says nothing: whoever wrote it meant something else."""
        for key, value in written(config).items():
            if value == [] and isinstance(value, list):
                self._report((*place, key), "got an empty list, expected one entry or more")

    # -- parts

    def _table(self, name: str, config: TableConfig) -> TableRule:
        place = ("tables", name)
        self._is_table(name, place)
        default = None if config.default is None else self._default(config.default, (*place, "default"))
        return TableRule(default, self._actions(config.detectors, (*place, "detectors")))

    def _rule(self, config: AttributeConfig, place: Place) -> KeyedRule:
        self._expect_entries(place, config)
        if config.action is None and not config.detectors and config.data_class is None and not config.categories:
            self._report(place, "got keys alone, expected action, detectors, class or categories beside them")
        if config.action is not None and config.detectors:
            self._report(
                (*place, "detectors"), "got detectors beside an action, expected one of them: it is for the whole value"
            )
        action = None if config.action is None else self._word(Action, config.action, (*place, "action"))
        if action is Action.PARTIAL:
            self._report(
                (*place, "action"), "got 'partial', expected an action for a whole value: partial is for detectors"
            )
        for at, key in enumerate(config.keys):
            self._check_key(key, (*place, "keys", at), keeps=action is Action.KEEP)
        for at, table in enumerate(config.tables or ()):
            self._is_table(table, (*place, "tables", at))
        categories = {member.value: member for member in Category}
        rule = FieldRule(
            action=action,
            data_class=None if config.data_class is None else self._data_class(config.data_class, (*place, "class")),
            categories=tuple(
                self._choose(categories, word, (*place, "categories", at))
                for at, word in enumerate(config.categories or ())
            ),
            detectors=self._actions(config.detectors, (*place, "detectors")),
        )
        return KeyedRule(tuple(config.keys), None if config.tables is None else frozenset(config.tables), rule)

    def _check_key(self, key: str, place: Place, *, keeps: bool) -> None:
        if not 1 <= len(key) <= MOST_KEY_CHARACTERS or not key.isprintable():
            self._report(place, f"got {key!r}, expected 1 to {MOST_KEY_CHARACTERS} printable characters")
        elif keeps and not key.strip("*?"):
            self._report(place, f"got {key!r}, expected a key or part of one: this would leave every field unsearched")

    def _read_custom(self, config: CustomConfig, place: Place) -> Detector | None:
        self._expect_entries(place, config)
        if not _DETECTOR_NAME.fullmatch(config.name):
            self._report((*place, "name"), f"got {config.name!r}, expected [a-z][a-z0-9_]{{0,39}}")
        if config.name in self._known:
            self._report((*place, "name"), f"got {config.name!r}, expected a name that no detector of the package has")
        if self._custom[config.name] is not config:
            self._report((*place, "name"), f"got {config.name!r}, expected it once in a policy")
        self._expect_same(config, place)
        trigger = self._attempt(lambda: check_trigger(config.trigger), (*place, "trigger"))
        find = self._attempt(lambda: make_find(config.pattern, config.context or ()), (*place, "pattern"))
        category = self._choose({member.value: member for member in Category}, config.category, (*place, "category"))
        for at, word in enumerate(config.context or ()):
            if not word.strip() or not word.isprintable():
                self._report((*place, "context", at), f"got {word!r}, expected a word")
        if trigger is None or find is None:
            return None
        for at, example in enumerate(config.examples or ()):
            matches = list(find(example))
            if not matches:
                self._report((*place, "examples", at), f"got {example!r}, in which the pattern finds nothing")
            elif not all(trigger.search(example[match.start : match.end].encode()) for match in matches):
                self._report((*place, "examples", at), f"got {example!r}, whose match does not hold the trigger")
        # Checked with the classes of all detectors, which decide: another policy may give the same detector another one.
        data_class = {each.label: each for each in DataClass}.get(config.data_class, DataClass.CONFIDENTIAL)
        detector = Detector(config.name, category, data_class, (config.trigger,), find)
        return self._shared.detectors.setdefault(config.name, detector)

    def _expect_same(self, config: CustomConfig, place: Place) -> None:
        """Two policies may have the same detector: their texts are searched together, so it must be the same search."""
        where = f"{self._document.file}:{self._document.problem((*self._place, *place), '').line}"
        first, first_at = self._shared.first.setdefault(config.name, (config, where))
        search = ("pattern", "trigger", "category", "context")
        for key in search:
            if written(first)[key] != written(config)[key]:
                self._report(
                    (*place, key), f"got another {key} than the {config.name} of {first_at}, expected the same"
                )

    def _attempt(self, make: Callable[[], T], place: Place) -> T | None:
        try:
            return make()
        except ValueError as exc:
            self._report(place, str(exc))
            return None


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"
