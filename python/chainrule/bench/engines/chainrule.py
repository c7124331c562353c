"""chainrule as its user calls it, `Trainer.fit` and `Network.predict`, and the product of its engine.

All that a call costs is in its time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import chainrule as cr
from chainrule.bench.workloads import (
    BETA1,
    BETA2,
    EPSILON,
    Array,
    Course,
    Factors,
    Query,
    Resident,
    Setting,
    Trainee,
    make_network,
)
from chainrule.engines import engine_of


def training(setting: Setting) -> Trainee:
    """Train a network by whole epochs."""
    reset, fit = _fits(setting, "cpu")
    return Trainee(reset, lambda epochs: list(fit(epochs, True)["loss"]))


def resident_training(setting: Setting, device: str, precision: str = "float32") -> Resident:
    """Train likewise on a device, where the data lie when an epoch begins: what is timed is the engine's epochs."""
    reset, fit = _fits(setting, device, precision)

    def run(epochs: int, shuffle: bool) -> Course:
        history = fit(epochs, shuffle)
        return Course(list(history["loss"]), sum(history["seconds"]))

    return Resident(reset, run)


def _fits(
    setting: Setting, device: str, precision: str = "float32"
) -> tuple[Callable[[], None], Callable[[int, bool], cr.History]]:
    """Return what goes back to the start, and what trains some epochs, shuffled or not, from there."""
    workload = setting.workload
    net = make_network(workload.widths, setting.dtype).to(device, precision=precision)
    start = dict(zip(net.parameters(), setting.start, strict=True))
    trainer: cr.Trainer

    def reset() -> None:
        nonlocal trainer
        net.load_state_dict(start)
        adam = setting.optimizer == "adam"
        optimizer = cr.Adam(setting.rate, beta1=BETA1, beta2=BETA2, eps=EPSILON) if adam else cr.SGD(setting.rate)
        loss = "cross_entropy" if setting.has_classes else "mean_squared_error"
        trainer = cr.Trainer(net, loss=loss, optimizer=optimizer)

    def fit(epochs: int, shuffle: bool) -> cr.History:
        size = workload.batch_size
        return trainer.fit(setting.X, setting.y, epochs=epochs, batch_size=size, shuffle=shuffle, verbose=False)

    return reset, fit


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
