"""`muniment quality` on a real lake: a day is checked, what is wrong is named with its sender, and what is unknown is no pass."""

import json
import time

import pytest

from muniment.cli.app import run

SECOND = 1_000_000_000


def request(*tokens):
    """An OTLP request with a span of now for each number of input tokens."""
    made = [
        {
            "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "chat model",
            "startTimeUnixNano": str(time.time_ns()), "endTimeUnixNano": str(time.time_ns() + SECOND),
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
    lake = str(tmp_path / "lake")

    def command(*words):
        capfd.readouterr()
        code = run([*map(str, words), "--lake", lake])
        said = capfd.readouterr()
        return code, said.out, said.err

    assert command("init")[0] == 0
    assert command("tenant", "add", "acme")[0] == 0
    return command


def test_a_day_is_checked_and_shown(muniment, tmp_path):
    """Never checked is not established; a record that is not as it should be makes the exit code 1 and is named with its sender."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    which = ("--tenant", "acme", "--day", today)
    assert muniment("quality", "show", *which)[0] == 4
    file = tmp_path / "spans.json"
    file.write_text(json.dumps(request(5, 200_000_000)))
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
