"""Records that somebody looks, through the desk: once a minute for the same view, since a page asks again at every click.

Invariant: what was viewed stands in its tenant's log before anything of it is given to a page; where it cannot be recorded, nothing is.
A page that is drawn twice at once, first by the server and then by the program, is one view: who comes second waits for the record.
"""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from weakref import WeakValueDictionary

from muniment.wiring import CommandContext
from warehouse.clock import NANOS_PER_SECOND

ONCE_SECONDS = 60
_MOST_REMEMBERED = 10_000
_WORKERS = 4


@dataclass
class Views:
    """The views of one desk. Safe to use from several threads."""

    _recorded: dict[tuple[str, ...], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _recording: WeakValueDictionary[tuple[str, ...], threading.Lock] = field(default_factory=WeakValueDictionary)
    """By view, held by who records it, for as long as anybody else waits to learn that it is recorded."""
    _workers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_WORKERS, "views"))

    def record(
        self,
        context: CommandContext,
        tenant: str,
        kind: str,
        what: str | None,
        attributes: Mapping[str, object] = MappingProxyType({}),
        *,
        action: str = "page",
    ) -> None:
        """Record that somebody viewed something, unless the same was recorded within the last minute. What has no name always is.

        Raises:
            UnavailableError: it cannot be recorded.
        """
        key = (context.principal.recorded_by, tenant, kind, what or "")
        with self._lock:
            recording = threading.Lock() if what is None else self._recording.setdefault(key, threading.Lock())
        with recording:
            now = context.clock() / NANOS_PER_SECOND
            with self._lock:
                if what is not None and now - self._recorded.get(key, 0.0) < ONCE_SECONDS:
                    return
            context.record(
                "record.viewed", tenant, action=action, resource_type=kind, resource_id=what, attributes=attributes
            )
            with self._lock:
                if len(self._recorded) > _MOST_REMEMBERED:
                    self._recorded.clear()
                self._recorded[key] = now

    def tenants(self, since_unix_nano: int) -> list[str]:
        """At which tenants somebody looked since then, the last ones first."""
        since = since_unix_nano / NANOS_PER_SECOND
        with self._lock:
            recorded = sorted(self._recorded.items(), key=lambda each: -each[1])
        return list(dict.fromkeys(tenant for (_, tenant, *_), at in recorded if at >= since))

    @contextmanager
    def recorded_meanwhile(self, context: CommandContext, tenant: str, kind: str, what: str) -> Iterator[None]:
        """Record the view while the block reads; the block ends once it is recorded. What the block reads must not leave it before.

        Raises:
            UnavailableError: it cannot be recorded: what was read must not be given to anybody.
        """
        recording = self._workers.submit(self.record, context, tenant, kind, what)
        try:
            yield
        finally:
            recording.result()  # also where the block failed: what was asked for stands on record all the same
