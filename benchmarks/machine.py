"""The machine that a benchmark ran on, and where it keeps what is made once."""

import datetime as dt
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_PARTS = ("deltalake", "duckdb", "grpcio", "numpy", "polars", "ptars", "pyarrow", "uvloop")


def cache_folder() -> Path:
    """Where lakes and requests are kept between runs: `$MUNIMENT_BENCH_CACHE`, else `benchmarks/.cache`."""
    named = os.environ.get("MUNIMENT_BENCH_CACHE")
    folder = Path(named) if named else Path(__file__).parent / ".cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def describe_machine() -> dict[str, Any]:
    """Processor, memory, system and the versions that matter. `load` is the load average before the run, over 1 minute."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PARTS},
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return f"{fields.get('model name', platform.processor())} (family {fields.get('cpu family')}, model {fields.get('model')})"
