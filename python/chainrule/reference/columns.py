"""Operations column by column: sums, moments, normalization, constraints on the weights of a unit."""

from __future__ import annotations

import numpy as np

from chainrule.reference.common import Array, known


@np.errstate(over="ignore", invalid="ignore")
def column_sum(x: Array, *, add_to: Array | None = None) -> Array:
    """Return the sum over the rows of x (B, d), from the first row to the last: (d), or add_to plus it."""
    total = np.zeros(x.shape[1], x.dtype)
    for row in x:
        total += row
    return total if add_to is None else add_to + total


@np.errstate(over="ignore", invalid="ignore")
def column_moments(x: Array) -> tuple[Array, Array]:
    """Return mean and variance (d) of the columns of x (B, d), B >= 1, the variance divided by B.

    mean = x_0 + sum(x - x_0) / B, with x_0 the first row: values that are alike lose no digits, however large they are.
    """
    rows = x.dtype.type(len(x))
    mean = x[0] + column_sum(x[1:] - x[0]) / rows
    distance = x - mean
    variance = column_sum(distance * distance) / rows
    return mean, variance


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def normalize_forward(x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, *, epsilon: float) -> Array:
    """Return h (B, d) = gamma * xhat + beta, with xhat = (x - mean) / sqrt(variance + epsilon)."""
    h: Array = gamma * ((x - mean) / np.sqrt(variance + float(epsilon))) + beta
    return h


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def normalize_backward(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array,
    dh: Array,
    *,
    epsilon: float,
    moments_of_x: bool = True,
    add_to: tuple[Array, Array] | None = None,
) -> tuple[Array, Array, Array]:
    """Return dx (B, d), dgamma (d) = sum of dh xhat over rows and dbeta (d) = sum of dh, or add_to plus these two.

    dx = gamma / sqrt(variance + epsilon) * (dh - sum(dh) / B - xhat * sum(dh xhat) / B) where mean and variance are
    those of x itself; else without the sums.
    """
    deviation = np.sqrt(variance + float(epsilon))
    xhat = (x - mean) / deviation
    dgamma, dbeta = column_sum(dh * xhat), column_sum(dh)
    rows = x.dtype.type(max(len(x), 1))
    dx = gamma / deviation * (dh - dbeta / rows - xhat * (dgamma / rows) if moments_of_x else dh)
    return (dx, dgamma, dbeta) if add_to is None else (dx, add_to[0] + dgamma, add_to[1] + dbeta)


CONSTRAINTS = {
    # From weights w (in, out) and the norm of each column, both in double precision, and the limit c, to new weights.
    #  w <- w c / max(|w|, c)
    "max_norm": lambda w, norm, limit: np.where(norm > limit, w * (limit / norm), w),
    #  w <- w / |w|, where |w| > 0
    "unit_norm": lambda w, norm, limit: np.where(norm > 0, w * (1 / norm), w),
    #  w <- max(w, 0)
    "non_negative": lambda w, norm, limit: np.maximum(w, 0),
}


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def constrain_columns(w: Array, *, constraint: str, limit: float = 1.0) -> Array:
    """Return weights w (in, out) of which each column obeys a constraint; the limit is that of max_norm."""
    wide = w.astype(np.float64)
    norm = np.sqrt(column_sum(wide * wide))
    constrained: Array = known("constraint", constraint, CONSTRAINTS)(wide, norm, float(limit)).astype(w.dtype)
    return constrained
