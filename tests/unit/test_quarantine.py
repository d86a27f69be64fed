"""Quarantine: what was refused is kept, or the request is not acknowledged."""

import os
import stat
from dataclasses import replace

import pytest

from warehouse.errors import NotFoundError, UnavailableError
from warehouse.quarantine import Quarantine, QuarantineEntry, find_entry, mark_replayed, read_quarantine

DAY = 86_400_000_000_000
NOW = 1_795_392_000_000_000_000  # 2026-11-23T00:00:00Z
ENTRY = QuarantineEntry(
    tenant_id="acme", unix_nano=NOW, signal="traces", reason="bad-id", message="trace_id: expected 16 bytes, got 3",
    recorded_by="key:k1", peer="127.0.0.1", record='{"name":"line\u2028two\\n"}', id="e1",
)  # fmt: skip


def test_entries_come_back_as_they_were_by_tenant_and_day(lake):
    """Each entry is found again among its tenant's, older days first."""
    quarantine = Quarantine(lake, "main-1")
    later = replace(ENTRY, unix_nano=NOW + DAY, id="e2", record=None, digest="ab", size_bytes=9)
    other = replace(ENTRY, tenant_id="other", id="e3")
    quarantine.add([later, ENTRY, other])
    assert list(read_quarantine(lake, ["acme"])) == [ENTRY, later]
    assert list(read_quarantine(lake, ["acme", "other"])) == [ENTRY, later, other]
    assert find_entry(lake, ["other"], "e3") == other
    with pytest.raises(NotFoundError, match="no quarantine entry 'e3'"):
        find_entry(lake, ["acme"], "e3")


def test_files_and_folders_are_private(lake):
    """Refused records may hold anything: files 0600, folders 0700."""
    Quarantine(lake, "main-1").add([ENTRY])
    file = lake.quarantine / "acme" / "2026-11-23" / "main-1.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (file.parent, file.parent.parent)} == {0o700}


def test_replayed_entry_says_so(lake):
    """An entry that a replay brought in is still there, marked."""
    Quarantine(lake, "main-1").add([ENTRY, replace(ENTRY, id="e2")])
    mark_replayed(lake, ENTRY)
    assert [(entry.id, entry.replayed) for entry in read_quarantine(lake, ["acme"])] == [("e1", True), ("e2", False)]


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_cut_by_a_crash_spoils_neither_its_neighbours_nor_the_next(lake, cut):
    """What a crash left of a line was not acknowledged; lines before and after it are read."""
    quarantine = Quarantine(lake, "main-1")
    quarantine.add([ENTRY, replace(ENTRY, id="e2")])
    file = lake.quarantine / "acme" / "2026-11-23" / "main-1.jsonl"
    os.truncate(file, file.stat().st_size - cut)
    quarantine.add([replace(ENTRY, id="e3")])
    expected = ["e1", "e2", "e3"] if cut == 1 else ["e1", "e3"]
    assert [entry.id for entry in read_quarantine(lake, ["acme"])] == expected


@pytest.mark.parametrize("step", ["write", "fsync"])
def test_a_disk_that_refuses_leaves_nothing_of_the_request(lake, monkeypatch, step):
    """A request whose refused records cannot be kept is not acknowledged, and counts once when it comes again."""
    quarantine = Quarantine(lake, "main-1")
    quarantine.add([ENTRY])
    real = getattr(os, step)
    calls = []

    def half(descriptor, *content):
        calls.append(content)
        if step == "write" and len(calls) == 1:
            return real(descriptor, bytes(content[0])[:40])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, half)
    with pytest.raises(UnavailableError, match="quarantine cannot be written: No space left on device"):
        quarantine.add([replace(ENTRY, id="e2")])
    monkeypatch.undo()
    quarantine.add([replace(ENTRY, id="e2")])
    assert [entry.id for entry in read_quarantine(lake, ["acme"])] == ["e1", "e2"]
    file = lake.quarantine / "acme" / "2026-11-23" / "main-1.jsonl"
    assert len(file.read_text().splitlines()) == 2
