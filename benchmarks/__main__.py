"""Run benchmarks: `python -m benchmarks [NAME …] [--quick]`, all of them by default.

Prints a table with the bar that each figure is held to, and writes `results.json` into the cache folder. Exits with 1 when a
bar is missed.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from benchmarks import (
    commitments,
    disk,
    evidence,
    incidents,
    ingest,
    latency,
    pages,
    parts,
    prove,
    purge,
    query,
    redact,
    slo,
    small_requests,
    subject_search,
    tenants,
    vault,
    verify,
)
from benchmarks.machine import cache_folder, describe_machine
from benchmarks.results import Figure, save, show


class Benchmark(Protocol):
    """What each benchmark is."""

    def __call__(self, *, quick: bool) -> list[Figure]:
        """Run it; `quick` with less of everything."""


BENCHMARKS: Mapping[str, Benchmark] = {
    "decode": parts.run_decode,
    "writer": parts.run_writer,
    "ingest": ingest.run,
    "small": small_requests.run,
    "latency": latency.run,
    "tenants": tenants.run,
    "disk": disk.run,
    "query": query.run,
    "commitments": commitments.run,
    "verify": verify.run,
    "prove": prove.run,
    "purge": purge.run,
    "subjects": subject_search.run,
    "redact": redact.run,
    "evidence": evidence.run,
    "slo": slo.run,
    "incidents": incidents.run,
    "vault": vault.run,
    "pages": pages.run,
}


def main() -> int:
    """Run what was named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="less of everything: minutes instead of half an hour")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"expected some of {', '.join(BENCHMARKS)}, got {', '.join(sorted(unknown))}")
    machine = describe_machine()
    print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, load {machine['load']}",
        flush=True,
    )
    figures: list[Figure] = []
    for name in arguments.names or BENCHMARKS:
        started = time.monotonic()
        found = BENCHMARKS[name](quick=arguments.quick)
        if found:
            show(found)
        print(f"{name}: {time.monotonic() - started:.0f} s\n", flush=True)
        figures += found
    results = cache_folder() / "results.json"
    save(results, figures, machine)
    missed = [figure for figure in figures if figure.met is False]
    print(f"{len(figures)} figures, {len(missed)} bars missed; written to {_shown(results)}")
    return 1 if missed else 0


def _shown(file: Path) -> str:
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


if __name__ == "__main__":
    raise SystemExit(main())
