"""Sensor: new versions of the tables ask for runs of the days and tenants of which records came."""

import hashlib
import json

import dagster as dg

from pipelines.daily import TENANTS_TAG
from pipelines.lake import LakeResource, failing_plainly
from pipelines.partitions import FIRST_DAY
from pipelines.schedules import new_records
from pipelines.sources import observation
from pipelines.waiting import Waiting, add_new, take_due

_EVERY_SECONDS = 60


@dg.sensor(
    job=new_records,
    name="new_records_sensor",
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks for new versions of the tables; a day is asked for once an hour at most.",
)
def new_records_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    """A run a day, with the tenants concerned in its tag; nothing where nothing is due. The cursor holds versions."""
    before = Waiting.from_text(context.cursor)
    with failing_plainly():
        jobs = lake.jobs
        now = jobs.now()
        # a listing of the logs' folders; nothing else is opened where no log moved
        came = before.versions is None or dict(jobs.table_versions()) != dict(before.versions)
        known = (
            add_new(before, jobs.new_records(before.versions or {}, before.seen_unix_nano), now, FIRST_DAY)
            if came
            else before
        )
    due, after = take_due(known, now)
    if not due:
        reason = f"{len(after.days)} days with new records wait" if after.days else "no new records"
        return dg.SensorResult(skip_reason=reason, cursor=after.to_text())
    versions = dict(after.versions or {})
    at = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:16]
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"{day}/{at}",
                partition_key=day.isoformat(),
                tags={TENANTS_TAG: ",".join(sorted(tenants))},
            )
            for day, tenants in due.items()
        ],
        cursor=after.to_text(),
        asset_events=[observation(table, version) for table, version in sorted(versions.items())],
    )
