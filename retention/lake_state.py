"""What a plan knows of a lake: its live files, and of some of them which rows there are. Plain values, read by `snapshot`.

Rows are told in *cohorts*: all rows of a file that the policy and the holds treat alike, with the bounds of their times. The
bounds decide: a cohort read for the instants of a plan lies on one side of each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from retention.policy import Combination


class Bounds(NamedTuple):
    """Least and most of some instants, in nanoseconds since 1970, or of log indices; both included."""

    least: int
    most: int


@dataclass(frozen=True)
class Owner:
    """The records that a cohort of contents belongs to."""

    combination: Combination
    age: Bounds
    received: Bounds


@dataclass(frozen=True)
class Cohort:
    """Rows of one file that are treated alike.

    Attributes:
        combination: what decides over their rule.
        rows: how many.
        age: what their time is counted from: their own time or their receipt, whichever is earlier; in `audit_events` receipt.
        received: their receipt, from which minimums count; of contents their owner's.
        holds: ids of the holds that keep them.
        owner: of contents, their records; None where these are gone.
    """

    combination: Combination
    rows: int
    age: Bounds
    received: Bounds
    holds: tuple[str, ...] = ()
    owner: Owner | None = None


@dataclass(frozen=True)
class FileState:
    """One live file. Sizes in bytes.

    Attributes:
        table: its table, or `quarantine`.
        day: UTC day of its records' own time, `YYYY-MM-DD`.
        rows: how many; None where nobody counted.
        own: bounds of its records' own times.
        received: bounds of their receipt; of contents those of the records of that day; None where unknown.
        log_index: bounds of the log indices, of whatever shards; None for tables without.
        settled: whether its segment's commit is complete; others are not for a plan yet.
        cohorts: its rows; None where they were not read.
    """

    path: str
    table: str
    tenant_id: str
    day: str
    rows: int | None
    size_bytes: int
    own: Bounds
    received: Bounds | None = None
    log_index: Bounds | None = None
    settled: bool = True
    cohorts: tuple[Cohort, ...] | None = None


@dataclass(frozen=True)
class LakeSnapshot:
    """Every live file of some tenants, and the version of each table at which it was listed."""

    files: tuple[FileState, ...] = ()
    versions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def families(self) -> dict[tuple[str, str], list[FileState]]:
        """Files by tenant and day: a record and its contents are always in the same one."""
        found: dict[tuple[str, str], list[FileState]] = {}
        for file in sorted(self.files, key=lambda file: (file.tenant_id, file.day, file.table, file.path)):
            found.setdefault((file.tenant_id, file.day), []).append(file)
        return found
