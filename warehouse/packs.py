"""Evidence packs that a lake keeps, in `LAKE/packs/<tenant>/`: which there are, and whether one holds certain records or words.

A pack stores its files as they are, so its bytes are searched as they stand; record texts in proofs are decoded first. The Parquet
files and the PDF of a pack say the same as its CSV and HTML files, and are not read.
"""

import base64
import binascii
import re
import shutil
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pyarrow.csv as pc

from warehouse.durable import sync_folder
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.ledger.certificates import PurgedIndices

FOLDER = "packs"
PACK_NAME = re.compile(r"([a-z0-9][a-z0-9-]{0,39})-(\d{4})-(0[1-9]|1[0-2])\.zip")
"""Framework, year and month."""

PACK_DIGITS = 16
"""Of a pack's SHA-256, before its name in a backup."""

_STORED = re.compile(rf"[0-9a-f]{{{PACK_DIGITS}}}\.(.+)")
_PROOF = re.compile(r".+/(?P<table>[a-z_]+)-(?P<shard>[^/]+)-(?P<index>\d+)\.tlog-proof")
_SAME_AS_OTHERS = (".parquet", ".pdf")
_EXTRA = b"extra "


def pack_files(lake: Lake, tenant: str) -> list[Path]:
    """The packs of a tenant, by name."""
    folder = lake.path / FOLDER / tenant
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in found if PACK_NAME.fullmatch(file.name))


def settle_packs(lake: Lake, forgotten: Collection[str]) -> list[str]:
    """Give restored packs their names back, but for tenants in which somebody was `forgotten` since; returns those that had some.

    Nobody can say which pack names whom that was erased after the backup, so of such a tenant none is left. Safe to repeat.

    Raises:
        OSError: the disk refuses.
    """
    dropped = [tenant for tenant in sorted(set(forgotten)) if (lake.path / FOLDER / tenant).is_dir()]
    for tenant in dropped:
        shutil.rmtree(lake.path / FOLDER / tenant)
    for folder in sorted((lake.path / FOLDER).glob("*")):
        for file in sorted(folder.iterdir()):
            if found := _STORED.fullmatch(file.name):
                file.rename(file.with_name(found[1]))
        sync_folder(folder)
    return dropped


def pack_names_words(pack: Path, words: Collection[str]) -> bool:
    """Whether any file of a pack holds one of these words, whatever the case of their ASCII letters.

    Raises:
        UnavailableError: it cannot be read.
    """
    needles = [word.encode().lower() for word in words]
    with _opened(pack) as archive:
        return any(
            needle in content
            for entry in archive.infolist()
            if not entry.filename.endswith(_SAME_AS_OTHERS)
            for content in (_decoded(entry.filename, archive.read(entry)).lower(),)
            for needle in needles
        )


def pack_holds_records(pack: Path, records: Mapping[str, PurgedIndices]) -> bool:
    """Whether a pack holds one of these records, in a population or as a proof. `records` are one tenant's, by shard.

    Raises:
        UnavailableError: it cannot be read.
    """
    with _opened(pack) as archive:
        for entry in archive.infolist():
            found = _PROOF.fullmatch(entry.filename)
            if found is not None and not entry.filename.startswith("witnessed/"):
                own = records.get(found["shard"])
                if own is not None and own.table_of(int(found["index"])) is not None:
                    return True
            if entry.filename.endswith("/population.csv") and _population_holds(archive, entry, records):
                return True
    return False


def _population_holds(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, records: Mapping[str, PurgedIndices]) -> bool:
    with archive.open(entry) as stream:
        options = pc.ConvertOptions(include_columns=["shard", "log_index"])
        rows = pc.read_csv(stream, parse_options=pc.ParseOptions(newlines_in_values=True), convert_options=options)
    shards = np.asarray(rows.column("shard").to_pylist(), dtype=object)
    indices = rows.column("log_index").cast("int64").fill_null(-1).to_numpy()
    return any(bool(own.covers(indices[shards == shard]).any()) for shard, own in records.items())


def _decoded(name: str, content: bytes) -> bytes:
    """A file's bytes; of a proof the record's text instead of its base64."""
    if not name.endswith(".tlog-proof"):
        return content
    extra = next((line for line in content.split(b"\n", 3) if line.startswith(_EXTRA)), b"")
    try:
        return base64.b64decode(extra.removeprefix(_EXTRA), validate=True)
    except binascii.Error:
        return content


def _opened(pack: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(pack)
    except (OSError, zipfile.BadZipFile) as exc:
        raise UnavailableError(
            f"{pack}: expected an evidence pack, got a file that cannot be read: {exc}",
            hint="move it elsewhere, or build it again",
        ) from exc
