"""Finds everything about a person in one tenant: which rows of which live files, and how each was found.

Of every file the columns that redaction fills with tokens are read (`subjects` and the identity columns), and then, of row groups with
finds alone, what identifies the rows: well below 2% of a lake's bytes (docs/adr/0007-subjects-without-an-index.md). No index is kept, so
that none has to be purged, and files of any age are searched alike. With `texts` every text column is read as well, which takes reading
all of the tenant: values in the clear, and attributes that a policy keeps, are in no column of their own.

A content part is found by itself or because its record is; a record is not found by its part: redaction lists a part's tokens with the
record too, and without the part the record still verifies.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from retention.holding import Mask
from retention.lake_state import FileState
from retention.policy import OWNER_TABLES, QUARANTINE
from retention.row_groups import open_file, take_rows
from retention.snapshot import list_tenant
from retention.subject_finds import OWNER, FileFinds, Positions, SubjectFinds, SubjectTerms, union
from retention.subject_matching import ACTING, match_named, match_texts, named_columns, only_acts
from retention.verdict import CONTENTS
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.maintenance.merge import read_batch_rows
from warehouse.quarantine import entries_with

AUDIT_EVENTS = "audit_events"
Progress = Callable[[int, int], None]
"""`progress(files done, of all)`."""

_KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(OWNER_TABLES, ("shard", "log_index")),
    CONTENTS: ("shard", "owner_table", "owner_index", "part"),
    "metrics": ("shard", "segment", "row"),
}
_OWNED = ("shard", "owner_table", "owner_index")
_BATCH_ROWS = 16_384
_WORKERS = 2
_ATTEMPTS = 5
_NONE = np.zeros(0, np.int64)


def search_subject(
    lake: Lake, tenant_id: str, terms: SubjectTerms, *, texts: bool = False, progress: Progress | None = None
) -> SubjectFinds:
    """Where a person is in one tenant: rows of live files whose commit is complete, and entries of quarantine.

    Attributes among the terms are only found with `texts`. A journal's records come with their commit: drain it first where none may be
    missed.

    Raises:
        UnavailableError: a Delta log or a file cannot be read.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _Search(lake, tenant_id, terms, texts=texts, progress=progress).run()
        except FileNotFoundError as exc:
            # compacted or purged since it was listed
            if attempt == _ATTEMPTS - 1:
                raise UnavailableError(
                    f"subject search: {exc.filename or exc} is gone", hint="files change all the time: try again"
                ) from exc
        except (OSError, pa.ArrowException) as exc:
            raise UnavailableError(f"subject search: {exc}", hint="try again; nothing was changed") from exc
    raise AssertionError  # the last attempt raises


@dataclass
class _Found:
    """What was found in one file: positions by how, of values in the clear, of events in which the person only acted."""

    columns: dict[str, Positions] = field(default_factory=dict)
    clear: Positions = field(default_factory=lambda: _NONE)
    only_actor: Positions = field(default_factory=lambda: _NONE)


