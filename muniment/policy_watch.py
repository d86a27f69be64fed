"""Keeps a running collector's policy the one in force: asks the control database, compiles what is new, hands it on.

Invariants:
- A policy that cannot be used never replaces one that can: the old one stays, and `state` says what is wrong with the new one.
- A control database that does not answer changes nothing: the old one stays until it answers again.
- `use` is called in one thread, in the order in which policies were put in force, and only with one that is new.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from collectors.redact.detector import Detector
from collectors.redact.policy import RedactionPolicy
from collectors.redact.policy_compiler import KIND, compile_policy, strict_policy
from warehouse.clock import Clock
from warehouse.control import ControlStore
from warehouse.errors import ControlUnavailableError, CorruptionError
from warehouse.policies import PolicyError, current_hash, in_force

_LOG = logging.getLogger("muniment.policy")
_STOP_SECONDS = 5.0


def read_policy(control: ControlStore, known: Mapping[str, Detector]) -> RedactionPolicy:
    """The redaction policy in force; the strict one of the package where none was ever applied.

    Raises:
        PolicyError: what is in force cannot be used by this version.
        CorruptionError: what is stored is not what was applied.
        ControlUnavailableError: the control database does not answer.
    """
    found = in_force(control, KIND)
    return strict_policy(known) if found is None else compile_policy(found.bundle, known)


@dataclass(frozen=True)
class _State:
    """What the watch knows, replaced whole, so that any thread may read it."""

    applied_hash: str
    since_unix_nano: int
    refused_hash: str | None = None
    """Of a policy that cannot be used, whenever it is tried."""
    refused: str = ""
    unanswered: str = ""


class PolicyWatch:
    """Watches which redaction policy is in force. `start` and `stop` once each.

    `first` is what the collector began with, from `read_policy`; `use` takes each policy that comes into force after it. Should
    `use` raise, the old policy counts as the one in use, and it is tried again at the next look.
    """

    def __init__(
        self,
        control: ControlStore,
        known: Mapping[str, Detector],
        first: RedactionPolicy,
        *,
        use: Callable[[RedactionPolicy], None],
        poll_seconds: float,
        clock: Clock,
    ) -> None:
        self._control = control
        self._known = known
        self._use = use
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._state = _State(first.content_hash, clock())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="policy-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End watching; safe to repeat, and to call without a start."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def problems(self) -> list[str]:
        """Why the policy in use may not be the one that was applied last; empty when it is that one."""
        return _problems(self._state)

    def state(self) -> dict[str, Any]:
        """What `status` asks a running collector: hash and time of the policy in use, and what is wrong."""
        state = self._state
        return {
            "hash": state.applied_hash,
            "since_unix_nano": state.since_unix_nano,
            "problems": self.problems(),
        }

    def look(self) -> bool:
        """Look once, and take over a policy that came into force. Returns whether one did; raises nothing."""
        state = self._state
        try:
            newest = current_hash(self._control, KIND)
            if newest is None or newest == state.applied_hash:
                self._note(_State(state.applied_hash, state.since_unix_nano))
                return False
            if newest == state.refused_hash:
                self._note(replace(state, unanswered=""))
                return False
            policy = read_policy(self._control, self._known)
            self._use(policy)
        except ControlUnavailableError as exc:
            self._note(replace(state, unanswered=str(exc)))
            return False
        except (PolicyError, CorruptionError) as exc:
            self._note(replace(state, refused_hash=newest, refused=str(exc), unanswered=""))
            return False
        except Exception as exc:  # noqa: BLE001 - whatever it is, the watch goes on, and somebody must hear of it
            self._note(replace(state, refused_hash=None, refused=f"{type(exc).__name__}: {exc}", unanswered=""))
            return False
        self._note(_State(policy.content_hash, self._clock()))
        return True

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self.look()

    def _note(self, new: _State) -> None:
        """Remember, and log what became different: a problem that lasts is logged once."""
        old, self._state = self._state, new
        if new.applied_hash != old.applied_hash:
            _LOG.info("redaction policy %s is in force, after %s", new.applied_hash, old.applied_hash)
        before = _problems(old)
        for problem in _problems(new):
            if problem not in before:
                _LOG.warning("%s", problem)


def _problems(state: _State) -> list[str]:
    found = []
    if state.refused:
        newer = f"the newer one ({state.refused_hash})" if state.refused_hash else "the newer one"
        found.append(f"redaction policy {state.applied_hash} stays in use: {newer} cannot be used: {state.refused}")
    if state.unanswered:
        found.append(f"redaction policy {state.applied_hash} stays in use, unasked: {state.unanswered}")
    return found
