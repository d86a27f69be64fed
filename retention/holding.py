"""What plans ask of legal holds. The holds themselves, and how they match, are another module's."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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


class NoHolds:
    """No hold at all."""

    content_hash = "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    """SHA-256 of an empty JSON list."""

    def may_keep(self, table: str, tenant_id: str, day: str) -> tuple[str, ...]:  # noqa: ARG002 - as `Holding`
        """None."""
        return ()

    def columns(self, table: str, tenant_id: str) -> tuple[str, ...]:  # noqa: ARG002 - as `Holding`
        """None."""
        return ()

    def kept(self, table: str, tenant_id: str, rows: pa.Table) -> Mapping[str, Mask]:  # noqa: ARG002 - as `Holding`
        """Nothing."""
        return {}

    def kept_families(
        self,
        owner_table: str,  # noqa: ARG002 - as `Holding`
        tenant_id: str,  # noqa: ARG002 - as `Holding`
        owners: pa.Table,  # noqa: ARG002 - as `Holding`
        parts: pa.Table,  # noqa: ARG002 - as `Holding`
    ) -> Mapping[str, tuple[Mask, Mask]]:
        """Nothing."""
        return {}
