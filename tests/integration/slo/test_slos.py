"""`compute_slos`, which the loop that pages calls: figures and alerts of every tenant, and next to nothing where nothing is new."""

import json
import time
from dataclasses import replace

import pytest

from governance.access import Access
from muniment import slos as slos_module
from muniment.cli.app import run
from muniment.slos import compute_slos, slo_figures
from muniment.wiring import command_context
from pipelines.slo import compute as compute_module
from tests.template import init_lake
from warehouse.errors import DeniedError, NotFoundError
from warehouse.principals import Principal, PrincipalKind

MINUTE = 60_000_000_000


def request(failed, whole=40):
    """An OTLP request of tasks that begin now, the first `failed` of them with an error."""
    now = time.time_ns()
    made = [
        {
            "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "invoke_agent desk", "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 1), "status": {"code": 2} if number <= failed else {},
            "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}}],
        }
        for number in range(1, whole + 1)
    ]  # fmt: skip
    return json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": made}]}]})


@pytest.fixture
def context(tmp_path):
    """A lake with tenants acme and globex, and a failing agent of acme."""
    lake = init_lake(tmp_path / "lake", "acme", "globex")
    (tmp_path / "spans.json").write_text(request(failed=20))
    assert run(["import", str(tmp_path / "spans.json"), "--tenant", "acme", "--lake", str(lake)]) == 0
    made = command_context(lake)
    yield made
    made.control.close()


def test_an_alert_is_due_in_the_round_that_sees_the_records(context):
    """What was committed is counted and pages in the same run; a minute later it still does, with the same identity and start."""
    first = compute_slos(context)
    assert not first.problems
    due = {alert.name: alert for alert in first.alerts}
    alert = due["task-success-burns-in-hours"]
    assert (alert.tenant, alert.severity, alert.kind) == ("acme", "page", "slo")
    assert alert.value == pytest.approx(50)
    assert not any("trace" in label or "span" in label for label in alert.labels)
    later = compute_slos(context, now_unix_nano=context.clock() + MINUTE)
    again = {each.name: each for each in later.alerts}["task-success-burns-in-hours"]
    assert (again.fingerprint, again.starts_unix_nano) == (alert.fingerprint, alert.starts_unix_nano)
    over = compute_slos(context, now_unix_nano=context.clock() + 120 * MINUTE)
    assert "task-success-burns-in-hours" not in {each.name for each in over.alerts}
    assert "task-success-burns-in-weeks" in {each.name for each in over.alerts}


def test_a_round_without_anything_new_opens_no_session(context, monkeypatch):
    """Where the Delta logs name no file that can hold anything new, no record is read and nothing is committed."""
    compute_slos(context, settled=True)
    table = context.lake.table("slo_windows") / "_delta_log"
    before = sorted(file.name for file in table.iterdir())

    def refuse(*_args, **_more):
        raise AssertionError("expected no session")

    monkeypatch.setattr(compute_module, "open_session", refuse)
    run_again = compute_slos(context)
    assert [each.events for each in run_again.counted] == [0] * len(run_again.counted)
    assert sorted(file.name for file in table.iterdir()) == before
    assert run_again.alerts


def test_tenants_are_measured_apart(context):
    """Every SLO has a figure for each tenant, and nothing of one is in another's."""
    figures = compute_slos(context).figures
    assert {figure.tenant for figure in figures} == {"acme", "globex"}
    totals = {figure.tenant: figure.total for figure in figures if figure.slo == "task-success"}
    assert totals == {"acme": 40, "globex": 0}


def test_a_tenant_that_there_is_not_is_told(context, monkeypatch):
    """An SLO that names a tenant by a slip of the pen says so, rather than to be one that nobody looks at."""
    policy = slos_module.read_slo_policy(context.control)
    slip = replace(policy.slos[0], tenants=frozenset({"acme", "amce"}))
    monkeypatch.setattr(slos_module, "read_slo_policy", lambda _control: replace(policy, slos=(slip,)))
    assert slo_figures(context).unknown_tenants == {slip.name: ("amce",)}
    assert slo_figures(context, tenants=["acme"]).unknown_tenants == {}


def test_who_may_not_is_refused(context):
    """A key of a tenant computes nothing; a tenant that there is not is not found."""
    context.access = Access(owner="somebody")
    context.principal = Principal(PrincipalKind.API_KEY, "k1", frozenset({"acme"}))
    with pytest.raises(DeniedError, match=r"slo\.compute"):
        compute_slos(context, tenants=["acme"])
    context.principal = Principal(PrincipalKind.JOB, "alerts")
    with pytest.raises(NotFoundError, match="got 'initech'"):
        compute_slos(context, tenants=["initech"])
    assert slos_module.slo_figures(context, tenants=["acme"]).figures
