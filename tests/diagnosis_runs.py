"""Runs of training that are made to go wrong in a known way, and runs that go well: what a diagnosis is judged by.

Each is real training of a tiny network. What is wrong with a run follows from how it was made, never from what the
diagnosis says of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import chainrule as cr

HIGH, LOW, OVER, UNDER = "learning rate too high", "learning rate too low", "overfitting", "underfitting"
CLASSES, BINARY = "cross_entropy", "binary_cross_entropy"

Array = npt.NDArray[Any]
Rows = tuple[Array, Array]


class Run(NamedTuple):
    """A run, and what is known of it."""

    trainer: cr.Trainer
    training: Rows
    validation: Rows | None = None

    @property
    def history(self) -> cr.History:
        return self.trainer.history

    def diagnose(self, **options: Any) -> cr.Diagnosis:
        """Diagnose with all that there is."""
        X, y = self.training
        known = {} if self.validation is None else {"validation": self.validation}
        return cr.diagnose(self.history, trainer=self.trainer, X=X, y=y, **known, **options)


def fitted(
    layers: Sequence[cr.Layer],
    training: Rows,
    validation: Rows | None = None,
    *,
    loss: str | cr.Loss,
    optimizer: str | cr.Optimizer = "adam",
    epochs: int,
    batch_size: int = 32,
    callbacks: Sequence[cr.Callback] = (),
    metrics: Sequence[str] = (),
    penalty: cr.Penalty | None = None,
    seed: int = 0,
    validation_freq: int = 1,
) -> Run:
    """Train a network; a divergence is what some runs are made for."""
    net = cr.Network(layers, inputs=training[0].shape[1], seed=seed)
    trainer = cr.Trainer(net, loss=loss, optimizer=optimizer, metrics=metrics, penalty=penalty)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cr.DivergenceWarning)
        trainer.fit(
            *training,
            validation_data=validation,
            validation_freq=validation_freq,
            epochs=epochs,
            batch_size=batch_size,
            callbacks=callbacks,
            verbose=False,
        )
    return Run(trainer, training, validation)


# ---------------------------------------------------------------------------------------------------------------- Data


def blobs(rows: int, seed: int, classes: int = 3, spread: float = 0.6, inputs: int = 2, noise: float = 0.0) -> Rows:
    """Return clouds around the same centres for each seed; `noise` is the share of labels that are drawn at random."""
    centres = np.random.default_rng(0).normal(size=(classes, inputs)) * 2
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    X = centres[y] + spread * rng.normal(size=(rows, inputs))
    return X, np.where(rng.random(rows) < noise, rng.integers(classes, size=rows), y)


def circles(rows: int, seed: int, noise: float = 0.1) -> Rows:
    """Return two rings, one in the other: no line tells them apart. Targets 0 and 1."""
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 2
    angle = rng.uniform(0, 2 * np.pi, rows)
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1.0 + y)[:, None] + noise * rng.normal(size=(rows, 2))
    return X, y


def sines(rows: int, seed: int, noise: float = 0.1, inputs: int = 1) -> Rows:
    """Return x (rows, inputs) and a sine of its first column with noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.7, 1.7, size=(rows, inputs))
    return X, np.sin(2 * X[:, 0]) + noise * rng.normal(size=rows)


