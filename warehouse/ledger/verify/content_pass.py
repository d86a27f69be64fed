"""Every content, once: partitions in even tasks, and read anew when a rewrite replaced their files."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from warehouse.errors import UnavailableError
from warehouse.ledger.verify.contents import ContentResult, ContentTask, check_contents, content_tasks, partitions
from warehouse.ledger.verify.excuses import Excuses
from warehouse.ledger.verify.files import CONTENTS, TableFile, partition_files
from warehouse.ledger.verify.job import ATTEMPTS, Job
from warehouse.ledger.verify.pool import TaskPool
from warehouse.ledger.verify.scan import LogView
from warehouse.sequence import LEDGERED


def compare_contents(
    job: Job,
    pool: TaskPool,
    files: Sequence[TableFile],
    views: Mapping[str, Mapping[str, LogView]],
    excuses: Excuses,
) -> Iterator[ContentResult]:
    """What the contents of all partitions were found to be; `views` are logs by tenant and shard.

    Raises:
        UnavailableError: rewrites replace a partition's files faster than they can be read.
    """
    certified = {tenant: excuses.deleted_contents(tenant) for tenant in views}
    tasks = [
        task
        for (tenant, day), together in partitions(files).items()
        for task in content_tasks(tenant, day, together, views[tenant], certified[tenant])
    ]
    waiting = Counter((task.tenant, task.day) for task in tasks)
    held: dict[tuple[str, str], list[ContentResult]] = {}
    tasks.sort(key=lambda task: -task.rows)
    for result in pool.run(check_contents, tasks, stop=job.stop):
        job.advance("contents", result.rows)
        key = result.task.tenant, result.task.day
        held.setdefault(key, []).append(result)
        waiting[key] -= 1
        if not waiting[key]:
            yield from _settled(job, held.pop(key))


def _settled(job: Job, results: list[ContentResult]) -> list[ContentResult]:
    """The results of one partition, read again as a whole where a rewrite replaced files meanwhile."""
    task = results[0].task
    for _ in range(ATTEMPTS):
        if not any(result.vanished for result in results):
            return results
        live = _live_files(job, task)
        # what a rewrite replaced stays on the disk for its grace: a file that the log names now and that is not there is lost
        lost = [file for file in live if file.table == CONTENTS and not file.path.exists()]
        results = [check_contents(again) for again in _tasks_again(task, live)]
        results[0].problems += [(file, "the table's log names it, and it is not there") for file in lost]
    raise UnavailableError(
        f"contents of {task.tenant} on {task.day} are replaced faster than they can be read",
        hint="try again when compaction or purge has ended",
    )


def _live_files(job: Job, task: ContentTask) -> list[TableFile]:
    """The files that the partition has now, by its tables' logs."""
    return [file for table in (CONTENTS, *LEDGERED) for file in partition_files(job.lake, table, task.tenant, task.day)]


def _tasks_again(task: ContentTask, live: Sequence[TableFile]) -> list[ContentTask]:
    """Tasks over those of these files that can be read; of owners that are gone the rows' own pass tells."""
    there = [file for file in live if file.path.exists()]
    return content_tasks(task.tenant, task.day, there, task.logs, task.certified, by_segment=False)
