"""The specification's update rules, random numbers and training step, judged by what is not itself.

Published vectors and algorithms, counts within their standard errors, central differences. The engine is not used here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise, permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from chainrule import reference

EPS = np.finfo(np.float64).eps

# Update rules ---------------------------------------------------------------------------------------------------------


def first_step(rule: str, **numbers: float) -> float:
    """How far a rule goes at its first step, in learning rates, for a gradient far greater than epsilon."""
    w, g, none = np.zeros(1), np.full(1, 1e3), np.zeros(1)
    return float(-reference.update(w, g, none, none, rule=rule, rate=0.01, epsilon=1e-8, **numbers)[0][0] / 0.01)


def test_first_steps_of_adam() -> None:
    # RMSprop is Adam with beta1 = 0; without bias correction the first step is (1 - beta1) / sqrt(1 - beta2).
    assert first_step("adam_epsilon_inside", beta2=0.999) == pytest.approx(31.6228, abs=5e-5)
    assert first_step("adam_epsilon_inside", beta2=0.9) == pytest.approx(3.1623, abs=5e-5)
    assert first_step("adam_epsilon_inside", beta1=0.9, beta2=0.999) == pytest.approx(3.1623, abs=5e-5)
    corrected = first_step("adam", beta1=0.9, beta2=0.999, correction1=0.1, correction2=0.001)
    assert corrected == pytest.approx(1.0, abs=1e-9)


def run_rule(rule: str, gradients: np.ndarray, rate: float, beta: float) -> np.ndarray:
    w, v, s = np.zeros((3, 1))
    for g in gradients:
        w, v, s = reference.update(w, g[np.newaxis], v, s, rule=rule, rate=rate, beta1=beta)
    return w


def test_momenta_by_their_sums(rng: np.random.Generator) -> None:
    # Unrolled: after t steps v_t = sum over i <= t of beta^(t - i) g_i.
    gradients, beta, rate = rng.standard_normal(8), 0.9, 0.1
    v = [sum(beta ** (t - i) * gradients[i] for i in range(t + 1)) for t in range(8)]
    close = {"rtol": 0, "atol": 100 * EPS}
    assert_allclose(run_rule("gradient_descent", gradients, rate, beta), -rate * gradients.sum(), **close)
    assert_allclose(run_rule("momentum_heavy_ball", gradients, rate, beta), -rate * sum(v), **close)
    assert_allclose(run_rule("momentum_ema", gradients, rate, beta), -rate * (1 - beta) * sum(v), **close)
    nesterov = -rate * (gradients.sum() + beta * sum(v))
    assert_allclose(run_rule("momentum_nesterov", gradients, rate, beta), nesterov, **close)


def test_adam_by_the_paper(rng: np.random.Generator) -> None:
    # Algorithm 1 of Kingma and Ba (2015), one number at a time.
    alpha, beta1, beta2, epsilon = 0.001, 0.9, 0.999, 1e-8
    theta = m = v = 0.0
    w, state1, state2 = np.zeros((3, 1))
    for t, g in enumerate(rng.standard_normal(20).tolist(), start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        theta -= alpha * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + epsilon)
        numbers = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
        numbers |= {"correction1": 1 - beta1**t, "correction2": 1 - beta2**t}
        w, state1, state2 = reference.update(w, np.array([g]), state1, state2, rule="adam", rate=alpha, **numbers)
    assert_allclose([w[0], state1[0], state2[0]], [theta, m, v], rtol=100 * EPS)


# Random numbers -------------------------------------------------------------------------------------------------------


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
    counts = dict.fromkeys(permutations(range(3)), 0)
    for epoch in range(1200):
        counts[tuple(reference.shuffled_order(3, seed=0, epoch=epoch).tolist())] += 1
    # Each is binomial (1200, 1/6): mean 200, standard deviation 12.9. The seed is fixed: this passes always or never.
    assert all(abs(count - 200) < 4 * 12.9 for count in counts.values())


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_dropout(rate: float, dtype: str) -> None:
    n = 40_000
    x = np.arange(1, n + 1, dtype=dtype)
    y = reference.dropout(x, rate=rate, seed=3, layer=1, step=2)
    kept = y != 0
    assert y.dtype == x.dtype
    assert_array_equal(y[kept], x[kept] * np.dtype(dtype).type(1 / (1 - rate)))
    # The number kept is binomial: 5 standard deviations.
    assert abs(kept.sum() - n * (1 - rate)) <= 5 * math.sqrt(n * rate * (1 - rate))
    assert_array_equal(kept, reference.dropout(-x, rate=rate, seed=3, layer=1, step=2) != 0)  # the backward pass
    if rate:
        for other in ({"seed": 4, "layer": 1, "step": 2}, {"seed": 3, "layer": 0, "step": 2}):
            assert not np.array_equal(kept, reference.dropout(x, rate=rate, **other) != 0)


def test_dropout_counts_elements_not_rows() -> None:
    x = np.ones((3, 7))
    flat = reference.dropout(x.reshape(-1), rate=0.5, seed=0, layer=0, step=0)
    assert_array_equal(reference.dropout(x, rate=0.5, seed=0, layer=0, step=0), flat.reshape(3, 7))


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


# The training step ----------------------------------------------------------------------------------------------------


def made_mlp(sizes: tuple[int, ...], rng: np.random.Generator, **options: str | float) -> reference.Mlp:
    weights = [rng.standard_normal(shape) for shape in pairwise(sizes)]
    return reference.Mlp(weights, [rng.standard_normal(n) for n in sizes[1:]], **options)


def test_mlp_gradient(rng: np.random.Generator) -> None:
    net = made_mlp((4, 6, 5, 3), rng, rate=0.1)
    x, labels, start = rng.standard_normal((7, 4)), rng.integers(0, 3, 7), net.arena.copy()

    def loss(arena: np.ndarray) -> float:
        net.arena[...] = arena
        return net.gradient(x, labels)

    direction, e = rng.standard_normal(start.size), 1e-6
    expected = (loss(start + e * direction) - loss(start - e * direction)) / (2 * e)
    loss(start)
    # Central differences along one direction: e^2 |f'''| / 6 + EPS |f| / e, with f up to 100.
    assert_allclose(net.gradients @ direction, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
def test_mlp_step_is_the_composition_of_the_operations(rule: str, rng: np.random.Generator) -> None:
    numbers = {"rate": 0.05, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3}
    net = made_mlp((4, 6, 3), rng, rule=rule, **numbers)
    (w0, w1), (b0, b1) = ([p.copy() for p in parameters] for parameters in (net.weights, net.biases))
    states = [np.zeros_like(p) for p in (w0, b0, w1, b1) for _ in range(2)]
    for batch in (8, 8, 3):  # a ragged last batch
        x, labels = rng.standard_normal((batch, 4)), rng.integers(0, 3, batch)
        h = reference.dense_forward(x, w0, b0, activation="relu")
        z = reference.dense_forward(h, w1, b1)
        losses, dz = reference.cross_entropy(z, labels, scale=1 / batch)
        dh, dw1, db1 = reference.dense_backward(h, w1, z, dz)
        _, dw0, db0 = reference.dense_backward(x, w0, h, dh, activation="relu")
        after = [
            reference.update(p, g, *states[2 * i : 2 * i + 2], rule=rule, **numbers)
            for i, (p, g) in enumerate(zip((w0, b0, w1, b1), (dw0, db0, dw1, db1), strict=True))
        ]
        (w0, b0, w1, b1), states = (p for p, _, _ in after), [s for _, *both in after for s in both]
        # Sums of at most 8 terms of size 10 at most, in another order; Adam's division by epsilon: 1e3 times that.
        assert net.step(x, labels) == pytest.approx(losses.sum(), rel=1e-13)
        mine = np.concatenate([p.ravel() for p in (w0, b0, w1, b1)])
        assert_allclose(net.arena, mine, rtol=0, atol=8 * 10 * EPS * 1e3)


def test_mlp_learns_xor(dtype: str, rng: np.random.Generator) -> None:
    x, labels = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype), np.array([0, 1, 1, 0])
    weights = [rng.standard_normal(shape).astype(dtype) for shape in ((2, 8), (8, 2))]
    net = reference.Mlp(weights, [np.zeros(8, dtype), np.zeros(2, dtype)], rate=0.5)
    losses = [net.step(x, labels) for _ in range(500)]
    assert losses[-1] < 0.05 < losses[0]
    assert_array_equal(net.forward(x)[-1].argmax(axis=1), labels)
    assert net.arena.dtype == dtype


@pytest.mark.parametrize(
    ("call", "known"),
    [
        (lambda: reference.activation_forward(np.zeros(1), activation="rleu"), "activation must be one of identity"),
        (lambda: reference.element_loss(*np.zeros((2, 1, 1)), loss="l3"), "loss must be one of squared_difference"),
        (lambda: reference.update(*np.zeros((4, 1)), rule="sgd", rate=1.0), "rule must be one of gradient_descent"),
        (
            lambda: reference.initial_values((1,), "he", 2.0, 1, 1, seed=0, layer=0, parameter=0),
            "kind must be one of constant, uniform",
        ),
    ],
)
def test_unknown_words_list_the_known_ones(call: Callable[[], object], known: str) -> None:
    with pytest.raises(ValueError, match=known):
        call()
