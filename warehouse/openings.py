"""`log.opened`: a shard says in the log of `_lake` that a log begins, in the journal right behind its first entries.

A log that nobody was told of could vanish without a trace, so every log's beginning is a record in another one. The first of
a shard's identity also says which logs were closed for it, and why.
"""

import logging
from collections.abc import Collection, Iterable, Sequence

from warehouse.clock import Clock
from warehouse.ledger.checkpoint import log_origin
from warehouse.names import LAKE_TENANT
from warehouse.own_events import OwnEvent, own_event_records
from warehouse.treated import Redactor, TreatedBatch

EVENT_NAME = "log.opened"
_LOG = logging.getLogger("muniment.writer")
_RECORDED_BY = "muniment:writer"


class LogOpenings:
    """What one shard still has to say. The shard's sequencer owns it; not thread-safe.

    `closed` are (identity, reason) of the logs that were closed for this shard's identity.
    """

    def __init__(
        self, shard: str, closed: Sequence[tuple[str, str]], *, redactor: Redactor, lake_name: str, clock: Clock
    ) -> None:
        self._shard = shard
        self._closed = list(closed)
        self._redactor = redactor
        self._lake_name = lake_name
        self._clock = clock
        self._unsaid: set[str] = set()

    def note(self, tenants: Iterable[str]) -> None:
        """Remember that the logs of these tenants begin."""
        self._unsaid.update(tenants)

    def due(self, known: Collection[str]) -> TreatedBatch | None:
        """The events to record now, None without any. `known` are the tenants that have a log: saying it may begin `_lake`'s."""
        if not self._unsaid:
            return None
        tenants = sorted(self._unsaid if LAKE_TENANT in known else {*self._unsaid, LAKE_TENANT})
        try:
            events = [self._event(tenant) for tenant in tenants]
            return self._redactor.treat(own_event_records(events, now_unix_nano=self._clock()))
        except Exception as exc:  # noqa: BLE001 - the entries are durable already and the sequencer lives on: said later
            _LOG.warning("%s for %s: %s", EVENT_NAME, ", ".join(tenants), exc)
            return None

    def said(self) -> None:
        """What was due is durable."""
        self._unsaid.clear()
        self._closed.clear()

    def _event(self, tenant: str) -> OwnEvent:
        attributes = {}
        if self._closed:
            attributes["muniment.log.closed"] = [identity for identity, _ in self._closed]
            attributes["muniment.log.reason"] = [reason for _, reason in self._closed]
        return OwnEvent(
            LAKE_TENANT,
            EVENT_NAME,
            _RECORDED_BY,
            fields={"resource_type": "log", "resource_id": log_origin(self._lake_name, tenant, self._shard)},
            attributes=attributes,
        )
