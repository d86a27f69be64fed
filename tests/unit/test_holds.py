"""What a hold's scope may say, how it is written down, and what it tells about a partition unread."""

from datetime import date

import pytest

from collectors.redact.detector import DataClass
from retention.holds import (
    DATA_CLASSES,
    Cover,
    Hold,
    HoldScope,
    check_scope,
    covers_partition,
    day_start,
    holds_hash,
    holds_of,
    read_scope,
    scope_text,
)
from warehouse.control import HoldRecord
from warehouse.errors import CorruptionError, InputError

DAY = date(2026, 2, 28)
START = 1_772_236_800_000_000_000  # date -u -d 2026-02-28 +%s
LENGTH = 86_400_000_000_000
TOKEN = "sub_" + "a" * 26
TRACE = "0af7651916cd43dd8448eb211c80319c"


def hold(identity="h1", tenant="acme", **scope):
    return Hold(identity, tenant, HoldScope(**scope))


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ({}, "expected something that it keeps, got nothing"),
        ({"everything": True, "agents": ("a",)}, "got both"),
        ({"everything": True, "first_unix_nano": 1}, "got both"),
        ({"first_unix_nano": 2, "last_unix_nano": 1}, "an end at or after its beginning"),
        ({"subjects": ("ada@example.org",)}, "tokens of subjects"),
        ({"traces": (TRACE.upper(),)}, "lower-case hex"),
        ({"traces": (TRACE[1:],)}, "lower-case hex"),
        ({"tables": ("span",)}, "expected a table"),
        ({"data_classes": ("secret",)}, "expected a data class"),
        ({"agents": ("",)}, "printable"),
        ({"agents": (" a",)}, "printable"),
        ({"conversations": ("a\nb",)}, "printable"),
        ({"events": ("x" * 1001,)}, "printable"),
        ({"agents": tuple(f"a{n}" for n in range(1001))}, "at most 1000 agents"),
    ],
)
def test_what_cannot_be_a_scope_is_refused(scope, message):
    """Each mistake in a scope is named."""
    with pytest.raises(InputError, match=message):
        check_scope(HoldScope(**scope))


def test_a_refused_subject_is_not_shown():
    """Whoever gave a value for a token does not find it in a message."""
    with pytest.raises(InputError) as refused:
        check_scope(HoldScope(subjects=("ada@example.org",)))
    assert "ada" not in str(refused.value)


def test_one_scope_has_one_text():
    """Order and repetition of values make no difference, and the text is read back as the scope."""
    one = check_scope(HoldScope(agents=("b", "a", "b"), last_unix_nano=2**62, subjects=(TOKEN,)))
    assert scope_text(one) == f'{{"agents":["a","b"],"last_unix_nano":{2**62},"subjects":["{TOKEN}"]}}'
    assert read_scope(scope_text(one)) == one
    assert scope_text(check_scope(HoldScope(agents=("é",)))) == '{"agents":["é"]}'


@pytest.mark.parametrize("text", ["", "{", '{"colours":["red"]}', '{"agents":"a"}', '{"agents":[1]}'])
def test_a_scope_that_nobody_can_read_stops_deletion(text):
    """An unknown criterion is an error, not one that is left out."""
    with pytest.raises(CorruptionError, match="expected one that this version knows"):
        read_scope(text)


def test_only_holds_in_force_count():
    """A released hold is not among them, nor is another tenant's where one is asked for."""
    record = HoldRecord("h1", "acme", "r", "o", '{"everything":true}', 1, "user:a")
    released = HoldRecord("h2", "acme", "r", "o", '{"everything":true}', 1, "user:a", released_unix_nano=2)
    other = HoldRecord("h3", "globex", "r", "o", '{"agents":["a"]}', 1, "user:a")
    assert [each.id for each in holds_of([record, released, other])] == ["h1", "h3"]
    assert holds_of([record, released, other], "acme") == (Hold("h1", "acme", HoldScope(everything=True)),)


def test_the_hash_tells_what_is_kept():
    """It is the same in any order, and another as soon as a hold comes, goes or keeps something else."""
    one, two = hold(agents=("a",)), hold("h2", agents=("a",))
    assert holds_hash([one, two]) == holds_hash([two, one])
    different = [[], [one], [two], [one, two], [hold(agents=("b",))], [hold(tenant="globex", agents=("a",))]]
    assert len({holds_hash(holds) for holds in different}) == len(different)
    assert holds_hash([]) == "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


@pytest.mark.parametrize(
    ("scope", "table", "cover"),
    [
        ({"everything": True}, "spans", "EVERYTHING"),
        ({"everything": True}, "metrics", "EVERYTHING"),
        ({"tables": ("spans",)}, "spans", "EVERYTHING"),
        ({"tables": ("spans",)}, "contents", "NOTHING"),
        ({"tables": ("spans",), "agents": ("a",)}, "logs", "NOTHING"),
        ({"tables": ("contents",)}, "spans", "MAYBE"),
        ({"tables": ("contents",)}, "metrics", "NOTHING"),
        ({"agents": ("a",)}, "spans", "MAYBE"),
        ({"events": ("approval.*",)}, "contents", "MAYBE"),
        ({"events": ("approval.*",)}, "metrics", "NOTHING"),
        ({"data_classes": ("restricted",)}, "metrics", "NOTHING"),
        ({"first_unix_nano": START}, "spans", "EVERYTHING"),
        ({"first_unix_nano": START + 1}, "spans", "MAYBE"),
        ({"last_unix_nano": START + LENGTH - 1}, "spans", "EVERYTHING"),
        ({"last_unix_nano": START + LENGTH - 2}, "spans", "MAYBE"),
        ({"first_unix_nano": START, "last_unix_nano": START + LENGTH - 1}, "logs", "EVERYTHING"),
        ({"first_unix_nano": START + 9 * LENGTH}, "spans", "MAYBE"),  # may have been received then
        ({"first_unix_nano": START, "agents": ("a",)}, "spans", "MAYBE"),
    ],
)
def test_what_a_partition_tells_unread(scope, table, cover):
    """A partition is kept whole, or not at all, only where no row could say otherwise."""
    assert covers_partition(hold(**scope), table, "acme", DAY) is Cover[cover]
    assert covers_partition(hold(**scope), table, "globex", DAY) is Cover.NOTHING


def test_a_day_begins_at_midnight_in_utc():
    """The first nanosecond of a leap year's last day of February, and of the first day that is counted."""
    assert day_start(DAY) == START
    assert day_start(date(2028, 2, 29)) == 1_835_395_200_000_000_000  # date -u -d 2028-02-29 +%s
    assert day_start(date(1970, 1, 1)) == 0


def test_data_classes_are_those_that_redaction_gives():
    """A hold can name each class that a row may have, and no other."""
    assert [each.label for each in DataClass] == list(DATA_CLASSES)
