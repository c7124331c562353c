"""Losses, their gradients in the same call, the score of accuracy, and counted classes."""

from __future__ import annotations

import numpy as np

from chainrule.reference.common import Array, Formula, Labels, known
from chainrule.reference.rows import row_sum, shifted, softmax_forward

PROBABILITY_MARGIN = 1e-7  # the distance kept from 0 and 1 where a loss takes probabilities


def _at_least_margin(p: Array) -> Array:
    least: Array = np.maximum(p, p.dtype.type(PROBABILITY_MARGIN))
    return least


def _inside(p: Array) -> Array:
    tiny = p.dtype.type(PROBABILITY_MARGIN)
    return np.clip(p, tiny, p.dtype.type(1) - tiny)


def _huber(p: Array, y: Array, a: float) -> Array:
    d = abs(p - y)
    return np.where(d > a, a * (d - a / 2), d * d / 2)


def _binary_cross_entropy(p: Array, y: Array, a: float) -> Array:
    f, y = _inside(p), (1 - a) * y + a / 2
    return -y * np.log(f) - (1 - y) * np.log(1 - f)


def _binary_cross_entropy_slope(p: Array, y: Array, a: float) -> Array:
    f, y = _inside(p), (1 - a) * y + a / 2
    return (f - y) / (f * (1 - f))


ELEMENT_LOSSES = {
    #  l = (p - y)^2                                  dl/dp = 2 (p - y)
    "squared_difference": Formula(lambda p, y, a: (p - y) ** 2, lambda p, y, a: 2 * (p - y)),
    #  l = |p - y|                                    dl/dp = sign(p - y)
    "absolute_difference": Formula(lambda p, y, a: abs(p - y), lambda p, y, a: np.sign(p - y)),
    #  d = p - y:  l = d^2 / 2 if |d| <= a else a (|d| - a / 2)       dl/dp = d kept within [-a, a]
    "huber": Formula(_huber, lambda p, y, a: np.clip(p - y, -a, a)),
    #  l = a (y - p) if y > p else (1 - a) (p - y)    dl/dp = -a if y > p, 1 - a if y < p, 0 where p = y
    "pinball": Formula(
        lambda p, y, a: np.where(y > p, a * (y - p), (1 - a) * (p - y)),
        lambda p, y, a: np.where(y > p, -a, np.where(y < p, 1 - a, p - y)),
    ),
    #  l = exp(p) - y p                               dl/dp = exp(p) - y
    "poisson_log": Formula(lambda p, y, a: np.exp(p) - y * p, lambda p, y, a: np.exp(p) - y),
    #  l = f - y log f                                dl/dp = 1 - y / f,   f = p kept off 0; -y / f where p < f
    "poisson": Formula(
        lambda p, y, a: _at_least_margin(p) - y * np.log(_at_least_margin(p)),
        lambda p, y, a: (_at_least_margin(p) == p) - y / _at_least_margin(p),
    ),
    #  l = -y' log f - (1 - y') log(1 - f)            dl/dp = f - y',   f = sigmoid(p),   y' = (1 - a) y + a / 2
    "binary_cross_entropy_logits": Formula(
        lambda p, y, a: np.maximum(p, 0) - p * ((1 - a) * y + a / 2) + np.log1p(np.exp(-abs(p))),
        lambda p, y, a: 1 / (1 + np.exp(-p)) - ((1 - a) * y + a / 2),
    ),
    #  the same l                                     dl/dp = (f - y') / (f (1 - f)),   f = p kept off 0 and 1
    "binary_cross_entropy_probabilities": Formula(_binary_cross_entropy, _binary_cross_entropy_slope),
}


def _row_factor(p: Array, weight: Array | None, scale: float) -> Array:
    factor = np.full(len(p), scale, p.dtype)  # (B)
    return factor if weight is None else factor * weight


