"""The numeric exercise of the lecture on optimisation: its figures and its exact answers. Nothing here is a test.

x1 = (1, 2), y = 1;  x2 = (-2, 5), y = 6;  x3 = (0, 1), y = 1;  w1 = 1, w2 = 1/2;  L = 1/2 sum (y - h)^2,
h = w0 + w1 x1 + w2 x2;  learning rate 1/100; one pass. It can be read without a bias (reading A: w0 stays 0) or with a
bias w0 that starts at 0 and learns, the weight of a constant input 1 (reading B).

Weights are written (w1, w2) in reading A and (w0, w1, w2) in reading B.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

POINTS = [(1, 2), (-2, 5), (0, 1)]
TARGETS = [1, 6, 1]
RATE = Fraction(1, 100)
ALL = (0, 1, 2)
ORDERS = list(permutations(ALL))
EPS = np.finfo(np.float64).eps


class Reading(NamedTuple):
    """What a reading of the exercise gives, as printed; each figure is right to its last digit."""

    bias: bool
    gradient: tuple[int, ...]
    batch_weights: tuple[str, ...]
    batch_loss: str
    mean_batch_loss: str
    errors: tuple[str, str, str]
    path: tuple[tuple[str, ...], ...]
    path_losses: tuple[str, str, str]
    advantage: str
    losses_by_order: tuple[str, ...]
    rate_bound: str
    optimum: tuple[str, ...]
    least_loss: str
    exact_batch_loss: Fraction
    exact_final_loss: Fraction
    exact_optimum: tuple[Fraction, ...]


A = Reading(
    bias=False,
    gradient=(12, -26),
    batch_weights=("0.88", "0.76"),
    batch_loss="8.8496",
    mean_batch_loss="13.1611",
    errors=("-1", "5.58", "0.241"),
    path=(("0.99", "0.48"), ("0.8784", "0.759"), ("0.8784", "0.76141")),
    path_losses=("16.15465", "8.8519366", "8.8104338695"),
    advantage="0.0391661305",
    losses_by_order=("8.8104", "8.7897", "9.0043", "9.0105", "8.7937", "8.9898"),
    rate_bound="0.06184",
    optimum=("-0.7674", "0.8953"),
    least_loss="0.00581",
    exact_batch_loss=Fraction(5531, 625),
    exact_final_loss=Fraction(17620867739, 2 * 10**9),
    exact_optimum=(Fraction(-66, 86), Fraction(77, 86)),
)
B = Reading(
    bias=True,
    gradient=(-5, 12, -26),
    batch_weights=("0.05", "0.88", "0.76"),
    batch_loss="8.71335",
    mean_batch_loss="13.0904",
    errors=("-1", "5.59", "0.1946"),
    path=(("-0.01", "0.99", "0.48"), ("0.0459", "0.8782", "0.7595"), ("0.047846", "0.8782", "0.761446")),
    path_losses=("16.2063", "8.715987885", "8.678059911042"),
    advantage="0.035290088958",
    losses_by_order=("8.6781", "8.6464", "8.9057", "8.9161", "8.6529", "8.8844"),
    rate_bound="0.05820",
    optimum=("0.1667", "-0.8333", "0.8333"),
    least_loss="0.00000",
    exact_batch_loss=Fraction(174267, 20000),
    exact_final_loss=Fraction(4339029955521, 5 * 10**11),
    exact_optimum=(Fraction(1, 6), Fraction(-5, 6), Fraction(5, 6)),
)

both_readings = pytest.mark.parametrize("reading", [A, B], ids=["A: no bias", "B: bias"])


class Exact:
    """The exercise in exact fractions, by its formulas and nothing else."""

    def __init__(self, reading: Reading) -> None:
        self.x = [[Fraction(v) for v in ((1, *point) if reading.bias else point)] for point in POINTS]
        self.y = [Fraction(v) for v in TARGETS]
        self.start = [Fraction(0)] * reading.bias + [Fraction(1), Fraction(1, 2)]

    def residual(self, w: list[Fraction], i: int) -> Fraction:
        return self.y[i] - sum((a * b for a, b in zip(w, self.x[i], strict=True)), Fraction(0))

    def loss(self, w: list[Fraction]) -> Fraction:
        return sum((self.residual(w, i) ** 2 for i in ALL), Fraction(0)) / 2

    def gradient(self, w: list[Fraction], rows: tuple[int, ...] = ALL) -> list[Fraction]:
        return [sum((-self.residual(w, i) * self.x[i][j] for i in rows), Fraction(0)) for j in range(len(w))]

    def step(self, w: list[Fraction], rows: tuple[int, ...] = ALL, rate: Fraction = RATE) -> list[Fraction]:
        return [a - rate * g for a, g in zip(w, self.gradient(w, rows), strict=True)]

    def rate_bound(self) -> float:
        """Return the learning rate below which gradient descent on L converges: 2 / the greatest eigenvalue of X'X."""
        x = np.array(self.x, float)
        return float(2 / np.linalg.eigvalsh(x.T @ x).max())


def assert_figure(value: float | Fraction, printed: str) -> None:
    """Require that the value, rounded to as many digits as are printed, is what is printed."""
    digits = len(printed.partition(".")[2])
    assert f"{abs(float(value)):.{digits}f}" == f"{abs(float(printed)):.{digits}f}"
    assert float(value) * float(printed) >= 0


def assert_figures(values: object, printed: tuple[str, ...]) -> None:
    """Require the figures one by one."""
    for value, figure in zip(np.ravel(values).tolist(), printed, strict=True):
        assert_figure(value, figure)


def assert_exact(values: object, exact: object) -> None:
    """Require the exact fractions, to within float64's rounding."""
    # A pass is some 60 operations on numbers of size up to 32, each wrong by at most EPS / 2 of that.
    assert_allclose(np.asarray(values), np.array(exact, float), rtol=0, atol=60 * 32 * EPS / 2)
