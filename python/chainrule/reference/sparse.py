"""Products of sparse rows, given by what a CSR matrix keeps: its elements row by row, their columns, where rows begin.

Which the product visits, and no others: where nothing is kept, nothing is multiplied, not even an infinity by 0.
"""

from __future__ import annotations

import numpy as np

from chainrule.reference.common import Array, Labels
from chainrule.reference.elementwise import activation_forward

# Where the elements of each row begin, and the end of the last; the column of each; its value.
Csr = tuple[Labels, Labels, Array]


def kept_elements(offsets: Labels, rows: Labels | None) -> tuple[Labels, Labels]:
    """Return the numbers of the elements of some rows, one row after the other, and which of these each belongs to."""
    chosen = np.arange(len(offsets) - 1) if rows is None else rows
    ranges = [np.arange(offsets[row], offsets[row + 1]) for row in chosen]
    elements = np.concatenate([np.arange(0), *ranges])
    return elements, np.repeat(np.arange(len(chosen)), [len(one) for one in ranges])


@np.errstate(over="ignore", invalid="ignore")
def sparse_product(
    s: Csr,
    w: Array,
    *,
    rows: Labels | None = None,
    bias: Array | None = None,
    activation: str = "identity",
    parameter: float = 0.0,
) -> Array:
    """Return z (B, d) = g(s w + bias): of the rows that `rows` (B) numbers, or all; w (in, d), bias (d)."""
    offsets, columns, values = s
    elements, places = kept_elements(offsets, rows)
    count = len(offsets) - 1 if rows is None else len(rows)
    z = np.zeros((count, w.shape[1]), w.dtype)
    np.add.at(z, places, values[elements, None] * w[columns[elements]])
    return activation_forward(z if bias is None else z + bias, activation=activation, parameter=parameter)


@np.errstate(over="ignore", invalid="ignore")
def sparse_gradient(
    s: Csr,
    dz: Array,
    *,
    inputs: int,
    rows: Labels | None = None,
    add_to: Array | None = None,
) -> Array:
    """Return dw (inputs, d) = s^T dz, or add_to + s^T dz; dz (B, d) of the rows that `rows` (B) numbers, or of all."""
    offsets, columns, values = s
    elements, places = kept_elements(offsets, rows)
    dw = np.zeros((inputs, dz.shape[1]), dz.dtype) if add_to is None else add_to.copy()
    np.add.at(dw, columns[elements], values[elements, None] * dz[places])
    return dw
