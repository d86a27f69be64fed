"""How much may wait in the writer, and what it tells about itself."""

import threading
import time

import pytest

from warehouse.errors import OverloadedError

WAIT_SECONDS = 120


def append(writer, batch):
    writer.append(batch).result(WAIT_SECONDS)


def wait_until(done):
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def block_sequencer(writer):
    """Hold the sequencer at its next group until the event returned is set."""
    go = threading.Event()
    real = writer._tail.write
    writer._tail.write = lambda group: (go.wait(WAIT_SECONDS), real(group))[1]
    return go


def test_a_full_queue_is_refused_with_its_limit(writers, rows):
    """More batches than `queue_batches` are turned away with a time to come back; none that was taken is lost."""
    writer = writers(queue_batches=4)
    go = block_sequencer(writer)
    taken = []
    with pytest.raises(OverloadedError, match="the writer's queue is full: limit queue_batches 4") as caught:
        taken.extend(writer.append(rows.whole_batch(f"b{number}")) for number in range(40))
    assert caught.value.retry_after_seconds > 0
    go.set()
    wait_until(lambda: writer.state().queued_batches == 0)


def test_too_much_that_waits_for_its_commit_is_refused_until_it_is_committed(writers, rows, lake):
    """Over `pending_bytes` appends are refused, which bounds memory and replay; a commit makes room again."""
    writer = writers(pending_bytes=1000)
    append(writer, rows.whole_batch("a"))
    with pytest.raises(OverloadedError, match=r"\d+ bytes wait for their commit, limit pending_bytes 1000"):
        writer.append(rows.whole_batch("b"))
    writer.flush()
    assert writer.state().pending_bytes == 0
    append(writer, rows.whole_batch("c"))


def test_status_tells_what_waits_and_when_the_last_commit_was(writers, rows):
    """`state` counts rows and bytes not yet committed, since when, and is empty after a flush."""
    writer = writers()
    append(writer, rows.whole_batch("a"))
    state = writer.state()
    assert (state.pending_rows, state.queued_batches, state.problem) == (9, 0, "")
    assert state.pending_bytes > 0
    assert (state.oldest_pending_unix_nano, state.last_commit_unix_nano) == (rows.NOW, 0)
    writer.flush()
    state = writer.state()
    assert (state.pending_rows, state.pending_bytes, state.oldest_pending_unix_nano) == (0, 0, 0)
    assert state.last_commit_unix_nano == rows.NOW
