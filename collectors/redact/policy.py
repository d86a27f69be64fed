"""The redaction policy in force: which action a detector's match, a field or a tenant's contents meet. Pure and immutable.

`policy_compiler` turns files into it, or says everything that is wrong with them. Lookups are cheap enough to be made for each
field of a batch. A tenant that no policy names has the policy whose tenants are `*`; where there is none, the strict one that
comes with the package: no tenant is ever without.
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from collectors.redact.detector import Category, DataClass, Detector
from collectors.redact.policy_config import Action, Contents, Identity

_MOST_CACHED_CHARACTERS = 256
_MOST_CACHED_KEYS = 8192


@dataclass(frozen=True)
class FieldRule:
    """What a policy says about the fields that a rule names.

    Attributes:
        action: what happens to the whole value, unsearched; None when the value is searched as others are.
        data_class: class that a record with such a field has at least; None when the rule says nothing about it.
        categories: what kind of data the field holds.
        detectors: actions of detectors in such a field, where they differ.
    """

    action: Action | None = None
    data_class: DataClass | None = None
    categories: tuple[Category, ...] = ()
    detectors: Mapping[str, Action] = field(default_factory=dict)

    @property
    def treats(self) -> bool:
        """Whether such a field has to be treated although no detector finds anything in it."""
        return self.action not in {None, Action.KEEP} or self.data_class is not None or bool(self.categories)


@dataclass(frozen=True)
class KeyedRule:
    """A field rule with the keys and tables that it is for; no tables means all."""

    keys: tuple[str, ...]
    tables: frozenset[str] | None
    rule: FieldRule


@dataclass(frozen=True)
class TableRule:
    """What is different in one table."""

    default: Action | None = None
    detectors: Mapping[str, Action] = field(default_factory=dict)


class TenantPolicy:
    """What one policy says to its tenants. Immutable but for its caches; safe to use from several threads.

    Attributes:
        name: the policy's name.
        hash: hash of the files that it comes from, as `redaction_policy` columns hold it.
        identity: what happens to identity fields.
        contents: what happens to contents.
        default_class: class of a record in which nothing was found.
        contents_class: class of contents in which nothing was found.
        detectors: every detector that searches this tenant's texts, its own ones too, by name.
        rules: rules for fields, in the order in which they are asked.
        searches: pattern, trigger and context words of the tenant's own detectors, by name, for comparing.
    """

    def __init__(
        self,
        *,
        name: str,
        content_hash: str,
        default: Action,
        actions: Mapping[str, Action],
        classes: Mapping[str, DataClass],
        identity: Identity,
        contents: Contents,
        default_class: DataClass,
        contents_class: DataClass,
        tables: Mapping[str, TableRule],
        rules: Sequence[KeyedRule],
        detectors: Mapping[str, Detector],
        searches: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.hash = content_hash
        self.identity = identity
        self.contents = contents
        self.default_class = default_class
        self.contents_class = contents_class
        self.detectors = MappingProxyType(dict(detectors))
        self._default = default
        self._actions = dict(actions)
        self._classes = dict(classes)
        self._tables = dict(tables)
        self.treated_keys = tuple(key for rule in rules if rule.rule.treats for key in rule.keys)
        """Shell-style patterns of the fields about which a rule says more than which detectors look at them."""
        self.rules = tuple(rules)
        self.searches = MappingProxyType(dict(searches))
        self._rules = [(_any_key(rule.keys), rule.tables, rule.rule) for rule in rules]
        self._cached_rule = lru_cache(maxsize=_MOST_CACHED_KEYS)(self._find_rule)

    def action(self, detector: str, table: str, key: str | None = None) -> Action:
        """What happens to a match of `detector` in a field of a table; `key` None for a text that is no field.

        The most specific word decides: the field's rule, the table's detectors, the policy's detectors, the table's default,
        the policy's default. A rule about the field's whole value is not asked here: see `field_rule`.
        """
        rule = None if key is None else self.field_rule(key, table)
        if rule is not None and (action := rule.detectors.get(detector)) is not None:
            return action
        in_table = self._tables.get(table, _NO_TABLE_RULE)
        return in_table.detectors.get(detector) or self._actions.get(detector) or in_table.default or self._default

    def field_rule(self, key: str, table: str) -> FieldRule | None:
        """The first rule that names this attribute key or column of a table; None when none does."""
        if not self._rules:
            return None
        find = self._cached_rule if len(key) <= _MOST_CACHED_CHARACTERS else self._find_rule
        return find(key, table)

    def data_class(self, detector: str) -> DataClass:
        """The class that a record with a match of `detector` has at least."""
        stated = self._classes.get(detector)
        return self.detectors[detector].data_class if stated is None else stated

    def _find_rule(self, key: str, table: str) -> FieldRule | None:
        for keys, tables, rule in self._rules:
            if (tables is None or table in tables) and keys.match(key):
                return rule
        return None


_NO_TABLE_RULE = TableRule()


@dataclass(frozen=True)
class RedactionPolicy:
    """All redaction policies of a lake, as compiled from one bundle.

    Attributes:
        content_hash: hash of the files.
        tenants: policies by the tenant that they name.
        others: the policy of every other tenant.
        detectors: every detector that some tenant's texts are searched with, by name.
    """

    content_hash: str
    tenants: Mapping[str, TenantPolicy]
    others: TenantPolicy
    detectors: Mapping[str, Detector]

    def for_tenant(self, tenant: str) -> TenantPolicy:
        """The policy of a tenant."""
        return self.tenants.get(tenant, self.others)

    @property
    def treated_keys(self) -> tuple[str, ...]:
        """What every tenant's `treated_keys` name together."""
        every = (key for policy in (*self.tenants.values(), self.others) for key in policy.treated_keys)
        return tuple(dict.fromkeys(every))


def _any_key(patterns: Sequence[str]) -> "re.Pattern[str]":
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))
