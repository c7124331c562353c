"""Scores of a classifier: what a table of confusions says, and what always guessing the same would.

::

    accuracy   share of rows whose class was predicted          [001]
    baseline   share of the most frequent class: the accuracy of who always says so

Precision, recall and F1 of each class stand in class_counts.py. Where there is nothing to divide by, no number is made
up unless one is asked for, and it is said. scikit-learn's `sklearn.metrics` has more of them; the tests compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks
from .class_counts import ClassCounts
from .labels import checked_scores, numbers_among
from .preprocessing import confusion_matrix, confusion_table

if TYPE_CHECKING:
    import numpy.typing as npt

    from .loss import Loss

    Array = npt.NDArray[Any]
    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """The scores of some predictions; what `classification_scores` returns.

    Attributes
    ----------
    classes : tuple
        The K classes, in the order of all arrays here.
    confusion : ndarray of int64, shape (K, K)
        Rows of each true class (first index) that were taken for each class (second index).
    zero_division : float
        What a score is that has nothing to divide by.
    undefined : tuple of str
        Which those are, and why; empty where all are defined.
    """

    classes: tuple[Any, ...]
    confusion: npt.NDArray[np.int64]
    zero_division: float = float("nan")
    undefined: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find what is not defined."""
        found = []
        for name, predicted, true in zip(self.classes, self.confusion.sum(axis=0), self.support, strict=True):
            if predicted == 0:
                found.append(f"precision of {name!r}: it was never predicted")
            if true == 0:
                found.append(f"recall of {name!r}: no row is of it")
            if predicted == 0 and true == 0:
                found.append(f"F1 of {name!r}: it is nowhere")
        object.__setattr__(self, "undefined", tuple(found))

    @property
    def support(self) -> npt.NDArray[np.int64]:
        """Rows of each class, (K,)."""
        rows: npt.NDArray[np.int64] = self.confusion.sum(axis=1)
        return rows

    @property
    def accuracy(self) -> float:
        """Share of the rows whose class was predicted."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def baseline(self) -> float:
        """Accuracy of who always predicts the most frequent class."""
        return float(self.support.max() / self.confusion.sum())

    @property
    def precision(self) -> Floats:
        """Of the rows predicted to be of a class, the share that is; (K,)."""
        return self._counts.precision

    @property
    def recall(self) -> Floats:
        """Of the rows of a class, the share that was predicted to be; (K,)."""
        return self._counts.recall

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, (K,)."""
        return self._counts.f1

    def means(self) -> dict[str, float]:
        """Return "precision", "recall" and "f1", each the mean over the classes that occur ("macro").

        What those words report in `Trainer(metrics=)` where the classes are more than yes and no.
        """
        return self._counts.means()

    @property
    def _counts(self) -> ClassCounts:
        return ClassCounts(
            self.support, self.confusion.sum(axis=0), np.diagonal(self.confusion), zero_division=self.zero_division
        )

    def __str__(self) -> str:
        """Return all of it as text."""
        names = [str(name) for name in self.classes]
        width = max(len("class"), *(len(name) for name in names))
        lines = [f"{'class':{width}}  precision  recall      F1    rows"]
        figures = zip(names, self.precision, self.recall, self.f1, self.support, strict=True)
        lines += [f"{name:{width}}  {p:9.4f}  {r:6.4f}  {f:6.4f}  {rows:6d}" for name, p, r, f, rows in figures]
        always = self.classes[int(self.support.argmax())]
        lines += ["", f"accuracy {self.accuracy:.4f}; always saying {always!r} has {self.baseline:.4f}"]
        lines += [f"not defined: {one}" for one in self.undefined]
        return "\n".join([confusion_table(self.confusion, names), "", *lines])


