"""Which files compaction takes, and which it leaves."""

import datetime as dt

import polars as pl
import pytest

from warehouse.maintenance import MaintenanceConfig
from warehouse.maintenance.plan import plan_merges

NOON = 1_795_435_200_000_000_000  # 2026-11-23T12:00:00Z
TODAY, YESTERDAY = dt.date(2026, 11, 23), dt.date(2026, 11, 22)
MIB = 1024 * 1024
CONFIG = MaintenanceConfig()


def frame(*files):
    """Rows of (count, size_bytes, day, readable) as `live_files` gives them."""
    rows = [
        (f"tenant_id=acme/day={day}/f{kind}-{n}.parquet", size, 100, n, "acme", day, readable)
        for kind, (count, size, day, readable) in enumerate(files)
        for n in range(count)
    ]
    names = ["path", "size_bytes", "rows", "modified", "tenant_id", "day", "readable"]
    return pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"day": pl.Date})


def groups(files, *, config=CONFIG, tenants=None, now=NOON):
    return plan_merges("spans", files, tenants=tenants, now_unix_nano=now, config=config)


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("too few small files of a running day", [(15, MIB // 2, TODAY, True)], []),
        ("enough of them", [(16, MIB // 2, TODAY, True)], [16]),
        ("a settled day needs fewer", [(4, MIB // 2, YESTERDAY, True)], [4]),
        ("files above their shard's mark", [(16, MIB // 2, TODAY, False)], []),
        ("they do not count either", [(15, MIB // 2, TODAY, True), (9, MIB // 2, TODAY, False)], []),
        ("a class is not filled up by another", [(15, MIB // 2, TODAY, True), (7, 5 * MIB, TODAY, True)], []),
        ("larger classes need half as many", [(8, 5 * MIB, TODAY, True)], [8]),
        (
            "a big file is not rewritten with small ones",
            [(16, MIB // 2, TODAY, True), (1, 100 * MIB, TODAY, True)],
            [16],
        ),
        ("full files stay", [(40, 128 * MIB, YESTERDAY, True)], []),
        ("a group ends at the target size", [(8, 100 * MIB, TODAY, True)], [2, 2, 2, 2]),
        ("days apart", [(8, MIB // 2, TODAY, True), (8, MIB // 2, YESTERDAY, True)], [8]),
    ],
)
def test_files_are_merged_within_their_size_class_once_there_are_enough(name, files, expected):
    """Each class waits for its number of files, and no group exceeds the target."""
    assert [len(group.files) for group in groups(frame(*files))] == expected, name


def test_a_group_ends_at_the_row_target():
    """No output takes more rows than `target_rows`."""
    found = groups(frame((16, 1000, TODAY, True)), config=MaintenanceConfig(target_rows=800))
    assert [group.rows for group in found] == [800, 800]


def test_a_day_settles_hours_after_its_end():
    """Late files are expected until `settled_after_hours` after midnight."""
    files = frame((4, 1000, YESTERDAY, True))
    midnight = NOON - 12 * 3600 * 10**9
    assert not groups(files, now=midnight + 5 * 3600 * 10**9)
    assert groups(files, now=midnight + 6 * 3600 * 10**9)


def test_other_tenants_are_left_alone():
    """A round for some tenants plans nothing for others."""
    assert not groups(frame((16, 1000, TODAY, True)), tenants=["globex"])


def test_files_a_day_stay_below_fifty_when_every_round_compacts():
    """Hours of two-second commits, compacted every five minutes, never leave more than 50 files in a partition."""
    sizes = []
    for _ in range(8 * 12):
        sizes += [25_000] * 150
        while True:
            files = pl.concat([frame((1, size, TODAY, True)) for size in sizes]).with_columns(
                path=pl.Series([str(n) for n in range(len(sizes))])
            )
            found = groups(files)
            if not found:
                break
            for group in found:
                merged = {int(file.path) for file in group.files}
                sizes = [size for n, size in enumerate(sizes) if n not in merged] + [group.size_bytes]
                break
        assert len(sizes) <= 50
    assert sum(sizes) == 8 * 12 * 150 * 25_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("merge_files", 1),
        ("target_bytes", 0),
        ("attempts", 0),
        ("removed_grace_seconds", -1),
        ("checkpoint_entries", 0),
    ],
)
def test_settings_that_cannot_work_are_refused(field, value):
    """A value below its least names the setting, what was expected and what was got."""
    with pytest.raises(ValueError, match=rf"maintenance\.{field}: expected at least \d+, got {value}"):
        MaintenanceConfig(**{field: value})
