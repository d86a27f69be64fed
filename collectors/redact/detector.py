"""What a detector is: a cheap trigger over a buffer of many texts, and an exact search of the one text that it marks.

A detector MUST be pure and linear in the length of its text: quantifiers are bounded or cannot overlap. It MUST find every
match that lies within one text, whatever stands around it, wherever one of its triggers occurs in the text's UTF-8 bytes.
It MAY raise: whoever calls it withholds the text then.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

NUMBERS = "<numbers>"
"""The trigger that all detectors of numbers share: digits with spaces, dots, dashes, slashes or parentheses between them, at most
three in a row, at least `LEAST_DIGITS` digits in all. Patterns without a fixed text are what a scan pays for, so there is one."""
LEAST_DIGITS = 9
CAPITAL = "<capital>"
"""Ends a trigger whose rest is a plain text, matched as written: a capital letter, or the `v` or `d` of a name such as `van Dijk`,
follows it. Thousands of plain texts are compiled and looked for in no time; what follows is looked at only where one was found."""


class DataClass(IntEnum):
    """How carefully a record has to be handled; a higher one never gives way to a lower one."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    RESTRICTED = 3

    @property
    def label(self) -> str:
        """The text that `data_class` columns hold."""
        return self.name.lower()


class Category(StrEnum):
    """What kind of data was found."""

    PII = "pii"
    PHI = "phi"
    PCI = "pci"
    SECRET = "secret"  # noqa: S105 - the name of a category


@dataclass(frozen=True, slots=True)
class Match:
    """Characters `start` to `end` of a text are what the detector looks for."""

    start: int
    end: int


@dataclass(frozen=True)
class Detector:
    """One kind of thing that is looked for.

    Attributes:
        name: how policies, counts and masks call it, such as `email`; the mask is `[EMAIL]`.
        category: what kind of data it finds.
        data_class: the class that a record with a match has at least.
        triggers: patterns in the syntax that Hyperscan and `re` share, matched without regard to case over UTF-8 bytes of
            many texts joined: no anchors and no word boundaries, since a text's neighbours are other texts. `(?-i:…)` asks for
            the case as written. Each match of `find` holds or follows a match of one of them within the same text: the cue of a
            name or of a password stands before it, and is not part of it. Each has a fixed text of three bytes or more (`@` and
            the like apart), which is what makes it cheap, or is `NUMBERS`; `CAPITAL` may end it. Short, so that each occurrence reports once or twice.
        find: the exact search of one text, in characters; matches ascend and do not overlap.
        strong: whether a match is beyond doubt by its form alone (a checksum, a prefix that only secrets have), so that
            names and ids are searched for it too.
        partial: what `partial` leaves of a match, such as `****1234`.
        priority: of two matches that overlap, the one with the higher priority wins, then the longer one.
    """

    name: str
    category: Category
    data_class: DataClass
    triggers: tuple[str, ...]
    find: Callable[[str], Iterable[Match]]
    strong: bool = False
    partial: Callable[[str], str] | None = None
    priority: int = 0

    @property
    def mask(self) -> str:
        """What stands in place of a masked match."""
        return f"[{self.name.upper()}]"
