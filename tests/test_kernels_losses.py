"""Softmax, losses and scores of the engine against the specification in float64.

Bounds of the errors are derived where they are used; EPS is twice the error of one rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kernel_checks import ROW_SHAPES, EveryTeam, assert_within, epsilon, random
from numpy.testing import assert_array_equal

from chainrule import reference

BINARY = "binary_cross_entropy_probabilities"


def wide(array: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    return array.astype(float) if array is not None and array.dtype.kind == "f" else array


def row_size(p: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return 1 + max |p - max p| of each row, (B, 1): its rounding, EPS / 2 of that, becomes a relative one in exp."""
    with np.errstate(invalid="ignore"):
        spread = p.astype(float) - p.astype(float).max(axis=1, keepdims=True, initial=-np.inf)
    return 1 + np.nan_to_num(abs(spread), posinf=0).max(axis=1, keepdims=True, initial=0)


@pytest.mark.parametrize("size", [1, 20, 1000])
def test_softmax_forward(size: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for shape in ROW_SHAPES:
        z = random(rng, dtype, *shape) * np.dtype(dtype).type(size)
        expected = reference.softmax_forward(wide(z))
        # exp within 4 units, of an argument wrong by EPS / 2 of its size; a sum of K; a division. Once more for NumPy.
        bound = epsilon(dtype) * (row_size(z) + shape[1] + 8) * expected
        assert_within(kernels.softmax_forward(z), expected, bound, message=f"(B, K) = {shape}")


def test_softmax_backward(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for shape in ROW_SHAPES:
        h, dh = reference.softmax_forward(random(rng, dtype, *shape)), random(rng, dtype, *shape)
        expected = reference.softmax_backward(wide(h), wide(dh))
        # A sum of K products of size |h dh|, then two roundings.
        bound = epsilon(dtype) * (shape[1] + 4) * h * (abs(dh) + (h * abs(dh)).sum(axis=1, keepdims=True))
        assert_within(kernels.softmax_backward(h, dh), expected, bound, message=f"(B, K) = {shape}")


ODD_ROWS = [
    [np.nan, 0.0, 1.0, 2.0, 3.0],
    [0.0, 1.0, 2.0, 3.0, np.nan],
    [np.inf, 0.0, 1.0, 2.0, 3.0],
    [-np.inf, 0.0, 1.0, 2.0, 3.0],
    [-np.inf, -np.inf, -np.inf, -np.inf, -np.inf],
    [np.inf, -np.inf, 0.0, np.nan, 1.0],
    [1e30, -1e30, 1e30, 0.0, 1.0],
    [-1e30, -1e30, -1e30, -1e30, -1e30],
    [1e-40, -1e-40, 0.0, -0.0, 1e-38],
]


def test_softmax_forward_of_odd_rows(kernels: EveryTeam, dtype: str) -> None:
    for repeats in (1, 4):  # 5 and 20 columns: with and without whole vectors
        z = np.tile(np.array(ODD_ROWS, dtype), (1, repeats))
        expected = reference.softmax_forward(wide(z))
        assert_within(kernels.softmax_forward(z), expected, 40 * epsilon(dtype) * np.nan_to_num(expected))


# Losses of one element ------------------------------------------------------------------------------------------------


# The parameter of each loss in these tests; 0 where it takes none.
PARAMETERS = {
    "huber": 0.7,
    "pinball": 0.3,
    "binary_cross_entropy_logits": 0.1,
    "binary_cross_entropy_probabilities": 0.1,
}
OF_PROBABILITIES = (BINARY, "poisson")


def loss_and_bounds(
    loss: str, p: npt.NDArray[Any], y: npt.NDArray[Any], a: float, dtype: str
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return p (B, K) in float64 as the formula uses it, and bounds, in EPS, of the errors of l and dl/dp."""
    tiny = np.dtype(dtype).type(reference.PROBABILITY_MARGIN)
    f, smooth = p.astype(float), (1 - a) * y + a / 2  # of a smoothed label: two rounded constants, a product, a sum
    with np.errstate(invalid="ignore", over="ignore"):
        if loss == BINARY:
            # log within 4 units; 1 - f is wrong by EPS / 2 of up to 1, which log turns into EPS / 2 / (1 - f); y' is
            # wrong by 2 EPS, and 1 - y' by as much.
            f = np.clip(p, tiny, 1 - tiny).astype(float)
            slope = (abs(f - smooth) + 1) / (f * (1 - f))
            return f, 10 * (abs(np.log(f)) + abs(np.log(1 - f)) + 1), 6 * slope
        if loss == "binary_cross_entropy_logits":
            # exp and log1p within 4 units each, and the roundings of p y' and of two sums.
            bound = 2 * abs(f) + 6 * abs(f * smooth) + 8 * np.log1p(np.exp(-abs(f)))
            return f, bound, 8 / (1 + np.exp(-f)) + 4 * smooth
        if loss == "poisson":
            least = np.maximum(p, tiny).astype(float)
            return f, 6 * y * abs(np.log(least)) + least, 2 + 2 * y / least
        if loss == "poisson_log":
            return f, 5 * np.exp(f) + 2 * abs(f * y), 5 * np.exp(f) + y
        value, slope = reference.ELEMENT_LOSSES[loss]
        # p - y is rounded once: a relative error, doubled by the square; then a rounded constant or two, a product. The
        # line of huber subtracts half its constant from |p - y|, which is greater.
        return f, 8 * abs(value(f, y, a)), 3 * abs(slope(f, y, a))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", reference.ELEMENT_LOSSES)
def test_element_loss(loss: str, weighted: bool, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    a = PARAMETERS.get(loss, 0.0) if weighted else {"huber": 1.0, "pinball": 0.5}.get(loss, 0.0)
    for shape in ROW_SHAPES:
        p, y = random(rng, dtype, *shape), rng.uniform(0, 1, shape).astype(dtype)
        y[::3] = np.round(y[::3])  # hard targets too
        if loss in OF_PROBABILITIES:
            p = rng.uniform(0, 1, shape).astype(dtype)
            p.reshape(-1)[::5] = rng.choice(np.array([0, 1, 1e-9, -2, 3], dtype), p.reshape(-1)[::5].shape)
        elif loss == "binary_cross_entropy_logits":
            p *= 30
        weight = rng.uniform(0, 2, shape[0]).astype(dtype) if weighted else None
        factor = 0.3 * (weight.astype(float) if weight is not None else np.ones(shape[0]))
        row_loss, dp = kernels.element_loss(p, y, loss=loss, parameter=a, weight=weight, scale=0.3)

        options = {"loss": loss, "parameter": a, "weight": wide(weight), "scale": 0.3}
        f, error, slope_error = loss_and_bounds(loss, p, wide(y), a, dtype)
        expected, slope = reference.element_loss(f, wide(y), **options)
        sizes = abs(reference.ELEMENT_LOSSES[loss].value(f, wide(y), a))
        # scale, weight and their product are three roundings, the product with the loss a fourth; a sum of K.
        bound = epsilon(dtype) * factor * (error + (shape[1] + 4) * sizes).sum(axis=1)
        assert_within(row_loss, expected, bound, message=f"loss of {shape}")
        bound = epsilon(dtype) * (factor[:, np.newaxis] * slope_error + 4 * abs(slope))
        assert_within(dp, slope, bound, message=f"gradient of {shape}")


@pytest.mark.parametrize("loss", reference.ELEMENT_LOSSES)
def test_element_loss_of_odd_values(loss: str, kernels: EveryTeam, dtype: str) -> None:
    values = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-40, 0.0, -0.0, 1.0, 200.0, -200.0], dtype)
    a = PARAMETERS.get(loss, 0.0)
    for target in (0.0, 0.25, 1.0):
        for p in (values[:, np.newaxis], np.tile(values[:, np.newaxis], (1, 19))):
            y = np.full_like(p, target)
            row_loss, dp = kernels.element_loss(p, y, loss=loss, parameter=a)
            f, error, slope_error = loss_and_bounds(loss, p, wide(y), a, dtype)
            expected, slope = reference.element_loss(f, wide(y), loss=loss, parameter=a)
            bound = epsilon(dtype) * (error.sum(axis=1) + 24 * abs(expected))
            assert_within(row_loss, expected, np.nan_to_num(bound, posinf=0), message=f"loss, y = {target}")
            bound = epsilon(dtype) * (slope_error + 4 * abs(slope))
            assert_within(dp, slope, np.nan_to_num(bound, posinf=0), message=f"gradient, y = {target}")
            assert np.isnan(row_loss[0])
            assert np.isnan(dp[0]).all()


def test_element_loss_at_its_kinks(kernels: EveryTeam, dtype: str) -> None:
    # Where p = y, and, for huber, where |p - y| is its parameter: the slopes that are specified.
    y = np.array([[0.5, 0.5, -1.0]], dtype)
    for loss in ("absolute_difference", "pinball", "huber"):
        row_loss, dp = kernels.element_loss(y, y, loss=loss, parameter=0.25)
        assert_array_equal(row_loss, [0])
        assert_array_equal(dp, [[0, 0, 0]])
    row_loss, dp = kernels.element_loss(y + np.array([[0.25, -0.25, 0]], dtype), y, loss="huber", parameter=0.25)
    assert_array_equal(row_loss, [2 * 0.25**2 / 2])
    assert_array_equal(dp, [[0.25, -0.25, 0]])


def test_element_loss_of_nan_targets(kernels: EveryTeam, dtype: str) -> None:
    for loss in reference.ELEMENT_LOSSES:
        row_loss, dp = kernels.element_loss(np.full((2, 3), 0.5, dtype), np.full((2, 3), np.nan, dtype), loss=loss)
        assert np.isnan(row_loss).all(), loss
        assert np.isnan(dp).all(), loss


# Cross-entropy --------------------------------------------------------------------------------------------------------


def targets_of(kind: str, shape: tuple[int, int], dtype: str, rng: np.random.Generator) -> npt.NDArray[Any]:
    labels = rng.integers(0, shape[1], shape[0]).astype(np.int32)
    if kind == "labels":
        return labels
    if kind == "one_hot":
        return np.eye(shape[1], dtype=dtype)[labels]
    y = rng.uniform(0, 1, shape).astype(dtype)
    return y / y.sum(axis=1, keepdims=True) if kind == "soft" else y


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("kind", ["labels", "one_hot", "soft", "not_normalised"])
def test_cross_entropy(
    kind: str, from_logits: bool, weighted: bool, kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    smoothing = 0.1 if weighted else 0.0
    for shape in ROW_SHAPES:
        K = shape[1]
        y = targets_of(kind, shape, dtype, rng)
        dense = (1 - smoothing) * wide(np.eye(K)[y] if y.ndim == 1 else y) + smoothing / K
        if from_logits:
            p = random(rng, dtype, *shape) * np.dtype(dtype).type(10)
            f = p.astype(float)
            # Each log f = p - max - log(sum of exp): the roundings of p - max, of its exp, a sum of K, its log.
            log_f_error = K + 8 + 4 * np.log(K) + 2 * row_size(p)
            slope_error = (K + 10 + row_size(p)) * reference.softmax_forward(f) * dense.sum(axis=1, keepdims=True)
            slope_error += K * reference.softmax_forward(f) * dense.sum(axis=1, keepdims=True) + dense
        else:
            p = rng.uniform(0, 1, shape).astype(dtype)
            p.reshape(-1)[::5] = rng.choice(np.array([0, 1, 1e-9, -2, 3], dtype), p.reshape(-1)[::5].shape)
            f = np.clip(p, np.dtype(dtype).type(reference.PROBABILITY_MARGIN), 1).astype(float)
            log_f_error, slope_error = 4 * abs(np.log(f)), dense / f
        # A smoothed target has two rounded constants, a product and a sum.
        log_f = np.log(reference.softmax_forward(f) if from_logits else f)
        log_f_error, slope_error = log_f_error + 2 * abs(log_f), slope_error + 2 * (dense if from_logits else dense / f)
        weight = rng.uniform(0, 2, shape[0]).astype(dtype) if weighted else None
        factor = 0.3 * (weight.astype(float) if weight is not None else np.ones(shape[0]))
        options = {"from_logits": from_logits, "smoothing": smoothing, "scale": 0.3}
        row_loss, dp = kernels.cross_entropy(p, y, weight=weight, **options)

        options["weight"] = wide(weight)
        expected, slope = reference.cross_entropy(f, wide(y), **options)
        # Four roundings for scale, weight and the product with them; a sum of K terms.
        bound = epsilon(dtype) * (factor * (dense * log_f_error).sum(axis=1) + (K + 4) * abs(expected))
        assert_within(row_loss, expected, bound, message=f"loss of {shape}")
        bound = epsilon(dtype) * (factor[:, np.newaxis] * slope_error + 4 * abs(slope))
        assert_within(dp, slope, bound, message=f"gradient of {shape}")


def test_cross_entropy_of_odd_rows(kernels: EveryTeam, dtype: str) -> None:
    for repeats in (1, 4):
        p = np.tile(np.array(ODD_ROWS, dtype), (1, repeats))
        for label in range(5):
            labels = np.full(len(p), label, np.int32)
            row_loss, dp = kernels.cross_entropy(p, labels)
            expected, slope = reference.cross_entropy(wide(p), labels)
            bound = epsilon(dtype) * (60 + 2 * row_size(p)[:, 0] + 4 * abs(np.nan_to_num(expected, posinf=0, neginf=0)))
            assert_within(row_loss, expected, bound, message=f"loss, label {label}")
            assert_within(dp, slope, 60 * epsilon(dtype), message=f"gradient, label {label}")
            assert np.isnan(row_loss[np.isnan(p).any(axis=1)]).all()


def test_cross_entropy_ignores_a_constant(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for shape in ROW_SHAPES:
        p = rng.integers(-1024, 1024, shape).astype(dtype) / np.dtype(dtype).type(256)
        moved = p + np.dtype(dtype).type(4096)
        assert_array_equal(moved - np.dtype(dtype).type(4096), p)  # nothing is lost before the engine is asked
        for y in (targets_of("labels", shape, dtype, rng), targets_of("soft", shape, dtype, rng)):
            row_loss, dp = kernels.cross_entropy(moved, y)
            expected, slope = reference.cross_entropy(wide(p), wide(y))
            # log f as in test_cross_entropy: from p - max, which is exact here and below 8, not from p.
            bound = epsilon(dtype) * (shape[1] + 10) * 16
            assert_within(row_loss, expected, bound, message=f"loss of {shape}, {y.ndim}")
            assert_within(dp, slope, bound, message=f"gradient of {shape}")


def test_cross_entropy_of_excluded_classes(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    # A logit of -inf means probability 0: where the target is 0 too, it costs nothing.
    p, labels = random(rng, dtype, 8, 21), rng.integers(0, 10, 8).astype(np.int32)
    p[:, 10:] = -np.inf
    expected, slope = reference.cross_entropy(wide(p[:, :10]), labels)
    for y in (labels, np.eye(21, dtype=dtype)[labels]):
        row_loss, dp = kernels.cross_entropy(p, y)
        assert_within(row_loss, expected, 100 * epsilon(dtype))
        assert_within(dp, np.pad(slope, ((0, 0), (0, 11))), 100 * epsilon(dtype))


def test_cross_entropy_of_smoothed_targets(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    # The same as targets that were smoothed before; and an excluded class is no longer for nothing.
    p, labels = random(rng, dtype, 9, 21), rng.integers(0, 21, 9).astype(np.int32)
    smooth = (0.8 * np.eye(21)[labels] + 0.2 / 21).astype(dtype)
    for from_logits, prediction in ((True, p), (False, reference.softmax_forward(p))):
        expected = kernels.cross_entropy(prediction, smooth, from_logits=from_logits)
        for y in (labels, np.eye(21, dtype=dtype)[labels]):
            row_loss, dp = kernels.cross_entropy(prediction, y, from_logits=from_logits, smoothing=0.2)
            # Sums of 21 terms below 10; slopes below 1, or below 1 over the smallest probability.
            assert_within(row_loss, wide(expected[0]), 210 * epsilon(dtype))
            assert_within(dp, wide(expected[1]), 20 * epsilon(dtype) * np.maximum(1, abs(wide(expected[1]))))
    p[:, 3] = -np.inf
    for y in (labels, np.eye(21, dtype=dtype)[labels]):
        assert_array_equal(kernels.cross_entropy(p, y, smoothing=0.2)[0], np.full(9, np.inf))
    with pytest.raises(ValueError, match="smoothing must be at least 0 and below 1"):
        kernels.teams[0].cross_entropy(p, labels, smoothing=1.0)


def test_cross_entropy_of_nan_probabilities_and_targets(kernels: EveryTeam, dtype: str) -> None:
    whole, nan = np.full((3, 4), 0.25, dtype), np.full((3, 4), np.nan, dtype)
    labels = np.zeros(3, np.int32)
    for p, y, from_logits in ((nan, whole, True), (nan, whole, False), (nan, labels, False), (whole, nan, True)):
        row_loss, dp = kernels.cross_entropy(p, y, from_logits=from_logits)
        assert np.isnan(row_loss).all()
        assert np.isnan(dp[:, 0]).all()


def test_cross_entropy_of_the_widest_logits_is_right(kernels: EveryTeam, dtype: str) -> None:
    p = np.array([[1000.0, 0.0], [0.0, 1000.0]], dtype)
    row_loss, dp = kernels.cross_entropy(p, np.zeros(2, np.int32))
    assert_array_equal(row_loss, [0, 1000])
    assert_array_equal(dp, [[0, 0], [-1, 1]])


def test_cross_entropy_of_logits_too_far_apart(kernels: EveryTeam, dtype: str) -> None:
    """The difference of two logits is no number of the type, but its part of a mean is; without weight it is 0."""
    if kernels.teams[0].isa == "cuda":
        pytest.skip("a GPU takes the difference first")
    most = np.finfo(dtype).max
    p = np.array([[most, -most, 0.0]] * 3, dtype)
    row_loss, _ = kernels.cross_entropy(p, np.ones(3, np.int32), weight=np.array([0, 0.125, 1], dtype), scale=0.25)
    assert_array_equal(row_loss, np.array([0, most / 16, most / 2], dtype))


# Scores ---------------------------------------------------------------------------------------------------------------


def test_correct_rows(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for shape in ROW_SHAPES:
        labels = rng.integers(0, shape[1], shape[0]).astype(np.int32)
        y = random(rng, dtype, *shape)
        p = rng.integers(0, 3, shape).astype(dtype)  # many ties
        p[rng.random(shape) < 0.5 / shape[1]] = np.nan
        p[rng.random(shape) < 0.1] = np.inf
        for targets in (labels, y, np.eye(shape[1], dtype=dtype)[labels]):
            for k in {1, 2, shape[1]}:
                expected = reference.correct_rows(p, targets, k=k)
                assert_array_equal(kernels.correct_rows(p, targets, k=k), expected, err_msg=f"{shape}, {k}")


def test_correct_rows_with_nan_targets(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for columns in (1, 3, 20):
        p, y = random(rng, dtype, 9, columns), random(rng, dtype, 9, columns)
        y[::2, -1] = np.nan
        expected = reference.correct_rows(p, y)
        assert_array_equal(kernels.correct_rows(p, y), expected)
        assert not expected[::2].any()


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_correct_rows_of_one_output(threshold: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for rows in (0, 1, 7, 33, 100):
        p, y = random(rng, dtype, rows, 1), rng.integers(0, 2, (rows, 1)).astype(dtype)
        p[::4] = threshold  # not above it
        expected = reference.correct_rows(p, y, threshold=threshold)
        assert_array_equal(kernels.correct_rows(p, y, threshold=threshold), expected)


def test_count_classes(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for shape in ROW_SHAPES:
        labels = rng.integers(0, shape[1], shape[0]).astype(np.int32)
        y, before = random(rng, dtype, *shape), rng.integers(0, 2**40, (3, shape[1])).astype(float)
        y[rng.random(shape) < 0.2 / shape[1]] = np.nan
        p = rng.integers(0, 3, shape).astype(dtype)  # many ties
        p[rng.random(shape) < 0.5 / shape[1]] = np.nan
        p[rng.random(shape) < 0.1] = -np.inf
        for targets in (labels, y, np.eye(shape[1], dtype=dtype)[labels]):
            expected = reference.count_classes(p, targets, before)
            assert_array_equal(kernels.count_classes(p, targets, before), expected, err_msg=f"{shape}")


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_count_classes_that_may_be_several(
    threshold: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    for shape in ROW_SHAPES:
        p, y = random(rng, dtype, *shape), rng.integers(0, 2, shape).astype(dtype)
        p[::4], y[1::4] = threshold, 0.5  # not above them
        p[rng.random(shape) < 0.1] = np.nan
        y[rng.random(shape) < 0.1] = np.nan
        before = rng.integers(0, 9, (3, shape[1])).astype(float)
        options = {"exclusive": False, "threshold": threshold}
        expected = reference.count_classes(p, y, before, **options)
        assert_array_equal(kernels.count_classes(p, y, before, **options), expected, err_msg=f"{shape}")
        # With labels classes exclude each other, whatever is said.
        labels = rng.integers(0, shape[1], shape[0]).astype(np.int32)
        expected = reference.count_classes(p, labels, before)
        assert_array_equal(kernels.count_classes(p, labels, before, **options), expected, err_msg=f"{shape}")
