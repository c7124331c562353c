"""The random numbers of the engine against the specification: masks exactly equal, noise to within rounding."""

from __future__ import annotations

import math
from itertools import pairwise, product
from types import ModuleType

import numpy as np
import pytest
from kernel_checks import SIZES, EveryTeam, assert_within, epsilon, random
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
@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 63, 64, 65, 999, 9_900, 10_000])
def test_shuffled_order(n: int, seed: int, kernels: EveryTeam) -> None:
    from chainrule._engine import shuffled_order

    for epoch in (0, 1, 2**33):
        expected = reference.shuffled_order(n, seed, epoch)
        for order in (kernels.shuffled_order(n, seed, epoch), shuffled_order(n, seed, epoch)):
            assert order.dtype == np.int32
            assert_array_equal(order, expected)


@pytest.mark.parametrize(("n", "each"), [(2, 200), (3, 200), (4, 200), (5, 200), (6, 200), (7, 30)])
def test_all_orders_are_equally_likely(n: int, each: int) -> None:
    from chainrule._engine import shuffled_order

    orders = np.array([shuffled_order(n, 0, epoch) for epoch in range(each * math.factorial(n))])
    counts = np.unique(orders @ n ** np.arange(n), return_counts=True)[1]
    # Chi squared of k - 1 degrees of freedom: mean k - 1, variance 2 (k - 1). The seed is fixed.
    freedom = math.factorial(n) - 1
    squares = float(((counts - each) ** 2 / each).sum()) + each * (freedom + 1 - len(counts))
    assert abs(squares - freedom) < 4 * math.sqrt(2 * freedom)


def test_rows_that_32_bits_do_not_count_are_not_shuffled(kernels: EveryTeam) -> None:
    with pytest.raises(ValueError, match="n must be 0 to 2"):
        kernels.shuffled_order(2**31, 0, 0)


STREAMS = ({"seed": 0, "layer": 0, "step": 0}, {"seed": 2**64 - 1, "layer": 2**24 - 1, "step": 2**40})

# (B, d): rows that begin within a block of four words, that fill batches of 64, that are longer than one.
SHAPES = [(0, 3), (3, 0), (1, 1), (7, 9), (2, 64), (33, 16), (5, 65), (4, 301), (130, 10)]


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.999, 1e-12])
def test_dropout(rate: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        x = random(rng, dtype, n)
        for stream in STREAMS:
            options = {"rate": rate, "scale": 1 / (1 - rate)} | stream
            assert_array_equal(kernels.dropout(x, **options), reference.dropout(x, **options))


@pytest.mark.parametrize("shape", SHAPES)
def test_dropout_of_rows(shape: tuple[int, int], kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    x, columns = random(rng, dtype, *shape), shape[1]
    x[rng.random(shape) < 0.05] = np.inf  # what is dropped is 0, whatever it was
    for same in (False, True):
        masks = [{"rate": 0.4}, *({"count": count} for count in {0, 1, columns // 2, columns} if count <= columns)]
        for stream, mask in product(STREAMS, masks):
            options = {"same": same, "scale": 1.25} | mask | stream
            y = kernels.dropout(x, **options)
            assert_array_equal(y, reference.dropout(x, **options), err_msg=f"{options}")
            if "count" in mask:
                assert_array_equal((y == 0).sum(axis=1), np.full(len(x), mask["count"]))
            if same and len(x):
                assert_array_equal(y == 0, np.broadcast_to(y[0] == 0, shape))


def test_dropout_of_rows_counts_elements(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    x = random(rng, dtype, 7, 9)
    options = {"rate": 0.5, "scale": 2.0, "seed": 3, "layer": 1, "step": 4}
    assert_array_equal(kernels.dropout(x, **options).ravel(), kernels.dropout(x.ravel(), **options))


def test_dropout_refuses_what_it_cannot_drop(kernels: EveryTeam, dtype: str) -> None:
    x, team, stream = np.ones((2, 5), dtype), kernels.teams[0], STREAMS[0]
    for count in (-2, 6):
        with pytest.raises(ValueError, match="count must be -1 to 5"):
            team.dropout(x, count=count, scale=1.0, **stream)
    for rate in (-0.1, 1.0, np.nan):
        with pytest.raises(ValueError, match="rate must be at least 0 and below 1"):
            team.dropout(x, rate=rate, scale=1.0, **stream)


@pytest.mark.parametrize("deviation", [0.0, 1.0, 0.3])
def test_add_noise(deviation: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        x = random(rng, dtype, n)
        for stream in STREAMS:
            exact = reference.add_noise(x.astype(float), deviation=deviation, **stream)
            # The rounding of the sum, here and in NumPy. A normal number is at most sqrt(-2 log 2^-33) = 6.8: its root
            # is wrong by a relative 2 EPS, its cosine by 1.2 EPS of 1 (csrc/cpu/vector_math.h), two products.
            bound = epsilon(dtype) * abs(exact) + 2 * epsilon("float64") * 6.8 * 5 * deviation
            assert_within(kernels.add_noise(x, deviation=deviation, **stream), exact, bound, message=f"{n} elements")


def test_add_noise_counts_elements(kernels: EveryTeam, dtype: str) -> None:
    options = {"deviation": 1.0, "seed": 3, "layer": 1, "step": 4}
    longer = kernels.add_noise(np.zeros(1000, dtype), **options)
    for n in (1, 63, 65, 500):
        assert_array_equal(kernels.add_noise(np.zeros(n, dtype), **options), longer[:n])
    assert_array_equal(kernels.add_noise(np.zeros((20, 50), dtype), **options).ravel(), longer)


def test_noise_is_the_same_in_both_precisions(isa: str) -> None:
    from chainrule import _engine

    options = {"deviation": 0.5, "seed": 3, "layer": 1, "step": 4}
    single, double = (
        getattr(_engine, dtype).Kernels(isa=isa).add_noise(np.zeros(999, dtype), **options)
        for dtype in ("float32", "float64")
    )
    assert_array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize("kind", reference.INITIALIZERS)
def test_initial_weights(kind: str, engine: ModuleType, dtype: str) -> None:
    initializer, seed, widths = engine.Initializer(kind, 0.7), 2**40 + 5, (7, 9, 4)
    layers = [engine.Dense(units, "relu", 0.0, True, initializer, initializer, None, None) for units in widths[1:]]
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
