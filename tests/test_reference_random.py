"""The specification's random numbers, judged by published vectors and by counts within their standard errors.

The seeds are fixed: a test here passes always or never. The engine is not used.
"""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from chainrule import reference

EPS = np.finfo(np.float64).eps

# Words and orders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        # The known answers for philox4x32-10 that Random123 publishes (kat_vectors).
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_known_answers(counter: str, key: str, expected: str) -> None:
    words = reference.philox_words(*([int(word, 16) for word in text.split()] for text in (counter, key)))
    assert " ".join(f"{int(word):08x}" for word in words) == expected


def test_philox_takes_many_blocks_at_once() -> None:
    seed, step = 2**40 + 3, 2**35 + 1
    blocks = np.array([[0, 1], [7, 2**32 - 1]])
    words = reference.philox(seed, reference.Purpose.DROPOUT, 5, step, blocks)
    assert words.shape == (2, 2, 4)
    for index in np.ndindex(2, 2):
        counter = (blocks[index], 1, 8, 3 * 2**24 + 5)
        assert_array_equal(words[index], reference.philox_words(counter, (3, 256)))
    pairs = reference.philox_pair(seed, 3, 5, step, 7)
    assert pairs.tolist() == [int(words[1, 0, i]) + (int(words[1, 0, i + 1]) << 32) for i in (0, 2)]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 100, 1001])
def test_shuffled_order_is_a_permutation(n: int) -> None:
    order = reference.shuffled_order(n, seed=1, epoch=2)
    assert order.dtype == np.int32
    assert_array_equal(np.sort(order), np.arange(n))
    if n > 3:
        assert not np.array_equal(order, reference.shuffled_order(n, seed=1, epoch=3))
        assert not np.array_equal(order, reference.shuffled_order(n, seed=2, epoch=2))


def test_shuffled_orders_are_equally_likely() -> None:
    # More, and of more rows, in test_kernels_random.py.
    counts = dict.fromkeys(permutations(range(3)), 0)
    for epoch in range(1200):
        counts[tuple(reference.shuffled_order(3, seed=0, epoch=epoch).tolist())] += 1
    # Each is binomial (1200, 1/6): mean 200, standard deviation 12.9. The seed is fixed: this passes always or never.
    assert all(abs(count - 200) < 4 * 12.9 for count in counts.values())


def test_a_row_of_a_long_shuffle_says_nothing_of_its_place_nor_of_the_next() -> None:
    n = 100_000
    order = reference.shuffled_order(n, seed=3, epoch=5).astype(float)
    for other in (np.arange(n), np.roll(order, 1), np.roll(order, 316), np.roll(order, 317)):  # b is 316 or 318
        assert abs(np.corrcoef(order, other)[0, 1]) < 4 / math.sqrt(n)
    jumps = np.histogram(np.diff(order) % n, bins=100)[0]
    assert abs(((jumps - n / 100) ** 2 / (n / 100)).sum() - 99) < 4 * math.sqrt(2 * 99)


# Masks and noise ------------------------------------------------------------------------------------------------------

STREAM = {"seed": 3, "layer": 1, "step": 2}


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_dropout(rate: float, dtype: str) -> None:
    n, options = 40_000, {"rate": rate, "scale": 1 / (1 - rate)}
    x = np.arange(1, n + 1, dtype=dtype)
    y = reference.dropout(x, **options, **STREAM)
    kept = y != 0
    assert y.dtype == x.dtype
    assert_array_equal(y[kept], x[kept] * np.dtype(dtype).type(1 / (1 - rate)))
    # The number kept is binomial: 5 standard deviations.
    assert abs(kept.sum() - n * (1 - rate)) <= 5 * math.sqrt(n * rate * (1 - rate))
    assert_array_equal(kept, reference.dropout(-x, **options, **STREAM) != 0)  # the backward pass
    if rate:
        for other in ({"seed": 4, "layer": 1, "step": 2}, {"seed": 3, "layer": 0, "step": 2}):
            assert not np.array_equal(kept, reference.dropout(x, **options, **other) != 0)


def test_dropout_counts_elements_not_rows() -> None:
    x = np.ones((3, 7))
    flat = reference.dropout(x.reshape(-1), rate=0.5, scale=2.0, **STREAM)
    assert_array_equal(reference.dropout(x, rate=0.5, scale=2.0, **STREAM), flat.reshape(3, 7))


def test_dropout_of_one_mask_for_all_rows() -> None:
    x = np.ones((5, 90))
    for options in ({"rate": 0.4}, {"count": 30}):
        y = reference.dropout(x, same=True, scale=1.0, **options, **STREAM)
        first = reference.dropout(x[:1], scale=1.0, **options, **STREAM)
        assert_array_equal(y, np.tile(first, (5, 1)))
        assert not np.array_equal(y, reference.dropout(x, scale=1.0, **options, **STREAM))


