"""The operations of THE LIST (csrc/kernels.h) in NumPy, under the same names and arguments: their specification.

Every operation returns new arrays and leaves its inputs alone; it works in the precision of its inputs. What the
engine does is right where it agrees with this file to within rounding. The random numbers agree exactly.

At the end stands the training step that a good NumPy programmer would write for a stack of dense layers: the
baseline of tests and benchmarks. This file checks shapes no further than NumPy does, and no network runs on it.

Letters: B rows of a batch, K classes or outputs, n elements, d columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]  # float32 or float64
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Anything = TypeVar("Anything")

PROBABILITY_MARGIN = 1e-7  # the distance kept from 0 and 1 where a loss takes probabilities


def _known(what: str, name: str, table: Mapping[str, Anything]) -> Anything:
    if name not in table:
        raise ValueError(f"{what} must be one of {', '.join(table)}; got {name!r}")
    return table[name]


# Products -------------------------------------------------------------------------------------------------------------


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
    add_to: Array | None = None,
) -> Array:
    """Return c (m, n) = g(a (m, k) b (k, n) + bias (n)), or add_to + a b."""
    product = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    if add_to is not None:
        if bias is not None or activation != "identity":
            raise ValueError("a product that adds takes neither bias nor activation")
        return add_to + product
    return activation_forward(product if bias is None else product + bias, activation=activation, parameter=parameter)


# Element by element ---------------------------------------------------------------------------------------------------


class Formula(NamedTuple):
    """The maths of one element: an activation h = g(z) with g' in terms of h, or a loss l(p, y) with dl/dp."""

    value: Callable[[Array, Any], Array]
    slope: Callable[[Array, Any], Array]


