"""The demo fleet: a month of invented agents at work, sent with the real OpenTelemetry SDK and OTLP exporters."""

from muniment.demo.exporters import Endpoints
from muniment.demo.fleet import tenant_names
from muniment.demo.play import DemoResult, run_demo
from muniment.demo.sender import DeliveryError
from muniment.demo.simulation import Progress
from muniment.demo.summary import render_summary
from muniment.demo.truth import TRUTH_FILE, write_truth

__all__ = [
    "TRUTH_FILE",
    "DeliveryError",
    "DemoResult",
    "Endpoints",
    "Progress",
    "render_summary",
    "run_demo",
    "tenant_names",
    "write_truth",
]
