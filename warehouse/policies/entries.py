"""Files of a kind that hold a list of entries each: read alike, and with what must stand once over all of them.

An error in one entry does not hide those of the others: what is wrong is collected, by file, line and key.
"""

from collections.abc import Iterator
from typing import TypeVar

from warehouse.policies.bundle import Bundle
from warehouse.policies.errors import PolicyError, Problem
from warehouse.policies.yaml_lines import Document, Place, convert, read_document

T = TypeVar("T")


def read_entries(
    bundle: Bundle, form: type[T], key: str, noun: str, problems: list[Problem]
) -> Iterator[tuple[Document, T]]:
    """Each file as a `form`, whose list under `key` is of things called `noun`; a file that is none is a problem, an empty list too."""
    for name, text in bundle.files.items():
        try:
            document = read_document(name, text)
            content = convert(document, form)
        except PolicyError as exc:
            problems += exc.problems
            continue
        if not getattr(content, key):
            problems.append(document.problem((key,), f"got an empty list, expected one {noun} or more"))
        yield document, content


class Once:
    """Words that stand once over all files, such as the names of entries."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._first: dict[str, str] = {}

    def claim(self, document: Document, place: Place, word: str) -> None:
        """Report a word that stands a second time, and where it stands first."""
        where = f"{document.file}:{document.problem(place, '').line}"
        if (first := self._first.setdefault(word, where)) is not where:
            message = f"got {word!r} twice, expected it once: {first} has it already"
            self._problems.append(document.problem(place, message))
