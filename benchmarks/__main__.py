"""Run benchmarks: `python -m benchmarks [NAME …] [--quick]`, all of them by default.

Prints a table with the bar that each figure is held to, and writes `results.json` into the cache folder. Exits with 1 when a
bar is missed.
"""

import argparse
import importlib
import time
from pathlib import Path

from benchmarks.machine import cache_folder, describe_machine
from benchmarks.results import Figure, save, show

NAMES = ("decode", "ingest", "small", "latency", "tenants", "disk", "query", "writer")
_MODULES = {"small": "small_requests"}


def main() -> int:
    """Run what was named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="less of everything: minutes instead of half an hour")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"expected some of {', '.join(NAMES)}, got {', '.join(sorted(unknown))}")
    machine = describe_machine()
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, load {machine['load']}")
    figures: list[Figure] = []
    for name in arguments.names or NAMES:
        started = time.monotonic()
        found = importlib.import_module(f"benchmarks.{_MODULES.get(name, name)}").run(quick=arguments.quick)
        show(found)
        print(f"{name}: {time.monotonic() - started:.0f} s\n")
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