@np.errstate(over="ignore", invalid="ignore")
def element_loss(
    p: Array, y: Array, *, loss: str, parameter: float = 0.0, weight: Array | None = None, scale: float = 1.0
) -> tuple[Array, Array]:
    """Return row_loss (B) = scale * weight * sum over j of l(p, y), and dp (B, K) = scale * weight * dl/dp.

    `parameter` is where huber changes from square to line, the quantile of pinball, the smoothing of the labels of a
    binary cross-entropy.
    """
    formula, a = known("loss", loss, ELEMENT_LOSSES), float(parameter)
    factor = _row_factor(p, weight, scale)
    slope = formula.slope(p, y, a).astype(p.dtype)
    return factor * formula.value(p, y, a).sum(axis=1, dtype=p.dtype), factor[:, np.newaxis] * slope


@np.errstate(over="ignore", invalid="ignore")
def cross_entropy(
    p: Array,
    y: Array | Labels,
    *,
    from_logits: bool = True,
    smoothing: float = 0.0,
    weight: Array | None = None,
    scale: float = 1.0,
) -> tuple[Array, Array]:
    """Return row_loss (B) = scale * weight * (-sum over j of y' log f), and its derivative dp (B, K) by p.

    f = softmax(p), and dp = scale * weight * (f sum(y') - y'); or f = p kept within [1e-7, 1], and
    dp = -scale * weight * y' / f. Targets y: probabilities (B, K), or class numbers (B); y' = (1 - smoothing) y +
    smoothing / K.
    """
    if from_logits:
        distance = shifted(p)
        log_f = distance - np.log(row_sum(np.exp(distance)))
    else:
        f = np.clip(p, p.dtype.type(PROBABILITY_MARGIN), 1)
        log_f = np.log(f)
    targets = np.eye(p.shape[1], dtype=p.dtype)[y.astype(np.intp)] if y.ndim == 1 else y.astype(p.dtype)
    targets = (1 - float(smoothing)) * targets + float(smoothing) / max(p.shape[1], 1)
    # 0 log 0 = 0; a NaN counts where it is looked at, and a label looks at its own class alone.
    counted = (targets != 0) | (np.isnan(log_f) & (y.ndim > 1))
    loss = -np.where(counted, targets * log_f, 0).sum(axis=1)
    slope = softmax_forward(p) * row_sum(targets) - targets if from_logits else -targets / f
    factor = _row_factor(p, weight, scale)
    return factor * loss, factor[:, np.newaxis] * slope


def correct_rows(p: Array, y: Array | Labels, *, k: int = 1, threshold: float = 0.0) -> Array:
    """Return row_score (B): 1 where the target's class is among the k of the greatest p (B, K), else 0.

    Of equals the first count as greater. With K = 1 and values y: where p > threshold and y > 1/2 agree, whatever k. A
    row with NaN, in p or y, scores 0.
    """
    if y.ndim > 1 and p.shape[1] == 1:
        right = (p[:, 0].astype(np.float64) > threshold) == (y[:, 0] > 0.5)
    else:
        named = np.argsort(-p, axis=1, kind="stable")[:, :k]
        right = (named == _class_of(y)[:, np.newaxis]).any(axis=1)
    whole = ~np.isnan(p if y.ndim == 1 else p + y).any(axis=1)
    score: Array = (right & whole).astype(p.dtype)
    return score


def count_classes(
    p: Array, y: Array | Labels, counts: Array, *, exclusive: bool = True, threshold: float = 0.0
) -> Array:
    """Return counts (3, K) + by column the rows that are of it, those that p (B, K) says are, and those of both.

    Where columns exclude each other, as they do with class numbers y: a row is of its class, or of the greatest of y,
    and predicted to be of the greatest of p, the first of equals; of none where there is a NaN. Else each column is a
    question of its own: y > 1/2, p > threshold; a NaN means no.
    """
    if exclusive or y.ndim == 1:
        columns = np.arange(p.shape[1])
        actual, predicted = (_class_of(one)[:, np.newaxis] == columns for one in (y, p))
    else:
        actual, predicted = y > 0.5, p.astype(np.float64) > threshold
    counted: Array = counts + np.stack([actual, predicted, actual & predicted]).sum(axis=1, dtype=np.float64)
    return counted


def _class_of(y: Array | Labels) -> Labels:
    """Return labels (B) as they are, of values (B, K) the column of the greatest; -1 for a row with NaN."""
    if y.ndim == 1:
        labels: Labels = y.astype(np.intp)
        return labels
    return np.where(np.isnan(y).any(axis=1), -1, y.argmax(axis=1))
