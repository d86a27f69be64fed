"""Self-telemetry: one MeterProvider for the process, exported by OTLP where asked, and readable as Prometheus text."""

from typing import TYPE_CHECKING, Annotated

import msgspec
from opentelemetry import metrics

# Every command reads the settings below; what exports takes a tenth of a second to load, and the collector alone does.
if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader


class TelemetryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where Muniment's own metrics go. `otlp_endpoint` is the base URL of an OTLP/HTTP receiver, e.g. `http://127.0.0.1:4318`."""

    otlp_endpoint: str | None = None
    otlp_interval_seconds: Annotated[float, msgspec.Meta(gt=0)] = 30.0


def start_telemetry(config: TelemetryConfig, *, version: str) -> "MeterProvider":
    """Install the process's MeterProvider; call it once, before instruments are made."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    readers: list[MetricReader] = [PrometheusMetricReader()]
    if config.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        exporter = OTLPMetricExporter(endpoint=f"{config.otlp_endpoint.rstrip('/')}/v1/metrics")
        readers.append(
            PeriodicExportingMetricReader(exporter, export_interval_millis=config.otlp_interval_seconds * 1000)
        )
    resource = Resource({"service.name": "muniment", "service.version": version})
    provider = MeterProvider(metric_readers=readers, resource=resource)
    metrics.set_meter_provider(provider)
    return provider


def prometheus_text() -> bytes:
    """Render every metric of this process in the Prometheus text format."""
    from prometheus_client import REGISTRY, generate_latest

    return generate_latest(REGISTRY)
