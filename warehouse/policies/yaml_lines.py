"""YAML that remembers its lines, so that whatever is wrong with a policy can be named by file, line and key.

The subset of YAML 1.1 that a policy needs: mappings with text keys, each once; lists; scalars. Anchors and aliases are refused:
what a policy says stands where it is read, and no few lines of it can grow into gigabytes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec
import yaml

from warehouse.policies.errors import PolicyError, Problem

MOST_CHARACTERS = 1024 * 1024
"""Longest policy file."""

Place = tuple[str | int, ...]
"""Where a value stands: keys of mappings and positions in lists, from the top."""

T = TypeVar("T")

_HIDDEN = "..."
"""What stands for a key of a mapping in the paths of msgspec."""

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(\.\.\.)\]")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_WRONG_TYPE = re.compile(r"Expected `(.*)`, got `(.*)`")
_WORDS = {
    "str": "text", "int": "integer", "float": "number", "bool": "true or false", "array": "list", "object": "mapping",
    "null": "nothing",
}  # fmt: skip


@dataclass(frozen=True)
class Document:
    """One YAML file: its value as plain Python objects, and the line of each key and value in it."""

    file: str
    value: Any
    lines: Mapping[Place, int]

    def problem(self, place: Place, message: str) -> Problem:
        """What is wrong at a place; one that is not there, such as a missing key, is at the line of what should hold it."""
        at = place
        while at and at not in self.lines:
            at = at[:-1]
        return Problem(self.file, self.lines.get(at, 1), place_text(place), message)


def place_text(place: Place) -> str:
    """A place as messages write it, such as `redaction[0].detectors.email`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def read_document(file: str, text: str) -> Document:
    """Read one YAML document.

    Raises:
        PolicyError: not YAML, several documents, a key twice, a key that is no text, an alias, or too long.
    """
    if len(text) > MOST_CHARACTERS:
        message = f"got {len(text):,} characters, expected at most {MOST_CHARACTERS:,}"
        raise PolicyError([Problem(file, 1, "", message)])
    try:
        builder = _Builder(file, text)
        return Document(file, builder.build(), builder.lines)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        message = f"got no YAML, expected a mapping: {exc.problem}"
        raise PolicyError([Problem(file, mark.line + 1 if mark else 1, "", message)]) from exc
    except yaml.YAMLError as exc:
        message = f"got a character that YAML does not allow, expected text: {' '.join(str(exc).split())}"
        raise PolicyError([Problem(file, 1, "", message)]) from exc
    except RecursionError as exc:
        message = "got lists or mappings nested hundreds deep, expected a few levels"
        raise PolicyError([Problem(file, 1, "", message)]) from exc


_INTEGER = "tag:yaml.org,2002:int"
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")


