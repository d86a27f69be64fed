"""Which packs a lake should hold and does not: of the month that ended last, and of those before that nobody built.

A machine that was off over the day of the schedule built nothing then, so every month since the tenant is there counts, as far back
as packs are kept. A month of which nothing is left because its records were deleted meanwhile is named and not built: a pack of it
would say *insufficient evidence* of what was there once. One of which some went is built, and named as well.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from governance.controls.framework import Controls
from muniment.assessing import read_controls
from muniment.wiring import CommandContext
from retention.documents import Documents
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND
from warehouse.errors import SettingsError
from warehouse.ledger.certificates import PurgeCertificate
from warehouse.packs import FOLDER
from warehouse.query import QuerySession
from warehouse.questions.proof import PROVABLE_TABLES, list_logs

_OF_A_MONTH = (
    "select count(*) from (select 1 from spans where time_unix_nano >= $from and time_unix_nano < $to union all "
    "select 1 from logs where time_unix_nano >= $from and time_unix_nano < $to union all "
    "select 1 from audit_events where peer is distinct from 'local' and time_unix_nano >= $from and time_unix_nano < $to)"
)


@dataclass(frozen=True, order=True)
class Month:
    """A month in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, unix_nano: int) -> "Month":
        """The one that holds an instant."""
        at = dt.datetime.fromtimestamp(unix_nano // NANOS_PER_SECOND, dt.UTC)
        return cls(at.year, at.month)

    @classmethod
    def before(cls, unix_nano: int) -> "Month":
        """The last one that had ended at an instant."""
        return cls.of(cls.of(unix_nano).from_unix_nano - 1)

    @property
    def from_unix_nano(self) -> int:
        """Its beginning."""
        return _unix_nano(self.year, self.month)

    @property
    def to_unix_nano(self) -> int:
        """Its end, not included."""
        following = self.following
        return _unix_nano(following.year, following.month)

    @property
    def following(self) -> "Month":
        """The next one."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def __str__(self) -> str:
        """As a file's name has it."""
        return f"{self.year:04}-{self.month:02}"


@dataclass(frozen=True)
class Lacking:
    """A pack that is not there. `gone`: all, some or no records of its month were deleted under certificate."""

    framework: str
    month: Month
    gone: str = ""

    @property
    def can_be_built(self) -> bool:
        """Whether anything of its month may be left."""
        return self.gone != "all"

    @property
    def name(self) -> str:
        """Of the file."""
        return f"{self.framework}-{self.month}.zip"


def lacking_packs(context: CommandContext, tenant: str) -> list[Lacking]:
    """The packs that the tenant should have and has not, oldest first; none of a tenant without a sealed record.

    Raises:
        SettingsError: a framework that there is not.
        UnavailableError: the lake cannot be read.
    """
    if not list_logs(context.lake, tenant):
        return []
    folder = context.lake.path / FOLDER / tenant
    wanted = _wanted(context, read_controls(context))
    found = [Lacking(name, month) for month in _months(context, tenant) for name in wanted]
    found = [each for each in found if not (folder / each.name).exists()]
    return _judged(context, tenant, found)


def _months(context: CommandContext, tenant: str) -> list[Month]:
    """The months of which packs are kept: since the tenant is there, and the last that ended in any case."""
    now = context.clock()
    last = Month.before(now)
    oldest = Month.of(max(0, now - context.settings.evidence.keep_days * NANOS_PER_DAY))
    month = max(Month.of(context.control.tenant(tenant).created_unix_nano), oldest)
    found = []
    while month < last:
        found.append(month)
        month = month.following
    return [*found, last]


def _judged(context: CommandContext, tenant: str, lacking: Sequence[Lacking]) -> list[Lacking]:
    """The same, with what was deleted of each month."""
    deleted = _deleted_days(context, tenant) if lacking else set()
    touched = {each.month for each in lacking if any(day.startswith(f"{each.month}-") for day in deleted)}
    if not touched:
        return list(lacking)
    with context.session([tenant]) as session:
        gone = {month: "some" if _anything_left(session, month) else "all" for month in touched}
    return [Lacking(each.framework, each.month, gone.get(each.month, "")) for each in lacking]


def _deleted_days(context: CommandContext, tenant: str) -> set[str]:
    """Days (UTC, ISO) of which certificates say that runs, logs or events were deleted, and not their contents alone."""
    certificates = [
        each.document.details
        for each in Documents(context.lake, context.settings.lake).read()
        if isinstance(each.document, PurgeCertificate) and each.document.details.get("tenant") == tenant
    ]
    return {
        day
        for details in certificates
        for table, day in _partitions(details.get("partitions", ()))
        if table in PROVABLE_TABLES and details.get("rows", {}).get(table)
    }


def _partitions(named: Iterable[str]) -> Iterable[tuple[str, str]]:
    for each in named:
        table, _, day = each.partition("/")
        yield table, day


def _anything_left(session: QuerySession, month: Month) -> bool:
    """Whether there is a record of the month that somebody sent."""
    found = session.run_trusted(_OF_A_MONTH, {"from": month.from_unix_nano, "to": month.to_unix_nano})
    return bool(found.column(0)[0].as_py())


def _wanted(context: CommandContext, controls: Controls) -> Sequence[str]:
    named = context.settings.evidence.frameworks
    if named is None:
        return [name for name, each in sorted(controls.frameworks.items()) if not each.is_mapping_only]
    if unknown := sorted(set(named) - set(controls.frameworks)):
        raise SettingsError(
            f"evidence.frameworks: expected {', '.join(sorted(controls.frameworks))}, got {unknown[0]!r}"
        )
    return named


def _unix_nano(year: int, month: int) -> int:
    return int(dt.datetime(year, month, 1, tzinfo=dt.UTC).timestamp()) * NANOS_PER_SECOND
