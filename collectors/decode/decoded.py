"""What decoding one signal of a group gives."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from collectors.decode.refusals import Checks, Cut
from collectors.decode.texts import Ints
from collectors.exports import Export, Signal


@dataclass(frozen=True, slots=True)
class Decoded:
    """Batches by table (contents apart), and by row of `checks` what a refusal has to say.

    `rows_of` holds, by table, which of those rows each row of the batch is. `export_of` and `times` belong to every row, refused or not. `fields_of` reads a refused row's own fields for its
    message, `cut_of` copies its record out of the parsed request, `event_names` are those of log records.
    """

    signal: Signal
    exports: Sequence[Export]
    batches: dict[str, pa.RecordBatch]
    rows_of: dict[str, Ints]
    contents: list[pa.RecordBatch]
    checks: Checks
    export_of: Ints
    times: Ints
    fields_of: Callable[[int], dict[str, Any]]
    cut_of: Callable[[int], Cut]
    event_names: pa.StringArray | None = None
    unknown_costs: Counter[tuple[str | None, str]] = field(default_factory=Counter)
