"""Records what Muniment itself did: through the running collector, or through the shard `self` for a moment.

What cannot be recorded is refused: callers record first and act afterwards, and an error here stops them.
"""

import json
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from warehouse.clock import Clock
from warehouse.errors import ShardHeldError, UnavailableError
from warehouse.lake import Lake
from warehouse.local_socket import call_local_socket
from warehouse.own_events import OwnEvent, own_event_records
from warehouse.shard import ShardClaims
from warehouse.treated import Redactor

if TYPE_CHECKING:
    from warehouse.writer import WriterConfig

SELF_SHARD = "self"
TIMEOUT_SECONDS = 5.0
_RETRY_SECONDS = 0.05


class Recorder:
    """Records own events of one lake, from any process."""

    def __init__(
        self,
        lake: Lake,
        claims: ShardClaims,
        redactor: Redactor,
        config: "WriterConfig",
        *,
        lake_name: str,
        clock: Clock,
    ) -> None:
        self._lake = lake
        self._claims = claims
        self._redactor = redactor
        self._config = config
        self._lake_name = lake_name
        self._clock = clock
        self._own_shard = threading.Lock()

    def record(self, events: Sequence[OwnEvent]) -> None:
        """Make `events` durable, within five seconds.

        Raises:
            UnavailableError: neither a running collector nor the shard `self` could take them.
        """
        problems = []
        for socket in sorted(self._lake.run.glob("collector-*.sock")):
            payload = json.dumps({"op": "record", "events": [event.to_json() for event in events]}).encode()
            try:
                answer = json.loads(call_local_socket(socket, payload, timeout_seconds=TIMEOUT_SECONDS))
            except (OSError, ValueError, UnavailableError) as exc:
                problems.append(f"{socket.name}: {exc}")
                continue
            if answer.get("ok"):
                return
            problems.append(f"{socket.name}: {answer.get('error')}")
        with self._own_shard:
            self._through_own_shard(events, problems)

    def _through_own_shard(self, events: Sequence[OwnEvent], problems: list[str]) -> None:
        from warehouse.commit import open_stores
        from warehouse.writer import open_writer

        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                writer = open_writer(
                    self._lake,
                    SELF_SHARD,
                    self._claims,
                    open_stores(self._lake),
                    config=self._config,
                    clock=self._clock,
                    lake_name=self._lake_name,
                    redactor=self._redactor,
                )
                break
            except ShardHeldError as exc:
                if time.monotonic() >= deadline:
                    raise UnavailableError(
                        f"cannot record what this command does: {'; '.join([*problems, str(exc)])}",
                        hint="nothing was done; look at `muniment status`",
                    ) from exc
                time.sleep(_RETRY_SECONDS)
        try:
            records = own_event_records(events, now_unix_nano=self._clock())
            writer.append(self._redactor.treat(records)).result(TIMEOUT_SECONDS)
        finally:
            writer.stop()
