"""The operations of the engine against the specification, python/chainrule/reference.py.

Here: what holds for all of them, and those that work element by element, that gather, and that sum. The others are in
test_kernels_matmul.py, test_kernels_losses.py and test_kernels_random.py; dense sweeps of exp, tanh and log in
test_vector_math.py. That no operation is forgotten is a matter of test_repo.py.

Every operation runs on teams of several sizes, which must agree to the last bit (kernel_checks.EveryTeam).
EPS in the bounds is twice the greatest relative error of one rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kernel_checks import SIZES, EveryTeam, as_bytes, assert_within, epsilon, random
from numpy.testing import assert_allclose, assert_array_equal

from chainrule import reference

# The parameter of each activation in these tests; 0 where it takes none.
PARAMETERS = {"leaky_relu": 0.1, "elu": 1.3}


def calls(rng: np.random.Generator, dtype: str, rows: int = 6) -> dict[str, tuple[list[Any], dict[str, Any]]]:
    """Return arguments for every operation, of `rows` rows."""
    p, y, labels = random(rng, dtype, rows, 5), random(rng, dtype, rows, 5), rng.integers(0, 5, rows).astype(np.int32)
    x, bias, weight = random(rng, dtype, 4, 5), random(rng, dtype, 4), rng.uniform(0, 1, rows).astype(dtype)
    chosen = rng.integers(0, 4, rows).astype(np.int32)
    flat = [random(rng, dtype, 3 * rows) for _ in range(3)] + [rng.uniform(0, 1, 3 * rows).astype(dtype)]
    return {
        "matmul": ([p, x], {"transpose_b": True, "bias": bias, "activation": "tanh"}),
        "activation_forward": ([p], {"activation": "sigmoid"}),
        "activation_backward": ([p, y], {"activation": "sigmoid"}),
        "dropout": ([p], {"rate": 0.5, "seed": 1, "layer": 2, "step": 3}),
        "add_scaled": ([0.5, p, y], {}),
        "fill": ([0.5, rows], {}),
        "update": (flat, {"rule": "adam", "rate": 0.1, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3}),
        "softmax_forward": ([p], {}),
        "softmax_backward": ([p, y], {}),
        "gather_rows": ([x, chosen], {}),
        "gather_labels": ([np.arange(4, dtype=np.int32), chosen], {}),
        "element_loss": ([p, y], {"loss": "squared_difference", "weight": weight, "scale": 0.5}),
        "cross_entropy": ([p, labels], {"weight": weight, "scale": 0.5}),
        "correct_rows": ([p, labels], {}),
        "column_sum": ([p], {"add_to": random(rng, dtype, 5)}),
        "sum_squares": ([p], {}),
    }


# All operations -------------------------------------------------------------------------------------------------------


def same(dtype: str, operation: str, arguments: list[Any], options: dict[str, Any], result: Any) -> None:
    """Require that a result is the specification's, to within the roundings of a few small numbers."""
    if operation == "fill":
        options = {"dtype": dtype}
    expected = getattr(reference, operation)(*arguments, **options)
    results, expecteds = (value if isinstance(value, tuple) else (value,) for value in (result, expected))
    for one, other in zip(results, expecteds, strict=True):
        assert_allclose(one, other, rtol=0, atol=200 * epsilon(dtype), err_msg=operation)


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_all_leave_their_inputs_alone(rows: int, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for operation, (arguments, options) in calls(rng, dtype, rows).items():
        inputs = [value for value in [*arguments, *options.values()] if isinstance(value, np.ndarray)]
        before = [array.copy() for array in inputs]
        same(dtype, operation, arguments, options, getattr(kernels, operation)(*arguments, **options))
        for array, copy in zip(inputs, before, strict=True):
            assert_array_equal(array, copy, err_msg=operation)


def test_all_on_three_threads(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for operation, (arguments, options) in calls(rng, dtype, 301).items():
        one, _, three = (getattr(team, operation)(*arguments, **options) for team in kernels.teams)
        assert as_bytes(three) == as_bytes(one), operation


def spread(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the same values, every second of a larger array along each axis."""
    larger = np.full([2 * n + 1 for n in array.shape], 99, array.dtype)
    view = larger[tuple(slice(1, 2 * n + 1, 2) for n in array.shape)]
    view[...] = array
    return view


LAYOUTS = {
    "spread": spread,
    "columns": np.asfortranarray,
    "backwards": lambda array: np.flip(np.flip(array).copy()),
    "read_only": lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_take_any_layout(layout: str, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    change = LAYOUTS[layout]
    for operation, (arguments, options) in calls(rng, dtype).items():
        expected = getattr(kernels, operation)(*arguments, **options)
        changed = [change(value) if isinstance(value, np.ndarray) else value for value in arguments]
        others = {key: change(value) if isinstance(value, np.ndarray) else value for key, value in options.items()}
        assert as_bytes(getattr(kernels, operation)(*changed, **others)) == as_bytes(expected), operation


# Activations ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activation_forward(activation: str, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    options = {"activation": activation, "parameter": PARAMETERS.get(activation, 0.0)}
    for n in SIZES:
        z = random(rng, dtype, n) * np.dtype(dtype).type(3)
        expected = reference.activation_forward(z.astype(float), **options)
        h = kernels.activation_forward(z, **options)
        # 4 units in the last place, and the rounding of the parameter.
        assert_within(h, expected, 5 * epsilon(dtype) * abs(expected), message=f"{n} elements")


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activation_forward_of_odd_values(activation: str, kernels: EveryTeam, dtype: str) -> None:
    most, least = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    values = np.array([np.nan, np.inf, -np.inf, most, -most, least, -least, 0.0, -0.0, 1.0, -1.0, 90, -90], dtype)
    options = {"activation": activation, "parameter": PARAMETERS.get(activation, 0.0)}
    for start in range(len(values)):  # each value in each lane of a vector, and in what is left over
        z = np.tile(np.roll(values, start), 4)
        h = kernels.activation_forward(z, **options)
        expected = reference.activation_forward(z.astype(float), **options)
        assert_within(h, expected, 5 * epsilon(dtype) * abs(np.nan_to_num(expected, posinf=0, neginf=0)))
        assert_array_equal(np.isnan(h), np.isnan(z))


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activation_backward(activation: str, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    a = PARAMETERS.get(activation, 0.0)
    options = {"activation": activation, "parameter": a}
    for n in SIZES:
        h, dh = reference.activation_forward(random(rng, dtype, n), **options), random(rng, dtype, n)
        expected = reference.activation_backward(h.astype(float), dh.astype(float), **options)
        # Up to two roundings in the slope, of numbers of size 1 + a; the parameter's; the product with dh.
        bound = 2 * epsilon(dtype) * (1 + a) * abs(dh)
        assert_within(kernels.activation_backward(h, dh, **options), expected, bound, message=f"{n} elements")


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activation_backward_of_odd_values(activation: str, kernels: EveryTeam, dtype: str) -> None:
    options = {"activation": activation, "parameter": PARAMETERS.get(activation, 0.0)}
    h, dh = (grid.ravel().astype(dtype) for grid in np.meshgrid([-1, -0.0, 0, 0.5, 1], [np.nan, np.inf, -np.inf, 2]))
    expected = reference.activation_backward(h.astype(float), dh.astype(float), **options)
    bound = 4 * epsilon(dtype) * (1 + options["parameter"])
    assert_within(kernels.activation_backward(h, dh, **options), expected, bound)
    nan = np.full(19, np.nan, dtype)
    assert np.isnan(kernels.activation_backward(nan, nan, **options)).all()


# Element by element ---------------------------------------------------------------------------------------------------


def test_add_scaled(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        x, y = random(rng, dtype, n), random(rng, dtype, n)
        for factor in (0.0, 1.0, -0.3):
            exact = y.astype(float) + factor * x.astype(float)
            bound = epsilon(dtype) * (2 * abs(factor * x) + abs(y))  # roundings of the factor, a product, a sum
            assert_within(kernels.add_scaled(factor, x, y), exact, bound, message=f"{n} elements")


def test_fill(kernels: EveryTeam, dtype: str) -> None:
    for n in SIZES:
        for value in (0.0, -0.1, math.inf, math.nan):
            assert_array_equal(kernels.fill(value, n), reference.fill(value, n, dtype=dtype))


RULE_NUMBERS = {"rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}


def update_bounds(
    rule: str, w: npt.NDArray[Any], g: npt.NDArray[Any], v: npt.NDArray[Any], s: npt.NDArray[Any], u: dict[str, float]
) -> tuple[npt.NDArray[Any], ...]:
    """Return bounds of the errors of new (w, v, s), in EPS; all arrays in float64."""
    fresh = 1 - u["beta1"] if rule == "momentum_ema" or rule.startswith("adam") else 1.0
    sizes = u["beta1"] * abs(v) + fresh * abs(g)  # of the terms of v; two products, two rounded constants, a sum
    squares = u["beta2"] * s + (1 - u["beta2"]) * g * g  # none is negative: the error is relative
    if rule.startswith("adam"):
        c1, c2 = u["correction1"], u["correction2"]
        inside = rule == "adam_epsilon_inside"
        root = np.sqrt(squares / c2 + (u["epsilon"] if inside else 0)) + (0 if inside else u["epsilon"])
        # v is wrong by 2 EPS of its terms, the root by a relative 3 EPS; five more roundings.
        return abs(w) + 10 * u["rate"] / c1 * sizes / root, 2 * sizes, 4 * squares
    step = {"gradient_descent": abs(g), "momentum_nesterov": abs(g) + u["beta1"] * sizes}.get(rule, sizes)
    return abs(w) + 6 * u["rate"] * step, 2 * sizes, 0 * s


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
def test_update(rule: str, corrected: bool, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    numbers = RULE_NUMBERS | {"correction1": 0.1 if corrected else 1.0, "correction2": 0.001 if corrected else 1.0}
    for n in SIZES:
        sizes = 10.0 ** rng.integers(-4, 3, (4, n))
        arrays = [(size * rng.standard_normal(n)).astype(dtype) for size in sizes]
        arrays[3] = abs(arrays[3])
        for array in arrays[1:]:
            array[::7] = 0
        exact = [array.astype(float) for array in arrays]
        expected = reference.update(*exact, rule=rule, **numbers)
        results = kernels.update(*arrays, rule=rule, **numbers)
        for name, result, value, bound in zip(
            "wvs", results, expected, update_bounds(rule, *exact, numbers), strict=True
        ):
            assert_within(result, value, epsilon(dtype) * bound, message=f"{name} of {n} elements")


@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
def test_update_of_odd_values(rule: str, kernels: EveryTeam, dtype: str) -> None:
    g = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0] * 7, dtype)
    w, v, s = np.zeros((3, 35), dtype)
    exact = (array.astype(float) for array in (w, g, v, s))
    expected = reference.update(*exact, rule=rule, **RULE_NUMBERS)
    for result, value in zip(kernels.update(w, g, v, s, rule=rule, **RULE_NUMBERS), expected, strict=True):
        assert_within(result, value, 16 * epsilon(dtype) * np.nan_to_num(abs(value), posinf=0))


# Gathering ------------------------------------------------------------------------------------------------------------


def test_gather_rows(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for columns in (1, 2, 3, 7, 16, 17, 64, 100, 784):
        x = random(rng, dtype, 50, columns)
        x[3, 0] = np.nan
        for count in (0, 1, 7, 32, 129):
            rows = rng.integers(0, 50, count).astype(np.int32)
            assert_array_equal(kernels.gather_rows(x, rows), reference.gather_rows(x, rows))


def test_gather_labels(kernels: EveryTeam, rng: np.random.Generator) -> None:
    labels = rng.integers(0, 1000, 50).astype(np.int32)
    for count in (0, 1, 7, 32, 129, 1000):
        rows = rng.integers(0, 50, count).astype(np.int32)
        gathered = kernels.gather_labels(labels, rows)
        assert gathered.dtype == np.int32
        assert_array_equal(gathered, reference.gather_labels(labels, rows))


# Sums -----------------------------------------------------------------------------------------------------------------


def test_column_sum(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for rows in (0, 1, 2, 7, 33, 130):
        for columns in (1, 2, 7, 8, 16, 17, 31, 33, 100, 257, 1000):
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


def test_sum_squares(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in (*SIZES, 50_001):
        x = random(rng, dtype, n)
        exact = math.fsum(v * v for v in x.astype(float).tolist())
        # In double precision whatever x is; none is negative, so n roundings are a relative n EPS.
        assert abs(kernels.sum_squares(x) - exact) <= (n + 1) * epsilon("float64") * exact
    assert kernels.sum_squares(np.full(3, 1e20, dtype)) == pytest.approx(3e40, rel=1e-7)
    assert math.isnan(kernels.sum_squares(np.array([1, np.nan, 2], dtype)))
    assert kernels.sum_squares(np.array([1, -np.inf, 2], dtype)) == math.inf
