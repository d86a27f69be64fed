"""How the last round went, in a small file of the lake's folder `run`: the loop writes it, `status` and the collector read it."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from warehouse.durable import replace_file
from warehouse.lake import Lake

if TYPE_CHECKING:
    from muniment.alerting import Round

FILE = "alert-state.json"


@dataclass(frozen=True)
class AlertState:
    """The last round: when it began, how long it took, and how often rounds come."""

    round_unix_nano: int
    round_seconds: float
    interval_seconds: float
    problems: tuple[str, ...] = ()

    @classmethod
    def of_round(cls, done: "Round", interval_seconds: float) -> Self:
        """What is kept of a round."""
        return cls(done.began_unix_nano, done.seconds, interval_seconds, done.problems)


def write_state(lake: Lake, state: AlertState) -> None:
    """Put the state in place of the one before."""
    replace_file(lake.run / FILE, json.dumps(asdict(state)).encode())


def read_state(lake: Lake) -> AlertState | None:
    """The last state; None where no round ever ended, or the file is not one of this version."""
    try:
        content = json.loads((lake.run / FILE).read_bytes())
        return AlertState(**{**content, "problems": tuple(content["problems"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
