"""The matrix product of the engine against the specification: shapes, transposes, what it adds, what it fuses.

Bound of the error: a sum of k products, in any order, with or without fused multiply-add, is wrong by at most
k EPS / 2 |a||b| (N. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.5). The engine and NumPy in
float64 may each be wrong by that much: together k EPS |a||b|, and a few more roundings for what is added.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kernel_checks import EveryTeam, assert_within, epsilon, random
from numpy.testing import assert_array_equal

from chainrule import reference

EDGES = (0, 1, 2, 7, 8, 9, 15, 16, 17, 33, 48, 49, 100, 257)
CUBE = np.array(list(product(EDGES, repeat=3)))
SMALL = [tuple(shape) for shape in np.random.default_rng(0).choice(CUBE, 60, replace=False).tolist()]

# (m, n, k): weights above 1 MB, blocks of rows, columns and the sum, thin and flat ones.
LARGE = [(131, 517, 700), (257, 1031, 1101), (1, 600, 700), (600, 3, 700), (33, 17, 2500), (700, 130, 64)]
# Few rows, whose sums are dot products of a transposed b from some length on, whole registers or not; and one term.
FEW = [(1, 49, 33), (1, 5, 16), (2, 50, 64), (2, 1, 71), (3, 37, 300), (4, 129, 256), (4, 17, 255), (5, 40, 600)]
FEW += [(130, 70, 1), (7, 200, 1), (1, 70, 1)]
# A transposed b larger than a and c, which are turned: rows that fill registers or not, columns off the strip of 48,
# rows of b 4 KiB apart. The last one would be turned, but a does not fit the scratch memory of a team of one.
TURNED = [(16, 49, 300), (48, 97, 200), (32, 50, 1024), (12, 144, 512), (13, 60, 70), (64, 1030, 600), (64, 100, 16000)]
# One column: dot products of the rows of a from some length on. Few, with a transposed a: computed turned.
NARROW = [(130, 1, 100), (33, 2, 100), (5, 3, 300), (65, 4, 257), (1, 1, 64), (1, 3, 200), (100, 3, 33), (33, 1, 112)]
NARROW += [(784, 10, 64), (17, 16, 70), (130, 4, 40), (16, 2, 32), (500, 17, 9)]

# Shapes for what is done after the sum.
FUSED = [(1, 1, 1), (0, 5, 3), (3, 0, 2), (4, 5, 0), (7, 17, 9), (33, 49, 100), (64, 257, 65), (33, 300, 600)]
FUSED += [(1, 0, 5), (200, 130, 1100), *FEW, *NARROW]  # no columns; blocks of rows and of the sum together

TRANSPOSES = [(False, False), (False, True), (True, False), (True, True)]


def factors(
    rng: np.random.Generator, dtype: str, shape: tuple[int, ...], transposes: tuple[bool, bool]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    m, n, k = shape
    a = random(rng, dtype, k, m) if transposes[0] else random(rng, dtype, m, k)
    return a, random(rng, dtype, n, k) if transposes[1] else random(rng, dtype, k, n)


def exact_and_bound(
    a: npt.NDArray[Any], b: npt.NDArray[Any], transposes: tuple[bool, bool], dtype: str
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the product in float64, and the bound of its error; transposes as given."""
    options = {"transpose_a": transposes[0], "transpose_b": transposes[1]}
    wide_a, wide_b = a.astype(float), b.astype(float)
    k = a.shape[0] if transposes[0] else a.shape[1]
    sizes = reference.matmul(abs(wide_a), abs(wide_b), **options)
    return reference.matmul(wide_a, wide_b, **options), (k + 8) * epsilon(dtype) * sizes


@pytest.mark.parametrize("transposes", TRANSPOSES)
@pytest.mark.parametrize(
    "shapes", [SMALL, LARGE, FEW, TURNED, NARROW], ids=["small", "large", "few", "turned", "narrow"]
)
def test_matmul(
    shapes: list[tuple[int, ...]],
    transposes: tuple[bool, bool],
    kernels: EveryTeam,
    dtype: str,
    rng: np.random.Generator,
) -> None:
    for shape in shapes:
        a, b = factors(rng, dtype, shape, transposes)
        c = kernels.matmul(a, b, transpose_a=transposes[0], transpose_b=transposes[1])
        assert_within(c, *exact_and_bound(a, b, transposes, dtype), message=f"(m, n, k) = {shape}")


