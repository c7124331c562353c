"""Penalties of the engine against the specification, and against sums without rounding errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kernel_checks import SIZES, EveryTeam, assert_within, epsilon, random

from chainrule import reference

TERMS = [("absolute", 0.0), ("square", 0.0), ("power", 1.0), ("power", 1.5), ("power", 3.0), ("power", 40.0)]
terms = pytest.mark.parametrize(("term", "power"), TERMS)


def power_error(w: npt.NDArray[Any], exponent: float) -> npt.NDArray[Any]:
    """Return the relative error of |w|^exponent = exp(exponent log |w|), in EPS of float64.

    The logarithm is wrong by two units in the last place and its product with the exponent by one: that becomes a
    relative error. exp adds 2, and NumPy's power another.
    """
    with np.errstate(divide="ignore"):
        return 3 * abs(exponent * np.nan_to_num(np.log(abs(w)), neginf=0)) + 4


@terms
def test_penalty_sum(term: str, power: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in (*SIZES, 50_001):
        w = random(rng, dtype, n)
        w[::7] = 0
        values = reference.PENALTY_TERMS[term].value(w.astype(float), power)
        # In double precision whatever w is; none is negative, so that n roundings are a relative n EPS / 2.
        errors = (n + 1) + (power_error(w.astype(float), power) if term == "power" else 0)
        bound = epsilon("float64") * float((errors * values).sum())
        assert abs(kernels.penalty_sum(w, term=term, power=power) - math.fsum(values)) <= bound, f"{n} elements"


@terms
def test_penalty_sum_of_odd_values(term: str, power: float, kernels: EveryTeam, dtype: str) -> None:
    for n in (3, 40, 5000):
        w = np.ones(n, dtype)
        w[n // 2] = np.nan
        assert math.isnan(kernels.penalty_sum(w, term=term, power=power))
        w[n // 2] = -np.inf
        assert kernels.penalty_sum(w, term=term, power=power) == math.inf


def test_penalty_sum_of_great_numbers(kernels: EveryTeam, dtype: str) -> None:
    assert kernels.penalty_sum(np.full(3, 1e20, dtype), term="square") == pytest.approx(3e40, rel=1e-6)


@terms
def test_penalty_gradient(term: str, power: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        w, g = random(rng, dtype, n), random(rng, dtype, n)
        w[::7] = 0
        exact, factor = w.astype(float), 0.3
        expected = reference.penalty_gradient(factor, exact, g.astype(float), term=term, power=power)
        step = abs(expected - g)
        # Roundings of the factor, a product and a sum; of a power its own.
        bound = epsilon(dtype) * (2 * step + abs(g))
        if term == "power":
            bound += epsilon("float64") * (power_error(exact, power - 1) + 4) * step
        assert_within(kernels.penalty_gradient(factor, w, g, term=term, power=power), expected, bound)


@terms
def test_penalty_gradient_of_odd_values(term: str, power: float, kernels: EveryTeam, dtype: str) -> None:
    w = np.resize(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1, -1, np.finfo(dtype).tiny], dtype), 35)
    for g in (np.zeros(35, dtype), np.full(35, np.nan, dtype)):
        expected = reference.penalty_gradient(0.5, w.astype(float), g.astype(float), term=term, power=power)
        bound = 4 * epsilon(dtype) * np.nan_to_num(abs(expected), posinf=0)
        if term == "power":
            error = power_error(np.where(np.isfinite(w), w, 1).astype(float), power - 1)
            bound += epsilon("float64") * error * np.nan_to_num(abs(expected), posinf=0)
        assert_within(kernels.penalty_gradient(0.5, w, g, term=term, power=power), expected, bound)


def test_penalties_know_their_terms_and_powers(kernels: EveryTeam, dtype: str) -> None:
    team, w = kernels.teams[0], np.ones(3, dtype)
    known = ", ".join(reference.PENALTY_TERMS)
    for power in (0.5, -1.0, math.nan):
        with pytest.raises(ValueError, match="power must be at least 1"):
            team.penalty_sum(w, term="power", power=power)
    with pytest.raises(ValueError, match=f'unknown term "cube"; known are: {known}$'):
        team.penalty_gradient(1.0, w, w, term="cube")


@pytest.mark.parametrize("sum_of_terms", [0.0, 1e-30, 0.3, 7.0, 1e30])
@terms
def test_penalty_gradient_of_a_root(
    term: str, power: float, sum_of_terms: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    w, g = random(rng, dtype, 37), random(rng, dtype, 37)
    root = 1 / {"absolute": 1, "square": 2}.get(term, power)
    # d/dS S^(1/p), by exact rules for numbers that Python has.
    outer = root * sum_of_terms ** (root - 1) if sum_of_terms > 0 else 0.0
    given = kernels.penalty_gradient(0.3, w, g, term=term, power=power, sum=sum_of_terms)
    alone = kernels.penalty_gradient(0.3 * outer, w, g, term=term, power=power)
    assert_within(given, alone, 4 * epsilon(dtype) * (abs(alone - g) + abs(alone)))
    specified = reference.penalty_gradient(0.3, w, g, term=term, power=power, sum=sum_of_terms)
    assert_within(given, specified, 40 * epsilon(dtype) * (abs(specified - g) + abs(specified) + abs(g)))


def test_accumulate(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        x = random(rng, dtype, n)
        expected = 0.25 + 3.0 * math.fsum(x.astype(float))
        # In double precision: n additions of numbers of this size, a product and a sum.
        bound = epsilon("float64") * (n + 2) * (3 * float(abs(x.astype(float)).sum()) + 0.25)
        assert abs(kernels.accumulate(x, 3.0, 0.25) - expected) <= bound, f"{n} elements"
    assert math.isnan(kernels.accumulate(np.array([1, np.nan, 1], dtype), 1.0, 0.0))


def test_sum_up(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        blocks = rng.standard_normal(n)
        bound = epsilon("float64") * n * float(abs(blocks).sum())
        assert abs(kernels.sum_up(blocks) - math.fsum(blocks)) <= bound, f"{n} blocks"
    assert kernels.sum_up(np.array([1, math.inf, 1.0])) == math.inf
