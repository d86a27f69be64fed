"""Purges as a principal orders them: allowed, approved by a second one where two hold the right, then carried out tenant by tenant.

The scheduled job and the command line call the same function. Each tenant's purge is one of its own, with an intent, a certificate and
events in the tenant's own log, so that no certificate tells one tenant of another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from governance.access import Action
from muniment import approvals
from muniment.approvals import Approvable
from muniment.draining import drain_journals
from muniment.four_eyes import FourEyes, four_eyes
from muniment.mirroring import mirror_files
from muniment.retaining import check_tenant, make_plan, read_holds, read_retention_policy
from muniment.wiring import CommandContext
from retention.documents import Begun, Documents
from retention.plan import DuePartition, Plan, stale_reasons
from retention.policy import QUARANTINE
from retention.purge import RECORDED_BY, Ground, HeldMeanwhileError, Order, Purged, finish_open, purge
from retention.rescan import Rescanned, rescan
from retention.selection import select_due, select_planned
from retention.set_aside import drop_journals, expired_journals
from retention.snapshot import live_paths_by_table
from warehouse.commit import open_stores
from warehouse.control import RequestRecord
from warehouse.errors import ConflictError, DeniedError
from warehouse.ledger.certificates import PurgeCertificate
from warehouse.maintenance.partition import Partition
from warehouse.names import LAKE_TENANT
from warehouse.own_events import OwnEvent
from warehouse.principals import PrincipalKind

KIND = "retention.apply"
MOST_ROWS = 2_000_000
"""Rows of contents in one purge: its certificate names each of their records."""

_MORE_ATTEMPTS = 4

Step = Callable[[str, str], None]
"""`step(tenant, what)` hears of each step of a purge once it is durable."""


@dataclass(frozen=True)
class Waiting:
    """An apply that waits for a second principal."""

    request: RequestRecord
    plan: Plan


def say_nothing(_tenant: str, _step: str) -> None:
    """For purges that nobody watches."""


def apply_plan(
    context: CommandContext, plan: Plan, *, approve: bool = False, step: Step = say_nothing
) -> list[Purged] | Waiting:
    """Carry out a plan that somebody looked at, or ask for the approval that it needs first.

    Purges of its tenants that were begun before and not finished come first. A plan that a crash cut off is carried on: what of it was
    intended is not planned again.

    Raises:
        DeniedError: the principal may not, or approves what it asked for itself.
        ConflictError: the plan's inputs changed, or a hold placed meanwhile keeps some of it: nothing, or nothing more, was deleted.
        NotFoundError: there is nothing to approve.
        UnavailableError: a journal could not be drained, a disk or the control database refused.
    """
    decision = context.check(Action.RETENTION_APPLY, plan.tenant)
    check_tenant(context, plan.tenant)
    eyes = _eyes(context)
    what = Approvable(KIND, plan.content_hash, "retention_plan", plan.tenant)
    asked: RequestRecord | None = None
    if approve:
        asked = approvals.approve(context, what, decision)
    elif eyes.needed:
        _expect_fresh(context, plan, plan.partitions)
        return Waiting(approvals.ask(context, what, decision), plan)
    done = _carry_out(context, plan, eyes, asked, step)
    if asked is not None:
        context.control.close_request(asked.id)
    return done


def purge_due(context: CommandContext, tenant: str | None = None, *, step: Step = say_nothing) -> list[Purged]:
    """Finish what was begun, plan what is due now, and carry it out: what the schedule does. Safe to repeat, and beside another one.

    Raises:
        DeniedError: the principal may not, or is a person where it takes two: a job needs one, as the policy was put in force by two.
        ConflictError: a hold placed meanwhile keeps some of it, or the files changed again and again.
        UnavailableError: as `apply_plan`.
    """
    context.check(Action.RETENTION_APPLY, tenant)
    check_tenant(context, tenant)
    eyes = _eyes(context)
    if eyes.needed:
        raise DeniedError(
            "retention apply --yes: expected a plan that a second principal approves, as two hold the right, got none",
            hint="write a plan, look at it and ask: muniment retention plan --out FILE, "
            "muniment retention apply --plan FILE",
        )
    drain_journals(context)
    _drop_old_journals(context)
    done = _finish_begun(context, _begun(context, tenant), step)
    for last in (False,) * _MORE_ATTEMPTS + (True,):
        plan = make_plan(context, tenant)
        try:
            for each in _purge_rest(context, plan, plan.partitions, eyes, None, step, exact=False):
                done.append(each)
        except HeldMeanwhileError:
            raise
        except ConflictError:
            # another policy or a hold came into force since the plan was made
            if last:
                raise
            continue
        return done
    raise AssertionError("the last attempt returns or raises")


def make_ground(context: CommandContext, tenant: str, step: Step = say_nothing) -> Ground:
    """What purges of one tenant stand on."""

    def record(event: OwnEvent) -> None:
        context.decisions.record_with([event])

    def mirror(files: Sequence[Path]) -> None:
        mirror_files(context, files)

    return Ground(
        context.lake,
        context.settings.lake,
        context.control,
        open_stores(context.lake),
        context.clock,
        record=record,
        mirror=mirror,
        step=lambda what: step(tenant, what),
    )


def rescan_certificate(context: CommandContext, name: str) -> tuple[PurgeCertificate, Path, Rescanned]:
    """Search again for what a certificate says is gone; `name` is its SHA-256, the beginning of that, or a file.

    Raises:
        DeniedError: the principal may not plan, which reads the same columns.
        NotFoundError: there is no such certificate.
        CorruptionError: it is not as it was signed.
        UnavailableError: the lake cannot be read.
    """
    context.check(Action.RETENTION_PLAN)
    signed, file = Documents(context.lake, context.settings.lake).find(name)
    document = signed.document
    if not isinstance(document, PurgeCertificate):
        raise ConflictError(
            f"{file}: expected a certificate, got an intent: its purge was not finished",
            hint="`muniment retention apply` finishes it",
        )
    replaced = [each["before"] for each in document.details["files"]]
    return document, file, rescan(context.lake, document.details["tenant"], document.deleted, replaced)


def _carry_out(
    context: CommandContext, plan: Plan, eyes: FourEyes, asked: RequestRecord | None, step: Step
) -> list[Purged]:
    drain_journals(context)
    _drop_old_journals(context)
    begun = _begun(context, plan.tenant)
    done = _finish_begun(context, begun, step)
    intended = _intended(plan, begun)
    rest = [each for each in plan.partitions if (each.tenant, each.day) not in intended]
    if rest:
        done += _purge_rest(context, plan, rest, eyes, asked, step, exact=True)
    return done


def _begun(context: CommandContext, tenant: str | None) -> Mapping[str, Begun]:
    """What was begun of a tenant or of all. Finishing it begins nothing: one reading of all documents serves both questions."""
    return Documents(context.lake, context.settings.lake).begun(tenant)


def _finish_begun(context: CommandContext, begun: Mapping[str, Begun], step: Step) -> list[Purged]:
    open_ones = sorted(name for name, each in begun.items() if each.unfinished or each.unrecorded)
    return [each for name in open_ones for each in finish_open(make_ground(context, name, step), name)]


def _intended(plan: Plan, begun: Mapping[str, Begun]) -> set[tuple[str, str]]:
    """Tenants' days of a plan that intents of this very plan name: what was to go of them went, or a hold kept it."""
    digest = plan.content_hash.removeprefix("sha256:")
    return {
        (tenant, day)
        for tenant, each in begun.items()
        for intent in each.intended
        if intent.document.plan_sha256 == digest
        for day in intent.document.details["planned_days"]
    }


