"""The work that schedules do on one lake, as `pipelines.jobs.LakeJobs` asks for it: the same functions that commands call.

Invariants:
- What leaves here, results and errors alike, may be stored by the scheduler: ids, counts, hashes, and messages that passed redaction.
- A job that is under way is not done twice at once: whoever comes second waits, or leaves maintenance to the first. The locks are the
  kernel's, so a process that dies holds none.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from governance.access import Action
from muniment.certificates import list_documents
from muniment.erasing import run_retention
from muniment.findings_jobs import FindingsWork
from muniment.job_context import safe_text
from muniment.overdue import find_overdue
from muniment.pack_months import lacking_packs
from muniment.packs import run_packs
from muniment.purging import make_ground
from muniment.quality import run_suites
from muniment.retaining import check_tenant, read_retention_policy
from muniment.searching import search_certificates
from muniment.tenancy import lake_tenants
from muniment.wiring import CommandContext
from pipelines.errors import JobError
from pipelines.jobs import (
    Kept,
    Maintained,
    Overdue,
    Packs,
    PurgeOutcome,
    PurgeState,
    Searched,
    SuiteResult,
    TenantState,
    Verified,
)
from pipelines.quality.counting import CheckResult
from retention.policy import RETAINED_TABLES, RetentionPolicy
from retention.purge import Purged
from warehouse.clock import NANOS_PER_SECOND
from warehouse.commit import open_stores
from warehouse.derived.store import derived_stores
from warehouse.derived.tables import DERIVED
from warehouse.durable import make_folder
from warehouse.errors import LakeNotFoundError, MunimentError
from warehouse.lake import find_lake
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.verify import VerifyOptions, check_seen, read_seen, update_seen, verify_lake
from warehouse.ledger.verify.report import VerifyReport
from warehouse.locks import FileLock, locked
from warehouse.maintenance import MaintenanceReport, run_maintenance
from warehouse.names import LAKE_TENANT

_WAIT_SECONDS = 3600.0
_UNFINISHED_SECONDS = 3600
"""A purge that was begun less than this ago may be under way."""
_TABLE_LOG = "_delta_log"


class ScheduledWork(FindingsWork):
    """The work on one lake. Each call opens what it needs and closes it again, so an object may be kept for long."""

    def tenants(self) -> list[TenantState]:
        """Every tenant, closed ones too, and the lake's own, which is as old as the lake's secret."""
        with self.context("list tenants") as context:
            born = (self.lake.keys / "lake.json").stat().st_mtime_ns
            found = [TenantState(each.id, each.created_unix_nano) for each in context.control.list_tenants()]
            return [TenantState(LAKE_TENANT, born), *found]

    def maintain(self) -> Maintained:
        """One round over the whole lake; one that another process is doing is left to it."""
        with self.context("maintain") as context:
            context.check(Action.MAINTENANCE_RUN)
            lock = FileLock(self.lock_file("maintenance"))
            if not lock.acquire(holder="scheduled maintenance"):
                return Maintained(skipped=True)
            try:
                report = run_maintenance(
                    self.lake,
                    open_stores(self.lake) | derived_stores(self.lake),
                    config=context.settings.maintenance,
                    clock=self.clock,
                )
            finally:
                lock.release()
            failures = tuple(safe_text(context, failure) for failure in report.failures)
            return _maintained(report, failures)

    def maintenance_interval_seconds(self) -> float:
        """The setting `maintenance.interval_seconds`."""
        with self.context("read settings") as context:
            return context.settings.maintenance.interval_seconds

    def purge(self, tenant: str) -> list[PurgeOutcome]:
        """What `muniment retention apply --tenant T --yes` does."""
        with self.context("purge") as context:
            check_tenant(context, tenant)
            file = self.lock_file(f"purge-{tenant}")
            with locked(file, holder="a scheduled purge", timeout_seconds=_WAIT_SECONDS):
                purges, erasures = run_retention(context, tenant)
                return [_outcome(done) for done in (*purges, *(each for found in erasures for each in found.purges))]

    def purge_states(self) -> dict[str, PurgeState]:
        """From the lake's intents and certificates."""
        with self.context("read certificates") as context:
            last: dict[str, int] = {}
            unfinished: dict[str, list[str]] = {}
            before = self.clock() - _UNFINISHED_SECONDS * NANOS_PER_SECOND
            for each in list_documents(context, None):
                document = each.stored.document
                tenant, made = document.details["tenant"], int(document.time_unix_nano)
                if not each.finished and made < before:
                    unfinished.setdefault(tenant, []).append(document.purge_id)
                elif each.finished and document.details.get("kind") == "retention":
                    last[tenant] = max(made, last.get(tenant, 0))
            known = {LAKE_TENANT, *(each.id for each in context.control.list_tenants())}
            return {
                name: PurgeState(last.get(name), tuple(unfinished.get(name, ())))
                for name in sorted({*known, *last, *unfinished})
            }

    def overdue(self, tenant: str, grace_seconds: int) -> list[Overdue]:
        """A plan as of `grace_seconds` ago: what was due then should be gone now."""
        with self.context("plan") as context:
            context.check(Action.RETENTION_PLAN, tenant)
            return find_overdue(context, tenant, self.clock() - grace_seconds * NANOS_PER_SECOND)

    def tables_without_rule(self) -> list[str]:
        """Tables on the disk that the policy does not know, and tables of tenants for which it has no answer."""
        with self.context("read the retention policy") as context:
            context.check(Action.POLICY_READ)
            policy = read_retention_policy(context.control)
            tenants = lake_tenants(context.control)
        there = {folder.name for folder in self.lake.tables.iterdir() if (folder / _TABLE_LOG).is_dir()}
        return sorted(there - {*RETAINED_TABLES, *DERIVED}) + _without_answer(policy, tenants)

    def search_again(self) -> Searched:
        """What `muniment retention verify` does, for all certificates of a tenant at once."""
        with self.context("search again") as context:
            context.check(Action.RETENTION_PLAN)
            file = self.lock_file("search")
            with locked(file, holder="a scheduled search", timeout_seconds=_WAIT_SECONDS):
                return search_certificates(context.lake, make_ground(context, LAKE_TENANT).documents)

    def build_packs(self, tenant: str) -> Packs:
        """What `muniment evidence build` does for each framework that the settings ask for, and the retention of packs."""
        with self.context("build evidence packs") as context:
            file = self.lock_file(f"packs-{tenant}")
            with locked(file, holder="scheduled evidence packs", timeout_seconds=_WAIT_SECONDS):
                done = run_packs(context, tenant)
            return Packs(
                {f"{tenant}/{each.file.name}": each.sha256 for each in done.built},
                done.deleted,
                done.held,
                sum(len(each.problems) for each in done.built),
                done.left,
                done.lost,
                done.partial,
            )

    def lacks_packs(self, tenant: str) -> bool:
        """Whether a month was missed that can be built."""
        with self.context("look for missing evidence packs") as context:
            context.check(Action.RECORDS_EXPORT, tenant)
            return any(each.can_be_built for each in lacking_packs(context, tenant))

    def check_suites(self, tenant: str, day: date) -> tuple[SuiteResult, ...]:
        """What `muniment quality run --suites` does besides counting."""
        with self.context("check a sample of the records") as context:
            return tuple(_suite_result(found) for found in run_suites(context, tenant, day))

    def verify(self, *, everything: bool) -> Verified:
        """What `muniment verify --seen` does, with the lake's own keys; `LAKE/dagster/seen.json` is its memory."""
        with self.context("verify") as context:
            context.check(Action.RECORDS_READ)
            file = self.lock_file("verify")
            with locked(file, holder="a scheduled verification", timeout_seconds=_WAIT_SECONDS):
                return _verified(_verify(context, everything=everything))


