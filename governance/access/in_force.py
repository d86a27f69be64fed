"""Which access policies are in force: those last applied, the package's own where none ever were.

They are parsed once and again when others were applied. What was applied is validated under the schema before its first use in a
process, except the package's own, which tests validate.
"""

import time
from collections.abc import Callable
from functools import cache, lru_cache
from threading import Lock

from governance.access.policy import AccessPolicy
from governance.access.policy_compiler import KIND, compile_policy, default_bundle, read_policy
from warehouse.control import ControlStore
from warehouse.policies import Bundle, current_hash, in_force

POLL_SECONDS = 2.0


@cache
def shipped_policy() -> AccessPolicy:
    """The package's own policies, parsed at first use."""
    return read_policy(default_bundle())


def parsed(bundle: Bundle) -> AccessPolicy:
    """A bundle as it decides, parsed and validated once a process.

    Raises:
        PolicyError: it cannot be used.
    """
    if bundle.content_hash == default_bundle().content_hash:
        return shipped_policy()
    return _compiled(tuple(bundle.files.items()))


@lru_cache(maxsize=8)
def _compiled(files: tuple[tuple[str, str], ...]) -> AccessPolicy:
    return compile_policy(Bundle(KIND, dict(files)))


class PolicyInForce:
    """Gives the policies in force in a lake; the control database is asked at most every `poll_seconds`. Safe to use from several threads."""

    def __init__(
        self,
        control: Callable[[], ControlStore],
        *,
        poll_seconds: float = POLL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control = control
        self._poll_seconds = poll_seconds
        self._monotonic = monotonic
        self._lock = Lock()
        self._policy: AccessPolicy | None = None
        self._asked = 0.0

    def __call__(self) -> AccessPolicy:
        """The policies in force.

        Raises:
            PolicyError: they cannot be used.
            ControlUnavailableError: the control database does not answer.
        """
        with self._lock:
            now = self._monotonic()
            if self._policy is None or now - self._asked >= self._poll_seconds:
                self._policy = self._read(self._policy)
                self._asked = now
            return self._policy

    def forget(self) -> None:
        """Ask the control database at the next question, whenever that is."""
        with self._lock:
            self._asked = self._monotonic() - self._poll_seconds

    def _read(self, known: AccessPolicy | None) -> AccessPolicy:
        found = current_hash(self._control(), KIND)
        if found is None or found == default_bundle().content_hash:
            return shipped_policy()
        if known is not None and known.content_hash == found:
            return known
        applied = in_force(self._control(), KIND)
        return shipped_policy() if applied is None else parsed(applied.bundle)
