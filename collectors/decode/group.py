"""One group of requests, decoded at once.

All requests of a signal go through the parser in one call, and every step after it works on the columns of all of them:
64 requests of 8 spans cost about what one of 512 does. A request that cannot be parsed, and a record that breaks a rule,
are taken out and named; the rest goes on (OTLP §partial-success).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from collectors.costs import PriceBook
from collectors.decode.decoded import Decoded
from collectors.decode.logs import decode_logs
from collectors.decode.metrics import decode_metrics
from collectors.decode.refusals import summary
from collectors.decode.refused_records import refused_records
from collectors.decode.sources import Sources
from collectors.decode.spans import decode_spans
from collectors.decode.wire import parse_requests
from collectors.exports import Export, IntakeLimits, Outcome, Refusal, Signal
from warehouse.errors import DecodeError
from warehouse.treated import RecordSet, RequestMark


@dataclass(frozen=True)
class Counts:
    """What a group held: rows kept by table, records refused, and model calls whose price is not known."""

    spans: int = 0
    audit_events: int = 0
    logs: int = 0
    metrics: int = 0
    contents: int = 0
    refused: int = 0
    undecodable: int = 0
    unknown_costs: Counter[tuple[str | None, str]] = field(default_factory=Counter)


@dataclass(frozen=True)
class DecodedGroup:
    """What became of a group of exports.

    `records.requests` has one mark for each export that could be parsed, in order; `outcomes` one entry for every export:
    its outcome, or the error that its sender gets. `refusals` are (export number, refusal), those found before included.
    `sources` tells where each row came from.
    """

    records: RecordSet
    outcomes: list[Outcome | DecodeError]
    refusals: list[tuple[int, Refusal]]
    counts: Counts
    sources: Sources = field(default_factory=Sources)

    def without(self, exports: Sequence[Export], refused: Sequence[tuple[int, Refusal]]) -> "DecodedGroup":
        """The same after more of its records were refused: further refusals, outcomes and marks that count them."""
        errors = {number: outcome for number, outcome in enumerate(self.outcomes) if isinstance(outcome, DecodeError)}
        accepted = np.array([0 if isinstance(one, DecodeError) else one.accepted for one in self.outcomes], np.int64)
        accepted -= np.bincount([number for number, _ in refused], minlength=len(exports))
        refusals = [*self.refusals, *refused]
        outcomes, marks = _outcomes(exports, accepted, refusals, errors)
        records = replace(self.records, requests=tuple(marks) if self.records.requests else ())
        return replace(self, records=records, outcomes=outcomes, refusals=refusals)


def decode_group(exports: Sequence[Export], *, limits: IntakeLimits, prices: PriceBook) -> DecodedGroup:
    """Decode and normalise a group of requests. Pure: the same group gives the same records."""
    errors: dict[int, DecodeError] = {}
    accepted = np.zeros(len(exports), np.int64)
    refusals = [(number, refusal) for number, export in enumerate(exports) for refusal in export.refused]
    batches: dict[str, list[pa.RecordBatch]] = {}
    sources = Sources()
    unknown: Counter[tuple[str | None, str]] = Counter()
    for signal in Signal:
        numbers = [number for number, export in enumerate(exports) if export.signal is signal]
        if not numbers:
            continue
        chosen = [exports[number] for number in numbers]
        column, unreadable = parse_requests(signal, [export.body for export in chosen])
        errors |= {numbers[place]: error for place, error in unreadable.items()}
        for decoded in _decode(signal, column, chosen, limits, prices):
            sources.add(decoded, numbers)
            for name, batch in (*decoded.batches.items(), *(("contents", batch) for batch in decoded.contents)):
                if batch.num_rows:
                    batches.setdefault(name, []).append(batch)
            unknown.update(decoded.unknown_costs)
            kept = decoded.checks.kept
            records = decoded.export_of if kept is None else decoded.export_of[kept]
            accepted[numbers] += np.bincount(records, minlength=len(chosen))
            if kept is not None:
                refusals += [(numbers[place], refusal) for place, refusal in refused_records(decoded, limits)]
    tables = {name: found[0] if len(found) == 1 else pa.concat_batches(found) for name, found in batches.items()}
    outcomes, marks = _outcomes(exports, accepted, refusals, errors)
    rows = {name: batch.num_rows for name, batch in tables.items()}
    counts = Counts(**rows, refused=len(refusals), undecodable=len(errors), unknown_costs=unknown)
    return DecodedGroup(RecordSet(tables, tuple(marks)), outcomes, refusals, counts, sources)


def _decode(
    signal: Signal, column: pa.ListArray, exports: Sequence[Export], limits: IntakeLimits, prices: PriceBook
) -> list[Decoded]:
    if signal is Signal.METRICS:
        return decode_metrics(column, exports, limits)
    if signal is Signal.LOGS:
        decoded = decode_logs(column, exports, limits)
    else:
        decoded = decode_spans(column, exports, limits, prices)
    return [] if decoded is None else [decoded]


def _outcomes(
    exports: Sequence[Export],
    accepted: np.ndarray[tuple[int], np.dtype[np.int64]],
    refusals: list[tuple[int, Refusal]],
    errors: dict[int, DecodeError],
) -> tuple[list[Outcome | DecodeError], list[RequestMark]]:
    """Outcome of each export, and the mark of each that could be parsed."""
    by_export: dict[int, list[Refusal]] = {}
    for number, refusal in refusals:
        by_export.setdefault(number, []).append(refusal)
    outcomes: list[Outcome | DecodeError] = []
    marks = []
    for number, (export, kept) in enumerate(zip(exports, accepted.tolist(), strict=True)):
        if number in errors:
            outcomes.append(errors[number])
            continue
        refused = by_export.get(number, [])
        message = summary(export.signal, refused)
        outcomes.append(Outcome(kept, len(refused), message))
        marks.append(RequestMark(export.digest, kept, len(refused), message))
    return outcomes, marks
