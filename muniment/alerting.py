"""The loop that watches a lake: every so often it evaluates, records what began and ended, and has each target told.

A round evaluates in one thread; each target is told by a courier of its own, so that no target delays a round or another target.
A round that fails is told and followed by the next one. What is kept in the control database survives a restart, and one process at
a time watches a lake: a second one stands by.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from muniment.alert_events import FIRED, RESOLVED, record_alerts
from muniment.alert_points import alert_gauges
from muniment.alert_state import AlertState, write_state
from muniment.environment import variable
from muniment.wiring import CommandContext
from pipelines.alerts.alert import Alert
from pipelines.alerts.config import AlertsConfig, TargetConfig
from pipelines.alerts.courier import Courier, Turn
from pipelines.alerts.episodes import Changes, Evaluation, compare, watchdog
from pipelines.alerts.gauges import merge_points
from pipelines.alerts.plan import is_for, waiting
from pipelines.alerts.targets import Target, open_target
from pipelines.alerts.wording import Wording
from warehouse.control import AlertRecord, ControlStore, DeliveryRecord
from warehouse.errors import MunimentError
from warehouse.lake import Lake
from warehouse.locks import FileLock
from warehouse.names import LAKE_TENANT
from warehouse.principals import Principal, PrincipalKind

PRINCIPAL = Principal(PrincipalKind.JOB, "alerts")
FAILING_ROUNDS = 3
"""After so many rounds in a row in which a source could not be evaluated, that is an alert of its own."""

_STOP_SECONDS = 2.0
_STANDBY_SECONDS = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """Something that is evaluated each round; what it returns or raises concerns it alone."""

    name: str
    evaluate: Callable[[CommandContext, int], Evaluation]


@dataclass(frozen=True)
class Round:
    """What one round found, and how long it took. `problems` are those of sources and of recording, not of targets."""

    began_unix_nano: int
    seconds: float
    firing: int
    began: int
    ended: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Failing:
    """For how many rounds a source could not be evaluated, since when, and whether nothing of it could."""

    rounds: int
    since_unix_nano: int
    whole: bool


def lake_targets(lake: Lake, config: AlertsConfig) -> list[TargetConfig]:
    """The targets of the settings, with paths taken from the lake's folder where they are relative."""

    def placed(path: str | None) -> str | None:
        return None if path is None else str(lake.path / Path(path).expanduser())

    return [
        msgspec.structs.replace(
            target, path=placed(target.path), secret_file=placed(target.secret_file), ca_file=placed(target.ca_file)
        )
        for target in config.targets
    ]


def open_lake_target(context: CommandContext, target: TargetConfig) -> Target:
    """A target of this lake."""
    settings = context.settings
    return open_target(target, Wording(settings.lake, settings.alerts.runbook_base_url), variable)


