"""How found matches are held against what is known to be in a text.

An entity counts as found when matches of its own type cover half of its characters or more. A match counts as right when it
overlaps an entity of its own type. Of matches that overlap, only the one that redaction would keep counts (the higher priority,
then the longer). Types that only one side knows are left out: what a set does not label can't be right or wrong there.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.redact_texts import Entity, Sample
from collectors.redact.detector import Detector

SHARE = 0.5


@dataclass(frozen=True)
class Score:
    """What came of one type: entities there, entities found, matches, and matches that were right."""

    entities: int
    found: int
    matches: int
    right: int

    @property
    def recall(self) -> float:
        """Share of entities found."""
        return self.found / self.entities if self.entities else 0.0

    @property
    def precision(self) -> float:
        """Share of matches that were right."""
        return self.right / self.matches if self.matches else 0.0


def search(text: str, detectors: Iterable[Detector]) -> list[Entity]:
    """What the detectors find, of overlapping matches the one that redaction keeps."""
    found = [(one, match) for one in detectors for match in one.find(text)]
    found.sort(key=lambda pair: (-pair[0].priority, pair[1].start - pair[1].end))
    kept: list[Entity] = []
    for one, match in found:
        if all(match.end <= other.start or match.start >= other.end for other in kept):
            kept.append(Entity(one.name, match.start, match.end))
    return kept


def score(samples: Sequence[Sample], findings: Sequence[Sequence[Entity]], types: Iterable[str]) -> dict[str, Score]:
    """Scores by type; `findings` has one list a sample."""
    entities, found, matches, right = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for sample, matched in zip(samples, findings, strict=True):
        for entity in sample.entities:
            entities[entity.type] += 1
            covered = sum(_overlap(entity, match) for match in matched if match.type == entity.type)
            found[entity.type] += covered >= SHARE * (entity.end - entity.start)
        for match in matched:
            matches[match.type] += 1
            right[match.type] += any(
                _overlap(entity, match) > 0 for entity in sample.entities if entity.type == match.type
            )
    return {name: Score(entities[name], found[name], matches[name], right[name]) for name in types}


def _overlap(one: Entity, other: Entity) -> int:
    return max(0, min(one.end, other.end) - max(one.start, other.start))
