"""Checks of retention: nothing stays longer than its rule says, no purge is left out, no table lacks a rule.

They ask the lake, not the outcome of a run: a schedule that never ran fails them too.
"""

import dagster as dg

from pipelines.assets import TENANTS, purged_records
from pipelines.jobs import LakeJobs
from pipelines.judging import GRACE_SECONDS, is_only_expected, skipped_purges
from pipelines.lake import LakeResource, failing_plainly

_NANOS = 1_000_000_000
_MOST_SHOWN = 50


@dg.asset_check(asset=purged_records, description="No record is there 26 hours after its rule says that it goes.")
def nothing_older_than_its_rule(lake: LakeResource) -> dg.AssetCheckResult:
    """A plan as of 26 hours ago is empty; what a new rule or a released hold made due since then is a warning."""
    with failing_plainly():
        jobs = lake.jobs
        overdue = {tenant.id: jobs.overdue(tenant.id, GRACE_SECONDS) for tenant in jobs.tenants()}
    found = [(tenant, each) for tenant, several in overdue.items() for each in several]
    severity = dg.AssetCheckSeverity.WARN if is_only_expected(overdue) else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        passed=not found,
        severity=severity,
        metadata={
            "tenants": len(overdue),
            "rows": sum(each.rows for _, each in found),
            "files": sum(each.files for _, each in found),
            "overdue": dg.MetadataValue.json(
                [
                    {
                        "tenant": tenant, "table": each.table, "first_day": each.first_day,
                        "files": each.files, "rows": each.rows, "why": each.why,
                    }
                    for tenant, each in found[:_MOST_SHOWN]
                ]
            ),
        },
    )  # fmt: skip


@dg.asset_check(
    asset=purged_records, description="Each tenant was purged within 26 hours, and no purge is left unfinished."
)
def no_purge_skipped(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
    """A successful run counts, and so does a certificate of a purge by the command line."""
    with failing_plainly():
        jobs = lake.jobs
        tenants = jobs.tenants()
        found = skipped_purges(tenants, _last_runs(context.instance, jobs), jobs.purge_states(), jobs.now())
    return dg.AssetCheckResult(
        passed=not found,
        metadata={
            "tenants": len(tenants),
            "skipped": dg.MetadataValue.json(
                [{"tenant": each.tenant, "why": each.why} for each in found[:_MOST_SHOWN]]
            ),
        },
    )


@dg.asset_check(asset=purged_records, description="The retention policy has a rule for each table of each tenant.")
def no_table_without_a_rule(lake: LakeResource) -> dg.AssetCheckResult:
    """Tables that stand on the disk and that no rule knows would be kept for ever."""
    with failing_plainly():
        found = lake.jobs.tables_without_rule()
    return dg.AssetCheckResult(
        passed=not found,
        metadata={"count": len(found), "without_rule": dg.MetadataValue.json(found[:_MOST_SHOWN])},
    )


def _last_runs(instance: dg.DagsterInstance, jobs: LakeJobs) -> dict[str, int]:
    """When each tenant's last successful run ended, in nanoseconds since 1970; a tenant without one is not there."""
    found: dict[str, int] = {}
    for tenant in jobs.tenants():
        wanted = dg.AssetRecordsFilter(asset_key=purged_records.key, asset_partitions=[tenant.id])
        records = instance.fetch_materializations(wanted, limit=1).records
        if records:
            found[tenant.id] = int(records[0].timestamp * _NANOS)
    return found


__all__ = ["TENANTS", "no_purge_skipped", "no_table_without_a_rule", "nothing_older_than_its_rule"]
