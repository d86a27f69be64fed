"""The intake's own measurements, as OpenTelemetry instruments."""

from collections.abc import Iterable

from opentelemetry import metrics


class IntakeMeasures:
    """Instruments of the intake. Units as UCUM; names `muniment.*`."""

    def __init__(self) -> None:
        meter = metrics.get_meter("muniment.collectors")
        self._accepted = meter.create_counter(
            "muniment.records.accepted", unit="{record}", description="records made durable"
        )
        self._rejected = meter.create_counter(
            "muniment.records.rejected", unit="{record}", description="records refused and quarantined"
        )
        self._bytes = meter.create_counter(
            "muniment.requests.size", unit="By", description="decompressed request bytes"
        )
        self._requests = meter.create_counter("muniment.requests", unit="{request}", description="requests answered")
        self._undecodable = meter.create_counter(
            "muniment.requests.undecodable", unit="{request}", description="bodies that were not what they claimed"
        )
        self._repeated = meter.create_counter(
            "muniment.requests.repeated", unit="{request}", description="requests recognised as sent before"
        )

    def taken(self, requests: Iterable[tuple[str, int, int, int]]) -> None:
        """Count a group of answered requests: signal, records accepted and rejected, bytes.

        Once a group, because an instrument costs ten microseconds a call.
        """
        sums: dict[str, list[int]] = {}
        for signal, *counts in requests:
            before = sums.setdefault(signal, [0, 0, 0, 0])
            sums[signal] = [total + count for total, count in zip(before, (1, *counts), strict=True)]
        for signal, (answered, accepted, rejected, size_bytes) in sums.items():
            labels = {"signal": signal}
            self._requests.add(answered, labels)
            self._accepted.add(accepted, labels)
            self._bytes.add(size_bytes, labels)
            if rejected:
                self._rejected.add(rejected, labels)

    def undecodable(self, signal: str) -> None:
        """Count one body that could not be decoded."""
        self._undecodable.add(1, {"signal": signal})

    def repeated(self) -> None:
        """Count one request that was sent again."""
        self._repeated.add(1)
