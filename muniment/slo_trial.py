"""SLOs that are not in force yet: what is wrong with their files, and what they would have said."""

from collections.abc import Sequence

from governance.access import Action
from muniment.slos import find_slo
from muniment.tenancy import lake_tenants
from muniment.wiring import CommandContext
from pipelines.slo.binding import find_unbound
from pipelines.slo.definitions import Series, Slo, SloPolicy
from pipelines.slo.openslo import defined, without
from pipelines.slo.policy_compiler import compile_policy, read_policy
from pipelines.slo.preview import PastAlert, Preview, preview_slos
from pipelines.slo.shipped import KIND, default_bundle
from warehouse.errors import InputError, NotFoundError
from warehouse.policies import Bundle, PolicyError, Problem, in_force
from warehouse.principals import Principal
from warehouse.query import QuerySettings, ReadPoint


def lint_bundle(bundle: Bundle, principal: Principal) -> tuple[SloPolicy, list[Problem], list[Problem]]:
    """The SLOs of some files, what is wrong with them, and what is right but cannot be computed here.

    Beyond what applying asks for, every query is tried on tables without rows.
    """
    policy, problems, foreign = read_policy(bundle)
    if problems:
        return policy, problems, foreign
    series: dict[str, Series] = {}
    files: dict[str, str] = {}
    for slo in policy.slos:
        if slo.is_computable:
            for objective in slo.objectives:
                series[objective.series.query_hash] = objective.series
                files[objective.series.name] = slo.file
    unbound = find_unbound(series.values(), principal=principal, settings=QuerySettings())
    named = {each.name: each for each in series.values()}
    for name, why in unbound.items():
        file, line = _place(bundle, named[name], files[name])
        problems.append(Problem(file, line, f"indicator {name}", why))
    return policy, problems, foreign


def _place(bundle: Bundle, series: Series, file: str) -> tuple[str, int]:
    """Where the first line of an indicator's query stands: in its SLO's file, or another of the bundle; else where that file begins."""
    queries = [(source.sql or "").strip() for source in series.indicator.sources.values()]
    firsts = [query.partition("\n")[0] for query in queries if query]
    for name in (file, *bundle.files):
        for number, line in enumerate(bundle.files[name].splitlines(), 1):
            if any(first in line for first in firsts):
                return name, number
    return file, 1


def preview(
    context: CommandContext,
    bundle: Bundle,
    *,
    tenants: Sequence[str] | None,
    slo: str | None,
    begin_unix_nano: int,
    end_unix_nano: int,
) -> Preview:
    """What the SLOs of some files would have said over [begin, end), tenant by tenant; each reading is recorded in its tenant's log.

    What the files refer to and do not define is taken from the SLOs in force.

    Raises:
        DeniedError: the principal may not read a tenant's records.
        InputError: the time is empty.
        NotFoundError: there is no such tenant or SLO.
        PolicyError: the files cannot be used.
        QueryError: an indicator's query fails.
        UnavailableError: the lake cannot be read, or the reading not be recorded.
    """
    if begin_unix_nano >= end_unix_nano:
        raise InputError("slo preview: expected --to to be later than --from")
    policy = compile_policy(with_known(context, bundle))
    mine = {each.file for each in policy.slos} & set(bundle.files)
    chosen = tuple(each for each in policy.slos if each.file in mine) if slo is None else (find_slo(policy, slo),)
    if not chosen:
        raise NotFoundError("slo preview: expected an SLO in the files, got none")
    known = lake_tenants(context.control)
    if unknown := set(tenants or ()) - set(known):
        raise NotFoundError(
            f"tenant: expected one of the lake's ({', '.join(known)}), got {', '.join(sorted(unknown))}"
        )
    found: list[Preview] = []
    for tenant in tenants or known:
        slos = tuple(each for each in chosen if each.applies_to(tenant))
        if slos:
            found.append(_preview_tenant(context, slos, policy, tenant, begin_unix_nano, end_unix_nano))
    alerts: list[PastAlert] = sorted(
        (each for one in found for each in one.alerts), key=lambda each: each.begin_unix_nano
    )
    return Preview(tuple(figure for one in found for figure in one.figures), tuple(alerts))


def with_known(context: CommandContext, bundle: Bundle) -> Bundle:
    """The files, and beside them the files in force that define nothing that they define."""
    applied = in_force(context.control, KIND)
    others = (default_bundle() if applied is None else applied.bundle).files
    mine = defined(bundle)
    if not mine:
        raise PolicyError([Problem(next(iter(bundle.files), "slo"), 1, "", "got no object, expected one or more")])
    kept = {f"in force/{name}": text for name, text in others.items()}
    # a file in force that defines one of these objects is left out as far as it does
    rest = {name: without(text, mine) for name, text in kept.items()}
    return Bundle(KIND, {**{name: text for name, text in rest.items() if text}, **bundle.files})


def _preview_tenant(
    context: CommandContext, slos: tuple[Slo, ...], policy: SloPolicy, tenant: str, begin: int, end: int
) -> Preview:
    context.check(Action.RECORDS_READ, tenant)
    context.record("record.viewed", tenant, action="slo preview", resource_type="slo", resource_id="*")
    with context.session(
        [tenant], since=ReadPoint(), limits=context.access.limits(context.principal, [tenant])
    ) as session:
        return preview_slos(slos, policy, session, tenant, begin, end)
