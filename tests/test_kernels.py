"""The operations of the engine against the specification, python/chainrule/reference.

Here: what holds for all of them, and those that work element by element, that take the greatest of several pieces, and
that gather. The others are in test_kernels_matmul.py, test_kernels_losses.py, test_kernels_updates.py,
test_kernels_columns.py, test_kernels_penalties.py, test_kernels_random.py and test_kernels_augmentation.py; dense
sweeps of exp, tanh and log in test_vector_math.py. That no operation is forgotten is a matter of test_repo.py.

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
from chainrule._engine import ImageChanges

# The parameter of each activation in these tests; 0 where it takes none.
PARAMETERS = {"leaky_relu": 0.1, "elu": 1.3, "step": 0.7}


def calls(rng: np.random.Generator, dtype: str, rows: int = 6) -> dict[str, tuple[list[Any], dict[str, Any]]]:
    """Return arguments for every operation, of `rows` rows."""
    p, y, labels = random(rng, dtype, rows, 5), random(rng, dtype, rows, 5), rng.integers(0, 5, rows).astype(np.int32)
    x, bias, weight = random(rng, dtype, 4, 5), random(rng, dtype, 4), rng.uniform(0, 1, rows).astype(dtype)
    chosen = rng.integers(0, 4, rows).astype(np.int32)
    flat = [random(rng, dtype, 3 * rows) for _ in range(3)] + [rng.uniform(0, 1, 3 * rows).astype(dtype)] * 2
    mean, variance, gamma, beta = rng.uniform(0.5, 2, (4, 5)).astype(dtype)
    stream, row_stream = {"seed": 1, "layer": 2, "step": 3}, {"seed": 1, "place": 2, "epoch": 3}
    numbers = rng.permutation(rows).astype(np.int32)
    return {
        "matmul": ([p, x], {"transpose_b": True, "bias": bias, "activation": "tanh"}),
        "activation_forward": ([p], {"activation": "sigmoid"}),
        "activation_backward": ([p, y], {"activation": "sigmoid"}),
        "dropout": ([p], {"count": 2, "scale": 1.5} | stream),
        "add_noise": ([p], {"deviation": 0.5} | stream),
        "add_scaled": ([0.5, p, y], {}),
        "scale": ([0.5, p], {}),
        "multiply": ([p, y], {}),
        "clip": ([0.5, p], {}),
        "clip_norm": ([0.5, 3.0, p], {}),
        "soft_threshold": ([0.5, p], {}),
        "fill": ([0.5, rows], {}),
        "update": (flat, {"rule": "adam", "rate": 0.1, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3}),
        "softmax_forward": ([p], {}),
        "softmax_backward": ([p, y], {}),
        "max_pieces_forward": ([p], {"pieces": 5}),
        "max_pieces_backward": ([p, p[:, :1]], {}),
        "gather_rows": ([x, chosen], {}),
        "gather_labels": ([np.arange(4, dtype=np.int32), chosen], {}),
        "noise_rows": ([p, numbers], {"deviation": 0.5} | row_stream),
        "augment_images": ([p, numbers, ImageChanges(1, 5, 1, True, True, 0.1, 1, 0.2, 0.5)], row_stream),
        "shuffled_order": ([len(p)], {"seed": 1, "epoch": 2}),
        "column_moments": ([p if rows else x], {}),  # of no rows there is no mean
        "normalize_forward": ([p, mean, variance, gamma, beta], {"epsilon": 1e-3}),
        "normalize_backward": ([p, mean, variance, gamma, y], {"epsilon": 1e-3}),
        "constrain_columns": ([p], {"constraint": "max_norm"}),
        "element_loss": ([p, y], {"loss": "squared_difference", "weight": weight, "scale": 0.5}),
        "cross_entropy": ([p, labels], {"weight": weight, "scale": 0.5}),
        "correct_rows": ([p, labels], {}),
        "count_classes": ([p, labels, np.full((3, 5), 2.0)], {}),
        "column_sum": ([p], {"add_to": random(rng, dtype, 5)}),
        "accumulate": ([p[:, 0].copy(), 0.5, 2.0], {}),
        "sum_up": ([p[:, 0].astype(float)], {}),
        "penalty_sum": ([p], {"term": "square"}),
        "penalty_gradient": ([0.5, p, y], {"term": "square"}),
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


@pytest.mark.parametrize("factor", [1.0, 0.0, -0.3, 1e3])
def test_scale(factor: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        x = random(rng, dtype, n)
        bound = epsilon(dtype) * abs(factor * x)  # roundings of the factor and of a product
        assert_within(kernels.scale(factor, x), factor * x.astype(float), bound, message=f"{n} elements")


def test_scale_by_one_changes_nothing(kernels: EveryTeam, dtype: str) -> None:
    x = np.resize(odd_values(dtype), 35)
    assert as_bytes(kernels.scale(1.0, x)) == as_bytes(x)


def odd_values(dtype: str) -> npt.NDArray[Any]:
    info = np.finfo(dtype)
    return np.array([np.nan, np.inf, -np.inf, info.max, -info.max, info.tiny, 0.0, -0.0, 0.5, -0.5, 2, -2], dtype)


def test_multiply(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        x, factors = random(rng, dtype, n), random(rng, dtype, n)
        assert_array_equal(kernels.multiply(x, factors), x * factors)  # one rounding
    left, right = (grid.ravel() for grid in np.meshgrid(odd_values(dtype), odd_values(dtype)))
    with np.errstate(all="ignore"):
        assert_array_equal(kernels.multiply(left, right), left * right)


@pytest.mark.parametrize("operation", ["clip", "soft_threshold"])
@pytest.mark.parametrize("limit", [0.0, 0.5, 1e30])
def test_limits(operation: str, limit: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    # One rounding at most: exactly the specification's.
    call, specified = getattr(kernels, operation), getattr(reference, operation)
    for n in SIZES:
        x = random(rng, dtype, n)
        assert_array_equal(call(limit, x), specified(limit, x), err_msg=f"{n} elements")
    x = np.resize(odd_values(dtype), 35)
    assert_array_equal(call(limit, x), specified(limit, x))


def test_clip(kernels: EveryTeam, dtype: str) -> None:
    x = np.array([-3, -1, -0.5, 0, 0.5, 1, 3, np.nan], dtype)
    assert_array_equal(kernels.clip(1.0, x), np.array([-1, -1, -0.5, 0, 0.5, 1, 1, np.nan], dtype))


@pytest.mark.parametrize("squares", [0.0, 0.25, 0.9999, 1.0001, 16.0, math.inf, math.nan])
def test_clip_norm(squares: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for n in SIZES:
        g = random(rng, dtype, n)
        with np.errstate(invalid="ignore"):
            expected = reference.clip_norm(1.0, squares, g)
        # The same factor, rounded once to the dtype, and one product.
        assert_array_equal(kernels.clip_norm(1.0, squares, g), expected)


def test_soft_threshold(kernels: EveryTeam, dtype: str) -> None:
    x = np.array([-3, -1, -0.5, 0, 0.5, 1, 3, np.nan], dtype)
    assert_array_equal(kernels.soft_threshold(1.0, x), np.array([-2, 0, 0, 0, 0, 0, 2, np.nan], dtype))


# Pieces ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
def test_max_pieces(pieces: int, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for rows, units in ((0, 3), (3, 0), (1, 1), (2, 5), (6, 16), (5, 17), (9, 33), (64, 40)):
        z = rng.integers(-3, 4, (rows, pieces * units)).astype(dtype)  # many equals
        z[rng.random(z.shape) < 0.02] = np.nan
        z[rng.random(z.shape) < 0.02] = np.inf
        z[rng.random(z.shape) < 0.02] = -np.inf
        h = kernels.max_pieces_forward(z, pieces=pieces)
        assert_array_equal(h, reference.max_pieces_forward(z, pieces=pieces), err_msg=f"({rows}, {units})")
        dh = random(rng, dtype, rows, units)
        expected = reference.max_pieces_backward(z, dh)
        assert_array_equal(kernels.max_pieces_backward(z, dh), expected, err_msg=f"({rows}, {units})")


def test_max_pieces_forward_of_two_pieces(kernels: EveryTeam, dtype: str) -> None:
    z = np.array([[1, 5, 3, 4], [2, 2, 2, -1], [np.nan, -np.inf, 0, -np.inf]], dtype)
    assert_array_equal(kernels.max_pieces_forward(z, pieces=2), np.array([[3, 5], [2, 2], [np.nan, -np.inf]], dtype))


def test_max_pieces_backward_of_two_pieces(kernels: EveryTeam, dtype: str) -> None:
    z = np.array([[1, 5, 3, 4], [2, 2, 2, -1], [np.nan, -np.inf, 0, -np.inf]], dtype)
    dh = np.array([[10, 20]] * 3, dtype)
    assert_array_equal(kernels.max_pieces_backward(z, dh), [[0, 20, 10, 0], [10, 20, 0, 0], [10, 20, 0, 0]])


def test_max_pieces_refuses_what_is_no_multiple(kernels: EveryTeam, dtype: str) -> None:
    z, team = np.ones((2, 6), dtype), kernels.teams[0]
    for pieces in (0, -1, 4, 12):
        with pytest.raises(ValueError, match="not a multiple"):
            team.max_pieces_forward(z, pieces=pieces)
    for units in (0, 4, 12):
        with pytest.raises(ValueError, match="not a multiple"):
            team.max_pieces_backward(z, np.ones((2, units), dtype))


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