def _purge_rest(
    context: CommandContext,
    plan: Plan,
    rest: Sequence[DuePartition],
    eyes: FourEyes,
    asked: RequestRecord | None,
    step: Step,
    *,
    exact: bool,
) -> Iterator[Purged]:
    """Purge some partitions of a plan, tenant by tenant: `exact` as somebody looked at it, or whatever files hold the rows by now."""
    if exact:
        _expect_fresh(context, plan, rest)
    for tenant in sorted({partition.tenant for partition in rest}):
        for partitions in _portions([each for each in rest if each.tenant == tenant]):
            order = _order(context, plan, partitions, eyes, asked)
            done = _purge_some(context, plan, partitions, order, step, exact=exact)
            if done is not None:
                yield done


def _drop_old_journals(context: CommandContext) -> None:
    """Copies of journals that were set aside have an end too; recorded first, in the lake's own log."""
    folders = expired_journals(context.lake, context.clock())
    for folder in folders:
        event = OwnEvent(
            LAKE_TENANT,
            "retention.purged",
            RECORDED_BY,
            fields={"action": "drop", "resource_type": "journal", "resource_id": folder.name},
            attributes={"muniment.purge.ordered_by": context.principal.recorded_by},
        )
        context.decisions.record_with([event])
    drop_journals(folders)


