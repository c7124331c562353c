"""Networks learn: real data, the accuracy that a network of this size is known to reach, several seeds.

The floors stand below what an independent loop in NumPy reaches with the same layers (98.3 % on the digits, the mean of
thirty splits), by more than the spread of the test parts.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from problems import built, subclasses

import chainrule as cr
from chainrule.datasets import load_digits, load_idx

Array = np.ndarray


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array]:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    return load_digits()


def parts(X: Array, seed: int) -> tuple[Array, Array, Array]:
    """Return the standardised pictures, and the rows of four fifths to train and of one fifth to test.

    NumPy shuffles and scales here, and not chainrule; the figures are those of the rows to train on.
    """
    order = np.random.default_rng(seed).permutation(len(X))
    test, training = np.split(order, [len(X) // 5])
    return (X - X[training].mean()) / X[training].std(), training, test


def test_digits(digits: tuple[Array, Array]) -> None:
    """97.5 % of the test digits within 30 epochs: over eight splits together, 2,872 rows.

    One test part of 359 rows alone has a standard deviation of sqrt(0.98 * 0.02 / 359) = 0.7 % from the choice of its
    rows; over eight it is 0.26 %.
    """
    pictures, y = digits
    accuracies = []
    for seed in range(8):
        X, training, test = parts(pictures, seed)
        net = cr.Network([cr.Dense(256, activation="relu"), cr.Dropout(rate=0.5), cr.Dense(10)], inputs=64, seed=seed)
        trainer = cr.Trainer(net, loss="cross_entropy", optimizer=cr.Adam(lr=0.003), metrics=["accuracy"])
        history = trainer.fit(
            X[training],
            y[training],
            epochs=30,
            validation_split=0.15,
            callbacks=[cr.EarlyStopping(patience=8)],
            verbose=False,
        )
        assert history.epochs <= 30
        # Judged by hand, from the outputs, and not by the metric.
        accuracies.append(np.mean(net.predict(X[test]).argmax(axis=1) == y[test]))
    assert np.mean(accuracies) >= 0.975, accuracies
    assert min(accuracies) >= 0.95, accuracies


def accuracy_on_digits(
    digits: tuple[Array, Array], layers: list[cr.Layer], optimizer: str | cr.Optimizer, **options: int
) -> float:
    """Return the share of test digits that are read right after training."""
    pictures, y = digits
    X, training, test = parts(pictures, 0)
    net = cr.Network([*layers, cr.Dense(10)], inputs=64, seed=0)
    trainer = cr.Trainer(net, loss="cross_entropy", optimizer=optimizer)
    trainer.fit(X[training], y[training], **{"epochs": 15, **options}, verbose=False)
    return float(np.mean(net.predict(X[test]).argmax(axis=1) == y[test]))


# Far above the 10 % of guessing, and above the 90 % that are a sign of a wrong gradient in a layer.
LEARNED = 0.92
RATES = {"SGD": 0.1, "Momentum": 0.02}  # of those whose defaults are for no problem in particular


@pytest.mark.parametrize("optimizer", [cr.SGD(lr=0.1), cr.Momentum(lr=0.02), cr.Adam()], ids=lambda one: one.word)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "elu"])
def test_digits_with_every_activation(digits: tuple[Array, Array], optimizer: cr.Optimizer, activation: str) -> None:
    assert accuracy_on_digits(digits, [cr.Dense(64, activation=activation)], optimizer) >= LEARNED


@pytest.mark.parametrize("kind", subclasses(cr.Optimizer), ids=lambda kind: kind.__name__)
def test_digits_with_every_optimizer(digits: tuple[Array, Array], kind: type[cr.Optimizer]) -> None:
    optimizer = kind(lr=RATES[kind.__name__]) if kind.__name__ in RATES else kind()
    # Rprop goes by the signs of gradients, which must be those of all rows.
    options = {"epochs": 100, "batch_size": 2000} if kind is cr.Rprop else {}
    assert accuracy_on_digits(digits, [cr.Dense(64, activation="relu")], optimizer, **options) >= LEARNED


@pytest.mark.parametrize("kind", subclasses(cr.Layer), ids=lambda kind: kind.__name__)
def test_digits_with_every_layer(digits: tuple[Array, Array], kind: type[cr.Layer]) -> None:
    units = {"units": 64} if "units" in {field.name for field in dataclasses.fields(kind)} else {}
    assert accuracy_on_digits(digits, [cr.Dense(64, activation="relu"), built(kind, **units)], "adam") >= LEARNED


def test_mnist(data_folder: Path) -> None:
    """96 % of the last 2,000 of the 10,000, after training on the first 8,000."""
    X_train, y_train, X_test, y_test = load_idx(data_folder)
    mean, scale = X_train.mean(), X_train.std()
    net = cr.Network([cr.Dense(256, activation="relu"), cr.Dropout(rate=0.3), cr.Dense(10)], inputs=784, seed=0)
    trainer = cr.Trainer(net, loss="cross_entropy", optimizer=cr.Adam(), metrics=["accuracy"])
    trainer.fit((X_train - mean) / scale, y_train, epochs=15, batch_size=64, verbose=False)
    predicted = net.predict((X_test - mean) / scale).argmax(axis=1)
    accuracy = np.mean(predicted == y_test)
    assert accuracy >= 0.96
    # The metric agrees with the count, up to the rounding of one division.
    assert abs(trainer.evaluate((X_test - mean) / scale, y_test)["accuracy"] - accuracy) < 1e-9


def test_a_line_is_found_exactly(dtype: str) -> None:
    """Linear regression without noise ends at the line itself: y = 2 x1 - 3 x2 + 1."""
    X = np.random.default_rng(0).normal(size=(64, 2))
    net = cr.Network([cr.Dense(1)], inputs=2, seed=0, dtype=dtype)
    cr.Trainer(net, loss="mean_squared_error", optimizer=cr.SGD(lr=0.2)).fit(
        X, X @ [2.0, -3.0] + 1, epochs=100, batch_size=64, verbose=False
    )
    weights = net.parameters()
    # Each epoch shrinks the error at least by |1 - 2 lr lambda| < 0.8 (lambda, the eigenvalues of X'X / N, lie about
    # 1): a hundred make 2e-10. Then the rounding of gradients of size 5 eps remains, a few of them at a fixed point.
    tolerance = max(1e-8, 32 * float(np.finfo(dtype).eps))
    assert np.abs(weights["0.weight"][:, 0] - [2, -3]).max() < tolerance
    assert abs(weights["0.bias"][0] - 1) < tolerance
