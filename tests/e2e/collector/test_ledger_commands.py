"""Proofs, copies, keys and heartbeats through the real command line, beside a collector that runs."""

import contextlib
import json
import subprocess
import sys
import time

import pytest

from tests.commands import run_command

EVENTS = "event_name like 'collector.%' or event_name = 'log.opened'"


@pytest.fixture
def own_events(lake):
    """What the lake's own log says: [(name, resource, attributes)] in order of time."""

    def read(tenant="_lake"):
        sql = f"select event_name, resource_id, reason, attributes from audit_events where {EVENTS} order by time_unix_nano, log_index"
        rows = json.loads(lake.muniment("sql", sql, "--tenant", tenant, "--format", "json").stdout)
        return [(row["event_name"], row["resource_id"], row["reason"], json.loads(row["attributes"])) for row in rows]

    return read


def with_settings(lake, text):
    """Add to the lake's settings."""
    with (lake.path / "muniment.yaml").open("a") as stream:
        stream.write(text)


def offline(*arguments, cwd, stdin=""):
    """Run a command with no lake anywhere near."""
    with contextlib.chdir(cwd):
        return run_command(*arguments, stdin=stdin)


def elsewhere_alone(*arguments, cwd):
    """The same in a process that has nothing of this one's environment."""
    command = [sys.executable, "-m", "muniment", *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, timeout=480, check=False, cwd=cwd, env=environment)


def test_a_span_is_proved_to_somebody_who_has_the_key_alone(lake, spans, tmp_path):
    """From the agent's request to a check without the lake; a changed byte is a no, nonsense is an error."""
    collector = lake.collect()
    assert collector.post(spans("proved", spans=300))[0] == 200
    collector.flush()
    proof = lake.muniment("prove", "--tenant", "acme", "--index", 42, "--shard", "main").stdout
    (tmp_path / "vkey").write_text(lake.muniment("ledger", "vkey").stdout)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "proof").write_text(proof)

    done = elsewhere_alone("verify-proof", "proof", "--vkey", tmp_path / "vkey", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert "proved: entry 42 of the log e2e/acme/main-" in done.stdout
    assert "proved" in done.stdout
    assert "not established:" in done.stdout

    key = (tmp_path / "vkey").read_text().strip()
    report = json.loads(offline("verify-proof", "-", "--vkey", key, "--json", cwd=elsewhere, stdin=proof).stdout)
    assert report["proved"] is True
    assert report["record"]["values"]["name"] == "proved"
    assert report["index"] == 42
    assert report["size"] >= 300

    changed = proof.replace("index 42", "index 41")
    done = offline("verify-proof", "-", "--vkey", key, cwd=elsewhere, stdin=changed)
    assert done.returncode == 1
    assert "not proved" in done.stdout
    assert offline("verify-proof", "-", "--vkey", key, cwd=elsewhere, stdin="nonsense").returncode == 2
    assert offline("verify-proof", "none", "--vkey", key, cwd=elsewhere).returncode == 2
    assert offline("verify-proof", "proof", "--vkey", "none", cwd=elsewhere).returncode == 2
    assert offline("verify-proof", "proof", "--vkey", key, "--require-witness", "1", cwd=elsewhere).returncode == 2
    assert lake.muniment("prove", "--tenant", "acme", "--index", 10**6, check=False).returncode == 2


def test_logs_are_listed_and_copied_while_a_collector_runs(lake, spans, tmp_path):
    """The copy of a size is whole whatever is appended meanwhile; the second one continues it."""
    collector = lake.collect()
    for round_ in range(2):
        assert collector.post(spans(f"round {round_}", spans=200))[0] == 200
        collector.flush()
        exported = json.loads(lake.muniment("ledger", "export", tmp_path / "copy", "--json").stdout)
        assert {log["origin"].split("/")[1] for log in exported} == {"_lake", "acme"}
    listed = {log["origin"]: log for log in json.loads(lake.muniment("ledger", "list", "--json").stdout)}
    key_id = lake.muniment("ledger", "vkey").stdout.split("+")[1]
    (main,) = [log for origin, log in listed.items() if origin.startswith("e2e/acme/main-")]
    assert main["size"] >= 400
    assert main["signed_by"] == [key_id]
    assert "e2e/acme/main-" in lake.muniment("ledger", "list", "--tenant", "acme").stdout


def test_a_rotation_beside_a_running_collector(lake, spans, tmp_path):
    """The next checkpoints carry both signatures; a proof made then is believed with the old key and with the new."""
    collector = lake.collect()
    assert collector.post(spans("before"))[0] == 200
    collector.flush()
    old = lake.muniment("ledger", "vkey").stdout.strip()
    rotated = json.loads(lake.muniment("ledger", "rotate-key", "--overlap", "12h", "--json").stdout)
    assert rotated["vkeys"][1] == old
    assert collector.post(spans("after"))[0] == 200
    collector.flush()
    proof = lake.muniment("prove", "--tenant", "acme", "--index", 0, "--shard", "main").stdout
    for key in rotated["vkeys"]:
        assert offline("verify-proof", "-", "--vkey", key, cwd=tmp_path, stdin=proof).returncode == 0
    signed_by = [log["signed_by"] for log in json.loads(lake.muniment("ledger", "list", "--json").stdout)]
    assert all(len(keys) == 2 for keys in signed_by), signed_by
    assert lake.muniment("ledger", "rotate-key", "--overlap", "soon", check=False).returncode == 2
    done = lake.muniment("ledger", "rotate-key", "--overlap", "1d", "--compromised", check=False)
    assert done.returncode == 2
    assert "a compromised key has no overlap" in done.stderr


def test_a_collector_says_what_it_took_and_when_it_listened(lake, spans, own_events):
    """Started, heartbeats to the lake and the active tenant, stopped; killed, the next start tells of it."""
    with_settings(lake, "heartbeat_seconds: 0.2\n")
    collector = lake.collect()
    assert collector.post(spans("counted", spans=30))[0] == 200
    assert collector.post(b"\xff nonsense")[0] == 400
    deadline = time.monotonic() + 60
    while sum(beat[3]["muniment.quarantined"] for beat in heartbeats(own_events("acme"))) < 1:
        assert time.monotonic() < deadline
        collector.flush()
    collector.kill()

    collector = lake.collect()
    assert collector.stop() == 0
    of_lake, of_acme = own_events(), own_events("acme")
    named = [event for event in of_lake if event[0] in ("collector.started", "collector.stopped")]
    assert [name for name, *_ in named] == ["collector.started", "collector.started", "collector.stopped"]
    assert named[1][3]["muniment.last_ending"] == "lost"
    assert "last heard at" in named[1][2]
    for events in (of_lake, of_acme):
        assert sum(beat[3]["muniment.accepted"] for beat in heartbeats(events)) == 30
        assert sum(beat[3]["muniment.quarantined"] for beat in heartbeats(events)) == 1
    opened = [resource.rpartition("-")[0] for name, resource, *_ in of_lake if name == "log.opened"]
    assert {"e2e/_lake/main", "e2e/acme/main"} <= set(opened)


def heartbeats(events):
    """Those that count something."""
    return [event for event in events if event[0] in ("collector.heartbeat", "collector.stopped")]
