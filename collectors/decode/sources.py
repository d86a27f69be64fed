"""Where the rows of a group's tables came from, for the few that are refused only after decoding."""

from dataclasses import dataclass, field

from collectors.decode.decoded import Decoded
from collectors.decode.refusals import Reason, Requests
from collectors.decode.texts import Ints
from collectors.exports import Refusal
from warehouse.treated import RejectedRow


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one table that one `Decoded` gave, in order, and the group's numbers of its exports."""

    decoded: Decoded
    rows: Ints
    exports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """The decoded signals behind a group's tables."""

    parts: dict[str, list[_Part]] = field(default_factory=dict)

    def add(self, decoded: Decoded, exports: list[int]) -> None:
        """Take up one decoded signal; its rows follow those taken up before."""
        for table, rows in decoded.rows_of.items():
            if len(rows):
                self.parts.setdefault(table, []).append(_Part(decoded, rows, tuple(exports)))

    def refusal(self, rejected: RejectedRow) -> tuple[int, Refusal]:
        """The export that a row came with, and its refusal by the redaction policy, with the record's text.

        Raises:
            LookupError: no such row.
        """
        row = rejected.row
        for part in self.parts.get(rejected.table, []):
            if row < len(part.rows):
                return _refusal(part, int(part.rows[row]), rejected)
            row -= len(part.rows)
        raise LookupError(f"{rejected.table}: expected a row of the group, got row {rejected.row}")


def _refusal(part: _Part, row: int, rejected: RejectedRow) -> tuple[int, Refusal]:
    decoded = part.decoded
    export = int(decoded.export_of[row])
    refusal = Refusal(
        signal=decoded.signal,
        reason=Reason.POLICY.value,
        message=f"the redaction policy rejects records with {rejected.reason} in them",
        record=Requests(decoded.exports).record_text(export, decoded.cut_of(row)),
        event_name=None if decoded.event_names is None else decoded.event_names[row].as_py(),
    )
    return part.exports[export], refusal
