"""`muniment quality` on a real lake: a day is checked, what is wrong is named with its sender, and what is unknown is no pass."""

import json
import time

import pytest

from muniment.cli.app import run
from tests.template import init_lake

SECOND = 1_000_000_000


@pytest.fixture
def now():
    """The time of a test's records: one, so that they are of one day though the clock passes its midnight."""
    return time.time_ns()


def day_of(instant):
    """The options that name a day of acme by one of its instants."""
    return ("--tenant", "acme", "--day", time.strftime("%Y-%m-%d", time.gmtime(instant // SECOND)))


def request(now, *tokens):
    """An OTLP request with a span of now for each number of input tokens."""
    made = [
        {
            "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "chat model",
            "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + SECOND),
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": str(value)}},
            ],
        }
        for number, value in enumerate(tokens, 1)
    ]  # fmt: skip
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": made}]}]}


@pytest.fixture
def muniment(tmp_path, capfd):
    """Run a command on a lake with one tenant: exit code, standard output, standard error."""
    lake = str(init_lake(tmp_path / "lake", "acme"))

    def command(*words):
        capfd.readouterr()
        code = run([*map(str, words), "--lake", lake])
        said = capfd.readouterr()
        return code, said.out, said.err

    return command


def test_a_day_is_checked_and_shown(muniment, now, tmp_path):
    """Never checked is not established; a record that is not as it should be makes the exit code 1 and is named with its sender."""
    which = day_of(now)
    assert muniment("quality", "show", *which)[0] == 4
    file = tmp_path / "spans.json"
    file.write_text(json.dumps(request(now, 5, 200_000_000)))
    assert muniment("import", file, "--tenant", "acme")[0] == 0
    code, out, _ = muniment("quality", "run", *which)
    assert code == 1
    assert "spans-tokens-sane: " in out
    code, out, _ = muniment("quality", "show", *which, "--json")
    assert code == 1
    rows = json.loads(out)["results"]
    outcomes = {row["check_name"]: row["outcome"] for row in rows}
    assert outcomes["spans-tokens-sane"] == "failed"
    assert outcomes["spans-ids-well-formed"] == outcomes["spans-no-card"] == "passed"
    assert outcomes["logs-no-mail"] == "empty"
    assert "errored" not in outcomes.values()
    (named,) = [row for row in rows if row["check_name"] == "spans-tokens-sane" and row["shard"] is not None]
    assert (named["unexpected"], named["first_index"], named["last_index"]) == (1, 1, 1)
    assert "input_tokens" in named["sql"]


def numbered(now, *numbers):
    """An OTLP request with an audit event of now for each number of a stream."""
    made = [
        {
            "timeUnixNano": str(now), "eventName": "workflow.started",
            "attributes": [
                {"key": "audit.actor.id", "value": {"stringValue": "buyer"}},
                {"key": "audit.outcome", "value": {"stringValue": "success"}},
                {"key": "audit.record.id", "value": {"stringValue": f"r{number}"}},
                {"key": "audit.sequence.stream", "value": {"stringValue": "s-1"}},
                {"key": "audit.sequence.number", "value": {"intValue": str(number)}},
            ],
        }
        for number in numbers
    ]  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": made}]}]}


def test_completeness_is_unmeasured_complete_or_not(muniment, now, tmp_path):
    """Without counters nothing is established (4); numbers without a gap are complete (0); a gap is missing (1), with its sender and rows."""
    which = day_of(now)
    command = ("quality", "completeness", *which, "--grace-minutes", "0")
    assert muniment(*command)[0] == 4
    file = tmp_path / "records.json"
    file.write_text(json.dumps(request(now, 5)))
    assert muniment("import", file, "--tenant", "acme")[0] == 0
    code, out, _ = muniment(*command)
    assert code == 4
    assert "not measured: no counters; 1 came" in out
    file.write_text(json.dumps(numbered(now, 0, 1)))
    assert muniment("import", file, "--tenant", "acme")[0] == 0
    assert muniment(*command)[0] == 0
    file.write_text(json.dumps(numbered(now, 4)))
    assert muniment("import", file, "--tenant", "acme")[0] == 0
    code, out, _ = muniment(*command)
    assert code == 1
    assert "shop, stream s-1: 2 of 5 (3 came)" in out
    assert "numbers 2 to 3, between" in out
    code, out, _ = muniment("quality", "show", *which, "--json")
    assert code == 1
    rows = [row for row in json.loads(out)["results"] if row["check_name"] == "completeness-events-numbered"]
    assert [(row["outcome"], row["total"], row["unexpected"]) for row in rows] == [("failed", 5, 2)] * 2
    assert all("audit.sequence.number" in row["sql"] for row in rows)
    code, out, _ = muniment("quality", "show", *which)
    assert code == 1
    assert "not measured: 1 in " in out
    assert muniment("quality", "run", *which)[0] == 0  # within the grace time nothing is missing yet
    outcomes = {
        row["check_name"]: row["outcome"]
        for row in json.loads(muniment("quality", "show", *which, "--json")[1])["results"]
    }
    assert outcomes["completeness-events-numbered"] == "empty"
    assert outcomes["completeness-spans-counted"] == "unmeasured"


def test_suites_are_run_when_asked_for(muniment, now, tmp_path):
    """Beside the counts of every record those of the sample are shown, each with how it looked; `run` alone shows what it counted."""
    which = day_of(now)
    file = tmp_path / "spans.json"
    file.write_text(json.dumps(request(now, 5, 200_000_000)))
    assert muniment("import", file, "--tenant", "acme")[0] == 0
    code, out, err = muniment("quality", "run", *which, "--suites", "--json")
    assert (code, err) == (1, "")
    rows = {row["check_name"]: row for row in json.loads(out)["results"] if row["shard"] is None}
    for name, row in rows.items():
        if row["method"] == "sql":
            sampled = rows[f"suite-{name}"]
            assert [sampled[key] for key in ("outcome", "total", "unexpected", "title")] == [
                row[key] for key in ("outcome", "total", "unexpected", "title")
            ]
    methods = [row["method"] for row in rows.values()]
    assert methods.count("suite") == methods.count("sql") > 0
    tokens = rows["suite-spans-tokens-sane"]
    assert (tokens["method"], tokens["outcome"], tokens["unexpected"]) == ("suite", "failed", 1)
    assert tokens["expectations"][0]["kind"] == "ExpectColumnValuesToBeBetween"
    assert "limit $rows" in tokens["sql"]
    assert "suite-" not in muniment("quality", "run", *which)[1]
    code, out, _ = muniment("quality", "show", *which)
    assert code == 1
    assert "suite-spans-tokens-sane: " in out


def test_a_day_without_records_is_not_established(muniment):
    """Where no check found anything to look at, nothing is known: exit code 4, and not 0."""
    which = ("--tenant", "acme", "--day", "2026-01-01")
    for words in (("run", *which), ("run", *which, "--suites"), ("show", *which)):
        code, out, _ = muniment("quality", *words)
        assert code == 4
        assert "nothing is known of this day" in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--tenant", "nobody"), 2, "expected one of the lake's"),
        (("--tenant", "acme", "--day", "soon"), 2, "expected a date such as"),
    ],
)
def test_what_is_wrong_is_said(muniment, words, code, said):
    """An unknown tenant and what is no date are refused with what was expected."""
    got, _, err = muniment("quality", "run", *words)
    assert got == code
    assert said in " ".join(err.split())
