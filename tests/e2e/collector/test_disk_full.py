"""A disk that is full: nothing acknowledged, the reason said, and recovery without a restart."""

import contextlib
import os
import subprocess
import time

import pytest

DISK_BYTES = 48 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MiB; needs root on Linux."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("disk full: mounting a tmpfs needs root; run the tests as root to include it")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file):
    """Write until nothing fits any more."""
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(os.urandom(65_536))


def test_full_disk_refuses_and_recovers(small_disk, lake_in, spans):
    """While the disk is full senders get 503 and nothing is acknowledged; with room again the same process goes on."""
    lake = lake_in(small_disk / "lake")
    collector = lake.collect()
    assert collector.post(spans("before"))[0] == 200
    collector.flush()
    filler = small_disk / "filler"
    fill(filler)
    acknowledged, statuses = [], set()
    for number in range(60):
        status, answer = collector.post(spans(f"full-{number}", spans=64))
        statuses.add(status)
        if status == 200:
            acknowledged.append(f"full-{number}")
        else:
            assert b"space" in answer.lower(), answer
        fill(small_disk / "more")
    assert 503 in statuses
    assert statuses <= {200, 503}
    filler.unlink()
    (small_disk / "more").unlink()
    deadline = time.monotonic() + 120
    while collector.post(spans("after"))[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    collector.flush()
    counts = {row["name"]: row["n"] for row in lake.sql("select name, count(*) as n from spans group by name")}
    assert counts["before"] == 8
    assert counts["after"] == 8
    assert {name: counts.get(name) for name in acknowledged} == dict.fromkeys(acknowledged, 64)
    assert collector.stop() == 0
