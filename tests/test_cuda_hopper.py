"""Large matrix products of a Hopper, with rounded factors: staged, copied and multiplied by its own instructions.

Whether a product goes this way, depends on its shape; it is worth it from some hundred million multiply-adds on. The
bounds are those of test_cuda_precision.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gpu import emulated, needs_gpu
from kernel_checks import assert_within, epsilon, random
from numpy.testing import assert_allclose, assert_array_equal
from test_cuda_precision import SIGNIFICANDS, assert_product, flags, of_rounded, rounded
from test_kernels_matmul import TRANSPOSES, factors

import chainrule as cr
from chainrule import _engine, reference

_gpu = _engine.cuda_about()
pytestmark = [
    needs_gpu,
    pytest.mark.skipif(_gpu is not None and _gpu["compute_capability"] != (9, 0), reason="the GPU is no Hopper"),
]

# (m, n, k), no side a multiple of what a tile or a panel has: of tiles of 128 x 256 and of 128 x 128, with stores of
# 16 bytes and of single numbers. About the smallest of their kind that are worth it.
SHAPES = {
    "tf32": [(2556, 2564, 132), (1899, 2155, 277), (1900, 2156, 276), (2555, 2563, 131)],
    "bfloat16": [(2044, 2052, 132), (1899, 2155, 137), (1900, 2156, 136), (2043, 2051, 131)],
}
# c of so few tiles that the sum is split, and terms enough for each stage to be filled again.
SPLIT = {"tf32": (1716, 1708, 524), "bfloat16": (1292, 1300, 900)}


@pytest.fixture(params=SIGNIFICANDS)
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kernels(precision: str) -> _engine.float32.Kernels:
    return _engine.float32.Kernels(isa=f"cuda-{precision}")


@pytest.mark.parametrize("number", range(4))
def test_products(number: int, kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator) -> None:
    shape, transposes = SHAPES[precision][number], TRANSPOSES[number]
    a, b = pair = factors(rng, "float32", shape, transposes)
    c = kernels.matmul(*pair, **flags(transposes))
    assert_product(c, pair, transposes, precision)
    # They did go this way: the last rows and columns alone go the other, where sums are rounded otherwise, at least by
    # the emulator.
    corner = (a[:, -37:] if transposes[0] else a[-37:]), (b[-41:] if transposes[1] else b[:, -41:])
    assert not emulated or (kernels.matmul(*corner, **flags(transposes)) != c[-37:, -41:]).any()


def test_small_integers_are_exact(kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator) -> None:
    for number, (m, n, k) in enumerate([SPLIT[precision], SHAPES[precision][3]]):
        transposes = TRANSPOSES[1 + number]
        a = rng.integers(-128, 129, (k, m) if transposes[0] else (m, k)).astype(np.float32)
        b = rng.integers(-128, 129, (n, k) if transposes[1] else (k, n)).astype(np.float32)
        assert k * 128**2 <= 2**24  # so all sums are exact in float32
        exact = reference.matmul(a.astype(float), b.astype(float), **flags(transposes))
        assert_array_equal(kernels.matmul(a, b, **flags(transposes)), exact)


@pytest.mark.parametrize("splits", [False, True])
def test_adding(splits: bool, kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator) -> None:
    shape, transposes = SPLIT[precision] if splits else SHAPES[precision][0], (splits, not splits)
    pair = factors(rng, "float32", shape, transposes)
    c = random(rng, "float32", *shape[:2])
    before = c.copy()
    total = kernels.matmul(*pair, **flags(transposes), add_to=c)
    exact, bound = of_rounded(pair, transposes, precision)
    assert_within(total, exact + c, bound + epsilon("float32") * abs(exact + c))
    assert_array_equal(c, before)


@pytest.mark.parametrize("splits", [False, True])
def test_bias_and_activation(
    splits: bool, kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator
) -> None:
    m, n, k = SPLIT[precision] if splits else SHAPES[precision][1]
    pair = random(rng, "float32", m, k) / np.float32(k**0.5), random(rng, "float32", k, n)
    bias, eps = random(rng, "float32", n), epsilon("float32")
    h = kernels.matmul(*pair, bias=bias, activation="tanh")
    z, bound = of_rounded(pair, (False, False), precision)
    exact = np.tanh(z + bias)
    assert_within(h, exact, bound + eps * abs(z + bias) + 4 * eps * abs(exact))


def test_what_is_not_finite_stays_in_its_row_and_column(
    kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator
) -> None:
    m, n, k = SHAPES[precision][1]
    a, b = random(rng, "float32", m, k), abs(random(rng, "float32", k, n)) + np.float32(0.5)
    a[-1, -1], a[5, 0], b[-1, -1] = np.nan, -np.inf, np.inf  # at the ends, beyond which panels are padded
    c = kernels.matmul(a, b)
    assert np.isnan(c[-1]).all()
    assert_array_equal(c[5, :-1], np.full(n - 1, -np.inf, np.float32))
    others = [i for i in range(m - 1) if i != 5]
    assert_array_equal(c[others, -1], np.sign(a[others, -1]) * np.float32(np.inf))
    assert np.isfinite(c[others, :-1]).all()


def test_repeats_bit_for_bit(kernels: _engine.float32.Kernels, precision: str, rng: np.random.Generator) -> None:
    m, n, k = SPLIT[precision]
    a, b = random(rng, "float32", m, k), random(rng, "float32", k, n)
    assert kernels.matmul(a, b).tobytes() == kernels.matmul(a, b).tobytes()


def test_in_the_graph_of_a_step(rng: np.random.Generator) -> None:
    # A frozen layer, wide and of many rows, of which no gradient is asked: its product alone is large. What it is given
    # needs no rounding.
    rows, inputs, width = 2048, 132, 2052
    x = rounded(random(rng, "float32", 2 * rows, inputs), "bfloat16")
    y = random(rng, "float32", 2 * rows, width)

    def losses(device: str, precision: str | None) -> Any:
        net = cr.Network([cr.Dense(width), cr.BatchNorm()], inputs=inputs, seed=1)
        net.load_state_dict({name: rounded(value, "bfloat16") for name, value in net.state_dict().items()})
        net.freeze(0)
        trainer = cr.Trainer(net.to(device, precision=precision), loss="mse", optimizer=cr.SGD(lr=1.0))
        trainer.fit(x, y, epochs=2, batch_size=rows, shuffle=True, verbose=0)
        return trainer.history["loss"]

    assert_allclose(losses("cuda", "bfloat16"), losses("cpu", None), rtol=1e-4)
