"""What a check of completeness found about one sender: how much there should be, how much of it is missing, and where its records are.

A finding without a number of missing records was not measured, which is neither good nor bad.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, order=True)
class Sender:
    """Who sent: the resource attributes service.name and service.instance.id, and the key that the records came with."""

    recorded_by: str
    service_name: str
    instance_id: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Sender":
        """The sender that a row of a query names; what it leaves out is empty."""
        return cls(row["recorded_by"] or "", row["service_name"] or "", row["instance"] or "")

    def __str__(self) -> str:
        process = "/".join(filter(None, (self.service_name, self.instance_id)))
        return " ".join(filter(None, (self.recorded_by, process))) or "unknown sender"


@dataclass(frozen=True)
class Place:
    """Records of one shard, and the range of log indices that they lie in; None where the table is not in the log."""

    shard: str
    first_index: int | None
    last_index: int | None


@dataclass(frozen=True)
class Finding:
    """What one check found about one sender.

    Attributes:
        check: its name.
        sender: whose records.
        total: how many records there should be; of a sender that was not measured, how many came.
        missing: how many of them are missing or not whole; None where that is not known.
        places: where the missing ones would be, or what came is. The first one stands for all where there is room for one.
        details: what is known besides, by name.
    """

    check: str
    sender: Sender
    total: int
    missing: int | None
    places: tuple[Place, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def places_of(rows: Iterable[Mapping[str, Any]]) -> tuple[Place, ...]:
    """The places that rows of a query name, those with log indices first."""
    found = {Place(row["shard"], row["first_index"], row["last_index"]) for row in rows}
    return tuple(sorted(found, key=lambda place: (place.first_index is None, place.shard, place.first_index or 0)))


def sql_of(*names: str) -> str:
    """The SQL of files of this package, one after the other."""
    from importlib import resources

    folder = resources.files("pipelines.quality") / "sql"
    return "\n".join((folder / f"{name}.sql").read_text(encoding="utf8").rstrip() for name in names)
