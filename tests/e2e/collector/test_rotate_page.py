"""The page docs/how-to/rotate-keys.md walked: its commands in its order, beside a running collector, with what it promises."""

import json
import re
import shlex
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs/how-to/rotate-keys.md").read_text(encoding="utf8")


def page_commands():
    """Every `muniment …` of the page's shell blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("muniment ")]


def test_the_page_is_walked(lake, spans, tmp_path, monkeypatch):
    """Each command ends well; the last writes the keys, newest first, by which a verifier then believes every log."""
    monkeypatch.chdir(tmp_path)
    collector = lake.collect()
    assert collector.post(spans("before"))[0] == 200
    collector.flush()
    (tmp_path / "old.vkey").write_text(lake.muniment("ledger", "vkey").stdout)
    proof = lake.muniment("prove", "--tenant", "acme", "--index", 0, "--shard", "main").stdout
    commands = page_commands()
    assert [words[:2] for words in commands] == [["ledger", "rotate-key"], ["ledger", "rotate-key"], ["ledger", "vkey"]]
    said = [lake.muniment(*words).stdout for words in commands]
    assert all("in force: e2e+" in text and "signs beside it until" in text for text in said[:2])

    keys = (tmp_path / "lake.vkey").read_text().split()
    assert len(keys) == 3  # two rotations: the second ended the overlap of the first
    assert [*(tmp_path / "old.vkey").read_text().split()] == keys[2:]
    assert said[1].split("in force: ")[1].split()[0] == keys[0]
    assert collector.post(spans("after"))[0] == 200
    collector.flush()
    report = json.loads(lake.muniment("verify", "--vkey", "lake.vkey", "--json").stdout)
    assert report["findings"] == {}
    assert {log["signer"] for log in report["logs"]} == {"established"}
    # a proof from before stays valid, with the old key
    (tmp_path / "record.tlog-proof").write_text(proof)
    done = lake.muniment("verify", "--vkey", "old.vkey", "--json", check=False)
    assert done.returncode == 1
    assert "unknown-key" in json.loads(done.stdout)["findings"]
