"""What the page about retention shows of a tenant: what is due, what is held, and what went."""

from collections.abc import Mapping
from typing import Any

from dashboards.desk import Certificate, Due, Retention
from dashboards.request_desk import HeldCase
from governance.access import Action
from muniment.certificates import Listed, ListedKey, list_documents, list_keys
from muniment.holding import scope_json
from muniment.retaining import make_plan, read_holds, read_retention_policy
from muniment.wiring import CommandContext
from retention.holds import read_scope
from retention.remembered import Remembered
from retention.snapshot import read_snapshot
from warehouse.clock import NANOS_PER_DAY


def read_retention(context: CommandContext, tenant: str, remembered: Remembered, days: int = 0) -> Retention:
    """What is due of a tenant, now or within so many days, what is held, and what went; `remembered` is what earlier plans have read.

    Raises:
        DeniedError: the principal may not plan, or not see holds.
    """
    ahead = days * NANOS_PER_DAY
    # what is read for another instant would be remembered in the place of what each visit needs
    plan = make_plan(context, tenant, remembered=None if ahead else remembered, ahead_nanos=ahead)
    due = tuple(
        Due(
            part.table,
            part.day,
            ", ".join(sorted({rule for file in (*part.drop, *part.rewrite) for rule in file.rules})),
            sum(file.rows_due or 0 for file in (*part.drop, *part.rewrite)),
            sum(file.size_bytes for file in (*part.drop, *part.rewrite)),
            0,
        )
        for part in plan.partitions
    )
    kept = tuple(Due(each.table, each.first_day, f"{each.by} {each.name}", 0, 0, each.rows) for each in plan.kept)
    held = held_cases(context, tenant)
    listed: list[Listed | ListedKey] = [*list_documents(context, tenant), *list_keys(context, tenant)]
    certificates = [_certificate(each.to_json()) for each in listed]
    policy = read_retention_policy(context.control)
    return Retention(
        (*due, *kept),
        held,
        tuple(sorted(certificates, key=lambda each: -each.time_unix_nano)),
        tuple(f"{rule.name}: {rule.keep}" for rule in policy.rules),
    )


def prepare_retention(context: CommandContext, tenant: str, remembered: Remembered) -> None:
    """Read what the plan of a tenant will be told from; answers nobody anything.

    Raises:
        UnavailableError: the lake cannot be read.
    """
    policy, holds = read_retention_policy(context.control), read_holds(context.control)
    read_snapshot(context.lake, policy, holds, context.clock(), tenants=[tenant], remembered=remembered)


def held_cases(context: CommandContext, tenant: str) -> tuple[HeldCase, ...]:
    """The holds in force.

    Raises:
        DeniedError: the principal may not see them.
    """
    context.check(Action.HOLD_READ, tenant)
    return tuple(
        HeldCase(
            hold.id,
            scope_words(scope_json(read_scope(hold.scope))),
            hold.reason,
            hold.owner,
            hold.placed_unix_nano,
            hold.release_pending,
        )
        for hold in context.control.list_holds(tenant)
    )


def _certificate(content: Mapping[str, Any]) -> Certificate:
    rows = ", ".join(f"{count:,} {table}" for table, count in sorted(content["rows"].items()))
    return Certificate(
        content["sha256"],
        str(content["kind"]) if content["finished"] else "not finished",
        content["time_unix_nano"],
        rows,
        content["ordered_by"],
        content["approved_by"] or "",
        content["finished"],
    )


def scope_words(scope: Mapping[str, Any]) -> str:
    """What a hold keeps, in words."""
    return "; ".join(
        f"{name}: {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for name, value in scope.items()
        if value
    )
