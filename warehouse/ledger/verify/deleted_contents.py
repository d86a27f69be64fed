"""Content parts that purge certificates list one by one: 12 bytes each, in arrays, and what they account for.

A part's name is one of a few (`prompt`, `completion`, `messages.0` …), so it is held once and referred to by number.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from warehouse.ledger.certificates import PurgeDocument


@dataclass(frozen=True)
class DeletedContents:
    """Parts of one log's records: `owners[n]` is the index of the record, `codes[n]` the place of the part's name in `names`.

    Ascending by owner, then by code; each pair once.
    """

    owners: np.ndarray
    codes: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of_document(cls, document: PurgeDocument) -> "dict[tuple[str, str], DeletedContents]":
        """What one document lists, by tenant and shard."""
        names: dict[str, int] = {}
        listed: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        for content in document.deleted.contents:
            owners, codes = listed.setdefault((content.tenant, content.shard), ([], []))
            for part in content.parts:
                owners.append(content.owner_index)
                codes.append(names.setdefault(part, len(names)))
        return {
            log: _sorted(np.array(owners, np.int64), np.array(codes, np.int32), tuple(names))
            for log, (owners, codes) in listed.items()
        }

    @classmethod
    def joined(cls, several: Sequence["DeletedContents"]) -> "DeletedContents":
        """What several documents list of one log; what two of them list counts once."""
        if len(several) == 1:
            return several[0]
        names: dict[str, int] = {}
        codes = []
        for each in several:
            places = np.array([names.setdefault(name, len(names)) for name in each.names], np.int32)
            codes.append(places[each.codes])
        return _sorted(np.concatenate([each.owners for each in several]), np.concatenate(codes), tuple(names))

    def count(self, absent: Iterable[tuple[int, str]]) -> int:
        """How many of these (owner's index, part), each named once, are among them."""
        return len(self.among(absent))

    def among(self, parts: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
        """Those of these (owner's index, part) that it lists."""
        places = {name: place for place, name in enumerate(self.names)}
        known = [(owner, part) for owner, part in parts if part in places]
        if not known or not len(self.owners):
            return []
        width = len(self.names)
        mine = self.owners * width + self.codes
        asked = np.array([owner * width + places[part] for owner, part in known], np.int64)
        place = np.minimum(np.searchsorted(mine, asked), len(mine) - 1)
        return [known[number] for number in np.flatnonzero(mine[place] == asked).tolist()]

    def __len__(self) -> int:
        return len(self.owners)


def _sorted(owners: np.ndarray, codes: np.ndarray, names: tuple[str, ...]) -> DeletedContents:
    order = np.lexsort((codes, owners))
    owners, codes = owners[order], codes[order]
    first = np.ones(len(owners), bool)
    first[1:] = (np.diff(owners) != 0) | (np.diff(codes) != 0)
    return DeletedContents(owners[first], codes[first], names)
