"""The specification's training step, judged by what is not itself; and the words that the specification knows.

Central differences, the operations one by one. The engine is not used here.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from chainrule import reference

EPS = np.finfo(np.float64).eps

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
    states = [np.zeros_like(p) for p in (w0, b0, w1, b1) for _ in range(3)]
    for batch in (8, 8, 3):  # a ragged last batch
        x, labels = rng.standard_normal((batch, 4)), rng.integers(0, 3, batch)
        h = reference.dense_forward(x, w0, b0, activation="relu")
        z = reference.dense_forward(h, w1, b1)
        losses, dz = reference.cross_entropy(z, labels, scale=1 / batch)
        dh, dw1, db1 = reference.dense_backward(h, w1, z, dz)
        _, dw0, db0 = reference.dense_backward(x, w0, h, dh, activation="relu")
        after = [
            reference.update(p, g, *states[3 * i : 3 * i + 3], rule=rule, **numbers)
            for i, (p, g) in enumerate(zip((w0, b0, w1, b1), (dw0, db0, dw1, db1), strict=True))
        ]
        (w0, b0, w1, b1), states = (p for p, *_ in after), [s for _, *own in after for s in own]
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
        (lambda: reference.update(*np.zeros((5, 1)), rule="sgd", rate=1.0), "rule must be one of gradient_descent"),
        (lambda: reference.penalty_sum(np.zeros(1), term="cube"), "term must be one of absolute, square, power"),
        (lambda: reference.constrain_columns(np.zeros((1, 1)), constraint="l2"), "constraint must be one of max_norm"),
        (
            lambda: reference.initial_values((1,), "he", 2.0, 1, 1, seed=0, layer=0, parameter=0),
            "kind must be one of constant, uniform",
        ),
    ],
)
def test_unknown_words_list_the_known_ones(call: Callable[[], object], known: str) -> None:
    with pytest.raises(ValueError, match=known):
        call()
