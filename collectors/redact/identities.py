"""Ids of persons where the decoder puts them, exchanged for tokens in columns: a column of its own, or a member of JSON text.

The scan tells where such a member's text begins; it ends at the next quote. Texts with escapes, and longer ones, go the careful way.
Each distinct value is looked up once, whatever the number of records that it stands in.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collectors.decode.texts import valid_rows
from collectors.redact.cells import Cells
from collectors.redact.fields import ACTOR_KEY, COLUMNS, FAST_IDENTITY_KEYS, IDENTITY_COLUMNS, Role
from collectors.redact.patterns import Marks, identity_key
from collectors.redact.tables import TreatedTable
from collectors.redact.treatment import Treatment

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_MOST_BYTES = 96
_QUOTE, _BACKSLASH = 0x22, 0x5C
_ACTOR = FAST_IDENTITY_KEYS.index(ACTOR_KEY)

Exchange = Callable[[int, int, str], tuple[str | None, str | None]]
"""From tenant number, key number and a value to what stands in its place (None: no value) and its token, if it has one."""


@dataclass(frozen=True, slots=True)
class _Members:
    """Members of one JSON column that hold persons' ids: where their texts begin in the buffer and inside the column."""

    column: int
    starts: Ints
    lengths: Ints
    keys: Ints
    places: Ints
    inside: Ints