def test_dropout_of_a_fixed_count() -> None:
    rows, columns, count = 20_000, 6, 2
    dropped = reference.dropout(np.ones((rows, columns)), count=count, scale=1.0, **STREAM) == 0
    assert_array_equal(dropped.sum(axis=1), np.full(rows, count))
    places = dropped.sum(axis=0)
    pairs = np.unique(dropped @ 2 ** np.arange(columns), return_counts=True)[1]
    assert len(pairs) == math.comb(columns, count)
    # Every place, and every pair of places, is dropped equally often: binomial counts, 5 standard deviations.
    for counts, p in ((places, count / columns), (pairs, 1 / len(pairs))):
        assert (abs(counts - rows * p) <= 5 * math.sqrt(rows * p * (1 - p))).all()
    for all_or_none in (0, columns):
        y = reference.dropout(np.ones((3, columns)), count=all_or_none, scale=1.0, **STREAM)
        assert_array_equal(y, np.full((3, columns), float(all_or_none == 0)))


def test_noise_is_normal() -> None:
    n = 200_000
    noise = reference.add_noise(np.zeros(n), deviation=0.5, **STREAM) / 0.5
    # Standard errors of mean, variance and fourth moment: 1, sqrt(2), sqrt(96) over sqrt(n). Five of each.
    assert abs(noise.mean()) < 5 / math.sqrt(n)
    assert abs(noise.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((noise**4).mean() - 3) < 5 * math.sqrt(96 / n)
    for place in (-2, -1, -0.5, 0, 0.3, 1, 3):  # how many are below: binomial
        p = (1 + math.erf(place / math.sqrt(2))) / 2
        assert abs((noise < place).sum() - n * p) < 5 * math.sqrt(n * p * (1 - p))
    # Nothing in one element tells of the next, nor of the one after that; nor does its size.
    for lag in (1, 2, 3):
        for values in (noise, noise**2):
            assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 5 / math.sqrt(n)


def test_noise_is_added_in_double_precision(dtype: str) -> None:
    x = np.full(1000, 3, dtype)
    y = reference.add_noise(x, deviation=0.1, **STREAM)
    assert y.dtype == dtype
    assert_array_equal(y, (3 + 0.1 * reference.normal_numbers(1000, 3, 1, 2)).astype(dtype))
    assert_array_equal(reference.add_noise(x, deviation=0.0, **STREAM), x)
    for other in ({"seed": 4, "layer": 1, "step": 2}, {"seed": 3, "layer": 0, "step": 2}, {**STREAM, "step": 3}):
        assert not np.array_equal(y, reference.add_noise(x, deviation=0.1, **other))


def test_normal_numbers_by_scalar_formulas() -> None:
    numbers = reference.normal_numbers(6, 7, 5, 2**40)
    for block in range(2):
        words = reference.philox(7, reference.Purpose.NOISE, 5, 2**40, block).tolist()
        for pair in range(2):
            radius = math.sqrt(-2 * math.log((words[2 * pair] + 0.5) / 2**32))
            angle = 2 * math.pi * words[2 * pair + 1] / 2**32
            expected = [radius * math.cos(angle), radius * math.sin(angle)]
            start = 4 * block + 2 * pair
            assert_allclose(numbers[start : start + 2], expected[: len(numbers) - start], rtol=0, atol=20 * EPS)


# How parameters start -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "a", "variance"),
    [
        ("uniform", 0.3, 0.3**2 / 3),  # the variance of a uniform distribution on [-a, a] is a^2 / 3
        ("normal", 0.3, 0.3**2),
        ("fan_in_normal", 2.0, 2 / 150),  # He
        ("fan_in_uniform", 2.0, 2 / 150),
        ("fan_avg_normal", 1.0, 2 / (150 + 201)),  # Glorot
        ("fan_avg_uniform", 1.0, 2 / (150 + 201)),
    ],
)
def test_initial_values(kind: str, a: float, variance: float) -> None:
    shape = (150, 201)
    w = reference.initial_values(shape, kind, a, *shape, seed=0, layer=0, parameter=0)
    n = w.size
    assert w.shape == shape
    # Standard errors: of a mean sqrt(variance / n); of a variance at most variance * sqrt(2 / n). Five of them.
    assert abs(w.mean()) < 5 * math.sqrt(variance / n)
    assert abs(w.var() / variance - 1) < 5 * math.sqrt(2 / n)
    if kind.endswith("uniform"):
        bound = math.sqrt(3 * variance)
        assert 0.999 * bound < abs(w).max() <= bound
    else:
        fourth = (w**4).mean() / variance**2  # 3 for a normal distribution, with a variance of 96 / n
        assert abs(fourth - 3) < 5 * math.sqrt(96 / n)
    assert abs(np.corrcoef(w.reshape(-1)[0:-1:2], w.reshape(-1)[1::2])[0, 1]) < 5 / math.sqrt(n / 2)
    assert not np.array_equal(w, reference.initial_values(shape, kind, a, *shape, seed=0, layer=1, parameter=0))


def test_initial_values_of_odd_and_empty_shapes() -> None:
    options = {"seed": 5, "layer": 2, "parameter": 1}
    assert_array_equal(reference.initial_values((3,), "constant", 0.25, 1, 3, **options), np.full(3, 0.25))
    assert reference.initial_values((0,), "normal", 1.0, 1, 0, **options).shape == (0,)
    longer = reference.initial_values((8,), "normal", 1.0, 1, 8, **options)
    assert_array_equal(reference.initial_values((5,), "normal", 1.0, 1, 5, **options), longer[:5])
