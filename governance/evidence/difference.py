"""What changed in a control since the period before: the figures of both, and which exceptions are new, go on, or are gone. Pure.

An exception of this period goes on where one of the last period was about the same thing, by the control's `about` columns; where
a control names none, by the same record. So exceptions of this period are those that are new and those that go on, and what is
gone is counted in the last period.
"""

import datetime as dt
import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from governance.controls.evaluating import Outcome
from governance.controls.framework import Control
from warehouse.clock import NANOS_PER_SECOND

_RECORD = ("record_table", "shard", "log_index")
_BETWEEN, _NONE = "\x1f", "\x00"


@dataclass(frozen=True)
class Difference:
    """A control now and in the period before. `is_new` says of each exception of this period, in order, whether it is new."""

    before: Outcome
    is_new: tuple[bool, ...]
    gone: pa.Table

    @property
    def new(self) -> int:
        """Exceptions of this period about what had none in the last."""
        return sum(self.is_new)

    @property
    def continuing(self) -> int:
        """Exceptions of this period about what had one in the last too."""
        return len(self.is_new) - self.new


def compare(now: Outcome, before: Outcome) -> Difference:
    """What changed from one period's outcome of a control to the next one's."""
    current, last = now.excepted, before.excepted
    keys, old_keys = _keys(now.control, current), _keys(now.control, last)
    is_new = pc.invert(pc.is_in(keys, value_set=old_keys))
    gone = last.filter(pc.invert(pc.is_in(old_keys, value_set=keys)))
    return Difference(before, tuple(is_new.to_pylist()), gone)


def period_before(from_unix_nano: int, to_unix_nano: int) -> tuple[int, int]:
    """The period that a period is compared with: as many months before whole months, else as much time right before it."""
    first, last = _month(from_unix_nano), _month(to_unix_nano)
    if first is None or last is None:
        return max(0, 2 * from_unix_nano - to_unix_nano), from_unix_nano
    return _start(max(first - (last - first), 1970 * 12)), from_unix_nano


def _keys(control: Control, rows: pa.Table) -> pa.Array:
    columns = [_texts(rows.column(name)) for name in control.about or _RECORD]
    return pc.binary_join_element_wise(*columns, _BETWEEN)


def _texts(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_nested(column.type):
        column = pa.chunked_array([pa.array([json.dumps(value, sort_keys=True) for value in column.to_pylist()])])
    texts = pc.fill_null(pc.cast(column, pa.string()), _NONE)
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _month(unix_nano: int) -> int | None:
    """The month that begins at an instant, counted from year 0; None where none does."""
    at = dt.datetime.fromtimestamp(unix_nano // NANOS_PER_SECOND, dt.UTC)
    month = at.year * 12 + at.month - 1
    return month if _start(month) == unix_nano else None


def _start(month: int) -> int:
    return int(dt.datetime(month // 12, month % 12 + 1, 1, tzinfo=dt.UTC).timestamp()) * NANOS_PER_SECOND
