"""Requests of 8 spans from 32 clients at once: CPU of the collector a span, and its highest resident memory."""

from benchmarks.ingest import measure
from benchmarks.results import Figure

SPANS = 8
CLIENTS = 32
BAR_MICROSECONDS = 130.0
_SEED = 12


def run(*, quick: bool) -> list[Figure]:
    """Measure both protocols."""
    return [
        figure
        for protocol in ("http", "grpc")
        for figure in measure(
            "small", protocol, 2000 if quick else 12_500, spans=SPANS, warm=1000, clients=CLIENTS, seed=_SEED,
            protocol=protocol, compressed=False, bar=BAR_MICROSECONDS,
        )
    ]  # fmt: skip
