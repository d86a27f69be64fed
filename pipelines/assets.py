"""Assets: what each job leaves behind in the lake, with counts, hashes and places as metadata.

Assets hold no data of their own; a materialization says that the work was done, when, and with which outcome.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import dagster as dg

from pipelines.jobs import Maintained, PurgeOutcome
from pipelines.lake import LakeResource, failing_plainly
from warehouse.tables import TABLES

TENANTS = dg.DynamicPartitionsDefinition(name="tenants")
_MOST_SHOWN = 50
_RECORDS = sorted(TABLES)
_LOGS = [*_RECORDS, "ledger"]

Metadata: TypeAlias = dict[str, dg.MetadataValue[Any]]


def _fresh(**most: float) -> dg.FreshnessPolicy:
    """Fails where the last materialization is older: that of any partition, as Dagster asks."""
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(**most))


@dg.asset(
    group_name="pipelines",
    deps=_RECORDS,
    description="The tables, after small files were merged and replaced ones deleted.",
)
def maintained_tables(lake: LakeResource) -> dg.MaterializeResult[None]:
    """A round of maintenance over the whole lake."""
    with failing_plainly():
        done = lake.jobs.maintain()
    if done.failures:
        raise dg.Failure(
            f"{len(done.failures)} parts could not be maintained; the rest was, and the next round tries them again",
            metadata=maintenance_metadata(done),
        )
    return dg.MaterializeResult(metadata=maintenance_metadata(done))


@dg.asset(
    group_name="retention",
    deps=_RECORDS,
    freshness_policy=_fresh(hours=26),
    partitions_def=TENANTS,
    description="A tenant's records, after what was due by the retention policy was deleted, certified and searched for.",
)
def purged_records(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
    """What is due of one tenant goes; an earlier purge that was not finished is finished first."""
    with failing_plainly():
        done = lake.jobs.purge(context.partition_key)
    return dg.MaterializeResult(metadata=purge_metadata(done))


@dg.asset(
    group_name="ledger",
    deps=_LOGS,
    freshness_policy=_fresh(hours=3),
    description="The lake's logs, after every checkpoint and what came since the last run was verified.",
)
def verified_checkpoints(lake: LakeResource) -> dg.MaterializeResult[None]:
    """Signatures, consistency with what was seen before, and every record since."""
    return _verify(lake, everything=False)


@dg.asset(
    group_name="ledger",
    deps=_LOGS,
    freshness_policy=_fresh(days=8),
    description="The lake's logs, after every record was verified from the first on.",
)
def verified_records(lake: LakeResource) -> dg.MaterializeResult[None]:
    """Everything, from the first record on."""
    return _verify(lake, everything=True)


@dg.asset(
    group_name="retention",
    deps=_RECORDS,
    freshness_policy=_fresh(days=8),
    description="All live files, after they were searched for what certificates say is gone.",
)
def searched_files(lake: LakeResource) -> dg.MaterializeResult[None]:
    """The search that every purge ends with, again and for all certificates."""
    with failing_plainly():
        found = lake.jobs.search_again()
    metadata: Metadata = {
        "certificates": dg.MetadataValue.int(found.certificates),
        "rows_read": dg.MetadataValue.int(found.rows_read),
        "bytes_read": dg.MetadataValue.int(found.bytes_read),
        "problems": dg.MetadataValue.json(list(found.problems[:_MOST_SHOWN])),
    }
    if found.problems:
        raise dg.Failure(
            "some of what certificates say is gone was found again", metadata=metadata, allow_retries=False
        )
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    group_name="governance",
    deps=_LOGS,
    freshness_policy=_fresh(days=33),
    partitions_def=TENANTS,
    description="A tenant's evidence packs, of each month that has ended; those kept long enough are deleted.",
)
def evidence_packs(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
    """One pack a month and framework that the settings ask for, the oldest first; one that is there is not built again."""
    with failing_plainly():
        done = lake.jobs.build_packs(context.partition_key)
    metadata: Metadata = {
        "built": dg.MetadataValue.json(dict(done.built)),
        "deleted": dg.MetadataValue.json(list(done.deleted[:_MOST_SHOWN])),
        "kept_by_hold": dg.MetadataValue.json(list(done.held[:_MOST_SHOWN])),
        "not_proved": dg.MetadataValue.int(done.problems),
        "still_to_build": dg.MetadataValue.json(list(done.left[:_MOST_SHOWN])),
        "not_built_since_records_were_deleted": dg.MetadataValue.json(list(done.lost[:_MOST_SHOWN])),
        "built_after_some_records_were_deleted": dg.MetadataValue.json(list(done.partial[:_MOST_SHOWN])),
    }
    if done.problems:
        raise dg.Failure("sampled records could not be proved", metadata=metadata, allow_retries=False)
    return dg.MaterializeResult(metadata=metadata)


def _verify(lake: LakeResource, *, everything: bool) -> dg.MaterializeResult[None]:
    with failing_plainly():
        found = lake.jobs.verify(everything=everything)
    metadata: Metadata = {
        "result": dg.MetadataValue.text(found.result),
        "logs": dg.MetadataValue.int(found.logs),
        "records": dg.MetadataValue.int(found.records),
        "findings": dg.MetadataValue.json(dict(found.findings)),
        "broken_logs": dg.MetadataValue.json(list(found.broken[:_MOST_SHOWN])),
    }
    if found.result == "broken":
        raise dg.Failure("the ledger is broken: `muniment verify` says where", metadata=metadata, allow_retries=False)
    return dg.MaterializeResult(metadata=metadata)


def maintenance_metadata(done: Maintained) -> Metadata:
    """What a round did."""
    counts = {
        "files_before": done.files_before,
        "files_after": done.files_after,
        "bytes_before": done.bytes_before,
        "bytes_after": done.bytes_after,
        "replaced_files_deleted": done.files_deleted,
        "orphans_deleted": done.orphans_deleted,
    }
    return {
        "left_to_another_round": dg.MetadataValue.bool(done.skipped),
        **{name: dg.MetadataValue.int(count) for name, count in counts.items()},
        "failures": dg.MetadataValue.json(list(done.failures[:_MOST_SHOWN])),
    }


def purge_metadata(done: Sequence[PurgeOutcome]) -> Metadata:
    """Counts of all purges of a run, a link to each certificate, and what was kept back."""
    rows: dict[str, int] = {}
    for each in done:
        for table, count in each.rows.items():
            rows[table] = rows.get(table, 0) + count
    found: Metadata = {
        "purges": dg.MetadataValue.int(len(done)),
        "rows": dg.MetadataValue.int(sum(rows.values())),
        "rows_by_table": dg.MetadataValue.json(rows),
        "bytes_freed": dg.MetadataValue.int(sum(each.size_bytes for each in done)),
        "kept_back": dg.MetadataValue.json(
            [
                {"by": kept.by, "name": kept.name, "table": kept.table, "rows": kept.rows}
                for each in done[-1:]
                for kept in each.kept
            ]
        ),
    }
    for number, each in enumerate(done[:_MOST_SHOWN], 1):
        suffix = "" if len(done) == 1 else f"_{number}"
        found[f"purge_id{suffix}"] = dg.MetadataValue.text(each.purge_id)
        found[f"certificate{suffix}"] = dg.MetadataValue.path(each.certificate_file)
        found[f"certificate_sha256{suffix}"] = dg.MetadataValue.text(each.certificate_sha256)
    return found
