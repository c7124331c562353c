"""Weights of rows in an estimator's fit: what scikit-learn's checks leave, divided by its mean.

Only their proportions count then, and the network's penalty stays as it is. Weights below 0, which scikit-learn takes,
are refused: the engine divides by sums of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def divided_by_mean(name: str, weight: Array | None, rows: str) -> tuple[Array | None, float]:
    """Return weights (N,) with the mean 1, and the mean they had; None and 1 where there are none.

    Raises
    ------
    ValueError
        If a weight is below 0, or all are 0; `rows` says of which rows.
    """
    if weight is None:
        return None, 1.0
    if (weight < 0).any():
        raise ValueError(f"{name}, times class_weight, must be at least 0 in each row {rows}; got {weight.min():g}")
    mean = float(weight.mean())
    if not mean > 0:
        raise ValueError(f"{name} must be above 0 in some row {rows}; there all are 0")
    return weight / mean, mean
