"""Operations of single elements: activations, products with a bias and an activation, noise, plain arithmetic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chainrule.reference.common import Array, Formula, known
from chainrule.reference.random_numbers import Purpose, normal_numbers, philox

# Activations ----------------------------------------------------------------------------------------------------------


ACTIVATIONS = {
    #  g(z) = z                                 g' = 1
    "identity": Formula(lambda z, a: z.copy(), lambda h, a: np.ones_like(h)),
    #  g(z) = 1 if z >= 0 else 0                g' = 0, or a in its place
    "step": Formula(lambda z, a: np.where(np.isnan(z), z, z >= 0), lambda h, a: np.full_like(h, a)),
    #  g(z) = 1 / (1 + exp(-z))                 g' = h (1 - h)
    "sigmoid": Formula(lambda z, a: 1 / (1 + np.exp(-z)), lambda h, a: h * (1 - h)),
    #  g(z) = tanh z                            g' = 1 - h^2
    "tanh": Formula(lambda z, a: np.tanh(z), lambda h, a: 1 - h * h),
    #  g(z) = max(0, z)                         g' = 1 if h > 0 else 0
    "relu": Formula(lambda z, a: np.maximum(z, 0), lambda h, a: (h > 0).astype(h.dtype)),
    #  g(z) = z if z > 0 else a z               g' = 1 if h > 0 else a,   a >= 0
    "leaky_relu": Formula(lambda z, a: np.where(z > 0, z, a * z), lambda h, a: np.where(h > 0, 1, a).astype(h.dtype)),
    #  g(z) = z if z > 0 else a (exp(z) - 1)    g' = 1 if h > 0 else h + a,   a >= 0
    "elu": Formula(
        lambda z, a: np.where(z > 0, z, a * np.expm1(np.minimum(z, 0))), lambda h, a: np.where(h > 0, 1, h + a)
    ),
}


@np.errstate(over="ignore", invalid="ignore")
def activation_forward(z: Array, *, activation: str, parameter: float = 0.0) -> Array:
    """Return h = g(z), any shape. `parameter` is the slope of leaky_relu, the alpha of elu."""
    return known("activation", activation, ACTIVATIONS).value(z, float(parameter))


@np.errstate(over="ignore", invalid="ignore")
def activation_backward(h: Array, dh: Array, *, activation: str, parameter: float = 0.0) -> Array:
    """Return dz = dh * g'(z), with g' taken from the output h. For step, `parameter` stands in place of g' = 0."""
    return dh * known("activation", activation, ACTIVATIONS).slope(h, float(parameter))


@np.errstate(over="ignore", invalid="ignore")
def matmul(
    a: Array,
    b: Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Array | None = None,
    activation: str = "identity",
    parameter: float = 0.0,
    slope_at: Array | None = None,
    add_to: Array | None = None,
) -> Array:
    """Return c (m, n) = g(a (m, k) b (k, n) + bias (n)), (a b) g'(z) where g(z) is slope_at, or add_to + a b."""
    product = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    if add_to is not None:
        if bias is not None or activation != "identity":
            raise ValueError("a product that adds takes neither bias nor activation")
        if slope_at is not None:
            raise ValueError("a product that adds takes no slope_at")
        return add_to + product
    if slope_at is not None:
        if bias is not None:
            raise ValueError("a product that is multiplied by slopes takes no bias")
        return activation_backward(slope_at, product, activation=activation, parameter=parameter)
    return activation_forward(product if bias is None else product + bias, activation=activation, parameter=parameter)


# Random masks and noise -----------------------------------------------------------------------------------------------


def _kept(
    rows: int, columns: int, rate: float, count: int, same: bool, seed: int, layer: int, step: int
) -> npt.NDArray[np.bool_]:
    """Return which elements a mask keeps, (rows, columns)."""
    drawn = min(rows, 1) if same else rows  # rows of which a mask is drawn
    blocks = np.arange((drawn * columns + 3) // 4)
    words = philox(seed, Purpose.DROPOUT, layer, step, blocks).reshape(-1)[: drawn * columns].reshape(drawn, columns)
    if count < 0:
        kept = words >= np.uint64(int(rate * 2**32))
    else:
        kept, left = np.ones((drawn, columns), bool), np.full(drawn, count)
        for j in range(columns):
            kept[:, j] = (words[:, j] * np.uint64(columns - j) >> np.uint64(32)).astype(np.int64) >= left
            left -= ~kept[:, j]
    return np.broadcast_to(kept, (rows, columns))


@np.errstate(over="ignore", invalid="ignore")
def dropout(
    x: Array,
    *,
    rate: float = 0.0,
    count: int = -1,
    same: bool = False,
    scale: float,
    seed: int,
    layer: int,
    step: int,
) -> Array:
    """Return y = scale * x, but 0 where the mask drops; x (B, d), or one row of any other shape.

    With e = i d + j for row i and column j, or e = j if all rows have the same mask, and word e % 4 of block e // 4 of
    the random numbers: an element is dropped where its word is below floor(rate * 2^32); or, if count >= 0, where
    floor(word (d - j) / 2^32) is below the number that is still to be dropped in its row, which begins with count
    (selection sampling: D. Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S). The backward pass is the same
    call on the gradient.
    """
    rows, columns = x.shape if x.ndim == 2 else (1, x.size)
    kept = _kept(rows, columns, rate, count, same, seed, layer, step).reshape(x.shape)
    y: Array = np.where(kept, x * x.dtype.type(scale), 0)
    return y


@np.errstate(over="ignore", invalid="ignore")
def add_noise(x: Array, *, deviation: float, seed: int, layer: int, step: int) -> Array:
    """Return y = x + deviation * N(0, 1), any shape; the sum is computed in double precision."""
    noise = normal_numbers(x.size, seed, layer, step).reshape(x.shape)
    return (x.astype(np.float64) + float(deviation) * noise).astype(x.dtype)


# Arithmetic -----------------------------------------------------------------------------------------------------------


@np.errstate(over="ignore", invalid="ignore")
def add_scaled(factor: float, x: Array, y: Array) -> Array:
    """Return y + factor * x."""
    return y + float(factor) * x


@np.errstate(over="ignore", invalid="ignore")
def scale(factor: float, x: Array) -> Array:
    """Return factor * x."""
    return float(factor) * x


@np.errstate(over="ignore", invalid="ignore")
def multiply(x: Array, factors: Array) -> Array:
    """Return x * factors, element by element."""
    return x * factors


def clip(limit: float, x: Array) -> Array:
    """Return x kept within [-limit, limit]; NaN stays NaN."""
    return np.clip(x, -x.dtype.type(limit), x.dtype.type(limit))


def clip_norm(limit: float, squares: float, g: Array) -> Array:
    """Return g times limit / (norm + 1e-6) where that is below 1, else g; norm is the root of `squares`."""
    factor = limit / (np.sqrt(squares) + 1e-6)
    clipped: Array = g * g.dtype.type(factor) if factor < 1 else g.copy()
    return clipped


@np.errstate(invalid="ignore")
def soft_threshold(threshold: float, x: Array) -> Array:
    """Return sign(x) * max(|x| - threshold, 0); NaN stays NaN."""
    y: Array = np.sign(x) * np.maximum(abs(x) - x.dtype.type(threshold), 0)
    return y


def fill(value: float, n: int, *, dtype: npt.DTypeLike = "float64") -> Array:
    """Return n elements, all equal to value."""
    return np.full(n, value, dtype)
