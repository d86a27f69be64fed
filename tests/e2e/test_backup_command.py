"""`muniment backup` and `muniment restore` as an operator runs them, with a real purge between the two."""

import json
import shutil
import time
from pathlib import Path

import pytest

from muniment.cli.app import run
from tests.template import init_lake

DAY = 86_400_000_000_000
OLD, NEW = time.time_ns() - 3000 * DAY, time.time_ns() - DAY
PASSPHRASE = "correct horse battery staple"


def span(number, start, text):
    """A span with a prompt, as OTLP/JSON."""
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1),
        "attributes": [
            {"key": "gen_ai.agent.id", "value": {"stringValue": "bot-1"}},
            {"key": "gen_ai.prompt", "value": {"stringValue": text}},
        ],
    }


def request(*spans):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "desk"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}) + "\n"


@pytest.fixture
def muniment(tmp_path, capfd):
    """Run a command: exit code, standard output, standard error."""

    def command(*words, lake="lake"):
        own = [] if words[0] == "restore" else ["--lake", str(tmp_path / lake)]
        capfd.readouterr()
        code = run([*map(str, words), *own])
        said = capfd.readouterr()
        return code, said.out, " ".join(said.err.split())

    return command


def set_up(muniment, tmp_path):
    """A lake with a target in its settings, one span whose prompt is due and one whose is not."""
    (tmp_path / "target").mkdir()
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    init_lake(tmp_path / "lake", "acme")
    with (tmp_path / "lake" / "muniment.yaml").open("a") as settings:
        settings.write(f"\nbackup:\n  targets: [{tmp_path / 'target'}]\n")
    (tmp_path / "spans.jsonl").write_text(request(span(1, OLD, "long ago")) + request(span(2, NEW, "yesterday")))
    code, _, said = muniment("import", tmp_path / "spans.jsonl", "--tenant", "acme")
    assert code == 0, said


def bodies(muniment, lake):
    code, out, said = muniment("sql", "select body from contents", "--tenant", "acme", "--format", "json", lake=lake)
    assert code == 0, said
    return {row["body"] for row in json.loads(out)}


def test_a_lake_lost_after_a_purge_comes_back_without_what_was_purged(muniment, tmp_path):
    """Backup, keys, purge, loss of the disk, restore: purged records stay away, the rest is there and verifies, keys and all."""
    set_up(muniment, tmp_path)
    keys = ["--keys", tmp_path / "acme.keys", "--passphrase-file", tmp_path / "passphrase"]
    assert muniment("backup", *keys)[0] == 0
    code, out, said = muniment("backup", "--json")
    assert code == 0, said
    assert json.loads(out)[0]["generation"] == 1
    code, _, said = muniment("retention", "apply", "--yes")
    assert code == 0, said
    assert bodies(muniment, "lake") == {"yesterday"}
    (tmp_path / "old.vkey").write_text(muniment("ledger", "vkey")[1])
    shutil.rmtree(tmp_path / "lake")

    code, out, said = muniment("restore", tmp_path / "target", "--to", tmp_path / "new", *keys, "--json")
    assert code == 0, said
    report = json.loads(out)
    assert report["signer"] == "established"
    assert report["rows_erased_again"] == {"contents": 1}
    assert len(report["certificates_reapplied"]) == 1
    assert bodies(muniment, "new") == {"yesterday"}
    assert not [file for file in (tmp_path / "new").rglob("*") if file.is_file() and b"long ago" in file.read_bytes()]
    (tmp_path / "new.vkey").write_text(muniment("ledger", "vkey", lake="new")[1])
    code, out, said = muniment(
        "verify", "--vkey", tmp_path / "new.vkey", "--vkey", tmp_path / "old.vkey", "--seen", tmp_path / "seen",
        "--json", lake="new",
    )  # fmt: skip
    report = json.loads(out)
    assert code == 0, report
    assert (report["findings"], sum(log["contents"]["certified"] for log in report["logs"])) == ({}, 1)
    assert muniment("import", tmp_path / "spans.jsonl", "--tenant", "acme", lake="new")[0] == 0
    assert muniment("backup", lake="new")[0] == 0


def test_refusals_say_what_to_do(muniment, tmp_path):
    """A target that is away (exit 3), a folder that is no backup (2), a lake that is there (1), no passphrase (2)."""
    set_up(muniment, tmp_path)
    assert muniment("backup")[0] == 0
    code, _, said = muniment("backup", tmp_path / "away" / "disk")
    assert code == 3
    assert "expected a folder that is there" in said
    assert "mount it" in said
    code, _, said = muniment("restore", tmp_path / "lake", "--to", tmp_path / "new")
    assert code == 2
    assert "expected a backup with a file manifest.note" in said
    code, _, said = muniment("restore", tmp_path / "target", "--to", tmp_path / "lake")
    assert code == 1
    assert "a restore never writes over a lake" in said
    code, _, said = muniment("backup", "--keys", tmp_path / "acme.keys")
    assert code == 2
    assert "expected --passphrase-file or a terminal" in said
    (tmp_path / "target" / "certificates.note").unlink()
    code, _, said = muniment("restore", tmp_path / "target", "--to", tmp_path / "new")
    assert code == 3
    assert "--without-certificates REASON" in said


def test_a_purge_does_not_report_success_while_a_target_is_away(muniment, tmp_path):
    """The certificate has to reach every target: without it the apply fails, and succeeds once the target is back."""
    set_up(muniment, tmp_path)
    target = tmp_path / "target"
    target.rename(tmp_path / "away")
    code, _, said = muniment("retention", "apply", "--yes")
    assert code == 3
    assert f"backup target {target}" in said
    Path(tmp_path / "away").rename(target)
    muniment("retention", "apply", "--yes")  # finishes what was begun; the plan that it made before is then too old
    code, _, said = muniment("retention", "apply", "--yes")
    assert code == 0, said
    lines = (target / "certificates.note").read_text().splitlines()
    assert json.loads(lines[2])["count"] >= 2
