"""Errors of `muniment.emit`.

MunimentError
└── EmitError                       an audit event was not recorded
    ├── InvalidEventError (Permanent)   fields that cannot make an event; a ValueError too
    ├── RefusedError      (Permanent)   the receiver said no; nothing was stored
    ├── UndeliveredError  (Transient)   no acknowledgement in time
    └── SpoolError                      the disk queue cannot be used
        ├── SpoolFullError    (Transient)   it holds as much as it may
        ├── SpoolHeldError    (Transient)   another process writes it
        └── SpoolCorruptError               bytes on disk that no crash explains
"""

from warehouse.errors import MunimentError, Permanent, Transient


class EmitError(MunimentError):
    """An audit event was not recorded."""


class InvalidEventError(EmitError, Permanent, ValueError):
    """Fields that cannot make an event: one is missing, or has a value that OTLP cannot carry."""


class RefusedError(EmitError, Permanent):
    """The receiver refused, and stored nothing.

    `about_sender` tells that the refusal concerns the key or the address rather than this one event.
    """

    def __init__(self, message: str, *, about_sender: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.about_sender = about_sender


class UndeliveredError(EmitError, Transient):
    """No acknowledgement in time.

    `maybe_stored` is True when a request went out whole and its answer was lost: the event may be in the lake, and its
    sequence number is not given to another one.
    """

    def __init__(self, message: str, *, maybe_stored: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.maybe_stored = maybe_stored


class SpoolError(EmitError):
    """The disk queue cannot be used."""


class SpoolFullError(SpoolError, Transient):
    """The disk queue holds as much as it may; the event was not taken."""


class SpoolHeldError(SpoolError, Transient):
    """Another process writes this disk queue."""


class SpoolCorruptError(SpoolError):
    """Bytes in the disk queue that no crash of its writer explains."""
