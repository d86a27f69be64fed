"""Policies in force: bundles in the control database, and the way in and out of it."""

from collections.abc import Callable
from dataclasses import dataclass

from warehouse.control import AppliedPolicy, ControlStore
from warehouse.policies.bundle import Bundle


@dataclass(frozen=True)
class AppliedBundle:
    """A bundle that was put in force: as which revision of its kind, when (nanoseconds since 1970) and by whom."""

    bundle: Bundle
    revision: int
    applied_unix_nano: int
    applied_by: str

    @property
    def content_hash(self) -> str:
        """The bundle's hash."""
        return self.bundle.content_hash


def in_force(control: ControlStore, kind: str) -> AppliedBundle | None:
    """What is in force of a kind; None where none was ever applied.

    Raises:
        ControlUnavailableError: the control database does not answer.
        CorruptionError: what is stored is not what was applied.
    """
    found = control.policy_in_force(kind)
    if found is None:
        return None
    bundle = Bundle.from_json(kind, found.bundle or "", content_hash=found.hash)
    return AppliedBundle(bundle, found.revision, found.applied_unix_nano, found.applied_by)


def current_hash(control: ControlStore, kind: str) -> str | None:
    """The hash of what is in force of a kind, cheap enough for polling; None where none was ever applied.

    Raises:
        ControlUnavailableError: the control database does not answer.
    """
    return control.policy_hash(kind)


def apply(
    control: ControlStore,
    bundle: Bundle,
    by: str,
    *,
    replacing: str | None,
    announce: Callable[[AppliedPolicy], None] | None = None,
) -> AppliedBundle:
    """Put a bundle in force in place of the one whose hash is `replacing`, None for none. It is not validated here.

    `announce` is called with the change before it is made; when it raises, nothing changes.

    Raises:
        ConflictError: another one is in force than `replacing`, or this very one.
        ControlUnavailableError: the control database does not answer or cannot write.
    """
    more = {} if announce is None else {"announce": announce}
    done = control.apply_policy(bundle.kind, bundle.content_hash, bundle.to_json(), by=by, replacing=replacing, **more)
    return AppliedBundle(bundle, done.revision, done.applied_unix_nano, done.applied_by)
