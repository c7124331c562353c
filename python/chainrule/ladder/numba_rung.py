"""The rung of Numba: loops over numbers, as nobody would write them in Python, compiled when they are first called.

Gradients are subtracted term by term and stand in no array. The letters and the formulas are those of `problem`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from .problem import Problem, Trained, checked


def _add(c: float, a: Any, x: Any, y: Any) -> None:
    """Do y (n) <- y + c (a x) with a (m), x (m, n): four rows of x for each time that y is loaded and stored."""
    for i in range(0, len(a) - 3, 4):
        a0, a1, a2, a3 = c * a[i], c * a[i + 1], c * a[i + 2], c * a[i + 3]
        for j in range(len(y)):
            y[j] += a0 * x[i, j] + a1 * x[i + 1, j] + a2 * x[i + 2, j] + a3 * x[i + 3, j]
    for i in range(len(a) // 4 * 4, len(a)):
        for j in range(len(y)):
            y[j] += c * a[i] * x[i, j]


def _forward_and_back(x: Any, y: int, parameters: Any, batch: int, h: Any, dz1: Any, dz2: Any) -> Any:
    """Overwrite h (H), dz1 (H) and dz2 (K) of one row x (D), class y, of the batch; return its loss."""
    W1, b1, W2, b2 = parameters
    h[:] = b1
    _sum(1.0, x, W1, h)  # z1 = x W1 + b1
    np.maximum(h, 0.0, h)
    dz2[:] = b2
    _sum(1.0, h, W2, dz2)  # z2 = h W2 + b2
    dz2 -= dz2.max()
    chosen = dz2[y]
    np.exp(dz2, dz2)
    total = dz2.sum()
    dz2 /= total * batch  # p / B
    dz2[y] -= 1 / batch
    for j in range(len(h)):
        dh = 0.0
        for k in range(len(dz2)):
            dh += dz2[k] * W2[j, k]
        dz1[j] = dh if h[j] > 0 else 0.0
    return np.log(total) - chosen


def _descend(rate: float, a: Any, dz: Any, W: Any, b: Any) -> None:
    """Do W (in, out) <- W - rate a^T dz and b (out) <- b - rate (sum of the rows of dz); a (B, in), dz (B, out)."""
    for i in range(len(a)):
        b -= rate * dz[i]
    for d in range(len(W)):
        _sum(-rate, a[:, d], dz, W[d])


def _train(X: Any, labels: Any, order: Any, parameters: Any, lr: float, losses: Any, scratch: Any) -> None:
    """Overwrite the parameters and the mean loss of each epoch, and of a batch x (B, D), h, dz1 (B, H), dz2 (B, K)."""
    x, h, dz1, dz2 = scratch
    for epoch in range(len(losses)):
        for first in range(0, len(order), len(x)):
            batch = min(len(x), len(order) - first)
            for i, row in enumerate(order[first : first + batch]):
                x[i] = X[row]
                losses[epoch] += _row(x[i], labels[row], parameters, batch, h[i], dz1[i], dz2[i]) / len(order)
            _update(lr, h[:batch], dz2[:batch], parameters[2], parameters[3])
            _update(lr, x[:batch], dz1[:batch], parameters[0], parameters[1])


_sum, _row, _update, _run = map(numba.njit, (_add, _forward_and_back, _descend, _train))


def train(problem: Problem) -> Trained:
    """Train; the first call compiles."""
    X, labels, order, epochs, batch_size, parameters, lr = checked(problem)
    losses, (W1, b1, _, b2) = np.zeros(epochs), parameters
    scratch = tuple(np.empty((batch_size, len(one))) for one in (W1, b1, b1, b2))
    _run(X, labels, order, tuple(parameters), lr, losses, scratch)
    return Trained(losses, parameters)
