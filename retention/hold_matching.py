"""Which rows a hold keeps, in columns.

What a criterion means for a row. Where a table cannot tell exactly, more is kept rather than less: what is kept too long can go
later, what went does not come back.

| criterion | spans | audit_events | logs | metrics | contents |
|---|---|---|---|---|---|
| subject | `subjects`, `user_id` | `subjects`, `actor_id`, `on_behalf_of`, `subject_id`, `resource_id` | `subjects` | the same | the same |
| agent | `agent_id`, `agent_name` | `actor_id`, `on_behalf_of`, `resource_id`, text | text | text | `agent_id` |
| trace | `trace_id` | the same | the same | `exemplars` | `trace_id` |
| conversation | `conversation_id` | text | text | text | |
| time | start to end, or receipt | time or receipt | time or receipt | time or receipt | time |
| data class | `data_class` | the same | the same | never | `data_class` |
| event | never | `event_name` | `event_name` | never | |

*Text* is the JSON of `attributes` and `resource`: it matches where the value stands there as a whole string. A row without a time
of its own counts as within every range.

A record and its content parts are one: a criterion that holds for one of them holds for all (`match_family`), so a part is kept
with the record that proves it, and a record with its parts. `matches` asks rows of one table alone.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from retention.holds import Hold, HoldScope
from retention.persons import IDENTITY_COLUMNS, SUBJECTS

Mask = npt.NDArray[np.bool_]
Rows: TypeAlias = "pa.Table | pa.RecordBatch"

_TEXT = ("attributes", "resource")
_EXACT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "agents": {
        "spans": ("agent_id", "agent_name"),
        "audit_events": ("actor_id", "on_behalf_of", "resource_id"),
        "contents": ("agent_id",),
    },
    "traces": dict.fromkeys(("spans", "audit_events", "logs", "contents"), ("trace_id",)),
    "conversations": {"spans": ("conversation_id",)},
    "data_classes": dict.fromkeys(("spans", "audit_events", "logs", "contents"), ("data_class",)),
}
_WITHIN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "agents": {"audit_events": _TEXT, "logs": _TEXT, "metrics": _TEXT},
    "traces": {"metrics": ("exemplars",)},
    "conversations": {"audit_events": _TEXT, "logs": _TEXT, "metrics": _TEXT},
}
_EVENTS = {"audit_events": ("event_name",), "logs": ("event_name",)}
_TIMES = {"spans": ("time_unix_nano", "end_unix_nano", "received_unix_nano"), "contents": ("time_unix_nano",)}
_OTHER_TIMES = ("time_unix_nano", "received_unix_nano")
_OWNER_KEY, _PART_KEY = ("shard", "log_index"), ("shard", "owner_index")
_INDEX_BITS = 44
_PATTERN_LENGTH = 8000


def needed_columns(scope: HoldScope, table: str) -> tuple[str, ...]:
    """The columns of a table that `matches` and `match_family` have to see; keys of the latter are among them."""
    names: list[str] = []
    for criterion in ("agents", "traces", "conversations", "data_classes"):
        if getattr(scope, criterion):
            names += _EXACT.get(criterion, {}).get(table, ())
            names += _WITHIN.get(criterion, {}).get(table, ())
    if scope.subjects:
        names += (SUBJECTS, *IDENTITY_COLUMNS[table])
    if scope.events:
        names += _EVENTS.get(table, ())
    if scope.limits_time:
        names += _TIMES.get(table, _OTHER_TIMES)
    if table != "metrics":
        names += _PART_KEY if table == "contents" else _OWNER_KEY
    return tuple(dict.fromkeys(names))


def matches(hold: Hold, table: str, tenant_id: str, rows: Rows) -> Mask:
    """Which of these rows of one table and tenant a hold keeps, by what they say themselves.

    Of `contents` this is only a part of the answer: see `match_family`.

    Raises:
        KeyError: a column of `needed_columns` is missing.
    """
    if tenant_id != hold.tenant_id or not _names_table(hold.scope, table):
        return np.zeros(rows.num_rows, dtype=np.bool_)
    return _all_of(_criteria(hold.scope, table, rows), rows.num_rows)


def match_family(hold: Hold, owner_table: str, tenant_id: str, owners: Rows, parts: Rows) -> tuple[Mask, Mask]:
    """Which records of a table, and which of these content parts, a hold keeps, each record and its parts taken as one.

    Parts whose record is not among `owners` are asked alone. A hold on some tables keeps parts only where `contents` is one of
    them, and then their record too, without which they cannot be proved.

    Raises:
        KeyError: a column of `needed_columns` is missing.
    """
    scope = hold.scope
    if tenant_id != hold.tenant_id:
        return np.zeros(owners.num_rows, dtype=np.bool_), np.zeros(parts.num_rows, dtype=np.bool_)
    family = _Family.of(owners, parts)
    of_owners, of_parts = _criteria(scope, owner_table, owners), _criteria(scope, "contents", parts)
    for name, owner_mask in of_owners.items():
        of_owners[name], of_parts[name] = family.shared(owner_mask, of_parts[name])
    kept = _all_of(of_owners, owners.num_rows)
    kept_parts = _all_of(of_parts, parts.num_rows)
    if not _names_table(scope, "contents"):
        kept_parts = np.zeros(parts.num_rows, dtype=np.bool_)
    if not _names_table(scope, owner_table):
        kept = family.has_part(kept_parts)
    return kept, kept_parts


def _names_table(scope: HoldScope, table: str) -> bool:
    return not scope.tables or table in scope.tables


def _all_of(criteria: Mapping[str, Mask], rows: int) -> Mask:
    every: Mask = np.logical_and.reduce([np.ones(rows, dtype=np.bool_), *criteria.values()])
    return every


def _criteria(scope: HoldScope, table: str, rows: Rows) -> dict[str, Mask]:
    """A mask for each criterion given; false throughout where the table has nothing to tell it by."""
    found: dict[str, Mask] = {}
    for criterion in ("agents", "traces", "conversations", "data_classes"):
        if values := getattr(scope, criterion):
            exact = [_is_in(rows, name, values) for name in _EXACT.get(criterion, {}).get(table, ())]
            within = [_contains(rows, name, values) for name in _WITHIN.get(criterion, {}).get(table, ())]
            found[criterion] = _any_of([*exact, *within], rows.num_rows)
    if scope.subjects:
        whole = [_is_in(rows, name, scope.subjects) for name in IDENTITY_COLUMNS[table]]
        found["subjects"] = _any_of([_lists_any(_column(rows, SUBJECTS), scope.subjects), *whole], rows.num_rows)
    if scope.events:
        found["events"] = _any_of([_like(rows, name, scope.events) for name in _EVENTS.get(table, ())], rows.num_rows)
    if scope.limits_time:
        found["time"] = _in_range(scope, table, rows)
    return found


def _any_of(masks: list[Mask], rows: int) -> Mask:
    some: Mask = np.logical_or.reduce([np.zeros(rows, dtype=np.bool_), *masks])
    return some


def _column(rows: Rows, name: str) -> pa.Array:
    column = rows.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _mask(found: Any) -> Mask:
    flags: Mask = pc.fill_null(found, fill_value=False).to_numpy(zero_copy_only=False)
    return flags.astype(np.bool_, copy=False)


def _is_in(rows: Rows, name: str, values: tuple[str, ...]) -> Mask:
    return _mask(pc.is_in(_column(rows, name), value_set=pa.array(values, pa.string())))


def _contains(rows: Rows, name: str, values: tuple[str, ...]) -> Mask:
    column = _column(rows, name)
    # Writers of JSON differ in whether they escape what is not ASCII.
    texts = {json.dumps(value, ensure_ascii=ascii_) for value in values for ascii_ in (False, True)}
    # As a pattern a fixed text is found four times faster than by `match_substring`.
    return _any_of([_mask(pc.match_substring_regex(column, pattern)) for pattern in _patterns(texts)], len(column))


def _patterns(texts: set[str]) -> Iterator[str]:
    """Alternatives of these texts, in as few patterns as the engine compiles within its memory."""
    group: list[str] = []
    size = 0
    for text in map(re.escape, sorted(texts)):
        if group and size + len(text) > _PATTERN_LENGTH:
            yield "|".join(group)
            group, size = [], 0
        group.append(text)
        size += len(text)
    yield "|".join(group)


def _like(rows: Rows, name: str, patterns: tuple[str, ...]) -> Mask:
    column = _column(rows, name)
    # Once a distinct name: there are few of them.
    names = [each for each in pc.unique(column).to_pylist() if each is not None]
    fitting = [each for each in names if any(fnmatchcase(each, pattern) for pattern in patterns)]
    return _mask(pc.is_in(column, value_set=pa.array(fitting, pa.string())))


def _lists_any(lists: pa.Array, values: tuple[str, ...]) -> Mask:
    mask = np.zeros(len(lists), dtype=np.bool_)
    found = _mask(pc.is_in(pc.list_flatten(lists), value_set=pa.array(values, pa.string())))
    mask[pc.list_parent_indices(lists).to_numpy()[found]] = True
    return mask


def _in_range(scope: HoldScope, table: str, rows: Rows) -> Mask:
    first, last = scope.first_unix_nano, scope.last_unix_nano
    begins = _column(rows, "time_unix_nano")
    ends = begins
    if table == "spans":
        # A span without an end, or with one before its start, is its start alone.
        ends = pc.max_element_wise(begins, _column(rows, "end_unix_nano"))
    own = _overlaps(begins, ends, first, last) | _mask(pc.is_null(begins))
    if table == "contents":
        return own
    received = _column(rows, "received_unix_nano")
    return own | _overlaps(received, received, first, last)


def _overlaps(begins: pa.Array, ends: pa.Array, first: int | None, last: int | None) -> Mask:
    mask = np.ones(len(begins), dtype=np.bool_)
    if first is not None:
        mask &= _mask(pc.greater_equal(ends, first))
    if last is not None:
        mask &= _mask(pc.less_equal(begins, last))
    return mask


@dataclass(frozen=True)
class _Family:
    """Which record each part belongs to: `owner_of` is a row of the records, -1 for none of them."""

    owners: int
    owner_of: npt.NDArray[np.int64]

    @classmethod
    def of(cls, owners: Rows, parts: Rows) -> "_Family":
        shards = pa.chunked_array([_column(owners, "shard"), _column(parts, "shard")], pa.string())
        codes = shards.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        owner_keys = _keys(codes[: owners.num_rows], _column(owners, "log_index"))
        part_keys = _keys(codes[owners.num_rows :], _column(parts, "owner_index"))
        if not owners.num_rows:
            return cls(0, np.full(parts.num_rows, -1, dtype=np.int64))
        order = np.argsort(owner_keys, kind="stable")
        places = np.minimum(np.searchsorted(owner_keys, part_keys, sorter=order), owners.num_rows - 1)
        candidates = order[places]
        return cls(owners.num_rows, np.where(owner_keys[candidates] == part_keys, candidates, -1).astype(np.int64))

    def has_part(self, part_mask: Mask) -> Mask:
        """Which records have a part among these."""
        mask = np.zeros(self.owners, dtype=np.bool_)
        of_these = self.owner_of[part_mask]
        mask[of_these[of_these >= 0]] = True
        return mask

    def shared(self, owner_mask: Mask, part_mask: Mask) -> tuple[Mask, Mask]:
        """Both masks, with whatever a record or one of its parts says said of all of them."""
        owners = owner_mask | self.has_part(part_mask)
        parts = part_mask.copy()
        owned = self.owner_of >= 0
        parts[owned] |= owners[self.owner_of[owned]]
        return owners, parts


def _keys(shard_codes: npt.NDArray[np.int64], indices: pa.Array) -> npt.NDArray[np.int64]:
    numbers = indices.to_numpy()
    if len(numbers) and int(numbers.max()) >> _INDEX_BITS:
        raise ValueError(f"log index: expected below 2^{_INDEX_BITS}, got {int(numbers.max())}")
    keys: npt.NDArray[np.int64] = (shard_codes << _INDEX_BITS) | numbers
    return keys
