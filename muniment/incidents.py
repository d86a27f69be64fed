"""Finding incidents: the rules in force, over what is new of each tenant, into the control database and the tenant's own log.

Invariants:
- A row is looked at by a rule once: what was found and up to where was read are written together (`warehouse.control.detection`).
- What was found is recorded as an event before it is kept. A round that ends in between records it again, under the same id.
- A rule that fails stops no other: it keeps the place where its last good evaluation ended, and says what stops it until it works.
- A tenant of which nothing is new, and that no rule waits for, costs a listing of the Delta logs.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from governance.access import Action
from muniment.incident_alerts import incident_alerts
from muniment.incident_round import RoundOutcome, run_round
from muniment.tenancy import lake_tenants
from muniment.wiring import CommandContext
from pipelines.alerts.alert import Alert
from pipelines.incidents.compiler import KIND, compile_rules, default_bundle
from pipelines.incidents.rules import RuleSet
from warehouse.control import IncidentRecord
from warehouse.errors import ControlUnavailableError, MunimentError
from warehouse.heads import read_heads
from warehouse.names import LAKE_TENANT
from warehouse.policies import in_force
from warehouse.query.views import VIEWS

_AT_ONCE = 2
"""Tenants looked at side by side: most of a round is the planning of small queries, which one processor does."""
_COMPILED: dict[str, RuleSet] = {}
"""The rules compiled last, by the hash of their files: a loop need not read them each minute."""


@dataclass(frozen=True)
class RuleFailure:
    """A rule that could not be evaluated for a tenant. `rule` is None where nothing of the tenant could be."""

    tenant: str
    rule: str | None
    message: str


@dataclass(frozen=True)
class Detection:
    """What a round over some tenants found.

    Attributes:
        opened: incidents that are new.
        updated: incidents that records joined, or that opened again.
        failures: rules, and tenants, that could not be evaluated.
        alerts: of every incident that is open and that nobody acknowledged, and of the legal clocks that have run far.
    """

    opened: tuple[IncidentRecord, ...]
    updated: tuple[IncidentRecord, ...]
    failures: tuple[RuleFailure, ...]
    alerts: tuple[Alert, ...]


def detect_incidents(
    context: CommandContext,
    *,
    tenants: Sequence[str] | None = None,
    now_unix_nano: int | None = None,
    everything: bool = False,
    settled: bool = False,
) -> Detection:
    """Evaluate the rules in force over what is new of each tenant, and of the lake itself.

    Args:
        context: who asks.
        tenants: these only; without, every tenant and the lake itself.
        now_unix_nano: the instant, without the present.
        everything: rules over all rows too, which are otherwise asked every five minutes.
        settled: nothing is still to come that belongs to what is there, as after an import: rows are looked at at once.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such tenant.
        PolicyError: the rules in force cannot be used.
        ControlUnavailableError: the control database does not answer.
    """
    now = context.clock() if now_unix_nano is None else now_unix_nano
    names = list(tenants) if tenants is not None else lake_tenants(context.control)
    for tenant in names:
        context.check(Action.INCIDENT_DETECT, tenant)
        if tenant != LAKE_TENANT:
            context.control.tenant(tenant)
    rules = rules_in_force(context)
    heads = read_heads(context.lake, VIEWS)
    outcomes: list[RoundOutcome] = []
    failures: list[RuleFailure] = []

    def detect(tenant: str) -> RoundOutcome | RuleFailure:
        try:
            return run_round(
                context, rules, tenant, heads=heads, now_unix_nano=now, everything=everything, settled=settled
            )
        except ControlUnavailableError:
            raise
        except Exception as exc:  # noqa: BLE001 - said of this tenant; the others are looked at all the same
            # what an unforeseen error says may quote a record
            return RuleFailure(tenant, None, str(exc) if isinstance(exc, MunimentError) else type(exc).__name__)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for tenant, found in zip(names, pool.map(detect, names), strict=True):
            if isinstance(found, RuleFailure):
                failures.append(found)
                continue
            outcomes.append(found)
            failures += [RuleFailure(tenant, rule, message) for rule, message in found.problems.items()]
    failures += _standing(context, rules, names, failures)
    return Detection(
        opened=tuple(incident for outcome in outcomes for incident in outcome.opened),
        updated=tuple(incident for outcome in outcomes for incident in outcome.updated),
        failures=tuple(failures),
        alerts=incident_alerts(context, names, now),
    )


def _standing(
    context: CommandContext, rules: RuleSet, tenants: Sequence[str], told: Sequence[RuleFailure]
) -> list[RuleFailure]:
    """Rules that failed when they were asked last and were not asked now: a round that did not ask is no sign that they work."""
    known = {(failure.tenant, failure.rule) for failure in told}
    asked = {rule.id for rule in rules.rules}
    return [
        RuleFailure(tenant, progress.rule, progress.problem or "")
        for tenant, progress in context.control.rule_problems()
        if tenant in tenants and progress.rule in asked and (tenant, progress.rule) not in known
    ]


def rules_in_force(context: CommandContext) -> RuleSet:
    """The rules that were applied; the package's own where none ever were.

    Raises:
        PolicyError: they were written for another version, and cannot be used by this one.
    """
    wanted = context.control.policy_hash(KIND)
    if wanted is not None and wanted in _COMPILED:
        return _COMPILED[wanted]
    applied = in_force(context.control, KIND)
    bundle = default_bundle() if applied is None else applied.bundle
    rules = compile_rules(bundle, try_sql=False)
    _COMPILED.clear()
    _COMPILED[rules.content_hash] = rules
    return rules