def open_jobs(lake: Path) -> ScheduledWork:
    """The work on the lake in this folder: the entry point `lake` of the group `muniment.jobs`.

    Raises:
        JobError: there is no lake.
    """
    try:
        return ScheduledWork(find_lake(lake))
    except LakeNotFoundError as exc:
        raise JobError(str(exc), hint=exc.hint) from None
    except MunimentError as exc:
        raise JobError(f"{lake}: {type(exc).__name__}", hint=exc.hint) from None


def _outcome(done: Purged) -> PurgeOutcome:
    details = done.certificate.document.details
    kept = [Kept(each["by"], each["name"], each["table"], each["rows"]) for each in details.get("kept_back", ())]
    kept += [Kept("hold", name, "", 0) for name in done.holds]
    return PurgeOutcome(
        done.purge_id,
        dict(done.rows),
        done.size_bytes,
        done.certificate.sha256,
        done.certificate.file,
        tuple(kept),
        done.resumed,
    )


def _maintained(report: MaintenanceReport, failures: tuple[str, ...]) -> Maintained:
    made = [part for table in report.tables for part in table.compacted if part.files_after]
    return Maintained(
        files_before=sum(part.files_before for part in made),
        files_after=sum(part.files_after for part in made),
        bytes_before=sum(part.bytes_before for part in made),
        bytes_after=sum(part.bytes_after for part in made),
        files_deleted=sum(table.removed_files_deleted for table in report.tables),
        orphans_deleted=sum(len(table.swept.deleted) for table in report.tables),
        failures=failures,
    )


def _suite_result(found: CheckResult) -> SuiteResult:
    places = ", ".join(shard if index is None else f"{shard} {index}" for shard, index in found.positions)
    detail = found.error or (f"unexpected at {places}" if places else "")
    return SuiteResult(found.check.name, found.check.table, found.outcome, found.total, found.unexpected, detail)


def _without_answer(policy: RetentionPolicy, tenants: Sequence[str]) -> list[str]:
    found = []
    for table in RETAINED_TABLES:
        for tenant in tenants:
            try:
                policy.answer(policy.combination(table, tenant))
            except LookupError:
                found.append(f"{table} of {tenant}")
    return found


def _verify(context: CommandContext, *, everything: bool) -> VerifyReport:
    name = context.settings.lake
    file = context.lake.path / "dagster" / "seen.json"
    make_folder(file.parent)
    seen = read_seen(file)
    check_seen(file, seen, lake_name=name)
    # recorded before anything is read, as for everybody who reads
    context.record("record.viewed", LAKE_TENANT, action="verify", resource_type="log", resource_id="*")
    keys = read_signing_keys(context.lake.keys).verifiers(name)
    report = verify_lake(
        context.lake, lake_name=name, options=VerifyOptions(vkeys=keys, seen=seen, since=not everything)
    )
    update_seen(file, seen, report, clock=context.clock)
    return report


def _verified(report: VerifyReport) -> Verified:
    return Verified(
        report.result.value,
        len(report.logs),
        report.records,
        {kind.value: count for kind, count in sorted(report.kinds.items())},
        tuple(f"{log.tenant}/{log.shard}" for log in report.logs if log.findings),
    )
