"""Folds: rows cut into K parts for cross-validation. Nothing is trained here; `cross_validate` does that.

Without scikit-learn, whose splitters (groups, time, repeats) `cross_validate` and `search` take as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data
from ._engine import shuffled_order
from .splits import class_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def folds(
    rows: int,
    k: int = 5,
    *,
    stratify: npt.ArrayLike | None = None,
    shuffle: bool = True,
    seed: int = 0,
) -> list[tuple[Array, Array]]:
    """Cut rows into k parts, "noncoincident" and nearly equal, for K-fold cross-validation ([001], [004]).

    Each part is validated on once, while the k - 1 others are trained on. The parts differ by at most one row, and with
    `stratify` by at most one row of each class.

    Parameters
    ----------
    rows : int
        How many there are, at least k.
    k : int, default 5
        How many parts, at least 2; as many as rows for leaving one out.
    stratify : array of shape (rows,), optional
        Classes of the rows.
    shuffle : bool, default True
        Whether rows are drawn at random. Without, each part is a block of neighbours, as scikit-learn's `KFold` cuts.
    seed : int, default 0
        The same seed and as many rows give the same parts on every machine.

    Returns
    -------
    list of (training, validation)
        Row numbers, ascending, a pair for each part.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.

    Examples
    --------
    >>> for training, validation in cr.folds(len(X), 5, stratify=y):
    ...     trainer = cr.Trainer(make_network(), loss="cross_entropy")
    ...     trainer.fit(X[training], y[training], validation_data=(X[validation], y[validation]))
    """
    rows = checks.whole("rows", rows, least=2)
    k = checks.whole("k", k, least=2, most=rows)
    strata = None if stratify is None else class_numbers(stratify, rows)
    if not checks.flag("shuffle", shuffle):
        if strata is not None:
            raise ValueError("stratify needs shuffle=True: rows in order are not chosen by class")
        parts = np.array_split(np.arange(rows), k)
    else:
        order = shuffled_order(rows, checks.seed("seed", seed), data.SPLIT_EPOCH)
        if strata is not None:
            order = order[np.argsort(strata[order], kind="stable")]
        # Dealt like cards, class by class: neither the parts nor what they have of a class differ by more than one.
        parts = [np.sort(order[part::k]) for part in range(k)]
    return [(np.setdiff1d(np.arange(rows), part, assume_unique=True), part) for part in parts]
