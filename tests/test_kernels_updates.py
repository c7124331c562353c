"""The update rules of the engine against the specification in float64.

Bounds of the errors are in EPS, twice the greatest relative error of one rounding.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kernel_checks import SIZES, EveryTeam, assert_within, epsilon, random
from numpy.testing import assert_array_equal

from chainrule import reference

Arrays = tuple[npt.NDArray[Any], ...]

NUMBERS = {
    "rate": 0.01,
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-8,
    "gain": 0.1,
    "memory": 0.8,
    "fresh": 0.15,
    "least": 1e-3,
    "most": 0.05,
}

# Rules whose first state is a gradient, of either sign; the other states are sums or means of squares, or sizes.
SIGNED = ("momentum", "nesterov", "rprop", "adam", "nadam", "amsgrad")


def made_arrays(rule: str, n: int, dtype: str, rng: np.random.Generator) -> list[npt.NDArray[Any]]:
    """Return w, g and three states of sizes from 1e-4 to 100, with zeros in all but w."""
    sizes = 10.0 ** rng.integers(-4, 3, (5, n))
    arrays = [(size * rng.standard_normal(n)).astype(dtype) for size in sizes]
    for array in arrays[1:]:
        array[::7] = 0
    first = arrays[2] if rule.startswith(SIGNED) else abs(arrays[2])
    return [*arrays[:2], first, abs(arrays[3]), abs(arrays[4])]


def step_and_errors(rule: str, g: npt.NDArray[Any], states: Arrays, new: Arrays, u: dict[str, float]) -> Arrays:
    """Return a bound of the size of the step before any rounding, and of the errors of the states, in EPS."""
    size = abs(g)
    if rule == "gradient_descent":
        return (size,)
    v, memory = abs(states[0]), u["beta1"] * abs(states[0])
    if rule in ("momentum", "nesterov"):
        # The sizes of two terms; two products, a rounded constant in each, a sum.
        v = memory + (u["gain"] if rule == "momentum" else 1) * size
        return (v if rule == "momentum" else size + u["beta1"] * v), 2 * v
    if rule == "rprop":
        # The gradient is kept or set to 0; the size has a rounded factor and a product, or a rounded bound.
        return new[1], 0 * v, 2 * new[1]
    # What is left are rules with roots of sums of squares. None of these is negative, so that errors are relative: two
    # rounded constants, two products and a sum, each at most EPS / 2; and of d^2 twice the error of d.
    if rule == "adadelta":
        step = np.sqrt(states[1] + u["epsilon"]) / np.sqrt(new[0] + u["epsilon"]) * size
        return step, 4 * new[0], 16 * new[1]
    inside = u["epsilon"] if rule.endswith("inside") else 0.0

    def root(s: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.sqrt(s / u["correction2"] + inside) + (u["epsilon"] - inside)

    if rule.startswith(("adagrad", "rmsprop")):
        return size / root(new[0]), 4 * new[0]
    v = memory + (1 - u["beta1"]) * size
    if rule.startswith("nadam"):
        return (u["memory"] * v + u["fresh"] * size) / root(new[1]), 2 * v, 4 * new[1]
    squares = new[2] if rule.startswith("amsgrad") else new[1]
    return v / u["correction1"] / root(squares), 2 * v, *(4 * s for s in new[1:])


@pytest.mark.parametrize("changed", [False, True], ids=["plain", "corrected and decayed"])
@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
def test_update(rule: str, changed: bool, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    u = NUMBERS | {"correction1": 0.1 if changed else 1.0, "correction2": 0.001 if changed else 1.0}
    u["keep"] = 0.7 if changed else 1.0
    own = reference.UPDATE_STATES[rule]
    for n in SIZES:
        arrays = made_arrays(rule, n, dtype, rng)
        exact = [array.astype(float) for array in arrays]
        expected = reference.update(*exact, rule=rule, **u)
        results = kernels.update(*arrays, rule=rule, **u)
        step, *errors = step_and_errors(rule, exact[1], tuple(exact[2 : 2 + own]), expected[1 : 1 + own], u)
        # w and what it keeps: two roundings, a last one. The step: its numerator is wrong by 2 to 4 EPS of its terms,
        # a root by 3, and five roundings more.
        errors = [2 * abs(exact[0]) + 14 * u["rate"] * step, *errors]
        for i, bound in enumerate(errors):  # w, then the states that the rule has
            assert_within(results[i], expected[i], epsilon(dtype) * bound, message=f"array {i} of {n} elements")
        for i in range(len(errors), 4):
            assert_array_equal(results[i], arrays[i + 1], err_msg="a state that the rule has not")


@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
def test_update_of_odd_values(rule: str, kernels: EveryTeam, dtype: str) -> None:
    g = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0] * 7, dtype)
    arrays = [np.zeros(35, dtype), g, *np.zeros((3, 35), dtype)]
    expected = reference.update(*(array.astype(float) for array in arrays), rule=rule, **NUMBERS)
    for result, value in zip(kernels.update(*arrays, rule=rule, **NUMBERS), expected, strict=True):
        assert_within(result, value, 16 * epsilon(dtype) * np.nan_to_num(abs(value), posinf=0, neginf=0))


def test_update_without_decay_rounds_only_the_step(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    # Where keep is 1 no further product may be fused into the rule: w - rate * g has one rounding, or two.
    w, g, rate = random(rng, dtype, 200), random(rng, dtype, 200), np.dtype(dtype).type(0.01)
    result = kernels.update(w, g, *np.zeros((3, 200), dtype), rule="gradient_descent", rate=0.01, keep=1.0)[0]
    pairs = zip(w.tolist(), g.tolist(), strict=True)
    fused = np.array([float(Fraction(a) - Fraction(float(rate)) * Fraction(b)) for a, b in pairs], dtype)
    assert np.array_equal(result, fused) or np.array_equal(result, w - rate * g)


def test_update_by_rprop_at_a_rate_of_zero(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    arrays = made_arrays("rprop", 40, dtype, rng)
    w, _, size, _ = kernels.update(*arrays, rule="rprop", **(NUMBERS | {"rate": 0.0}))
    assert_array_equal(w, arrays[0])
    assert np.isfinite(size).all()


def test_update_by_rprop_of_the_smallest_gradients(kernels: EveryTeam, dtype: str) -> None:
    # Their product is below the smallest number, and yet they agree, or differ, in sign.
    tiny = np.finfo(dtype).tiny
    g, before = np.array([tiny, -tiny, tiny], dtype), np.array([tiny, tiny, 0], dtype)
    ones = np.ones(3, dtype)
    numbers = {"rate": 1.0, "shrink": 0.5, "grow": 2.0, "least": 0.0, "most": 50.0}
    w, first, second, _ = kernels.update(0 * ones, g, before, ones, ones, rule="rprop", **numbers)
    assert_array_equal(second, [2, 0.5, 1])
    assert_array_equal(first, [tiny, 0, tiny])
    assert_array_equal(w, [-2, 0, -1])


def test_update_knows_its_rules(kernels: EveryTeam, dtype: str) -> None:
    with pytest.raises(ValueError, match=f'unknown rule "sgd"; known are: {", ".join(reference.UPDATE_RULES)}$'):
        kernels.teams[0].update(*np.zeros((5, 3), dtype), rule="sgd", rate=0.1)
