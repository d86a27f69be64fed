"""A program that is instrumented with the OpenTelemetry SDK, run as a process of its own: it says how many spans it made, and no more.

Its exporters and processor are the SDK's. `held` spans are made while the exporter waits with the first eight, so that a queue of eight
overflows; the others come one batch at a time. The metrics of the SDK about itself leave last.
"""

import json
import sys
import threading

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

QUEUE = 8
EXPORT_SECONDS = 60


class HeldExporter(OTLPSpanExporter):
    """The SDK's exporter, which waits while it is told to."""

    busy, go = threading.Event(), threading.Event()

    def export(self, spans):
        """Export when it may."""
        self.busy.set()
        self.go.wait()
        return super().export(spans)


def main():
    """Make spans as the plan on standard input says: endpoint, key, service, instance, held, batches, counted."""
    plan = json.load(sys.stdin)
    resource = Resource({"service.name": plan["service"], "service.instance.id": plan["instance"]})
    headers = {"x-api-key": plan["key"]}
    meters = MeterProvider(
        [
            PeriodicExportingMetricReader(
                OTLPMetricExporter(endpoint=f"{plan['endpoint']}/v1/metrics", headers=headers, timeout=EXPORT_SECONDS),
                export_interval_millis=3_600_000,
            )
        ]
        if plan["counted"]
        else [],
        resource=resource,
    )
    exporter = HeldExporter(
        endpoint=f"{plan['endpoint']}/v1/traces", headers=headers, timeout=EXPORT_SECONDS, meter_provider=meters
    )
    provider = TracerProvider(
        resource=resource, meter_provider=meters, span_limits=SpanLimits(max_span_attributes=2), shutdown_on_exit=False
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=QUEUE,
            max_export_batch_size=QUEUE,
            schedule_delay_millis=3_600_000,
            meter_provider=meters,
        )
    )
    tracer = provider.get_tracer("instrumented")
    for number in range(plan["held"]):
        tracer.start_span("held", attributes={"number": number}).end()
        if (
            number == QUEUE - 1
        ):  # a batch is with the exporter before the queue overflows: the SDK counts drops of a queue that shrinks twice
            HeldExporter.busy.wait()
    HeldExporter.go.set()
    provider.force_flush()
    for size in plan["batches"]:
        for number in range(size):
            tracer.start_span("batch", attributes=dict.fromkeys("abcde", number)).end()
        provider.force_flush()
    provider.shutdown()
    meters.shutdown()
    json.dump({"made": plan["held"] + sum(plan["batches"])}, sys.stdout)


if __name__ == "__main__":
    main()
