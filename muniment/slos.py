"""SLOs of a lake as a principal asks for them: computed from what is new, shown, and tried out before they are in force.

The loop that pages, Dagster's assets and the commands all call `compute_slos`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from governance.access import Action
from muniment.tenancy import check_among, lake_tenants
from muniment.wiring import CommandContext
from pipelines.alerts.alert import Alert
from pipelines.slo.alerts import find_alerts
from pipelines.slo.compute import Counted, compute_tenant, list_records
from pipelines.slo.definitions import Slo, SloPolicy
from pipelines.slo.figures import Figure, first_needed, measure_slo
from pipelines.slo.policy_compiler import compile_policy, default_policy
from pipelines.slo.reading import WindowReader
from pipelines.slo.shipped import KIND
from pipelines.slo.worst import worst_events
from warehouse.clock import utc_date
from warehouse.control import ControlStore
from warehouse.errors import NotFoundError
from warehouse.lake import Lake
from warehouse.policies import current_hash, in_force


@dataclass(frozen=True)
class SloRun:
    """What a run of `compute_slos` did and found.

    Attributes:
        counted: by tenant that has records, what was added.
        figures: every objective of every SLO in every tenant, as it stands now.
        alerts: all that are due now.
        unknown_tenants: by SLO, what it names that is no tenant of the lake, so that a slip of the pen is no SLO that nobody looks at.
    """

    counted: tuple[Counted, ...] = ()
    figures: tuple[Figure, ...] = ()
    alerts: tuple[Alert, ...] = ()
    policy: SloPolicy = field(default_factory=lambda: SloPolicy(""))
    unknown_tenants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def problems(self) -> dict[str, str]:
        """Queries that failed, by `tenant: indicator`."""
        return {f"{each.tenant}: {name}": why for each in self.counted for name, why in each.problems.items()}


def read_slo_policy(control: ControlStore) -> SloPolicy:
    """The SLOs in force; the package's own where none were ever applied.

    Raises:
        PolicyError: what is in force cannot be used by this version.
        CorruptionError: what is stored is not what was applied.
        ControlUnavailableError: the control database does not answer.
    """
    applied = current_hash(control, KIND)
    if applied is None:
        return default_policy()
    if (known := _compiled.get(applied)) is None:
        found = in_force(control, KIND)
        known = default_policy() if found is None else compile_policy(found.bundle)
        _compiled.clear()
        _compiled[applied] = known
    return known


_compiled: dict[str, SloPolicy] = {}
"""The policy compiled last, by its hash: a loop asks every minute and it rarely changes."""


def compute_slos(
    context: CommandContext,
    *,
    tenants: Sequence[str] | None = None,
    now_unix_nano: int | None = None,
    settled: bool = False,
) -> SloRun:
    """Count what is new, tenant by tenant, and say what burns too fast now.

    Args:
        context: who asks.
        tenants: these only; without, every tenant that an SLO is for.
        now_unix_nano: the instant, without the present.
        settled: nothing is still to come that belongs to what is there, as after an import: indicators that leave young records
            alone for a while do not.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such tenant.
        UnavailableError: the lake cannot be read or written; tenants that were done stay done.
    """
    policy = read_slo_policy(context.control)
    now = context.clock() if now_unix_nano is None else now_unix_nano
    chosen = _tenants(context, policy, tenants, Action.SLO_COMPUTE)
    files = list_records(context.lake, chosen)
    counted = []
    for tenant in chosen:
        if not files[tenant]:
            continue
        seen = (policy.content_hash, hash(tuple(files[tenant])))
        if _caught_up.get((context.lake.path, tenant)) == seen:
            counted.append(Counted(tenant, caught_up=True))
            continue
        done = compute_tenant(
            context.lake,
            tenant,
            policy.series_for(tenant),
            principal=context.principal,
            settings=context.settings.query,
            now_unix_nano=now,
            files=files[tenant],
            settled=settled,
        )
        counted.append(done)
        if done.caught_up:
            _caught_up[context.lake.path, tenant] = seen
    figures = measure_tenants(context, policy, chosen, now)
    unknown = _unknown_tenants(context, policy) if tenants is None else {}
    return SloRun(tuple(counted), figures, find_alerts(policy.slos, figures), policy, unknown)


def slo_figures(
    context: CommandContext,
    *,
    tenants: Sequence[str] | None = None,
    slo: str | None = None,
    now_unix_nano: int | None = None,
) -> SloRun:
    """The figures as they were computed last; nothing is counted.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such tenant or SLO.
        UnavailableError: the lake cannot be read.
    """
    policy = read_slo_policy(context.control)
    now = context.clock() if now_unix_nano is None else now_unix_nano
    chosen = _tenants(context, policy, tenants, Action.SLO_READ)
    if slo is not None:
        find_slo(policy, slo)
    figures = tuple(figure for figure in measure_tenants(context, policy, chosen, now) if slo in {None, figure.slo})
    unknown = _unknown_tenants(context, policy) if tenants is None else {}
    return SloRun((), figures, find_alerts(policy.slos, figures), policy, unknown)


def worst_of(context: CommandContext, *, tenant: str, slo: str, objective: str, most: int) -> pa.Table:
    """The events that made an objective's figure worse, in the window that is open now; recorded as `record.viewed` by the caller.

    What `pipelines.slo.worst` tells, within what the principal may see.

    Raises:
        DeniedError: the principal may not read the tenant's records.
        NotFoundError: there is no such SLO or objective.
        QueryError: the principal may not see what the indicator reads, or its query fails.
    """
    context.check(Action.RECORDS_READ, tenant)
    found = find_slo(read_slo_policy(context.control), slo)
    wanted = next((each for each in found.objectives if each.name == objective), None)
    if wanted is None:
        raise NotFoundError(
            f"objective of {slo}: expected {', '.join(each.name for each in found.objectives)}, got {objective!r}"
        )
    figures = slo_figures(context, tenants=[tenant], slo=slo).figures
    bounds = next((each.begin_unix_nano, each.end_unix_nano) for each in figures if each.objective == objective)
    limits = context.access.limits(context.principal, [tenant])
    with context.session([tenant], limits=limits, also_all=True) as session:
        return worst_events(session, wanted.series, bounds=bounds, most=most)


def find_slo(policy: SloPolicy, name: str) -> Slo:
    """The SLO of that name.

    Raises:
        NotFoundError: there is none.
    """
    found = next((slo for slo in policy.slos if slo.name == name), None)
    if found is None:
        raise NotFoundError(
            f"SLO: expected {', '.join(slo.name for slo in policy.slos) or 'one to be applied'}, got {name!r}"
        )
    return found


def measure_tenants(
    context: CommandContext, policy: SloPolicy, tenants: Sequence[str], now_unix_nano: int
) -> tuple[Figure, ...]:
    """The figures of every SLO that is for one of these tenants, from what was counted.

    Raises:
        UnavailableError: the windows cannot be read.
    """
    reader = _reader(context.lake.path)
    listed = reader.list_files()
    found: list[Figure] = []
    for tenant in tenants:
        slos = [slo for slo in policy.slos if slo.applies_to(tenant)]
        if slos:
            first = utc_date(min(first_needed(slo, now_unix_nano) for slo in slos))
            rows = reader.read(listed.get(tenant, {}), first)
            found += [figure for slo in slos for figure in measure_slo(slo, policy, tenant, rows, now_unix_nano)]
    return tuple(found)


_caught_up: dict[tuple[Path, str], tuple[str, int]] = {}
"""Of a lake and tenant, the policy and files of the last run in this process that left nothing to count: with the same ones there is nothing now."""


@lru_cache(maxsize=4)
def _reader(lake: Path) -> WindowReader:
    """One reader a lake and process, which keeps what it read."""
    return WindowReader(Lake(lake))


def _unknown_tenants(context: CommandContext, policy: SloPolicy) -> dict[str, tuple[str, ...]]:
    known = frozenset(lake_tenants(context.control))
    return {slo.name: tuple(sorted(slo.tenants - known)) for slo in policy.slos if slo.tenants - known}


def _tenants(context: CommandContext, policy: SloPolicy, given: Sequence[str] | None, action: Action) -> list[str]:
    known = lake_tenants(context.control)
    if given is None:
        context.check(action)
        return [tenant for tenant in known if any(slo.applies_to(tenant) for slo in policy.slos)]
    for tenant in given:
        context.check(action, tenant)
        check_among(known, tenant)
    return list(dict.fromkeys(given))
