"""The verifier's own file: what is said of one that cannot be used, and several runs that share one."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from muniment.cli.app import run
from muniment.setup import set_up_lake
from warehouse.clock import system_clock
from warehouse.errors import InputError
from warehouse.ledger.verify import Seen, VerifyReport, check_seen, read_seen, update_seen

NAME = "test/acme/main-00000000"


def entry(**fields):
    """A file's text with one log whose fields are these."""
    return json.dumps({"version": 1, "origins": {NAME: fields}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "got text that is no JSON"),
        ("[]", "got JSON that is a list, expected an object"),
        ("{}", "got no version"),
        ('{"version": 2}', "got version 2, expected 1"),
        ('{"version": 1}', "got no 'origins' in the file"),
        ('{"version": 1, "origins": []}', "got a list as 'origins' of the file, expected an object"),
        ('{"version": 1, "origins": {"nonsense": {}}}', "expected <lake>/<tenant>/<shard>, got 'nonsense'"),
        (json.dumps({"version": 1, "origins": {NAME: None}}), f"got null for {NAME}, expected an object"),
        (entry(), f"got no 'checkpoint' in {NAME}"),
        (entry(checkpoint=7), f"got a whole number as 'checkpoint' of {NAME}, expected a text"),
        (entry(checkpoint="nothing"), "signed note"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, content, message):
    """What was got and expected, in words, and what to do: no names of the program's own."""
    file = tmp_path / "seen.json"
    file.write_text(content)
    with pytest.raises(InputError) as raised:
        read_seen(file)
    said = str(raised.value)
    assert f"--seen {file}: expected what an earlier `muniment verify --seen` wrote" in said
    assert message in said or message == "signed note"
    assert "Error" not in said
    assert "restore the file" in raised.value.hint


def test_a_key_that_is_none(lake, tmp_path):
    """Keys are 64 hex digits each."""
    lake.remember(tmp_path / "seen.json")
    content = json.loads((tmp_path / "seen.json").read_text())
    origin = next(iter(content["origins"]))
    for wrong in ("zz", "00" * 31, 7):
        content["origins"][origin]["keys"] = [wrong]
        (tmp_path / "seen.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"a key of test/.* that is not 64 hex digits"):
            read_seen(tmp_path / "seen.json")


def test_a_folder_in_its_place(tmp_path):
    """What cannot be read is said with the system's reason."""
    with pytest.raises(InputError, match="expected a file that you may read, got: Is a directory"):
        read_seen(tmp_path)


def test_the_memory_of_another_lake_is_refused(tmp_path, lake, capsys):
    """Exit 2 with both names, before anything is recorded; the file is as it was."""
    file = tmp_path / "seen.json"
    lake.remember(file)
    before = file.read_bytes()
    other, _ = set_up_lake(tmp_path / "other", name="other", clock=system_clock)
    logs = sorted((other.path / "ledger").rglob("checkpoint"))
    heads = [log.read_bytes() for log in logs]
    assert run(["verify", "--lake", str(other.path), "--seen", str(file)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "expected the memory of lake other, got that of test" in said
    assert "keep one file a lake" in said
    assert file.read_bytes() == before
    assert [log.read_bytes() for log in sorted((other.path / "ledger").rglob("checkpoint"))] == heads


def test_the_key_of_another_lake_is_refused(tmp_path, lake, capsys):
    """Exit 2: which lake the keys are for, and which one this is."""
    other, _ = set_up_lake(tmp_path / "other", name="other", clock=system_clock)
    assert run(["verify", "--lake", str(other.path), "--vkey", lake.vkey.vkey]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "expected a key of lake other, which this one is, got only keys of others: test" in said


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_named_and_closed(tmp_path, lake, mode):
    """Whoever may write the memory can make it forget; the run says so and writes it for its owner alone."""
    file = tmp_path / "seen.json"
    seen = lake.remember(file)
    assert check_seen(file, seen, lake_name="test") is None
    file.chmod(mode)
    assert f"others may write to it (mode {mode:04o})" in check_seen(file, seen, lake_name="test")
    update_seen(file, seen, VerifyReport(), clock=system_clock)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_said_before_the_run(tmp_path, monkeypatch):
    """A run of hours is not spent on a memory that cannot be kept."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="expected a folder that you may write to"):
        check_seen(tmp_path / "seen.json", Seen(), lake_name="test")


def test_a_run_that_ends_later_and_saw_less_takes_nothing_back(growing, rows, tmp_path):
    """Two runs begin with one memory; the shorter one ends last, and what the other saw stays."""
    file = tmp_path / "seen.json"
    first = growing.remember(file)
    slow = growing.verify(seen=first)
    growing.write(rows.whole_batch("acme-later", 4))
    update_seen(file, first, growing.verify(seen=first), clock=lambda: 1)
    update_seen(file, first, slow, clock=lambda: 2)
    assert read_seen(file).logs[f"test/acme/{growing.shard}"].checkpoint.size == 732


def test_runs_that_end_together_all_remember(pristine, tmp_path):
    """Each run over one tenant adds what it saw, whichever comes first, and the file is whole at any time."""
    file = tmp_path / "seen.json"
    reports = [pristine.verify(tenants=[tenant]) for tenant in ("acme", "beta")] * 8

    def remember(report):
        update_seen(file, Seen(), report, clock=lambda: 1)
        return read_seen(file)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remember, reports))
    assert {origin.split("/")[1] for origin in read_seen(file).logs} == {"_lake", "acme", "beta"}
