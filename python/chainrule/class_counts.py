"""Precision, recall and F1, of counted classes: the formulas, once, for scores.py and for the metrics of an epoch.

::

    precision  of a class: TP / (TP + FP), of the rows predicted to be of it, those that are
    recall     of a class: TP / (TP + FN), of its rows, those that were predicted to be
    F1         2 TP / (2 TP + FP + FN), the harmonic mean of the two

Here nothing is counted: the engine does that, or a confusion matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Floats = npt.NDArray[np.float64]

FIGURES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class ClassCounts:
    """How often each of K classes, or of K questions with yes or no, is the case and is predicted.

    Attributes
    ----------
    actual : ndarray of shape (K,)
        Rows of the class: TP + FN.
    predicted : ndarray of shape (K,)
        Rows that were taken for it: TP + FP.
    correct : ndarray of shape (K,)
        Rows of which both is true: TP.
    zero_division : float, default nan
        What a figure is that has nothing to divide by.
    """

    actual: Array
    predicted: Array
    correct: Array
    zero_division: float = float("nan")

    @property
    def precision(self) -> Floats:
        """Of the rows taken for a class, the share that is of it; (K,)."""
        return self._ratio(self.correct, self.predicted)

    @property
    def recall(self) -> Floats:
        """Of the rows of a class, the share that was taken for it; (K,)."""
        return self._ratio(self.correct, self.actual)

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, (K,)."""
        return self._ratio(2 * self.correct, self.actual + self.predicted)

    def means(self) -> dict[str, float]:
        """Return precision, recall and F1, each the mean over classes ("macro"); of one question, its own.

        A class that no row is of and that was never predicted says nothing, and is left out.
        """
        occurs = self.actual + self.predicted > 0
        if not occurs.any():
            return dict.fromkeys(FIGURES, self.zero_division)
        return {name: float(getattr(self, name)[occurs].mean()) for name in FIGURES}

    def _ratio(self, above: Array, below: Array) -> Floats:
        result = np.full(len(below), self.zero_division)
        np.divide(above, below, out=result, where=below > 0)
        return result
