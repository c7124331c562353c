"""chainrule as its user calls it, `Trainer.fit` and `Network.predict`, and the product of its engine.

All that a call costs is in its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import chainrule as cr
from chainrule.bench.workloads import BETA1, BETA2, EPSILON, Array, Factors, Query, Setting, Trainee, make_network
from chainrule.engines import engine_of


def training(setting: Setting) -> Trainee:
    """Train a network by whole epochs."""
    workload = setting.workload
    net = make_network(workload.widths, setting.dtype)
    start = dict(zip(net.parameters(), setting.start, strict=True))
    trainer: cr.Trainer

    def reset() -> None:
        nonlocal trainer
        net.load_state_dict(start)
        adam = setting.optimizer == "adam"
        optimizer = cr.Adam(setting.rate, beta1=BETA1, beta2=BETA2, eps=EPSILON) if adam else cr.SGD(setting.rate)
        trainer = cr.Trainer(net, loss="cross_entropy", optimizer=optimizer)

    def run(epochs: int) -> Sequence[float]:
        history = trainer.fit(setting.X, setting.y, epochs=epochs, batch_size=workload.batch_size, verbose=False)
        return list(history["loss"])

    return Trainee(reset, run)


def prediction(query: Query, *, new_array: bool = False) -> Callable[[], Array]:
    """Predict into an array that is there, or into a new one each time."""
    net = make_network(query.widths, query.dtype)
    net.load_state_dict(dict(zip(net.parameters(), query.parameters, strict=True)))
    X, out = query.X, np.empty((len(query.X), query.widths[-1]), query.dtype)
    if new_array:
        return lambda: net.predict(X)
    return lambda: net.predict(X, out=out)


def set_threads(threads: int) -> None:
    """Do nothing: a product is told its threads."""


def product(factors: Factors) -> Callable[[], Array]:
    """Multiply with the kernel of the engine, called through its bindings."""
    a, b, out = factors.a, factors.b, factors.out
    transpose_a, transpose_b = factors.transposes
    kernels = engine_of(a.dtype).Kernels(threads=factors.threads)
    matmul: Callable[..., Array] = kernels.matmul
    return lambda: matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b, out=out)
