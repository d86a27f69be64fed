"""The treatment of one text: what its field says, what detectors find in it, and what then stands in its place.

This is the careful path; only texts that the scanner marked come here. Whatever goes wrong on it withholds the text: a text that
could not be searched is never kept.
"""

import base64
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collectors.redact.detector import Category, DataClass, Detector
from collectors.redact.fields import TEXT, Field, Role, field_at, is_prose
from collectors.redact.findings import IDENTITY, WITHHELD, Finding, Findings
from collectors.redact.json_text import Leaf, Path, is_json, rewrite
from collectors.redact.policy import FieldRule, TenantPolicy
from collectors.redact.policy_config import Action
from collectors.redact.rules import rule_of
from collectors.redact.tokens import TokenBook

WITHHELD_TEXT = "[WITHHELD]"
_WITHHELD_JSON = (f'{{"muniment.redaction":"{WITHHELD_TEXT}"}}', f'[{{"name":"{WITHHELD_TEXT}"}}]')
BYTES_KEY = "$bytes"
"""The decoder writes an attribute of bytes as `{"$bytes":"base64"}`."""
_TRIGGER_TAIL = 16
"""How far behind its match a trigger may end."""
_MOST_LEVELS = 8
"""JSON texts inside strings of JSON texts; what lies deeper is withheld."""

Ints = npt.NDArray[np.int64]
Candidates = Callable[[str], Sequence[Detector]]
"""The detectors that may find something in a text."""


_NUMERIC_SECRET = re.compile("pass|pin|pwd|code", re.IGNORECASE)
"""Keys whose secret may be a number."""


class UnsearchableError(Exception):
    """A text that was not searched within its time."""


@dataclass(frozen=True, slots=True)
class _Hit:
    start: int
    end: int
    detector: Detector


class Treatment:
    """Treats texts of one table of one tenant. Not thread-safe: it is made for one group."""

    def __init__(
        self,
        tenant: str,
        policy: TenantPolicy,
        table: str,
        book: TokenBook,
        *,
        text_seconds: float,
        explain: bool = False,
    ) -> None:
        self._tenant = tenant
        self._policy = policy
        self._table = table
        self._book = book
        self._text_seconds = text_seconds
        self._explain = explain
        self._identity = Action(policy.identity)
        self._identity_rules: dict[Path, FieldRule | None] = {}

    def text(
        self,
        text: str,
        path: Path,
        field: Field,
        candidates: Candidates,
        marks: Ints | None = None,
        *,
        actor_is_person: bool = True,
    ) -> tuple[str | None, Findings]:
        """What stands in place of a text under the keys `path` (None: nothing), and what was found.

        `marks` are offsets behind triggers, in characters: values of a JSON text far from any are not searched. None: all are.
        """
        work = _Work(self, candidates, marks, actor_is_person=actor_is_person, explain=self._explain)
        return self._guarded(work, lambda: work.value(text, path, field, 0), path, text)

    def json(
        self, text: str, candidates: Candidates, marks: Ints | None = None, *, actor_is_person: bool = True
    ) -> tuple[str | None, Findings]:
        """The same for a JSON text that the decoder made: every key and value by its own field."""
        work = _Work(self, candidates, marks, actor_is_person=actor_is_person, explain=self._explain)
        return self._guarded(work, lambda: work.members(text, (), 0), (), text)

    def identity(self, value: str, path: Path) -> tuple[str | None, str | None]:
        """What stands in place of a person's id (None: nothing), and its token if it has one."""
        if not value:
            return value, None
        if path not in self._identity_rules:  # a few keys, and as many values as a group has
            self._identity_rules[path] = self._rule(path)
        return self._exchange(value, self._identity_rules[path])[:2]

    def identity_column(self, name: str) -> Findings:
        """What the policy's rule about a column of ids says of every record that has one."""
        findings = Findings()
        rule = self._rule((name,))
        if rule is not None:
            findings.note_rule(rule.data_class, rule.categories)
            findings.drops_contents = rule.action is Action.DROP_CONTENTS
            findings.reject = name if rule.action is Action.REJECT else None
        return findings

    def _exchange(self, value: str, rule: FieldRule | None) -> tuple[str | None, str | None, Action]:
        action = rule.action if rule is not None and rule.action is not None else self._identity
        if action is Action.KEEP:
            return value, None, action
        if action is Action.DROP:
            return None, None, action
        token = self._book.find(self._tenant, value) if action is Action.TOKEN else None
        return token or "[IDENTITY]", token, action

    def _guarded(
        self, work: "_Work", treat: Callable[[], str | None], path: Path, text: str
    ) -> tuple[str | None, Findings]:
        try:
            return treat(), work.findings
        except Exception:  # noqa: BLE001 - whatever a detector fails on must not be kept; the count says that it happened
            work.findings = Findings(details=[] if self._explain else None)
            withheld = work.withhold(text, path)
            return (withheld if path else _WITHHELD_JSON[text[:1] == "["]), work.findings

    def _rule(self, path: Path) -> FieldRule | None:
        """What the policy says about a value: by its own key, else by the outermost one above it."""
        if not path:
            return None
        rule = rule_of(self._policy, path[-1], self._table)
        return rule if rule is not None or len(path) == 1 else rule_of(self._policy, path[0], self._table)


