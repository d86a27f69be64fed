"""How the last round went, in a small file of the lake's folder `run`: the loop writes it, `status` and collectors read it."""

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipelines.alerts.gauges import Point, Points
from warehouse.clock import NANOS_PER_SECOND
from warehouse.durable import replace_file
from warehouse.lake import Lake

FILE = "alert-state.json"
STALE_ROUNDS = 3
"""After the time of so many rounds without one, its figures are no longer those of now."""


@dataclass(frozen=True)
class AlertState:
    """The last round: when it began, how long it took, how often rounds come, and the figures that leave as metrics."""

    round_unix_nano: int
    round_seconds: float
    interval_seconds: float
    problems: tuple[str, ...] = ()
    points: Points = field(default_factory=dict)

    def is_stale(self, now_unix_nano: int) -> bool:
        """Whether rounds have stopped, so that what it says is not known to hold."""
        patience = STALE_ROUNDS * max(self.interval_seconds, self.round_seconds)
        # one from the future was written under a clock that has gone back since
        return abs(now_unix_nano - self.round_unix_nano) > patience * NANOS_PER_SECOND


def write_state(lake: Lake, state: AlertState) -> None:
    """Put the state in place of the one before."""
    content = asdict(state) | {
        "points": {name: [asdict(each) for each in found] for name, found in state.points.items()}
    }
    replace_file(lake.run / FILE, json.dumps(content).encode())


def read_state(lake: Lake) -> AlertState | None:
    """The last state; None where no round ever ended, or the file is not one of this version."""
    try:
        return _state_of(json.loads((lake.run / FILE).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _state_of(content: dict[str, Any]) -> AlertState:
    points = {name: tuple(Point(**each) for each in found) for name, found in content["points"].items()}
    return AlertState(**{**content, "problems": tuple(content["problems"]), "points": points})


class StateReader:
    """Reads the state as often as asked, from the disk only where the file is another one. Thread-safe."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._file: Path = lake.run / FILE
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._state: AlertState | None = None

    def read(self) -> AlertState | None:
        """The last state."""
        try:
            status = self._file.stat()
        except OSError:
            return None
        with self._lock:
            if (status.st_ino, status.st_mtime_ns) != self._seen:
                self._state = read_state(self._lake)
                self._seen = (status.st_ino, status.st_mtime_ns)
            return self._state
