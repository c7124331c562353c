"""Numba: a whole epoch in one compiled function, its products from BLAS (`np.dot` into arrays made once).

Everything else is loops over elements, which Numba's compiler vectorises; the numbers may be reordered (`fastmath`), as
whoever writes for speed would allow.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from chainrule.bench.workloads import BETA1, BETA2, EPSILON, Setting, Trainee, epoch_by_epoch


def _forward(weights: Any, biases: Any, outputs: Any) -> None:
    """Overwrite outputs[1:], each (B, out): h = max(x W + b, 0), but for the last layer."""
    for layer in range(len(weights)):
        h, bias = outputs[layer + 1], biases[layer]
        np.dot(outputs[layer], weights[layer], h)
        if layer < len(weights) - 1:
            for i in range(h.shape[0]):
                for j in range(h.shape[1]):
                    h[i, j] = max(h[i, j] + bias[j], 0)
        else:
            for i in range(h.shape[0]):
                for j in range(h.shape[1]):
                    h[i, j] += bias[j]


def _cross_entropy(z: Any, labels: Any, dz: Any) -> float:
    """Overwrite dz (B, K) with the gradient of the mean cross-entropy to z; return that mean."""
    total = 0.0
    for i in range(z.shape[0]):
        most = z[i].max()
        chosen = z[i, labels[i]] - most
        for j in range(z.shape[1]):
            dz[i, j] = np.exp(z[i, j] - most)
        whole = dz[i].sum()
        total += np.log(whole) - chosen
        factor = 1 / (whole * z.shape[0])
        for j in range(z.shape[1]):
            dz[i, j] *= factor
        dz[i, labels[i]] -= 1 / z.shape[0]
    return float(total / z.shape[0])


def _backward(weights: Any, outputs: Any, gradients: Any, weight_gradients: Any, bias_gradients: Any) -> None:
    """Overwrite the gradients of weights and biases; `gradients`, dz by layer, holds that of the last layer."""
    for layer in range(len(weights) - 1, -1, -1):
        dz, db = gradients[layer], bias_gradients[layer]
        np.dot(outputs[layer].T, dz, weight_gradients[layer])
        db[:] = 0
        for i in range(dz.shape[0]):
            for j in range(dz.shape[1]):
                db[j] += dz[i, j]
        if layer > 0:
            below, h = gradients[layer - 1], outputs[layer]
            np.dot(dz, weights[layer].T, below)
            for i in range(h.shape[0]):
                for j in range(h.shape[1]):
                    below[i, j] = below[i, j] if h[i, j] > 0 else 0


_compile = numba.njit(fastmath=True, error_model="numpy")
_run_forward, _run_cross_entropy, _run_backward = map(_compile, (_forward, _cross_entropy, _backward))


def _epoch(
    X: Any, y: Any, order: Any, weights: Any, biases: Any, outputs: Any, gradients: Any, weight_gradients: Any,
    bias_gradients: Any, labels: Any, w: Any, g: Any, update: Any, memory: Any,
) -> float:  # fmt: skip
    """Train an epoch on rows in the order (N); return the mean loss. w and g are all parameters and their gradients."""
    size = len(labels)
    steps = len(order) // size
    total = 0.0
    for step in range(steps):
        x = outputs[0]
        for i in range(size):
            row = order[step * size + i]
            x[i] = X[row]
            labels[i] = y[row]
        _run_forward(weights, biases, outputs)
        total += _run_cross_entropy(outputs[-1], labels, gradients[-1])
        _run_backward(weights, outputs, gradients, weight_gradients, bias_gradients)
        update(w, g, memory)
    return total / steps


def _descend(w: Any, g: Any, memory: Any) -> None:
    """Do w <- w - rate g, with memory = (rate,)."""
    rate = memory[0]
    for i in range(len(w)):
        w[i] -= rate * g[i]


def _adam(w: Any, g: Any, memory: Any) -> None:
    """Adam with memory = (rate, beta1, beta2, eps, t (1), m, v)."""
    rate, beta1, beta2, epsilon, t, m, v = memory
    t[0] += 1
    one = w.dtype.type(1)
    length = w.dtype.type(rate / (1 - BETA1 ** t[0]))
    correction = w.dtype.type(1 / (1 - BETA2 ** t[0]))
    for i in range(len(w)):
        m[i] = beta1 * m[i] + (one - beta1) * g[i]
        v[i] = beta2 * v[i] + (one - beta2) * g[i] * g[i]
        w[i] -= length * m[i] / (np.sqrt(v[i] * correction) + epsilon)


_run_epoch, _run_descend, _run_adam = map(_compile, (_epoch, _descend, _adam))


def _parts(flat: Any, shapes: list[tuple[int, ...]]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return views of a flat array: weights (in, out), and biases (out)."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    views = [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
    return tuple(views[0::2]), tuple(views[1::2])


def training(setting: Setting) -> Trainee:
    """Train epoch by epoch."""
    size, number = setting.workload.batch_size, np.dtype(setting.dtype).type
    shapes = [one.shape for one in setting.start]
    w = np.concatenate([one.ravel() for one in setting.start])
    g = np.zeros_like(w)
    weights, biases = _parts(w, shapes)
    weight_gradients, bias_gradients = _parts(g, shapes)
    outputs = tuple(np.zeros((size, width), setting.dtype) for width in setting.workload.widths)
    gradients = tuple(np.zeros_like(one) for one in outputs[1:])
    labels = np.zeros(size, np.int32)
    adam = setting.optimizer == "adam"
    memory: tuple[Any, ...] = (number(setting.rate),)
    if adam:
        states = (np.zeros(1), np.zeros_like(w), np.zeros_like(w))
        memory = (*memory, number(BETA1), number(BETA2), number(EPSILON), *states)
    update = _run_adam if adam else _run_descend

    def reset() -> None:
        for parameter, first in zip((*weights, *biases), (*setting.start[0::2], *setting.start[1::2]), strict=True):
            parameter[...] = first
        for one in memory:
            if isinstance(one, np.ndarray):
                one[...] = 0

    def epoch(order: npt.NDArray[np.int32]) -> float:
        loss: float = _run_epoch(
            setting.X, setting.y, order, weights, biases, outputs, gradients, weight_gradients, bias_gradients, labels,
            w, g, update, memory,
        )  # fmt: skip
        return loss

    return Trainee(reset, epoch_by_epoch(setting, epoch))
