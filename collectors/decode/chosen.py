"""Of all attributes that could fill a column, the one that does: chosen for all records and columns at once.

Every usable candidate is a (record, column) cell with a rank. Candidates are written into the table of cells in order of
falling rank, so that the best one is written last and stays.
"""

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from collectors.decode.anyvalue import ARRAY, BOOL, DOUBLE, INT, PAIRS, STRING
from collectors.decode.attributes import Attributes
from collectors.decode.texts import Flags, Ints, integers_of, lengths_of, nonzero_rows, quote, wrapped
from collectors.dialects.aliases import Form
from collectors.dialects.readers import Reader

_USABLE = np.zeros((len(Form), PAIRS + 1), np.bool_)
_FORMS = {form: number for number, form in enumerate(Form)}
for _form, _kinds in {
    Form.TEXT: (STRING, BOOL, INT, DOUBLE),
    Form.COUNT: (STRING, INT, DOUBLE),
    Form.AMOUNT: (STRING, INT, DOUBLE),
    Form.REASONS: (STRING, ARRAY),
}.items():
    _USABLE[_FORMS[_form], list(_kinds)] = True
_COUNT_TEXT = r"^\s*[0-9]{1,19}(\.0*)?\s*$"
_AMOUNT_TEXT = r"^\s*[0-9]{0,15}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?\s*$"
_MOST_AMOUNT = 1e12
_EXACT = float(2**53)


