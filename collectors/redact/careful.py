"""The cells of a table in which the scan found something, and their treatment one by one."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collectors.decode.texts import lengths_of, valid_rows
from collectors.redact.cells import Cells, TextColumn
from collectors.redact.declared import declared_class
from collectors.redact.detector import Detector
from collectors.redact.fields import ACTOR, COLUMNS, LONGEST_NAME, field_of
from collectors.redact.findings import Findings
from collectors.redact.patterns import DECLARED, NUMERIC, Marks
from collectors.redact.policy import TenantPolicy
from collectors.redact.rules import rule_of
from collectors.redact.tables import TreatedTable
from collectors.redact.treatment import Treatment

Ints = npt.NDArray[np.int64]
_DECLARED_BIT, _NUMERIC_BIT = np.uint64(1 << DECLARED), np.uint64(1 << NUMERIC)
_PLACES = 1 << 40
_KEY_END = b'":'
_IS_NUMBER = re.compile(rb"[-+.0-9eE]*")

Masks = dict[tuple[int, int], int]
"""Bits of all marks in a cell, by (column, place)."""


@dataclass(frozen=True)
class Care:
    """What the treatment of a cell needs from its group: treatments by tenant, detectors by tenant and mask, tokens asked for."""

    treatment: Callable[[str], Treatment]
    candidates: Callable[[str, int], Callable[[str], Sequence[Detector]]]
    asked: Callable[[], int]


def masks_of(cells: Cells, marks: Marks) -> Masks:
    """The cells in which there are marks; notes where in them these stand."""
    ends, masks = _outside_names(cells, marks)
    if not len(ends):
        return {}
    # ids of persons count for where a cell is marked, and not for whether it is
    every = np.concatenate([ends, marks.identity_starts - 1])
    bits = np.concatenate([masks, np.zeros(len(marks.identity_starts), np.uint64)])
    columns, places, _ = cells.place(every - 1)
    cell_of = columns * _PLACES + places
    order = np.lexsort((every, cell_of))
    every, cell_of = every[order], cell_of[order]
    begins = np.flatnonzero(np.diff(cell_of, prepend=-1))
    joined = np.bitwise_or.reduceat(bits[order], begins).tolist()
    found: Masks = {}
    bounds = [*begins.tolist(), len(every)]
    for number, (at, mask) in enumerate(zip(cell_of[begins].tolist(), joined, strict=True)):
        if mask:
            cell = (at // _PLACES, at % _PLACES)
            found[cell] = mask
            cells.marked[cell] = every[bounds[number] : bounds[number + 1]] - cells.start_of_cell(*cell)
    return found


def every_cell(cells: Cells, mask: int) -> Masks:
    """All cells that hold a text."""
    return {
        (number, place): mask
        for number, column in enumerate(cells.columns)
        for place in np.flatnonzero(lengths_of(column.values) > 0).tolist()
    }


def _outside_names(cells: Cells, marks: Marks) -> tuple[Ints, npt.NDArray[np.uint64]]:
    """Marks without the numbers that are the value of a key whose values are names: ids, times and versions are full of them."""
    numeric = np.flatnonzero(marks.masks == _NUMERIC_BIT)
    if not len(numeric):
        return marks.ends, marks.masks
    columns, places, _ = cells.place(marks.ends[numeric] - 1)
    kept = np.ones(len(marks.ends), np.bool_)
    for at, column, place in zip(numeric.tolist(), columns.tolist(), places.tolist(), strict=True):
        if cells.columns[column].is_json:
            kept[at] = not _is_name(cells, column, place, int(marks.ends[at]))
    return marks.ends[kept], marks.masks[kept]


def _is_name(cells: Cells, column: int, place: int, end: int) -> bool:
    """Whether what ends at `end` is a number, or stands in a text without escaped quotes, right behind a key of names.

    A text of JSON holds no quote that is followed by a colon, unless escaped: the last one before a mark ends a key. What
    follows the value of that key, in an array say, may belong to another one.
    """
    begin, data = cells.start_of_cell(column, place), cells.data
    key_end = data.rfind(_KEY_END, begin, end)
    key_start = data.rfind(b'"', begin, key_end)
    if key_start < 0 or data[key_end - 1 : key_end] == b"\\":
        return False
    value = data[key_end + len(_KEY_END) : end]
    if b'"' in value[1:] if value[:1] == b'"' else not _IS_NUMBER.fullmatch(value):
        return False
    if len(value) > LONGEST_NAME or data.find(b'"', end, end + LONGEST_NAME) < 0:
        return False  # might be prose
    return field_of(data[key_start + 1 : key_end].decode("utf8", "replace")).role.is_name


def prose_cells(cells: Cells) -> Iterable[tuple[int, int]]:
    """Cells of columns of names that hold no names (`fields.is_prose`), or might."""
    for number, column in enumerate(cells.columns):
        places = np.flatnonzero(lengths_of(column.values) > LONGEST_NAME)
        yield from ((number, place) for place in places.tolist() if " " in cells.text(number, place))


def ruled_cells(table: TreatedTable, cells: Cells, policy: Callable[[str], TenantPolicy]) -> Iterable[tuple[int, int]]:
    """Cells of columns, and contents, whose name the policy of their tenant treats as a whole."""
    for number, column in enumerate(cells.columns):
        if column.is_json:
            continue
        mine = valid_rows(column.values)
        if table.name == "contents" and column.name == "body":
            parts = (
                table.batch.column("part").to_pylist() if any(policy(one).treated_keys for one in table.tenants) else []
            )
            for row in np.flatnonzero(mine).tolist() if parts else ():
                if _treats(policy(table.tenant(row)), parts[row] or "body", table.name):
                    yield number, row
            continue
        mine &= table.rows_where({one: _treats(policy(one), column.name, table.name) for one in table.tenants})
        yield from ((number, row) for row in np.flatnonzero(mine).tolist())


def treat_cells(table: TreatedTable, cells: Cells, masks: Masks, care: Care, *, last: bool = False) -> Masks:
    """Treat cells; returns those that wait for a token of the vault. The `last` time none waits: what has no token is masked."""
    waiting = {}
    for (number, place), mask in masks.items():
        column = cells.columns[number]
        rows = column.rows_of(place)
        row = int(rows[0])
        if COLUMNS.get(column.name) is ACTOR and table.persons[row]:
            continue  # exchanged as a whole
        asked = care.asked()
        text = cells.text(number, place)
        new, findings = _treat(table, column, row, text, mask, cells.marks_in(number, place), care)
        if care.asked() != asked and not last:
            waiting[number, place] = mask
            continue
        if new != text:
            column.edits.texts[place] = new
        for at in rows.tolist():
            table.found.note(at, findings)
    return waiting


def _treat(
    table: TreatedTable, column: TextColumn, row: int, text: str, mask: int, marks: Ints | None, care: Care
) -> tuple[str | None, Findings]:
    tenant = table.tenant(row)
    treatment, candidates = care.treatment(tenant), care.candidates(tenant, mask)
    # a text that several rows share is nobody's alone
    person = column.codes is not None or bool(table.persons[row])
    if column.is_json:
        new, findings = treatment.json(text, candidates, marks, actor_is_person=person)
        if mask & int(_DECLARED_BIT) and column.name in {"attributes", "resource"}:
            findings.add(declared_class(text))
        return new, findings
    key = column.name
    if table.name == "contents" and key == "body":
        part = table.batch.column("part")[row].as_py() or key
        return treatment.text(text, (part,), field_of(part), candidates, marks, actor_is_person=person)
    return treatment.text(text, (key,), COLUMNS[key], candidates, actor_is_person=person)


def _treats(policy: TenantPolicy, key: str, table: str) -> bool:
    """Whether a policy has more to say about a field than which detectors look at it."""
    rule = rule_of(policy, key, table)
    return rule is not None and rule.treats
