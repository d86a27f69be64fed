"""Record audit events from an application: one typed method for each event of the catalogue.

Needs opentelemetry-sdk and nothing else: `pip install --no-deps muniment` beside it is enough. OpenTelemetry's own batch
log processor drops records in silence when its queue is full; an `Emitter` returns only once the record is durable, or
raises.
"""

from muniment.emit.emitter import Emitter, Flushed
from muniment.emit.errors import (
    EmitError,
    InvalidEventError,
    RefusedError,
    SpoolCorruptError,
    SpoolError,
    SpoolFullError,
    SpoolHeldError,
    UndeliveredError,
)
from muniment.emit.event import Actor, Policy, Receipt, Resource

__all__ = [
    "Actor",
    "EmitError",
    "Emitter",
    "Flushed",
    "InvalidEventError",
    "Policy",
    "Receipt",
    "RefusedError",
    "Resource",
    "SpoolCorruptError",
    "SpoolError",
    "SpoolFullError",
    "SpoolHeldError",
    "UndeliveredError",
]
