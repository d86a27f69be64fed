"""Walks the strings and numbers of a JSON text and puts others in their place, leaving every other byte as it is.

A parser would lose what it does not keep: the order and repetition of keys, the spelling of numbers, white space. So the text
is read token by token (RFC 8259), with the key that each value stands under.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

_TOKEN = re.compile(
    r'("[^"\\]*(?:\\.[^"\\]*)*")([ \t\r\n]*:)?|([{}])|(-?[0-9][0-9.eE+-]*)',
    re.DOTALL,
)
_BEGINNING = re.compile(r"[ \t\r\n]*[{\[]")
_STRING, _COLON, _BRACE, _NUMBER = 1, 2, 3, 4

Path = tuple[str, ...]
"""Keys above a value, the outermost first; elements of an array stand under the array's key."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A string, a number or a key of a JSON text. `text` is what it says, unescaped; a key's `path` ends with itself."""

    text: str
    path: Path
    is_number: bool = False
    is_key: bool = False


Visit = Callable[[Leaf], str | None]
"""Returns the text that stands in the leaf's place: the same object where it stays, None for no value."""


def may_be_json(text: str) -> bool:
    """Whether a text begins as a JSON object or array does."""
    return _BEGINNING.match(text) is not None


def is_json(text: str) -> bool:
    """Whether a text is a JSON object or array."""
    if not may_be_json(text):
        return False
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True


def rewrite(text: str, visit: Visit) -> str:
    """The JSON text with each string, number and key as `visit` says; the text itself where nothing changes."""
    pieces: list[str] = []
    last = 0
    above: list[tuple[Path, Path]] = []
    inside: Path = ()
    path: Path = ()
    for token in _TOKEN.finditer(text):
        kind = token.lastindex
        if kind == _BRACE:
            if token[_BRACE] == "{":
                above.append((path, inside))
                inside = path
            elif above:
                path, inside = above.pop()
            continue
        start, end = token.span(_NUMBER if kind == _NUMBER else _STRING)
        raw = text[start:end]
        if kind == _NUMBER:
            leaf = Leaf(raw, path, is_number=True)
        else:
            plain = raw[1:-1] if "\\" not in raw else msgspec.json.decode(raw)
            if kind == _COLON:
                path = (*inside, plain)
                leaf = Leaf(plain, path, is_key=True)
            else:
                leaf = Leaf(plain, path)
        new = visit(leaf)
        if new is not leaf.text:
            value = "" if new is None and leaf.is_key else new
            pieces += (text[last:start], msgspec.json.encode(value).decode())
            last = end
    if not pieces:
        return text
    pieces.append(text[last:])
    return "".join(pieces)
