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


_PART_SCHEMA = {"shard": pl.String, "owner_index": pl.Int64, "part": pl.String}


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
    indices = rows.columns.column("log_index").to_numpy()
    for shard, (firsts, lasts) in runs.items():
        place = np.searchsorted(firsts, indices, side="right") - 1
        named = (place >= 0) & (indices <= lasts[np.maximum(place, 0)])
        places = np.flatnonzero(named)
        if len(places):  # of most files none, and their shards need not be compared
            shards = pl.Series(rows.columns.column("shard").take(pa.array(places)))
            mask[places] |= (shards.cast(pl.String) == shard).to_numpy()
    return mask


def parts_of(deleted: Deleted) -> pl.DataFrame:
    """The content parts of a deletion, each once, by owner_index: shard, owner_index, part."""
    counts = np.fromiter((len(each.parts) for each in deleted.contents), np.int64, len(deleted.contents))
    owners = np.fromiter((each.owner_index for each in deleted.contents), np.int64, len(deleted.contents))
    shards = pa.array([each.shard for each in deleted.contents], pa.string())
    parts = pa.array(list(chain.from_iterable(each.parts for each in deleted.contents)), pa.string())
    places = np.repeat(np.arange(len(counts)), counts)
    return (
        pl.DataFrame(
            {
                "shard": pl.Series(shards.take(pa.array(places))),
                "owner_index": owners[places],
                "part": pl.Series(parts),
            },
            schema=_PART_SCHEMA,
        )
        .unique()
        .sort("owner_index")
    )


def may_name(owners: np.ndarray, parts: pl.DataFrame) -> Mask:
    """Which of these owners' indices, of whatever log, are among those of the parts: most files have none, and need not be read on."""
    named = parts.get_column("owner_index").to_numpy()
    if not len(named):
        return np.zeros(len(owners), np.bool_)
    place = np.minimum(np.searchsorted(named, owners), len(named) - 1)
    mask: Mask = named[place] == owners
    return mask


def named_parts(rows: FamilyRows, parts: pl.DataFrame) -> Mask:
    """Which rows of `contents` are among these parts."""
    mask = may_name(rows.columns.column("owner_index").to_numpy(), parts)
    places = np.flatnonzero(mask)
    if not len(places):
        return mask
    keys = list(_PART_SCHEMA)
    frame = pl.DataFrame(rows.columns.select(keys).take(pa.array(places)), schema=_PART_SCHEMA)
    named = frame.join(parts.with_columns(named=pl.lit(True)), on=keys, how="left", maintain_order="left")
    mask[places] = named.get_column("named").fill_null(False).to_numpy()
    return mask
