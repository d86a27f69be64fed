"""What the parts of the control store share: the database, the clock, the source of randomness, and announcing."""

from warehouse.clock import Clock
from warehouse.control.database import Database
from warehouse.control.secret import RandomBytes
from warehouse.errors import InputError


class Part:
    """One concern of the control store.

    Methods that change something take `announce`. It is called with the change as it will be, after every check and
    before the database is written, outside of any transaction (so it may itself use this store, as recording an event
    through a shard of one's own does). When it raises, nothing is changed. The checks are repeated by the write itself,
    which raises `ConflictError` when something came in between.
    """

    def __init__(self, database: Database, *, clock: Clock, random_bytes: RandomBytes) -> None:
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes


def announce_nothing(_change: object) -> None:
    """For changes that leave no event, such as those of tests."""


def check_text(text: str, what: str, *, at_most: int = 200) -> str:
    """Return `text` when it is printable, has no blanks at its ends and is 1 to `at_most` characters long.

    Raises:
        InputError: it is not.
    """
    if not text or text != text.strip() or not text.isprintable() or len(text) > at_most:
        raise InputError(
            f"{what}: expected 1 to {at_most} printable characters without blanks at the ends, got {text!r}"
        )
    return text
