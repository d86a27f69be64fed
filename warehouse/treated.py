"""What the writer accepts: record batches that a redactor has treated, and nothing else.

The way in is one-way by construction. Decoders make a `RecordSet`; only `Redactor.treat` turns it into a `TreatedBatch`;
`warehouse.writer` refuses anything else. So no code path leads from a payload to the disk around the redactor.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

_SEAL = object()


@dataclass(frozen=True)
class RequestMark:
    """One request of a group: what the writer needs to recognise it when it is sent again.

    `digest` is a keyed digest (16 bytes) of signal, key id and body. `accepted` and `rejected` count its records, and
    `message` is the partial-success text, so that a repeat gets the same answer.
    """

    digest: bytes
    accepted: int = 0
    rejected: int = 0
    message: str = ""


@dataclass(frozen=True)
class RejectedRow:
    """A record that a redactor did not let through: its row in the table's batch before, what was found, and its tenant."""

    table: str
    row: int
    reason: str
    tenant_id: str


@dataclass(frozen=True)
class RecordSet:
    """Decoded rows of one group of requests.

    `tables` maps a table's name to a record batch with that table's `decoded_schema`; an absent table has no rows.
    In `contents`, `owner_index` is the row number inside the owner table's batch of this same set. `transactions` are
    further Delta application transactions (app id, version) to commit beside these rows in every table. `rejected` names the
    rows that a redactor took out.
    """

    tables: Mapping[str, pa.RecordBatch]
    requests: tuple[RequestMark, ...] = ()
    transactions: tuple[tuple[str, int], ...] = field(default=())
    rejected: tuple[RejectedRow, ...] = ()

    @property
    def rows(self) -> int:
        """Number of records, contents aside."""
        return sum(batch.num_rows for name, batch in self.tables.items() if name != "contents")


class TreatedBatch:
    """A record set that has passed a redactor. Made by `Redactor.treat` alone."""

    def __init__(self, records: RecordSet, *, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("a TreatedBatch is made by Redactor.treat only: got a call from elsewhere")
        self.records = records

    def with_requests(self, requests: tuple[RequestMark, ...]) -> "TreatedBatch":
        """The same rows with other marks, which hold no value of a record."""
        return TreatedBatch(replace(self.records, requests=requests), seal=_SEAL)


class Redactor(ABC):
    """Classifies and redacts records in memory, before any disk sees them.

    `redact` MUST give the same for the same records, policy and vault, MUST keep the order of rows and every row but those that it
    names in `rejected` and contents that may not be kept, MAY be called from several threads at once, and MUST raise or withhold
    rather than let through what it could not treat.
    """

    def treat(self, records: RecordSet) -> TreatedBatch:
        """Redact `records` and seal the result for the writer."""
        return TreatedBatch(self.redact(records), seal=_SEAL)

    @abstractmethod
    def redact(self, records: RecordSet) -> RecordSet:
        """Return `records` with classification columns filled and personal data replaced."""

    @abstractmethod
    def redact_text(self, tenant_id: str, text: str) -> str:
        """Return a tenant's text that is no record, such as a message that quotes one, with personal data replaced."""

    @abstractmethod
    def redact_record(self, tenant_id: str, text: str) -> str:
        """Return the OTLP/JSON text of a record on its way to quarantine with personal data replaced."""


class UnsafeKeepAll(Redactor):
    """Keeps every value as it came. Named unsafe because it is: personal data reaches the disk."""

    def redact(self, records: RecordSet) -> RecordSet:
        """Return `records` unchanged; the classification columns stay NULL."""
        return records

    def redact_text(self, tenant_id: str, text: str) -> str:  # noqa: ARG002 - the tenant decides nothing here
        """Return `text` unchanged."""
        return text

    def redact_record(self, tenant_id: str, text: str) -> str:  # noqa: ARG002 - as above
        """Return `text` unchanged."""
        return text
