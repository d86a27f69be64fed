"""Which indices of a log have a row: a bit each, so that a thousand million records take 125 MB."""

from collections.abc import Iterator

import numpy as np

_CHUNK_BYTES = 128 * 1024
_HIGHEST_BIT = 128


class IndexAccount:
    """Indices 0 to `size - 1` of one log: which have a row, and which have more than one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bits = np.zeros((size + 7) // 8, np.uint8)
        self._repeated: list[np.ndarray] = []

    def add(self, indices: np.ndarray) -> None:
        """Account for one row an index; `indices` ascend and lie below the size."""
        if not len(indices):
            return
        unique, counts = np.unique(indices, return_counts=True)
        places = unique >> 3
        bits = (_HIGHEST_BIT >> (unique & 7)).astype(np.uint8)
        repeated = unique[(counts > 1) | (self._bits[places] & bits != 0)]
        if len(repeated):
            self._repeated.append(repeated)
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        self._bits[places[starts]] |= np.bitwise_or.reduceat(bits, starts)

    @property
    def present(self) -> int:
        """How many indices have a row."""
        return int(np.bitwise_count(self._bits).sum(dtype=np.int64))

    def has(self, index: int) -> bool:
        """Whether an index has a row."""
        return 0 <= index < self.size and bool(self._bits[index >> 3] & (_HIGHEST_BIT >> (index & 7)))

    @property
    def repeated(self) -> np.ndarray:
        """Indices that have more than one row, ascending."""
        return np.unique(np.concatenate(self._repeated)) if self._repeated else np.empty(0, np.int64)

    def absent(self, first: int = 0) -> Iterator[np.ndarray]:
        """Indices from `first` on without a row, ascending, a chunk at a time."""
        return self._select(first, 0)

    def held(self, first: int = 0) -> Iterator[np.ndarray]:
        """Indices from `first` on with a row, ascending, a chunk at a time."""
        return self._select(first, 1)

    def _select(self, first: int, value: int) -> Iterator[np.ndarray]:
        full = 0xFF if value == 0 else 0
        for start in range(first // 8, len(self._bits), _CHUNK_BYTES):
            chunk = self._bits[start : start + _CHUNK_BYTES]
            if (chunk == full).all():
                continue
            found = np.flatnonzero(np.unpackbits(chunk) == value).astype(np.int64) + start * 8
            found = found[(found >= first) & (found < self.size)]
            if len(found):
                yield found
