"""The parts measured by themselves: decoding beside a plain loop, and the writer alone."""

import subprocess
import sys
from pathlib import Path

from benchmarks import decode
from benchmarks.results import Figure

BAR_RATIO = 5.0


def run_decode(*, quick: bool) -> list[Figure]:
    """CPU of decoding a span in the process itself, and how many times that a plain loop takes beside it."""
    figures = []
    for shape, sizes in decode.SHAPES.items():
        row = decode.measure(*sizes, 5 if quick else 20)
        bar = BAR_RATIO if shape == "1 x 512" else None
        note = f"plain loop {row['plain_us_per_span']:.1f} µs, {row['bytes_per_span']:.0f} bytes a span"
        figures += [
            Figure("decode", f"{shape} spans: CPU a span", row["ours_us_per_span"], "µs", note=note),
            Figure("decode", f"{shape} spans: plain loop ÷ ours", row["ratio"], "times", bar, "≥"),
        ]
    return figures


def run_writer(*, quick: bool) -> list[Figure]:
    """The writer's own benchmark, which prints what it finds."""
    tenants = ["--tenants", "60"] if quick else []
    subprocess.run([sys.executable, "-m", "benchmarks.writer", *tenants], check=True, cwd=Path(__file__).parents[1])
    return []
