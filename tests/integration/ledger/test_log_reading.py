"""The checks that runs with crashes rely on: each names what it looks for."""

import pytest

from warehouse.ledger.checkpoint import Checkpoint, log_origin, sign_checkpoint
from warehouse.ledger.signing import read_signing_keys

LAKE_NAME = "test"


@pytest.fixture
def problems(lake, rows, logs):
    """Looks at the logs of the lake, given checkpoints seen before."""

    def look(*seen):
        tables = {table: rows.read_table(lake.lake, table) for table in rows.LEDGERED}
        return [problem.partition(": ")[2] for problem in logs.problems_of_logs(lake.lake, LAKE_NAME, tables, seen)]

    return look


def signed(lake, size, root):
    """A checkpoint of the log of acme, as the lake itself would sign it."""
    origin = log_origin(LAKE_NAME, "acme", lake.shard)
    return sign_checkpoint(
        Checkpoint(origin, size, root), read_signing_keys(lake.lake.keys).signers(origin, 1)
    ).decode()


def test_a_log_that_the_writer_made_has_no_problems(lake, logs, problems):
    """Rows, entries, tiles and checkpoint of a lake as it was written fit each other, and so does its own checkpoint."""
    assert logs.checkpoints_on_disk(lake.lake)
    assert problems(*logs.checkpoints_on_disk(lake.lake)) == []


def test_a_signed_root_that_the_entries_do_not_give_is_a_fork(lake, problems):
    """A checkpoint of other entries is named, at a size below the log's, and so is one above it."""
    fork, cut = signed(lake, 240, bytes(32)), signed(lake, 721, bytes(32))
    assert problems(fork) == ["the first 240 entries have not the root that was signed: a fork"]
    assert problems(cut) == ["721 entries were signed, 720 are there", "signed at 720 after 721"]


@pytest.mark.parametrize("tile", ["entries", "0", "1"])
def test_a_tile_that_says_something_else_is_named(lake, problems, tile):
    """One bit in a bundle, a tile of leaves or one of roots."""
    name = f"tile/{tile}/000" + (".p/2" if tile == "1" else "")
    content = bytearray((lake.log() / name).read_bytes())
    content[-1] ^= 1
    (lake.log() / name).write_bytes(content)
    assert problems() == [f"{name} is not what the entries give"]


def test_files_that_are_missing_or_left_over_are_named(lake, problems):
    """A tile that the size asks for, a partial one beside its full one, and what a crash left of writing."""
    (lake.log() / "tile/0/001").rename(lake.log() / "tile/0/.001.tmp")
    (lake.log() / "tile/0/000.p").mkdir()
    (lake.log() / "tile/0/000.p/9").write_bytes((lake.log() / "tile/0/000").read_bytes()[: 9 * 32])
    assert sorted(problems()) == [
        "tile/0/.001.tmp is not what the entries give",
        "tile/0/000.p/9 stands beside its full tile",
        "tile/0/001 is missing",
    ]


def test_a_row_that_is_missing_or_changed_is_no_longer_what_was_signed(lake, problems):
    """Rows alone decide what the entries should be."""
    lake.change_row(300, name="other") if lake.find(300)[0] == "spans" else lake.change_row(300, attributes="{}")
    assert "the first 720 entries have not the root that was signed: a fork" in problems()
