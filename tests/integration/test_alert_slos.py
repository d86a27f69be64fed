"""SLOs through the loop that alerts: an indicator that fails leaves its own alerts in doubt, and no others."""

import pytest

from muniment import alert_sources
from muniment.alert_sources import evaluate_slos
from muniment.setup import set_up_lake
from muniment.slos import SloRun, compute_slos
from muniment.wiring import command_context
from pipelines.slo.compute import Counted
from warehouse.clock import system_clock
from warehouse.errors import UnavailableError


@pytest.fixture
def context(tmp_path):
    lake, _ = set_up_lake(tmp_path / "lake", name="lab", clock=system_clock)
    made = command_context(lake.path)
    made.control.add_tenant("acme")
    yield made
    made.control.close()


def test_an_indicator_that_fails_leaves_its_alerts_in_doubt(context, alerting, monkeypatch):
    """An alert of that indicator may not end; one of another may; what is wrong is said."""

    def failing(context, **given):
        run = compute_slos(context, **given)
        return SloRun((Counted("acme", problems={"latency": "no column"}),), run.figures, run.alerts, run.policy)

    monkeypatch.setattr(alert_sources, "compute_slos", failing)
    found = evaluate_slos(context, system_clock())
    assert found.problems == ("slo acme: latency: no column",)
    assert not found.covers(alerting.alert(labels={"sli": "latency"}))
    assert found.covers(alerting.alert(labels={"sli": "errors"}))
    assert found.covers(alerting.alert(tenant="other", labels={"sli": "latency"}))
    assert not found.covers(alerting.alert(kind="incident"))


def test_a_tenant_that_fails_leaves_all_its_alerts_in_doubt(context, alerting, monkeypatch):
    """The others are computed, and may end."""

    def failing(context, *, tenants=None, now_unix_nano):
        if tenants is None or "acme" in tenants:
            raise UnavailableError("slo_windows cannot be written")
        return compute_slos(context, tenants=tenants, now_unix_nano=now_unix_nano)

    monkeypatch.setattr(alert_sources, "compute_slos", failing)
    found = evaluate_slos(context, system_clock())
    assert found.problems == ("slos of acme: slo_windows cannot be written",)
    assert not found.covers(alerting.alert(labels={"sli": "errors"}))
    assert found.covers(alerting.alert(tenant="_lake"))


def test_what_was_not_measured_has_no_figure(context):
    """A lake without records: targets, coverage 0 and the state `unmeasured`; no attainment that could be taken for good."""
    gauges = evaluate_slos(context, system_clock()).gauges
    of_acme = [point for point in gauges["muniment.slo.state"] if point.attributes["tenant"] == "acme"]
    assert {point.attributes["state"] for point in of_acme} == {"unmeasured"}
    assert [point for point in gauges["muniment.slo.attainment"] if point.attributes["tenant"] == "acme"] == []
    assert {point.value for point in gauges["muniment.slo.coverage"] if point.attributes["tenant"] == "acme"} == {0.0}
