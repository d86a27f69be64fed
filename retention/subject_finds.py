"""Where a person is: what was searched for, and in which rows of which live files it was found. Plain values.

An erasure takes `SubjectFinds.found_files`; a report reads `FileFinds.rows` of each file. Positions are those of the file as it lies
there now, and mean nothing once it was compacted: `keys` names the same rows for good.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from retention.erasure import FoundFile
from retention.holding import Mask
from warehouse.errors import InputError
from warehouse.subjects import is_token, normal_form

Positions = npt.NDArray[np.int64]
OWNER = "owner"
"""How a content part was found whose record was found, beside the names of columns."""


@dataclass(frozen=True)
class AttributeTerm:
    """An attribute that names the person where a policy keeps it, such as a personnel number: equal to a JSON value, exactly."""

    name: str
    value: str | int | float | bool

    @property
    def json_name(self) -> str:
        """The name as JSON."""
        return json.dumps(self.name, ensure_ascii=False)

    @property
    def json_value(self) -> str:
        """The value as JSON."""
        return json.dumps(self.value, ensure_ascii=False)


@dataclass(frozen=True)
class SubjectTerms:
    """What a person is searched by, any of it: tokens, values in the clear, attributes.

    Values may stand where redaction missed them; what is found by one is kept in the clear.
    """

    tokens: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    attributes: tuple[AttributeTerm, ...] = ()

    @classmethod
    def of(cls, words: Sequence[str], attributes: Sequence[AttributeTerm] = ()) -> "SubjectTerms":
        """Terms of words that are tokens or values.

        Raises:
            InputError: there is none, or one is empty.
        """
        if not words and not attributes:
            raise InputError("subject: expected a token, a value or an attribute, got nothing")
        if not all(normal_form(word) for word in words):
            raise InputError("subject: expected values that are not empty, got an empty one")
        tokens = tuple(dict.fromkeys(word for word in words if is_token(word)))
        return cls(tokens, tuple(dict.fromkeys(word for word in words if not is_token(word))), tuple(attributes))

    @property
    def words(self) -> tuple[str, ...]:
        """Tokens and values."""
        return (*self.tokens, *self.values)


@dataclass(frozen=True)
class FileFinds:
    """Rows of one live file in which the person was found.

    Attributes:
        row_count: how many rows the file holds.
        columns: positions of the rows by how they were found: the column's name, or `OWNER`.
        clear: positions of the rows in which a value stands in the clear.
        only_actor: positions of the audit events in which the person acted and is named nowhere else: an erasure leaves them.
        keys: a row each position of `rows`: `shard, log_index` of records, `shard, owner_table, owner_index, part` of contents,
            `shard, segment, row` of metrics.
    """

    table: str
    tenant_id: str
    day: str
    path: str
    size_bytes: int
    row_count: int
    columns: Mapping[str, Positions]
    clear: Positions
    only_actor: Positions
    keys: pl.DataFrame

    @property
    def rows(self) -> Positions:
        """Positions of all rows found, ascending."""
        return union(self.columns.values())

    @property
    def found_file(self) -> FoundFile:
        """The same as an erasure takes it."""
        return FoundFile(
            self.table,
            self.tenant_id,
            self.day,
            self.path,
            self.size_bytes,
            mask_of(self.rows, self.row_count),
            mask_of(self.only_actor, self.row_count),
        )


@dataclass(frozen=True)
class SubjectFinds:
    """All that was found of one person in one tenant.

    Attributes:
        files: files with finds, by table, day and path.
        quarantine: ids of the entries of quarantine that name the person.
        searched_texts: whether all texts were read; without, only columns that redaction fills were.
        files_read: how many files were looked into.
        rows_read: how many rows these hold.
    """

    tenant_id: str
    files: tuple[FileFinds, ...] = ()
    quarantine: tuple[str, ...] = ()
    searched_texts: bool = False
    files_read: int = 0
    rows_read: int = 0

    @property
    def found_files(self) -> list[FoundFile]:
        """What an erasure takes."""
        return [file.found_file for file in self.files]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not self.files and not self.quarantine

    def counts(self) -> list["TableCount"]:
        """Rows found, by table."""
        tables: dict[str, list[FileFinds]] = {}
        for file in self.files:
            tables.setdefault(file.table, []).append(file)
        return [_count(table, files) for table, files in sorted(tables.items())]


@dataclass(frozen=True)
class TableCount:
    """Rows of one table in which a person was found, with the days that they are of."""

    table: str
    rows: int
    files: int
    first_day: str
    last_day: str
    clear: int = 0
    only_actor: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {**vars(self), "columns": dict(self.columns)}


def _count(table: str, files: Sequence[FileFinds]) -> TableCount:
    columns: dict[str, int] = {}
    for file in files:
        for name, positions in file.columns.items():
            columns[name] = columns.get(name, 0) + len(positions)
    return TableCount(
        table,
        sum(len(file.rows) for file in files),
        len(files),
        min(file.day for file in files),
        max(file.day for file in files),
        sum(len(file.clear) for file in files),
        sum(len(file.only_actor) for file in files),
        dict(sorted(columns.items())),
    )


def union(positions: Iterable[Positions]) -> Positions:
    """Positions that are in any of these, once each, ascending."""
    given = list(positions)
    if not given:
        return np.zeros(0, np.int64)
    merged: Positions = np.unique(np.concatenate(given)).astype(np.int64, copy=False)
    return merged


def mask_of(positions: Positions, rows: int) -> Mask:
    """A mask over `rows` rows that is true at these positions."""
    mask = np.zeros(rows, np.bool_)
    mask[positions] = True
    return mask
