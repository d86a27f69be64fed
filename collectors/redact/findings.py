"""What was found in one text, and the classification that follows for its record."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from collectors.redact.detector import Category, DataClass

IDENTITY = "identity"
"""How counts call a person's id that was replaced because of the field that it stood in."""
WITHHELD = "withheld"
"""How counts call a text that could not be searched, and so was not kept."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Characters `start` to `end` of a text, what they were taken for, what was done, and what stands there now."""

    start: int
    end: int
    detector: str
    action: str
    replacement: str | None
    path: tuple[str, ...] = ()


@dataclass(slots=True)
class Findings:
    """Everything found in a text or a record.

    `counts` are redactions by detector, `tokens` the persons. `drops_contents` says that no content of the record may be
    kept, `reject` names the detector or field for which it may not be kept at all.
    """

    counts: dict[str, int] = field(default_factory=dict)
    data_class: DataClass = DataClass.PUBLIC
    categories: set[Category] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    drops_contents: bool = False
    reject: str | None = None
    details: list[Finding] | None = None

    def raise_class(self, data_class: DataClass, *categories: Category) -> None:
        """Handle the record at least so carefully."""
        self.data_class = max(self.data_class, data_class)
        self.categories.update(categories)

    @property
    def is_nothing(self) -> bool:
        """Whether nothing was found that a record would have to tell."""
        return not (
            self.counts or self.data_class or self.categories or self.tokens or self.drops_contents or self.reject
        )

    def note_rule(self, data_class: DataClass | None, categories: Iterable[Category]) -> None:
        """Take over what a policy says of a field; categories alone make a record confidential."""
        named = tuple(categories)
        if data_class is not None or named:
            self.raise_class(DataClass.CONFIDENTIAL if data_class is None else data_class, *named)

    def count(self, name: str, times: int = 1) -> None:
        """Count redactions."""
        self.counts[name] = self.counts.get(name, 0) + times

    def add(self, other: "Findings") -> None:
        """Take over what was found elsewhere in the same record."""
        for name, times in other.counts.items():
            self.count(name, times)
        self.raise_class(other.data_class, *other.categories)
        self.tokens |= other.tokens
        self.drops_contents |= other.drops_contents
        self.reject = self.reject or other.reject
