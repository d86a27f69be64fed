"""What scheduled jobs ask of a lake, as a protocol, and where its implementation is found.

This package may not import the one that puts the rooms together, so that one announces its implementation under the entry point group
`muniment.jobs`. Results are plain values: ids, counts, times, sizes and hashes, for Dagster stores whatever it is shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal, Protocol

from pipelines.errors import JobError
from pipelines.findings import FindingsJobs

GROUP = "muniment.jobs"
NAME = "lake"


@dataclass(frozen=True)
class TenantState:
    """A tenant, closed ones too, or the lake's own; since when it is there (nanoseconds since 1970)."""

    id: str
    created_unix_nano: int


@dataclass(frozen=True)
class Maintained:
    """A round of maintenance. `skipped`: another round was under way, so this one did nothing. Sizes in bytes.

    `failures` says what could not be done; the rest was done.
    """

    skipped: bool = False
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    files_deleted: int = 0
    orphans_deleted: int = 0
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verified:
    """A verification. `result` is `proved`, `consistent` or `broken`; `findings` counts them by kind, `broken` names the logs."""

    result: str
    logs: int
    records: int
    findings: Mapping[str, int]
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kept:
    """Rows that were due by their rule and stay: `by` is `hold` or `minimum`, `name` which one."""

    by: str
    name: str
    table: str
    rows: int


@dataclass(frozen=True)
class PurgeOutcome:
    """One purge that ended, with its certificate. `resumed`: an earlier run had begun it. Sizes in bytes."""

    purge_id: str
    rows: Mapping[str, int]
    size_bytes: int
    certificate_sha256: str
    certificate_file: Path
    kept: tuple[Kept, ...] = ()
    resumed: bool = False


@dataclass(frozen=True)
class Overdue:
    """Rows that should have gone: in which table, from which day on, in how many files, and why they are there still.

    `rows` counts those that the plan could count without reading. `expected` is true where nothing went wrong: the rule or the
    holds changed so lately that no run came since.
    """

    table: str
    first_day: str
    files: int
    rows: int
    why: str
    expected: bool = False


@dataclass(frozen=True)
class PurgeState:
    """What a lake itself knows about the purges of a tenant: the last certificate's time, and purges begun and not finished."""

    last_certificate_unix_nano: int | None
    unfinished: tuple[str, ...] = ()


@dataclass(frozen=True)
class Searched:
    """A search for what certificates say is gone. `problems` says what was found, of which tenant."""

    certificates: int
    rows_read: int
    bytes_read: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Packs:
    """A round of evidence packs: SHA-256 by name of those built, names of those deleted, and of those that a hold kept.

    `problems` counts sampled records that could not be proved. `left` are to be built by another round; `lost` cannot be built, since
    the records of their months were deleted; of `partial` some were.
    """

    built: Mapping[str, str]
    deleted: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    problems: int = 0
    left: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuiteResult:
    """What one check of a table's suite found in a sample of a day's records.

    `outcome`: `errored` says that nothing is known of the records, `empty` that there were none to look at; neither is a pass.
    `sampled` counts the sampled records that the check applies to, `unexpected` those of them that are not as expected; both are
    None where it errored. `detail` names a few of these by shard and log index, or the kind of error.
    """

    name: str
    table: str
    outcome: Literal["passed", "failed", "errored", "empty"]
    sampled: int | None
    unexpected: int | None
    detail: str = ""


class LakeJobs(FindingsJobs, Protocol):
    """The work on one lake, with that over the records of days. Every method MUST be safe to repeat, in any order and beside itself in another process.

    What cannot be done MUST be raised as `JobError`, whose message holds no value of a record.
    """

    def tenants(self) -> list[TenantState]:
        """Whose records the lake holds."""
        ...

    def maintain(self) -> Maintained:
        """Compact, clean up and sweep every table."""
        ...

    def maintenance_interval_seconds(self) -> float:
        """How often the lake wants that."""
        ...

    def purge(self, tenant: str) -> list[PurgeOutcome]:
        """Finish what was begun, and delete what is due of a tenant."""
        ...

    def purge_states(self) -> Mapping[str, PurgeState]:
        """What the lake knows about the purges of each tenant."""
        ...

    def overdue(self, tenant: str, grace_seconds: int) -> list[Overdue]:
        """What of a tenant should have gone `grace_seconds` ago and is there."""
        ...

    def tables_without_rule(self) -> list[str]:
        """Tables, or tables of tenants, of whose records no rule says how long they are kept."""
        ...

    def search_again(self) -> Searched:
        """Search every live file for what certificates say is gone."""
        ...

    def build_packs(self, tenant: str) -> Packs:
        """Build a tenant's evidence packs of the months that have ended and have none, and delete those kept long enough."""
        ...

    def lacks_packs(self, tenant: str) -> bool:
        """Whether a pack of a tenant is still to be built."""
        ...

    def check_suites(self, tenant: str, day: date) -> tuple[SuiteResult, ...]:
        """Run the suite of every table over a sample of a tenant's UTC day, and keep what was found in `quality_results`."""
        ...

    def verify(self, *, everything: bool) -> Verified:
        """Verify the logs: what came since the last run of the kind, or everything."""
        ...


def open_jobs(lake: Path) -> LakeJobs:
    """The work on the lake in this folder.

    Raises:
        JobError: nothing implements it, or the lake cannot be opened.
    """
    found = entry_points(group=GROUP, name=NAME)
    if not found:
        raise JobError(
            f"jobs: expected an entry point {NAME} in the group {GROUP}, got none",
            hint="install the distribution muniment into the environment that runs Dagster",
        )
    opener: Callable[[Path], LakeJobs] = next(iter(found)).load()
    return opener(lake)
