"""What a restore loses: of each log everything from the backup's size on, whoever knows how much that was.

How far logs reached later is known only in part: from the heads in the target's list, written with the last purge or backup, and from
certificates that name later rows. So each range is open at its end, and what is known is told beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from warehouse.backup.opening import MirroredDocuments, OpenedBackup
from warehouse.ledger.certificates import PurgeDocument
from warehouse.ledger.checkpoint import log_origin

LAST_INDEX = (1 << 53) - 1
"""Beyond every log: the end of a range whose end nobody knows (the largest integer that every JSON reader keeps)."""


@dataclass(frozen=True)
class Lost:
    """`ranges` are (origin, first, last) for the event; `known_sizes` how far a log is known to have reached beyond the backup."""

    ranges: tuple[tuple[str, int, int], ...]
    known_sizes: Mapping[str, int]

    @property
    def known_entries(self) -> int:
        """How many entries are known to be lost, at least."""
        first = {origin: start for origin, start, _ in self.ranges}
        return sum(size - first[origin] for origin, size in self.known_sizes.items())


def find_lost(opened: OpenedBackup, documents: MirroredDocuments) -> Lost:
    """What is lost by going back to this backup, as far as its target tells."""
    manifest = opened.manifest
    kept = {log.origin: log.size for log in manifest.logs}
    later = dict(documents.listed.heads) if documents.listed else {}
    purges: list[PurgeDocument] = [*documents.certificates.values(), *documents.intents.values()]
    for run in (run for document in purges for run in document.deleted.runs):
        origin = log_origin(manifest.lake, run.tenant, run.shard)
        later[origin] = max(later.get(origin, 0), run.last + 1)
    known = {origin: size for origin, size in sorted(later.items()) if size > kept.get(origin, 0)}
    ranges = tuple((origin, kept.get(origin, 0), LAST_INDEX) for origin in sorted({*kept, *known}))
    return Lost(ranges, known)
