"""Walks the strings and numbers of a JSON text and puts others in their place, leaving every other byte as it is.

A parser would lose what it does not keep: the order and repetition of keys, the spelling of numbers, white space. So the text
is read token by token (RFC 8259), with the key that each value stands under.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

_TOKEN = re.compile(
    r'("[^"\\]*(?:\\.[^"\\]*)*")([ \t\r\n]*:)?|([{}])|(-?[0-9][0-9.eE+-]*)',
    re.DOTALL,
)
_BEGINNING = re.compile(r"[ \t\r\n]*[{\[]")
_LENIENT = json.JSONDecoder(strict=False)
_STRING, _COLON, _BRACE, _NUMBER = 1, 2, 3, 4

Path = tuple[str, ...]
"""Keys above a value, the outermost first; elements of an array stand under the array's key."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A string, a number or a key of a JSON text. `text` is what it says, unescaped; a key's `path` ends with itself.

    `start` and `end` are where it stands in the JSON text, in characters.
    """

    text: str
    path: Path
    is_number: bool = False
    is_key: bool = False
    start: int = 0
    end: int = 0


IsMarked = Callable[[int, int], bool]
Visit = Callable[[Leaf], str | None]
"""Returns the text that stands in the leaf's place: the same object where it stays, None for no value."""


def may_be_json(text: str) -> bool:
    """Whether a text begins as a JSON object or array does."""
    return _BEGINNING.match(text) is not None


def is_json(text: str) -> bool:
    """Whether a text is a JSON object or array, as common encoders write it: NaN, lone surrogates and line breaks in strings too.

    Raises:
        RecursionError: it is nested too deeply to tell.
    """
    if not may_be_json(text):
        return False
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        try:
            _LENIENT.decode(text)
        except ValueError:
            return False
    return True


def _decoded(raw: str) -> str:
    """What a JSON string says."""
    try:
        plain: str = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeEncodeError):
        plain = _LENIENT.decode(raw)
    return plain


def _encoded(text: str | None) -> str:
    """A text as a JSON string; null where there is none."""
    try:
        return msgspec.json.encode(text).decode()
    except UnicodeEncodeError:
        return json.dumps(text)


def rewrite(text: str, visit: Visit, is_marked: IsMarked | None = None) -> str:
    """The JSON text with each string, number and key as `visit` says; the text itself where nothing changes.

    With `is_marked`, only leaves of which it says so by their first and last character are visited, and what lies below such keys.
    """
    pieces: list[str] = []
    last = 0
    for leaf in _leaves(text, is_marked or _always):
        new = visit(leaf)
        if new is not leaf.text:
            value = "" if new is None and leaf.is_key else new
            pieces += (text[last : leaf.start], _encoded(value))
            last = leaf.end
    if not pieces:
        return text
    pieces.append(text[last:])
    return "".join(pieces)


def _always(_start: int, _end: int) -> bool:
    return True


@dataclass(slots=True)
class _Place:
    """Where the walk is: the path of the value that comes next and of its object; whether their keys are marked."""

    path: Path = ()
    inside: Path = ()
    is_marked: bool = False
    inside_is_marked: bool = False

    def below(self) -> "_Place":
        """Inside the object that is this value."""
        return _Place(self.path, self.path, self.is_marked, self.is_marked)


def _leaves(text: str, is_marked: IsMarked) -> Iterator[Leaf]:
    """Marked leaves of a JSON text, and those below marked keys, in order."""
    above: list[_Place] = []
    place = _Place()
    for token in _TOKEN.finditer(text):
        kind = token.lastindex
        if kind == _BRACE:
            if token[_BRACE] == "{":
                above.append(place)
                place = place.below()
            elif above:
                place = above.pop()
            continue
        start, end = token.span(_NUMBER if kind == _NUMBER else _STRING)
        marked = is_marked(start, end)
        raw = text[start:end]
        if kind == _COLON:
            plain = _plain(raw)
            place.path, place.is_marked = (*place.inside, plain), place.inside_is_marked or marked
            if place.is_marked:
                yield Leaf(plain, place.path, is_key=True, start=start, end=end)
        elif marked or place.is_marked:
            is_number = kind == _NUMBER
            yield Leaf(raw if is_number else _plain(raw), place.path, is_number, start=start, end=end)


def _plain(raw: str) -> str:
    return _decoded(raw) if "\\" in raw else raw[1:-1]
