"""Inputs that are not normalised: what a fit is warned of, with the column's figures by NumPy, and what it is not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule import scales
from chainrule.datasets import load_digits

COUNT = 300


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def warned(x, layers=(), dtype="float32", **options) -> list[str]:
    """Return the DataWarnings of a fit; other warnings are errors. They point at this file."""
    x = np.asarray(x)
    net = cr.Network([*layers, cr.Dense(2)], inputs=x.shape[1], dtype=dtype)
    trainer = cr.Trainer(net, loss="cross_entropy", optimizer=cr.SGD(1e-9))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", cr.DataWarning)
        trainer.fit(x, np.arange(len(x)) % 2, epochs=1, verbose=False, **options)
    assert all(one.filename == __file__ for one in caught)
    return [str(one.message) for one in caught]


def years(count: int = COUNT) -> np.ndarray:
    return np.column_stack([rng().normal(size=(count, 2)), rng(1).normal(1999, 9, size=count)])


def test_a_column_of_years_is_told_with_its_figures(dtype):
    x = years()
    (message,) = warned(x, dtype=dtype)
    mean, deviation = x[:, 2].mean(), x[:, 2].std()
    size = np.sqrt(np.mean(x * x))
    assert f"root mean square of its numbers is {size:.3g}" in message
    assert f"column 2 has mean {mean:.3g} and deviation {deviation:.3g}" in message
    assert "cr.split first" in message
    assert "Standardize()" in message


UNNORMALISED = {
    "digits from 0 to 255": (lambda: rng().integers(0, 256, (COUNT, 20)), "root mean square of its numbers is 1"),
    "one large column of many": (
        lambda: np.column_stack([rng().normal(size=(COUNT, 50)), np.full(COUNT, 500.0)]),
        "50",
    ),
    "yes or no as 0 and 100": (lambda: 100 * rng().integers(0, 2, (COUNT, 3)), "root mean square"),
    "few rows": (lambda: years(3), "column 2 has mean"),
    "a single row": (lambda: years(1), "column 2 has mean"),
    "a ten-thousandth beside ones": (
        lambda: rng().normal(size=(COUNT, 3)) * [1.0, 1e-4, 1.0],
        "its scales are mixed; column 1 has mean",
    ),
    "numbers far from 0": (
        lambda: rng().normal(size=(COUNT, 3)) * [1, 0.01, 1] + [0, 7, 0],
        "its numbers are far from 0; column 1 has mean 7 and deviation 0.009",
    ),
}


@pytest.mark.parametrize(("make", "words"), UNNORMALISED.values(), ids=UNNORMALISED.keys())
def test_what_is_not_normalised(make, words):
    (message,) = warned(make())
    assert message.startswith("X is not normalised: ")
    assert words in message


@pytest.mark.parametrize(("make", "words"), UNNORMALISED.values(), ids=UNNORMALISED.keys())
def test_standardised_it_is_not_warned_of(make, words):
    x = make().astype(float)
    deviation = x.std(axis=0)
    assert warned((x - x.mean(axis=0)) / np.where(deviation == 0, 1, deviation)) == []


@pytest.mark.parametrize(("make", "words"), UNNORMALISED.values(), ids=UNNORMALISED.keys())
def test_a_network_that_normalises_is_not_warned_of(make, words):
    x = make()
    if len(x) > 1:
        assert warned(x, [cr.BatchNorm()], batch_size=32) == []
        assert warned(x, [cr.Dropout(rate=0.1), cr.BatchNorm()], batch_size=32) == []
        assert len(warned(x, [cr.Dense(3), cr.BatchNorm()], batch_size=32)) == 1


def pictures(seed: int = 0) -> np.ndarray:
    """Return pictures of 8 x 8 from 0 to 1: white above and below, and a pixel that hardly ever shows anything."""
    light = np.clip(rng(seed).normal(0.5, 0.2, size=(COUNT, 8, 8)), 0, 1)
    light[:, 0] = light[:, -1] = 0.99 + 0.001 * rng(seed).random((COUNT, 8))
    light[:, 4, 4] = np.where(rng(seed).random(COUNT) < 0.01, 0.004, 0.0)
    return light.reshape(COUNT, 64)


FINE = {
    "standardised": lambda: rng().normal(size=(COUNT, 5)),
    "a deviation of 5": lambda: 5 * rng().normal(size=(COUNT, 5)),
    "pixels from 0 to 1": pictures,
    "pixels from -1 to 1": lambda: 2 * pictures() - 1,
    "pictures standardised together": lambda: (pictures() - pictures().mean()) / pictures().std(),
    "one-hot": lambda: np.eye(100)[rng().integers(0, 100, COUNT)],
    "one-hot and a column": lambda: np.column_stack([np.eye(9)[rng().integers(0, 9, COUNT)], rng().normal(size=COUNT)]),
    "nearly always yes": lambda: np.column_stack([rng().random(COUNT) < 0.997, rng().normal(size=COUNT)]),
    "rare words": lambda: rng().poisson(0.01 * np.arange(1, 41), (COUNT, 40)),
    "a constant column": lambda: np.column_stack([rng().normal(size=COUNT), np.full(COUNT, 3.0)]),
    "zeros": lambda: np.zeros((COUNT, 3)),
    "a constant and zeros": lambda: np.column_stack([np.zeros(COUNT), np.ones(COUNT)]),
    "xor": lambda: np.array([[0, 0], [0, 1], [1, 0], [1, 1]]),
    "xor of -1 and 1": lambda: np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]),
    "one row": lambda: rng().normal(size=(1, 4)),
    "digits from 0 to 16": lambda: load_digits()[0],
    "digits from -1 to 1": lambda: load_digits()[0] / 8 - 1,
    "a sine's x": lambda: np.linspace(-np.pi, np.pi, COUNT)[:, None],
    "powers of x": lambda: np.linspace(-1, 1, COUNT)[:, None] ** np.arange(1, 8),
}


@pytest.mark.parametrize("make", FINE.values(), ids=FINE.keys())
def test_what_is_fine_is_not_warned_of(make):
    assert warned(make()) == []


def test_only_rows_that_are_trained_on_are_judged():
    x = rng().normal(size=(COUNT, 3))
    far = years()
    labels = np.arange(COUNT) % 2
    net = cr.Network([cr.Dense(2)], inputs=3)
    trainer = cr.Trainer(net, loss="cross_entropy")
    trainer.fit(x, labels, epochs=1, verbose=False, validation_data=(far, labels))
    trainer.evaluate(far, labels)
    net.predict(far)


def test_large_sets_are_looked_at_in_part():
    x = rng().normal(size=(scales.ROWS * 20, 300)).astype(np.float32)
    assert warned(x, batch_size=1024) == []
    x[:, 7] = 1000
    assert len(warned(x, batch_size=1024)) == 1


def test_it_can_be_an_error_and_then_nothing_has_changed():
    net = cr.Network([cr.Dense(2)], inputs=3)
    trainer, before = cr.Trainer(net, loss="cross_entropy"), net.core.arena().copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error", cr.DataWarning)
        with pytest.raises(cr.DataWarning):
            trainer.fit(years(), np.arange(COUNT) % 2, epochs=1, verbose=False)
    assert np.array_equal(net.core.arena(), before)
    assert trainer.epochs_done == 0
