"""What an erasure takes of the rows in which a person was found, and what stays and why. Pure but for reading the rows' own columns.

A row goes unless a legal hold keeps it, or a minimum that the law sets has not passed, or it is evidence of a deletion; an audit event
in which the person only acted stays, and says nothing any more once the person's key is destroyed (GDPR Article 17(3)).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from retention.cohorts import FamilyReader
from retention.doomed import DoomedFile
from retention.holding import Holding, Mask
from retention.policy import RetentionPolicy
from retention.snapshot import list_families
from warehouse.lake import Lake

ONLY_ACTOR = "only acted"


@dataclass(frozen=True)
class FoundFile:
    """Rows of one live file in which a person was found; `only_actor` are those audit events in which they only acted."""

    table: str
    tenant_id: str
    day: str
    path: str
    size_bytes: int
    rows: Mask
    only_actor: Mask


class Staying(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows that stay. `by` is hold, minimum, evidence or `only acted`; `name` says which, `reason` is a minimum's citation."""

    by: str
    name: str
    table: str
    rows: int
    first_day: str
    last_day: str
    reason: str = ""


@dataclass(frozen=True)
class Erasure:
    """What an erasure does, decided.

    Attributes:
        going: the rows that go.
        staying: those that stay, in numbers.
        masks: the rows that stay, by (table, path).
    """

    going: tuple[DoomedFile, ...] = ()
    staying: tuple[Staying, ...] = ()
    masks: Mapping[tuple[str, str], Mask] = field(default_factory=dict)

    @property
    def rows_going(self) -> dict[str, int]:
        """Rows that go, by table."""
        return _by_table((file.table, file.count) for file in self.going)

    @property
    def keeps_key(self) -> bool:
        """Whether something stays that needs the person's key: whatever a hold or a law keeps has to keep its meaning."""
        return any(each.by in {"hold", "minimum"} for each in self.staying)


def decide(
    lake: Lake, policy: RetentionPolicy, holds: Holding, now_unix_nano: int, found: Sequence[FoundFile]
) -> Erasure:
    """Tell apart, of the rows in which a person was found, those that go from those that stay.

    Raises:
        UnavailableError: a file cannot be read.
    """
    reader = FamilyReader(lake, policy, holds, now_unix_nano)
    by_family: dict[tuple[str, str], list[FoundFile]] = {}
    for file in found:
        by_family.setdefault((file.tenant_id, file.day), []).append(file)
    families = list_families(lake, list(by_family))
    going: list[DoomedFile] = []
    counts = _Counts()
    masks: dict[tuple[str, str], Mask] = {}
    for key, files in sorted(by_family.items()):
        kept = reader.kept_back(families.get(key, []), {file.table for file in files})
        for file in files:
            rows = kept.get((file.table, file.path))
            if rows is None:
                continue  # gone meanwhile: whoever replaced it is found by the next search
            stays = file.rows & (file.only_actor | (rows.codes != 0))
            goes = file.rows & ~stays
            counts.add(file, ONLY_ACTOR, "", "", file.rows & file.only_actor & (rows.codes == 0))
            for code, reason in enumerate(rows.reasons):
                if reason is not None:
                    counts.add(file, reason.kind, reason.name, reason.citation, file.rows & (rows.codes == code))
            masks[file.table, file.path] = stays
            if goes.any():
                whole = bool(goes.all())
                going.append(
                    DoomedFile(
                        file.table, file.tenant_id, file.day, file.path, file.size_bytes, len(goes),
                        None if whole else goes,
                    )
                )  # fmt: skip
    return Erasure(tuple(going), counts.listed(), masks)


def _by_table(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for table, count in counts:
        found[table] = found.get(table, 0) + count
    return dict(sorted(found.items()))


class _Counts:
    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str, str], tuple[set[str], int]] = {}

    def add(self, file: FoundFile, by: str, name: str, reason: str, rows: Mask) -> None:
        """Rows of a file stay."""
        if not rows.any():
            return
        key = (by, name, file.table, reason)
        days, before = self._found.get(key, (set(), 0))
        self._found[key] = ({*days, file.day}, before + int(np.count_nonzero(rows)))

    def listed(self) -> tuple[Staying, ...]:
        """All of them, in order."""
        return tuple(
            Staying(by, name, table, rows, min(days), max(days), reason)
            for (by, name, table, reason), (days, rows) in sorted(self._found.items())
        )