def _purge_some(
    context: CommandContext, plan: Plan, partitions: Sequence[DuePartition], order: Order, step: Step, *, exact: bool
) -> Purged | None:
    tenant = order.tenant_id
    policy, holds = read_retention_policy(context.control), read_holds(context.control)
    days = sorted({partition.day for partition in partitions})
    locks = [Partition(each.table, tenant, each.day) for each in partitions if each.table != QUARANTINE]
    if policy.content_hash != plan.policy_hash or holds.content_hash != plan.holds_hash:
        _expect_fresh(context, plan, partitions)
    return purge(
        make_ground(context, tenant, step),
        order,
        locks,
        lambda: (
            select_planned(context.lake, plan, policy, holds, tenant, days)
            if exact
            else select_due(context.lake, plan, policy, holds, partitions)
        ),
        holds.content_hash,
    )


def _order(
    context: CommandContext,
    plan: Plan,
    partitions: Sequence[DuePartition],
    eyes: FourEyes,
    asked: RequestRecord | None,
) -> Order:
    tenant = partitions[0].tenant
    by = context.principal.recorded_by
    return Order(
        tenant,
        plan.content_hash.removeprefix("sha256:"),
        plan.policy_hash.removeprefix("sha256:"),
        ordered_by=by if asked is None else asked.asked_by,
        approved_by=None if asked is None else by,
        details={
            "kind": "retention",
            "four_eyes": eyes.why,
            "planned_days": sorted({partition.day for partition in partitions}),
            "horizon_unix_nano": plan.now_unix_nano,
            "holds_hash": plan.holds_hash,
            "kept_back": [
                {"by": each.by, "name": each.name, "table": each.table, "rows": each.rows, "reason": each.reason}
                for each in plan.kept
                if each.tenant == tenant
            ],
        },
    )


def _portions(partitions: Sequence[DuePartition]) -> Iterator[list[DuePartition]]:
    """Days of a tenant in groups whose contents one certificate can list; a day is never divided."""
    by_day: dict[str, list[DuePartition]] = {}
    for partition in partitions:
        by_day.setdefault(partition.day, []).append(partition)
    portion: list[DuePartition] = []
    rows = 0
    for _, each in sorted(by_day.items()):
        more = sum(
            file.rows or 0 for partition in each if partition.table == "contents"
            for file in (*partition.drop, *partition.rewrite)
        )  # fmt: skip
        if portion and rows + more > MOST_ROWS:
            yield portion
            portion, rows = [], 0
        portion += each
        rows += more
    if portion:
        yield portion


def _expect_fresh(context: CommandContext, plan: Plan, partitions: Sequence[DuePartition]) -> None:
    reasons = stale_reasons(
        msgspec.structs.replace(plan, partitions=tuple(partitions)),
        policy_hash=read_retention_policy(context.control).content_hash,
        holds_hash=read_holds(context.control).content_hash,
        live=live_paths_by_table(context.lake),
    )
    if reasons:
        raise ConflictError(
            f"plan {plan.content_hash}: its inputs changed: {'; '.join(reasons)}",
            hint="nothing was deleted; make the plan again and look at it: muniment retention plan --out FILE",
        )


def _eyes(context: CommandContext) -> FourEyes:
    if context.principal.kind is PrincipalKind.JOB:
        return FourEyes(needed=False, why="scheduled, by the policy in force")
    return four_eyes(context.settings, context.access, Action.RETENTION_APPLY, context.principal)
