"""What the control database answers with: plain frozen records, none of which holds a secret's hash."""

from dataclasses import dataclass, field
from enum import StrEnum

from warehouse.principals import Principal, PrincipalKind


@dataclass(frozen=True)
class Tenant:
    """One whose records are kept apart from everybody else's. Times in nanoseconds since 1970."""

    id: str
    name: str
    created_unix_nano: int
    closed_unix_nano: int | None = None


class KeyState(StrEnum):
    """What a key is good for at some instant."""

    ACTIVE = "active"
    ROTATING = "rotating"
    """Rotated, and its successor's overlap has not ended: both work."""
    ROTATED = "rotated"
    EXPIRED = "expired"
    REVOKED = "revoked"

    @property
    def works(self) -> bool:
        """Whether a request with this key is let in."""
        return self in {KeyState.ACTIVE, KeyState.ROTATING}


@dataclass(frozen=True)
class KeyRecord:
    """An API key without its secret: whose it is, what it may send and until when.

    `agent` and `event_patterns` are its scope, None meaning unscoped; patterns are shell-style, such as `approval.*`.
    A key works from its creation up to, and not including, each of the instants that end it.
    """

    key_id: str
    tenant_id: str
    created_unix_nano: int
    agent: str | None = None
    event_patterns: tuple[str, ...] | None = None
    label: str | None = None
    expires_unix_nano: int | None = None
    revoked_unix_nano: int | None = None
    rotated_to: str | None = None
    overlap_ends_unix_nano: int | None = None

    @property
    def recorded_by(self) -> str:
        """The text that `recorded_by` holds in every row that this key sent."""
        return self.principal().recorded_by

    def principal(self) -> Principal:
        """The principal of a request made with this key, bound to the key's tenant."""
        return Principal(kind=PrincipalKind.API_KEY, id=self.key_id, tenants=frozenset({self.tenant_id}))

    @property
    def ends_unix_nano(self) -> int | None:
        """The first instant at which the key no longer works, as far as is known now; None when there is none."""
        ends = (self.expires_unix_nano, self.revoked_unix_nano, self.overlap_ends_unix_nano)
        return min((end for end in ends if end is not None), default=None)

    def state_at(self, unix_nano: int) -> KeyState:
        """The key's state at an instant; a revocation outweighs an expiry, and that a rotation."""
        if self.revoked_unix_nano is not None and unix_nano >= self.revoked_unix_nano:
            return KeyState.REVOKED
        if self.expires_unix_nano is not None and unix_nano >= self.expires_unix_nano:
            return KeyState.EXPIRED
        if self.overlap_ends_unix_nano is None:
            return KeyState.ACTIVE
        return KeyState.ROTATED if unix_nano >= self.overlap_ends_unix_nano else KeyState.ROTATING


@dataclass(frozen=True)
class IssuedKey:
    """A new key with its secret, which exists here and nowhere else: show it once and let go of it."""

    id: str
    tenant: str
    secret_text: str = field(repr=False)


@dataclass(frozen=True)
class ShardRecord:
    """A shard's identity, and the process that claimed or opened it last (for messages, never for locking)."""

    identity: str
    name: str
    owner_host: str
    owner_pid: int
    created_unix_nano: int
    closed_unix_nano: int | None = None
    closed_reason: str | None = None


@dataclass(frozen=True)
class AppliedPolicy:
    """Policy files of one kind as they were put in force: the first of a kind is revision 1, the newest is in force.

    `bundle` is JSON text, file name → text; None where it was not asked for.
    """

    kind: str
    revision: int
    hash: str
    applied_unix_nano: int
    applied_by: str
    bundle: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class HoldRecord:
    """A legal hold: one case, why, whose it is, and what it keeps. Times in nanoseconds since 1970.

    `scope` is canonical JSON text that `retention` reads; it names persons by their tokens. `release_asked_…` tell who asked for
    its release; `released_by` who approved that, or the same one where one person may do it alone.
    """

    id: str
    tenant_id: str
    reason: str
    owner: str
    scope: str
    placed_unix_nano: int
    placed_by: str
    case_reference: str | None = None
    release_asked_unix_nano: int | None = None
    release_asked_by: str | None = None
    release_reason: str | None = None
    released_unix_nano: int | None = None
    released_by: str | None = None

    @property
    def in_force(self) -> bool:
        """Whether it keeps anything: from when it is placed until it is released."""
        return self.released_unix_nano is None

    @property
    def release_pending(self) -> bool:
        """Whether somebody asked for its release and nobody approved it yet."""
        return self.in_force and self.release_asked_unix_nano is not None


@dataclass(frozen=True)
class DeletionRecord:
    """A deletion that ended well under the hold lock; `number` counts them from 1, in their order."""

    number: int
    what: str
    tenants: tuple[str, ...]
    began_unix_nano: int
    ended_unix_nano: int


@dataclass(frozen=True)
class PlacedHold:
    """A hold in force, and the deletions in its tenant that ended while it was being placed: for these it came too late."""

    hold: HoldRecord
    came_after: tuple[DeletionRecord, ...] = ()


@dataclass(frozen=True)
class RequestRecord:
    """Something that waits for a second principal. `subject` names exactly what: a plan's hash, or a subject's reference."""

    id: str
    kind: str
    subject: str
    tenant_id: str | None
    asked_unix_nano: int
    asked_by: str
    approved_unix_nano: int | None = None
    approved_by: str | None = None
    closed_unix_nano: int | None = None


@dataclass(frozen=True)
class AlertRecord:
    """An alert that fires, or that ended and is kept a while. `content` is JSON text that `pipelines.alerts` reads.

    `seen_unix_nano` is when it was first found to fire, which may be later than when it began. `began_recorded` and `end_recorded` say
    whether its audit events are known to be in the lake.
    """

    fingerprint: str
    tenant_id: str
    content: str
    starts_unix_nano: int
    seen_unix_nano: int
    ends_unix_nano: int | None = None
    began_recorded: bool = False
    end_recorded: bool = False


@dataclass(frozen=True)
class DeliveryRecord:
    """What one target was last told of one alert, and how the attempts since went.

    `starts_unix_nano` and `ended` are those of the message that the target took, None and False before the first. `attempts` counts the
    failures since; the next is due at `retry_unix_nano`.
    """

    target: str
    fingerprint: str
    starts_unix_nano: int | None = None
    ended: bool = False
    severity: str | None = None
    sent_unix_nano: int | None = None
    attempts: int = 0
    tried_unix_nano: int | None = None
    retry_unix_nano: int | None = None
    problem: str | None = None
