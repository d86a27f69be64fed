"""The cache of keys: what it answers from memory, for how long, and what it never keeps."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from warehouse.control import KeyCache, KeyRecord
from warehouse.errors import ControlUnavailableError, UnauthenticatedError

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND


class Register:
    """A control store in memory: keys by their text, how often it was asked, and whether it answers."""

    def __init__(self, **keys):
        self.keys = {text: KeyRecord(text, "acme", START, **options) for text, options in keys.items()}
        self.asked = []
        self.answers = True

    def authenticate(self, key_text):
        """As `ControlStore.authenticate`, without looking at times."""
        self.asked.append(key_text)
        if not self.answers:
            raise ControlUnavailableError("gone")
        if key_text not in self.keys:
            raise UnauthenticatedError(f"no {key_text}")
        return self.keys[key_text]


class Now:
    """A clock that stands where a test puts it."""

    def __init__(self):
        self.unix_nano = START

    def __call__(self):
        """The instant that was set."""
        return self.unix_nano


def make(register, **options):
    """A cache over the register, and its clock."""
    now = Now()
    return KeyCache(register, clock=now, **options), now


def test_known_key_is_asked_for_once_within_the_ttl():
    """A key is answered from memory up to, and not at, the end of the time to live."""
    register = Register(a={})
    cache, now = make(register, ttl_seconds=5)
    for instant in (0, 1, 5 * SECOND - 1):
        now.unix_nano = START + instant
        assert cache.resolve("a").key_id == "a"
    assert register.asked == ["a"]
    now.unix_nano = START + 5 * SECOND
    assert cache.resolve("a").key_id == "a"
    assert register.asked == ["a", "a"]


def test_revocation_is_seen_within_the_ttl():
    """A key that is revoked meanwhile is refused once its time in memory is over, and not answered from memory again."""
    register = Register(a={})
    cache, now = make(register, ttl_seconds=5)
    cache.resolve("a")
    del register.keys["a"]
    now.unix_nano += 5 * SECOND
    with pytest.raises(UnauthenticatedError):
        cache.resolve("a")
    now.unix_nano = START + 1
    with pytest.raises(UnauthenticatedError):
        cache.resolve("a")


@pytest.mark.parametrize("end", ["expires_unix_nano", "overlap_ends_unix_nano"])
def test_known_end_is_kept_to_the_instant(end):
    """A key whose end is known is not answered from memory at or after it, however long the time to live."""
    register = Register(a={end: START + 10})
    cache, now = make(register, ttl_seconds=5)
    cache.resolve("a")
    now.unix_nano = START + 9
    assert cache.peek("a").key_id == "a"
    now.unix_nano = START + 10
    assert cache.peek("a") is None


def test_refusal_is_remembered_briefly():
    """A wrong key is refused from memory for a moment, then asked for again, with the same message."""
    register = Register()
    cache, now = make(register, refused_ttl_seconds=1)
    for _ in range(3):
        with pytest.raises(UnauthenticatedError, match="no wrong"):
            cache.resolve("wrong")
    with pytest.raises(UnauthenticatedError, match="no wrong"):
        cache.peek("wrong")
    assert register.asked == ["wrong"]
    now.unix_nano += SECOND
    with pytest.raises(UnauthenticatedError):
        cache.resolve("wrong")
    assert register.asked == ["wrong", "wrong"]


def test_without_database_known_keys_work_to_the_end_of_their_ttl():
    """With the database gone a known key works until its time in memory ends, an unknown one not at all, and both again later."""
    register = Register(a={}, b={})
    cache, now = make(register, ttl_seconds=5)
    cache.resolve("a")
    register.answers = False
    now.unix_nano = START + 5 * SECOND - 1
    assert cache.resolve("a").key_id == "a"
    with pytest.raises(ControlUnavailableError):
        cache.resolve("b")
    now.unix_nano += 1
    with pytest.raises(ControlUnavailableError):
        cache.resolve("a")
    register.answers = True
    assert cache.resolve("a").key_id == "a"
    assert cache.resolve("b").key_id == "b"


def test_clock_set_back_lengthens_nothing():
    """When the clock is set back past the moment of asking, the database is asked again."""
    register = Register(a={})
    cache, now = make(register, ttl_seconds=5)
    cache.resolve("a")
    now.unix_nano -= 1
    assert cache.peek("a") is None


def test_memory_is_bounded_and_wrong_keys_push_out_no_right_one():
    """The cache keeps the newest keys up to its capacity; a flood of wrong keys leaves right ones in place."""
    register = Register(a={}, b={}, c={})
    cache, _ = make(register, capacity=2)
    for text in "abc":
        cache.resolve(text)
    assert [cache.peek(text) is not None for text in "abc"] == [False, True, True]
    for number in range(50):
        with pytest.raises(UnauthenticatedError):
            cache.resolve(f"wrong{number}")
    assert cache.peek("c").key_id == "c"
    assert (len(cache._known), len(cache._refused)) == (2, 2)


def test_secret_is_not_kept():
    """No entry, right or refused, holds the key's text."""
    register = Register(a={})
    register.keys = {"the-secret-text": KeyRecord("k1", "acme", START)}
    cache, _ = make(register)
    cache.resolve("the-secret-text")
    with pytest.raises(UnauthenticatedError):
        cache.resolve("x" * 30)
    entries = repr(cache._known)
    assert "the-secret-text" not in entries
    assert "x" * 30 not in repr(list(cache._refused))


def test_any_text_is_a_possible_key():
    """Text that is no valid Unicode is refused like any other wrong key."""
    cache, _ = make(Register())
    with pytest.raises(UnauthenticatedError):
        cache.resolve("\ud800")


def test_threads_may_share_it():
    """Threads that resolve overlapping sets of keys, with evictions going on, all get the right key."""
    names = [f"k{number}" for number in range(20)]
    register = Register(**{name: {} for name in names})
    cache, _ = make(register, capacity=5)
    barrier = threading.Barrier(4)

    def work(_):
        barrier.wait(timeout=60)
        return [cache.resolve(name).key_id for _ in range(20) for name in names]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [names * 20] * 4
    assert len(cache._known) == 5
