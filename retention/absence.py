"""Searches everywhere for words that should be gone: a tenant's tables decoded, and the bytes of every other file that could hold them.

Compressed Parquet hides text, so each live file is decoded, all of its text columns. Everything else is searched as bytes: quarantine,
journals, control database, spilled queries, certificates, the storage of scheduled jobs. The case of ASCII letters is ignored;
other spellings of a word are words of their own.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from retention.holding import Mask
from retention.policy import QUARANTINE
from retention.snapshot import list_tenant
from warehouse.errors import UnavailableError
from warehouse.lake import Lake

_BATCH_ROWS = 16_384
_CHUNK = 8 * 1024 * 1024
_OTHER = ("journal", "spill", "certificates", "dagster", "policies", "run", "ledger", "index")
"""Folders of a lake, beside its tables and its quarantine, in which words are searched as bytes. `keys` is the vault's own."""


@dataclass
class Absence:
    """What a search read, and where it found something. Sizes in bytes, of decoded data and of files read as they are.

    Attributes:
        rows_found: rows that hold a word and were not expected to, by table.
        rows_expected: rows that hold a word and stay, by table.
        other_files: other files that hold one, below the lake's folder.
    """

    files: int = 0
    rows: int = 0
    decoded_bytes: int = 0
    other_bytes: int = 0
    rows_found: dict[str, int] = field(default_factory=dict)
    rows_expected: dict[str, int] = field(default_factory=dict)
    other_files: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found that should be gone."""
        return not self.rows_found and not self.other_files

    def problems(self) -> str:
        """Where something was found, in words; empty where nothing was."""
        said = [f"{count} rows of {table}" for table, count in sorted(self.rows_found.items())]
        return ", ".join([*said, *self.other_files])

    def to_json(self) -> dict[str, Any]:
        """As a certificate has it."""
        return {
            "files_decoded": self.files,
            "rows_decoded": self.rows,
            "bytes_decoded": self.decoded_bytes,
            "bytes_of_other_files": self.other_bytes,
            "rows_found": self.rows_found,
            "rows_that_stay": self.rows_expected,
            "other_files": self.other_files,
        }


def search_everywhere(
    lake: Lake,
    tenant_id: str,
    words: Collection[str],
    *,
    staying: Mapping[tuple[str, str], Mask],
    with_control: bool = True,
) -> Absence:
    """Look for words in all that a lake holds of one tenant, and in what it holds of all of them together.

    `staying` are the rows, by (table, path), of which it is known that they stay and may hold one. The control database is left out
    where a hold in force has to name the person.

    Raises:
        UnavailableError: a file cannot be read.
    """
    found = Absence()
    try:
        for file in list_tenant(lake, tenant_id):
            if file.table == QUARANTINE:
                continue
            mask = _rows_with(lake.table(file.table) / file.path, words, found)
            allowed = staying.get((file.table, file.path), np.zeros(len(mask), np.bool_))
            for counts, rows in ((found.rows_found, mask & ~allowed), (found.rows_expected, mask & allowed)):
                if rows.any():
                    counts[file.table] = counts.get(file.table, 0) + int(rows.sum())
        needles = [word.encode().lower() for word in words]  # of bytes only ASCII letters have a case
        for path in _other_files(lake, tenant_id, with_control=with_control):
            if _holds_any(path, needles, found):
                found.other_files.append(path.relative_to(lake.path).as_posix())
    except (OSError, pa.ArrowException) as exc:
        raise UnavailableError(f"search for what was erased: {exc}", hint="run it again") from exc
    return found


def _rows_with(file: Path, words: Collection[str], found: Absence) -> Mask:
    """Which rows of a Parquet file hold a word in any text column."""
    masks = []
    with pq.ParquetFile(file, memory_map=True) as parquet:
        columns = [each.name for each in parquet.schema_arrow if _is_text(each.type)]
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            masks.append(rows_with(pl.DataFrame(batch), words))
            found.rows += batch.num_rows
            found.decoded_bytes += batch.nbytes
    found.files += 1
    return np.concatenate(masks) if masks else np.zeros(0, np.bool_)


def rows_with(frame: pl.DataFrame, words: Collection[str]) -> Mask:
    """Which rows hold a word in any of these columns, which are texts or lists of texts."""
    wanted = list(words)
    texts = [
        pl.col(name).list.join("\n", ignore_nulls=True) if isinstance(kind, pl.List) else pl.col(name)
        for name, kind in frame.schema.items()
    ]
    asked = [text.str.contains_any(wanted, ascii_case_insensitive=True).fill_null(False) for text in texts]
    mask: Mask = frame.select(pl.any_horizontal(asked)).to_series().to_numpy()
    return mask


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _other_files(lake: Lake, tenant_id: str, *, with_control: bool) -> Iterator[Path]:
    yield from sorted(path for path in (lake.quarantine / tenant_id).rglob("*") if path.is_file())
    if with_control:
        yield from sorted(lake.path.glob("control.db*"))
    for name in _OTHER:
        yield from sorted(path for path in (lake.path / name).rglob("*") if path.is_file() and not path.is_symlink())


def _holds_any(path: Path, needles: Sequence[bytes], found: Absence) -> bool:
    overlap = max(map(len, needles), default=1)
    tail = b""
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                found.other_bytes += len(chunk)
                text = (tail + chunk).lower()
                if any(needle in text for needle in needles):
                    return True
                tail = text[-overlap:]
    except FileNotFoundError:
        return False  # gone meanwhile: a segment that was committed, a query that ended
    return False
