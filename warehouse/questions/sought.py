"""What somebody typed into the search box, told by its form alone: a person, a ticket, a conversation, an approval, a trace, a record.

Pure. A text that could be several things is searched as all of them. What can only be the name or address of a person is never
taken for anything else: such a text must reach neither an address, nor a record, nor a log.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from warehouse.errors import InputError
from warehouse.subjects.tokens import is_token

MOST_CHARACTERS = 320
"""Of what is typed: the longest address of e-mail."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#+=~-]*", re.ASCII)
_RECORD = re.compile(r"([a-z0-9][a-z0-9-]*)/(\d{1,18})", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{8,32}", re.ASCII)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_DIGIT = re.compile(r"\d", re.ASCII)


class Kind(StrEnum):
    """What a text can mean."""

    PERSON = "person"
    TICKET = "ticket"
    CONVERSATION = "conversation"
    APPROVAL = "approval"
    TRACE = "trace"
    RECORD = "record"


_NAMES = (Kind.TICKET, Kind.CONVERSATION, Kind.APPROVAL, Kind.PERSON)


@dataclass(frozen=True)
class Sought:
    """What a text can mean.

    `text` is what is compared, for a trace lower-case hex digits; it may name a person and so is not printed. `shard` and `index`
    are those of a record, the shard with or without what its identity adds, None where only a number was given.
    """

    text: str = field(repr=False)
    kinds: tuple[Kind, ...]
    shard: str | None = None
    index: int | None = None

    @property
    def is_token(self) -> bool:
        """Whether the text is a person's token, which names nobody."""
        return is_token(self.text)

    @property
    def only_person(self) -> bool:
        """Whether it can be nothing but a person."""
        return self.kinds == (Kind.PERSON,)

    @property
    def may_be_kept(self) -> bool:
        """Whether the text may stand in an address and in the record of the search, once it found something.

        A word without any digit could be a name that no vault knows; an id nearly always has one.
        """
        return self.is_token or (not self.only_person and _DIGIT.search(self.text) is not None)


def classify(text: str) -> Sought:
    """What a text can mean, most likely kind first.

    Raises:
        InputError: it is empty, too long, or holds control characters. The message does not repeat it.
    """
    typed = text.strip()
    if not typed:
        raise InputError(
            "search: expected a person, ticket, conversation, approval, trace or record number, got nothing"
        )
    if len(typed) > MOST_CHARACTERS:
        raise InputError(f"search: expected at most {MOST_CHARACTERS} characters, got {len(typed):,}")
    if not typed.isprintable():
        raise InputError("search: expected text on one line, got control or invisible characters")
    if is_token(typed):
        return Sought(typed, (Kind.PERSON,))
    lower = typed.lower()
    if parent := _TRACEPARENT.fullmatch(lower):
        return Sought(parent[1], (Kind.TRACE,))
    if record := _RECORD.fullmatch(typed):
        return Sought(typed, (Kind.RECORD,), record[1], int(record[2]))
    if not _IDENTIFIER.fullmatch(typed):
        return Sought(typed, (Kind.PERSON,))
    kinds: tuple[Kind, ...] = _NAMES
    if _HEX.fullmatch(lower):
        kinds = (Kind.TRACE, *kinds)
    if _NUMBER.fullmatch(typed):
        return Sought(typed, (Kind.RECORD, *kinds), None, int(typed))
    return Sought(typed, kinds)
