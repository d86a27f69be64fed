"""Errors of the whole product, under one root.

    MunimentError
    ├── LakeError                 the lake on disk is not as it must be
    │   ├── LakeNotFoundError       no lake in that folder
    │   ├── SettingsError           settings that cannot be used (Permanent)
    │   └── CorruptionError         bytes on disk that no crash explains
    ├── UnavailableError          (Transient) try again: the store does not answer or cannot write
    │   ├── OverloadedError         (Transient) the queue is full
    │   ├── ControlUnavailableError (Transient) the control database does not answer
    │   ├── VaultUnavailableError   (Transient) the vault of subjects does not answer
    │   └── ShardHeldError          (Transient) another process writes this shard
    ├── InputError                (Permanent) what was sent cannot be used
    │   ├── DecodeError             (Permanent) bytes that are not what they claim
    │   ├── LimitError              (Permanent) over a stated limit
    │   └── NameRuleError           (Permanent) a lake, tenant or shard name outside the rule
    ├── NotFoundError             (Permanent) a tenant, key or record that does not exist
    ├── ConflictError             (Permanent) it exists already, or changed meanwhile
    ├── UnauthenticatedError      (Permanent) no valid API key
    ├── DeniedError               (Permanent) the principal may not do this
    └── QueryError                (Permanent) SQL that may not run, or failed

`Transient` answers 503 / UNAVAILABLE and invites a retry; `Permanent` answers 400 / INVALID_ARGUMENT (401, 403 and 404
for the classes that say so) and does not.
"""


class MunimentError(Exception):
    """Root of every error that Muniment raises on purpose.

    `hint` says what to do next; the command line prints it under the message.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Transient:
    """Mixin: the same request may succeed later (503, UNAVAILABLE)."""


class Permanent:
    """Mixin: the same request will fail again (400, INVALID_ARGUMENT)."""


class LakeError(MunimentError):
    """The lake on disk is not as it must be."""


class LakeNotFoundError(LakeError):
    """There is no lake in the folder given."""


class SettingsError(LakeError, Permanent):
    """Settings that cannot be used: an unknown key, a wrong type, a value out of range."""


class CorruptionError(LakeError):
    """Bytes on disk that no crash of this program explains."""


class UnavailableError(MunimentError, Transient):
    """A store does not answer or cannot write; nothing was acknowledged."""


class OverloadedError(UnavailableError):
    """The queue is full; `retry_after_seconds` says when to come back."""

    def __init__(self, message: str, *, retry_after_seconds: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class ControlUnavailableError(UnavailableError):
    """The control database does not answer."""


class VaultUnavailableError(UnavailableError):
    """The vault of subjects does not answer, or cannot write; values that want a token are masked meanwhile."""


class ShardHeldError(UnavailableError):
    """Another process writes this shard."""


class InputError(MunimentError, Permanent):
    """What was sent cannot be used."""


class DecodeError(InputError):
    """Bytes that are not what they claim to be."""


class LimitError(InputError):
    """Something over a stated limit."""


class NameRuleError(InputError):
    """A lake, tenant or shard name outside the rule `[a-z0-9][a-z0-9-]{0,39}`."""


class NotFoundError(MunimentError, Permanent):
    """A tenant, key or record that does not exist."""


class ConflictError(MunimentError, Permanent):
    """It exists already, or it changed meanwhile."""


class UnauthenticatedError(MunimentError, Permanent):
    """No API key, or none that is valid now."""


class DeniedError(MunimentError, Permanent):
    """The principal may not do this."""


class QueryError(MunimentError, Permanent):
    """SQL that may not run, or that failed."""
