"""From ack to queryable at the default commit interval, on an otherwise quiet collector."""

from benchmarks.results import Figure
from benchmarks.server import bench_lake, running
from benchmarks.visibility import Probes

BAR_SECONDS = 3.0
_EVERY_SECONDS = 0.37
_POLL_SECONDS = 0.02


def run(*, quick: bool) -> list[Figure]:
    """Send some dozens of requests and open sessions until each is found."""
    count = 24 if quick else 80
    with bench_lake("latency", ["acme"]) as made, running(made.lake) as server:
        probes = Probes(made.lake.path, server.http_port, dict(made.keys), _EVERY_SECONDS, _POLL_SECONDS)
        lags = probes.run(count)
    note = f"{count} requests, one each {_EVERY_SECONDS:g} s; sessions opened until each was found"
    return [
        Figure("latency", "ack to queryable, worst", lags[-1], "s", BAR_SECONDS, note=note),
        Figure("latency", "ack to queryable, median", lags[len(lags) // 2], "s"),
    ]