class AlertWatch:
    """Watches one lake. `run` until `request_stop`, or single rounds with `run_once`."""

    def __init__(self, context: CommandContext, sources: Sequence[Source], *, say: Say) -> None:
        self._context = context
        self._config = context.settings.alerts
        self._sources = tuple(sources)
        self._say = say
        self._said: tuple[str, ...] = ()
        self._failures: dict[str, _Failing] = {}
        self._stopping = threading.Event()
        self._lock = FileLock(context.lake.run / "alert-watch.lock")
        self._targets = lake_targets(context.lake, self._config)
        self._names = [target.name for target in self._targets]
        # couriers outlive rounds, so they have a store of their own
        self._store: ControlStore = context.control
        self._couriers = [
            Courier(
                open_lake_target(context, target),
                target,
                self._store,
                names=self._names,
                interval_seconds=self._config.interval_seconds,
                clock=context.clock,
                random=random.SystemRandom().random,
                say=say,
            )
            for target in self._targets
        ]

    def request_stop(self) -> None:
        """Ask `run` to end; safe to call from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Round after round until asked to stop. Where another process watches this lake, wait for its end first."""
        if not self._take_over():
            return
        for courier in self._couriers:
            courier.start()
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                self._safe_round()
                for courier in self._couriers:
                    courier.wake()
                left = self._config.interval_seconds - (time.monotonic() - began)
                self._stopping.wait(max(0.0, left))
        finally:
            self._lock_free_after([courier.stop for courier in self._couriers])

    def run_once(self) -> tuple[Round, dict[str, Turn]]:
        """One round, and one turn of each courier, side by side; a target that hangs is left after twice its time.

        Raises:
            UnavailableError: another process watches this lake, or the state cannot be read or kept.
        """
        from warehouse.errors import UnavailableError

        if not self._lock.acquire(holder="muniment alert watch --once"):
            raise UnavailableError(
                f"this lake is watched already, by {self._lock.holder() or 'another process'}",
                hint="`muniment up` does these rounds; `muniment status` says how the last one went",
            )
        try:
            done = self.round()
            return done, self._turns()
        finally:
            self._lock.release()

    def round(self) -> Round:
        """Evaluate every source, keep what changed, and record it; targets are told by their couriers afterwards.

        Raises:
            ControlUnavailableError: the state cannot be read or kept.
        """
        began, now = time.monotonic(), self._context.clock()
        # its own context, so that policies applied meanwhile count, and closed, so that nothing is held between rounds
        context = replace(self._context, principal=PRINCIPAL)
        try:
            evaluations = [watchdog(now), *(self._evaluate(context, source, now) for source in self._sources)]
            evaluations.append(self._own_trouble())
            problems = [problem for each in evaluations for problem in each.problems]
            changes, queued = self._keep(evaluations, now)
            problems += self._record(context, changes)
        finally:
            if "control" in vars(context):
                context.control.close()
        records = self._store.list_alerts()
        firing = [record for record in records if record.ends_unix_nano is None]
        done = Round(
            now, time.monotonic() - began, len(firing), len(changes.began), len(changes.ended), tuple(problems)
        )
        self._tell(done)
        points = merge_points([alert_gauges(records, queued, done.seconds), *(each.gauges for each in evaluations)])
        state = AlertState(now, done.seconds, self._config.interval_seconds, done.problems, points)
        write_state(self._context.lake, state)
        return done

    def _evaluate(self, context: CommandContext, source: Source, now: int) -> Evaluation:
        try:
            found = source.evaluate(context, now)
        except Exception as exc:  # noqa: BLE001 - whatever went wrong with one source, the others are still evaluated
            text = str(exc) if isinstance(exc, MunimentError) else type(exc).__name__
            found = Evaluation(frozenset(), problems=(f"{source.name}: {text}",))
        if found.problems:
            before = self._failures.get(source.name, _Failing(0, now, whole=False))
            self._failures[source.name] = _Failing(before.rounds + 1, before.since_unix_nano, whole=not found.kinds)
        else:
            self._failures.pop(source.name, None)
        return found

    def _own_trouble(self) -> Evaluation:
        """An alert for each source that could not be evaluated whole for some rounds: silence must not look like health."""
        alerts = tuple(
            _failing_alert(name, failing)
            for name, failing in sorted(self._failures.items())
            if failing.rounds >= FAILING_ROUNDS
        )
        return Evaluation(frozenset({"alerting"}), alerts)

    def _keep(self, evaluations: Sequence[Evaluation], now: int) -> tuple[Changes, dict[str, int]]:
        """Keep what changed; also how much each target had not been told of when the round began."""
        known, deliveries = self._store.list_alerts(), self._store.list_deliveries()
        if gone := {each.target for each in deliveries} - set(self._names):
            self._say(f"no longer targets: {', '.join(sorted(gone))}")
            self._store.forget_targets(self._names)
        behind = {
            target.name: waiting(target, self._names, known, _of_target(deliveries, target.name))
            for target in self._targets
        }
        unsettled = {record.fingerprint for records in behind.values() for record in records}
        changes = compare(known, evaluations, now, unsettled=unsettled)
        self._store.keep_alerts(changes.keep, forget=changes.forget)
        self._store.add_deliveries(
            [
                DeliveryRecord(target.name, alert.fingerprint)
                for each in evaluations
                for alert in each.alerts
                for target in self._targets
                if is_for(alert, target, self._names)
            ]
        )
        return changes, {name: len(records) for name, records in behind.items()}

    def _record(self, context: CommandContext, changes: Changes) -> list[str]:
        fresh = {(FIRED, record.fingerprint) for record in changes.began}
        fresh |= {(RESOLVED, record.fingerprint) for record in changes.ended}
        try:
            record_alerts(context, fresh)
        except MunimentError as exc:
            return [f"not on record yet: {exc}"]
        return []

    def _safe_round(self) -> None:
        try:
            self.round()
        except Exception as exc:  # noqa: BLE001 - the next round comes all the same
            text = str(exc) if isinstance(exc, MunimentError) else type(exc).__name__
            self._say(f"a round failed: {text}")

    def _tell(self, done: Round) -> None:
        """Say what changed, and problems once: a line a minute would hide them."""
        if done.began or done.ended or done.problems != self._said:
            self._say(
                f"round of {done.seconds:.1f} s: {done.firing} fire, {done.began} began, {done.ended} ended"
                + "".join(f"; {problem}" for problem in done.problems)
            )
        self._said = done.problems

    def _turns(self) -> dict[str, Turn]:
        found: dict[str, Turn] = {}

        def take(courier: Courier) -> None:
            name = courier.config.name
            try:
                found[name] = courier.turn()
            except Exception as exc:  # noqa: BLE001 - said of this target, the others go on
                found[name] = Turn(problem=f"target {name}: {type(exc).__name__}")

        threads = []
        for courier in self._couriers:
            courier.wake()
            thread = threading.Thread(target=take, args=(courier,), daemon=True)
            thread.start()
            threads.append((courier, thread))
        deadline = time.monotonic() + 2 * max((each.config.timeout_seconds for each in self._couriers), default=0.0)
        for courier, thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                found[courier.config.name] = Turn(problem=f"target {courier.config.name}: not done in time")
        return dict(sorted(found.items()))

    def _take_over(self) -> bool:
        """Take the lock, as soon as it is free; False where the loop is to end first."""
        told = False
        while not self._lock.acquire(holder="muniment alert watch"):
            if not told:
                self._say("another process watches this lake: standing by")
                told = True
            if self._stopping.wait(_STANDBY_SECONDS):
                return False
        return True

    def _lock_free_after(self, stops: Sequence[Callable[[float], None]]) -> None:
        for stop in stops:
            stop(_STOP_SECONDS)
        self._lock.release()


