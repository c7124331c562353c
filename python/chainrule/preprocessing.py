"""What the command line needs around a network: standardised columns and the confusion table.

Only that: no groups, no augmentation, no missing values, and no scores beside the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .moments import moments

__all__ = ["Standardiser", "confusion_matrix", "confusion_table"]

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class Standardiser:
    """x' = (x - mean) / scale, column by column, with the figures of the rows it was fitted on.

    Attributes
    ----------
    means, scales : ndarray of float64, shape (D,)
        Mean and standard deviation (over N, not N - 1) of each column; the scale of a constant column is 1.
    """

    means: Floats
    scales: Floats

    @staticmethod
    def fit(X: npt.ArrayLike, *, shared: bool = False) -> Standardiser:
        """Return the standardiser of the rows of `X`.

        Parameters
        ----------
        X : array, shape (N, D)
            The training part, and nothing else: what is known of the test part must not shape the inputs.
        shared : bool
            One mean and one scale for all columns, as for the pixels of pictures, where a column of its own scale
            would blow up the pixels that hardly ever show anything.

        Raises
        ------
        ValueError
            If `X` has no rows or columns, or numbers so large that their variance is not finite.
        """
        found = moments(np.asarray(X, dtype=np.float64), shared=shared)
        return Standardiser(found.means, found.scales)

    def transform(self, X: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the standardised rows (N, D) as float32; ValueError where one is too large for that."""
        # Scaled in float64 first: a year such as 1999.25 loses digits as float32, its distance from the mean does not.
        scaled = np.subtract(X, self.means, dtype=np.float64)
        scaled /= self.scales
        largest = max(float(scaled.max(initial=0.0)), -float(scaled.min(initial=0.0)))
        if not largest <= float(np.finfo(np.float32).max):
            raise ValueError(f"X holds a number {largest:.3g} scales away from the mean of its column")
        return scaled.astype(np.float32)


def confusion_matrix(true: Numbers, predicted: Numbers, classes: int) -> npt.NDArray[np.int64]:
    """Return how many rows of each true class (first index) were taken for each class (second index)."""
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (true, predicted), 1)
    return matrix


def confusion_table(matrix: npt.NDArray[np.int64], names: Sequence[str]) -> str:
    """Return the confusion matrix as text: a row for each true class, a dot where nothing was counted."""
    short = [name if len(name) <= 12 else name[:11] + "~" for name in names]
    width = max(len(str(matrix.max(initial=0))), *(len(name) for name in short)) + 1
    side = max(len("true"), *(len(name) for name in short))
    lines = [f"{'true':>{side}} |" + "".join(f"{name:>{width}}" for name in short)]
    lines.append("-" * (side + 1) + "+" + "-" * (width * len(short)))
    for name, row in zip(short, matrix, strict=True):
        lines.append(f"{name:>{side}} |" + "".join(f"{count or '.':>{width}}" for count in row))
    return "\n".join(lines)
