"""The rung of NumPy: a line for a formula, on whole arrays; their loops are compiled C, their products those of a BLAS.

Written as a lecture would write it, with a new array for every result. `chainrule.reference.Mlp` writes into arrays
made once. All other rungs are compared with this one; the letters and the formulas are those of `problem`.
"""

from __future__ import annotations

import numpy as np

from .problem import Parameters, Problem, Trained, checked


def train(problem: Problem) -> Trained:
    """Train step by step."""
    X, labels, order, epochs, batch_size, (W1, b1, W2, b2), lr = checked(problem)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            x, y = X[rows], labels[rows]  # (B, D), (B)
            each = np.arange(len(rows))

            h = np.maximum(x @ W1 + b1, 0)  # (B, H)
            z2 = h @ W2 + b2  # (B, K)
            z2 -= z2.max(axis=1, keepdims=True)  # softmax stays as it is, and nothing overflows
            exps = np.exp(z2)
            sums = exps.sum(axis=1, keepdims=True)  # (B, 1)
            total += (np.log(sums[:, 0]) - z2[each, y]).sum()

            dz2 = exps / sums  # p, (B, K)
            dz2[each, y] -= 1
            dz2 /= len(rows)
            dz1 = (dz2 @ W2.T) * (h > 0)  # (B, H)

            W2 -= lr * (h.T @ dz2)
            b2 -= lr * dz2.sum(axis=0)
            W1 -= lr * (x.T @ dz1)
            b1 -= lr * dz1.sum(axis=0)
        losses.append(total / len(order))
    return Trained(np.array(losses), Parameters(W1, b1, W2, b2))
