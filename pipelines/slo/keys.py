"""Reads mappings of a policy file key by key, so that each that nothing asked for can be named with its line."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from warehouse.policies import Problem
from warehouse.policies.yaml_lines import Document, Place

_MISSING: Any = object()


class Keys:
    """One mapping of a document, and what is wrong with it and below.

    Whoever reads it asks for the keys it understands, and calls `finish` at the end.
    """

    def __init__(self, document: Document, place: Place, value: Any, problems: list[Problem]) -> None:
        self.document = document
        self.place = place
        self.problems = problems
        self._value: Mapping[str, Any] = value if isinstance(value, dict) else {}
        self._asked: set[str] = set()
        if not isinstance(value, dict):
            self.report((), f"got {_word(value)}, expected a mapping")

    def report(self, below: Place, message: str) -> None:
        """Note a problem at a place below this mapping."""
        self.problems.append(self.document.problem((*self.place, *below), message))

    def has(self, key: str) -> bool:
        """Whether it is there and not null; it counts as asked for."""
        self._asked.add(key)
        return self._value.get(key) is not None

    def text(self, key: str, default: str = _MISSING, *, among: Collection[str] = ()) -> str:
        """A text, one of `among` where that is given."""
        value = self._get(key, default)
        if not isinstance(value, str) and value is not default:
            self._wrong(key, value, "text")
            return ""
        if among and value is not default and value not in among:
            self.report((key,), f"got {value!r}, expected {', '.join(among)}")
            return next(iter(among)) if default is _MISSING else default
        return value if value is not _MISSING else ""

    def number(self, key: str, default: float = _MISSING) -> float:
        """A number."""
        value = self._get(key, default)
        if value is default and default is not _MISSING:
            return float(default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            if value is not _MISSING:
                self._wrong(key, value, "a number")
            return 0.0
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            self._wrong(key, value, "true or false")
            return default
        return value

    def raw(self, key: str) -> Any:
        """The value as it stands; None where it is not there."""
        self._asked.add(key)
        return self._value.get(key)

    def child(self, key: str, *, required: bool = False) -> "Keys | None":
        """A mapping below; None where it is not there."""
        value = self._get(key, _MISSING if required else None)
        if value is None or value is _MISSING:
            return None
        return Keys(self.document, (*self.place, key), value, self.problems)

    def children(self, key: str, *, required: bool = False) -> Iterator["Keys"]:
        """The mappings of a list below."""
        for at, value in enumerate(self._list(key, required=required)):
            yield Keys(self.document, (*self.place, key, at), value, self.problems)

    def entries(self, key: str) -> list[tuple[int, Any]]:
        """The entries of a list below with their positions."""
        return list(enumerate(self._list(key, required=False)))

    def below(self, key: str, at: int, value: Any) -> "Keys":
        """The mapping at a position of a list below."""
        return Keys(self.document, (*self.place, key, at), value, self.problems)

    def words(self, key: str) -> list[str]:
        """A list of texts."""
        found = []
        for at, value in enumerate(self._list(key, required=False)):
            if isinstance(value, str):
                found.append(value)
            else:
                self.report((key, at), f"got {_word(value)}, expected text")
        return found

    def texts(self, key: str) -> dict[str, str]:
        """A mapping of texts."""
        inner = self.child(key)
        if inner is None:
            return {}
        found = {}
        for name in inner.names():
            value = inner.raw(name)
            if isinstance(value, str):
                found[name] = value
            else:
                inner.report((name,), f"got {_word(value)}, expected text: put it in quotes")
        return found

    def names(self) -> list[str]:
        """Every key that is there; they count as asked for."""
        self._asked |= set(self._value)
        return list(self._value)

    def unsupported(self, key: str, why: str) -> None:
        """Name a key of the format that means nothing here, where it is there."""
        if self.has(key):
            self.report((key,), f"this key of OpenSLO is not supported: {why}")

    def finish(self) -> None:
        """Name every key that nothing asked for."""
        for key in self._value:
            if key not in self._asked:
                expected = ", ".join(sorted(self._asked)) or "none"
                self.report((key,), f"got an unknown key, expected {expected}")

    def _get(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        value = self._value.get(key)
        if value is not None:
            return value
        if default is _MISSING:
            self.report((key,), "got nothing, expected this key")
        return default

    def _list(self, key: str, *, required: bool) -> list[Any]:
        value = self._get(key, _MISSING if required else None)
        if value is None or value is _MISSING:
            return []
        if not isinstance(value, list):
            self._wrong(key, value, "a list")
            return []
        return value

    def _wrong(self, key: str, value: Any, expected: str) -> None:
        if value is not _MISSING:
            self.report((key,), f"got {_word(value)}, expected {expected}")


def _word(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case _:
            return repr(value)
