"""Everything that Dagster loads: `dagster definitions validate -m pipelines.definitions`. It needs no lake until something runs."""

import dagster as dg

from pipelines import assets, checks, daily, daily_checks, history, schedules, sensors, sources
from pipelines.lake import LAKE_VARIABLE, LakeResource


def make_definitions(lake: LakeResource) -> dg.Definitions:
    """Jobs, schedules, sensors, assets and checks over a lake."""
    return dg.Definitions(
        assets=[
            assets.maintained_tables,
            assets.purged_records,
            assets.verified_checkpoints,
            assets.verified_records,
            assets.searched_files,
            assets.evidence_packs,
            *daily.DAILY,
            sources.tables,
            *sources.SOURCES,
        ],
        asset_checks=[
            checks.nothing_older_than_its_rule,
            checks.no_purge_skipped,
            checks.no_table_without_a_rule,
            *daily_checks.CHECKS_OF_A_DAY,
        ],
        jobs=[
            schedules.maintenance,
            schedules.retention,
            schedules.retention_checks,
            schedules.rescan,
            schedules.verification,
            schedules.packs,
            schedules.daily_findings,
            schedules.new_records,
            history.history,
        ],
        schedules=[
            schedules.every_five_minutes,
            schedules.daily,
            schedules.checks_schedule,
            schedules.weekly,
            schedules.hourly,
            schedules.monthly,
            schedules.findings_daily,
            history.history_schedule,
        ],
        sensors=[sensors.new_records_sensor],
        resources={"lake": lake},
        executor=dg.in_process_executor,
    )


defs = make_definitions(LakeResource(path=dg.EnvVar(LAKE_VARIABLE)))
