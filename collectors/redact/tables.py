"""A table of a group: its batch, and whose each row is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collectors.redact.classification import TableFindings
from collectors.redact.fields import MACHINE_ACTORS

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_MACHINES = pa.array(sorted(MACHINE_ACTORS), pa.string())
_NO = pa.scalar(False, pa.bool_())  # pyarrow looks for pandas on each call with a bare value
_LOCAL_USER, _JOB = "user:", "muniment:"


@dataclass(frozen=True)
class TreatedTable:
    """One table while it is treated: `tenants` by number, each row's tenant, whether its actor may be a person, findings."""

    name: str
    batch: pa.RecordBatch
    tenants: list[str]
    tenant_of: Ints
    persons: Flags
    found: TableFindings

    @classmethod
    def of(cls, name: str, batch: pa.RecordBatch) -> "TreatedTable":
        """A table whose treatment begins."""
        encoded = batch.column("tenant_id").dictionary_encode()
        return cls(
            name,
            batch,
            encoded.dictionary.to_pylist(),
            encoded.indices.to_numpy().astype(np.int64),
            _persons(batch),
            TableFindings(identities=np.zeros(batch.num_rows, np.int64)),
        )

    def tenant(self, row: int) -> str:
        """A row's tenant."""
        return self.tenants[int(self.tenant_of[row])]

    def rows_where(self, chosen: Mapping[str, bool]) -> Flags:
        """Rows of the tenants that are chosen."""
        flags: Flags = np.array([chosen[tenant] for tenant in self.tenants], np.bool_)[self.tenant_of]
        return flags


def _persons(batch: pa.RecordBatch) -> Flags:
    """For each row whether its actor may be a person.

    Whoever acts on Muniment itself is named as it is: who read, exported or changed what has to be told without the vault. That is
    a row whose actor recorded it; in an import somebody recorded what others did.
    """
    if "actor_type" not in batch.schema.names:
        return np.ones(batch.num_rows, np.bool_)
    known = pc.is_in(pc.utf8_lower(batch.column("actor_type")), value_set=_MACHINES)
    recorded_by = batch.column("recorded_by")
    itself = pc.binary_join_element_wise(_LOCAL_USER, batch.column("actor_id"), "")
    for own in (pc.starts_with(recorded_by, _JOB), pc.equal(recorded_by, itself)):
        known = pc.or_(known, pc.fill_null(own, _NO))
    flags: Flags = pc.invert(known).to_numpy(zero_copy_only=False)
    return flags