class _Composer(yaml.SafeLoader):
    """Refuses aliases, and says of everything that is wrong in which line: ten times as slow as libyaml's."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed: write the value out", mark)
        return super().compose_node(parent, index)


_Loader: TypeAlias = _Composer | yaml.CSafeLoader


def _has_alias(top: yaml.Node) -> bool:
    """Whether a node stands in two places."""
    seen: set[int] = set()
    waiting = [top]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            return True
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return False


class _Builder:
    """Turns one document's nodes into plain objects, collecting what is wrong on the way."""

    def __init__(self, file: str, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._file = file
        self._text = text
        self._problems: list[Problem] = []

    def build(self) -> Any:
        try:
            loader: _Loader = yaml.CSafeLoader(self._text)
            node = loader.get_single_node()
        except yaml.YAMLError:
            node = None
        if node is None or _has_alias(node):
            loader = _Composer(self._text)
            node = loader.get_single_node()
        value = None if node is None else self._value(loader, node, ())
        if self._problems:
            raise PolicyError(self._problems)
        return value

    def _value(self, loader: _Loader, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(loader, node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(loader, entry, (*place, at)) for at, entry in enumerate(node.value)]
        if node.tag == _INTEGER and not _DECIMAL.fullmatch(node.value):
            # YAML 1.1 reads 010 as eight and 1:30 as ninety: nobody who writes them means that
            self._report(node, place, f"got {node.value!r}, expected an integer in plain decimal digits")
            return None
        try:
            return loader.construct_object(node)
        except (ValueError, OverflowError) as exc:
            self._report(node, place, f"got {node.value!r}, expected a value that can be: {exc}")
            return None

    def _mapping(self, loader: _Loader, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                got = repr(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                self._report(key_node, place, f"got {got} as a key, expected text: put it in quotes")
                continue
            key, at = key_node.value, (*place, key_node.value)
            if key in found:
                self._report(
                    key_node, at, f"got it twice, expected it once: it stands in line {self.lines[at]} already"
                )
                continue
            self.lines[at] = key_node.start_mark.line + 1
            found[key] = self._value(loader, value_node, at)
        return found

    def _report(self, node: yaml.Node, place: Place, message: str) -> None:
        self._problems.append(Problem(self._file, node.start_mark.line + 1, place_text(place), message))


def convert(document: Document, kind: type[T]) -> T:
    """The document as a msgspec struct whose fields are lists of entries.

    Raises:
        PolicyError: it is not of that form; one problem for the document as a whole, or one for each entry that has any.
    """
    try:
        return msgspec.convert(document.value, kind)
    except msgspec.ValidationError:
        problems = _entry_problems(document, kind)
        if not problems and (whole := _problem(document, document.value, kind)) is not None:
            problems = [whole]
        raise PolicyError(problems) from None


def _entry_problems(document: Document, kind: type) -> list[Problem]:
    """Problems of the entries of each list at the top, every entry read as if it were alone."""
    top = document.value
    if not isinstance(top, dict):
        return []
    found = []
    for key, entries in top.items():
        for at, entry in enumerate(entries if isinstance(entries, list) else ()):
            problem = _problem(document, {key: [entry]}, kind, moved={(key, 0): (key, at)})
            if problem is not None:
                found.append(problem)
    return found


def _problem(
    document: Document, value: Any, kind: type, *, moved: Mapping[Place, Place] | None = None
) -> Problem | None:
    """The first thing wrong with `value`, with its place in the document; None when nothing is."""
    error = _error(value, kind)
    if error is None:
        return None
    message, place = error
    place = _with_keys(value, kind, place)
    if match := _UNKNOWN_FIELD.fullmatch(message):
        place, message = (*place, match[1]), f"got an unknown key, expected {', '.join(_keys_at(kind, place))}"
    elif match := _MISSING_FIELD.fullmatch(message):
        place, message = (*place, match[1]), "got nothing, expected this key"
    elif match := _WRONG_TYPE.fullmatch(message):
        message = f"got {_word(match[2])}, expected {_word(match[1])}"
    for alone, real in (moved or {}).items():
        if place[: len(alone)] == alone:
            place = (*real, *place[len(alone) :])
    return document.problem(place, message)


def _keys_at(kind: type, place: Place) -> tuple[str, ...]:
    """The keys that the struct at a place has."""
    info: msgspec.inspect.Type = msgspec.inspect.type_info(kind)
    for step in (*place, None):
        while isinstance(info, msgspec.inspect.UnionType):
            info = next(each for each in info.types if not isinstance(each, msgspec.inspect.NoneType))
        if isinstance(info, msgspec.inspect.StructType):
            fields = {field.encode_name: field for field in info.fields}
            if step is None:
                return tuple(fields)
            info = fields[str(step)].type
        elif isinstance(info, msgspec.inspect.DictType):
            info = info.value_type
        elif isinstance(info, msgspec.inspect.ListType):
            info = info.item_type
    return ()


def _error(value: Any, kind: type) -> tuple[str, Place] | None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        message, _, path = str(exc).partition(" - at `$")
        steps = _STEP.findall(path.removesuffix("`"))
        return message, tuple(int(number) if number else key or hidden for key, number, hidden in steps)
    return None


def _with_keys(value: Any, kind: type, place: Place) -> Place:
    """`place` with the keys that msgspec writes as `[...]`: of each mapping the first that is wrong when it stands alone."""
    at = 0
    while at < len(place):
        if place[at] == _HIDDEN:
            holder = value
            for known in place[:at]:
                holder = holder[known]
            for key, entry in holder.items():
                alone = _replaced(value, place[:at], {key: entry})
                error = _error(alone, kind)
                if error is not None and error[1][at : at + 1] == (_HIDDEN,):
                    value, place = alone, (*place[:at], key, *error[1][at + 1 :])
                    break
        at += 1
    return place


def _replaced(value: Any, place: Place, new: Any) -> Any:
    """A copy of `value` with `new` at a place."""
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = _replaced(value[place[0]], place[1:], new)
    return copy


def _word(kinds: str) -> str:
    return " or ".join(_WORDS.get(each, each) for each in kinds.split(" | "))
