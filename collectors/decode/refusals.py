"""Records that are not kept: masks of reasons while decoding, and afterwards a message and a replayable text each.

Masks are made for whole columns. Only the few rows that are refused are looped over, to say what was got and expected and
to write each as an OTLP/JSON request of one record (OTLP §JSON Protobuf Encoding: ids in hexadecimal).
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf import json_format
from google.protobuf.message import DecodeError as ProtobufError

from collectors.decode.attributes import Attributes
from collectors.decode.texts import Flags, Ints
from collectors.decode.wire import request_class
from collectors.exports import Export, IntakeLimits, Refusal, Signal
from warehouse.clock import NANOS_PER_SECOND, utc_text


class Reason(StrEnum):
    """Why a record is refused."""

    BAD_TRACE_ID = "bad-trace-id"
    BAD_SPAN_ID = "bad-span-id"
    BAD_PARENT_SPAN_ID = "bad-parent-span-id"
    BAD_LINK_ID = "bad-link-id"
    TIME_MISSING = "time-missing"
    TIME_OUT_OF_WINDOW = "time-out-of-window"
    TIME_OVERFLOW = "time-overflow"
    TOO_MANY_ATTRIBUTES = "too-many-attributes"
    ATTRIBUTE_TOO_LARGE = "attribute-too-large"
    TOO_DEEP = "value-too-deep"
    UNREADABLE = "value-unreadable"
    NO_NAME = "metric-without-name"
    OUT_OF_SCOPE = "out-of-scope"
    POLICY = "rejected-by-policy"


_REASONS = tuple(Reason)
_NUMBERS = {reason: number for number, reason in enumerate(_REASONS, start=1)}
_NOUNS = {
    Signal.TRACES: ("span", "spans"),
    Signal.LOGS: ("log record", "log records"),
    Signal.METRICS: ("point", "points"),
}
_MOST_REASONS = 5
_MOST_CHARACTERS = 160
_TRACE_ID, _SPAN_ID = 16, 8


class Checks:
    """The first reason found against each record; 0 means that it is kept."""

    def __init__(self, records: int) -> None:
        self.found = np.zeros(records, np.uint8)

    def mark(self, wrong: Flags, reason: Reason) -> None:
        """Refuse the records where `wrong`, unless a reason was found before."""
        if wrong.any():
            self.found[wrong & (self.found == 0)] = _NUMBERS[reason]

    def mark_rows(self, rows: Ints, reason: Reason) -> None:
        """Refuse these records, unless a reason was found before."""
        if len(rows):
            wrong = np.zeros(len(self.found), np.bool_)
            wrong[rows] = True
            self.mark(wrong, reason)

    def mark_attributes(
        self, attributes: Attributes | None, *, shared_by: Ints | None = None, parent_of: Ints | None = None
    ) -> None:
        """Refuse records whose attributes break a limit.

        Attributes of something that records share, such as a resource: `shared_by` gives each record's. Attributes of
        something below a record, such as an event: `parent_of` gives each one's record.
        """
        if attributes is None:
            return
        for owners, reason in (
            (attributes.too_many, Reason.TOO_MANY_ATTRIBUTES),
            (attributes.too_large, Reason.ATTRIBUTE_TOO_LARGE),
            (attributes.too_deep, Reason.TOO_DEEP),
            (attributes.unreadable, Reason.UNREADABLE),
        ):
            if not len(owners):
                continue
            if shared_by is not None:
                rows = np.flatnonzero(np.isin(shared_by, owners))
            else:
                rows = owners if parent_of is None else parent_of[owners]
            self.mark_rows(rows, reason)

    @property
    def kept(self) -> Flags | None:
        """Which records are kept; None means all."""
        return self.found == 0 if self.found.any() else None

    def refused(self) -> list[tuple[int, Reason]]:
        """Rows refused, with their reasons."""
        return [(int(row), _REASONS[self.found[row] - 1]) for row in np.flatnonzero(self.found)]


_FIXED_MESSAGES = {
    Reason.BAD_LINK_ID: "link has an id of wrong size: expected a trace_id of 16 bytes and a span_id of 8",
    Reason.TIME_MISSING: "time is not set: expected nanoseconds since 1970, got 0",
    Reason.TIME_OVERFLOW: "time is too large: expected nanoseconds since 1970 below 2^63",
    Reason.UNREADABLE: "value cannot be read: expected a serialized AnyValue with valid UTF-8",
    Reason.NO_NAME: "metric has no name: expected a name, got an empty text",
    Reason.OUT_OF_SCOPE: "record is outside the key's scope: expected the key's agent and event names",
}
_IDS = {
    Reason.BAD_TRACE_ID: ("trace_id", _TRACE_ID),
    Reason.BAD_SPAN_ID: ("span_id", _SPAN_ID),
    Reason.BAD_PARENT_SPAN_ID: ("parent_span_id", _SPAN_ID),
}


def describe(reason: Reason, record: dict[str, Any], limits: IntakeLimits, times: tuple[int, int]) -> str:
    """Got and expected, for one refused record; `times` are its own time and its receipt."""
    if reason in _FIXED_MESSAGES:
        return _FIXED_MESSAGES[reason]
    if reason in _IDS:
        name, size = _IDS[reason]
        return _id_message(name, record[name], size)
    if reason is Reason.TIME_OUT_OF_WINDOW:
        own, received = times
        first = utc_text(received - limits.past_seconds * NANOS_PER_SECOND)
        last = utc_text(received + limits.future_seconds * NANOS_PER_SECOND)
        return f"time is outside the window: expected {first} to {last}, got {utc_text(own)}"
    expected = {
        Reason.TOO_MANY_ATTRIBUTES: f"too many attributes: expected at most {limits.attributes} (limit attributes)",
        Reason.ATTRIBUTE_TOO_LARGE: (
            f"attribute is too large: expected at most {limits.attribute_bytes} bytes (limit attribute_bytes)"
        ),
        Reason.TOO_DEEP: f"value is nested too deep: expected at most {limits.depth} levels (limit depth)",
    }
    return expected[reason]


def _id_message(name: str, value: bytes, size: int) -> str:
    if len(value) == size:
        return f"{name} is all zero: expected {size} bytes, not all zero"
    return f"{name} has wrong size: expected {size} bytes, got {len(value)}"


def summary(signal: Signal, refusals: Iterable[Refusal]) -> str:
    """The partial-success text: how many records were refused and the most frequent reasons, bounded in length."""
    counted = Counter(_shortened(refusal.message) for refusal in refusals)
    total = counted.total()
    if not total:
        return ""
    named = [f"{message} ({count})" for message, count in counted.most_common(_MOST_REASONS)]
    if len(counted) > _MOST_REASONS:
        named.append(f"and {len(counted) - _MOST_REASONS} more reasons")
    return f"{total} {_NOUNS[signal][total > 1]} refused: {'; '.join(named)}"


def _shortened(message: str) -> str:
    return message if len(message) <= _MOST_CHARACTERS else message[: _MOST_CHARACTERS - 1] + "…"


Cut = Callable[[Any, Any], None]
"""Copies one record of the first request into the second, which is empty."""


class Requests:
    """Bodies of a group parsed again as protobuf, only for requests with refused records, once each."""

    def __init__(self, exports: Sequence[Export]) -> None:
        self._exports = exports
        self._parsed: dict[int, Any] = {}

    def record_text(self, export: int, cut: Cut) -> str | None:
        """OTLP/JSON text of the one record that `cut(whole, single)` copies; None if protobuf cannot read the body."""
        signal = self._exports[export].signal
        single = request_class(signal)()
        try:
            if export not in self._parsed:
                self._parsed[export] = request_class(signal).FromString(self._exports[export].body)
            cut(self._parsed[export], single)
            document = json_format.MessageToDict(single, use_integers_for_enums=True)
        except (ProtobufError, RecursionError, ValueError, IndexError, AttributeError):
            return None
        return json.dumps(_with_hex_ids(document), ensure_ascii=False, separators=(",", ":"))


_ID_KEYS = frozenset({"traceId", "spanId", "parentSpanId"})


def _with_hex_ids(node: Any) -> Any:
    """Protobuf's JSON writes ids in base64, OTLP's in hexadecimal."""
    if isinstance(node, list):
        return [_with_hex_ids(child) for child in node]
    if isinstance(node, dict):
        return {
            key: base64.b64decode(child).hex() if key in _ID_KEYS and isinstance(child, str) else _with_hex_ids(child)
            for key, child in node.items()
        }
    return node


def cut_record(lists: tuple[str, str, str], place: tuple[int, int, int]) -> Cut:
    """Copies one record with its resource and scope; `lists` name them from the request down."""

    def cut(whole: Any, single: Any) -> None:
        resource = getattr(whole, lists[0])[place[0]]
        scope = getattr(resource, lists[1])[place[1]]
        only_resource = getattr(single, lists[0]).add(resource=resource.resource, schema_url=resource.schema_url)
        only_scope = getattr(only_resource, lists[1]).add(scope=scope.scope, schema_url=scope.schema_url)
        getattr(only_scope, lists[2]).add().CopyFrom(getattr(scope, lists[2])[place[2]])

    return cut


def raw_record(records: pa.StructArray, row: int, names: tuple[str, ...]) -> dict[str, Any]:
    """The named fields of one refused record, for its message."""
    return {name: records.field(name)[row].as_py() for name in names}
