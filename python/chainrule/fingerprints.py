"""Fingerprints of rows: what is left of a data set to recognise its rows by, after the set itself is gone.

::

    half_0 = sum over even columns j of w_j bits(x_j)      mod 2^64      (odd columns for half_1)
    whole  = half_0 + c half_1                              mod 2^64

w_j and c are random odd numbers, bits(x_j) the number x_j as it lies in memory, -0 as 0, with its upper bits mixed into
the lower ones, which are all 0 in round numbers. Equal rows have equal fingerprints; different ones do with a chance of
about 2^-50 a pair. Nothing but equality can be read from them: rows that differ in the last bit are different rows.

Which repeated rows tell of a copy? Data repeat by nature where columns have few values: the four rows of XOR,
categories, counts. There, many rows that differ still agree in half of their columns. A row is called *peculiar* if
neither of its halves stands in any other, different row of the two sets: one that is in both was copied. Were the
halves drawn independently of each other, sets of n and of k rows would by chance have n k / (n + k)^2 m^2 e^(-2m)
peculiar rows in common, m being with how many others a row shares a half on average: at most 0.034, whatever the data.
Hence `COPIES`: one such row may be chance, two are copies. And where a set has each of its rows four times or more on
average, to repeat is its nature.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Words = npt.NDArray[np.uint64]

# Numbers that a fit looks at: 1 to 2 ms. An epoch of 60,000 rows of 784 numbers takes 380 ms with 128 hidden units.
NUMBERS_OF_A_FIT = 2**19
# Numbers looked at where somebody waits for nothing else: 0.2 s.
MOST_NUMBERS = 2**26
# Numbers that are turned into fingerprints at a time, so that what it takes stays in a cache: twice as many at a time
# took six times as long.
NUMBERS_AT_A_TIME = 2**17
# So many different peculiar rows in two sets are no chance, see above.
COPIES = 2
# Rows that are there so many times on average repeat by nature.
NATURAL_REPEATS = 4


class Fingerprints(NamedTuple):
    """Fingerprints of the rows of a set, or of a sample of them."""

    whole: Words  # (n,)
    halves: Words  # (n, 2)
    rows: int  # of the set

    @property
    def complete(self) -> bool:
        """Whether all rows of the set are here."""
        return len(self.whole) == self.rows

    @property
    def each(self) -> float:
        """How many rows of the set each one here stands for."""
        return self.rows / max(len(self.whole), 1)

    def take(self, rows: Array) -> Fingerprints:
        """Return the rows that `rows` numbers, as a set of their own."""
        return Fingerprints(self.whole[rows], self.halves[rows], len(rows))

    def joined(self, other: Fingerprints) -> Fingerprints:
        """Return the rows of both sets as one."""
        whole, halves = (np.concatenate(pair) for pair in zip(self[:2], other[:2], strict=True))
        return Fingerprints(whole, halves, self.rows + other.rows)

    def holds(self, other: Fingerprints) -> npt.NDArray[np.bool_]:
        """Return which of the rows of another set are here."""
        found: npt.NDArray[np.bool_] = np.isin(other.whole, self.whole)
        return found

    def is_same_set(self, other: Fingerprints) -> bool:
        """Return whether both sets have the same rows, as far as they are known, in any order."""
        return self.rows == other.rows and np.array_equal(np.unique(self.whole), np.unique(other.whole))


@lru_cache(maxsize=16)
def factors(columns: int) -> tuple[Words, Words, np.uint64]:
    """Return w of the even columns, w of the odd ones, and c."""
    drawn = np.random.default_rng(0).integers(0, 2**64, size=columns + 1, dtype=np.uint64) | np.uint64(1)
    return drawn[1::2].copy(), drawn[2::2].copy(), drawn[0]


def of_rows(x: Array, dtype: np.dtype[Any], most: int = MOST_NUMBERS) -> Fingerprints:
    """Return the fingerprints of rows.

    Parameters
    ----------
    x : array of shape (N, D)
        Real numbers.
    dtype : numpy.dtype
        float32 or float64: as what the numbers are compared.
    most : int
        Of a set with more numbers a sample of rows is looked at, one at random of each of equal stretches; the same
        for all sets of this shape.
    """
    rows, columns = x.shape
    sampled = max(most // max(columns, 1), 1)
    if sampled < rows:
        x = x[((np.arange(sampled) + np.random.default_rng(1).random(sampled)) * (rows / sampled)).astype(np.int64)]
    even, odd, c = factors(columns)
    halves = np.empty((len(x), 2), dtype=np.uint64)
    at_a_time = max(NUMBERS_AT_A_TIME // max(columns, 1), 1)
    for first in range(0, len(x), at_a_time):
        piece = np.asarray(x[first : first + at_a_time], dtype=dtype) + dtype.type(0)  # -0 becomes 0
        words = np.ascontiguousarray(piece).view(f"u{dtype.itemsize}").astype(np.uint64, copy=False)
        words ^= words >> np.uint64(32)
        words ^= words >> np.uint64(16)
        np.matmul(words[:, 0::2], even, out=halves[first : first + at_a_time, 0])
        np.matmul(words[:, 1::2], odd, out=halves[first : first + at_a_time, 1])
    return Fingerprints(halves[:, 0] + c * halves[:, 1], halves, rows)


def tell_of_copies(kept: Fingerprints, other: Fingerprints, found: npt.NDArray[np.bool_]) -> bool:
    """Return whether the rows `found` of another set are copies of kept ones, and no data that repeat by nature."""
    if np.count_nonzero(found) < COPIES or len(kept.whole) >= NATURAL_REPEATS * len(np.unique(kept.whole)):
        return False
    both = kept.joined(other)
    first = np.unique(both.whole, return_index=True)[1]
    peculiar = np.ones(len(first), dtype=bool)
    for half in both.halves[first].T:
        _, number, times = np.unique(half, return_inverse=True, return_counts=True)
        peculiar &= times[number] == 1
    return int(np.count_nonzero(np.isin(both.whole[first][peculiar], other.whole[found]))) >= COPIES
