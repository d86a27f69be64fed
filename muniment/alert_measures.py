"""The figures of the last round as OpenTelemetry gauges of a collector: on its `/metrics`, and by OTLP where settings say so.

The loop is another process and serves nothing: it leaves its figures in a file. Once rounds have stopped only their age is
shown: old figures would look like those of now.
"""

from collections.abc import Callable, Iterator

from opentelemetry import metrics

from muniment.alert_state import StateReader
from pipelines.alerts.gauges import GAUGES
from warehouse.clock import NANOS_PER_SECOND, Clock
from warehouse.lake import Lake


def observe_alerts(lake: Lake, clock: Clock) -> None:
    """Publish the figures of this lake's rounds; once a process, after its telemetry started."""
    reader = StateReader(lake)
    meter = metrics.get_meter("muniment.alerts")

    def observe(name: str) -> Callable[[metrics.CallbackOptions], Iterator[metrics.Observation]]:
        def points(_options: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
            state = reader.read()
            if state is None or state.is_stale(clock()):
                return
            for point in state.points.get(name, ()):
                yield metrics.Observation(point.value, point.attributes)

        return points

    def age(_options: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
        state = reader.read()
        if state is not None:
            yield metrics.Observation((clock() - state.round_unix_nano) / NANOS_PER_SECOND)

    for name, gauge in GAUGES.items():
        meter.create_observable_gauge(name, [observe(name)], unit=gauge.unit, description=gauge.description)
    meter.create_observable_gauge(
        "muniment.alerts.round.age", [age], unit="s", description="time since the last round of evaluation began"
    )
