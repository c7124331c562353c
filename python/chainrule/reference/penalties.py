"""Penalties: sums of a term over the parameters, and its derivative added to their gradients; and sums of numbers."""

from __future__ import annotations

import numpy as np

from chainrule.reference.common import Array, Formula, known

PENALTY_TERMS = {
    #  r = |w|                                  dr/dw = sign(w)
    "absolute": Formula(lambda w, p: abs(w), lambda w, p: np.sign(w)),
    #  r = w^2                                  dr/dw = 2 w
    "square": Formula(lambda w, p: w * w, lambda w, p: 2 * w),
    #  r = |w|^p                                dr/dw = p |w|^(p-1) sign(w),   p >= 1
    "power": Formula(lambda w, p: abs(w) ** p, lambda w, p: p * abs(w) ** (p - 1) * np.sign(w)),
}


@np.errstate(over="ignore", invalid="ignore")
def penalty_sum(w: Array, *, term: str, power: float = 0.0) -> float:
    """Return the sum of a term over all elements, in double precision. `power` is the p of the term of that name."""
    return float(known("term", term, PENALTY_TERMS).value(w.astype(np.float64), float(power)).sum())


@np.errstate(over="ignore", invalid="ignore")
def penalty_gradient(
    factor: float, w: Array, g: Array, *, term: str, power: float = 0.0, sum: float | None = None
) -> Array:
    """Return g + factor * the derivative of a term at w, any shape.

    With `sum`, S, that of the p-th root of a sum of such terms: times 1/p S^(1/p - 1), and 0 where S = 0.
    """
    if sum is not None:
        p = {"absolute": 1.0, "square": 2.0}.get(term, float(power))
        factor *= sum ** (1 / p - 1) / p if sum > 0 else 0.0
    return g + float(factor) * known("term", term, PENALTY_TERMS).slope(w, float(power))


def accumulate(x: Array, factor: float, total: float) -> float:
    """Return total + factor * the sum of x (n), in double precision."""
    return total + factor * float(x.sum(dtype=np.float64))


def sum_up(blocks: Array) -> float:
    """Return the sum of the blocks (n) of a split sum, in double precision."""
    return float(blocks.sum())
