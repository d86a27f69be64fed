"""One target's courier: tells it what is due, keeps what it took, and tries again what it did not.

Invariants:
- Each target has a courier and a thread of its own: one that hangs or refuses delays nobody else.
- At least once: what a target took is noted after it took it. A crash between the two repeats a notice under the same id.
- Nothing is given up: what fails is tried again after 5 s, doubling up to a minute (an hour where the target refuses that very alert),
  each shortened at random by up to half, so that many lakes do not come back at one instant.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pipelines.alerts.config import TargetConfig
from pipelines.alerts.errors import AlertRefusedError, AlertTargetError, TargetUnavailableError
from pipelines.alerts.notice import FIRING, Notice
from pipelines.alerts.plan import plan
from pipelines.alerts.targets import Target
from warehouse.clock import NANOS_PER_SECOND, Clock
from warehouse.control import AlertRecord, DeliveryRecord
from warehouse.errors import MunimentError

FIRST_RETRY_SECONDS = 5.0
MOST_RETRY_SECONDS = 60.0
MOST_REFUSED_RETRY_SECONDS = 3600.0
_MOST_DOUBLINGS = 30
_IDLE_SECONDS = 60.0
_DEAD_ROUNDS = 3
"""After so many intervals without a round the watchdog is no longer sent, so that its receiver notices."""

Random = Callable[[], float]
"""Returns a number from 0 up to 1."""


class AlertStore(Protocol):
    """Where the state of alerts is kept: `ControlStore` in a lake."""

    def list_alerts(self) -> list[AlertRecord]:
        """Every alert that is kept."""

    def list_deliveries(self, target: str | None = None) -> list[DeliveryRecord]:
        """What a target was told."""

    def keep_deliveries(self, deliveries: Sequence[DeliveryRecord]) -> None:
        """Keep what a target was told."""


@dataclass(frozen=True)
class Turn:
    """What one turn of a courier did: notices taken, notices not taken with the last reason, and when to come back at the latest."""

    sent: int = 0
    failed: int = 0
    problem: str = ""
    next_unix_nano: int | None = None


class Courier:
    """Serves one target. `turn` in any thread, one at a time; or `start` and `stop` once each for a thread of its own."""

    def __init__(
        self,
        target: Target,
        config: TargetConfig,
        store: AlertStore,
        *,
        names: Collection[str],
        interval_seconds: float,
        clock: Clock,
        random: Random,
        say: Callable[[str], None],
    ) -> None:
        self.config = config
        self._target = target
        self._store = store
        self._names = frozenset(names)
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._random = random
        self._say = say
        self._said = ""
        self._round_unix_nano = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"alerts to {config.name}", daemon=True)

    def start(self) -> None:
        """Begin to serve the target in a thread of its own."""
        self._thread.start()

    def wake(self) -> None:
        """Say that a round ended, so that something may be due; returns at once."""
        self._round_unix_nano = self._clock()
        self._wake.set()

    def stop(self, patience_seconds: float) -> None:
        """Take no more turns; a request that is under way is waited for so long, then left to end with the process."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(patience_seconds)

    def turn(self) -> Turn:
        """Tell the target what is due now.

        Raises:
            ControlUnavailableError: the state cannot be read or kept; what was sent meanwhile will be sent again.
        """
        records = self._store.list_alerts()
        known = {each.fingerprint: each for each in self._store.list_deliveries(self.config.name)}
        now = self._clock()
        due = plan(
            self.config,
            self._names,
            records,
            known,
            now_unix_nano=now,
            interval_seconds=self._interval_seconds,
            alive=abs(now - self._round_unix_nano) < _DEAD_ROUNDS * self._interval_seconds * NANOS_PER_SECOND,
        )
        sent = failed = 0
        problem, next_times = "", [due.next_unix_nano]
        batches = list(_batches(due.notices, self._target.most_at_once))
        while batches and not self._stopping.is_set():
            batch = batches.pop(0)
            try:
                self._target.send(batch, self._clock())
            except AlertRefusedError as exc:
                if len(batch) > 1:  # one of them is wrong: find it, and deliver the others
                    batches[:0] = [(notice,) for notice in batch]
                    continue
                problem = str(exc)
                failed += 1
                next_times += self._keep_failure(batch, known, exc)
            except AlertTargetError as exc:
                left = [notice for each in (batch, *batches) for notice in each]
                problem = str(exc)
                failed += len(left)
                next_times += self._keep_failure(left, known, exc)
                break
            else:
                sent += len(batch)
                self._keep_success(batch)
        return Turn(sent, failed, problem, min(filter(None, next_times), default=None))

    def _keep_success(self, notices: Sequence[Notice]) -> None:
        now = self._clock()
        self._store.keep_deliveries(
            [
                DeliveryRecord(
                    target=self.config.name,
                    fingerprint=notice.alert.fingerprint,
                    starts_unix_nano=notice.alert.starts_unix_nano,
                    ended=notice.status != FIRING,
                    severity=notice.alert.severity,
                    sent_unix_nano=now,
                )
                for notice in notices
            ]
        )

    def _keep_failure(
        self, notices: Sequence[Notice], known: dict[str, DeliveryRecord], exc: AlertTargetError
    ) -> list[int]:
        now = self._clock()
        failures = []
        for notice in notices:
            fingerprint = notice.alert.fingerprint
            before = known.get(fingerprint) or DeliveryRecord(self.config.name, fingerprint)
            wait = _retry_seconds(exc, before.attempts + 1, self._random)
            failures.append(
                replace(
                    before,
                    attempts=before.attempts + 1,
                    tried_unix_nano=now,
                    retry_unix_nano=now + int(wait * NANOS_PER_SECOND),
                    problem=str(exc),
                )
            )
        self._store.keep_deliveries(failures)
        return [each.retry_unix_nano for each in failures if each.retry_unix_nano is not None]

    def _run(self) -> None:
        while not self._stopping.is_set():
            turn = self._safe_turn()
            self._tell(turn.problem)
            ahead = _IDLE_SECONDS
            if turn.next_unix_nano is not None:
                ahead = (turn.next_unix_nano - self._clock()) / NANOS_PER_SECOND
            self._wake.wait(min(max(ahead, 0.1), _IDLE_SECONDS))
            self._wake.clear()

    def _safe_turn(self) -> Turn:
        """A turn whose failure, whatever it is, does not end the courier."""
        try:
            return self.turn()
        except MunimentError as exc:
            problem = f"target {self.config.name}: {exc}"
        except Exception as exc:  # noqa: BLE001 - what it says may hold a secret, so only its kind is said
            problem = f"target {self.config.name}: {type(exc).__name__}"
        wait = int(FIRST_RETRY_SECONDS * (1 + self._random()) * NANOS_PER_SECOND)
        return Turn(problem=problem, next_unix_nano=self._clock() + wait)

    def _tell(self, problem: str) -> None:
        """Say what is wrong once, and when it is over."""
        if problem != self._said:
            self._say(problem or f"target {self.config.name}: delivers again")
            self._said = problem


def _batches(notices: Sequence[Notice], size: int) -> list[tuple[Notice, ...]]:
    return [tuple(notices[at : at + size]) for at in range(0, len(notices), size)]


def _retry_seconds(exc: AlertTargetError, attempts: int, random: Random) -> float:
    """How long to wait after so many failures: doubling, and between half and the whole of it at random."""
    most = MOST_REFUSED_RETRY_SECONDS if isinstance(exc, AlertRefusedError) else MOST_RETRY_SECONDS
    wait = min(FIRST_RETRY_SECONDS * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS), most) * (1 - random() / 2)
    asked = exc.retry_after_seconds if isinstance(exc, TargetUnavailableError) else None
    return wait if asked is None else max(wait, asked)
