"""Where the rows of a group's tables came from, for the few that are refused only after decoding."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from collectors.decode.decoded import Decoded
from collectors.decode.refusals import Reason, Requests
from collectors.decode.refused_records import MAX_TEXTS
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

    def refusals(self, rejected: Iterable[RejectedRow]) -> list[tuple[int, Refusal]]:
        """For each row the export that it came with and its refusal by the redaction policy, with texts as `refused_records` has them.

        Raises:
            LookupError: no such row.
        """
        requests: dict[int, Requests] = {}
        texts: Counter[int] = Counter()
        found = []
        for one in rejected:
            part, row = self._source_of(one)
            # a request is parsed again once, however many of its records are rejected
            parsed = requests.setdefault(id(part.decoded), Requests(part.decoded.exports))
            export = part.exports[int(part.decoded.export_of[row])]
            found.append((export, _refusal(part.decoded, row, one, parsed if texts[export] < MAX_TEXTS else None)))
            texts[export] += 1
        return found

    def _source_of(self, rejected: RejectedRow) -> tuple[_Part, int]:
        row = rejected.row
        for part in self.parts.get(rejected.table, []):
            if row < len(part.rows):
                return part, int(part.rows[row])
            row -= len(part.rows)
        raise LookupError(f"{rejected.table}: expected a row of the group, got row {rejected.row}")


def _refusal(decoded: Decoded, row: int, rejected: RejectedRow, requests: Requests | None) -> Refusal:
    export = int(decoded.export_of[row])
    return Refusal(
        signal=decoded.signal,
        reason=Reason.POLICY.value,
        message=f"the redaction policy rejects records with {rejected.reason} in them",
        record=None if requests is None else requests.record_text(export, decoded.cut_of(row)),
        event_name=None if decoded.event_names is None else decoded.event_names[row].as_py(),
    )