def classification_scores(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    classes: Sequence[Any] | None = None,
    zero_division: float = float("nan"),
) -> ClassScores:
    """Return the confusion matrix of some predictions, with accuracy, baseline, precision, recall and F1.

    Parameters
    ----------
    y_true : array of shape (N,)
        Classes: numbers or words.
    y_pred : array of shape (N,) or (N, K)
        Predicted classes; or a score for each class, of which the greatest counts (the first of several): what
        `net.predict` returns for K classes.
    classes : sequence, optional
        The classes, in the order of the columns of scores; without it 0 to K - 1, or those that occur, sorted.
    zero_division : float, default nan
        What a score is that has nothing to divide by; scikit-learn says 0. Which those are, is in `undefined`.

    Returns
    -------
    ClassScores
        The matrix and all that is counted from it; it prints as a table.

    Raises
    ------
    ValueError, TypeError
        If shapes do not suit, a class is unknown, or a score is NaN.

    Examples
    --------
    The table of lecture [001]: 998 healthy, 2 ill, of whom one was found.

    >>> import numpy as np
    >>> true, found = np.repeat([0, 1], [998, 2]), np.repeat([0, 1], [999, 1])
    >>> scores = cr.classification_scores(true, found)
    >>> scores.accuracy, scores.baseline, float(scores.precision[1]), float(scores.recall[1])
    (0.999, 0.998, 1.0, 0.5)
    """
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or len(true) == 0:
        raise ValueError(f"y_true must have shape (N,) with at least one row; got {true.shape}")
    if predicted.ndim not in (1, 2) or len(predicted) != len(true):
        raise ValueError(f"y_pred must have shape ({len(true)},) or ({len(true)}, K); got {predicted.shape}")
    if classes is not None and np.ndim(classes) != 1:
        raise ValueError(f"classes must be a list of different classes; got {checks.shown(classes)}")
    if predicted.ndim == 2:
        known = np.asarray(range(predicted.shape[1]) if classes is None else classes)
        columns = checked_scores("scores", predicted, len(known))
        predicted = known[columns.argmax(axis=1)]
    else:
        known = np.unique(np.concatenate([true, predicted])) if classes is None else np.asarray(classes)
    if len(np.unique(known)) != len(known):
        raise ValueError(f"classes must be a list of different classes; got {checks.shown(classes)}")
    if zero_division == zero_division:
        checks.number("zero_division", zero_division, least=0, most=1)
    matrix = confusion_matrix(
        numbers_among("y_true", true, known), numbers_among("y_pred", predicted, known), len(known)
    )
    return ClassScores(tuple(known.tolist()), matrix, float(zero_division))


def scores_of(loss: Loss, targets: Array, predicted: Array) -> ClassScores:
    """Return the scores of a network's outputs (N, K), with targets as the loss has checked them."""
    members = loss.memberships(targets)
    if members is None:
        raise ValueError(
            f"scores() is for classes that exclude each other; {loss!r} of {predicted.shape[1]} outputs has none. For "
            "one of several questions use classification_scores(y[:, j], net.predict(X)[:, j] > 0)"
        )
    true = members if members.ndim == 1 else members.argmax(axis=1)
    if predicted.shape[1] == 1:  # no, unless yes has more
        predicted = np.hstack([np.full_like(predicted, loss.threshold()), predicted])
    return classification_scores(true, predicted)


def top_k_accuracy(y_true: npt.ArrayLike, scores: npt.ArrayLike, k: int = 5) -> float:
    """Return the share of rows whose class is among the k with the greatest scores: "top-5 accuracy" [000].

    Parameters
    ----------
    y_true : array of int, shape (N,)
        Classes 0 to K - 1.
    scores : array of shape (N, K)
        Of equal scores those of the first classes count as greater, so that k classes are taken, and no more.
    k : int, default 5
        From 1 to K.

    Returns
    -------
    float
        From 0 to 1.
    """
    true, given = np.asarray(y_true), np.asarray(scores)
    if true.ndim != 1 or len(true) == 0 or true.dtype.kind not in "iu":
        raise ValueError(f"y_true must be class numbers of shape (N,), at least one; got {checks.shown(y_true)}")
    if given.ndim != 2 or len(given) != len(true):
        raise ValueError(f"scores must have shape ({len(true)}, K); got {given.shape}")
    given = checked_scores("scores", given, given.shape[1])
    k = checks.whole("k", k, most=given.shape[1])
    own = given[np.arange(len(true)), numbers_among("y_true", true, np.arange(given.shape[1]))][:, np.newaxis]
    before = (given > own) | ((given == own) & (np.arange(given.shape[1]) < true[:, np.newaxis]))
    return float(np.mean(before.sum(axis=1) < k))