ACTIVATIONS = {
    #  g(z) = z                                 g' = 1
    "identity": Formula(lambda z, a: z.copy(), lambda h, a: np.ones_like(h)),
    #  g(z) = 1 if z >= 0 else 0                g' = 0
    "step": Formula(lambda z, a: np.where(np.isnan(z), z, z >= 0), lambda h, a: np.zeros_like(h)),
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
    return _known("activation", activation, ACTIVATIONS).value(z, float(parameter))


@np.errstate(over="ignore", invalid="ignore")
def activation_backward(h: Array, dh: Array, *, activation: str, parameter: float = 0.0) -> Array:
    """Return dz = dh * g'(z), with g' taken from the output h."""
    return dh * _known("activation", activation, ACTIVATIONS).slope(h, float(parameter))


@np.errstate(over="ignore", invalid="ignore")
def dropout(x: Array, *, rate: float, seed: int, layer: int, step: int) -> Array:
    """Return y = x * mask / (1 - rate), with P(mask = 0) = rate.

    Element e is dropped where word e % 4 of block e // 4 is below floor(rate * 2^32). The backward pass is the same
    call on the gradient.
    """
    blocks = np.arange((x.size + 3) // 4)
    words = philox(seed, Purpose.DROPOUT, layer, step, blocks).reshape(-1)[: x.size].reshape(x.shape)
    y: Array = np.where(words < int(rate * 2**32), 0, x * x.dtype.type(1 / (1 - rate)))
    return y


@np.errstate(over="ignore", invalid="ignore")
def add_scaled(factor: float, x: Array, y: Array) -> Array:
    """Return y + factor * x."""
    return y + float(factor) * x


def fill(value: float, n: int, *, dtype: npt.DTypeLike = "float64") -> Array:
    """Return n elements, all equal to value."""
    return np.full(n, value, dtype)


class UpdateNumbers(NamedTuple):
    """The numbers of one step, the same for every parameter. A rule takes those that it names."""

    rate: float  # eta, the learning rate
    beta1: float = 0.0  # decay of the running mean of gradients
    beta2: float = 0.0  # decay of the running mean of squared gradients
    epsilon: float = 0.0  # keeps a division finite
    correction1: float = 1.0  # 1 - beta1^t, or 1 for no bias correction
    correction2: float = 1.0  # 1 - beta2^t, or 1


Updated: TypeAlias = tuple[Array, Array, Array]  # w, and the states v and s


def _gradient_descent(u: UpdateNumbers, w: Array, g: Array, v: Array, s: Array) -> Updated:
    #  w <- w - eta g
    return w - u.rate * g, v.copy(), s.copy()


def _momentum_ema(u: UpdateNumbers, w: Array, g: Array, v: Array, s: Array) -> Updated:
    #  v <- beta v + (1 - beta) g;    w <- w - eta v
    v = u.beta1 * v + (1 - u.beta1) * g
    return w - u.rate * v, v, s.copy()


def _momentum_heavy_ball(u: UpdateNumbers, w: Array, g: Array, v: Array, s: Array) -> Updated:
    #  v <- beta v + g;               w <- w - eta v                  (Polyak 1964)
    v = u.beta1 * v + g
    return w - u.rate * v, v, s.copy()


def _momentum_nesterov(u: UpdateNumbers, w: Array, g: Array, v: Array, s: Array) -> Updated:
    #  v <- beta v + g;               w <- w - eta (g + beta v)       (Nesterov 1983, in the form of Sutskever 2013)
    v = u.beta1 * v + g
    return w - u.rate * (g + u.beta1 * v), v, s.copy()


def _adam(u: UpdateNumbers, w: Array, g: Array, v: Array, s: Array) -> Updated:
    #  v <- beta1 v + (1 - beta1) g;  s <- beta2 s + (1 - beta2) g^2  (Kingma and Ba 2015)
    #  w <- w - eta (v / c1) / (sqrt(s / c2) + eps)
    v, s = u.beta1 * v + (1 - u.beta1) * g, u.beta2 * s + (1 - u.beta2) * g * g
    return w - u.rate / u.correction1 * v / (np.sqrt(s / u.correction2) + u.epsilon), v, s


def _adam_epsilon_inside(u: UpdateNumbers, w: Array, g: Array, v: Array, s: Array) -> Updated:
    #  the same v and s;              w <- w - eta (v / c1) / sqrt(s / c2 + eps)
    v, s = u.beta1 * v + (1 - u.beta1) * g, u.beta2 * s + (1 - u.beta2) * g * g
    return w - u.rate / u.correction1 * v / np.sqrt(s / u.correction2 + u.epsilon), v, s


_RULES = (_gradient_descent, _momentum_ema, _momentum_heavy_ball, _momentum_nesterov, _adam, _adam_epsilon_inside)
UPDATE_RULES = {rule.__name__[1:]: rule for rule in _RULES}


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def update(w: Array, g: Array, state1: Array, state2: Array, *, rule: str, **numbers: float) -> Updated:
    """Return new (w, state1, state2) after one step of a rule, all of one shape. `numbers`: see UpdateNumbers."""
    u = UpdateNumbers(**{name: float(number) for name, number in numbers.items()})
    return _known("rule", rule, UPDATE_RULES)(u, w, g, state1, state2)


# Row by row -----------------------------------------------------------------------------------------------------------


def _row_sum(x: Array) -> Array:
    sums: Array = x.sum(axis=1, keepdims=True)
    return sums


def _shifted(z: Array) -> Array:
    # softmax(z + c) = softmax(z): with the greatest at 0, exp cannot overflow.
    shifted: Array = z - z.max(axis=1, keepdims=True, initial=-np.inf)
    return shifted


@np.errstate(over="ignore", invalid="ignore")
def softmax_forward(z: Array) -> Array:
    """Return h = exp(z) / sum(exp(z)) in each row, (B, K)."""
    e = np.exp(_shifted(z))
    return e / _row_sum(e)


@np.errstate(over="ignore", invalid="ignore")
def softmax_backward(h: Array, dh: Array) -> Array:
    """Return dz = h * (dh - sum(h * dh)) in each row, (B, K)."""
    return h * (dh - _row_sum(h * dh))


def gather_rows(x: Array, rows: Labels) -> Array:
    """Return the rows of x (N, d) that `rows` (B) numbers: (B, d)."""
    return x[rows]


def gather_labels(labels: Labels, rows: Labels) -> Labels:
    """Return the labels (N) that `rows` (B) numbers: (B)."""
    return labels[rows]


# Losses and scores ----------------------------------------------------------------------------------------------------


def _inside(p: Array) -> Array:
    tiny = p.dtype.type(PROBABILITY_MARGIN)
    return np.clip(p, tiny, p.dtype.type(1) - tiny)


def _binary_cross_entropy(p: Array, y: Array) -> Array:
    f = _inside(p)
    return -y * np.log(f) - (1 - y) * np.log(1 - f)


def _binary_cross_entropy_slope(p: Array, y: Array) -> Array:
    f = _inside(p)
    return (f - y) / (f * (1 - f))


ELEMENT_LOSSES = {
    #  l = (p - y)^2                                  dl/dp = 2 (p - y)
    "squared_difference": Formula(lambda p, y: (p - y) ** 2, lambda p, y: 2 * (p - y)),
    #  l = |p - y|                                    dl/dp = sign(p - y)
    "absolute_difference": Formula(lambda p, y: abs(p - y), lambda p, y: np.sign(p - y)),
    #  l = -y log f - (1 - y) log(1 - f)              dl/dp = f - y,   f = sigmoid(p)
    "binary_cross_entropy_logits": Formula(
        lambda p, y: np.maximum(p, 0) - p * y + np.log1p(np.exp(-abs(p))), lambda p, y: 1 / (1 + np.exp(-p)) - y
    ),
    #  l = -y log f - (1 - y) log(1 - f)              dl/dp = (f - y) / (f (1 - f)),   f = p kept off 0 and 1
    "binary_cross_entropy_probabilities": Formula(_binary_cross_entropy, _binary_cross_entropy_slope),
}


def _row_factor(p: Array, weight: Array | None, scale: float) -> Array:
    factor = np.full(len(p), scale, p.dtype)  # (B)
    return factor if weight is None else factor * weight


@np.errstate(over="ignore", invalid="ignore")
def element_loss(
    p: Array, y: Array, *, loss: str, weight: Array | None = None, scale: float = 1.0
) -> tuple[Array, Array]:
    """Return row_loss (B) = scale * weight * sum over j of l(p, y), and dp (B, K) = scale * weight * dl/dp."""
    formula = _known("loss", loss, ELEMENT_LOSSES)
    factor = _row_factor(p, weight, scale)
    return factor * formula.value(p, y).sum(axis=1), factor[:, np.newaxis] * formula.slope(p, y)


@np.errstate(over="ignore", invalid="ignore")
def cross_entropy(
    p: Array, y: Array | Labels, *, from_logits: bool = True, weight: Array | None = None, scale: float = 1.0
) -> tuple[Array, Array]:
    """Return row_loss (B) = scale * weight * (-sum over j of y log f), and its derivative dp (B, K) by p.

    f = softmax(p), and dp = scale * weight * (f sum(y) - y); or f = p kept within [1e-7, 1], and
    dp = -scale * weight * y / f. Targets y: probabilities (B, K), or class numbers (B).
    """
    if from_logits:
        shifted = _shifted(p)
        log_f = shifted - np.log(_row_sum(np.exp(shifted)))
    else:
        f = np.clip(p, p.dtype.type(PROBABILITY_MARGIN), 1)
        log_f = np.log(f)
    targets = np.eye(p.shape[1], dtype=p.dtype)[y.astype(np.intp)] if y.ndim == 1 else y.astype(p.dtype)
    # 0 log 0 = 0; a NaN counts where it is looked at, and a label looks at its own class alone.
    counted = (targets != 0) | (np.isnan(log_f) & (y.ndim > 1))
    loss = -np.where(counted, targets * log_f, 0).sum(axis=1)
    slope = softmax_forward(p) * _row_sum(targets) - targets if from_logits else -targets / f
    factor = _row_factor(p, weight, scale)
    return factor * loss, factor[:, np.newaxis] * slope


def correct_rows(p: Array, y: Array | Labels, *, threshold: float = 0.0) -> Array:
    """Return row_score (B): 1 where the greatest of p (B, K) is the target's class, else 0; the first of equals counts.

    With K = 1 and values y: where p > threshold and y > 1/2 agree. A row with NaN, in p or y, scores 0.
    """
    if y.ndim > 1 and p.shape[1] == 1:
        right = (p[:, 0].astype(np.float64) > threshold) == (y[:, 0] > 0.5)
    else:
        right = p.argmax(axis=1) == (y if y.ndim == 1 else y.argmax(axis=1))
    whole = ~np.isnan(p if y.ndim == 1 else p + y).any(axis=1)
    score: Array = (right & whole).astype(p.dtype)
    return score


# Sums -----------------------------------------------------------------------------------------------------------------


@np.errstate(over="ignore", invalid="ignore")
def column_sum(x: Array, *, add_to: Array | None = None) -> Array:
    """Return the sum over the rows of x (B, d), from the first row to the last: (d), or add_to plus it."""
    total = np.zeros(x.shape[1], x.dtype)
    for row in x:
        total += row
    return total if add_to is None else add_to + total


@np.errstate(over="ignore", invalid="ignore")
def sum_squares(x: Array) -> float:
    """Return the sum of x^2 over all elements, in double precision."""
    return float(np.square(x, dtype=np.float64).sum())


# Random numbers -------------------------------------------------------------------------------------------------------


class Purpose(IntEnum):
    """What a stream of random numbers is for: streams of different purposes never share a counter."""

    INITIAL_WEIGHTS = 1
    SHUFFLE = 2
    DROPOUT = 3


def philox_words(counter: Sequence[Any], key: Sequence[int]) -> npt.NDArray[np.uint64]:
    """Return Philox4x32-10's four words of 32 bits for each counter of four words, and a key of two; (..., 4).

    Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    x0, x1, x2, x3 = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    key0, key1 = key
    half, low = np.uint64(32), np.uint64(2**32 - 1)
    for _ in range(10):
        product0, product1 = np.uint64(0xD2511F53) * x0, np.uint64(0xCD9E8D57) * x2
        x0, x1 = (product1 >> half) ^ x1 ^ np.uint64(key0), product1 & low
        x2, x3 = (product0 >> half) ^ x3 ^ np.uint64(key1), product0 & low
        key0, key1 = (key0 + 0x9E3779B9) % 2**32, (key1 + 0xBB67AE85) % 2**32
    return np.stack([x0, x1, x2, x3], axis=-1)


def philox(seed: int, purpose: int, layer: int, step: int, block: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Return four 32-bit words of the counted random numbers, for each number in `block`; (..., 4).

    (x0, x1, x2, x3) = philox(key = seed, counter = (block, step low, step high, purpose * 2^24 + layer))
    """
    return philox_words((block, step % 2**32, step >> 32, purpose << 24 | layer), (seed % 2**32, seed >> 32))


def philox_pair(seed: int, purpose: int, layer: int, step: int, block: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Return two 64-bit words of a block, the first word of each pair in the low half; (..., 2)."""
    words = philox(seed, purpose, layer, step, block)
    pairs: npt.NDArray[np.uint64] = words[..., 0::2] | words[..., 1::2] << np.uint64(32)
    return pairs


def unit_interval(word: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Return 53 bits of a 64-bit word as a double in [0, 1)."""
    unit: npt.NDArray[np.float64] = np.multiply(word >> np.uint64(11), 2.0**-53)
    return unit


def shuffled_order(n: int, seed: int, epoch: int) -> npt.NDArray[np.int32]:
    """Return the order of rows 0..n-1 in an epoch: Fisher and Yates, with counted draws.

    for i = n-1 .. 1:  j = floor(draw(n-1-i) * (i+1) / 2^64);  swap(order[i], order[j])
    """
    draws = philox_pair(seed, Purpose.SHUFFLE, 0, epoch, np.arange(n // 2)).reshape(-1).tolist()
    order = list(range(n))
    for i, draw in zip(range(n - 1, 0, -1), draws, strict=False):
        j = draw * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int32)


INITIALIZERS: dict[str, Callable[[float, int, int], float]] = {
    # The value of a constant, the bound of a uniform or the standard deviation of a normal distribution.
    "constant": lambda a, fan_in, fan_out: a,
    "uniform": lambda a, fan_in, fan_out: a,
    "normal": lambda a, fan_in, fan_out: a,
    "fan_in_uniform": lambda gain, fan_in, fan_out: math.sqrt(3 * (gain / fan_in)),  # He: gain 2
    "fan_in_normal": lambda gain, fan_in, fan_out: math.sqrt(gain / fan_in),
    "fan_avg_uniform": lambda gain, fan_in, fan_out: math.sqrt(3 * (gain / ((fan_in + fan_out) / 2))),  # Glorot: 1
    "fan_avg_normal": lambda gain, fan_in, fan_out: math.sqrt(gain / ((fan_in + fan_out) / 2)),
}


def initial_values(
    shape: tuple[int, ...], kind: str, a: float, fan_in: int, fan_out: int, *, seed: int, layer: int, parameter: int
) -> npt.NDArray[np.float64]:
    """Return how parameter number `parameter` (0 weight, 1 bias) of a layer starts, in float64.

    Words u0, u1 of block b make elements 2b and 2b+1. Uniform: bound * (2 u - 1). Normal (Box and Muller):
    deviation * sqrt(-2 log(1 - u0)) times cos(2 pi u1) and sin(2 pi u1).
    """
    size, n = _known("kind", kind, INITIALIZERS)(a, fan_in, fan_out), math.prod(shape)
    unit = unit_interval(philox_pair(seed, Purpose.INITIAL_WEIGHTS, layer, parameter, np.arange((n + 1) // 2)))
    if kind.endswith("normal"):
        radius, angle = np.sqrt(-2 * np.log(1 - unit[:, 0])), 2 * np.pi * unit[:, 1]
        values = size * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    else:
        values = np.full_like(unit, size) if kind == "constant" else size * (2 * unit - 1)
    return values.reshape(-1)[:n].reshape(shape)


# A training step ------------------------------------------------------------------------------------------------------


def dense_forward(x: Array, w: Array, b: Array, *, activation: str = "identity", parameter: float = 0.0) -> Array:
    """Return h (B, out) = g(x (B, in) W (in, out) + b (out))."""
    return matmul(x, w, bias=b, activation=activation, parameter=parameter)


def dense_backward(
    x: Array, w: Array, h: Array, dh: Array, *, activation: str = "identity", parameter: float = 0.0
) -> tuple[Array, Array, Array]:
    """Return (dx, dW, db) = (dz W^T, x^T dz, column sums of dz), with dz = dh * g'(z)."""
    dz = activation_backward(h, dh, activation=activation, parameter=parameter)
    return matmul(dz, w, transpose_b=True), matmul(x, dz, transpose_a=True), column_sum(dz)


class Mlp:
    """Dense layers with ReLU between them under softmax cross-entropy: NumPy at its best, for benchmarks to beat.

    All parameters lie in one flat array, all gradients in a second, so that an update is one pass; the outputs of the
    layers are written into arrays made once for each batch size. `numbers` are those of `update`.
    """

    def __init__(
        self, weights: Sequence[Array], biases: Sequence[Array], *, rule: str = "gradient_descent", **numbers: float
    ) -> None:
        """Copy weights (in, out) and biases (out), the first layer first."""
        _known("rule", rule, UPDATE_RULES)
        self.rule, self.numbers = rule, UpdateNumbers(**numbers)._asdict()
        shapes = [p.shape for layer in zip(weights, biases, strict=True) for p in layer]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        self.arena: Array = np.concatenate([p.ravel() for layer in zip(weights, biases, strict=True) for p in layer])
        self.gradients, self.state1, self.state2 = (np.zeros_like(self.arena) for _ in range(3))
        views, gradient_views = (
            [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
            for flat in (self.arena, self.gradients)
        )
        self.weights, self.biases = views[0::2], views[1::2]
        self.weight_gradients, self.bias_gradients = gradient_views[0::2], gradient_views[1::2]
        self._outputs: dict[int, list[Array]] = {}  # by batch size

    def forward(self, x: Array) -> list[Array]:
        """Return the outputs (B, out) of all layers for x (B, inputs), which the next pass of that B overwrites."""
        outputs = self._outputs.get(len(x))
        if outputs is None:
            outputs = self._outputs[len(x)] = [np.empty((len(x), len(b)), b.dtype) for b in self.biases]
        for w, b, z in zip(self.weights, self.biases, outputs, strict=True):
            np.matmul(x, w, out=z)
            z += b
            if z is not outputs[-1]:
                x = np.maximum(z, 0, out=z)
        return outputs

    def gradient(self, x: Array, labels: Labels) -> float:
        """Overwrite the gradients with those of the mean loss over rows x (B, inputs), labels (B); return that loss."""
        outputs, rows = [x, *self.forward(x)], np.arange(len(x))
        dz = outputs[-1]
        dz -= np.maximum.reduce(dz, axis=1, keepdims=True)
        label_logits = dz[rows, labels]
        np.exp(dz, out=dz)
        total = np.add.reduce(dz, axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - label_logits).sum() / len(x)
        dz /= total * len(x)
        dz[rows, labels] -= 1 / len(x)
        for layer in range(len(self.weights) - 1, -1, -1):
            np.matmul(outputs[layer].T, dz, out=self.weight_gradients[layer])
            np.add.reduce(dz, axis=0, out=self.bias_gradients[layer])
            if layer:
                dz = dz @ self.weights[layer].T
                dz *= outputs[layer] > 0
        return float(loss)

    def step(self, x: Array, labels: Labels) -> float:
        """Do one step on a batch x (B, inputs) of class numbers labels (B); return the mean loss before it."""
        loss = self.gradient(x, labels)
        if self.rule == "gradient_descent":
            self.gradients *= self.numbers["rate"]
            self.arena -= self.gradients
        else:
            self.arena[...], self.state1, self.state2 = update(
                self.arena, self.gradients, self.state1, self.state2, rule=self.rule, **self.numbers
            )
        return loss
