"""Identifiers from a seed: trace and span ids for the SDK, and names for tickets, approvals and records."""

import random

from opentelemetry.sdk.trace.id_generator import IdGenerator


class SeededIds(IdGenerator):
    """An OpenTelemetry id generator that repeats itself for the same seed; never zero, as W3C Trace Context §2.2 asks."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def generate_span_id(self) -> int:
        """Return the next span id, 64 bits."""
        return self._rng.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        """Return the next trace id, 128 bits."""
        return self._rng.getrandbits(128) or 1

    def is_trace_id_random(self) -> bool:
        """Seeded ids claim no randomness, so that the W3C flag stays clear."""
        return False

    def name(self, prefix: str, digits: int = 12) -> str:
        """Return a new name such as `apr-4f09…`, with `digits` hex digits."""
        return f"{prefix}-{self._rng.getrandbits(4 * digits):0{digits}x}"
