"""What a verification holds of damage and of certificates: bits and arrays, whatever they say."""

import numpy as np
import pytest

from warehouse.ledger.certificates import ContentParts, Deleted, PurgeCertificate
from warehouse.ledger.verify.deleted_contents import DeletedContents
from warehouse.ledger.verify.leaves import PIECE_TILES, LeafTask, TileSet, check_leaves

DIGEST = "0" * 64


def certificate(*contents):
    """One that lists these contents."""
    return PurgeCertificate("lake", "p1", "1", DIGEST, DIGEST, DIGEST, "user:officer", Deleted(contents=contents))


@pytest.mark.parametrize("first", [0, 7])
def test_a_set_of_tiles_holds_those_of_its_pieces_and_no_others(first):
    """A bit a tile, from the first tile looked at on."""
    there = {0, 5, 255, 256, 600}
    masks = [sum(1 << tile % PIECE_TILES for tile in there if tile // PIECE_TILES == piece) for piece in range(3)]
    tiles = TileSet.joined(masks, first)
    assert {tile for tile in range(-10, 2000) if tile in tiles} == {tile + first for tile in there}
    more = tiles.add(first + 1500).add(first + 1)
    assert {tile for tile in range(-10, 2000) if tile in more} == {tile + first for tile in there | {1500, 1}}


def test_a_set_of_no_tiles_takes_nothing():
    """Which is the case of every sound log."""
    assert TileSet.joined([0] * 1000, 0) == TileSet()


def test_a_log_of_which_nothing_is_left_costs_a_bit_a_tile(tmp_path):
    """All of a million entries are gone: every tile is blind, in 512 bytes."""
    size = 1 << 20
    pieces = [
        check_leaves(LeafTask(tmp_path, size, first, first + PIECE_TILES))
        for first in range(0, size // 256, PIECE_TILES)
    ]
    blind = TileSet.joined([piece.blind for piece in pieces], 0)
    assert len(blind.bits) == size // 256 // 8
    assert all(tile in blind for tile in range(size // 256))
    assert all(piece.by_hash == 0 for piece in pieces)


def test_listed_contents_are_counted_once_whichever_documents_list_them():
    """By record and part; parts that no certificate lists, and records of other logs, are not among them."""
    first = certificate(
        ContentParts("acme", "main", 9, ("prompt", "answer")),
        ContentParts("acme", "main", 3, ("prompt",)),
        ContentParts("acme", "other", 4, ("prompt",)),
    )
    second = certificate(ContentParts("acme", "main", 9, ("tool", "answer")))
    parts = [DeletedContents.of_document(document)["acme", "main"] for document in (first, second)]
    joined = DeletedContents.joined(parts)
    assert len(joined) == 4
    assert joined.count([(9, "prompt"), (9, "answer"), (9, "tool"), (3, "prompt")]) == 4
    assert joined.count([(3, "answer"), (4, "prompt"), (9, "unknown"), (10, "prompt")]) == 0
    assert joined.count([]) == 0


def test_a_listed_content_takes_twelve_bytes():
    """Eight for the record's index, four for the part's name."""
    many = certificate(*(ContentParts("acme", "main", index, ("prompt", "answer")) for index in range(1000)))
    (held,) = DeletedContents.of_document(many).values()
    assert (held.owners.nbytes + held.codes.nbytes, held.names) == (12 * 2000, ("prompt", "answer"))
    assert (np.diff(held.owners) >= 0).all()
