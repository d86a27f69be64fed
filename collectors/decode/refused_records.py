"""Refusals of a group: one for each record that the checks refused, in the order of the requests."""

from collections import Counter

from collectors.decode.decoded import Decoded
from collectors.decode.refusals import Requests, describe
from collectors.exports import IntakeLimits, Refusal

MAX_TEXTS = 2_000
"""Replay texts of one request: each costs some 50 µs, and a body can hold hundreds of thousands of tiny bad records. Beyond it a
refusal is counted, named and quarantined as ever, without the record's text."""


def refused_records(decoded: Decoded, limits: IntakeLimits) -> list[tuple[int, Refusal]]:
    """A refusal for each refused row, with the number of its export among those of the signal."""
    requests = Requests(decoded.exports)
    refusals = []
    texts: Counter[int] = Counter()
    for row, reason in decoded.checks.refused():
        export = int(decoded.export_of[row])
        times = int(decoded.times[row]), decoded.exports[export].received_unix_nano
        refusal = Refusal(
            signal=decoded.signal,
            reason=reason.value,
            message=describe(reason, decoded.fields_of(row), limits, times),
            record=requests.record_text(export, decoded.cut_of(row)) if texts[export] < MAX_TEXTS else None,
            event_name=None if decoded.event_names is None else decoded.event_names[row].as_py(),
        )
        texts[export] += 1
        refusals.append((export, refusal))
    return refusals
