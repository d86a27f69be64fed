"""The treatment of one group of records, table by table.

Order: a scan of texts and one of names say which cells to treat; persons' ids are looked up for the whole group, then exchanged by
position; the cells that are left are treated one by one, twice where the vault had to make a token first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from collectors.redact.careful import Care, Masks, every_cell, masks_of, prose_cells, ruled_cells, treat_cells
from collectors.redact.cells import Cells
from collectors.redact.classification import TableFindings
from collectors.redact.detector import Detector
from collectors.redact.fields import NAME_COLUMNS, TEXT_COLUMNS
from collectors.redact.identities import Identities
from collectors.redact.patterns import ESCAPED, NOTHING, RULE, Patterns
from collectors.redact.policy import RedactionPolicy
from collectors.redact.tables import TreatedTable
from collectors.redact.tokens import TokenBook
from collectors.redact.treatment import Treatment

_SMALL_BYTES = 32 * 1024
"""A group below this is treated without a scan while no scan was made before: a command that records an event, say."""
_ESCAPED_BIT, _RULE_BIT = 1 << ESCAPED, 1 << RULE


@dataclass
class GroupTreatment:
    """Treats the tables of one group under one policy."""

    policy: RedactionPolicy
    patterns: Patterns
    book: TokenBook
    text_seconds: float
    is_small: bool = False
    _treatments: dict[tuple[str, str], Treatment] = field(default_factory=dict)
    _candidates: dict[tuple[str, int], Callable[[str], Sequence[Detector]]] = field(default_factory=dict)

    def treat(self, tables: Mapping[str, pa.RecordBatch]) -> dict[str, tuple[pa.RecordBatch, TableFindings]]:
        """Every table's batch with its texts treated, and what was found in its rows."""
        self.is_small = not self.patterns.are_compiled and sum(batch.nbytes for batch in tables.values()) < _SMALL_BYTES
        works = [_TableWork(self, TreatedTable.of(name, batch)) for name, batch in tables.items() if batch.num_rows]
        for work in works:
            work.identities.ask()
        if self.book.missing:
            self.book.fetch()
        for work in works:
            work.identities.exchange()
        for work in works:
            work.treat_cells()
        if self.book.missing:
            self.book.fetch()
            for work in works:
                work.treat_cells(last=True)
        return {work.table.name: (work.treated(), work.table.found) for work in works}

    def treatment(self, table: str, tenant: str) -> Treatment:
        """The treatment of a tenant's texts in a table."""
        known = self._treatments.get((tenant, table))
        if known is None:
            known = self._treatments[tenant, table] = Treatment(
                tenant, self.policy.for_tenant(tenant), table, self.book, text_seconds=self.text_seconds
            )
        return known

    def candidates(self, tenant: str, mask: int) -> Callable[[str], Sequence[Detector]]:
        """Which detectors look at the texts of a cell with this mask; a tenant has its policy's alone."""
        known = self._candidates.get((tenant, mask))
        if known is None:
            own = set(self.policy.for_tenant(tenant).detectors.values())
            known = self._unescaped(own) if mask & _ESCAPED_BIT else _always(self.patterns.detectors_of(mask), own)
            self._candidates[tenant, mask] = known
        return known

    def _unescaped(self, own: set[Detector]) -> Callable[[str], Sequence[Detector]]:
        return lambda text: [one for one in self.patterns.detectors_for(text) if one in own]


def _always(detectors: Sequence[Detector], own: set[Detector]) -> Callable[[str], Sequence[Detector]]:
    chosen = [one for one in detectors if one in own]
    return lambda _text: chosen


class _TableWork:
    """One table of the group: its texts, its names and its persons' ids."""

    def __init__(self, group: GroupTreatment, table: TreatedTable) -> None:
        self.table = table
        treatment = partial(group.treatment, table.name)
        self._care = Care(treatment, group.candidates, lambda: group.book.asked)
        share = len(table.tenants) == 1
        self._texts = Cells(table.batch, TEXT_COLUMNS, share=share)
        self._names = Cells(table.batch, NAME_COLUMNS, share=share)
        if group.is_small:
            marks = NOTHING
            text_masks, name_masks = (
                every_cell(cells, group.patterns.everything) for cells in (self._texts, self._names)
            )
        else:
            marks = group.patterns.scan_texts(self._texts.data, self._texts.bounds)
            text_masks = masks_of(self._texts, marks)
            name_masks = masks_of(self._names, group.patterns.scan_names(self._names.data))
            for cell in prose_cells(self._names):
                name_masks[cell] = name_masks.get(cell, 0) | group.patterns.everything
        for cells, masks in ((self._texts, text_masks), (self._names, name_masks)):
            for cell in ruled_cells(table, cells, group.policy.for_tenant):
                masks[cell] = masks.get(cell, 0) | _RULE_BIT
        careful = set(text_masks)
        self.identities = Identities(table, self._texts, marks, careful, treatment)
        text_masks |= dict.fromkeys(careful - text_masks.keys(), 0)
        self._waiting: list[tuple[Cells, Masks]] = [(self._texts, text_masks), (self._names, name_masks)]

    def treat_cells(self, *, last: bool = False) -> None:
        """Treat the cells that wait for it; those that need a token of the vault wait for a second call, the `last` one."""
        self._waiting = [
            (cells, treat_cells(self.table, cells, masks, self._care, last=last)) for cells, masks in self._waiting
        ]

    def treated(self) -> pa.RecordBatch:
        """The batch with every change made."""
        every = (*self._texts.columns, *self._names.columns)
        columns = {column.name: column.treated() for column in every if column.edits.are_any}
        columns |= self.identities.columns(columns)
        batch = self.table.batch
        arrays = [columns.get(name, batch.column(name)) for name in batch.schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
