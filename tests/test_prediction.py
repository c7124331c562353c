"""Predictions and evaluations of many rows, which the engine walks in pieces and in slices of 50 ms."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import _engine

ROWS, INPUTS, CLASSES = 20_001, 64, 10  # 39 pieces of 512 rows and one of 33


def large(dtype: str) -> tuple[cr.Network, np.ndarray]:
    """Return a network and rows that need 12 * 10^9 floating-point operations: some slices, on any core of today."""
    # Layers that predict in another way than they train, and one that needs memory beside its output.
    layers = [cr.Dense(512, activation="relu"), cr.Dropout(rate=0.5, variant="classic"), cr.Maxout(256), cr.BatchNorm()]
    net = cr.Network([*layers, cr.Dense(CLASSES)], inputs=INPUTS, seed=0, dtype=dtype)
    X = np.random.default_rng(0).standard_normal((ROWS, INPUTS)).astype(dtype)
    net(X[:100])
    return net, X


@pytest.mark.usefixtures("restored_threads")
@pytest.mark.parametrize("threads", [1, 2])
def test_many_rows_are_predicted_as_few_are(dtype: str, threads: int) -> None:
    _engine.set_work_per_thread(1)
    cr.set_num_threads(threads)
    net, X = large(dtype)
    whole = net.predict(X)
    assert whole.shape == (ROWS, CLASSES)
    pieces = [net.predict(X[i : i + 300]) for i in range(0, ROWS, 300)]
    assert whole.tobytes() == np.concatenate(pieces).tobytes()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_evaluation_is_that_of_the_predictions(dtype: str, weighted: bool) -> None:
    net, X = large(dtype)
    rng = np.random.default_rng(1)
    y, weight = rng.integers(0, CLASSES, ROWS), rng.uniform(0, 2, ROWS).astype(dtype) if weighted else None
    trainer = cr.Trainer(net, loss="cross_entropy", metrics=["accuracy"])
    figures = trainer.evaluate(X, y, weight)

    z = np.concatenate([net.predict(X[i : i + 300]) for i in range(0, ROWS, 300)]).astype(np.float64)
    row_losses = np.logaddexp.reduce(z, axis=1) - z[np.arange(ROWS), y]
    loss = np.mean(row_losses if weight is None else row_losses * weight.astype(np.float64))
    # Row by row: z - max(z), exp, a sum of ten, log, a difference, the factor: below 20 roundings of numbers no greater
    # than max |z| + log 10. Rows are added in double precision.
    assert abs(figures["loss"] - loss) <= 20 * np.finfo(dtype).eps * (abs(z).max() + np.log(10))
    # A count over a count, and no weights.
    assert figures["accuracy"] == pytest.approx(np.mean(z.argmax(axis=1) == y), rel=1e-12)
