"""SLOs that are not in force yet: what is wrong with their files, and whether their queries could run."""

from pipelines.slo.binding import find_unbound
from pipelines.slo.definitions import Series, SloPolicy
from pipelines.slo.policy_compiler import read_policy
from warehouse.policies import Bundle, Problem
from warehouse.principals import Principal
from warehouse.query import QuerySettings


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
    problems += [Problem(files[name], 1, f"indicator {name}", why) for name, why in unbound.items()]
    return policy, problems, foreign
