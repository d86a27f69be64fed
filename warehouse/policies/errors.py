"""Errors of policies.

warehouse.errors.SettingsError
└── PolicyError    a policy that cannot be used; `problems` says where and why, one by one
"""

from collections.abc import Iterable
from dataclasses import dataclass

from warehouse.errors import SettingsError

REFERENCE = "docs/reference/policies.md"


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a policy: in which file, at which line (from 1) and key, what was got and what was expected."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: "
        return f"{where}{self.key}: {self.message}" if self.key else f"{where}{self.message}"


class PolicyError(SettingsError):
    """A policy that cannot be used. `problems` lists what is wrong, by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)), hint=f"{REFERENCE} lists every key")
