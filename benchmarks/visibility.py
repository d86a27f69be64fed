"""How long an acknowledged record takes until a query sees it: probes sent, and sessions opened until each is found."""

import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.spans import SPANS_PER_TRACE, requests
from governance.access import local_principal
from warehouse.clock import system_clock
from warehouse.query import QuerySettings, open_session

_TIMEOUT_SECONDS = 60.0


@dataclass
class Probes:
    """Sends a request of one trace every `every_seconds` and finds out when it can be queried."""

    lake: Path
    port: int
    keys: dict[str, str]
    every_seconds: float
    poll_seconds: float
    acknowledged: dict[str, float] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)

    def run(self, count: int) -> list[float]:
        """Send `count` probes, by turns as each tenant, and return the seconds from each ack to the query that found it.

        Raises:
            TimeoutError: one was not found within a minute.
        """
        sender = threading.Thread(target=self._send, args=(count,))
        sender.start()
        deadline = time.monotonic() + count * self.every_seconds + _TIMEOUT_SECONDS
        while len(self.lags) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count - len(self.lags)} of {count} probes cannot be queried after a minute")
            waiting = sorted(self.acknowledged)
            if waiting:
                found = self._look(waiting)
                seen = time.monotonic()
                self.lags += [seen - self.acknowledged.pop(trace_id) for trace_id in found]
            time.sleep(self.poll_seconds)
        sender.join()
        return sorted(self.lags)

    def _look(self, waiting: Sequence[str]) -> list[str]:
        with open_session(
            self.lake, tenants=list(self.keys), principal=local_principal(), settings=QuerySettings(), tables=("spans",)
        ) as session:
            found = session.run_trusted(
                "select distinct trace_id from spans where trace_id in (select unnest(?::varchar[]))", [list(waiting)]
            )
        return [str(trace_id) for trace_id in found.column("trace_id").to_pylist()]

    def _send(self, count: int) -> None:
        tenants = list(self.keys)
        bodies = list(
            requests(count, spans=SPANS_PER_TRACE, seed=time.monotonic_ns() % 2**31, now_unix_nano=system_clock())
        )
        for number, body in enumerate(bodies):
            head = {"x-api-key": self.keys[tenants[number % len(tenants)]], "content-type": "application/x-protobuf"}
            url = f"http://127.0.0.1:{self.port}/v1/traces"
            with urllib.request.urlopen(urllib.request.Request(url, body, head), timeout=_TIMEOUT_SECONDS) as answer:
                answer.read()
            parsed = ExportTraceServiceRequest.FromString(body)
            last = parsed.resource_spans[0].scope_spans[0].spans[-1]
            self.acknowledged[last.trace_id.hex()] = time.monotonic()
            time.sleep(self.every_seconds)
