"""One pass tells which patterns occur where, with Hyperscan or without."""

import threading
import warnings

import numpy as np
import pytest

from collectors.redact.careful import masks_of
from collectors.redact.cells import Cells
from collectors.redact.detectors import BY_NAME
from collectors.redact.fields import NAME_COLUMNS, TEXT_COLUMNS
from collectors.redact.patterns import Patterns
from collectors.redact.scanner import Scanner, hyperscan

ENGINES = ["re", *(["hyperscan"] if hyperscan is not None else [])]
PERSONAL = (
    "write to jane.doe@example.org", "card 4111 1111 1111 1111", "IBAN DE89 3704 0044 0532 0130 00", "SSN 536-90-4399",
    "call +1 415 555 0132", "from 203.0.113.7", "born 12 March 1980", "key sk-proj-abcdefgh12345678abcdefgh12345678",
    "https://bob:hunter22@example.org/", "Best regards,\nMaria Sanchez", "7 Elm Street", "nothing at all",
    '{"password":"x","user.id":"bob","dataclassification":"public"}', '{"a":"\\u0040"}',
)  # fmt: skip


@pytest.fixture
def scanner(request):
    """Makes scanners of one engine, without its warning."""

    def make(patterns):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return Scanner(patterns, engine=request.param)

    return make


@pytest.mark.parametrize("scanner", ENGINES, indirect=True)
def test_matches_are_told_by_pattern_and_end(scanner):
    """Case is of no account, bytes are."""
    numbers, ends = scanner(["abc", r"\xc3\xa9", "[0-9]{2}x"]).scan("ABC é 12X".encode())
    assert sorted(zip(numbers.tolist(), ends.tolist(), strict=True)) == [(0, 3), (1, 6), (2, 10)]


@pytest.mark.parametrize("scanner", ENGINES, indirect=True)
def test_every_end_is_told(scanner):
    """A match that can end sooner does: what comes behind it may be another text."""
    _, ends = scanner(["a[b ]{1,9}c?b"]).scan(b"a bb cb")
    assert sorted(set(ends.tolist())) == [3, 4, 7]


@pytest.mark.parametrize("scanner", ENGINES, indirect=True)
def test_nothing_to_look_for_or_in_gives_nothing(scanner):
    """No pattern or no byte, no match."""
    assert [len(part) for part in scanner([]).scan(b"abc")] == [0, 0]
    assert [len(part) for part in scanner(["abc"]).scan(b"")] == [0, 0]
    assert [len(part) for part in scanner(["abc"]).scan(b"xyz")] == [0, 0]


@pytest.mark.parametrize("scanner", ENGINES, indirect=True)
def test_a_pattern_that_does_not_compile_is_named(scanner):
    """The error says what was expected."""
    with pytest.raises(ValueError, match=r"unclosed|syntax|parenthes"):
        scanner(["(unclosed"])


def test_without_hyperscan_the_fallback_warns():
    """Whoever searches with `re` hears of it."""
    with pytest.warns(RuntimeWarning, match="hyperscan is not installed: redaction searches with `re`"):
        Scanner(["abc"], engine="re")


def marked(engine, columns, redacting):
    """The masks of every cell of some logs, as one engine sees them."""
    logs = redacting.rows("logs", columns)
    patterns = Patterns(BY_NAME, ("patient.*", "note?", "x[0-9]"), engine=engine)
    found = []
    for names, scan in ((TEXT_COLUMNS, patterns.scan_texts), (NAME_COLUMNS, patterns.scan_names)):
        cells = Cells(logs, names, share=False)
        found.append(masks_of(cells, scan(cells.data)))
    return found


@pytest.mark.skipif(hyperscan is None, reason="no Hyperscan on this machine")
@pytest.mark.filterwarnings("ignore:hyperscan is not installed")
def test_both_engines_mark_the_same_cells(redacting):
    """Where Hyperscan has no wheel, exactly the same cells are treated, by the same detectors."""
    columns = [{"body": text, "attributes": {"note1": text, "x7": "a"}, "severity_text": text} for text in PERSONAL]
    columns += [{"body": first + second} for first in PERSONAL for second in PERSONAL]
    fast, slow = (marked(engine, columns, redacting) for engine in ("hyperscan", "re"))
    assert fast == slow
    assert len(fast[0]) > len(PERSONAL)


@pytest.mark.parametrize("scanner", ENGINES, indirect=True)
def test_threads_share_a_scanner(scanner):
    """Scans at once give each its own matches."""
    shared = scanner(["needle"])
    wrong = []

    def scan(number):
        buffer = b"x" * number * 97 + b"needle"
        for _ in range(200):
            _, ends = shared.scan(buffer)
            if ends.tolist() != [len(buffer)]:
                wrong.append(ends)

    threads = [threading.Thread(target=scan, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_bits_of_too_many_detectors_are_refused(redacting):
    """A mask has a bit for each detector, or there is no policy."""
    many = {f"d{n}": redacting.detector(f"d{n}", "abc") for n in range(60)}
    with pytest.raises(ValueError, match="got 60 detectors, expected at most 58"):
        Patterns(many)


def test_masks_name_detectors(redacting):
    """The mask of a text says who looks at it."""
    patterns = Patterns({"a": redacting.detector("a", "aaa"), "b": redacting.detector("b", "bbb")})
    marks = patterns.scan_texts(b"xx bbb xx")
    assert [one.name for one in patterns.detectors_of(int(np.bitwise_or.reduce(marks.masks)))] == ["b"]
    assert [one.name for one in patterns.detectors_for("aaa bbb")] == ["a", "b"]
    assert [one.name for one in patterns.detectors_of(patterns.everything)] == ["a", "b"]
