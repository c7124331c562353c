"""Matrix products of the GPU with rounded factors: tensor cores, in TF32 and in bfloat16.

u is the greatest relative error of rounding a factor: half a unit in the last of 11 bits in TF32, of 8 in bfloat16. A
product of two rounded factors is wrong by at most 2 u + u^2, and exact in float32. Of the sums only this is taken for
granted: an instruction may cut off what lies below the last bit of the greatest number that it adds, at most EPS of
it, where rounding would lose half of that. So the bound of sums is twice that of test_kernels_matmul.py.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gpu import needs_gpu
from kernel_checks import assert_within, epsilon, random
from numpy.testing import assert_array_equal
from test_kernels_matmul import TRANSPOSES, exact_and_bound, factors

from chainrule import _engine, reference

pytestmark = needs_gpu

Array = npt.NDArray[Any]
SIGNIFICANDS = {"tf32": 11, "bfloat16": 8}  # in bits

# Around the 8 and 16 of an instruction, the 16 and 32 of a slab, the 32 of the smallest tile and its 64 or 128 terms.
EDGES = (0, 1, 3, 4, 8, 15, 16, 17, 31, 32, 33, 36, 64, 65, 100, 129)
CUBE = np.array(list(product(EDGES, repeat=3)))
SMALL = [tuple(shape) for shape in np.random.default_rng(1).choice(CUBE, 24, replace=False).tolist()]
# (m, n, k) of which c is too large for the smallest tile, and for the next: loads of 16 bytes, and of single numbers.
MEDIUM = [(516, 560, 20), (517, 559, 19)]
LARGE = [(1028, 1032, 36), (1029, 1031, 21)]


@pytest.fixture(params=SIGNIFICANDS)
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kernels(precision: str) -> _engine.float32.Kernels:
    return _engine.float32.Kernels(isa=f"cuda-{precision}")


def rounded(x: Array, precision: str) -> Array:
    """Return x as the tensor cores are given it: to nearest, ties away from zero in TF32, to even in bfloat16."""
    bits = x.view(np.uint32)
    if precision == "tf32":
        bits = (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    else:
        bits = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(x), x, bits.view(np.float32))


def test_rounding_here_is_rounding_to_nearest(precision: str, rng: np.random.Generator) -> None:
    unit = 2.0 ** (1 - SIGNIFICANDS[precision])  # between neighbours above 1
    numbers = np.array([1, 1 + unit / 4, 1 + unit / 2, 1 + 0.75 * unit, 1 + 1.5 * unit, -1 - unit / 2], np.float32)
    up = precision == "tf32"  # from the middle between 1 and its neighbour
    expected = [1, 1, 1 + up * unit, 1 + unit, 1 + 2 * unit, -1 - up * unit]
    assert_array_equal(rounded(numbers, precision), np.array(expected, np.float32))
    x = random(rng, "float32", 1000)
    assert (abs(rounded(x, precision).astype(float) - x) <= unit / 2 * abs(x)).all()
    assert_array_equal(rounded(rounded(x, precision), precision), rounded(x, precision))


def flags(transposes: tuple[bool, bool]) -> dict[str, bool]:
    return {"transpose_a": transposes[0], "transpose_b": transposes[1]}


def of_rounded(pair: tuple[Array, Array], transposes: tuple[bool, bool], precision: str) -> tuple[Array, Array]:
    """Return the product of the rounded factors in float64, and what float32 sums may be wrong by."""
    a, b = (rounded(factor, precision) for factor in pair)
    exact, bound = exact_and_bound(a, b, transposes, "float32")
    return exact, 2 * bound


def assert_product(c: Array, pair: tuple[Array, Array], transposes: tuple[bool, bool], precision: str) -> None:
    message = f"{precision}, {pair[0].shape}, {pair[1].shape}, {transposes}"
    exact, bound = of_rounded(pair, transposes, precision)
    assert_within(c, exact, bound, message=f"{message}, rounded before")
    u = 2.0 ** -SIGNIFICANDS[precision]
    wide = [factor.astype(float) for factor in pair]
    sizes = reference.matmul(abs(wide[0]), abs(wide[1]), **flags(transposes))
    assert_within(c, reference.matmul(*wide, **flags(transposes)), bound + (2 * u + u * u) * sizes, message=message)


@pytest.mark.parametrize("transposes", TRANSPOSES)
def test_products(
    transposes: tuple[bool, bool], kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator
) -> None:
    for shape in SMALL:
        pair = factors(rng, "float32", shape, transposes)
        assert_product(kernels.matmul(*pair, **flags(transposes)), pair, transposes, precision)


@pytest.mark.parametrize("transposes", TRANSPOSES)
@pytest.mark.parametrize("shapes", [MEDIUM, LARGE], ids=["medium", "large"])
def test_products_of_larger_tiles_are_the_same(
    shapes: list[tuple[int, ...]],
    transposes: tuple[bool, bool],
    kernels: _engine.float32.Kernels,
    precision: str,
    rng: np.random.Generator,
) -> None:
    # Each way to lie in memory once for each factor, and each width of the loads with each.
    shape = shapes[(transposes[0] + transposes[1]) % 2]
    a, b = pair = factors(rng, "float32", shape, transposes)
    c = kernels.matmul(*pair, **flags(transposes))
    assert_product(c, pair, transposes, precision)
    # The last rows and columns by the smallest tile: sums do not depend on the tile.
    corner = (a[:, -37:] if transposes[0] else a[-37:]), (b[-41:] if transposes[1] else b[:, -41:])
    assert_array_equal(kernels.matmul(*corner, **flags(transposes)), c[-37:, -41:])


@pytest.mark.parametrize("transposes", TRANSPOSES)
def test_small_integers_are_exact(
    transposes: tuple[bool, bool], kernels: _engine.float32.Kernels, rng: np.random.Generator
) -> None:
    for m, n, k in [(1, 1, 1), (17, 9, 33), (36, 40, 132), (65, 33, 257)]:
        a = rng.integers(-128, 129, (k, m) if transposes[0] else (m, k)).astype(np.float32)
        b = rng.integers(-128, 129, (n, k) if transposes[1] else (k, n)).astype(np.float32)
        exact = reference.matmul(a.astype(float), b.astype(float), **flags(transposes))
        assert_array_equal(kernels.matmul(a, b, **flags(transposes)), exact)


@pytest.mark.parametrize("transposes", TRANSPOSES)
def test_by_the_identity_only_rounding_is_left(
    transposes: tuple[bool, bool], kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator
) -> None:
    for m, k in [(1, 1), (7, 16), (33, 100), (40, 36), (70, 129)]:
        a, identity = random(rng, "float32", m, k), np.eye(k, dtype=np.float32)
        expected = rounded(a, precision)
        assert_array_equal(kernels.matmul(a.T.copy() if transposes[0] else a, identity, **flags(transposes)), expected)
        c = kernels.matmul(identity, a if transposes[1] else a.T.copy(), **flags(transposes))
        assert_array_equal(c, expected.T)


@pytest.mark.parametrize("transposes", TRANSPOSES)
def test_adding(
    transposes: tuple[bool, bool], kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator
) -> None:
    for shape in [(1, 1, 1), (0, 5, 3), (4, 5, 0), (7, 17, 9), (33, 49, 100), (36, 40, 64), (516, 540, 8)]:
        pair = factors(rng, "float32", shape, transposes)
        c = random(rng, "float32", *shape[:2])
        before = c.copy()
        total = kernels.matmul(*pair, **flags(transposes), add_to=c)
        exact, bound = of_rounded(pair, transposes, precision)
        # One more rounding; c is no part of the sums.
        assert_within(total, exact + c, bound + epsilon("float32") * abs(exact + c), message=f"(m, n, k) = {shape}")
        assert_array_equal(c, before)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_bias_and_activation(
    activation: str, bias: bool, kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator
) -> None:
    options: dict[str, Any] = {"activation": activation, "parameter": 1.25}
    eps = epsilon("float32")
    shapes = [(1, 1, 1), (3, 0, 2), (4, 5, 0), (7, 17, 9), (36, 40, 64)]
    for shape in [*shapes, (516, 540, 8)] if activation == "tanh" else shapes:
        for transposes in TRANSPOSES[1:3]:
            pair = factors(rng, "float32", shape, transposes)
            added = random(rng, "float32", shape[1]) if bias else None
            h = kernels.matmul(*pair, **flags(transposes), bias=added, **options)
            z, bound = of_rounded(pair, transposes, precision)
            if added is not None:
                z, bound = z + added, bound + eps * abs(z + added)
            exact = reference.activation_forward(z, **options)
            if activation == "step":
                h = np.where(abs(z) > bound, h, exact)  # nearer to the jump than the error of z, both are right
            # No slope is above 1.25; then h itself may be wrong by 4 units in the last place.
            assert_within(h, exact, 1.25 * bound + 4 * eps * abs(exact), message=f"{shape}, {transposes}")


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_through(
    value: float, kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator
) -> None:
    for (m, n, k), transposes in product([(9, 17, 5), (20, 36, 68)], TRANSPOSES):
        for which, place in product((0, 1), ((0, 0), (-1, -1), (2, 3))):
            pair = factors(rng, "float32", (m, n, k), transposes)
            pair[which][place] = value
            exact, bound = of_rounded(pair, transposes, precision)
            assert 0 < np.isfinite(exact).sum() < exact.size
            bound[~np.isfinite(exact)] = 0
            c = kernels.matmul(*pair, **flags(transposes))
            assert_within(c, exact, bound, message=f"{(m, n, k)}, {transposes}, {place}")


def test_nan_of_any_bits_and_zero_times_it(kernels: _engine.float32.Kernels) -> None:
    # Rounding by adding to the bits would carry the last two over into the sign.
    odd = np.array([0x7F800001, 0xFFC00000, 0x7FFFFFFF, 0xFFFFFFFF], np.uint32).view(np.float32)
    for activation in reference.ACTIVATIONS:
        h = kernels.matmul(np.zeros((3, 1), np.float32), odd[None], activation=activation, parameter=0.5)
        assert np.isnan(h).all(), activation


def test_the_greatest_numbers_round_to_infinity_and_never_to_nan(
    kernels: _engine.float32.Kernels, precision: str
) -> None:
    most = np.finfo(np.float32).max
    last = np.float32(2.0**128 - 2.0 ** (128 - SIGNIFICANDS[precision]))  # the greatest finite number of this precision
    a, b = np.array([[most], [-most], [last], [-last]]), np.ones((1, 2), np.float32)
    assert_array_equal(kernels.matmul(a, b)[:, 0], np.array([np.inf, -np.inf, last, -last], np.float32))
    assert_array_equal(kernels.matmul(a[2:], np.full((1, 1), most)), np.array([[np.inf], [-np.inf]], np.float32))


def test_repeats_bit_for_bit(kernels: _engine.float32.Kernels, rng: np.random.Generator) -> None:
    a, b = random(rng, "float32", 97, 165), random(rng, "float32", 165, 131)
    assert len({kernels.matmul(a, b, activation="tanh").tobytes() for _ in range(3)}) == 1


def test_other_operations_are_those_of_float32(
    kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator
) -> None:
    x, gpu = random(rng, "float32", 5, 7), _engine.float32.Kernels(isa="cuda")
    assert kernels.isa == f"cuda-{precision}"
    assert_array_equal(kernels.softmax_forward(x), gpu.softmax_forward(x))
    assert (kernels.matmul(x, x.T) != gpu.matmul(x, x.T)).any()
