"""The training step that a good NumPy programmer would write for a stack of dense layers.

The baseline of tests and benchmarks; no network of the package runs on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule.reference.columns import column_sum
from chainrule.reference.common import Array, Labels, known
from chainrule.reference.elementwise import activation_backward, matmul
from chainrule.reference.updates import UPDATE_RULES, UpdateNumbers, update


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
        known("rule", rule, UPDATE_RULES)
        self.rule, self.numbers = rule, UpdateNumbers(**numbers)._asdict()
        shapes = [p.shape for layer in zip(weights, biases, strict=True) for p in layer]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        self.arena: Array = np.concatenate([p.ravel() for layer in zip(weights, biases, strict=True) for p in layer])
        self.gradients, *self.states = (np.zeros_like(self.arena) for _ in range(4))
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
            self.arena[...], *self.states = update(
                self.arena, self.gradients, *self.states, rule=self.rule, **self.numbers
            )
        return loss