class Chosen:
    """The chosen value of every column and owner. Columns nobody filled cost nothing."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._roles = attributes.key_set.roles.roles
        self._rows = len(attributes.codes)
        self._forms = np.array([_FORMS[form] for form in self._roles.forms], np.int64)
        self._extra: list[str] = []
        self._cells: list[Ints] = []
        self._ranks: list[npt.NDArray[np.uint8]] = []
        self._sources: list[Ints] = []
        self._numbers: npt.NDArray[np.float64] | None = None
        self._only_texts = True
        self._slots = self._choose()
        self._filled = nonzero_rows(self._slots >= 0).tolist()

    def _choose(self) -> Ints:
        key_roles = self._attributes.key_set.roles
        owners = self._attributes.row_owners()
        lengths = lengths_of(self._attributes.values.field("string_value"))
        for column_of, rank_of in key_roles.layers:
            columns = column_of[self._attributes.codes]
            rows = np.flatnonzero(columns >= 0)
            self._offer(rows, columns[rows], rank_of[self._attributes.codes[rows]], owners, lengths)
        for code, role in key_roles.read:
            self._offer_read(np.flatnonzero(self._attributes.codes == code), role, owners, lengths)
        slots = np.full(len(self._forms) * self._attributes.count, -1, np.int64)
        if self._cells:
            ranks = np.concatenate(self._ranks)
            cells, sources = np.concatenate(self._cells), np.concatenate(self._sources)
            if ranks.any():
                order = np.argsort(np.uint8(255) - ranks, kind="stable")
                cells, sources = cells[order], sources[order]
            slots[cells] = sources
        return slots.reshape(len(self._forms), self._attributes.count)

    def _offer(
        self,
        rows: Ints,
        columns: npt.NDArray[np.int16],
        ranks: npt.NDArray[np.uint8],
        owners: Ints,
        lengths: npt.NDArray[np.int32],
    ) -> None:
        """Offer attributes as they are, where their kind suits the column."""
        kinds = self._attributes.kinds[rows]
        forms = self._forms[columns]
        usable = _USABLE[forms, kinds] & ((kinds != STRING) | (lengths[rows] > 0))
        for form, pattern in ((Form.COUNT, _COUNT_TEXT), (Form.AMOUNT, _AMOUNT_TEXT)):
            asked = (forms == _FORMS[form]) & (kinds == STRING)
            if asked.any():
                texts = self._attributes.texts(rows[asked])
                usable[asked] &= pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
        if not usable.all():
            rows, columns, ranks = rows[usable], columns[usable], ranks[usable]
        self._only_texts &= bool(((kinds == STRING) | (forms != _FORMS[Form.TEXT])).all())
        self._cells.append(columns.astype(np.int64) * self._attributes.count + owners[rows])
        self._ranks.append(ranks)
        self._sources.append(rows)

    def _offer_read(
        self, rows: Ints, role: tuple[int, int, Reader], owners: Ints, lengths: npt.NDArray[np.int32]
    ) -> None:
        """Offer what a reader makes of text attributes; it runs once for each distinct text."""
        column, rank, read = role
        rows = rows[(self._attributes.kinds[rows] == STRING) & (lengths[rows] > 0)]
        if not len(rows):
            return
        encoded = self._attributes.texts(rows).dictionary_encode()
        originals = encoded.dictionary.to_pylist()
        meanings = [read(text) for text in originals]
        if meanings != originals:
            codes = encoded.indices.to_numpy()
            targets = np.array([self._meaning(text, column) for text in meanings], np.int64)[codes]
            owned = owners[rows[targets >= 0]]
            sources = targets[targets >= 0] + self._rows
        else:
            owned, sources = owners[rows], rows
        self._cells.append(owned + column * self._attributes.count)
        self._ranks.append(np.full(len(owned), rank, np.uint8))
        self._sources.append(sources)

    def _meaning(self, text: str | None, column: int) -> int:
        """Number of a further text; -1 where it is none, or no number for a column of numbers."""
        if text is None or (self._forms[column] in (_FORMS[Form.COUNT], _FORMS[Form.AMOUNT]) and not _is_number(text)):
            return -1
        self._extra.append(text)
        return len(self._extra) - 1

    def rows(self, column: str) -> Ints:
        """For each owner the chosen source of a column, -1 for none."""
        found: Ints = self._slots[self._roles.columns[column]]
        return found

    def has(self, column: str) -> bool:
        """Whether any owner has a value for the column."""
        return bool(self._filled[self._roles.columns[column]])

    def texts(self, column: str) -> pa.StringArray:
        """A text column; null where no attribute fills it."""
        sources = self.rows(column)
        if not self.has(column):
            return pa.nulls(len(sources), pa.string())
        if self._only_texts and not self._extra:
            return self._attributes.values.field("string_value").take(pa.array(sources, mask=sources < 0))
        return self._texts(sources)

    def _texts(self, sources: Ints) -> pa.StringArray:
        found = sources >= 0
        own = found & (sources < self._rows)
        attributes = self._attributes
        texts = attributes.values.field("string_value").take(pa.array(sources, mask=~own))
        others = np.flatnonzero(own)[attributes.kinds[sources[own]] != STRING]
        if len(others):
            index = np.zeros(len(sources), np.int64)
            index[others] = attributes.rendered.index[sources[others]]
            absent = np.ones(len(sources), np.bool_)
            absent[others] = False
            texts = pc.coalesce(texts, attributes.rendered.pieces.take(pa.array(index, mask=absent)))
        further = sources >= self._rows
        if further.any():
            extra = pa.array(self._extra, pa.string())
            texts = pc.coalesce(texts, extra.take(pa.array(sources - self._rows, mask=~further)))
        return texts

    def counts(self, column: str) -> pa.Int64Array:
        """A column of whole numbers, not negative; texts were checked when they were offered."""
        sources = self.rows(column)
        if not self.has(column):
            return pa.nulls(len(sources), pa.int64())
        found = sources >= 0
        own = np.where(found & (sources < self._rows), sources, 0)
        numbers = integers_of(self._attributes.values.field("int_value"))[own]
        odd = np.flatnonzero(found & ((sources >= self._rows) | (self._attributes.kinds[own] != INT)))
        if len(odd):
            numbers[odd] = _whole_numbers(self._texts(sources[odd]))
        return pa.array(numbers, mask=~(found & (numbers >= 0)))

    def amounts(self, column: str) -> npt.NDArray[np.float64]:
        """A column of amounts, NaN where none."""
        sources = self.rows(column)
        amounts = np.full(len(sources), np.nan)
        found = np.flatnonzero(sources >= 0)
        if len(found):
            parsed = self._parsed(sources[found])
            amounts[found] = np.where((parsed >= 0) & (parsed < _MOST_AMOUNT), parsed, np.nan)
        return amounts

    def _parsed(self, sources: Ints) -> npt.NDArray[np.float64]:
        """Values of these sources as doubles, NaN for what is no number."""
        numbers: npt.NDArray[np.float64] = _numbers(self._texts(sources), pl.Float64).to_numpy()
        return numbers

    def reasons(self, column: str) -> pa.StringArray:
        """A column of JSON arrays: an array as it is, text that is one as it is, another text as its only member."""
        sources = self.rows(column)
        if not self.has(column):
            return pa.nulls(len(sources), pa.string())
        found = sources >= 0
        own = np.where(found & (sources < self._rows), sources, 0)
        if not self._extra and (self._attributes.kinds[own[found]] == ARRAY).all():
            index = self._attributes.rendered.index[own]
            return self._attributes.rendered.pieces.take(pa.array(index, mask=~found))
        texts = self._texts(sources)
        is_array: Flags = (
            pc.match_substring_regex(texts, r"^\s*\[.*\]\s*$").fill_null(True).to_numpy(zero_copy_only=False)
        )
        if is_array.all():
            return texts
        return pc.if_else(pa.array(is_array), texts, wrapped("[", quote(texts), "]"))


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False


def _numbers(texts: pa.StringArray, kind: type[pl.Float64 | pl.Int64]) -> pl.Series:
    return pl.Series(texts, dtype=pl.String).str.strip_chars().cast(kind, strict=False)


def _whole_numbers(texts: pa.StringArray) -> Ints:
    """Whole numbers of texts such as `12` (exact, however large) and `12.0`; -1 for others."""
    doubles = _numbers(texts, pl.Float64)
    whole = doubles.is_finite() & (doubles == doubles.floor()) & (doubles.abs() < _EXACT)
    rounded = doubles.set(~whole.fill_null(value=False), None).cast(pl.Int64)
    numbers: Ints = _numbers(texts, pl.Int64).fill_null(rounded).fill_null(-1).to_numpy()
    return numbers
