"""SLOs of a lake as a principal asks for them: computed from what is new, shown, and tried out before they are in force.

The loop that pages, Dagster's assets and the commands all call `compute_slos`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from governance.access import Action
from muniment.wiring import CommandContext
from pipelines.alerts.alert import Alert
from pipelines.slo.alerts import find_alerts
from pipelines.slo.compute import Counted, compute_tenant, list_records
from pipelines.slo.definitions import Slo, SloPolicy
from pipelines.slo.figures import Figure, first_needed, measure_slo
from pipelines.slo.policy_compiler import KIND, compile_policy, default_policy
from warehouse.clock import NANOS_PER_DAY, utc_date
from warehouse.control import ControlStore
from warehouse.derived.slo_windows import SLO_WINDOWS
from warehouse.derived.store import DerivedStore
from warehouse.errors import NotFoundError
from warehouse.names import LAKE_TENANT
from warehouse.policies import in_force


@dataclass(frozen=True)
class SloRun:
    """What a run of `compute_slos` did and found.

    Attributes:
        counted: by tenant that has records, what was added.
        figures: every objective of every SLO in every tenant, as it stands now.
        alerts: all that are due now.
    """

    counted: tuple[Counted, ...] = ()
    figures: tuple[Figure, ...] = ()
    alerts: tuple[Alert, ...] = ()
    policy: SloPolicy = field(default_factory=lambda: SloPolicy(""))

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
    found = in_force(control, KIND)
    return default_policy() if found is None else compile_policy(found.bundle)


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
    counted = [
        compute_tenant(
            context.lake,
            tenant,
            policy.series_for(tenant),
            principal=context.principal,
            settings=context.settings.query,
            now_unix_nano=now,
            files=files[tenant],
            settled=settled,
        )
        for tenant in chosen
        if files[tenant]
    ]
    figures = tuple(figure for tenant in chosen for figure in measure_tenant(context, policy, tenant, now))
    return SloRun(tuple(counted), figures, find_alerts(policy.slos, figures), policy)


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
    figures = tuple(
        figure
        for tenant in chosen
        for figure in measure_tenant(context, policy, tenant, now)
        if slo in {None, figure.slo}
    )
    return SloRun((), figures, find_alerts(policy.slos, figures), policy)


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


def measure_tenant(context: CommandContext, policy: SloPolicy, tenant: str, now_unix_nano: int) -> list[Figure]:
    """The figures of every SLO that is for a tenant."""
    slos = [slo for slo in policy.slos if slo.applies_to(tenant)]
    if not slos:
        return []
    rows = read_windows(context, tenant, min(first_needed(slo, now_unix_nano) for slo in slos), now_unix_nano)
    return [figure for slo in slos for figure in measure_slo(slo, policy, tenant, rows, now_unix_nano)]


def read_windows(
    context: CommandContext, tenant: str, begin_unix_nano: int, end_unix_nano: int
) -> Mapping[str, pa.Table]:
    """Rows of `slo_windows` of the days that a time touches, by query hash."""
    days = {
        utc_date(day * NANOS_PER_DAY)
        for day in range(begin_unix_nano // NANOS_PER_DAY, end_unix_nano // NANOS_PER_DAY + 1)
    }
    rows = DerivedStore(context.lake, SLO_WINDOWS).read(tenant, days=days)
    hashes = rows.column("query")
    return {each: rows.filter(pc.equal(hashes, each)) for each in pc.unique(hashes).to_pylist()}


def _tenants(context: CommandContext, policy: SloPolicy, given: Sequence[str] | None, action: Action) -> list[str]:
    known = [LAKE_TENANT, *sorted(tenant.id for tenant in context.control.list_tenants())]
    if given is None:
        context.check(action)
        return [tenant for tenant in known if any(slo.applies_to(tenant) for slo in policy.slos)]
    for tenant in given:
        context.check(action, tenant)
        if tenant not in known:
            raise NotFoundError(f"tenant: expected one of the lake's ({', '.join(known)}), got {tenant!r}")
    return list(dict.fromkeys(given))
