"""The dashboard against the metrics that there are: nothing asked for that nobody serves, nothing from elsewhere."""

import json
import re
from pathlib import Path

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from pipelines.alerts.gauges import GAUGES

FILE = Path(__file__).parents[2] / "docs" / "grafana" / "muniment.json"
BUILT_IN = {"stat", "timeseries", "table"}
METRIC = re.compile(r"\bmuniment_[a-z_]+")
AGE = "muniment.alerts.round.age"


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(FILE.read_text(encoding="utf8"))


@pytest.fixture(scope="module")
def served():
    """Names of the gauges as the exporter writes them."""
    from prometheus_client import generate_latest

    reader = PrometheusMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    meter = provider.get_meter("test")
    try:
        units = {name: gauge.unit for name, gauge in GAUGES.items()} | {AGE: "s"}
        for name, unit in units.items():
            meter.create_observable_gauge(name, [lambda _options: [Observation(1)]], unit=unit)
        families = text_string_to_metric_families(generate_latest(REGISTRY).decode())
        return {
            family.name
            for family in families
            if family.name.startswith(("muniment_slo", "muniment_alerts", "muniment_inc"))
        }
    finally:
        provider.shutdown()


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_every_metric_asked_for_is_served(dashboard, served):
    """Each expression names gauges of a collector, and each gauge that the page promises is shown somewhere."""
    asked = {name for _, expression in expressions(dashboard) for name in METRIC.findall(expression)}
    assert asked == served


def test_several_collectors_count_once(dashboard):
    """Each collector of a lake serves the same figures, so every expression takes one of them before it adds up."""
    assert not [title for title, text in expressions(dashboard) if not re.search(r"\b(max|min)( by \(|\()", text)]


def test_nothing_comes_from_elsewhere(dashboard):
    """Panels that every Grafana has, one data source that the reader chooses, and no address."""
    assert {panel["type"] for panel in dashboard["panels"]} <= BUILT_IN
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {"${datasource}"}
    assert "://" not in json.dumps(dashboard)


def test_panels_do_not_overlap(dashboard):
    """Each cell of the grid belongs to one panel, and ids are unique."""
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
