"""What a collector says about itself: that it started, still listens, and stopped, and how much it took since.

These are ledgered events like everybody's, in the log of `_lake` and of each tenant that sent something that day. With them
"nothing happened" differs from "nobody listened": `warehouse.ledger.listening` reads the gaps off them. A collector that was
killed says nothing; the next one's `collector.started` tells when it was last heard.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from collectors.decode import DecodedGroup
from collectors.exports import Export, Outcome, Sender, Signal
from collectors.pipeline import GroupPipeline
from warehouse.clock import Clock, utc_date, utc_text
from warehouse.durable import replace_file
from warehouse.errors import MunimentError, UnavailableError
from warehouse.ledger.listening import HEARTBEAT, INTERVAL_ATTRIBUTE, STARTED, STOPPED
from warehouse.names import LAKE_TENANT
from warehouse.own_events import OwnEvent

_LOG = logging.getLogger("muniment.collector")
_RECORDED_BY = "muniment:collector"
_START_SECONDS = 30.0
CHECKPOINT_AGE_ATTRIBUTE = "muniment.checkpoint_age_seconds"

Append = Callable[[list[OwnEvent]], Future[None]]
"""Queues own events; the future resolves once they are durable."""


@dataclass(frozen=True)
class Counts:
    """Records accepted, records rejected, and entries that went to quarantine."""

    accepted: int = 0
    rejected: int = 0
    quarantined: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.accepted + other.accepted, self.rejected + other.rejected, self.quarantined + other.quarantined
        )


class Tally:
    """What each tenant sent since the last heartbeat, and who was active today. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, Counts] = {}
        self._last_active: dict[str, date] = {}

    def add(self, counts: Mapping[str, Counts]) -> None:
        """Count for each tenant."""
        today = utc_date(self._clock())
        with self._lock:
            for tenant, more in counts.items():
                self._counts[tenant] = self._counts.get(tenant, Counts()) + more
                self._last_active[tenant] = today

    def take(self) -> dict[str, Counts]:
        """Counts since the last `take`, of every tenant that was active today or since."""
        today = utc_date(self._clock())
        with self._lock:
            taken, self._counts = self._counts, {}
            self._last_active = {tenant: day for tenant, day in self._last_active.items() if day == today}
            return {tenant: taken.get(tenant, Counts()) for tenant in sorted({*taken, *self._last_active})}


@dataclass(frozen=True)
class TalliedPipeline(GroupPipeline):
    """A pipeline that tells the tally what became of each request."""

    tally: Tally

    def process(
        self, exports: Sequence[Export], *, transactions: tuple[tuple[str, int], ...] = (), keep_empty: bool = True
    ) -> tuple[DecodedGroup, Future[None]]:
        """As `GroupPipeline.process`; what was accepted is counted once it is durable."""
        decoded, durable = super().process(exports, transactions=transactions, keep_empty=keep_empty)
        counts: dict[str, Counts] = {}

        def count(sender: Sender, more: Counts) -> None:
            counts[sender.tenant_id] = counts.get(sender.tenant_id, Counts()) + more

        for export, outcome in zip(exports, decoded.outcomes, strict=True):
            if isinstance(outcome, Outcome):
                count(export.sender, Counts(accepted=outcome.accepted, rejected=outcome.rejected))
        for at, _ in decoded.refusals:
            count(exports[at].sender, Counts(quarantined=1))
        durable.add_done_callback(lambda done: self.tally.add(counts) if done.exception() is None else None)
        return decoded, durable

    def quarantine_body(
        self, signal: Signal, sender: Sender, *, content_type: str, size_bytes: int, reason: str, digest: bytes
    ) -> None:
        """As `GroupPipeline.quarantine_body`, counted."""
        super().quarantine_body(
            signal, sender, content_type=content_type, size_bytes=size_bytes, reason=reason, digest=digest
        )
        self.tally.add({sender.tenant_id: Counts(quarantined=1)})


