"""Searches a lake again for what all of its certificates say is gone, with one reading of each live file."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from pipelines.jobs import Searched
from retention.documents import Documents, StoredDocument
from retention.rescan import rescan
from warehouse.lake import Lake
from warehouse.ledger.certificates import Deleted, LedgeredTable, PurgeCertificate, Run

MOST_PARTS = 2_000_000
"""Owners of contents that are searched for at once; more take another reading."""


def search_certificates(lake: Lake, documents: Documents) -> Searched:
    """Search every tenant's live files for what its certificates say is gone. Changes nothing.

    Raises:
        UnavailableError: a file cannot be read.
    """
    by_tenant: dict[str, list[StoredDocument]] = defaultdict(list)
    for stored in documents.read():
        if isinstance(stored.document, PurgeCertificate):
            by_tenant[stored.document.details["tenant"]].append(stored)
    rows = size = 0
    problems = []
    for tenant, certificates in sorted(by_tenant.items()):
        for some in _portions(certificates):
            found = rescan(lake, tenant, join(tenant, [each.document.deleted for each in some]), _replaced(some))
            rows += found.rows
            size += found.size_bytes
            if not found.is_clean:
                problems.append(f"{tenant}: {found.problems()}")
    return Searched(sum(map(len, by_tenant.values())), rows, size, tuple(problems))


def join(tenant: str, deleted: Iterable[Deleted]) -> Deleted:
    """Several deletions of a tenant as one: runs of a log that touch or overlap, as after a restore, become one."""
    several = list(deleted)
    bounds: dict[tuple[LedgeredTable, str], list[tuple[int, int]]] = defaultdict(list)
    for each in several:
        for run in each.runs:
            bounds[run.table, run.shard].append((run.first, run.last))
    runs = []
    for (table, shard), found in sorted(bounds.items()):
        found.sort()
        first, last = found[0]
        for start, end in found[1:]:
            if start > last + 1:
                runs.append(Run(table, tenant, shard, first, last))
                first = start
            last = max(last, end)
        runs.append(Run(table, tenant, shard, first, last))
    return Deleted(tuple(runs), tuple(parts for each in several for parts in each.contents))


def _portions(certificates: Iterable[StoredDocument]) -> Iterator[list[StoredDocument]]:
    portion: list[StoredDocument] = []
    parts = 0
    for each in certificates:
        more = len(each.document.deleted.contents)
        if portion and parts + more > MOST_PARTS:
            yield portion
            portion, parts = [], 0
        portion.append(each)
        parts += more
    if portion:
        yield portion


def _replaced(certificates: Iterable[StoredDocument]) -> list[str]:
    return sorted({file["before"] for each in certificates for file in each.document.details["files"]})