@dataclass
class _Search:
    lake: Lake
    tenant_id: str
    terms: SubjectTerms
    texts: bool
    progress: Progress | None

    def run(self) -> SubjectFinds:
        files = [file for file in list_tenant(self.lake, self.tenant_id) if file.table != QUARANTINE and file.settled]
        finds: dict[tuple[str, str], FileFinds] = {}
        for file, found in self._each(files, self._look):
            if found.columns:
                finds[file.table, file.path] = self._finds(file, found)
        self._add_parts(files, finds)
        return SubjectFinds(
            self.tenant_id,
            tuple(sorted(finds.values(), key=lambda each: (each.table, each.day, each.path))),
            tuple(entries_with(self.lake, self.tenant_id, self.terms.words)) if self.terms.words else (),
            self.texts,
            len(files),
            sum(file.rows or 0 for file in files),
        )

    def _each(
        self, files: Sequence[FileState], look: Callable[[FileState], _Found]
    ) -> Iterator[tuple[FileState, _Found]]:
        with ThreadPoolExecutor(_WORKERS) as pool:
            for number, done in enumerate(pool.map(look, files), 1):
                yield files[number - 1], done
                if self.progress is not None:
                    self.progress(number, len(files))

    def _look(self, file: FileState) -> _Found:
        parts: list[tuple[int, dict[str, Mask], Mask]] = []
        with open_file(self._path(file)) as parquet:
            # a text may be long, the columns that redaction fills are not
            rows = read_batch_rows(parquet.metadata) if self.texts else _BATCH_ROWS
            for start, batch in _batches(parquet, self._columns(parquet, file.table), rows):
                found, clear = match_named(file.table, batch, self.terms)
                if self.texts:
                    in_texts, clear_texts = match_texts(batch, self.terms)
                    found = {name: _either(found.get(name), in_texts.get(name)) for name in found | in_texts}
                    clear |= clear_texts
                if found:
                    parts.append((start, found, clear))
            names = {name for _, found, _ in parts for name in found}
            collected = _Found(
                {
                    name: _joined((start, found[name]) for start, found, _ in parts if name in found)
                    for name in sorted(names)
                },
                _joined((start, clear) for start, _, clear in parts),
            )
            if file.table == AUDIT_EVENTS and names & set(ACTING):
                collected.only_actor = self._only_actor(parquet, collected)
        return collected

    def _columns(self, parquet: pq.ParquetFile, table: str) -> list[str]:
        schema = parquet.schema_arrow
        if self.texts:
            return [each.name for each in schema if pa.types.is_string(each.type) or pa.types.is_list(each.type)]
        return [name for name in named_columns(table) if name in schema.names]

    def _only_actor(self, parquet: pq.ParquetFile, found: _Found) -> Positions:
        """Events in which the person acted are read whole: whether they are named there once more decides whether the event goes."""
        acted = union(found.columns[name] for name in ACTING if name in found.columns)
        names = [each.name for each in parquet.schema_arrow if pa.types.is_string(each.type) or each.name == "subjects"]
        rows = take_rows(parquet, acted, names)
        return acted[only_acts(rows, self.terms)]

    def _finds(self, file: FileState, found: _Found) -> FileFinds:
        with open_file(self._path(file)) as parquet:
            keys = take_rows(parquet, union(found.columns.values()), list(_KEYS[file.table]))
            return FileFinds(
                file.table,
                file.tenant_id,
                file.day,
                file.path,
                file.size_bytes,
                parquet.metadata.num_rows,
                found.columns,
                found.clear,
                found.only_actor,
                pl.DataFrame(keys),
            )

    def _add_parts(self, files: Sequence[FileState], finds: dict[tuple[str, str], FileFinds]) -> None:
        """Content parts of the records found, of the same days; the parts of those in which the person only acted stay with them."""
        owners = _owners(finds.values())
        for file in files:
            if file.table != CONTENTS or file.day not in owners:
                continue
            with open_file(self._path(file)) as parquet:
                owned = pl.DataFrame(parquet.read(columns=list(_OWNED))).with_row_index("row")
            rows = owned.join(owners[file.day], on=_OWNED, how="semi").get_column("row").sort().to_numpy()
            if len(rows):
                before = finds.get((file.table, file.path))
                columns = {**(before.columns if before else {}), OWNER: rows.astype(np.int64)}
                clear = before.clear if before else _NONE
                finds[file.table, file.path] = self._finds(file, _Found(columns, clear))

    def _path(self, file: FileState) -> Path:
        return self.lake.table(file.table) / file.path


def _owners(finds: Iterable[FileFinds]) -> dict[str, pl.DataFrame]:
    """The records found that go with their parts, by day."""
    by_day: dict[str, list[pl.DataFrame]] = {}
    for file in finds:
        if file.table in OWNER_TABLES:
            stays = np.isin(file.rows, file.only_actor)
            keys = file.keys.filter(~pl.Series(stays, dtype=pl.Boolean))
            by_day.setdefault(file.day, []).append(
                keys.select("shard", pl.lit(file.table).alias("owner_table"), pl.col("log_index").alias("owner_index"))
            )
    return {day: pl.concat(keys) for day, keys in by_day.items()}


def _batches(parquet: pq.ParquetFile, columns: Sequence[str], rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    start = 0
    for batch in parquet.iter_batches(batch_size=rows, columns=list(columns), use_threads=False):
        yield start, batch
        start += batch.num_rows


def _either(one: Mask | None, other: Mask | None) -> Mask:
    if one is None or other is None:
        return one if other is None else other  # type: ignore[return-value]  # one of the two is there
    return one | other


def _joined(parts: Iterable[tuple[int, Mask]]) -> Positions:
    return union([np.flatnonzero(mask) + start for start, mask in parts])