@dataclass(frozen=True, slots=True)
class Distinct:
    """Occurrences of values: for each the number of its distinct (tenant, key, value), and those."""

    codes: Ints
    values: list[tuple[int, int, str]]

    @classmethod
    def of(cls, values: pa.StringArray, tenants: Ints, keys: Ints) -> "Distinct":
        """Number values, none of which is null, with each one's tenant and key."""
        encoded = values.dictionary_encode()
        texts, indices = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        combined = (tenants * (int(keys.max(initial=0)) + 1) + keys) * max(len(texts), 1) + indices
        _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
        chosen = [texts[place] for place in indices[first].tolist()]
        return cls(codes, list(zip(tenants[first].tolist(), keys[first].tolist(), chosen, strict=True)))

    def exchange(self, replace: Exchange) -> "Exchanged":
        """Exchange each once."""
        answers = [replace(*value) for value in self.values]
        changed = np.array([new != text for (new, _), (_, _, text) in zip(answers, self.values, strict=True)], np.bool_)
        return Exchanged(self.codes, [new for new, _ in answers], [token for _, token in answers], changed)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Values that were exchanged: for each occurrence the number of its replacement; tokens by that number, or None.

    `changed` says of each replacement whether it differs from its value.
    """

    codes: Ints
    replacements: list[str | None]
    tokens: list[str | None]
    changed: Flags


class Identities:
    """The ids of persons in one table's columns and JSON members."""

    def __init__(
        self,
        table: TreatedTable,
        cells: Cells,
        marks: Marks,
        careful: set[tuple[int, int]],
        treatment: Callable[[str], Treatment],
    ) -> None:
        """Find them; `careful` are cells that are treated otherwise, and takes up those whose ids have escapes."""
        self._table = table
        self._cells = cells
        self._treatment = treatment
        self._members = self._find_members(marks, careful) if len(marks.identity_starts) else []
        self._of_members = [self._distinct_members(members) for members in self._members]
        self._of_columns = dict(self._distinct_columns())
        self._columns: dict[str, tuple[Flags, pa.StringArray]] = {}

    def ask(self) -> None:
        """Ask for the tokens of all of them, so that those which the vault has to make are fetched before `exchange`."""
        for name, (_, distinct) in self._of_columns.items():
            for tenant, _, value in distinct.values:
                self._replacement(tenant, name, value)
        for distinct in self._of_members:
            for tenant, key, value in distinct.values:
                self._replacement(tenant, identity_key(key), value)

    def exchange(self) -> None:
        """Exchange all of them, once; what has no token by now is masked."""
        for name, (chosen, distinct) in self._of_columns.items():
            self._exchange_column(name, chosen, distinct)
        for members, distinct in zip(self._members, self._of_members, strict=True):
            self._exchange_members(members, distinct)

    def columns(self, treated: Mapping[str, pa.StringArray]) -> dict[str, pa.StringArray]:
        """Columns of ids with tokens in place; `treated` holds those in which something else was changed."""
        return {
            name: pc.replace_with_mask(treated.get(name, self._table.batch.column(name)), pa.array(chosen), texts)
            for name, (chosen, texts) in self._columns.items()
        }

    def _replacement(self, tenant: int, key: str, value: str) -> tuple[str | None, str | None]:
        return self._treatment(self._table.tenants[tenant]).identity(value, (key,))

    def _distinct_columns(self) -> Iterator[tuple[str, tuple[Flags, Distinct]]]:
        """Columns of ids: which rows have one that may be a person's, and their values."""
        for name in IDENTITY_COLUMNS:
            if self._table.batch.schema.get_field_index(name) < 0:
                continue
            column = self._table.batch.column(name)
            chosen = valid_rows(column)
            if COLUMNS[name].role is Role.ACTOR:
                chosen = chosen & self._table.persons
            rows = np.flatnonzero(chosen)
            if len(rows):
                values = column.take(pa.array(rows))
                tenants = self._table.tenant_of[rows]
                yield name, (chosen, Distinct.of(values, tenants, np.zeros(len(rows), np.int64)))

    def _exchange_column(self, name: str, chosen: Flags, distinct: Distinct) -> None:
        rows = np.flatnonzero(chosen)
        done = distinct.exchange(lambda tenant, _key, value: self._replacement(tenant, name, value))
        self._columns[name] = chosen, pa.array(done.replacements, pa.string()).take(pa.array(done.codes))
        self._count(rows, done)
        for code, tenant in enumerate(self._table.tenants):
            findings = self._treatment(tenant).identity_column(name)
            if not findings.is_nothing:
                for row in rows[self._table.tenant_of[rows] == code].tolist():
                    self._table.found.note(row, findings)

    def _find_members(self, marks: Marks, careful: set[tuple[int, int]]) -> list[_Members]:
        order = np.argsort(marks.identity_starts, kind="stable")
        starts, keys = marks.identity_starts[order], marks.identity_keys[order]
        columns, places, inside = self._cells.place(starts)
        lengths = plain_values(self._cells.data, starts)
        found = []
        for number in np.unique(columns).tolist():
            column = self._cells.columns[number]
            mine = columns == number
            if not column.is_json:
                careful |= {(number, place) for place in places[mine].tolist()}
                continue
            careful |= {(number, place) for place in places[mine & (lengths < 0)].tolist()}
            mine &= ~np.isin(places, np.array([place for at, place in careful if at == number], np.int64))
            if column.codes is None:
                mine &= self._table.persons[np.where(mine, places, 0)] | (keys != _ACTOR)
            if mine.any():
                found.append(_Members(number, starts[mine], lengths[mine], keys[mine], places[mine], inside[mine]))
        return found

    def _distinct_members(self, members: _Members) -> Distinct:
        alone = self._cells.columns[members.column].codes is None
        tenants = self._table.tenant_of[members.places] if alone else np.zeros(len(members.places), np.int64)
        return Distinct.of(slices(self._cells.data, members.starts, members.lengths), tenants, members.keys)

    def _exchange_members(self, members: _Members, distinct: Distinct) -> None:
        column = self._cells.columns[members.column]
        alone = column.codes is None
        done = distinct.exchange(lambda tenant, key, value: self._replacement(tenant, identity_key(key), value))
        edits = column.edits
        # with the quotes, so that null can stand in place of a text
        edits.starts, edits.ends = members.inside - 1, members.inside + members.lengths + 1
        edits.codes = done.codes
        edits.values = [b"null" if new is None else f'"{new}"'.encode() for new in done.replacements]
        if alone:
            self._count(members.places, done)
            return
        for place, code in zip(members.places.tolist(), done.codes.tolist(), strict=True):
            rows = column.rows_of(place)
            self._count(rows, replace(done, codes=np.full(len(rows), code)))

    def _count(self, rows: Ints, done: Exchanged) -> None:
        found = self._table.found
        np.add.at(found.identities, rows, done.changed[done.codes].astype(np.int64))
        known = np.array([token is not None for token in done.tokens], np.bool_)[done.codes]
        found.subject_rows.append(rows[known])
        found.subject_tokens.append(pa.array(done.tokens, pa.string()).take(pa.array(done.codes[known])))


def plain_values(data: bytes, starts: Ints) -> Ints:
    """Lengths of the JSON strings whose texts begin at `starts`; -1 where one is too long, empty or has escapes."""
    bytes_ = np.frombuffer(data + bytes(_MOST_BYTES + 1), np.uint8)
    window = bytes_[starts[:, None] + np.arange(_MOST_BYTES + 1)]
    stops = (window == _QUOTE) | (window == _BACKSLASH)
    lengths = stops.argmax(axis=1).astype(np.int64)
    usable = stops.any(axis=1) & (window[np.arange(len(starts)), lengths] == _QUOTE) & (lengths > 0)
    return np.where(usable, lengths, -1)


def slices(data: bytes, starts: Ints, lengths: Ints) -> pa.StringArray:
    """Pieces of a buffer as texts."""
    bounds = np.stack([starts, starts + lengths], axis=1).reshape(-1)
    if (np.diff(bounds) < 0).any():
        raise ValueError("expected pieces in ascending order that do not overlap")
    every = pa.StringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds.astype(np.int32)), pa.py_buffer(data))
    return every.take(pa.array(np.arange(0, len(bounds) - 1, 2)))
