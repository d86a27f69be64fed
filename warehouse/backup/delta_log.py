"""A Delta log of one entry that describes a table as a backup holds it: its live files, no history, no removed file.

Written by hand rather than copied: the table's own log names files and statistics of rows that were purged since, and goes on
changing while it is read.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from warehouse.tables import PARTITION_COLUMNS

ENTRY = "_delta_log/00000000000000000000.json"
_NAMES = {"min": "minValues", "max": "maxValues", "null_count": "nullCount"}


def live_actions(handle: DeltaTable) -> pl.DataFrame:
    """The live files of a handle, one row each, as delta-rs describes them: path, size_bytes, statistics, partition."""
    return pl.DataFrame(pa.table(handle.get_add_actions()))


def log_entry(
    handle: DeltaTable, files: pl.DataFrame, transactions: Mapping[str, int], *, time_unix_milli: int
) -> bytes:
    """The entry: protocol, schema and settings of `handle`, these of its `files`, and its transactions."""
    metadata, protocol = handle.metadata(), handle.protocol()
    actions: list[dict[str, Any]] = [
        {
            "protocol": {
                "minReaderVersion": protocol.min_reader_version,
                "minWriterVersion": protocol.min_writer_version,
            }
        },
        {
            "metaData": {
                "id": str(metadata.id),
                "name": metadata.name,
                "description": metadata.description,
                "format": {"provider": "parquet", "options": {}},
                "schemaString": handle.schema().to_json(),
                "partitionColumns": list(PARTITION_COLUMNS),
                "createdTime": metadata.created_time,
                "configuration": metadata.configuration,
            }
        },
        *_adds(files.iter_rows(named=True)),
        *({"txn": {"appId": app, "version": version}} for app, version in sorted(transactions.items())),
    ]
    info = {"timestamp": time_unix_milli, "operation": "BACKUP", "muniment.actions": str(len(actions))}
    lines = [{"commitInfo": info}, *actions]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()


def _adds(files: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for file in files:
        statistics: dict[str, Any] = {"numRecords": file["num_records"]}
        for name, written in _NAMES.items():
            bounds = file.get(name) or {}
            statistics[written] = {column: value for column, value in bounds.items() if value is not None}
        partition = {name: str(value) for name, value in file["partition"].items()}
        yield {
            "add": {
                "path": file["path"],
                "partitionValues": partition,
                "size": file["size_bytes"],
                "modificationTime": file["modification_time"],
                "dataChange": True,
                "stats": json.dumps(statistics),
            }
        }