class _Work:
    """One text's treatment, and what it found."""

    def __init__(
        self, treatment: Treatment, candidates: Candidates, marks: Ints | None, *, actor_is_person: bool, explain: bool
    ) -> None:
        self.findings = Findings(details=[] if explain else None)
        self._of = treatment
        self._policy = treatment._policy  # noqa: SLF001 - one class in two halves
        self._candidates = candidates
        self._marks = None if marks is None else marks.tolist()
        self._is_marked = True
        self._depth = 0
        self._actor_is_person = actor_is_person
        self._deadline = time.monotonic() + treatment._text_seconds  # noqa: SLF001 - as above

    def members(self, text: str, path: Path, level: int) -> str:
        """A JSON text with every string, number and key of it treated."""
        self._depth += 1
        try:
            if self._depth > 1 or self._marks is None:
                return rewrite(text, lambda leaf: self.leaf(_below(leaf, path), level))
            return rewrite(text, lambda leaf: self.leaf(_below(leaf, path), level), self._stands_at_mark)
        finally:
            self._depth -= 1

    def leaf(self, leaf: Leaf, level: int) -> str | None:
        """What stands in place of one string, number or key of a JSON text."""
        if self._depth == 1 and self._marks is not None:
            self._is_marked = self._stands_at_mark(leaf.start, leaf.end)
        if leaf.is_key:
            return self._key(leaf.text, leaf.path, level)
        if leaf.path[-1:] == (BYTES_KEY,) and not leaf.is_number:
            return self._bytes(leaf.text, leaf.path[:-1], level)
        field = field_at(leaf.path)
        if leaf.is_number and field.detector == "secret" and not _NUMERIC_SECRET.search(leaf.path[-1]):
            return leaf.text  # a count or a limit, such as of tokens
        return self.value(leaf.text, leaf.path, field, level, is_number=leaf.is_number)

    def _stands_at_mark(self, start: int, end: int) -> bool:
        """Whether a trigger ends between these offsets, or so little behind that it may have begun there."""
        marks = self._marks or []
        at = bisect_right(marks, start)
        return at < len(marks) and marks[at] <= end + _TRIGGER_TAIL

    def _key(self, text: str, path: Path, level: int) -> str | None:
        """What stands in place of a key; some are JSON texts."""
        try:
            return self._nested(text, path[:-1], level) if is_json(text) else self._searched(text, path, TEXT)
        except RecursionError:
            return self.withhold(text, path)

    def _bytes(self, text: str, path: Path, level: int) -> str | None:
        """What stands in place of bytes, which JSON has in base64: they are treated as the text that they are, if any."""
        field = field_at(path)
        self._is_marked = True  # no scan saw what base64 says
        try:
            plain = base64.b64decode(text, validate=True).decode("utf8", "surrogateescape")
        except ValueError:
            return self.value(text, path, field, level)
        new = self.value(plain, path, field, level)
        if new is None:
            return None
        return text if new == plain else base64.b64encode(new.encode("utf8", "surrogateescape")).decode()

    def value(self, text: str, path: Path, field: Field, level: int, *, is_number: bool = False) -> str | None:
        """What stands in place of a value."""
        if not text:
            return text
        rule = self._of._rule(path)  # noqa: SLF001 - one class in two halves
        if rule is not None:
            self.findings.note_rule(rule.data_class, rule.categories)
            if rule.action is not None:
                return self._by_rule(text, path, rule.action)
        if field.role is Role.IDENTITY or (field.role is Role.ACTOR and self._actor_is_person):
            return self.identity(text, path, rule)
        try:
            is_nested = not is_number and is_json(text)
        except RecursionError:
            return self.withhold(text, path)
        if is_nested:
            return self._nested(text, path, level)
        detector = field.detector if field.role is Role.KEYED else None
        return self._searched(text, path, field) if detector is None else self._keyed(text, path, detector)

    def _nested(self, text: str, path: Path, level: int) -> str:
        """A JSON text that is itself a value."""
        if level >= _MOST_LEVELS:
            return self.withhold(text, path)
        return self.members(text, path, level + 1)

    def identity(self, value: str, path: Path, rule: FieldRule | None) -> str | None:
        """What stands in place of a person's id."""
        new, token, action = self._of._exchange(value, rule)  # noqa: SLF001 - one class in two halves
        if action is Action.KEEP:
            return value
        self.findings.raise_class(DataClass.CONFIDENTIAL, Category.PII)
        if token is not None:
            self.findings.tokens.add(token)
        if token == value:  # ours already: a record that comes again
            return value
        self.findings.count(IDENTITY)
        self._tell(0, len(value), IDENTITY, action, new, path)
        return new

    def _token(self, value: str) -> str | None:
        token = self._of._book.find(self._of._tenant, value)  # noqa: SLF001 - one class in two halves
        if token is not None:
            self.findings.tokens.add(token)
        return token

    def _by_rule(self, text: str, path: Path, action: Action) -> str | None:
        """A whole value whose field the policy names."""
        if action is Action.KEEP:
            return text
        if action is Action.TOKEN:
            return self.identity(text, path, FieldRule(action=Action.TOKEN))
        name = path[-1]
        self.findings.count("field")
        new = self._replaced(text, action, "[REDACTED]", None, name)
        self._tell(0, len(text), "field", action, new, path)
        return new

    def _keyed(self, text: str, path: Path, name: str) -> str | None:
        """A value that is what its key says."""
        detector = self._policy.detectors.get(name)
        if detector is None:
            return self._searched(text, path, TEXT)
        action = self._policy.action(name, self._of._table, path[-1])  # noqa: SLF001 - one class in two halves
        self._classify(detector)
        if action is Action.KEEP:
            return self._searched(text, path, TEXT)
        if text.startswith("[") and text == detector.mask:
            return text
        self.findings.count(name)
        new = self._replaced(text, action, detector.mask, detector, path[-1])
        self._tell(0, len(text), name, action, new, path)
        return new

    def _searched(self, text: str, path: Path, field: Field) -> str | None:
        """A text in which detectors look for what they know; whatever one of them fails on is withheld."""
        try:
            hits = self._hits(text, only_strong=field.role.is_name and not is_prose(text))
        except Exception:  # noqa: BLE001 - what could not be searched must not be kept; the count says that it happened
            return self.withhold(text, path)
        return self._rewritten(text, _resolved(hits), path) if hits else text

    def _hits(self, text: str, *, only_strong: bool) -> list[_Hit]:
        if not self._is_marked:
            return []
        hits: list[_Hit] = []
        for detector in self._candidates(text):
            if only_strong and not detector.strong:
                continue
            if time.monotonic() > self._deadline:
                raise UnsearchableError("a text was not searched within its time")
            hits += [_Hit(match.start, match.end, detector) for match in detector.find(text)]
        if time.monotonic() > self._deadline:
            raise UnsearchableError("a text was not searched within its time")
        return hits

    def withhold(self, text: str, path: Path) -> str:
        """Keep nothing of a text, and count it."""
        self.findings.count(WITHHELD)
        self.findings.raise_class(DataClass.RESTRICTED)
        self._tell(0, len(text), WITHHELD, None, WITHHELD_TEXT, path)
        return WITHHELD_TEXT

    def _rewritten(self, text: str, hits: Iterable[_Hit], path: Path) -> str | None:
        key = path[-1] if path else None
        pieces: list[str] = []
        last = 0
        dropped = False
        for hit in hits:
            name = hit.detector.name
            action = self._policy.action(name, self._of._table, key)  # noqa: SLF001 - one class in two halves
            self._classify(hit.detector)
            if action is Action.KEEP:
                continue
            found = text[hit.start : hit.end]
            self.findings.count(name)
            new = self._replaced(found, action, hit.detector.mask, hit.detector, name)
            dropped |= new is None
            self._tell(hit.start, hit.end, name, action, new, path)
            pieces += (text[last : hit.start], new or "")
            last = hit.end
        if dropped:
            return None
        return text if not pieces else "".join([*pieces, text[last:]])

    def _replaced(self, found: str, action: Action, mask: str, detector: Detector | None, name: str) -> str | None:
        if action is Action.DROP:
            return None
        if action is Action.TOKEN:
            return self._token(found) or mask
        if action is Action.PARTIAL and detector is not None and detector.partial is not None:
            return detector.partial(found)
        if action is Action.DROP_CONTENTS:
            self.findings.drops_contents = True
        if action is Action.REJECT:
            self.findings.reject = self.findings.reject or name
        return mask

    def _classify(self, detector: Detector) -> None:
        self.findings.raise_class(self._policy.data_class(detector.name), detector.category)

    def _tell(self, start: int, end: int, detector: str, action: Action | None, new: str | None, path: Path) -> None:
        if self.findings.details is not None:
            done = "withhold" if action is None else action.value
            self.findings.details.append(Finding(start, end, detector, done, new, path))


def _below(leaf: Leaf, path: Path) -> Leaf:
    """A leaf of a JSON text that is itself a value under `path`."""
    if not path:
        return leaf
    return Leaf(leaf.text, (*path, *leaf.path), leaf.is_number, leaf.is_key, leaf.start, leaf.end)


def _resolved(hits: list[_Hit]) -> list[_Hit]:
    """Of hits that overlap, the one of higher priority, then the longer one; in order."""
    if len(hits) == 1:
        return hits
    kept: list[_Hit] = []
    for hit in sorted(hits, key=lambda hit: (-hit.detector.priority, hit.start - hit.end, hit.start)):
        if all(hit.end <= other.start or hit.start >= other.end for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.start)
