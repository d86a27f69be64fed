"""What stands upstream of everything: the way of the data from agents to tables and ledger, and the pages downstream.

Nothing here is made by Dagster. Tables are observed: their data version is the version of their Delta log.
"""

import warnings
from collections.abc import Iterator

import dagster as dg

from pipelines.lake import LakeResource, failing_plainly
from warehouse.tables import TABLES

AGENTS = "agents"
WAREHOUSE = "warehouse"
_ABOUT = {
    "agents": ("collectors", "Any agent that speaks OpenTelemetry.", []),
    "collectors": ("collectors", "Receivers: decode, name, classify and redact in memory.", ["agents"]),
    "journal": (WAREHOUSE, "Where a record is durable before it is acknowledged; sequences it.", ["collectors"]),
    "ledger": (WAREHOUSE, "A transparency log a tenant and shard: checkpoints, tiles, entries.", ["journal"]),
}
PAGES = dg.AssetSpec(
    "dashboards",
    group_name="dashboards",
    description="Pages: evidence, SLOs, incidents, integrity, explorer.",
    deps=["slo_windows", "incidents", "quality_results", "verified_checkpoints", "evidence_packs"],
    kinds={"streamlit"},
)
SOURCES = (
    *(
        dg.AssetSpec(name, group_name=group, description=about, deps=deps)
        for name, (group, about, deps) in _ABOUT.items()
    ),
    PAGES,
)
"""Assets that are drawn and never run."""

with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):

    @dg.multi_observable_source_asset(  # type: ignore[untyped-decorator]
        name="tables",
        specs=[
            dg.AssetSpec(table.name, group_name=WAREHOUSE, description=table.doc, deps=["journal"], kinds={"deltalake"})
            for table in TABLES.values()
        ],
        can_subset=True,
    )
    def tables(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.ObserveResult]:
        """The versions of the tables' Delta logs, read off a listing of each log's folder."""
        with failing_plainly():
            versions = lake.jobs.table_versions()
        for key in sorted(context.selected_asset_keys):
            name = key.to_user_string()
            if name in versions:
                yield dg.ObserveResult(asset_key=key, data_version=dg.DataVersion(str(versions[name])))


def observation(table: str, version: int) -> dg.AssetObservation:
    """The same, for a sensor that knows the version already."""
    return dg.AssetObservation(table, tags={"dagster/data_version": str(version)})
