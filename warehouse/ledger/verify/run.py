"""The verification of a lake: which logs and files are looked at, and in which order.

The order makes a run beside a live collector sound. What witnesses cosigned is read first, checkpoints after it, so no log is
smaller than its witnesses say because it grew meanwhile. Files are listed after the checkpoints, so each row that one promises is
among them. Rows above the checkpoint are judged last, against marks and checkpoints read again.

The logs of `_lake` come first: purges, restores, rotations and heads of the others are told there. The other tenants follow in
groups, so that what is held at a time stays below a bit an index of one group.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

from warehouse.lake import Lake
from warehouse.ledger.checkpoint import log_origin, split_origin
from warehouse.ledger.listening import gaps
from warehouse.ledger.verify.files import TableFile, live_files
from warehouse.ledger.verify.group import Group, told_names
from warehouse.ledger.verify.heads import Head, LogKeys, LogName, log_folder, log_names, promised_sizes, read_head
from warehouse.ledger.verify.job import Job, Progress, VerifyOptions
from warehouse.ledger.verify.pool import TaskPool
from warehouse.ledger.verify.report import VerifyReport
from warehouse.ledger.verify.witnesses import Cosigned, read_cosigned
from warehouse.names import LAKE_TENANT

GROUP_ENTRIES = 200_000_000
"""Entries of a group of tenants: 25 MB of bits."""


def verify_lake(
    lake: Lake,
    *,
    lake_name: str,
    tenants: Collection[str] | None = None,
    options: VerifyOptions | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
    stop: Callable[[], bool] = lambda: False,
) -> VerifyReport:
    """Verify every log and row of a lake, or of some tenants and the lake's own log.

    Raises:
        InputError: keys were brought, and none of them is for this lake.
        UnavailableError: a Delta log cannot be read, or rewrites replace files faster than they are read.
        CorruptionError: a mark, a journal head or a table's layout is not what the writer makes.
    """
    job = Job(lake, lake_name, tenants, options or VerifyOptions(), progress, stop)
    with TaskPool(job.options.workers) as pool:
        return _verify(job, pool)


def _verify(job: Job, pool: TaskPool) -> VerifyReport:
    """Verify group after group."""
    keys = LogKeys(job.options.vkeys, job.lake_name)
    names = _names(job)
    job.cosigned.update(_cosigned(job, names))
    heads = {name: read_head(job.lake, job.lake_name, name, keys) for name in names}
    files = [file for file in live_files(job.lake) if job.is_wanted(file.tenant)]
    job.total = sum(head.size - job.since(head) for head in heads.values()) + sum(file.rows for file in files)
    for group in _groups(heads, files, lambda: told_names(job, keys)):
        Group(job, keys, {name: head for name, head in heads.items() if name.tenant in group}).verify(
            pool, [file for file in files if file.tenant in group]
        )
        job.report.interrupted = job.report.interrupted or job.stop()
        if job.report.interrupted:
            break
    job.report.logs.sort(key=lambda log: (log.tenant, log.shard))
    job.report.gaps = gaps(job.listening)
    return job.report


def _names(job: Job) -> list[LogName]:
    """Logs that have a folder, that were seen, or that a journal has promised."""
    names = {*log_names(job.lake), *(name for name, size in promised_sizes(job.lake).items() if size)}
    for origin in job.options.seen.logs if job.options.seen else ():
        lake_name, tenant, shard = split_origin(origin)
        if lake_name == job.lake_name:
            names.add(LogName(tenant, shard))
    return sorted(name for name in names if job.is_wanted(name.tenant))


def _cosigned(job: Job, names: Sequence[LogName]) -> dict[LogName, Cosigned]:
    """What the witnesses that the verifier brought say of the logs of `_lake`."""
    if not job.options.witness_keys:
        return {}
    return {
        name: read_cosigned(
            log_folder(job.lake, name), log_origin(job.lake_name, name.tenant, name.shard), job.options.witness_keys
        )
        for name in names
        if name.tenant == LAKE_TENANT
    }


def _groups(
    heads: dict[LogName, Head], files: Sequence[TableFile], told: Callable[[], dict[LogName, Head]]
) -> Iterator[set[str]]:
    """Tenants by group: `_lake` alone first, then as many together as `GROUP_ENTRIES` allows.

    `told` are logs that nothing is left of and that `_lake` tells of, once it was read; they are added to `heads`.
    """
    if any(tenant == LAKE_TENANT for tenant in (*(name.tenant for name in heads), *(file.tenant for file in files))):
        yield {LAKE_TENANT}
    for name, head in told().items():
        heads.setdefault(name, head)
    sizes = dict.fromkeys(sorted({*(name.tenant for name in heads), *(file.tenant for file in files)}), 0)
    sizes.pop(LAKE_TENANT, None)
    for name, head in heads.items():
        if name.tenant in sizes:
            sizes[name.tenant] += head.size
    group: set[str] = set()
    held = 0
    for tenant, size in sizes.items():
        if group and held + size > GROUP_ENTRIES:
            yield group
            group, held = set(), 0
        group.add(tenant)
        held += size
    if group:
        yield group
