"""Matches of one detector in order, without overlaps."""

from collections.abc import Iterable, Iterator

from collectors.redact.detector import Match


def without_overlaps(found: Iterable[Match]) -> Iterator[Match]:
    """The matches in ascending order; of those that overlap the one that begins first, then the longest."""
    reached = 0
    for match in sorted(found, key=lambda match: (match.start, -match.end)):
        if match.start >= reached:
            reached = match.end
            yield match
