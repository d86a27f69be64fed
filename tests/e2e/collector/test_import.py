"""`muniment import` as users run it: formats, resuming after kill -9, and the same file again."""

import gzip
import json
import os
import signal
import struct
import time

import pytest

from warehouse.locks import FileLock


def line(number, spans=20, now=None):
    now = now or time.time_ns()
    return json.dumps({
        "resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "file"}}]},
            "scopeSpans": [{
                "scope": {"name": "s"},
                "spans": [
                    {
                        "traceId": f"{number + 1:032x}", "spanId": f"{number * spans + at + 1:016x}", "name": f"line-{number}",
                        "startTimeUnixNano": str(now), "endTimeUnixNano": now + 5,
                        "attributes": [{"key": "padding", "value": {"stringValue": "x" * 400}}],
                    }
                    for at in range(spans)
                ],
            }],
        }],
    })  # fmt: skip


def test_json_lines_with_a_bad_line_keeps_the_good_ones(lake, tmp_path):
    """A line that is no request goes to quarantine; the others arrive."""
    file = tmp_path / "mixed.jsonl"
    file.write_text("\n".join([line(0), "{broken", line(1)]) + "\n")
    answer = json.loads(lake.muniment("import", file, "--tenant", "acme", "--json").stdout)[0]
    assert (answer["accepted"], answer["rejected"]) == (40, 1)
    assert lake.sql("select count(*) as n from spans") == [{"n": 40}]
    entries = json.loads(lake.muniment("quarantine", "list", "--json").stdout)
    assert [entry["reason"] for entry in entries] == ["undecodable"]


@pytest.mark.parametrize("form", ["pretty", "gzip", "protobuf", "delimited"])
def test_formats(lake, tmp_path, spans, form):
    """One pretty JSON value, gzipped lines, one protobuf message, and length-delimited messages all arrive."""
    file = tmp_path / "input"
    message = spans("proto")
    content = {
        "pretty": json.dumps(json.loads(line(0, spans=8)), indent=2).encode(),
        "gzip": gzip.compress(line(0, spans=8).encode()),
        "protobuf": message,
        "delimited": struct.pack(">I", len(message)) + message,
    }[form]
    file.write_bytes(content)
    lake.muniment("import", file, "--tenant", "acme")
    assert lake.sql("select count(*) as n from spans") == [{"n": 8}]


def test_a_file_again_is_recognised(lake, tmp_path):
    """The same bytes under another name answer `already imported` and add nothing; for another tenant they are new."""
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text(line(0) + "\n")
    second.write_bytes(first.read_bytes())
    lake.muniment("import", first, "--tenant", "acme")
    again = lake.muniment("import", second, "--tenant", "acme")
    assert "already imported" in again.stdout
    assert lake.sql("select count(*) as n from spans") == [{"n": 20}]
    lake.muniment("tenant", "add", "other")
    assert "20 records imported" in lake.muniment("import", second, "--tenant", "other").stdout


def test_a_bad_line_is_named_by_its_number(lake, tmp_path):
    """What is refused of a file is told with its line: no JSON, no OTLP, and a record that is refused."""
    file = tmp_path / "some.jsonl"
    bad_span = json.loads(line(1))
    bad_span["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] = "00" * 8
    file.write_text("\n".join([line(0), "{not json", "", '{"other": 1}', json.dumps(bad_span)]) + "\n")
    (done,) = json.loads(lake.muniment("import", file, "--tenant", "acme", "--json").stdout)
    told = sorted(message.split(": ")[0] for message in done["messages"])
    assert told == ["line 2", "line 4", "line 5"], done["messages"]


def test_killed_import_goes_on_where_it_was(lake, tmp_path):
    """After kill -9 the same command goes on after the last committed chunk; every span is there once."""
    file = tmp_path / "long.jsonl"
    now = time.time_ns()
    file.write_text("\n".join(line(number, now=now) for number in range(3000)) + "\n")
    process = start_import(lake, file, tmp_path)
    deadline = time.monotonic() + 120
    while not list((lake.path / "tables" / "spans").glob("tenant_id=acme/*/*.parquet")):
        assert process.poll() is None, "the import ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    resumed = json.loads(lake.muniment("import", file, "--tenant", "acme", "--json").stdout)[0]
    assert resumed["accepted"] < 60_000
    (row,) = lake.sql("select count(*) as n, count(distinct span_id) as d from spans")
    assert (row["n"], row["d"]) == (60_000, 60_000)


def test_unknown_tenant_and_empty_file(lake, tmp_path):
    """Bad input is refused with what to do, and exit code 2."""
    file = tmp_path / "empty.jsonl"
    file.write_text("")
    assert lake.muniment("import", file, "--tenant", "acme", check=False).returncode == 2
    file.write_text(line(0))
    refused = lake.muniment("import", file, "--tenant", "nobody", check=False)
    assert refused.returncode == 2
    assert "nobody" in refused.stderr


def start_import(lake, file, tmp_path):
    return lake.begin("import", file, "--tenant", "acme", log=tmp_path / f"{file.name}.log")


def counts(lake):
    (row,) = lake.sql("select count(*) as n, count(distinct span_id) as d from spans")
    return row["n"], row["d"]


def test_the_same_file_twice_at_once_is_stored_once(lake, tmp_path):
    """Two imports of the same bytes at the same time: one takes it, the other finds it imported."""
    file = tmp_path / "same.jsonl"
    file.write_text("\n".join(line(number) for number in range(200)) + "\n")
    runs = [start_import(lake, file, tmp_path) for _ in range(2)]
    assert [run.wait(480) for run in runs] == [0, 0]
    assert counts(lake) == (4000, 4000)


def test_an_import_killed_beside_another_is_resumed_from_its_own_journal(lake, tmp_path):
    """What a killed import left in a second import shard is committed before anybody asks how far it came."""
    file = tmp_path / "second.jsonl"
    file.write_text("\n".join(line(10_000 + number) for number in range(3000)) + "\n")
    other = FileLock(lake.path / "journal" / ".import.lock")
    assert other.acquire(holder="another import")
    run = start_import(lake, file, tmp_path)
    wait_for_journal(lake, "import-1-*")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    other.release()
    lake.muniment("import", file, "--tenant", "acme")
    assert counts(lake) == (60_000, 60_000)
    assert list((lake.path / "journal").glob("*/*.seg")) == []


def wait_for_journal(lake, pattern):
    """Wait until a shard's open segment holds some frames."""
    deadline = time.monotonic() + 120
    while not any(size_of(file) > 500_000 for file in (lake.path / "journal").glob(f"{pattern}/*.seg")):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def size_of(file):
    """How large a file is; 0 for one that is gone."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def test_a_replay_twice_at_once_stores_once(lake, tmp_path):
    """Two replays of the same quarantine at the same time store each record once."""
    collector = lake.collect()
    old = time.time_ns() - 20 * 86_400 * 10**9
    body = line(1, spans=150, now=old).encode()
    assert collector.post(body, content_type="application/json")[0] == 200
    collector.stop()
    replay = ("quarantine", "replay", "--reason", "time-out-of-window")
    runs = [lake.begin(*replay, log=tmp_path / f"replay-{number}.log") for number in range(2)]
    assert [run.wait(480) for run in runs] == [0, 0]
    assert counts(lake) == (150, 150)
    (row,) = lake.sql("select count(distinct trace_id) as n from spans")
    assert row["n"] == 1
    again = json.loads(lake.muniment("quarantine", "replay", "--reason", "time-out-of-window", "--json").stdout)
    assert again["accepted"] == 0
