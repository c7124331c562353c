"""NumPy: `chainrule.reference.Mlp`, the step that a good NumPy programmer would write; all others must agree with it.

All parameters in one array, outputs preallocated, arithmetic in place. So is Adam here, which the specification writes
out with new arrays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from chainrule.bench.workloads import BETA1, BETA2, EPSILON, Array, Factors, Query, Setting, Trainee, epoch_by_epoch
from chainrule.reference import Mlp


class AdamInPlace:
    """Adam on a flat array.

    ::

        m <- beta1 m + (1 - beta1) g    v <- beta2 v + (1 - beta2) g^2
        w <- w - rate (m / c1) / (sqrt(v / c2) + eps),    c1 = 1 - beta1^t,  c2 = 1 - beta2^t
    """

    def __init__(self, w: Array, g: Array, rate: float) -> None:
        self.w, self.g, self.rate = w, g, rate
        self.m, self.v, self.scratch = (np.zeros_like(w) for _ in range(3))
        self.t = 0

    def reset(self) -> None:
        """Forget what was seen."""
        self.m[...] = self.v[...] = self.t = 0

    def step(self) -> None:
        """Move w by one step; g is overwritten."""
        self.t += 1
        correction1, correction2 = 1 - BETA1**self.t, 1 - BETA2**self.t
        m, v, g, scratch = self.m, self.v, self.g, self.scratch
        m *= BETA1
        np.multiply(g, 1 - BETA1, out=scratch)
        m += scratch
        v *= BETA2
        g *= g
        g *= 1 - BETA2
        v += g
        np.multiply(v, 1 / correction2, out=scratch)
        np.sqrt(scratch, out=scratch)
        scratch += EPSILON
        np.divide(m, scratch, out=scratch)
        scratch *= self.rate / correction1
        self.w -= scratch


def training(setting: Setting) -> Trainee:
    """Train step by step."""
    net = Mlp(setting.start[0::2], setting.start[1::2], rule="gradient_descent", rate=setting.rate)
    parameters = [one for layer in zip(net.weights, net.biases, strict=True) for one in layer]
    adam = AdamInPlace(net.arena, net.gradients, setting.rate) if setting.optimizer == "adam" else None
    size, X, y = setting.workload.batch_size, setting.X, setting.y

    def reset() -> None:
        for parameter, first in zip(parameters, setting.start, strict=True):
            parameter[...] = first
        if adam:
            adam.reset()

    def epoch(order: npt.NDArray[np.int32]) -> float:
        total = 0.0
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            if adam:
                total += net.gradient(X[rows], y[rows])
                adam.step()
            else:
                total += net.step(X[rows], y[rows])
        return total / setting.workload.steps

    return Trainee(reset, epoch_by_epoch(setting, epoch))


def prediction(query: Query) -> Callable[[], Array]:
    """Predict into arrays made once."""
    net = Mlp(query.parameters[0::2], query.parameters[1::2], rate=0.0)
    X = query.X
    return lambda: net.forward(X)[-1]


def set_threads(threads: int) -> None:
    """Let BLAS use so many threads from now on."""
    from threadpoolctl import threadpool_limits  # no run without it: see FURTHER_PACKAGES

    threadpool_limits(threads, user_api="blas")


def product(factors: Factors) -> Callable[[], Array]:
    """Multiply with its BLAS, which takes transposed factors as they lie."""
    a = factors.a.T if factors.transposes[0] else factors.a
    b = factors.b.T if factors.transposes[1] else factors.b
    out = factors.out
    return lambda: np.matmul(a, b, out=out)
