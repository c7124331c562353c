"""Inputs that nobody has normalised: what a fit is warned of, with the column that shows it. Nothing is changed here.

"Forget to normalize data" is a mistake of lecture [003]; [004] asks for one scale. Why it matters: for a linear unit
with squared loss the curvature along a weight is the mean square of its input. Inputs ten times as large need steps a
hundred times smaller; columns of different sizes, or far from 0, have no step that suits all.

Judged are sizes, not taste: pixels from 0 to 1, one-hot columns, rare words and columns standardised together are left
in peace, and so is a network that normalises its inputs itself.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .layers import Activation, BatchNorm
from .noise import Dropout, GaussianNoise
from .standardize import Standardize

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from .layer import Layer

    Array = npt.NDArray[Any]

# Numbers and rows that are looked at: 1 ms. More would tell a size that is off by a factor of ten no better.
NUMBERS, ROWS = 2**16, 512
# Fewer rows have no deviation to speak of.
LEAST_ROWS = 8
# Root mean square over all columns: 1 when standardised, at most 1 for pixels from 0 to 1, 85 for digits from 0 to 255.
LARGE = 10.0
# Root mean square of one column over that of another: curvatures then differ by a factor of 10,000.
MIXED = 100.0
# Distance of a column from 0 in its own deviations: the same factor, about, between the weight and the bias.
FAR = 100.0
# A column is far from 0 only beyond where columns of numbers from 0 to 1 can be.
NEAR = 1.0


class DataWarning(UserWarning):
    """Inputs that are not normalised: large, of mixed scales, or far from 0."""


def warn(layers: Sequence[Layer], x: object, stacklevel: int) -> None:
    """Warn of rows to train on that are not normalised; `stacklevel` as that of `warnings.warn`, seen from the caller.

    Parameters
    ----------
    layers : sequence of Layer
        Of the network that learns from the rows.
    x : array of shape (N, inputs)
        Rows on a GPU are not looked at.
    stacklevel : int
    """
    if not isinstance(x, np.ndarray) or normalises(layers):
        return
    count = min(len(x), ROWS, max(NUMBERS // x.shape[1], LEAST_ROWS))
    found = evidence(x[np.linspace(0, len(x) - 1, count).astype(np.int64)].astype(np.float64))
    if found:
        warnings.warn(
            f"X is not normalised: {found}. Bring each column to mean 0 and deviation 1, with the figures of the "
            "training part alone (cr.split first), or begin the network with Standardize()",
            DataWarning,
            stacklevel=stacklevel + 1,
        )


def normalises(layers: Sequence[Layer]) -> bool:
    """Return whether a network begins with a layer that normalises its inputs."""
    first = next((layer for layer in layers if not isinstance(layer, (Activation, Dropout, GaussianNoise))), None)
    return isinstance(first, (BatchNorm, Standardize))


def evidence(x: npt.NDArray[np.float64]) -> str:
    """Return what shows that rows (n, D) are not normalised, "" for nothing."""
    means, sizes = x.mean(axis=0), np.sqrt(np.mean(x * x, axis=0))

    def shown(column: int) -> str:
        return f"column {column} has mean {means[column]:.3g} and deviation {x[:, column].std():.3g}"

    overall = float(np.sqrt(np.mean(sizes * sizes)))
    if overall > LARGE:
        return f"the root mean square of its numbers is {overall:.3g}; {shown(int(sizes.argmax()))}"
    mixed = sizes.max() > MIXED * sizes.min()
    if len(x) < LEAST_ROWS or not (mixed or np.abs(means).max() > NEAR):
        return ""  # as most rows: nothing below could find anything
    # Columns of two values, and those that mostly have one: categories, rare words, the edges of pictures.
    low, high, middle = x.min(axis=0), x.max(axis=0), np.median(x, axis=0)
    two_values = ((x == low) | (x == high)).all(axis=0)
    ordinary = np.flatnonzero(~two_values & (np.mean(x == middle, axis=0) < 0.5))
    if not len(ordinary):
        return ""
    greatest, least = (int(ordinary[place]) for place in (sizes[ordinary].argmax(), sizes[ordinary].argmin()))
    if sizes[greatest] > MIXED * sizes[least]:
        return f"its scales are mixed; {shown(least)}, {shown(greatest)}"
    standardised = abs(x.mean()) < 0.1 and 0.5 < x.std() < 2
    far = ordinary[(np.abs(means[ordinary]) > FAR * x[:, ordinary].std(axis=0)) & (np.abs(means[ordinary]) > NEAR)]
    if len(far) and not standardised:
        return f"its numbers are far from 0; {shown(int(far[0]))}"
    return ""
