"""A legal hold as deletion sees it: a case with a scope.

A scope says what is kept, in one tenant, by any combination of criteria. Criteria are joined by *and*; the values of one by *or*;
a criterion that is not given is no limit. What exactly a criterion means for a row stands in `retention.hold_matching`.

Invariants:
- A scope without any criterion keeps everything of its tenant, and is refused unless that was said in so many words.
- `scope_text` gives the same text for the same scope, whatever order its values came in; `read_scope` gives the scope back.
- Each hold stands alone: what two of them keep is the union, and a released one takes nothing from another.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Self

import msgspec

from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND
from warehouse.control import HoldRecord
from warehouse.errors import CorruptionError, InputError
from warehouse.subjects import is_token
from warehouse.tables import DATA_CLASSES, TABLES

MOST_VALUES = 1000
"""Values of one criterion: a hold is read whole under the lock that deletes."""
_LONGEST_VALUE = 1000
_HEX_TRACE = frozenset("0123456789abcdef")
_TRACE_LENGTH = 32


class HoldScope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a hold keeps within its tenant. Times in nanoseconds since 1970, both included.

    `subjects` are tokens, `traces` 32 hex digits, `events` shell-style patterns of event names (`approval.*`). `everything` stands
    for the missing criteria of a hold on all that the tenant has.
    """

    subjects: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    conversations: tuple[str, ...] = ()
    first_unix_nano: int | None = None
    last_unix_nano: int | None = None
    tables: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    everything: bool = False

    @property
    def limits_time(self) -> bool:
        """Whether it names a beginning or an end."""
        return self.first_unix_nano is not None or self.last_unix_nano is not None

    @property
    def is_limited(self) -> bool:
        """Whether any criterion is given at all."""
        return self.limits_time or any(getattr(self, name) for name in _LISTS)


_LISTS = ("subjects", "agents", "traces", "conversations", "tables", "data_classes", "events")


def check_scope(scope: HoldScope) -> HoldScope:
    """The scope in its one form (values once each, in order), when it can be a hold's.

    Raises:
        InputError: no criterion and not `everything`, or both; a value that none can have; an end before its beginning.
    """
    for name in _LISTS:
        for value in getattr(scope, name):
            if problem := _problem(name, value):
                raise InputError(f"hold: {problem}")
        if len(set(getattr(scope, name))) > MOST_VALUES:
            raise InputError(f"hold: expected at most {MOST_VALUES} {name}, got {len(set(getattr(scope, name)))}")
    first, last = scope.first_unix_nano, scope.last_unix_nano
    if first is not None and last is not None and last < first:
        raise InputError(f"hold: expected an end at or after its beginning, got {_time(first)} to {_time(last)}")
    if not scope.is_limited and not scope.everything:
        raise InputError(
            "hold: expected something that it keeps, got nothing",
            hint="--agent, --trace, --conversation, --subject, --from, --to, --table, --class or --event; "
            "--everything-of-tenant for all that the tenant has",
        )
    if scope.is_limited and scope.everything:
        raise InputError("hold: expected --everything-of-tenant or what it keeps, got both")
    return msgspec.structs.replace(scope, **{name: tuple(sorted(set(getattr(scope, name)))) for name in _LISTS})


def scope_text(scope: HoldScope) -> str:
    """Canonical JSON of a checked scope: keys in order, nothing that says no more than its absence."""
    return json.dumps(msgspec.to_builtins(scope), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_scope(text: str) -> HoldScope:
    """The scope that a text stands for.

    Raises:
        CorruptionError: it stands for none.
    """
    try:
        return msgspec.json.decode(text, type=HoldScope)
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        raise CorruptionError(
            f"hold's scope in the control database: expected one that this version knows, got {exc}",
            hint="a newer Muniment placed it: delete nothing with this version",
        ) from exc


@dataclass(frozen=True)
class Hold:
    """A hold and what it keeps."""

    id: str
    tenant_id: str
    scope: HoldScope

    @classmethod
    def of(cls, record: HoldRecord) -> Self:
        """The hold of a row of the control database.

        Raises:
            CorruptionError: nobody can tell what it keeps, so that nothing may be deleted.
        """
        return cls(record.id, record.tenant_id, read_scope(record.scope))


def holds_of(records: Iterable[HoldRecord], tenant_id: str | None = None) -> tuple[Hold, ...]:
    """The holds in force among these rows, of a tenant or of all.

    Raises:
        CorruptionError: nobody can tell what one of them keeps.
    """
    return tuple(Hold.of(record) for record in records if record.in_force and tenant_id in {None, record.tenant_id})


def holds_hash(holds: Iterable[Hold]) -> str:
    """`sha256:…` over what these holds keep, in whatever order they come: two plans with one hash were made under the same holds.

    Who placed a hold, and why, does not count: it changes nothing about what is kept.
    """
    content: list[Any] = sorted([hold.id, hold.tenant_id, scope_text(hold.scope)] for hold in holds)
    return f"sha256:{hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()}"


class Cover(Enum):
    """What a hold keeps of a partition, as far as can be told without reading it."""

    NOTHING = "nothing"
    MAYBE = "maybe"
    """Its rows have to be asked."""
    EVERYTHING = "everything"


def covers_partition(hold: Hold, table: str, tenant_id: str, day: date) -> Cover:
    """Whether a hold can keep a row of a partition (rows of one table, whose own time lies in that day), or keeps all of them.

    A time range alone never says NOTHING: a row counts by its receipt too, which the day does not tell.
    """
    scope = hold.scope
    if tenant_id != hold.tenant_id:
        return Cover.NOTHING
    if scope.tables and table not in scope.tables:
        # The owner of a part that is kept stays with it.
        return Cover.MAYBE if "contents" in scope.tables and table != "metrics" else Cover.NOTHING
    if scope.events and table == "metrics":
        return Cover.NOTHING
    if scope.data_classes and table == "metrics":
        return Cover.NOTHING
    if any(getattr(scope, name) for name in _LISTS if name != "tables"):
        return Cover.MAYBE
    first = day_start(day)
    last = first + NANOS_PER_DAY - 1
    begins = scope.first_unix_nano is None or scope.first_unix_nano <= first
    ends = scope.last_unix_nano is None or scope.last_unix_nano >= last
    return Cover.EVERYTHING if begins and ends else Cover.MAYBE


def day_start(day: date) -> int:
    """The first nanosecond of a UTC day."""
    return (day - date(1970, 1, 1)).days * NANOS_PER_DAY


def _problem(name: str, value: str) -> str | None:
    if not value or value != value.strip() or not value.isprintable() or len(value) > _LONGEST_VALUE:
        return (
            f"expected {name} of 1 to {_LONGEST_VALUE} printable characters without blanks at the ends, got {value!r}"
        )
    match name:
        case "subjects" if not is_token(value):
            return "expected tokens of subjects, sub_ and 26 characters, got something else"  # perhaps the value itself
        case "traces" if len(value) != _TRACE_LENGTH or not _HEX_TRACE.issuperset(value):
            return f"expected a trace of {_TRACE_LENGTH} lower-case hex digits, got {value!r}"
        case "tables" if value not in TABLES:
            return f"expected a table ({', '.join(TABLES)}), got {value!r}"
        case "data_classes" if value not in DATA_CLASSES:
            return f"expected a data class ({', '.join(DATA_CLASSES)}), got {value!r}"
    return None


def _time(unix_nano: int) -> str:
    return datetime.fromtimestamp(unix_nano / NANOS_PER_SECOND, UTC).isoformat()
