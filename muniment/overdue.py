"""What should have gone and is there still: rows that were due by their rule at an instant that has passed, and why they stay."""

from muniment.certificates import list_documents
from muniment.retaining import read_holds, read_retention_policy
from muniment.wiring import CommandContext
from pipelines.jobs import Overdue
from retention.plan import plan
from retention.policy_compiler import KIND
from retention.snapshot import read_snapshot
from warehouse.clock import utc_text
from warehouse.policies import in_force


def find_overdue(context: CommandContext, tenant: str, then_unix_nano: int) -> list[Overdue]:
    """What was due of a tenant at an instant (nanoseconds since 1970) and is not gone, by table; rights are the caller's to check.

    Raises:
        PolicyError: the policy in force cannot be read.
        UnavailableError: the lake or the control database cannot be read.
    """
    policy, holds = read_retention_policy(context.control), read_holds(context.control)
    snapshot = read_snapshot(context.lake, policy, holds, then_unix_nano, tenants=[tenant])
    found = plan(snapshot, policy, holds, then_unix_nano, tenant=tenant)
    if found.is_empty:
        return []
    why, expected = _why_still_there(context, tenant, then_unix_nano)
    by_table: dict[str, Overdue] = {}
    for part in found.partitions:
        files = (*part.drop, *part.rewrite)
        before = by_table.get(part.table, Overdue(part.table, part.day, 0, 0, why, expected))
        by_table[part.table] = Overdue(
            part.table,
            min(part.day, before.first_day),
            before.files + len(files),
            before.rows + sum(file.rows_due or 0 for file in files),
            why,
            expected,
        )
    return [by_table[table] for table in sorted(by_table)]


def _why_still_there(context: CommandContext, tenant: str, since_unix_nano: int) -> tuple[str, bool]:
    """Why rows that were due at an instant are there, and whether that is as it should be."""
    applied = in_force(context.control, KIND)
    if applied is not None and applied.applied_unix_nano > since_unix_nano:
        return f"the policy is in force only since {utc_text(applied.applied_unix_nano)}: the next run takes them", True
    released = [
        hold.id
        for hold in context.control.list_holds(tenant, released=True)
        if (hold.released_unix_nano or 0) > since_unix_nano
    ]
    if released:
        return f"the hold {released[0]} was released lately: the next run takes what it kept", True
    unfinished = [each.stored.document.purge_id for each in list_documents(context, tenant) if not each.finished]
    if unfinished:
        return f"purge {unfinished[0]} was begun and is not finished", False
    return "no run took them: runs failed or did not happen", False
