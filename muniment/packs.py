"""Packs on schedule: one a tenant, framework and month, in `LAKE/packs/`; those kept long enough go, unless a hold keeps them.

Safe to repeat: a pack that is there is not built again. Its name says what it is of: `packs/<tenant>/<framework>-<year>-<month>.zip`.
A deletion is recorded before the file goes.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from governance.access import Action
from governance.controls.framework import Controls
from muniment.assessing import read_controls
from muniment.evidence import BuiltPack, build_pack
from muniment.pack_erasure import delete_pack
from muniment.retaining import check_tenant
from muniment.wiring import CommandContext
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND
from warehouse.durable import make_folder
from warehouse.errors import SettingsError
from warehouse.packs import FOLDER, PACK_NAME, pack_files
from warehouse.questions.proof import list_logs

_LEFT_AFTER_NANOS = NANOS_PER_DAY
"""No build takes as long."""


@dataclass(frozen=True)
class Month:
    """A month in UTC."""

    year: int
    month: int

    @classmethod
    def before(cls, unix_nano: int) -> "Month":
        """The last one that had ended at an instant."""
        first = dt.datetime.fromtimestamp(unix_nano // NANOS_PER_SECOND, dt.UTC).replace(day=1)
        last = first - dt.timedelta(days=1)
        return cls(last.year, last.month)

    @property
    def from_unix_nano(self) -> int:
        """Its beginning."""
        return _unix_nano(self.year, self.month)

    @property
    def to_unix_nano(self) -> int:
        """Its end, not included."""
        return _unix_nano(self.year + self.month // 12, self.month % 12 + 1)

    def __str__(self) -> str:
        """As a file's name has it."""
        return f"{self.year:04}-{self.month:02}"


@dataclass(frozen=True)
class KeptPack:
    """A pack in the lake's folder."""

    file: Path
    tenant: str
    framework: str
    month: Month

    @property
    def name(self) -> str:
        """Below the folder of packs."""
        return f"{self.tenant}/{self.file.name}"


@dataclass(frozen=True)
class PackRound:
    """What a round built and deleted, and what holds kept that would have gone."""

    built: tuple[BuiltPack, ...] = ()
    deleted: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


def list_packs(context: CommandContext, tenant: str | None) -> list[KeptPack]:
    """The packs of a tenant, or of all that the principal may export, by tenant, framework and month.

    Raises:
        DeniedError: the principal may not export the tenant's records.
        NotFoundError: there is no such tenant.
    """
    if tenant is not None:
        context.check(Action.RECORDS_EXPORT, tenant)
        check_tenant(context, tenant)
        return list(_packs(context, tenant))
    tenants = [each.id for each in context.control.list_tenants()]
    return [
        pack
        for name in sorted(tenants)
        if context.access.decide(context.principal, Action.RECORDS_EXPORT, name).allowed
        for pack in _packs(context, name)
    ]


def run_packs(context: CommandContext, tenant: str) -> PackRound:
    """Build what is missing of the month that ended last, and delete what was kept for `keep_days` after its month.

    Raises:
        DeniedError: the principal may not export the tenant's records.
        SettingsError: a framework that there is not.
        UnavailableError: the lake cannot be read, or what is done cannot be recorded.
    """
    context.check(Action.RECORDS_EXPORT, tenant)
    check_tenant(context, tenant)
    now = context.clock()
    month = Month.before(now)
    built = []
    for framework in _wanted(context, read_controls(context)) if list_logs(context.lake, tenant) else ():
        file = _folder(context, tenant) / f"{framework}-{month}.zip"
        if file.exists():
            continue
        make_folder(file.parent)
        built.append(
            build_pack(
                context, framework=framework, tenant=tenant, from_unix_nano=month.from_unix_nano,
                to_unix_nano=month.to_unix_nano, out=file,
            )
        )  # fmt: skip
    deleted, held = _forget(context, tenant, now - context.settings.evidence.keep_days * NANOS_PER_DAY)
    return PackRound(tuple(built), tuple(deleted), tuple(held))


def _wanted(context: CommandContext, controls: Controls) -> Sequence[str]:
    named = context.settings.evidence.frameworks
    if named is None:
        return [name for name, each in sorted(controls.frameworks.items()) if not each.is_mapping_only]
    if unknown := sorted(set(named) - set(controls.frameworks)):
        raise SettingsError(
            f"evidence.frameworks: expected {', '.join(sorted(controls.frameworks))}, got {unknown[0]!r}"
        )
    return named


def _forget(context: CommandContext, tenant: str, before_unix_nano: int) -> tuple[list[str], list[str]]:
    """Delete packs whose month ended before an instant; any hold of the tenant keeps them all.

    What a build left that was killed goes too: it holds records as a pack does, and no erasure looks into it.
    """
    for left in _folder(context, tenant).glob(".*.tmp"):
        if left.stat().st_mtime_ns < context.clock() - _LEFT_AFTER_NANOS:
            left.unlink(missing_ok=True)
    due = [pack for pack in _packs(context, tenant) if pack.month.to_unix_nano <= before_unix_nano]
    if due and context.control.list_holds(tenant):
        return [], [pack.name for pack in due]
    for pack in due:
        delete_pack(context, tenant, pack.file, {})
    return [pack.name for pack in due], []


def _packs(context: CommandContext, tenant: str) -> Iterator[KeptPack]:
    for file in pack_files(context.lake, tenant):
        if found := PACK_NAME.fullmatch(file.name):
            yield KeptPack(file, tenant, found[1], Month(int(found[2]), int(found[3])))


def _folder(context: CommandContext, tenant: str) -> Path:
    return context.lake.path / FOLDER / tenant


def _unix_nano(year: int, month: int) -> int:
    return int(dt.datetime(year, month, 1, tzinfo=dt.UTC).timestamp()) * NANOS_PER_SECOND
