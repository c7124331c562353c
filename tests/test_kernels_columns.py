"""Operations of the engine column by column against the specification: sums, moments, normalization, constraints.

Bounds of the errors are derived where they are used; EPS is twice the error of one rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kernel_checks import EveryTeam, as_bytes, assert_within, epsilon, random
from numpy.testing import assert_array_equal

from chainrule import reference

ROWS = (1, 2, 7, 33, 130)
COLUMNS = (1, 2, 7, 16, 17, 33, 100, 257, 600)  # beyond 256 there is a second strip (csrc/cpu/normalize.cpp)


# Sums -----------------------------------------------------------------------------------------------------------------


def test_column_sum(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for rows in (0, *ROWS):
        for columns in (*COLUMNS, 8, 31, 1000):
            x, start = random(rng, dtype, rows, columns), random(rng, dtype, columns)
            # The order is specified, first row to last: no rounding is left open.
            assert_array_equal(kernels.column_sum(x), reference.column_sum(x), err_msg=f"({rows}, {columns})")
            # Added to the sum or begun with: rows + 1 roundings of at most all sizes together, twice.
            exact, sizes = (abs_or_not.sum(axis=0) for abs_or_not in (x.astype(float), abs(x.astype(float))))
            bound = (rows + 1) * epsilon(dtype) * (sizes + abs(start))
            assert_within(kernels.column_sum(x, add_to=start), exact + start, bound)


def test_column_sum_of_odd_values(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    x = random(rng, dtype, 9, 37)
    x[2, 5], x[3, 36], x[1, 7], x[8, 7] = np.nan, np.inf, np.inf, -np.inf
    assert_array_equal(kernels.column_sum(x), reference.column_sum(x))


# Moments --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1000])
def test_column_moments(offset: int, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for rows in ROWS:
        for columns in COLUMNS:
            x = random(rng, dtype, rows, columns) + np.dtype(dtype).type(offset)
            mean, variance = kernels.column_moments(x)
            assert_array_equal(mean, reference.column_moments(x)[0])  # the order is specified
            exact, spread = reference.column_moments(x.astype(float))
            # `rows` roundings of at most the sum of all distances from the first row, one of each distance and of the
            # quotient; at last the mean itself is rounded.
            distances = abs(x.astype(float) - x[0].astype(float)).mean(axis=0)
            bound = (rows + 2) * epsilon(dtype) * distances + epsilon(dtype) * abs(exact)
            assert_within(mean, exact, bound, message=f"mean of ({rows}, {columns})")
            # Around a mean that is wrong by d, the mean square is greater by d^2: the products of d cancel. A square
            # is rounded three times, the sum `rows` times, the quotient once, and no term is negative.
            bound = (rows + 6) * epsilon(dtype) * (spread + bound**2) + bound**2
            assert_within(variance, spread, bound, message=f"variance of ({rows}, {columns})")


@pytest.mark.parametrize("rows", [32, 512, 3000])
def test_column_moments_of_large_values_that_are_alike(rows: int, kernels: EveryTeam, dtype: str) -> None:
    # A sum of 512 such values has no digit left behind the point in single precision.
    x = np.full((rows, 3), 1000.3, dtype)
    x[:, 1] = 1.7e9
    x[:, 2] += np.arange(rows, dtype=dtype) % 2
    mean, variance = kernels.column_moments(x)
    assert_array_equal(mean[:2], x[0, :2])
    assert_array_equal(variance[:2], 0)
    assert abs(mean[2] - (float(x[0, 2]) + 0.5)) <= 1000 * epsilon(dtype)
    assert variance[2] == pytest.approx(0.25, rel=1e-3)


def test_column_moments_of_odd_values(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    x = random(rng, dtype, 9, 37)
    clean = kernels.column_moments(x)
    x[2, 5], x[3, 36], x[:, 7] = np.nan, np.inf, 0.25
    mean, variance = kernels.column_moments(x)
    assert_array_equal(mean, reference.column_moments(x)[0])
    assert np.isnan(variance[[5, 36]]).all()
    assert (mean[7], variance[7]) == (0.25, 0)
    others = np.delete(np.arange(37), [5, 7, 36])
    assert_array_equal(mean[others], clean[0][others])
    assert_array_equal(variance[others], clean[1][others])


def test_column_moments_of_no_rows(kernels: EveryTeam, dtype: str) -> None:
    with pytest.raises(ValueError, match="x has no rows"):
        kernels.teams[0].column_moments(np.zeros((0, 3), dtype))


# Normalization --------------------------------------------------------------------------------------------------------


def made_inputs(rows: int, columns: int, dtype: str, rng: np.random.Generator) -> list[npt.NDArray[Any]]:
    """Return x, mean, variance, gamma and a last array for beta."""
    x, (mean, gamma, beta) = random(rng, dtype, rows, columns), random(rng, dtype, 3, columns)
    return [x, mean, (10.0 ** rng.uniform(-6, 3, columns)).astype(dtype), gamma, beta]


def test_normalize_forward(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for rows in (0, *ROWS):
        for columns in COLUMNS:
            inputs = made_inputs(rows, columns, dtype, rng)
            h = kernels.normalize_forward(*inputs, epsilon=1e-3)
            x, mean, variance, gamma, beta = (array.astype(float) for array in inputs)
            exact = reference.normalize_forward(x, mean, variance, gamma, beta, epsilon=1e-3)
            # A difference; epsilon and its sum, halved by the root; the root, its inverse, two products: 3 EPS of
            # gamma xhat, and as much for NumPy; then a sum.
            bound = epsilon(dtype) * (7 * abs(exact - beta) + 2 * abs(beta))
            assert_within(h, exact, bound, message=f"({rows}, {columns})")


def gradient_bounds(
    inputs: list[npt.NDArray[Any]], dh: npt.NDArray[Any], moments_of_x: bool, dtype: str
) -> tuple[npt.NDArray[Any], ...]:
    """Return bounds of the errors of dx, dgamma, dbeta; all arrays in float64."""
    x, mean, variance, gamma, _ = inputs
    rows, deviation = len(x), np.sqrt(variance + 1e-3)
    xhat, size = abs(x - mean) / deviation, abs(dh)  # xhat is wrong by 3 EPS of itself
    products, slopes = (xhat * size).sum(axis=0), size.sum(axis=0)
    # Sums of `rows` terms that are wrong by 4 EPS; the same in NumPy. Then six roundings more, of all terms of dx.
    terms = size + (slopes + xhat * products) / max(rows, 1) if moments_of_x else size
    eps = (rows + 14) * epsilon(dtype)
    return eps * abs(gamma) / deviation * terms, eps * products, eps * slopes


@pytest.mark.parametrize("moments_of_x", [True, False])
def test_normalize_backward(moments_of_x: bool, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for rows in (0, *ROWS):
        for columns in COLUMNS:
            inputs, dh = made_inputs(rows, columns, dtype, rng), random(rng, dtype, rows, columns)
            options = {"epsilon": 1e-3, "moments_of_x": moments_of_x}
            results = kernels.normalize_backward(*inputs[:4], dh, **options)
            exact = [array.astype(float) for array in inputs]
            expected = reference.normalize_backward(*exact[:4], dh.astype(float), **options)
            bounds = gradient_bounds(exact, dh.astype(float), moments_of_x, dtype)
            for name, result, value, bound in zip(("dx", "dgamma", "dbeta"), results, expected, bounds, strict=True):
                assert_within(result, value, bound, message=f"{name} of ({rows}, {columns})")


def test_normalize_backward_adds(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    inputs, dh, start = made_inputs(9, 300, dtype, rng), random(rng, dtype, 9, 300), random(rng, dtype, 2, 300)
    dx, dgamma, dbeta = kernels.normalize_backward(*inputs[:4], dh, epsilon=1e-3)
    added = kernels.normalize_backward(*inputs[:4], dh, epsilon=1e-3, add_to=(start[0], start[1]))
    assert as_bytes(added[0]) == as_bytes(dx)
    assert_array_equal(added[1], start[0] + dgamma)  # the finished sum is added
    assert_array_equal(added[2], start[1] + dbeta)


def test_normalize_of_its_own_moments(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    x, one, zero = random(rng, dtype, 50, 40), np.ones(40, dtype), np.zeros(40, dtype)
    x[:, 3] = 7  # no spread: it becomes 0, not NaN
    mean, variance = kernels.column_moments(x)
    h = kernels.normalize_forward(x, mean, variance, one, zero, epsilon=1e-30)
    bound = 60 * epsilon(dtype)  # a mean of 50 numbers below 5, and of their squares
    others = np.arange(40) != 3
    assert abs(h.astype(float).mean(axis=0)).max() <= 5 * bound
    assert abs(h.astype(float).var(axis=0)[others] - 1).max() <= 25 * bound
    assert_array_equal(h[:, 3], 0)
    dx, _, _ = kernels.normalize_backward(x, mean, variance, one, h, epsilon=1e-30)
    # h lies along its own direction, in which nothing can change; dh - xhat sum(dh xhat) / B cancels.
    assert abs(dx[:, others]).max() <= 25 * bound / np.sqrt(variance[others]).min()


def test_normalize_keeps_columns_apart(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    inputs, dh = made_inputs(6, 40, dtype, rng), random(rng, dtype, 6, 40)
    clean = kernels.normalize_forward(*inputs, epsilon=1e-3)
    clean_back = kernels.normalize_backward(*inputs[:4], dh, epsilon=1e-3)
    inputs[0][2, 5], inputs[0][:, 20] = np.nan, np.inf
    others = np.delete(np.arange(40), [5, 20])
    h = kernels.normalize_forward(*inputs, epsilon=1e-3)
    assert_array_equal(h[:, others], clean[:, others])
    assert np.isnan(h[2, 5])
    assert not np.isfinite(h[:, 20]).any()
    for result, before in zip(kernels.normalize_backward(*inputs[:4], dh, epsilon=1e-3), clean_back, strict=True):
        assert_array_equal(result[..., others], before[..., others])


# Constraints ----------------------------------------------------------------------------------------------------------


def constrained_bound(expected: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    # A norm in float64: a sum of as many squares as there are rows, a root, a quotient, a product, and the same in
    # NumPy; then the rounding to dtype.
    return (epsilon(dtype) + (len(expected) + 6) * epsilon("float64")) * abs(expected)


@pytest.mark.parametrize("constraint", reference.CONSTRAINTS)
def test_constrain_columns(constraint: str, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for rows in (0, *ROWS):
        for columns in COLUMNS:
            w = random(rng, dtype, rows, columns) * rng.uniform(0, 1, columns).astype(dtype)
            w[:, ::5] = 0
            limit = 0.6 * rows**0.5  # a normal column has a norm of about sqrt(rows)
            expected = reference.constrain_columns(w.astype(float), constraint=constraint, limit=limit)
            result = kernels.constrain_columns(w, constraint=constraint, limit=limit)
            assert_within(result, expected, constrained_bound(expected, dtype), message=f"({rows}, {columns})")


def test_constrain_columns_to_a_greatest_norm(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    w = random(rng, dtype, 30, 70)
    norms = np.linalg.norm(w.astype(float), axis=0)
    limit = float(np.sort(norms)[34:36].mean())
    result = kernels.constrain_columns(w, constraint="max_norm", limit=limit)
    obeys = norms < limit
    assert as_bytes(result[:, obeys]) == as_bytes(w[:, obeys])
    after = np.linalg.norm(result.astype(float), axis=0)[~obeys]
    assert abs(after - limit).max() <= limit * (epsilon(dtype) + 40 * epsilon("float64"))


def test_constrain_columns_of_odd_values(kernels: EveryTeam, dtype: str) -> None:
    small, large = (1e-30, 1e30) if dtype == "float32" else (1e-150, 1e150)
    w = np.array([[3, small, large, 0, np.nan, -1], [4, -small, large, -0.0, 1, np.nan]], dtype)
    limit = {"constraint": "max_norm", "limit": 2.5}
    half = 0.5**0.5
    for options, expected in (
        (limit, [[1.5, small, 2.5 * half, 0, np.nan, -1], [2, -small, 2.5 * half, 0, 1, np.nan]]),
        ({"constraint": "unit_norm"}, [[0.6, half, half, 0, np.nan, -1], [0.8, -half, half, 0, 1, np.nan]]),
        ({"constraint": "non_negative"}, [[3, small, large, 0, np.nan, 0], [4, 0, large, 0, 1, np.nan]]),
    ):
        assert_within(
            kernels.constrain_columns(w, **options),
            np.array(expected),
            np.nan_to_num(2 * constrained_bound(np.array(expected), dtype)),  # half and 2.5 half are rounded too
            message=str(options),
        )


def test_constrain_columns_knows_its_words(kernels: EveryTeam, dtype: str) -> None:
    known = ", ".join(reference.CONSTRAINTS)
    with pytest.raises(ValueError, match=f'unknown constraint "min_norm"; known are: {known}$'):
        kernels.teams[0].constrain_columns(np.ones((2, 2), dtype), constraint="min_norm")
