"""OTLP/JSON of one audit event, and its answer.

OTLP 1.x, §OTLP/HTTP with JSON: ids are hex, 64-bit integers are decimal text, bytes are base64. The answer's
`partialSuccess` names what was refused (§partial-success). Written with the standard library alone, because
opentelemetry-sdk brings neither protobuf nor an exporter.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import SpanContext

from muniment.emit.errors import InvalidEventError
from muniment.emit.event import Draft, Entropy, Value

SCOPE_NAME = "muniment.emit"
SEVERITY_INFO = 9
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
DEPTH_LIMIT = 16
"""Levels of nesting; the receiver's own default limit."""


@dataclass(frozen=True)
class Stamp:
    """What makes a record one of its kind: its id, its place in its stream, and when it was observed."""

    record_id: str
    stream: str
    number: int
    observed_unix_nano: int


def new_record_id(unix_nano: int, entropy: Entropy) -> str:
    """A UUID of version 7 (RFC 9562 §5.7): 48 bits of milliseconds since 1970, 74 random bits."""
    milliseconds = unix_nano // 1_000_000
    random_bits = int.from_bytes(entropy(10))
    number = (milliseconds & (1 << 48) - 1) << 80 | random_bits
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def encode_request(resource: Mapping[str, Value], draft: Draft, stamp: Stamp, span: SpanContext) -> bytes:
    """One `ExportLogsServiceRequest` with one record, as compact OTLP/JSON.

    Raises:
        InvalidEventError: A value that OTLP cannot carry.
    """
    stamped = {
        **draft.attributes,
        "audit.record.id": stamp.record_id,
        "audit.sequence.stream": stamp.stream,
        "audit.sequence.number": stamp.number,
    }
    happened = stamp.observed_unix_nano if draft.time_unix_nano is None else draft.time_unix_nano
    record: dict[str, Any] = {
        "timeUnixNano": str(happened),
        "observedTimeUnixNano": str(stamp.observed_unix_nano),
        "severityNumber": SEVERITY_INFO,
        "severityText": "INFO",
        "eventName": draft.name,
        "attributes": _key_values(stamped, draft.name),
    }
    if draft.body is not None:
        record["body"] = _any_value(draft.body, f"{draft.name} body", 0)
    if span.is_valid:
        record |= {"traceId": f"{span.trace_id:032x}", "spanId": f"{span.span_id:016x}", "flags": int(span.trace_flags)}
    request = {
        "resourceLogs": [
            {
                "resource": {"attributes": _key_values(resource, "resource")},
                "scopeLogs": [{"scope": {"name": SCOPE_NAME}, "logRecords": [record]}],
            }
        ]
    }
    return json.dumps(request, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def refused_count(answer: bytes) -> tuple[int, str]:
    """How many records an `ExportLogsServiceResponse` in JSON says were refused, and its message.

    Raises:
        ValueError: The body is not such an answer.
    """
    document = json.loads(answer) if answer.strip() else {}
    partial = document.get("partialSuccess") or {} if isinstance(document, dict) else None
    if not isinstance(partial, dict):
        raise ValueError("the answer is no ExportLogsServiceResponse: expected an object, got something else")  # noqa: TRY004 - a bad value off the wire, not a programming error
    return int(partial.get("rejectedLogRecords", 0)), str(partial.get("errorMessage", ""))


def _key_values(attributes: Mapping[str, Value], where: str, depth: int = 0) -> list[dict[str, Any]]:
    return [
        {"key": _valid_text(str(key), where), "value": _any_value(value, f"{where} {key}", depth)}
        for key, value in attributes.items()
        if value is not None
    ]


def _any_value(value: object, where: str, depth: int) -> dict[str, Any]:
    if depth > DEPTH_LIMIT:
        raise InvalidEventError(f"{where} is nested too deep: expected at most {DEPTH_LIMIT} levels, got more")
    encoded: dict[str, Any]
    match value:
        case None:
            encoded = {}
        case bool():
            encoded = {"boolValue": value}
        case int():
            encoded = {"intValue": _integer_text(value, where)}
        case float():
            encoded = {"doubleValue": value if math.isfinite(value) else _special(value)}
        case str():
            encoded = {"stringValue": _valid_text(value, where)}
        case bytes():
            encoded = {"bytesValue": base64.b64encode(value).decode()}
        case Mapping():
            encoded = {"kvlistValue": {"values": _key_values(value, where, depth + 1)}}
        case Sequence():
            encoded = {"arrayValue": {"values": [_any_value(item, where, depth + 1) for item in value]}}
        case _:
            got = type(value).__name__
            raise InvalidEventError(f"{where} cannot be sent: expected text, number, bytes, list or mapping, got {got}")
    return encoded


def _integer_text(value: int, where: str) -> str:
    if not INT64_MIN <= value <= INT64_MAX:
        raise InvalidEventError(f"{where} is out of range: expected a 64-bit integer, got {value}")
    return str(value)


def _special(value: float) -> str:
    """ProtoJSON's text for the floats that JSON has no number for."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _valid_text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidEventError(f"{where} is not Unicode text: expected no lone surrogates, got {exc.reason}") from exc
    return value
