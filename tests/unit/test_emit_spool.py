"""The disk queue of `muniment.emit`: order, bounds, restarts, torn and damaged files."""

import errno
import json
import os
import stat
import threading

import pytest

from muniment.emit.errors import SpoolCorruptError, SpoolError, SpoolFullError, SpoolHeldError
from muniment.emit.segment import HEADER, encode_entry
from muniment.emit.spool import Spool

MIB = 1 << 20


def opened(directory, max_bytes=MIB):
    """A spool whose stream is called `stream-1` where it is new."""
    return Spool(directory, max_bytes=max_bytes, new_stream=lambda: "stream-1")


def body(number):
    """A recognisable request."""
    return b"request %06d " % number * 3


ENTRY = len(encode_entry(0, body(0)))


def filled(directory, count, max_bytes=MIB):
    """A closed spool of so many entries."""
    spool = opened(directory, max_bytes)
    assert [spool.append(body) for _ in range(count)] == list(range(count))
    spool.close()
    return directory


def drained(spool):
    """Settle everything, and return the numbers and bodies in the order they came."""
    entries = []
    while (entry := spool.oldest()) is not None:
        spool.settle(entry)
        entries.append((entry.number, entry.body))
    return entries


def segments(directory):
    """The files that hold entries, oldest first."""
    return sorted(directory.glob("*.entries"))


def test_entries_come_back_in_order_after_a_restart(tmp_path):
    """What was queued by one process is sent by the next, in order, and numbers go on without a gap."""
    spool = opened(filled(tmp_path / "s", 40))
    assert (spool.waiting, spool.stream) == (40, "stream-1")
    assert spool.append(body) == 40
    assert drained(spool) == [(number, body(number)) for number in range(41)]
    assert spool.waiting == 0
    spool.close()
    again = Spool(tmp_path / "s", max_bytes=MIB, new_stream=lambda: "another")
    assert (again.stream, again.append(body)) == ("stream-1", 41)
    again.close()


def test_settled_entries_are_not_sent_again_by_the_next_process(tmp_path):
    """The mark of what was acknowledged survives the process."""
    spool = opened(filled(tmp_path, 10))
    for _ in range(7):
        spool.settle(spool.oldest())
    spool.close()
    again = opened(tmp_path)
    assert [number for number, _ in drained(again)] == [7, 8, 9]
    again.close()


def test_segments_roll_and_are_dropped(tmp_path):
    """A long life of the queue needs no more disk than its bound, and order holds across segments."""
    spool = opened(tmp_path, max_bytes=4096)
    seen = []
    for _ in range(20):
        for _ in range(30):
            spool.append(body)
        assert sum(path.stat().st_size for path in segments(tmp_path)) <= 4096
        seen += drained(spool)
    assert seen == [(number, body(number)) for number in range(600)]
    assert len(segments(tmp_path)) == 1
    spool.close()


def test_a_full_spool_refuses_and_loses_nothing(tmp_path):
    """The entry that does not fit is refused, takes no number, and fits once there is room."""
    spool = opened(tmp_path, max_bytes=1000)
    taken = 1000 // ENTRY
    for _ in range(taken):
        spool.append(body)
    with pytest.raises(SpoolFullError, match="expected at most 1000 bytes, got") as caught:
        spool.append(body)
    assert "flush" in caught.value.hint
    spool.settle(spool.oldest())
    spool.settle(spool.oldest())
    assert spool.append(body) == taken
    assert drained(spool) == [(number, body(number)) for number in range(2, taken + 1)]
    spool.close()


def test_a_torn_last_entry_is_cut_at_every_byte(tmp_path):
    """Wherever a crash stops the last write, all entries before it survive and its number is used again."""
    whole = filled(tmp_path / "whole", 3)
    (path,) = segments(whole)
    data, entry = path.read_bytes(), len(encode_entry(2, body(2)))
    for cut in range(len(data) - entry, len(data)):
        path.write_bytes(data[:cut])
        spool = opened(whole)
        assert spool.append(body) == 2
        assert path.read_bytes() == data
        spool.close()


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\xff" * 100, b"\0" * 16 + b"text of an entry without its header"])
def test_garbage_behind_the_last_entry_is_cut(tmp_path, tail):
    """Blocks that a power cut left behind the last synced entry are not taken for damage."""
    (path,) = segments(filled(tmp_path, 3))
    data = path.read_bytes()
    path.write_bytes(data + tail)
    spool = opened(tmp_path)
    assert [number for number, _ in drained(spool)] == [0, 1, 2]
    spool.close()


