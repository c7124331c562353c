"""Means and scales of columns, as standardising needs them: in double precision, whatever the numbers are.

They are measured here, and what cannot be standardised is refused here; nothing is transformed. A column of equal
numbers has no scale to divide by: its scale is 1, so that it becomes 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Floats = npt.NDArray[np.float64]

# Numbers that are taken to double precision at once: half a megabyte, which a core's second cache holds.
PIECE = 2**16


class Moments(NamedTuple):
    """Figures of the columns of some rows."""

    means: Floats  # (D,)
    scales: Floats  # (D,): standard deviations over N, not N - 1; 1 for a column of equal numbers
    constant: npt.NDArray[np.bool_]  # (D,): whether all its numbers are equal


def moments(X: Array, *, shared: bool = False, weight: Array | None = None) -> Moments:
    """Return means and scales of the columns of `X`.

    Parameters
    ----------
    X : array, shape (N, D)
    shared : bool
        Whether all columns have one mean and one scale, those of all their numbers.
    weight : array, shape (N,), optional
        How often each row counts, at least 0 and not all 0: a weight of 2 is the row twice, one of 0 no row.

    Raises
    ------
    ValueError
        If `X` has no rows or columns, or numbers so large that their variance is not finite.
    """
    if X.ndim != 2 or X.size == 0:
        raise ValueError(f"X must have shape (N, D) with at least one row and column; got {X.shape}")
    if weight is not None:
        X, weight = X[weight > 0], np.asarray(weight[weight > 0], dtype=np.float64)
    total = float(len(X)) if weight is None else float(weight.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        least, most = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
        means = sum_of(X, weight, lambda x: x) / total
        if shared:
            least, most = np.full_like(least, least.min()), np.full_like(most, most.max())
            means = np.full_like(means, means.mean())
        # Equal numbers: compare them, since rounding leaves a tiny deviation. Their mean is the number itself.
        constant = least == most
        means = np.where(constant, least, means)
        variances = sum_of(X, weight, lambda x: np.square(x - means)) / total
        scales = np.sqrt(np.full_like(variances, variances.mean()) if shared else variances)
    finite = np.isfinite(means) & np.isfinite(scales)
    if not finite.all():
        raise ValueError(f"column {int(np.argmin(finite))} of X holds numbers too large to standardise")
    return Moments(means, np.where(constant | (scales == 0), 1.0, scales), constant)


def sum_of(X: Array, weight: Floats | None, term: Any) -> Floats:
    """Return the sums over rows (D,) of a function of them, in pieces: a whole copy of X might not fit."""
    total = np.zeros(X.shape[1])
    for rows in pieces(len(X), max(PIECE // X.shape[1], 1)):
        terms = term(X[rows].astype(np.float64))
        total += (terms if weight is None else terms * weight[rows, np.newaxis]).sum(axis=0)
    return total


def pieces(rows: int, size: int) -> Iterator[slice]:
    """Yield slices that cover so many rows."""
    return (slice(begin, begin + size) for begin in range(0, rows, size))
