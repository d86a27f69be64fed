"""A policy file as blocks of lines: its head, a block an entry with the comments above it, and what follows the entries.

Joined again they are the file, byte for byte but for a missing end of its last line. So an entry is replaced without touching a line
that somebody else wrote.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from warehouse.policies.errors import PolicyError, Problem
from warehouse.policies.yaml_lines import Document, read_document

Where = tuple[str, str]
"""An entry of a kind of policy: the group that it belongs to, and its name there."""
HEAD = ""
"""The name of a group's own head, where it says something: what stands in its file before its entries."""

_ITEM = re.compile(r"( *)- ")
_SEPARATOR = re.compile(r"---[ \t]*(#.*)?")
_BETWEEN = "---\n"


@dataclass(frozen=True)
class Blocks:
    """One file: `items` are the blocks of its entries in their order, all of one `indent`, with `separator` between them.

    `owner` is the entry whose text the head is, where it is one.
    """

    head: str
    items: Mapping[Where, str]
    tail: str = ""
    indent: int = 0
    separator: str = ""
    owner: Where | None = None

    def text(self) -> str:
        """The file."""
        return self.head + self.separator.join(self.items.values()) + self.tail

    def block(self, where: Where, indent: int) -> str:
        """An entry's block as a file with another indent has it."""
        lines = self.items[where].splitlines(keepends=True)
        return "".join(" " * indent + line[self.indent :] if line.strip() else line for line in lines)

    def with_items(self, wanted: Iterable[Where], others: Mapping[Where, "Blocks"] | None = None) -> Self:
        """This file with the entries `wanted`, in that order: those named in `others` as the blocks there have them."""
        known = others or {}
        items = {
            where: known[where].block(where, self.indent) if where in known else self.items[where] for where in wanted
        }
        return replace(self, items=items)


def list_blocks(file: str, text: str, key: str, where_of: Callable[[Any], Where], owner: Where | None = None) -> Blocks:
    """Split a YAML file whose entries are the list under `key`; `where_of` names an entry.

    Raises:
        PolicyError: the entries do not stand each on lines of their own.
    """
    document = read_document(file, text)
    lines = text.splitlines(keepends=True)
    starts = [document.lines[key, at] for at in range(len(document.value[key]))]
    dashes = [_ITEM.match(lines[start - 1]) for start in starts]
    if not all(dashes) or len({len(dash[1]) for dash in dashes if dash}) != 1 or len(set(starts)) < len(starts):
        message = f"got {key} within a line, expected each on lines of its own, beginning with '- '"
        raise PolicyError([Problem(file, document.lines[(key,)], key, message)])
    indent = len(dashes[0][1]) if dashes[0] else 0
    begins = [_with_comments(lines, start - 1, indent) for start in starts]
    end = _end(document, lines, starts[-1])
    named = map(where_of, document.value[key])
    bounds = zip(begins, [*begins[1:], end], strict=True)
    items = {where: ended("".join(lines[first:last])) for where, (first, last) in zip(named, bounds, strict=True)}
    return Blocks("".join(lines[: begins[0]]), items, "".join(lines[end:]), indent, owner=owner)


def document_blocks(file: str, text: str, where_of: Callable[[Any], Where]) -> Blocks:
    """Split a YAML file of several documents; one of comments alone belongs to the next.

    Raises:
        PolicyError: a document cannot be read or named, or something stands on a line between two.
    """
    items: dict[Where, str] = {}
    waiting = ""
    for line, part in documents(text):
        if not says_something(part):
            waiting += part + _BETWEEN
            continue
        items[named(file, part, where_of, line=line)] = waiting + ended(part)
        waiting = ""
    found = Blocks("", items, waiting and _BETWEEN + waiting.removesuffix(_BETWEEN), separator=_BETWEEN)
    if found.text() != ended(text):
        message = "got documents that cannot be told apart line by line, expected '---' alone on each line between two"
        raise PolicyError([Problem(file, 1, "", message)])
    return found


def documents(text: str) -> Iterator[tuple[int, str]]:
    """The documents of a YAML file as they stand, those of comments alone too: the line that each begins in, and its text."""
    lines = text.split("\n")
    first = 0
    for at, line in enumerate([*lines, "---"]):
        if _SEPARATOR.fullmatch(line.rstrip("\r")):
            part = "\n".join(lines[first:at])
            yield first + 1, part if at == len(lines) else f"{part}\n" if at > first else ""
            first = at + 1


def says_something(text: str) -> bool:
    """Whether anything but comments stands in it."""
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def named(file: str, text: str, where_of: Callable[[Any], Where], *, line: int = 1) -> Where:
    """What a document is called.

    Raises:
        PolicyError: it cannot be read, or has no name.
    """
    try:
        return where_of(read_document(file, text).value)
    except (TypeError, KeyError) as exc:
        raise PolicyError([Problem(file, line, "", f"got an entry without a name, expected {exc}")]) from exc


def ended(block: str) -> str:
    """A block whose last line has its end."""
    return block if not block or block.endswith("\n") else f"{block}\n"


def _with_comments(lines: list[str], at: int, indent: int) -> int:
    """The line at which the comments right above an item begin."""
    while at > 0 and lines[at - 1].startswith("#", len(lines[at - 1]) - len(lines[at - 1].lstrip(" "))):
        if len(lines[at - 1]) - len(lines[at - 1].lstrip(" ")) > indent:
            break  # deeper, so that it may stand within a text
        at -= 1
    return at


def _end(document: Document, lines: list[str], last: int) -> int:
    """The line after the last item: where another key of the file begins."""
    after = [line - 1 for place, line in document.lines.items() if len(place) == 1 and line > last]
    return min(after, default=len(lines))
