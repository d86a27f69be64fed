"""What an audit event consists of, and its checks.

The record model follows OTEP 0267 (audit logging): who did what to what, with which outcome, as `audit.*` attributes of
an OTLP log record whose event name stands in the audit catalogue.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from muniment.emit.errors import InvalidEventError

Value = None | bool | int | float | str | bytes | Sequence["Value"] | Mapping[str, "Value"]
"""What an attribute or a body may hold; None leaves the attribute out."""

Entropy = Callable[[int], bytes]
"""Returns that many random bytes, as `os.urandom` does."""


@dataclass(frozen=True)
class Actor:
    """Who acts: `type` is `human`, `agent`, `service` or another short word."""

    id: str
    type: str = "human"


@dataclass(frozen=True)
class Resource:
    """What is acted on, as a kind (`credential`, `invoice`) and an id."""

    type: str
    id: str


@dataclass(frozen=True)
class Policy:
    """The policy that decided."""

    id: str
    version: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of one event.

    `acknowledged` is True once the receiver has said that the record is durable; False means that it is on this
    machine's disk queue, fsynced, and will be sent in order. `record_id` is `audit.record.id`; `stream` and `number` are
    `audit.sequence.stream` and `audit.sequence.number`.
    """

    record_id: str
    stream: str
    number: int
    acknowledged: bool


class Common(TypedDict, total=False):
    """Keyword arguments that every event takes.

    `actor` is the agent of the `Emitter` unless given. `outcome` is `success`, `failure`, `denied` or another short word.
    `body` is free text or a structure. `attributes` are kept beside the `audit.*` ones. `time_unix_nano` is when it
    happened, now unless given.
    """

    actor: Actor
    on_behalf_of: str
    action: str
    resource: Resource
    outcome: str
    reason: str
    policy: Policy
    approval_id: str
    subject_id: str
    body: Value
    attributes: Mapping[str, Value]
    time_unix_nano: int


@dataclass(frozen=True)
class Draft:
    """An event before it has a record id and a sequence number: checked, with its attributes laid out."""

    name: str
    attributes: Mapping[str, Value]
    body: Value
    time_unix_nano: int | None


class Recorder(ABC):
    """What the families of events need from the emitter that they are part of."""

    @abstractmethod
    def _record(
        self,
        name: str,
        common: Common,
        *,
        needs: Sequence[str] = (),
        about: Resource | None = None,
        outcome: str | None = "success",
        details: Mapping[str, Value] | None = None,
    ) -> Receipt:
        """Check, stamp and deliver one event.

        `needs` names the fields of `common` without which the event means nothing; `about` and `outcome` stand in where
        the caller gave none; `details` are the attributes of this event's own.

        Raises:
            InvalidEventError: A field is missing or has an impossible value.
            RefusedError: The receiver refused the event.
            UndeliveredError: No acknowledgement in time.
            SpoolFullError: There is a disk queue and it is full.
        """


def draft(
    name: str,
    common: Common,
    *,
    needs: Iterable[str],
    about: Resource | None,
    outcome: str | None,
    details: Mapping[str, Value] | None,
    default_actor: Actor | None,
) -> Draft:
    """Lay one event out, checked; `Recorder._record` says what the arguments mean.

    Raises:
        InvalidEventError: A needed field is missing or empty, or an attribute of the caller's collides with one of these.
    """
    missing = [field for field in needs if common.get(field) in (None, "")]
    if missing:
        given = ", ".join(sorted(common)) or "none of the common fields"
        raise InvalidEventError(f"{name} is incomplete: expected {', '.join(missing)}, got {given}")
    actor = common.get("actor", default_actor)
    if actor is None:
        raise InvalidEventError(f"{name} has no actor: expected `actor`, or an Emitter with `agent_id`, got neither")
    resource, policy = common.get("resource", about), common.get("policy")
    laid_out: dict[str, Value] = {
        "audit.actor.id": actor.id,
        "audit.actor.type": actor.type,
        "audit.on_behalf_of": common.get("on_behalf_of"),
        "audit.action": common.get("action"),
        "audit.resource.type": resource.type if resource else None,
        "audit.resource.id": resource.id if resource else None,
        "audit.outcome": common.get("outcome", outcome),
        "audit.reason": common.get("reason"),
        "audit.policy.id": policy.id if policy else None,
        "audit.policy.version": policy.version if policy else None,
        "audit.approval.id": common.get("approval_id"),
        "audit.subject.id": common.get("subject_id"),
        **(details or {}),
    }
    _check_texts(name, laid_out)
    own = common.get("attributes", {})
    collisions = sorted(key for key in own if key.startswith("audit.") or laid_out.get(key) is not None)
    if collisions:
        raise InvalidEventError(
            f"{name} has attributes that the emitter sets: got {', '.join(collisions)}, expected them as arguments"
        )
    kept = {key: value for key, value in {**laid_out, **own}.items() if value is not None}
    return Draft(name, kept, common.get("body"), common.get("time_unix_nano"))


def _check_texts(name: str, laid_out: Mapping[str, Value]) -> None:
    for key, value in laid_out.items():
        if key.startswith("audit.") and value == "":
            raise InvalidEventError(f"{name} has an empty {key}: expected text, got ''")


def required(name: str, **fields: Value) -> None:
    """Check the arguments that one event cannot do without.

    Raises:
        InvalidEventError: One of them is None or empty.
    """
    for field, value in fields.items():
        if value is None or value == "":
            raise InvalidEventError(f"{name} is incomplete: expected {field}, got {value!r}")


def arguments_text(arguments: Mapping[str, Value] | str | None) -> str | None:
    """JSON text of a tool call's arguments, as GenAI instrumentation writes it into `gen_ai.tool.call.arguments`."""
    if arguments is None or isinstance(arguments, str):
        return arguments
    return json.dumps(arguments, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
