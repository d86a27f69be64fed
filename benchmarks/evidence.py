"""Evidence packs over a lake of 5 million spans and 500,000 audit events: building a SOC 2 pack of one tenant-month, verifying it.

The lake has three tenants and thirty days, so a pack covers every day of one tenant: a third of all records. Building is a
process of its own, as the command is; what verifies is the program that lies in the pack; their processor time and peak memory are the kernel's, helpers
included, from the start of Python on. Bars hold for the processor's time: on a machine that others use, the clock's says how busy it is.

    python -m benchmarks.evidence --build LAKE --from N --to N --out PACK.zip
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.evidence_lake import LAKE_NAME, evidence_lake
from benchmarks.query_lake import TENANTS, linked
from benchmarks.results import Figure
from governance.evidence.program import verifier_program
from muniment.wiring import command_context
from warehouse.clock import NANOS_PER_DAY
from warehouse.ledger.signing import read_signing_keys

BAR_BUILD_SECONDS = 30.0
BAR_BUILD_MIB = 1_536.0
BAR_VERIFY_SECONDS = 5.0
SPANS = 5_000_000
QUICK_SPANS = 500_000
_FRAMEWORK = "soc2"
_REPEAT = 3
_KIB_A_MIB = 1024


def run(*, quick: bool) -> list[Figure]:
    """Measure both, from processes that have nothing cached of their own."""
    made = evidence_lake(QUICK_SPANS if quick else SPANS)
    lake = linked(made.lake, "evidence-lake")
    command_context(lake.path).control.add_tenant(TENANTS[0])
    pack, keys = lake.path.parent / "evidence-pack.zip", lake.path.parent / "evidence.vkey"
    keys.write_text("".join(f"{key.vkey}\n" for key in read_signing_keys(lake.keys).verifiers(LAKE_NAME)))
    period = ["--from", str(made.first_unix_nano), "--to", str(made.last_unix_nano + NANOS_PER_DAY)]
    built = [_measured("--build", str(lake.path), *period, "--out", str(pack)) for _ in range(_REPEAT)]
    verified = [_verify(pack, keys) for _ in range(_REPEAT)]
    size = pack.stat().st_size / 2**20
    shutil.rmtree(lake.path)
    pack.unlink()
    keys.unlink()
    build, verify = _median(built), _median(verified)
    note = f"{made.spans:,} spans and {made.events:,} audit events, a third of them this tenant's; {build['items']:,.0f} items"
    return [
        Figure("evidence", "a SOC 2 pack of a tenant-month, processor time", build["cpu"], "s", BAR_BUILD_SECONDS, note=note),
        Figure("evidence", "the same, on the clock", build["seconds"], "s", note="beside whatever else runs"),
        Figure(
            "evidence", "the same, peak memory", max(each["mib"] for each in built), "MiB", BAR_BUILD_MIB,
            note="of the process and the largest of its helpers together",
        ),
        Figure("evidence", "verifying it, processor time", verify["cpu"], "s", BAR_VERIFY_SECONDS, note=f"{size:.1f} MiB"),
        Figure("evidence", "the same, on the clock", verify["seconds"], "s", note="beside whatever else runs"),
    ]  # fmt: skip


def _measured(*words: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.evidence", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return sorted(runs, key=lambda each: each["cpu"])[len(runs) // 2]


def _build(lake: Path, first: int, last: int, out: Path) -> dict[str, Any]:
    from muniment.evidence import build_pack  # what verifies has no use for it

    started = time.perf_counter()
    steps: list[tuple[str, float]] = []
    built = build_pack(
        command_context(lake), framework=_FRAMEWORK, tenant=TENANTS[0], from_unix_nano=first, to_unix_nano=last,
        out=out, force=True, step=lambda text: steps.append((text, round(time.perf_counter() - started, 2))),
    )  # fmt: skip
    if built.problems:
        raise RuntimeError(f"{len(built.problems)} records could not be proved: {built.problems[0]}")
    return {"items": sum(each.outcome.items for each in built.assessed.assessments), "steps": steps} | _spent(started)


def _verify(pack: Path, keys: Path) -> dict[str, float]:
    program = pack.with_name("verify_pack.py")
    program.write_bytes(verifier_program())
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-I", str(program), str(pack), "--vkey", str(keys)], check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.perf_counter() - started, "cpu": cpu}


def _spent(started: float) -> dict[str, float]:
    own, helpers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    # `ru_maxrss` of this process begins with what its parent had when it forked
    peak = int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    return {
        "seconds": time.perf_counter() - started,
        "cpu": own.ru_utime + own.ru_stime + helpers.ru_utime + helpers.ru_stime,
        "mib": (peak + helpers.ru_maxrss) / _KIB_A_MIB,
    }


def main() -> None:
    """Build once, and print what it took as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence")
    parser.add_argument("--build", type=Path, metavar="LAKE", required=True)
    parser.add_argument("--from", dest="first", type=int)
    parser.add_argument("--to", dest="last", type=int)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    print(json.dumps(_build(given.build.absolute(), given.first, given.last, given.out)))


if __name__ == "__main__":
    main()
