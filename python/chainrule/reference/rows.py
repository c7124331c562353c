"""Operations row by row: softmax, the greatest of several pieces, the rows and labels of a batch."""

from __future__ import annotations

import numpy as np

from chainrule.reference.common import Array, Labels


def row_sum(x: Array) -> Array:
    """Return the sum of each row of x (B, K): (B, 1)."""
    sums: Array = x.sum(axis=1, keepdims=True)
    return sums


def shifted(z: Array) -> Array:
    """Return z - max z of each row, (B, K): softmax is the same, and with the greatest at 0, exp cannot overflow."""
    result: Array = z - z.max(axis=1, keepdims=True, initial=-np.inf)
    return result


@np.errstate(over="ignore", invalid="ignore")
def softmax_forward(z: Array) -> Array:
    """Return h = exp(z) / sum(exp(z)) in each row, (B, K)."""
    e = np.exp(shifted(z))
    return e / row_sum(e)


@np.errstate(over="ignore", invalid="ignore")
def softmax_backward(h: Array, dh: Array) -> Array:
    """Return dz = h * (dh - sum(h * dh)) in each row, (B, K)."""
    return h * (dh - row_sum(h * dh))


def max_pieces_forward(z: Array, *, pieces: int) -> Array:
    """Return h (B, d) = the greatest of the pieces z (B, pieces * d); NaN if one is.

    Unit j has the columns j, d + j, 2 d + j, ...
    """
    greatest: Array = z.reshape(len(z), pieces, z.shape[1] // pieces).max(axis=1)
    return greatest


def max_pieces_backward(z: Array, dh: Array) -> Array:
    """Return dz (B, pieces * d) = dh (B, d) at the first piece that is greatest, 0 at the others.

    A NaN counts as greater than any number.
    """
    units = dh.shape[1]
    pieces = z.shape[1] // units if units else 0
    dz = np.zeros((len(z), pieces, units), z.dtype)
    if pieces:
        chosen = z.reshape(dz.shape).argmax(axis=1)[:, np.newaxis]
        np.put_along_axis(dz, chosen, dh[:, np.newaxis], axis=1)
    return dz.reshape(z.shape)


def gather_rows(x: Array, rows: Labels) -> Array:
    """Return the rows of x (N, d) that `rows` (B) numbers: (B, d)."""
    return x[rows]


def gather_labels(labels: Labels, rows: Labels) -> Labels:
    """Return the labels (N) that `rows` (B) numbers: (B)."""
    return labels[rows]
