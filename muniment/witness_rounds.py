"""Rounds of witnessing inside the collector: every so often, what the lake says about itself goes to its witnesses.

One round serves all tenants: the heads of the logs that grew become a `log.heads` event of `_lake`, and once that is committed
the logs of `_lake` go to each witness. A thread of its own and one a witness: a witness that is down or slow holds up neither
ingest nor the others; after each failure twice as many rounds go by without it, up to an hour.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry import metrics

from muniment.settings import MunimentConfig
from warehouse.clock import NANOS_PER_SECOND, Clock
from warehouse.lake import Lake
from warehouse.ledger.errors import NoteError
from warehouse.ledger.heads import LakeHeads, LogHead, read_heads
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.ledger.note import parse_note
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.witnessing import (
    CosignatureStore,
    WitnessClient,
    WitnessEndpoint,
    WitnessRefusalError,
    WitnessUnavailableError,
    parse_endpoint,
)
from warehouse.locks import FileLock
from warehouse.names import LAKE_TENANT
from warehouse.own_events import OwnEvent

HEADS_A_RECORD = 500
"""About 60 KB of JSON."""

_FLUSH_SECONDS = 60.0
_STOP_SECONDS = 1.0
_FIRST_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 3600.0
_MAX_DOUBLINGS = 30


@dataclass(frozen=True)
class WitnessStatus:
    """How far one configured witness has come. Time in nanoseconds since 1970, 0 for never."""

    name: str
    url: str
    last_cosigned_unix_nano: int
    logs: int
    logs_behind: int


@dataclass
class _Turn:
    """One witness between rounds. While its request runs, the request's thread alone writes here."""

    client: WitnessClient
    last_cosigned_seconds: int
    failures: int = 0
    rounds_to_skip: int = 0
    problem: str = ""
    thread: threading.Thread | None = field(default=None, repr=False)

    def comes(self) -> bool:
        """Whether the witness is asked in this round."""
        if self.thread is not None and self.thread.is_alive():
            return False
        self.rounds_to_skip -= 1
        return self.rounds_to_skip < 0