def flip(path, offset):
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: flip(segments(folder)[-1], HEADER.size + 3), "damaged at byte 0: expected entry"),
        (lambda folder: flip(segments(folder)[-1], 0), "damaged at byte 0"),
        (lambda folder: flip(segments(folder)[0], ENTRY - 1), "damaged at byte 0: expected entry 0"),
        (lambda folder: os.truncate(segments(folder)[0], 5), "damaged at byte 0"),
        (lambda folder: segments(folder)[1].unlink(), "a segment is missing"),
        (lambda folder: [path.unlink() for path in segments(folder)], "every segment is missing"),
        (lambda folder: (folder / "stream").unlink(), "stream is missing"),
        (lambda folder: (folder / "acknowledged").write_text(f"{999:020d}"), "mark fits no entry.*got 999"),
        (lambda folder: (folder / "acknowledged").write_text(""), "acknowledged is damaged: expected 20 digits"),
    ],
)
def test_damage_is_named(tmp_path, damage, message):
    """Bytes that no crash explains stop the queue with the file and the place, and are left as they are."""
    spool = opened(tmp_path, max_bytes=4096)
    for _ in range(40):
        spool.append(body)
    for _ in range(2):
        spool.settle(spool.oldest())
    spool.close()
    assert len(segments(tmp_path)) > 3
    damage(tmp_path)
    before = [path.read_bytes() for path in segments(tmp_path)]
    with pytest.raises(SpoolCorruptError, match=message):
        opened(tmp_path, max_bytes=4096)
    assert [path.read_bytes() for path in segments(tmp_path)] == before


def test_one_process_at_a_time(tmp_path):
    """The second user of a folder is refused, told who holds it, and may have it afterwards."""
    spool = opened(tmp_path)
    with pytest.raises(SpoolHeldError, match=f"in use: expected it free, got process {os.getpid()}"):
        opened(tmp_path)
    spool.close()
    spool.close()
    opened(tmp_path).close()


def test_files_are_private(tmp_path):
    """Everything in the folder has mode 0600, the folder 0700."""
    spool = opened(tmp_path / "deep" / "s")
    spool.append(body)
    spool.refuse(spool.oldest(), "no", 1)
    folder = tmp_path / "deep" / "s"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    spool.close()


def test_refused_entries_are_kept_beside_the_queue(tmp_path):
    """An entry that is refused for good leaves the queue and stands, whole, in `events.refused`."""
    spool = opened(tmp_path)
    for _ in range(3):
        spool.append(body)
    spool.settle(spool.oldest())
    spool.refuse(spool.oldest(), "out of scope", 1_795_392_000_000_000_000)
    assert drained(spool) == [(2, body(2))]
    spool.close()
    (line,) = (tmp_path / "events.refused").read_text().splitlines()
    assert json.loads(line) == {
        "number": 1,
        "refused_unix_nano": "1795392000000000000",
        "message": "out of scope",
        "request": "cmVxdWVzdCAwMDAwMDEgcmVxdWVzdCAwMDAwMDEgcmVxdWVzdCAwMDAwMDEg",
    }


def test_a_failed_sync_takes_the_entry_back(tmp_path, monkeypatch):
    """When the disk refuses, the caller hears of it, nothing stays half-written, and the number is used again."""
    spool = opened(tmp_path)
    spool.append(body)

    def failing(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing)
        with pytest.raises(SpoolError, match=r"cannot be read or written.*No space left"):
            spool.append(body)
    assert spool.append(lambda number: b"later %d" % number) == 1
    assert drained(spool) == [(0, body(0)), (1, b"later 1")]
    spool.close()


def test_a_spool_that_cannot_be_cut_back_takes_nothing_more(tmp_path, monkeypatch):
    """When even the clean-up after a failed write fails, every later entry is refused rather than put behind it."""
    spool = opened(tmp_path)
    spool.append(body)

    def failing(*_arguments):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing)
        patched.setattr(os, "ftruncate", failing)
        with pytest.raises(SpoolError, match="Input/output error"):
            spool.append(body)
    with pytest.raises(SpoolError, match="cannot be written any more"):
        spool.append(body)
    spool.close()
    again = opened(tmp_path)
    assert again.append(body) in {1, 2}
    again.close()


def test_a_new_segment_that_could_not_be_made_is_made_later(tmp_path, monkeypatch):
    """A disk that refuses a new file refuses the entry; the next one finds its place all the same."""
    spool = opened(tmp_path, max_bytes=1600)
    assert [spool.append(body), spool.append(body)] == [0, 1]
    real = os.fsync

    def failing(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        with pytest.raises(SpoolError, match="No space left"):
            spool.append(body)
    assert spool.append(body) == 2
    assert drained(spool) == [(number, body(number)) for number in range(3)]
    spool.close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    """A spool_dir that is a file raises the queue's own error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"cannot be read or written.*file"):
        opened(tmp_path / "file")


def test_threads_share_one_queue(tmp_path):
    """Entries of several threads get every number once, and each body its own number."""
    spool = opened(tmp_path)
    numbers = []

    def work():
        numbers.extend(spool.append(body) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(200))
    assert drained(spool) == [(number, body(number)) for number in range(200)]
    spool.close()