class Heartbeat:
    """Says what one collector does. `start` and `stop` once each, in the thread that owns the collector.

    `heard_file` keeps, beside the lake's sockets, when it last said something. `checkpoint_age_seconds` tells how long ago a
    tenant's log was signed, None where it was not yet.
    """

    def __init__(
        self,
        *,
        shard: str,
        interval_seconds: float,
        append: Append,
        tally: Tally,
        heard_file: Path,
        clock: Clock,
        version: str,
        checkpoint_age_seconds: Callable[[str], float | None] = lambda _tenant: None,
    ) -> None:
        self._checkpoint_age_seconds = checkpoint_age_seconds
        self._shard = shard
        self._interval_seconds = interval_seconds
        self._append = append
        self._tally = tally
        self._heard_file = heard_file
        self._clock = clock
        self._version = version
        self._since = clock()
        self._unsaid: dict[str, Counts] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Say that the collector starts, durably, and go on from there.

        Raises:
            UnavailableError: it cannot be recorded.
        """
        now = self._clock()
        attributes = {INTERVAL_ATTRIBUTE: self._interval_seconds, "muniment.version": self._version}
        fields = {}
        before = _last_heard(self._heard_file)
        if before is not None:
            attributes["muniment.last_heard_unix_nano"] = before["unix_nano"]
            attributes["muniment.last_ending"] = "stopped" if before["stopped"] else "lost"
            if not before["stopped"]:
                fields["reason"] = f"the collector before was last heard at {utc_text(before['unix_nano'])}"
        event = self._event(LAKE_TENANT, STARTED, attributes, fields)
        try:
            self._append([event]).result(_START_SECONDS)
        except TimeoutError as exc:
            raise UnavailableError(f"{STARTED} was not durable within {_START_SECONDS:g} s") from exc
        self._since = now
        self._note_heard(stopped=False)
        self._thread.start()

    def stop(self) -> None:
        """Say that the collector stops, with what it took since the last heartbeat; nothing if it never started."""
        if self._thread.ident is None:
            return
        self._stopping.set()
        self._thread.join()
        self._say(STOPPED)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            self._say(HEARTBEAT)

    def _say(self, name: str) -> None:
        """Record one event in the lake's log and those of the active tenants; what fails is counted in the next."""
        now = self._clock()
        counts = self._tally.take()
        for tenant, before in self._unsaid.items():
            counts[tenant] = counts.get(tenant, Counts()) + before
        total = sum(counts.values(), Counts())
        events = [
            self._event(tenant, name, self._figures(tenant, figures))
            for tenant, figures in {LAKE_TENANT: total, **counts}.items()
        ]
        try:
            # The writer answers every batch, sooner or later, so this waits without an end.
            self._append(events).result()
        except MunimentError as exc:
            _LOG.warning("%s was not recorded: %s", name, exc)
            self._unsaid = counts
            return
        self._unsaid = {}
        self._since = now
        self._note_heard(stopped=name == STOPPED)

    def _figures(self, tenant: str, counts: Counts) -> dict[str, Any]:
        age = self._checkpoint_age_seconds(tenant)
        return {
            **({} if age is None else {CHECKPOINT_AGE_ATTRIBUTE: round(age, 3)}),
            INTERVAL_ATTRIBUTE: self._interval_seconds,
            "muniment.since_unix_nano": self._since,
            "muniment.accepted": counts.accepted,
            "muniment.rejected": counts.rejected,
            "muniment.quarantined": counts.quarantined,
        }

    def _event(
        self, tenant: str, name: str, attributes: Mapping[str, Any], fields: Mapping[str, Any] | None = None
    ) -> OwnEvent:
        columns = {"resource_type": "collector", "resource_id": self._shard, **(fields or {})}
        return OwnEvent(tenant, name, _RECORDED_BY, fields=columns, attributes=attributes)

    def _note_heard(self, *, stopped: bool) -> None:
        content = json.dumps({"unix_nano": self._clock(), "stopped": stopped}).encode()
        try:
            replace_file(self._heard_file, content)
        except OSError as exc:
            # The event in the log is what counts; this file only lets the next start say so in words.
            _LOG.warning("%s: %s", self._heard_file, exc.strerror)


def _last_heard(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_bytes())
        return {"unix_nano": int(content["unix_nano"]), "stopped": bool(content["stopped"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