class WitnessRounds:
    """Asks the witnesses of one lake. `start` and `stop` once each; without witnesses both do nothing.

    `append` makes own events durable, `flush` waits until all that was appended is committed. Of several collectors on one
    lake one does the rounds, and another takes over when it ends.
    """

    def __init__(
        self,
        lake: Lake,
        settings: MunimentConfig,
        *,
        append: Callable[[list[OwnEvent]], None],
        flush: Callable[[float], None],
        clock: Clock,
    ) -> None:
        self._lake = lake
        self._lake_name = settings.lake
        self._interval_seconds = settings.witness_interval_seconds
        self._append = append
        self._flush = flush
        self._clock = clock
        self._lock = FileLock(lake.run / "witness-rounds.lock")
        self._holds_lock = False
        self._head_sizes: dict[str, int] = {}
        self._problems: tuple[str, ...] = ()
        self._stopping = threading.Event()
        endpoints = read_endpoints(settings)
        store = CosignatureStore(lake, [endpoint.verifier for endpoint in endpoints])
        self._turns = [
            _Turn(WitnessClient(endpoint, store), store.last_cosigned_seconds(endpoint.verifier) or 0)
            for endpoint in endpoints
        ]
        self._requests = metrics.get_meter("muniment.collector").create_counter(
            "muniment.witness.requests", unit="{request}", description="checkpoints sent to witnesses, by outcome"
        )
        self._thread = threading.Thread(target=self._run, name="witness-rounds", daemon=True)
        self._observe()

    def start(self) -> None:
        """Begin the rounds."""
        if self._turns:
            self._thread.start()

    def stop(self) -> None:
        """End the rounds; a request under way is left behind, as its answer may take long and nothing depends on it."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)
        self._lock.release()

    def state(self) -> dict[str, Any]:
        """What `status` asks a running collector: whether it does the rounds, and what is wrong."""
        return {
            "holds_lock": self._holds_lock,
            "problems": list(self._problems),
            "witnesses": {turn.client.endpoint.name: turn.problem for turn in self._turns},
        }

    def run_round(self) -> None:
        """Ask every witness whose turn it is; returns once their requests run.

        Raises:
            MunimentError: the heads could not be recorded; no witness was asked.
        """
        asked = [turn for turn in self._turns if turn.comes()]
        if not asked:
            return
        heads = self._record_heads()
        for turn in asked:
            turn.thread = threading.Thread(target=self._ask, args=(turn, heads), name="witness-request", daemon=True)
            turn.thread.start()

    def _run(self) -> None:
        wait_seconds = self._first_wait_seconds()
        while not self._stopping.wait(wait_seconds):
            wait_seconds = self._interval_seconds
            try:
                self._holds_lock = self._holds_lock or self._lock.acquire(holder=f"a collector (pid {os.getpid()})")
                if self._holds_lock:
                    self.run_round()
            except Exception as exc:  # noqa: BLE001 - the next round may work whatever stopped this one; status shows it
                self._problems = (f"{type(exc).__name__}: {exc}",)

    def _first_wait_seconds(self) -> float:
        """Keep the interval across restarts: a collector that starts often must not ask more often."""
        newest = max(turn.last_cosigned_seconds for turn in self._turns)
        left = newest + self._interval_seconds - self._clock() / NANOS_PER_SECOND
        return min(max(left, _FIRST_SECONDS), self._interval_seconds)

    def _record_heads(self) -> list[LogHead]:
        """Record the heads of logs that grew, and return the logs of `_lake` with that record committed."""
        found = self._read_heads()
        grown = found.grown(self._head_sizes)
        if grown:
            self._append([_heads_event(heads) for heads in _by_tenant(grown)])
            self._head_sizes.update({head.checkpoint.origin: head.checkpoint.size for head in grown})
            self._flush(_FLUSH_SECONDS)
        self._problems = found.problems
        return self._read_heads(LAKE_TENANT).of_lake() if grown else found.of_lake()

    def _read_heads(self, tenant: str | None = None) -> LakeHeads:
        return read_heads(self._lake, read_signing_keys(self._lake.keys), lake_name=self._lake_name, tenant=tenant)

    # -- thread of one witness

    def _ask(self, turn: _Turn, heads: list[LogHead]) -> None:
        """Get each log that the witness has not cosigned as it is cosigned; a log that fails does not stop the next."""
        problems = []
        for head in heads:
            if self._stopping.is_set():
                return
            try:
                if turn.client.is_cosigned(head):
                    continue
                cosignature = turn.client.cosign(head)
                turn.last_cosigned_seconds = max(turn.last_cosigned_seconds, cosignature.time_seconds)
                self._count(turn, "cosigned")
            except WitnessUnavailableError as exc:
                self._count(turn, "unavailable")
                problems.append(str(exc))
                break  # each further log would wait as long for nothing
            except WitnessRefusalError as exc:
                self._count(turn, "refused")
                problems.append(str(exc))
            except Exception as exc:  # noqa: BLE001 - a thread that ended would look like a witness that is asked for ever
                self._count(turn, "failed")
                problems.append(f"{head.checkpoint.origin}: {type(exc).__name__}: {exc}")
        turn.problem = "; ".join(problems)
        turn.failures = turn.failures + 1 if problems else 0
        turn.rounds_to_skip = self._rounds_to_skip(turn.failures)

    def _rounds_to_skip(self, failures: int) -> int:
        if not failures:
            return 0
        longest = int(_LONGEST_BACKOFF_SECONDS // self._interval_seconds)
        return int(min(2 ** min(failures - 1, _MAX_DOUBLINGS) - 1, longest))

    # -- measures

    def _count(self, turn: _Turn, outcome: str) -> None:
        self._requests.add(1, {"witness": turn.client.endpoint.name, "outcome": outcome})

    def _observe(self) -> None:
        metrics.get_meter("muniment.collector").create_observable_gauge(
            "muniment.witness.age",
            [lambda _options: self._ages()],
            unit="s",
            description="time since a witness cosigned last",
        )

    def _ages(self) -> Iterator[metrics.Observation]:
        now_seconds = self._clock() / NANOS_PER_SECOND
        for turn in self._turns:
            if turn.last_cosigned_seconds:
                attributes = {"witness": turn.client.endpoint.name}
                yield metrics.Observation(now_seconds - turn.last_cosigned_seconds, attributes)


def read_endpoints(settings: MunimentConfig) -> list[WitnessEndpoint]:
    """The witnesses that the settings name."""
    return [parse_endpoint(witness.url, witness.vkey) for witness in settings.witnesses]


def witness_status(lake: Lake, settings: MunimentConfig) -> list[WitnessStatus]:
    """How far each configured witness has come, from what the lake holds: no collector needs to run."""
    endpoints = read_endpoints(settings)
    store = CosignatureStore(lake, [endpoint.verifier for endpoint in endpoints])
    texts = {file.parent.name: _text(file) for file in lake.path.glob(f"ledger/{LAKE_TENANT}/*/{CHECKPOINT_FILE}")}
    found = []
    for endpoint in endpoints:
        newest = {shard: store.newest(shard, endpoint.verifier) for shard in texts}
        behind = [shard for shard, text in texts.items() if (last := newest[shard]) is None or last[0].text != text]
        times = [last[1].time_seconds for last in newest.values() if last is not None]
        last_nano = max(times, default=0) * NANOS_PER_SECOND
        found.append(WitnessStatus(endpoint.name, endpoint.url, last_nano, len(texts), len(behind)))
    return found


def _text(checkpoint_file: Path) -> str:
    try:
        return parse_note(checkpoint_file.read_bytes()).text
    except NoteError:
        return ""


def _by_tenant(heads: Sequence[LogHead]) -> Iterator[Sequence[LogHead]]:
    """The heads of one tenant at a time: whoever is shown the record of one learns of no other."""
    for tenant in dict.fromkeys(head.tenant for head in heads):
        own = [head for head in heads if head.tenant == tenant]
        for at in range(0, len(own), HEADS_A_RECORD):
            yield own[at : at + HEADS_A_RECORD]


def _heads_event(heads: Sequence[LogHead]) -> OwnEvent:
    attributes = {"heads": [head.to_json() for head in heads]}
    return OwnEvent(
        LAKE_TENANT, "log.heads", "muniment:collector", fields={"resource_type": "log"}, attributes=attributes
    )
