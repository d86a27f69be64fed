"""The officer's words for what tables hold: a column is named alike on every page and in every export, and money is shown as money.

Invariant: values stay as they are, but for costs, which are recorded in millionths of a dollar and shown in dollars, and for the status of
steps, of which only errors are said.
"""

from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "time": "time (UTC)",
        "last_seen": "last seen (UTC)",
        "event_name": "event",
        "actor_id": "who",
        "actor_type": "kind of actor",
        "on_behalf_of": "on behalf of",
        "resource_type": "kind of thing",
        "resource_id": "to what",
        "subject_id": "person",
        "policy_id": "policy",
        "approval_id": "approval",
        "approved_by": "approved by",
        "changed_by": "changed by",
        "exception": "what is wrong",
        "trace_id": "run",
        "recorded_by": "recorded by",
        "peer": "sent from",
        "service_name": "service",
        "status_code": "status",
        "data_class": "class of data",
        "data_classes": "classes of data",
        "spans": "steps",
        "input_tokens": "tokens in",
        "output_tokens": "tokens out",
        "cost_microusd": "cost (USD)",
        "duration_ms": "duration (ms)",
        "total": "events",
        "log_index": "record number",
    }
)
"""Names of columns as engineers give them, and as pages say them (docs/glossary.md)."""
COST = "cost (USD)"
MOST_OF_A_TEXT = 2_000
"""Characters of a text that a table shows. A sender may send millions, and a page has hundreds of rows."""
_MICROS = 1e6


def worded(rows: pa.Table) -> pa.Table:
    """The same rows under the officer's words, with costs in dollars."""
    place = rows.schema.get_field_index("cost_microusd")
    if place >= 0:
        # unsafe, since a sender may claim any cost: billions of dollars lose their last millionths
        dollars = pc.divide(pc.cast(rows.column(place), pa.float64(), safe=False), _MICROS)
        rows = rows.set_column(place, "cost_microusd", dollars)
    place = rows.schema.get_field_index("status_code")
    if place >= 0:
        failed = pc.equal(rows.column(place), "ERROR")
        rows = rows.set_column(place, "status_code", pc.if_else(pc.fill_null(failed, False), "error", ""))
    return rows.rename_columns([COLUMNS.get(name, name) for name in rows.column_names])


def blank(rows: pa.Table) -> pa.Table:
    """The same rows with nothing where there is no text and no list: the word *None* in grey is no answer."""
    return pa.Table.from_arrays([_without_nulls(column) for column in rows.columns], names=rows.column_names)


def shortened(rows: pa.Table) -> pa.Table:
    """The same rows with long texts to their `MOST_OF_A_TEXT`th character, and how long they are: a browser can draw these."""
    return pa.Table.from_arrays([_short(column) for column in rows.columns], names=rows.column_names)


def _short(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    lengths = pc.utf8_length(column)
    if (pc.max(lengths).as_py() or 0) <= MOST_OF_A_TEXT:
        return column
    begins = pc.cast(pc.utf8_slice_codeunits(column, 0, MOST_OF_A_TEXT), pa.string())
    said = pc.binary_join_element_wise(
        begins, "… (", pc.cast(lengths, pa.string()), " characters; the export has all)", ""
    )
    return pc.if_else(pc.greater(lengths, MOST_OF_A_TEXT), said.cast(column.type), column)


def _without_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type) or pa.types.is_null(column.type):
        return pc.fill_null(column.cast(pa.string()), "")
    if pa.types.is_list(column.type):
        return pc.fill_null(column, pa.scalar([], column.type))
    return column


def counted(count: int, one: str, many: str = "") -> str:
    """How many of something, as people say it: `1 row`, `1,204 rows`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
