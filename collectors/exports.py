"""What receivers hand to the intake, and what comes back."""

from dataclasses import dataclass, field
from enum import StrEnum


class Signal(StrEnum):
    """OTLP signal of a request."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


@dataclass(frozen=True)
class Sender:
    """Who sent a request, as the receiver established it; nothing here comes from the payload.

    `agent` and `event_patterns` are the key's scope: None means unscoped. `event_patterns` are shell-style patterns
    such as `approval.*`. `peer` is the network address (`127.0.0.1:40312`) or `file:<identity>` for an import.
    """

    tenant_id: str
    key_id: str
    recorded_by: str
    peer: str
    agent: str | None = None
    event_patterns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Refusal:
    """One record that is not kept.

    `reason` is a short code (`bad-trace-id`, `time-out-of-window`, `out-of-scope`, …), `message` says got and expected,
    `record` is the OTLP/JSON text of a one-record request so that the record can be replayed, `event_name` is set for log
    records that carry one.
    """

    signal: Signal
    reason: str
    message: str
    record: str | None = None
    event_name: str | None = None


@dataclass(frozen=True)
class Export:
    """One request: its signal, its body as serialized protobuf (decompressed), its sender and when it came.

    `refused` holds what the JSON parser already refused. `digest` is the keyed digest of the body as received.
    """

    signal: Signal
    body: bytes
    sender: Sender
    received_unix_nano: int
    digest: bytes
    refused: tuple[Refusal, ...] = field(default=())


@dataclass(frozen=True)
class Outcome:
    """What became of a request: counts and, when something was refused, a message that names it."""

    accepted: int
    rejected: int = 0
    message: str = ""


@dataclass(frozen=True)
class IntakeLimits:
    """Bounds on input; each refusal names the one it hit."""

    body_bytes: int = 16 * 1024 * 1024
    decompressed_bytes: int = 64 * 1024 * 1024
    attributes: int = 512
    depth: int = 16
    attribute_bytes: int = 1024 * 1024
    past_seconds: int = 7 * 86_400
    future_seconds: int = 3_600
