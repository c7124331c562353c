"""The rung of pure Python: lists of lists, and the formulas read aloud. No library computes anything here.

Every number is an object of its own, every operation looks up what to do with the two that it meets. The letters and
the formulas are those of `problem`.
"""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np

from .problem import Parameters, Problem, Trained, checked

Matrix = list[list[float]]
Vector = list[float]


def affine(x: Matrix, W: Matrix, b: Vector) -> Matrix:
    """Return x W + b: (B, in), (in, out), (out) to (B, out)."""
    columns = list(zip(*W, strict=True))
    return [[dot(row, column) + bias for column, bias in zip(columns, b, strict=True)] for row in x]


def dot(a: Vector | tuple[float, ...], b: Vector | tuple[float, ...]) -> float:
    """Return the sum of products."""
    return sum(one * other for one, other in zip(a, b, strict=True))


def transposed_product(a: Matrix, dz: Matrix) -> Matrix:
    """Return a^T dz: (B, in), (B, out) to (in, out)."""
    columns = list(zip(*dz, strict=True))
    return [[dot(inputs, column) for column in columns] for inputs in zip(*a, strict=True)]


def descended(W: Matrix, dW: Matrix, lr: float) -> Matrix:
    """Return W - lr dW."""
    return [[w - lr * dw for w, dw in zip(row, drow, strict=True)] for row, drow in zip(W, dW, strict=True)]


def step(x: Matrix, y: list[int], W1: Matrix, b1: Vector, W2: Matrix, b2: Vector, lr: float) -> tuple[Any, ...]:
    """Return the sum of the losses of a batch x (B, D), y (B), and W1, b1, W2, b2 after the step."""
    z1 = affine(x, W1, b1)  # (B, H)
    h = [[max(z, 0.0) for z in row] for row in z1]  # (B, H)
    z2 = affine(h, W2, b2)  # (B, K)
    loss, dz2 = 0.0, []  # (B, K)
    for z, label in zip(z2, y, strict=True):
        most = max(z)
        exps = [exp(one - most) for one in z]  # the greatest is 1: nothing overflows
        total = sum(exps)
        loss += log(total) - (z[label] - most)
        dz2.append([(one / total - (k == label)) / len(x) for k, one in enumerate(exps)])
    dh = affine(dz2, [list(column) for column in zip(*W2, strict=True)], [0.0] * len(W2))  # dz2 W2^T, (B, H)
    dz1 = [[d if one > 0 else 0.0 for d, one in zip(drow, row, strict=True)] for drow, row in zip(dh, h, strict=True)]
    db1, db2 = ([sum(column) for column in zip(*dz, strict=True)] for dz in (dz1, dz2))
    W1, W2 = descended(W1, transposed_product(x, dz1), lr), descended(W2, transposed_product(h, dz2), lr)
    ((b1,), (b2,)) = descended([b1], [db1], lr), descended([b2], [db2], lr)
    return loss, W1, b1, W2, b2


def train(problem: Problem) -> Trained:
    """Train step by step."""
    X, labels, order, epochs, batch_size, parameters, lr = checked(problem)
    rows, classes, places = X.tolist(), labels.tolist(), order.tolist()
    W1, b1, W2, b2 = (one.tolist() for one in parameters)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for first in range(0, len(places), batch_size):
            batch = places[first : first + batch_size]
            x, y = [rows[row] for row in batch], [classes[row] for row in batch]
            loss, W1, b1, W2, b2 = step(x, y, W1, b1, W2, b2, lr)
            total += loss
        losses.append(total / len(places))
    return Trained(np.array(losses), Parameters(*map(np.array, (W1, b1, W2, b2))))
