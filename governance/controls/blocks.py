"""A control file as blocks of lines: its head, a block a control with the comments above it, and what follows the controls.

Joined again they are the file, byte for byte. So a control is replaced without touching a line that somebody else wrote.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from warehouse.policies import PolicyError, Problem
from warehouse.policies.yaml_lines import Document, read_document

_ITEM = re.compile(r"( *)- ")
_LIST = "controls"


@dataclass(frozen=True)
class Blocks:
    """One control file: `items` are the blocks of its controls by id, in their order, all of one `indent`."""

    head: str
    items: dict[str, str]
    tail: str
    indent: int

    @classmethod
    def read(cls, file: str, text: str) -> Self:
        """Split a control file that compiles.

        Raises:
            PolicyError: its controls do not stand each on lines of their own.
        """
        document = read_document(file, text)
        lines = text.splitlines(keepends=True)
        starts = [document.lines[_LIST, at] for at in range(len(document.value[_LIST]))]
        dashes = [_ITEM.match(lines[start - 1]) for start in starts]
        if not all(dashes) or len({len(dash[1]) for dash in dashes if dash}) != 1 or len(set(starts)) < len(starts):
            message = "got controls within a line, expected each on lines of its own, beginning with '- '"
            raise PolicyError([Problem(file, document.lines[(_LIST,)], _LIST, message)])
        indent = len(dashes[0][1]) if dashes[0] else 0
        begins = [_with_comments(lines, start - 1, indent) for start in starts]
        end = _end(document, lines, starts[-1])
        ids = [str(each["id"]) for each in document.value[_LIST]]
        bounds = zip(begins, [*begins[1:], end], strict=True)
        items = {name: _ended("".join(lines[first:last])) for name, (first, last) in zip(ids, bounds, strict=True)}
        return cls("".join(lines[: begins[0]]), items, "".join(lines[end:]), indent)

    def text(self) -> str:
        """The file."""
        return self.head + "".join(self.items.values()) + self.tail

    def block(self, name: str, indent: int) -> str:
        """A control's block as a file with another indent has it."""
        lines = self.items[name].splitlines(keepends=True)
        return "".join(" " * indent + line[self.indent :] if line.strip() else line for line in lines)

    def with_items(self, wanted: Iterable[str], taken: Iterable[str], other: "Blocks") -> Self:
        """This file with the controls `wanted`, in that order: those named in `taken` as `other` has them."""
        others = set(taken)
        items = {name: other.block(name, self.indent) if name in others else self.items[name] for name in wanted}
        return replace(self, items=items)


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


def _ended(block: str) -> str:
    return block if block.endswith("\n") else f"{block}\n"
