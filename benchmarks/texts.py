"""English-like text from a seed: common words, each followed by the words that usually follow it.

A chain of first order over a skewed vocabulary. What matters is how it compresses: 1 MB of it about 3 to 1 with zstd, dense
technical prose does 2.6 to 1, and recorded prompts and answers of real agent frameworks, full of repetition, 6 to 1 and more.
So sizes measured on it are on the safe side.
"""

from collections.abc import Iterator

import numpy as np


def _words(text: str) -> list[str]:
    return text.split()


_COMMON = _words("""
the of and to in a is that for it as was with be by on not he this are or his from at which but have an had they you were
their one all we can her has there been if more when will would who so no out up into them some could time only these two
may then do first any my now such like our over man me even most made after also did many before must through years where
much your way well down should because each just those people how too little state good very make world still own see work
""")
_BUSINESS = _words("""
order invoice vendor supplier contract delivery payment customer account refund approval request ticket policy employee
department budget quarter forecast shipment warehouse stock price discount total amount currency deadline meeting schedule
manager procurement finance support service incident outage laptop license password access role team report summary draft
review change update cancel confirm reject approve escalate assign resolve reopen notify forward attach verify compare
calculate estimate transfer receive return replace purchase quotation offer tender clause warranty liability tax rate
balance statement ledger audit evidence record retention purpose consent address phone email calendar holiday absence
payroll salary bonus contractor onboarding training equipment travel expense receipt reimbursement hotel flight booking
""")
_OTHER = _words("""
according available additional another answer based before below between both business called carefully case certain check
clear close company complete concerned condition consider contact contain continue correct current data date days decide
detail different directly document during early either enough every exact example expected explain fact field final find
following form found full further general given great group hand help high however human important include information
inside instead instruction internal issue item keep kind know large last late later least less level line list local long
look main mark matter mean message might model month name need never new next note nothing number office often once open
option other others part past pending per person place plan please point possible present previous problem process product
project provide question quick rather read ready real reason regarding related remain reply required response result right
same second section send set several short show similar since single small soon source special standard start step stop
subject suggest system table take tell term text than thank therefore thing think third today together tomorrow tool top
toward type under until use used user usual value version via wait want week whether while whole why within without word
write wrong year yesterday yet
""")
_NAMES = _words("""
Alice Bianca Carlos Dmitri Elena Farid Grace Hiroshi Ingrid Jamal Katarina Lars Maria Nkechi Oscar Priya Quentin Rosa Samir
Tanja Umar Vera Wei Ximena Yusuf Zoe Berlin Lisbon Chicago Osaka Nairobi Toronto Madrid Oslo Acme Globex Initech Umbrella
Contoso Northwind Hooli Vandelay Wonka Stark
""")
_FOLLOWERS = 40
_JUMP = 0.2
_NUMBER = 0.03
_NUMBERS = 4000


class TextSource:
    """Makes texts; the same seed gives the same texts in the same order."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        forms = [*_BUSINESS, *(f"{word}s" for word in _BUSINESS), *_OTHER, *(f"{word}s" for word in _OTHER[::3])]
        numbers = [str(n) for n in self._random.integers(3, 99_999, _NUMBERS)]
        self._words = np.array([*_COMMON, *forms, *_NAMES, *numbers], object)
        self._plain = len(self._words) - _NUMBERS
        rank = np.arange(1, self._plain + 1)
        rarity = 1 / (rank + 8.0)
        self._usual = self._cumulated(rarity)
        self._follow = self._cumulated(1 / np.arange(1, _FOLLOWERS + 1) ** 0.9)
        self._followers = self._draw(self._usual, (len(self._words), _FOLLOWERS))

    def texts(self, count: int, *, words: tuple[int, int]) -> Iterator[str]:
        """`count` texts of a length between the two bounds of `words`, the upper one left out."""
        lengths = self._random.integers(*words, count)
        steps = int(lengths.max())
        state = self._draw(self._usual, (count,))
        chosen = np.empty((steps, count), np.int32)
        for step in range(steps):
            chosen[step] = state
            follower = np.minimum(self._draw(self._follow, (count,)), _FOLLOWERS - 1)
            state = self._followers[state, follower]
            odd = self._random.random(count)
            jumps = odd < _JUMP
            state[jumps] = self._draw(self._usual, (int(jumps.sum()),))
            numbers = odd > 1 - _NUMBER
            state[numbers] = self._random.integers(self._plain, len(self._words), int(numbers.sum()))
        for row, length in zip(self._words[chosen.T], lengths.tolist(), strict=True):
            yield _sentences(row[:length].tolist())

    def _draw(self, cumulated: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        found = np.searchsorted(cumulated, self._random.random(shape))
        return np.minimum(found, len(cumulated) - 1).astype(np.int32)

    @staticmethod
    def _cumulated(weights: np.ndarray) -> np.ndarray:
        return np.cumsum(weights / weights.sum())


def _sentences(words: list[str]) -> str:
    """Words as sentences of about a dozen each."""
    for at in range(11, len(words) - 1, 13):
        words[at] += "."
        words[at + 1] = words[at + 1].capitalize()
    words[0] = words[0].capitalize()
    return " ".join(words) + "."