def noisy_line(rows: int, seed: int, inputs: int = 20, noise: float = 1.0) -> Rows:
    """Return many inputs of which one matters, and much noise: easily learned by heart."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, inputs))
    return X, X[:, 0] + noise * rng.normal(size=rows)


def dense(*units: int, activation: str = "relu", **options: Any) -> list[cr.Layer]:
    """Return hidden layers and a linear last one."""
    return [*(cr.Dense(n, activation=activation, **options) for n in units[:-1]), cr.Dense(units[-1])]


# ------------------------------------------------------------------------------------------------- Runs that go wrong


def overfits_classes() -> Run:
    data = blobs(40, 1, noise=0.3, inputs=6), blobs(200, 2, noise=0.3, inputs=6)
    return fitted(dense(64, 3), *data, loss=CLASSES, optimizer=cr.Adam(0.01), epochs=60)


def overfits_numbers() -> Run:
    return fitted(dense(64, 1), noisy_line(40, 1), noisy_line(200, 2), loss="mse", optimizer=cr.Adam(0.01), epochs=80)


def overfits_binary_sum() -> Run:
    data = blobs(40, 1, classes=2, noise=0.4, inputs=8), blobs(200, 2, classes=2, noise=0.4, inputs=8)
    loss = cr.BinaryCrossEntropy(reduction="sum")
    return fitted(dense(64, 1), *data, loss=loss, optimizer=cr.Adam(0.01), epochs=60)


def overfits_with_accuracy() -> Run:
    data = blobs(60, 3, noise=0.3, inputs=10), blobs(300, 4, noise=0.3, inputs=10)
    return fitted(dense(64, 3), *data, loss=CLASSES, optimizer=cr.Adam(0.01), epochs=25, metrics=["accuracy"])


def underfits_a_ring_by_a_line() -> Run:
    return fitted(dense(1), circles(300, 1), circles(100, 2), loss=BINARY, optimizer=cr.SGD(0.5), epochs=30)


def underfits_a_sine_by_too_much_decay() -> Run:
    options: Any = {"loss": "mse", "optimizer": cr.Adam(0.01), "penalty": cr.L2(3.0), "epochs": 40}
    return fitted(dense(16, 1, activation="tanh"), sines(300, 1), sines(100, 2), **options)


def ends_too_early() -> Run:
    return fitted(dense(16, 3), blobs(300, 1), blobs(100, 2), loss=CLASSES, optimizer=cr.SGD(0.007), epochs=8)


def ends_too_early_numbers() -> Run:
    return fitted(
        dense(1),
        noisy_line(200, 1, 8),
        noisy_line(100, 2, 8),
        loss="mse",
        optimizer=cr.Adam(0.002),
        epochs=24,
        batch_size=16,
    )


def diverges() -> Run:
    return fitted(dense(16, 1), noisy_line(200, 1), noisy_line(100, 2), loss="mse", optimizer=cr.SGD(5.0), epochs=10)


def diverges_by_raw_inputs() -> Run:
    X, y = noisy_line(200, 1)
    return fitted(dense(16, 1), (X * 300, y * 100), loss="mse", optimizer=cr.SGD(0.1), epochs=10)


def oscillates() -> Run:
    return fitted(
        dense(1),
        noisy_line(200, 1, 8),
        noisy_line(60, 2, 8),
        loss="mse",
        optimizer=cr.SGD(0.3),
        epochs=24,
        batch_size=16,
    )


def oscillates_classes() -> Run:
    layers = dense(16, 16, 3, activation=cr.LeakyReLU(slope=0.1))
    return fitted(
        layers, blobs(200, 1), blobs(100, 2), loss=CLASSES, optimizer=cr.Momentum(0.4), epochs=25, batch_size=16
    )


def crawls() -> Run:
    return fitted(dense(16, 3), blobs(300, 1), blobs(100, 2), loss=CLASSES, optimizer=cr.SGD(1e-4), epochs=20)


def crawls_numbers_by_adam() -> Run:
    return fitted(dense(16, 1), sines(200, 1), sines(50, 2), loss="mse", optimizer=cr.Adam(1e-6), epochs=15)


def saturates_by_raw_inputs() -> Run:
    X, y = blobs(300, 1, inputs=4)
    return fitted(dense(16, 3, activation="tanh"), (X * 100 + 300, y), loss=CLASSES, optimizer=cr.SGD(0.01), epochs=15)


def saturates_by_large_weights() -> Run:
    layers = dense(16, 16, 1, activation="sigmoid", weight_init=cr.Normal(30.0))
    return fitted(layers, circles(300, 1), circles(100, 2), loss=BINARY, optimizer=cr.SGD(0.01), epochs=15)


def dies_by_its_biases() -> Run:
    layers = dense(16, 3, bias_init=cr.Constant(-20.0))
    return fitted(layers, blobs(300, 1), blobs(100, 2), loss=CLASSES, optimizer=cr.SGD(0.1), epochs=15)


def dies_by_its_start() -> Run:
    """Return a run on inputs that are at least 0, whose first layer has no weight above 0."""
    (X, y), (X_val, y_val) = blobs(300, 1), blobs(100, 2)
    layers = dense(16, 3, weight_init=cr.Constant(-0.3))
    return fitted(layers, (abs(X), y), (abs(X_val), y_val), loss=CLASSES, optimizer=cr.SGD(0.1), epochs=15)


def vanishes() -> Run:
    layers = dense(*[12] * 7, 2, activation="sigmoid")
    return fitted(layers, circles(300, 1), circles(100, 2), loss=CLASSES, optimizer=cr.SGD(0.1), epochs=15)


def vanishes_by_small_weights() -> Run:
    layers = dense(*[12] * 5, 1, activation="tanh", weight_init=cr.Normal(0.03))
    return fitted(layers, sines(300, 1), sines(100, 2), loss="mse", optimizer=cr.SGD(0.1), epochs=15)


def explodes() -> Run:
    layers = dense(*[32] * 6, 1, weight_init=cr.Normal(1.0))
    return fitted(layers, noisy_line(200, 1), noisy_line(100, 2), loss="mse", optimizer=cr.SGD(0.01), epochs=10)


# --------------------------------------------------------------------------------------------------- Runs that go well


def well_classes() -> Run:
    return fitted(
        dense(16, 3),
        blobs(300, 1),
        blobs(100, 2),
        loss=CLASSES,
        optimizer=cr.Adam(0.01),
        epochs=30,
        metrics=["accuracy"],
    )


def well_binary() -> Run:
    return fitted(
        dense(16, 1),
        circles(300, 1),
        circles(100, 2),
        loss=BINARY,
        optimizer=cr.Adam(0.01),
        epochs=50,
        metrics=["accuracy"],
    )


def well_numbers() -> Run:
    return fitted(
        dense(16, 1, activation="tanh"), sines(300, 1), sines(100, 2), loss="mse", optimizer=cr.Adam(0.02), epochs=60
    )


def well_sum() -> Run:
    loss = cr.MeanSquaredError(reduction="sum", half=True)
    return fitted(
        dense(16, 1, activation="tanh"), sines(300, 1), sines(60, 2), loss=loss, optimizer=cr.Adam(0.02), epochs=60
    )


def well_stopped_early() -> Run:
    data = blobs(60, 1, noise=0.1), blobs(200, 2, noise=0.1)
    return fitted(
        dense(32, 3),
        *data,
        loss=CLASSES,
        optimizer=cr.Adam(0.01),
        epochs=200,
        callbacks=[cr.EarlyStopping(patience=8)],
    )


def well_few_epochs() -> Run:
    return fitted(
        dense(16, 3),
        blobs(600, 1),
        blobs(100, 2),
        loss=CLASSES,
        optimizer=cr.Adam(0.02),
        epochs=6,
        batch_size=8,
    )


def well_dropout() -> Run:
    layers: list[cr.Layer] = [cr.Dense(32, activation="relu"), cr.Dropout(rate=0.4), cr.Dense(3)]
    return fitted(layers, blobs(300, 1), blobs(100, 2), loss=CLASSES, optimizer=cr.Adam(0.01), epochs=30)


def well_small_validation() -> Run:
    return fitted(
        dense(8, 3),
        blobs(200, 1, spread=1.0),
        blobs(15, 2, spread=1.0),
        loss=CLASSES,
        optimizer=cr.Adam(0.01),
        epochs=25,
        metrics=["accuracy"],
    )


def well_linear() -> Run:
    return fitted(dense(1), noisy_line(300, 1, 5), noisy_line(100, 2, 5), loss="mse", optimizer=cr.SGD(0.02), epochs=20)


def well_deep() -> Run:
    return fitted(
        dense(16, 16, 16, 16, 1),
        circles(300, 1),
        circles(100, 2),
        loss=BINARY,
        optimizer=cr.Adam(0.003),
        epochs=40,
    )


def well_momentum_huber() -> Run:
    return fitted(dense(16, 1), sines(300, 1), sines(100, 2), loss="huber", optimizer=cr.Momentum(0.05), epochs=40)


def well_batch_norm() -> Run:
    layers: list[cr.Layer] = [cr.Dense(16), cr.BatchNorm(), cr.Activation("relu"), cr.Dense(3)]
    return fitted(layers, blobs(300, 1), blobs(100, 2), loss=CLASSES, optimizer=cr.SGD(0.1), epochs=20)


def well_single_rows() -> Run:
    return fitted(dense(3), blobs(120, 1), blobs(60, 2), loss=CLASSES, optimizer=cr.SGD(0.05), epochs=25, batch_size=1)


def well_without_validation() -> Run:
    return fitted(dense(16, 3), blobs(300, 1), loss=CLASSES, optimizer=cr.Adam(0.01), epochs=25)


# ------------------------------------------------------------- Runs for the four questions, with parts of their own


class Parts(NamedTuple):
    """A run, its other parts, and the accuracy that is acceptable."""

    run: Run
    parts: dict[str, Rows]
    target: float


def shifted(data: Rows) -> Rows:
    """Return the rows somewhere else."""
    return data[0] + np.array([2.0, -1.5]), data[1]


def shows_bias() -> Parts:
    run = fitted(dense(1), circles(300, 1), loss=BINARY, optimizer=cr.SGD(0.5), epochs=15, metrics=["accuracy"])
    return Parts(run, {"training_dev": circles(200, 2), "validation": circles(200, 3), "test": circles(200, 4)}, 0.9)


def shows_variance() -> Parts:
    data = [blobs(rows, seed, noise=0.3, inputs=6) for rows, seed in ((40, 1), (200, 2), (200, 3))]
    run = fitted(dense(64, 3), data[0], loss=CLASSES, optimizer=cr.Adam(0.01), epochs=60, metrics=["accuracy"])
    return Parts(run, {"training_dev": data[1], "validation": data[2]}, 0.9)


def shows_mismatch() -> Parts:
    validation = shifted(blobs(200, 2))
    options: Any = {"loss": CLASSES, "optimizer": cr.Adam(0.01), "epochs": 30, "metrics": ["accuracy"]}
    run = fitted(dense(16, 3), blobs(300, 1), validation, **options)
    return Parts(run, {"training_dev": blobs(200, 5), "validation": validation, "test": shifted(blobs(200, 6))}, 0.8)


def overfits_the_validation_set() -> Parts:
    """Return the best of many networks on 20 rows, where there is nothing to learn: the best of many guesses."""

    def guesses(rows: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        return rng.normal(size=(rows, 10)), rng.integers(2, size=rows)

    options: Any = {"loss": BINARY, "optimizer": cr.Adam(0.05), "epochs": 25, "metrics": ["accuracy"]}
    runs = [fitted(dense(12, 1), guesses(30, 100 + seed), seed=seed, **options) for seed in range(80)]
    validation, test = guesses(20, 7), guesses(400, 8)
    best = max(runs, key=lambda run: run.trainer.evaluate(*validation)["accuracy"])
    return Parts(best, {"validation": validation, "test": test}, 0.7)


def meets_its_target() -> Parts:
    options: Any = {"loss": CLASSES, "optimizer": cr.Adam(0.01), "epochs": 30, "metrics": ["accuracy"]}
    run = fitted(dense(16, 3), blobs(300, 1), blobs(100, 2), **options)
    return Parts(run, {"training_dev": blobs(40, 3), "validation": blobs(40, 4), "test": blobs(40, 5)}, 0.75)


# What is wrong, as it was made; and what of that the history alone shows.
RUNS: dict[Callable[[], Run], tuple[set[str], set[str]]] = {
    overfits_classes: ({OVER}, {OVER}),
    overfits_numbers: ({OVER}, set()),
    overfits_binary_sum: ({OVER}, {OVER}),
    overfits_with_accuracy: ({OVER}, set()),
    underfits_a_ring_by_a_line: ({UNDER}, set()),
    underfits_a_sine_by_too_much_decay: ({UNDER}, set()),
    ends_too_early: ({UNDER}, {UNDER}),
    ends_too_early_numbers: ({UNDER}, {UNDER}),
    diverges: ({HIGH}, {HIGH}),
    diverges_by_raw_inputs: ({HIGH}, {HIGH}),
    oscillates: ({HIGH}, {HIGH}),
    oscillates_classes: ({HIGH}, {HIGH}),
    crawls: ({LOW}, {LOW}),
    crawls_numbers_by_adam: ({LOW}, {LOW}),
    saturates_by_raw_inputs: ({"saturated units"}, set()),
    # Where hardly anything moves, curves do not show why.
    saturates_by_large_weights: ({"saturated units"}, {LOW}),
    dies_by_its_biases: ({"dead units"}, {UNDER}),
    dies_by_its_start: ({"dead units"}, {UNDER}),
    vanishes: ({"vanishing gradients"}, {UNDER}),
    vanishes_by_small_weights: ({"vanishing gradients"}, {UNDER}),
    explodes: ({HIGH, "exploding gradients"}, {HIGH}),
    well_classes: (set(), set()),
    well_binary: (set(), set()),
    well_numbers: (set(), set()),
    well_sum: (set(), set()),
    well_stopped_early: (set(), set()),
    well_few_epochs: (set(), set()),
    well_dropout: (set(), set()),
    well_small_validation: (set(), set()),
    well_linear: (set(), set()),
    well_deep: (set(), set()),
    well_momentum_huber: (set(), set()),
    well_batch_norm: (set(), set()),
    well_single_rows: (set(), set()),
    well_without_validation: (set(), set()),
}
QUESTIONS: dict[Callable[[], Parts], set[str]] = {
    shows_bias: {UNDER, "bias"},
    shows_variance: {"variance"},
    shows_mismatch: {"train-test mismatch"},
    overfits_the_validation_set: {"overfitted validation set"},
    meets_its_target: set(),
}
