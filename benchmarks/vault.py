"""What a token costs: for values that the process remembers, and for values that nobody has seen.

    python -m benchmarks vault

SQLite on the disk that temporary files are on. CPU time of this thread, median of several runs; elapsed time where a commit waits.
"""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.results import Figure
from warehouse.clock import system_clock
from warehouse.keys import LakeKeys
from warehouse.subjects import SubjectVault

BATCH = 100
NEW = 1_000
BAR_KNOWN_MICROSECONDS = 1.0
_KEYS = LakeKeys("0123456789abcdef", bytes(32))


def run(*, quick: bool) -> list[Figure]:
    """Measure known values in batches, then new ones in one call, in a vault that holds some thousands already."""
    rounds, calls = (5, 200) if quick else (15, 2_000)
    with (
        tempfile.TemporaryDirectory() as folder,
        SubjectVault.open(Path(folder) / "subjects.db", _KEYS, clock=system_clock) as vault,
    ):
        values = [f"person-{number}@example.org" for number in range(BATCH)]
        vault.tokens("acme", values)
        known = statistics.median(_known(vault, values, calls) for _ in range(rounds))
        made = [_new(vault, number) for number in range(rounds)]
    cpu, elapsed = (statistics.median(each) for each in zip(*made, strict=True))
    name = "vault"
    return [
        Figure(
            name, "token of a known value", known * 1e6, "µs CPU a value", BAR_KNOWN_MICROSECONDS, note=f"batches of {BATCH}"
        ),
        Figure(name, f"{NEW:,} new values in one call", cpu * 1e3, "ms CPU"),
        Figure(name, "the same, durable", elapsed * 1e3, "ms", note="elapsed"),
    ]  # fmt: skip


def _known(vault: SubjectVault, values: list[str], calls: int) -> float:
    started = time.thread_time()
    for _ in range(calls):
        vault.tokens("acme", values)
    return (time.thread_time() - started) / calls / len(values)


def _new(vault: SubjectVault, number: int) -> tuple[float, float]:
    values = [f"new-{number}-{place}@example.org" for place in range(NEW)]
    cpu, elapsed = time.thread_time(), time.perf_counter()
    vault.tokens("acme", values)
    return time.thread_time() - cpu, time.perf_counter() - elapsed