def test_rows_of_a_product_do_not_depend_on_each_other(
    kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    if kernels.teams[0].isa == "cuda":
        pytest.skip("on a GPU the order of a sum depends on the number of rows")
    for shape in [*FUSED, (40, 17, 600), (130, 70, 64)]:
        a, b = factors(rng, dtype, shape, (False, False))
        c = kernels.matmul(a, b)
        for row in {0, shape[0] // 2, shape[0] - 1} if shape[0] > 0 else ():
            assert_array_equal(kernels.matmul(a[row : row + 1], b)[0], c[row], err_msg=f"row {row} of {shape}")


@pytest.mark.parametrize("transposes", TRANSPOSES)
def test_matmul_adds(transposes: tuple[bool, bool], kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for shape in FUSED:
        a, b = factors(rng, dtype, shape, transposes)
        c = random(rng, dtype, *shape[:2])
        before = c.copy()
        total = kernels.matmul(a, b, transpose_a=transposes[0], transpose_b=transposes[1], add_to=c)
        exact, bound = exact_and_bound(a, b, transposes, dtype)
        # The product may be added term by term to c: then every rounding is of c + part of the sum.
        bound += (shape[2] + 8) * epsilon(dtype) * abs(c)
        assert_within(total, exact + c, bound, message=f"(m, n, k) = {shape}")
        assert_array_equal(c, before)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_matmul_epilogue(activation: str, bias: bool, kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    options = {"activation": activation, "parameter": 1.25}
    pairs = [(TRANSPOSES[number % 4], TRANSPOSES[(number + 1) % 4]) for number in range(len(FUSED))]  # b both ways
    turned = TURNED[:5]  # the small ones
    pairs += [(TRANSPOSES[1],)] * len(turned)
    for shape, several in zip([*FUSED, *turned], pairs, strict=True):
        for transposes in several:
            a, b = factors(rng, dtype, shape, transposes)
            added = random(rng, dtype, shape[1]) if bias else None
            flags = {"transpose_a": transposes[0], "transpose_b": transposes[1]}
            h = kernels.matmul(a, b, **flags, bias=added, **options)
            z, bound = exact_and_bound(a, b, transposes, dtype)
            if added is not None:
                z, bound = z + added, bound + (shape[2] + 8) * epsilon(dtype) * abs(added)
            exact = reference.activation_forward(z, **options)
            if activation == "step":
                h = np.where(abs(z) > bound, h, exact)  # nearer to the jump than the error of z, both are right
            # No slope is above 1.25; then h itself may be wrong by 4 units in the last place.
            bound = 1.25 * bound + 4 * epsilon(dtype) * abs(exact)
            assert_within(h, exact, bound, message=f"(m, n, k) = {shape}, transposes {transposes}")


@pytest.mark.parametrize("transposes", TRANSPOSES)
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_matmul_times_slopes(
    activation: str, transposes: tuple[bool, bool], kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    flags = {"transpose_a": transposes[0], "transpose_b": transposes[1]}
    one = kernels.teams[0]  # the judge: a product and slopes apart, which are tested on every team for themselves
    for shape, finite in product([*FUSED, *TURNED[:5]], [True, False]):
        if not finite and np.prod(shape) > 10**6:
            continue  # the way is that of the finite numbers
        a, b = factors(rng, dtype, shape, transposes)
        if not finite:
            a.reshape(-1)[:1], b.reshape(-1)[-1:] = np.nan, np.inf  # which no slope of 0 hides
        h = random(rng, dtype, *shape[:2])
        h[::3] = 0  # a kink, or an end
        dz = kernels.matmul(a, b, **flags, activation=activation, parameter=0.5, slope_at=h)
        dh = one.matmul(a, b, **flags)
        expected = one.activation_backward(h, dh, activation=activation, parameter=0.5)
        assert_array_equal(dz, expected, err_msg=f"(m, n, k) = {shape}")
        assert_array_equal(np.signbit(dz[dz == 0]), np.signbit(expected[expected == 0]))


def test_matmul_adds_or_fuses(kernels: EveryTeam, dtype: str) -> None:
    a = np.ones((2, 2), dtype)
    for options in ({"bias": np.ones(2, dtype)}, {"activation": "relu"}):
        with pytest.raises(ValueError, match="neither bias nor activation"):
            kernels.teams[0].matmul(a, a, add_to=a, **options)
    for matmul in (kernels.teams[0].matmul, reference.matmul):
        with pytest.raises(ValueError, match="a product that adds takes no slope_at"):
            matmul(a, a, add_to=a, slope_at=a)
    slopes = {"activation": "relu", "slope_at": a}
    with pytest.raises(ValueError, match="takes no bias"):
        kernels.teams[0].matmul(a, a, bias=np.ones(2, dtype), **slopes)
    with pytest.raises(ValueError, match="slope_at"):
        kernels.teams[0].matmul(a, a, activation="relu", slope_at=np.ones((2, 3), dtype))


@pytest.mark.parametrize("transposes", TRANSPOSES)
def test_matmul_by_the_identity_is_exact(
    transposes: tuple[bool, bool], kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    flags = {"transpose_a": transposes[0], "transpose_b": transposes[1]}
    for m, k in [(1, 1), (1, 9), (7, 16), (33, 100), (49, 257), (70, 700)]:
        a, identity = random(rng, dtype, m, k), np.eye(k, dtype=dtype)
        assert_array_equal(kernels.matmul(a.T.copy() if transposes[0] else a, identity, **flags), a)
        b = a.T.copy()
        assert_array_equal(kernels.matmul(identity, a if transposes[1] else b, **flags), b)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_matmul_keeps_what_is_not_finite(
    value: float, kernels: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    for (m, n, k), transposes in product(
        [(9, 17, 5), (16, 33, 48), (30, 49, 33), (4, 17, 260), (13, 60, 70)], TRANSPOSES
    ):
        flags = {"transpose_a": transposes[0], "transpose_b": transposes[1]}
        for which, place in product((0, 1), ((0, 0), (-1, -1), (2, 3))):
            pair = factors(rng, dtype, (m, n, k), transposes)
            pair[which][place] = value
            exact, bound = exact_and_bound(*pair, transposes, dtype)
            assert 0 < np.isfinite(exact).sum() < exact.size
            bound[~np.isfinite(exact)] = 0
            assert_within(kernels.matmul(*pair, **flags), exact, bound, message=f"{(m, n, k)}, {transposes}, {place}")


def test_matmul_zero_times_nan_is_nan(kernels: EveryTeam, dtype: str) -> None:
    a, b = np.zeros((3, 5), dtype), np.full((5, 4), np.nan, dtype)
    for activation in reference.ACTIVATIONS:
        h = kernels.matmul(a, b, bias=np.zeros(4, dtype), activation=activation, parameter=0.5)
        assert np.isnan(h).all(), activation


def test_matmul_of_the_greatest_numbers(kernels: EveryTeam, dtype: str) -> None:
    # Products overflow, with either sign, and nothing turns into NaN.
    most = np.finfo(dtype).max
    a, b = np.full((3, 1), most, dtype), np.array([[most, -most, 1, 0]], dtype)
    assert_array_equal(kernels.matmul(a, b), np.tile(np.array([np.inf, -np.inf, most, 0], dtype), (3, 1)))


def test_matmul_into_a_given_array(kernels: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    engine, (a, b) = kernels.teams[0], factors(rng, dtype, (9, 17, 5), (False, False))
    out = np.empty((9, 17), dtype)
    assert engine.matmul(a, b, out=out) is out
    assert_array_equal(out, engine.matmul(a, b))
    wrong = [out[:8], out.T.copy().T, out.astype(">f4"), np.broadcast_to(out[:1], out.shape)]
    for array in wrong:
        with pytest.raises((ValueError, TypeError), match="out"):
            engine.matmul(a, b, out=array)
    with pytest.raises(ValueError, match="without add_to"):
        engine.matmul(a, b, out=out, add_to=out)
    square = np.ones((4, 4), dtype)
    for pair in ((square, np.eye(4, dtype=dtype)), (np.eye(4, dtype=dtype), square)):
        with pytest.raises(ValueError, match="share memory"):
            engine.matmul(*pair, out=square)
    with pytest.raises(ValueError, match="share memory with a, b or slope_at"):
        engine.matmul(a, b, activation="relu", slope_at=out, out=out)


def test_register_ceiling_is_a_rate(kernels: EveryTeam) -> None:
    # How high it is cannot be judged without timing; it is positive, finite, and asks for a sensible time.
    for engine in kernels.teams:
        if engine.isa == "cuda":
            pytest.skip("the ceiling of a GPU is not measured")
        assert 0 < engine.register_ceiling(0.01) < np.inf
    with pytest.raises(ValueError, match="seconds must be"):
        kernels.teams[0].register_ceiling(float("nan"))
