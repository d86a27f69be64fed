"""`muniment slo` on a real lake: from a file that is checked to an alert that is due, and back to the rows."""

import json
import re
import time

import pytest

from muniment.cli.app import run
from tests.template import init_lake

SECOND = 1_000_000_000
CHECKOUT = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout, annotations: {muniment/minimum-events: "5"}}
spec:
  service: agents
  indicator:
    metadata: {name: checkout}
    spec:
      ratioMetric:
        rawType: failure
        raw:
          metricSource:
            type: muniment
            spec: {sql: "select time_unix_nano, shard, log_index, status_code is not distinct from 'ERROR' as bad from spans"}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.95}]
  alertPolicies: [page-and-ticket]
"""


def spans(failed, whole=20):
    """An OTLP request of `whole` tasks, the first `failed` of which ended in an error, all now."""
    made = [
        {
            "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "invoke_agent desk",
            "startTimeUnixNano": str(time.time_ns()), "endTimeUnixNano": str(time.time_ns() + SECOND),
            "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}}],
            **({"status": {"code": 2}} if number <= failed else {}),
        }
        for number in range(1, whole + 1)
    ]  # fmt: skip
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": made}]}]}


@pytest.fixture
def muniment(tmp_path, capfd):
    """Run a command on a lake with one tenant: exit code, standard output, standard error."""
    lake = str(init_lake(tmp_path / "lake", "acme"))

    def command(*words, on_lake=True):
        capfd.readouterr()
        code = run([*map(str, words), *(["--lake", lake] if on_lake else [])])
        said = capfd.readouterr()
        return code, said.out, said.err

    return command


def answer(muniment, *words):
    """Exit code and JSON of a command."""
    code, out, err = muniment(*words, "--json")
    assert out, err
    return code, json.loads(out)


def send(muniment, tmp_path, failed, name="spans.json"):
    (tmp_path / name).write_text(json.dumps(spans(failed)))
    code, _, err = muniment("import", tmp_path / name, "--tenant", "acme")
    assert code == 0, err


def test_from_a_file_to_an_alert(muniment, tmp_path):
    """A new lake counts with what comes with it; failing tasks spend the budget, page, and are found again in the rows."""
    assert len(answer(muniment, "slo", "list")[1]) == 15
    code, out, _ = muniment("slo", "compute")
    assert (code, out) == (0, "no tenant has records\n")
    send(muniment, tmp_path, failed=20)
    send(muniment, tmp_path, failed=20, name="again.json")
    code, done = answer(muniment, "slo", "compute", "--tenant", "acme")
    assert (code, done["problems"]) == (0, {})
    assert [each["tenant"] for each in done["counted"]] == ["acme"]
    due = {(each["name"], each["severity"]) for each in done["alerts"]}
    assert ("task-success-burns-in-hours", "page") in due
    code, status = answer(muniment, "slo", "status", "--tenant", "acme", "--slo", "task-success")
    (figure,) = status["figures"]
    assert (code, figure["state"], figure["total"], figure["good"]) == (1, "spent", 40, 0)
    sql = "select sum(total) as n, min(first_index) as first, max(last_index) as last, any_value(query) as query from slo_windows where sli = 'task-success'"
    code, out, _ = muniment("sql", sql, "--tenant", "acme", "--format", "json")
    (row,) = json.loads(out)
    assert row["n"] == 40
    (slo,) = [each for each in answer(muniment, "slo", "list")[1] if each["name"] == "task-success"]
    assert slo["objectives"][0]["query"] == row["query"] == figure["query"]
    again = f"select count(*) as n from spans where log_index between {row['first']} and {row['last']} and status_code = 'ERROR'"
    assert json.loads(muniment("sql", again, "--tenant", "acme", "--format", "json")[1]) == [{"n": 40}]


def test_tried_out_then_applied(muniment, tmp_path):
    """Lint names what is wrong, preview shows what would have been sent, and only applying puts it in force."""
    file = tmp_path / "checkout.yaml"
    file.write_text(CHECKOUT.replace("status_code", "status"))
    code, out, _ = muniment(
        "slo", "lint", file, tmp_path / "lake" / "policies" / "slo" / "alerting.yaml", on_lake=False
    )
    assert (code, 'column "status"' in out.replace("Referenced column", "column")) == (1, True), out
    at = next(number for number, line in enumerate(file.read_text().splitlines(), 1) if "status" in line)
    assert re.search(rf"checkout\.yaml:{at}: indicator .*\n +{at} \| .*status", out), out
    file.write_text(CHECKOUT)
    send(muniment, tmp_path, failed=6)
    code, found = answer(muniment, "slo", "preview", file, "--from", "2026-01-01", "--tenant", "acme")
    (figure,) = found["figures"]
    assert (code, figure["total"], figure["good"], figure["state"]) == (0, 20, 14, "spent")
    assert len(answer(muniment, "slo", "list")[1]) == 15
    (tmp_path / "lake" / "policies" / "slo" / "checkout.yaml").write_text(CHECKOUT)
    code, out, _ = muniment("policy", "diff", "slo")
    assert "SLO checkout: begins" in out
    assert muniment("policy", "apply", "slo", "--yes")[0] == 0
    assert len(answer(muniment, "slo", "list")[1]) == 16
    code, out, err = muniment(
        "sql",
        "select count(*) as n from audit_events where action = 'slo preview'",
        "--tenant",
        "acme",
        "--format",
        "json",
    )
    assert json.loads(out) == [{"n": 1}], err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("slo", "status", "--slo", "none"), 2, "got 'none'"),
        (("slo", "status", "--tenant", "globex"), 2, "got 'globex'"),
        (("slo", "preview", "none.yaml", "--from", "2026-01-01"), 2, "expected a file"),
        (("slo", "lint", "none.yaml"), 2, "expected a file"),
    ],
)
def test_what_is_not_there(muniment, words, code, said):
    """An SLO, a tenant or a file that there is not ends with usage."""
    found, _, err = muniment(*words, on_lake=words[1] != "lint")
    assert (found, said in err) == (code, True), err
