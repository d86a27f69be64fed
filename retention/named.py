"""Which rows intents and certificates name, found by their keys: log indices in runs, content parts one by one."""

from collections.abc import Mapping
from itertools import chain
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from retention.family_rows import FamilyRows
from retention.holding import Mask
from warehouse.ledger.certificates import Deleted

Bounds: TypeAlias = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""First and last indices of runs, in ascending order, by shard."""


def runs_by_table(deleted: Deleted) -> dict[str, Bounds]:
    """Bounds of runs, in order, by table and shard."""
    found: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for run in deleted.runs:
        found.setdefault(run.table, {}).setdefault(run.shard, []).append((run.first, run.last))
    return {
        table: {
            shard: (np.array([first for first, _ in sorted(runs)]), np.array([last for _, last in sorted(runs)]))
            for shard, runs in shards.items()
        }
        for table, shards in found.items()
    }


def named_rows(rows: FamilyRows, runs: Bounds) -> Mask:
    """Which rows of a table with log indices these runs name, by shard."""
    mask = np.zeros(len(rows.file), np.bool_)
    shards = pl.Series(rows.columns.column("shard"))
    indices = rows.columns.column("log_index").to_numpy()
    for shard, (firsts, lasts) in runs.items():
        of_shard = (shards == shard).to_numpy()
        place = np.searchsorted(firsts, indices, side="right") - 1
        mask |= of_shard & (place >= 0) & (indices <= lasts[np.maximum(place, 0)])
    return mask


def parts_of(deleted: Deleted) -> pl.DataFrame:
    """The content parts of a deletion, one a row: shard, owner_index, part."""
    counts = np.fromiter((len(each.parts) for each in deleted.contents), np.int64, len(deleted.contents))
    owners = np.fromiter((each.owner_index for each in deleted.contents), np.int64, len(deleted.contents))
    shards = pa.array([each.shard for each in deleted.contents], pa.string())
    parts = pa.array(list(chain.from_iterable(each.parts for each in deleted.contents)), pa.string())
    places = np.repeat(np.arange(len(counts)), counts)
    return pl.DataFrame(
        {"shard": pl.Series(shards.take(pa.array(places))), "owner_index": owners[places], "part": pl.Series(parts)},
        schema={"shard": pl.String, "owner_index": pl.Int64, "part": pl.String},
    )


def named_parts(rows: FamilyRows, parts: pl.DataFrame) -> Mask:
    """Which rows of `contents` are among these parts."""
    keys = ["shard", "owner_index", "part"]
    frame = pl.DataFrame(rows.columns.select(keys))
    named = parts.with_columns(named=pl.lit(True)).unique(keys)
    joined = frame.join(named, on=keys, how="left", maintain_order="left").get_column("named").fill_null(False)
    mask: Mask = joined.to_numpy()
    return mask
