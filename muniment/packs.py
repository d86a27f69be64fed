"""Packs on schedule: one a tenant, framework and month, in `LAKE/packs/`; those kept long enough go, unless a hold keeps them.

Safe to repeat: a pack that is there is not built again, and a month that was missed is built by a later round, the oldest first. Its name says what it is of: `packs/<tenant>/<framework>-<year>-<month>.zip`.
A deletion is recorded before the file goes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from governance.access import Action
from governance.access.asking import Question
from muniment.evidence import BuiltPack, build_pack
from muniment.pack_erasure import delete_pack
from muniment.pack_months import Lacking, Month, lacking_packs
from muniment.retaining import check_tenant
from muniment.wiring import CommandContext
from warehouse.clock import NANOS_PER_DAY
from warehouse.durable import make_folder
from warehouse.errors import UnavailableError
from warehouse.packs import FOLDER, PACK_NAME, pack_files

_LEFT_AFTER_NANOS = NANOS_PER_DAY
"""No build takes as long."""
_MOST_AT_ONCE = 12
"""Packs that a round builds; the next round goes on."""


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
    """What a round built and deleted, and what holds kept that would have gone.

    `left` are still to be built, by another round; `lost` cannot be: their months' records were deleted; `partial` were built after
    some of their months' records were deleted. Names of packs, oldest first.
    """

    built: tuple[BuiltPack, ...] = ()
    deleted: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()


def list_packs(context: CommandContext, tenant: str | None) -> list[KeptPack]:
    """The packs of a tenant, or of all that the principal may export, by tenant, framework and month.

    Raises:
        DeniedError: the principal may not export the tenant's records, or no tenant's.
        NotFoundError: there is no such tenant.
    """
    return [pack for name in _tenants(context, tenant) for pack in _packs(context, name)]


def list_lacking(context: CommandContext, tenant: str | None) -> list[tuple[str, str]]:
    """Which packs of these tenants are lacking, below the folder of packs, and why.

    Raises:
        As `list_packs`.
    """
    why = "its records were deleted before it was built", "not built yet"
    return [
        (f"{name}/{each.name}", why[each.can_be_built])
        for name in _tenants(context, tenant)
        for each in lacking_packs(context, name)
    ]


def _tenants(context: CommandContext, tenant: str | None) -> list[str]:
    """The one that is named, or all whose records the principal may export."""
    if tenant is not None:
        context.check(Action.RECORDS_EXPORT, tenant)
        check_tenant(context, tenant)
        return [tenant]
    tenants = sorted(each.id for each in context.control.list_tenants())
    decisions = context.access.decide_all(
        context.principal, [Question(Action.RECORDS_EXPORT, name) for name in tenants]
    )
    allowed = [name for name, each in zip(tenants, decisions, strict=True) if each.allowed]
    if not allowed:
        context.check(Action.RECORDS_EXPORT)  # that there is none is nothing for everybody
    return allowed


def run_packs(context: CommandContext, tenant: str, *, most: int = _MOST_AT_ONCE) -> PackRound:
    """Build what is lacking, the oldest month first and at most so many packs, and delete what was kept for `keep_days` after its month.

    A pack that cannot be built keeps none of the others from being built.

    Raises:
        DeniedError: the principal may not export the tenant's records.
        SettingsError: a framework that there is not.
        UnavailableError: the lake cannot be read, what is done cannot be recorded, or one of the packs could not be built.
    """
    context.check(Action.RECORDS_EXPORT, tenant)
    check_tenant(context, tenant)
    lacking = lacking_packs(context, tenant)
    wanted = [each for each in lacking if each.can_be_built]
    built, failed, tried = _build(context, tenant, wanted, most)
    deleted, held = _forget(context, tenant, context.clock() - context.settings.evidence.keep_days * NANOS_PER_DAY)
    if failed:
        raise failed[0]
    return PackRound(
        tuple(built),
        tuple(deleted),
        tuple(held),
        left=tuple(each.name for each in wanted[tried:]),
        lost=tuple(each.name for each in lacking if not each.can_be_built),
        partial=tuple(each.name for each in wanted[:tried] if each.gone),
    )


def _build(
    context: CommandContext, tenant: str, wanted: list[Lacking], most: int
) -> tuple[list[BuiltPack], list[UnavailableError], int]:
    """Build until there are `most`: those that cannot be built, however many, do not take the others' place. And how many were tried."""
    built: list[BuiltPack] = []
    failed: list[UnavailableError] = []
    for each in wanted:
        if len(built) == most:
            break
        file = _folder(context, tenant) / each.name
        make_folder(file.parent)
        first, last = each.month.from_unix_nano, each.month.to_unix_nano
        try:
            built.append(
                build_pack(
                    context, framework=each.framework, tenant=tenant, from_unix_nano=first, to_unix_nano=last, out=file,
                )
            )  # fmt: skip
        except UnavailableError as exc:
            failed.append(exc)
    return built, failed, len(built) + len(failed)


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