def _failing_alert(name: str, failing: _Failing) -> Alert:
    what = "cannot be evaluated" if failing.whole else "cannot be evaluated whole"
    return Alert(
        name="AlertEvaluationFailing",
        kind="alerting",
        tenant=LAKE_TENANT,
        severity="page" if failing.whole else "ticket",
        labels={"source": name},
        summary=f"{name} {what}: what fired before goes on firing, nothing new is found",
        description="`muniment status` says which, and why.",
        starts_unix_nano=failing.since_unix_nano,
        runbook="alert-evaluation-failing.md",
    )


def _of_target(deliveries: Sequence[DeliveryRecord], name: str) -> dict[str, DeliveryRecord]:
    return {each.fingerprint: each for each in deliveries if each.target == name}


@dataclass(frozen=True)
class Queue:
    """What one target has still to be told."""

    target: str
    type: str
    waiting: int
    oldest_unix_nano: int | None
    last_sent_unix_nano: int | None
    problem: str | None


def read_queues(
    targets: Sequence[TargetConfig], records: Sequence[AlertRecord], deliveries: Sequence[DeliveryRecord]
) -> list[Queue]:
    """How far each target is behind, from what is kept: no loop needs to run."""
    names = [target.name for target in targets]
    found = []
    for target in targets:
        told = _of_target(deliveries, target.name)
        behind = waiting(target, names, records, told)
        failing = [each for each in told.values() if each.problem]
        newest = max(failing, key=lambda each: each.tried_unix_nano or 0, default=None)
        found.append(
            Queue(
                target=target.name,
                type=target.type,
                waiting=len(behind),
                oldest_unix_nano=min((each.ends_unix_nano or each.seen_unix_nano for each in behind), default=None),
                last_sent_unix_nano=max((each.sent_unix_nano or 0 for each in told.values()), default=0) or None,
                problem=None if newest is None else newest.problem,
            )
        )
    return found
