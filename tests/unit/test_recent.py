"""Requests acknowledged lately."""

import pytest

from warehouse.clock import NANOS_PER_SECOND
from warehouse.errors import CorruptionError
from warehouse.recent import RecentRequests

ROW = ("00" * 16, 8, 1, "one refused")
OTHER = ("11" * 16, 2, 0, "")
DIGEST, OTHER_DIGEST = bytes(16), b"\x11" * 16


class Time:
    """A clock that stands still."""

    def __init__(self):
        self.now = 1_000_000 * NANOS_PER_SECOND

    def __call__(self):
        return self.now

    def pass_seconds(self, seconds):
        self.now += int(seconds * NANOS_PER_SECOND)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def make(tmp_path, time):
    return lambda: RecentRequests(tmp_path / "recent", window_seconds=600, clock=time)


def test_a_request_is_known_until_its_window_has_passed(make, time):
    """The first answer is found for ten minutes and not a moment longer, whether or not anything was cleaned up."""
    recent = make()
    recent.add([ROW])
    time.pass_seconds(600)
    found = recent.find(DIGEST)
    assert (found.accepted, found.rejected, found.message) == (8, 1, "one refused")
    assert recent.find(OTHER_DIGEST) is None
    time.pass_seconds(0.001)
    assert recent.find(DIGEST) is None


def test_requests_outlive_a_restart_until_their_window_has_passed(make, time, tmp_path):
    """What a segment's file says is known to the next process, by the time in the file and not the file's own."""
    recent = make()
    recent.save(3, [ROW])
    time.pass_seconds(300)
    recent.save(10, [OTHER])
    again = make()
    again.load()
    assert again.find(DIGEST).message == "one refused"
    time.pass_seconds(301)
    again.forget_old()
    assert [file.name for file in (tmp_path / "recent").iterdir()] == ["10.json"]
    third = make()
    third.load()
    assert third.find(DIGEST) is None
    assert third.find(OTHER_DIGEST).accepted == 2


def test_an_answer_given_again_starts_its_window_again(make, time):
    """A digest remembered twice, as after a replay, is forgotten with the later of the two."""
    recent = make()
    recent.add([ROW])
    time.pass_seconds(500)
    recent.add([ROW])
    time.pass_seconds(200)
    recent.forget_old()
    assert recent.find(DIGEST) is not None
    time.pass_seconds(500)
    recent.forget_old()
    assert not recent._marks
    assert not recent._generations


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"unix_nano": 1}', b'{"unix_nano": 1, "requests": [["xy", 1, 2, ""]]}']
)
def test_a_file_that_is_not_whole_stops_the_start(make, tmp_path, content):
    """Forgetting requests in silence could store one twice: the file is named instead."""
    recent = make()
    (tmp_path / "recent" / "7.json").write_bytes(content)
    with pytest.raises(CorruptionError, match=r"recent/7\.json: expected a JSON object with unix_nano and requests"):
        recent.load()
