"""The random numbers of the engine against the specification: exactly equal, in either precision, on any team."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
from kernel_checks import SIZES, EveryTeam, epsilon, random
from numpy.testing import assert_array_equal

from chainrule import reference

SEEDS = [0, 1, 2**32, 2**64 - 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_philox(seed: int) -> None:
    from chainrule._engine import philox

    for purpose in reference.Purpose:
        for layer, step, block in [(0, 0, 0), (1, 2, 3), (2**24 - 1, 2**64 - 1, 2**32 - 1), (7, 2**32, 1)]:
            expected = reference.philox(seed, purpose, layer, step, block)
            assert philox(seed, int(purpose), layer, step, block) == tuple(expected.tolist())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 999, 10_000])
def test_shuffled_order(n: int, seed: int) -> None:
    from chainrule._engine import shuffled_order

    for epoch in (0, 1, 2**33):
        order = shuffled_order(n, seed, epoch)
        assert order.dtype == np.int32
        assert_array_equal(order, reference.shuffled_order(n, seed, epoch))


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.999, 1e-12])
def test_dropout(rate: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        x = random(rng, dtype, n)
        for stream in ({"seed": 0, "layer": 0, "step": 0}, {"seed": 2**64 - 1, "layer": 2**24 - 1, "step": 2**40}):
            assert_array_equal(kernels.dropout(x, rate=rate, **stream), reference.dropout(x, rate=rate, **stream))


def test_dropout_of_rows_counts_elements(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    x = random(rng, dtype, 7, 9)
    options = {"rate": 0.5, "seed": 3, "layer": 1, "step": 4}
    assert_array_equal(kernels.dropout(x, **options), reference.dropout(x, **options))
    assert_array_equal(kernels.dropout(x, **options).ravel(), kernels.dropout(x.ravel(), **options))


@pytest.mark.parametrize("kind", reference.INITIALIZERS)
def test_initial_weights(kind: str, engine: ModuleType, dtype: str) -> None:
    initializer, seed, widths = engine.Initializer(kind, 0.7), 2**40 + 5, (7, 9, 4)
    layers = [engine.Dense(units, "relu", 0.0, True, initializer, initializer) for units in widths[1:]]
    parameters = engine.Network(widths[0], layers, seed).parameters()
    for layer, fans in enumerate(pairwise(widths)):
        for number, (name, shape) in enumerate((("weight", fans), ("bias", fans[1:]))):
            expected = reference.initial_values(shape, kind, 0.7, *fans, seed=seed, layer=layer, parameter=number)
            # Logarithm, root, cosine and products, each within a unit or two of float64; then one rounding to dtype.
            # A cosine near 0 takes its error from the angle, up to 2 pi: hence of the largest value, not of each.
            bound = 20 * epsilon("float64") * abs(expected).max() + epsilon(dtype) / 2 * abs(expected)
            actual = parameters[f"{layer}.{name}"]
            assert actual.shape == shape
            assert (abs(actual - expected) <= bound).all()
            if not kind.endswith("normal"):
                assert_array_equal(actual, expected.astype(dtype))
