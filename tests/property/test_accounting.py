"""Which indices of a log have a row, held against a plain count."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from warehouse.ledger.verify.accounting import IndexAccount, PackedIndices

SIZE = 5000
CLOSE = st.builds(
    lambda start, steps: [min(start + step, SIZE - 1) for step in steps],
    st.integers(0, SIZE - 1),
    st.lists(st.integers(0, 60)),
)
FAR = st.lists(st.integers(0, SIZE - 1), max_size=40)
FILES = st.lists(CLOSE | FAR, max_size=8)


def flat(chunks):
    return [index for chunk in chunks for index in chunk.tolist()]


@given(FILES, st.integers(0, SIZE))
def test_rows_of_files_are_accounted_for(files, first):
    """Present, absent and repeated indices are those of all files together, however each was packed."""
    account = IndexAccount(SIZE)
    counts = Counter()
    for indices in files:
        account.add(PackedIndices.pack(np.array(sorted(indices), np.int64)))
        counts.update(indices)
    assert account.present == len(counts)
    assert flat(account.repeated()) == sorted(index for index, count in counts.items() if count > 1)
    assert flat(account.held(first)) == sorted(index for index in counts if index >= first)
    assert flat(account.absent(first)) == [index for index in range(first, SIZE) if index not in counts]
    assert [index for index in range(-1, SIZE + 1) if account.has(index)] == sorted(counts)


@given(st.integers(0, 2**40), st.integers(1, 3000))
def test_indices_that_follow_each_other_take_a_bit_each(start, count):
    """What a worker sends of a file is a fiftieth of the numbers, and never more than they are."""
    packed = PackedIndices.pack(np.arange(start, start + count))
    assert len(packed.bits) <= count // 8 + 2
    assert not len(packed.scattered)
    apart = PackedIndices.pack(np.array([start, start + 2**41]))
    assert (len(apart.bits), apart.scattered.tolist()) == (0, [start, start + 2**41])
