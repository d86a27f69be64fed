"""Reads `slo_windows` for figures, again and again: a day's file that was read once is not read again while it stands.

A commit replaces a partition's file by one of another name, so a name says everything: where it is the same, so is what it holds.
"""

import datetime as dt
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from warehouse.delta_reading import open_table
from warehouse.derived.slo_windows import SLO_WINDOWS
from warehouse.errors import UnavailableError
from warehouse.lake import Lake

Ints = npt.NDArray[np.int64]
COUNTED = ("total", "good", "not_valid", "late")
_COLUMNS = ["query", "time_unix_nano", *COUNTED]
_MOST_ROWS = 5_000_000
"""Kept at most, over all files: 240 MB."""


@dataclass(frozen=True)
class Counts:
    """Counts of one series: where windows begin, and what was counted in them; a window may be there several times, once a shard."""

    time_unix_nano: Ints
    counted: Mapping[str, Ints]

    @classmethod
    def from_table(cls, rows: pa.Table) -> "Counts":
        """From rows with some or all of the columns of `slo_windows`; what is not there is zero."""
        none = np.zeros(rows.num_rows, np.int64)
        names = set(rows.schema.names)
        return cls(
            rows.column("time_unix_nano").to_numpy(),
            {name: rows.column(name).to_numpy() if name in names else none for name in COUNTED},
        )


NOTHING = Counts(np.zeros(0, np.int64), {name: np.zeros(0, np.int64) for name in COUNTED})
Listed = Mapping[str, Mapping[dt.date, str]]
"""By tenant and day, the file of the table."""


class WindowReader:
    """Reads one lake's `slo_windows`. Not thread-safe."""

    def __init__(self, lake: Lake) -> None:
        self._folder = lake.table(SLO_WINDOWS.name)
        self._kept: OrderedDict[str, dict[str, Counts]] = OrderedDict()
        self._rows = 0

    def list_files(self) -> Listed:
        """The live files, with one reading of the Delta log for all tenants.

        Raises:
            UnavailableError: the log cannot be read.
        """
        try:
            handle = open_table(self._folder)
            if handle is None:
                return {}
            actions = pa.table(handle.get_add_actions(flatten=True))
        except (OSError, DeltaError, pa.ArrowException) as exc:
            raise UnavailableError(f"table {SLO_WINDOWS.name}: it cannot be read: {exc}") from exc
        found: dict[str, dict[dt.date, str]] = defaultdict(dict)
        if actions.num_rows:
            names = ("path", "partition.tenant_id", "partition.day")
            for path, tenant, day in zip(*(actions.column(name).to_pylist() for name in names), strict=True):
                found[tenant][day] = path
        return found

    def read(self, files: Mapping[dt.date, str], first: dt.date) -> dict[str, Counts]:
        """Counts from a day on, by query hash, of one tenant's files as `list_files` gave them.

        Raises:
            UnavailableError: a file cannot be read.
        """
        parts: dict[str, list[Counts]] = defaultdict(list)
        for day, path in sorted(files.items()):
            if day >= first:
                for query, counts in self._read_file(path).items():
                    parts[query].append(counts)
        return {query: _joined(each) for query, each in parts.items()}

    def _read_file(self, path: str) -> dict[str, Counts]:
        known = self._kept.get(path)
        if known is not None:
            self._kept.move_to_end(path)
            return known
        try:
            rows = pq.read_table(self._folder / path, columns=_COLUMNS, partitioning=None)
        except (OSError, pa.ArrowException) as exc:
            raise UnavailableError(f"table {SLO_WINDOWS.name}: {path} cannot be read: {exc}") from exc
        found = _by_query(rows)
        self._kept[path] = found
        self._rows += rows.num_rows
        while self._rows > _MOST_ROWS and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._rows -= sum(len(each.time_unix_nano) for each in dropped.values())
        return found


def _by_query(rows: pa.Table) -> dict[str, Counts]:
    encoded = pc.dictionary_encode(rows.column("query").combine_chunks())
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    times = rows.column("time_unix_nano").to_numpy()[order]
    counted = {name: rows.column(name).to_numpy()[order] for name in COUNTED}
    return {
        query: Counts(times[first:after], {name: values[first:after] for name, values in counted.items()})
        for query, first, after in zip(encoded.dictionary.to_pylist(), edges[:-1], edges[1:], strict=True)
    }


def _joined(parts: list[Counts]) -> Counts:
    return Counts(
        np.concatenate([part.time_unix_nano for part in parts]),
        {name: np.concatenate([part.counted[name] for part in parts]) for name in COUNTED},
    )
