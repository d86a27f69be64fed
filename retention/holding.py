"""What plans ask of legal holds: `holds` says what they are, `hold_matching` how they match."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from retention.hold_matching import match_family, matches, needed_columns
from retention.holds import Cover, Hold, covers_partition, holds_hash

Mask = npt.NDArray[np.bool_]


class Holding(Protocol):
    """The holds in force at one moment.

    Answers MUST be the same whenever they are asked, and keep rather too much than too little: a hold that `may_keep` does not
    name MUST NOT keep a row of that partition.
    """

    @property
    def content_hash(self) -> str:
        """`sha256:…` over what all of them keep; the same for the same holds in any order."""

    def may_keep(self, table: str, tenant_id: str, day: str) -> tuple[str, ...]:
        """Ids of the holds that may keep a row of a partition, as far as can be told without reading it."""

    def columns(self, table: str, tenant_id: str) -> tuple[str, ...]:
        """The columns of a table that the questions below have to see."""

    def kept(self, table: str, tenant_id: str, rows: pa.Table) -> Mapping[str, Mask]:
        """Which rows each hold keeps, by its id, in a table whose rows have no contents."""

    def kept_families(
        self, owner_table: str, tenant_id: str, owners: pa.Table, parts: pa.Table
    ) -> Mapping[str, tuple[Mask, Mask]]:
        """Which records and which of their contents each hold keeps, by its id."""


class HoldsInForce:
    """Legal holds as plans ask them; without any it is `NoHolds`."""

    def __init__(self, holds: Iterable[Hold]) -> None:
        self._holds = tuple(sorted(holds, key=lambda hold: hold.id))
        self.content_hash = holds_hash(self._holds)

    def may_keep(self, table: str, tenant_id: str, day: str) -> tuple[str, ...]:
        """Ids of the holds that may keep a row of a partition, as far as can be told without reading it."""
        return tuple(
            hold.id
            for hold in self._of(tenant_id)
            if covers_partition(hold, table, tenant_id, date.fromisoformat(day)) is not Cover.NOTHING
        )

    def columns(self, table: str, tenant_id: str) -> tuple[str, ...]:
        """The columns of a table that the questions below have to see."""
        every = (name for hold in self._of(tenant_id) for name in needed_columns(hold.scope, table))
        return tuple(dict.fromkeys(every))

    def kept(self, table: str, tenant_id: str, rows: pa.Table) -> Mapping[str, Mask]:
        """Which rows each hold keeps, by its id, in a table whose rows have no contents."""
        return {hold.id: matches(hold, table, tenant_id, rows) for hold in self._of(tenant_id)}

    def kept_families(
        self, owner_table: str, tenant_id: str, owners: pa.Table, parts: pa.Table
    ) -> Mapping[str, tuple[Mask, Mask]]:
        """Which records and which of their contents each hold keeps, by its id."""
        return {hold.id: match_family(hold, owner_table, tenant_id, owners, parts) for hold in self._of(tenant_id)}

    def _of(self, tenant_id: str) -> tuple[Hold, ...]:
        return tuple(hold for hold in self._holds if hold.tenant_id == tenant_id)


class NoHolds(HoldsInForce):
    """No hold at all."""

    def __init__(self) -> None:
        super().__init__(())
