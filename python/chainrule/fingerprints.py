"""Fingerprints of rows: what is left of a data set to recognise its rows by, after the set itself is gone.

::

    part_q = sum over its columns j of w_j bits(x_j)        mod 2^64
    whole  = sum over the parts q of part_q                 mod 2^64

Columns are of one part whose numbers leave the same rest by 4 and that are of the same half, the first or the last:
eight parts at most, and one for each of up to eight columns. w_j is a random odd number, bits(x_j) the number x_j as it
lies in memory, -0 as 0, with its upper bits mixed into the lower ones, which are all 0 in round numbers. Equal rows
have equal fingerprints; different ones do with a chance of about 2^-50 a pair. Nothing but equality can be read from
them: rows that differ in the last bit are different rows.

Which repeated rows tell of a copy? Data repeat by nature where columns have few values: the four rows of XOR,
categories, counts. There, many rows that differ still agree in half of their columns. A row is called *peculiar* if
neither its even columns nor its odd ones stand so in any other, different row of the two sets: one that is in both was
copied. Were these halves drawn independently of each other, sets of n and of k rows would by chance have
n k / (n + k)^2 m^2 e^(-2m) peculiar rows in common, m being with how many others a row shares a half on average: at
most 0.034, whatever the data. Hence `COPIES`: one such row may be chance, two are copies. And where a set has each of
its rows four times or more on average, to repeat is its nature.

Halves are not independent where two columns are functions of one number: the sine of the hour is an even column and its
cosine an odd one. So the parts are put on two sides in six ways more; columns of two parts are on one side in three of
the seven, which leaves the other side without their number. A row is no longer peculiar if by one of these cuts both
sides stand in other rows. A side that stands in no other is enough: all numbers may be on one, and all categories on
the other. This only takes alarms away, so that 0.034 remains the most. It costs up to 48 bytes more for a row, which is
never more than its numbers take as float64, and twelve sorts where two sets have rows in common.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Words = npt.NDArray[np.uint64]

# Numbers that a fit looks at: 1 to 3 ms, in one column 8. An epoch of 60,000 rows of 784 numbers takes 380 ms with 128
# hidden units.
NUMBERS_OF_A_FIT = 2**19
# Numbers looked at where somebody waits for nothing else: 0.2 s.
MOST_NUMBERS = 2**26
# Numbers that are turned into fingerprints at a time, so that what it takes stays in a cache: twice as many at a time
# took six times as long.
NUMBERS_AT_A_TIME = 2**17
# A column's place, in bits: whether its number is odd, whether half of it is, whether it is one of the last half. A cut
# is made by one of the bits, or by whether an odd number of some are 1.
EVEN_AND_ODD = 1
OTHER_CUTS = range(2, 8)
# So many different peculiar rows in two sets are no chance, see above.
COPIES = 2
# Rows that are there so many times on average repeat by nature.
NATURAL_REPEATS = 4


class Fingerprints(NamedTuple):
    """Fingerprints of the rows of a set, or of a sample of them."""

    whole: Words  # (n,)
    parts: Words  # (P, n)
    places: tuple[int, ...]  # of the P parts, by `parts_of`
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
        return Fingerprints(self.whole[rows], self.parts[:, rows], self.places, len(rows))

    def joined(self, other: Fingerprints) -> Fingerprints:
        """Return the rows of both sets as one."""
        whole = np.concatenate([self.whole, other.whole])
        parts = np.concatenate([self.parts, other.parts], axis=1)
        return Fingerprints(whole, parts, self.places, self.rows + other.rows)

    def holds(self, other: Fingerprints) -> npt.NDArray[np.bool_]:
        """Return which of the rows of another set are here."""
        found: npt.NDArray[np.bool_] = np.isin(other.whole, self.whole)
        return found

    def alone(self, cut: int) -> list[npt.NDArray[np.bool_]]:
        """Return which of these rows, all different, have the one side of a cut alone; which have the other."""
        odd, alone = np.array([(place & cut).bit_count() % 2 == 1 for place in self.places], dtype=bool), []
        for side in (odd, ~odd):
            _, number, times = np.unique(self.parts[side].sum(axis=0), return_inverse=True, return_counts=True)
            alone.append(times[number] == 1)
        return alone

    def is_same_set(self, other: Fingerprints) -> bool:
        """Return whether both sets have the same rows, as far as they are known, in any order."""
        return self.rows == other.rows and np.array_equal(np.unique(self.whole), np.unique(other.whole))


@lru_cache(maxsize=16)
def parts_of(columns: int) -> tuple[tuple[int, slice, Words], ...]:
    """Return the place of each part that has columns, which those are, and their w."""
    drawn = np.random.default_rng(0).integers(0, 2**64, size=columns, dtype=np.uint64) | np.uint64(1)
    half, found = columns // 2, []
    for place in range(8):
        is_last, rest = divmod(place, 4)
        own = slice(half + (rest - half) % 4, columns, 4) if is_last else slice(rest, half, 4)
        if len(drawn[own]):
            found.append((place, own, drawn[own].copy()))
    return tuple(found)


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
    parts = parts_of(columns)
    sums = np.empty((len(parts), len(x)), dtype=np.uint64)
    at_a_time = max(NUMBERS_AT_A_TIME // max(columns, 1), 1)
    for first in range(0, len(x), at_a_time):
        piece = np.asarray(x[first : first + at_a_time], dtype=dtype) + dtype.type(0)  # -0 becomes 0
        words = np.ascontiguousarray(piece).view(f"u{dtype.itemsize}").astype(np.uint64, copy=False)
        words ^= words >> np.uint64(32)
        words ^= words >> np.uint64(16)
        for number, (_, own, w) in enumerate(parts):
            np.matmul(words[:, own], w, out=sums[number, first : first + at_a_time])
    return Fingerprints(sums.sum(axis=0), sums, tuple(place for place, _, _ in parts), rows)


def tell_of_copies(kept: Fingerprints, other: Fingerprints, found: npt.NDArray[np.bool_]) -> bool:
    """Return whether the rows `found` of another set are copies of kept ones, and no data that repeat by nature."""
    if np.count_nonzero(found) < COPIES or len(kept.whole) >= NATURAL_REPEATS * len(np.unique(kept.whole)):
        return False
    both = kept.joined(other)
    first = np.unique(both.whole, return_index=True)[1]
    rows, is_common = both.take(first), np.isin(both.whole[first], other.whole[found])
    peculiar = is_common & np.logical_and(*rows.alone(EVEN_AND_ODD))
    for cut in OTHER_CUTS:
        peculiar &= np.logical_or(*rows.alone(cut))
    return int(np.count_nonzero(peculiar)) >= COPIES
