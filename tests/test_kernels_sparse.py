"""The products of sparse rows against SciPy's and against the specification. Only tables of the CPU have them.

The bound of the error is that of test_kernels_matmul.py: a sum of k products is wrong by at most k EPS / 2 |a||b|, in
the engine and in SciPy, and then some roundings of what is added.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kernel_checks import EveryTeam, as_bytes, assert_within, epsilon, random
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from chainrule import _engine, reference

Array = npt.NDArray[Any]
Csr = tuple[Array, Array, Array]

# (rows kept, columns, d): none of each, one, odd, off every register, several lines of columns.
SHAPES = [(0, 5, 3), (4, 0, 3), (3, 5, 0), (1, 1, 1), (2, 7, 9), (9, 16, 16), (17, 33, 31), (40, 100, 67), (33, 9, 130)]


@pytest.fixture
def tables(engine: ModuleType, isa: str, dtype: str) -> EveryTeam:
    """Return the operations of the engine's tables for processors."""
    return EveryTeam(engine, isa, dtype)


def rows_of(rng: np.random.Generator, dtype: str, rows: int, columns: int) -> Csr:
    """Return sparse rows: some empty, some full, columns in any order and some of them twice."""
    counts = rng.integers(0, 2 * columns + 1, rows) * (rng.random(rows) < 0.7)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    kept = int(offsets[-1])
    return offsets, rng.integers(0, max(columns, 1), kept).astype(np.int32), random(rng, dtype, kept)


def wide(s: Csr, columns: int, *, absolute: bool = False) -> sparse.csr_array:
    """Return sparse rows as SciPy has them, in double precision."""
    values = s[2].astype(float)
    return sparse.csr_array((abs(values) if absolute else values, s[1], s[0]), shape=(len(s[0]) - 1, columns))


def longest(s: Csr) -> int:
    return int(np.diff(s[0]).max(initial=0))


def chosen_rows(rng: np.random.Generator, s: Csr, *, some: bool) -> Array | None:
    """Return numbers of rows, some of them twice, or None for all."""
    count = len(s[0]) - 1
    return rng.integers(0, count, count + 2).astype(np.int32) if some and count else None


@pytest.mark.parametrize("some", [False, True])
def test_sparse_product(some: bool, tables: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for kept, columns, d in SHAPES:
        s, w = rows_of(rng, dtype, kept, columns), random(rng, dtype, columns, d)
        rows = chosen_rows(rng, s, some=some)
        every = slice(None) if rows is None else rows
        bound = (longest(s) + 8) * epsilon(dtype) * (wide(s, columns, absolute=True) @ abs(w.astype(float)))[every]
        exact = (wide(s, columns) @ w.astype(float))[every]
        assert_within(tables.sparse_product(s, w, rows=rows), exact, bound, message=f"{(kept, columns, d)}")


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_sparse_product_epilogue(activation: str, tables: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for kept, columns, d in SHAPES:
        s, w, bias = rows_of(rng, dtype, kept, columns), random(rng, dtype, columns, d), random(rng, dtype, d)
        options: dict[str, Any] = {"activation": activation, "parameter": 1.25}
        h = tables.sparse_product(s, w, bias=bias, **options)
        z = wide(s, columns) @ w.astype(float) + bias
        sizes = wide(s, columns, absolute=True) @ abs(w.astype(float)) + abs(bias)
        bound = (longest(s) + 8) * epsilon(dtype) * sizes
        exact = reference.activation_forward(z, **options)
        if activation == "step":
            h = np.where(abs(z) > bound, h, exact)  # nearer to the jump than the error of z, both are right
        assert_within(h, exact, 1.25 * bound + 4 * epsilon(dtype) * abs(exact), message=f"{(kept, columns, d)}")


@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize("adds", [False, True])
def test_sparse_gradient(adds: bool, some: bool, tables: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    for kept, columns, d in SHAPES:
        s = rows_of(rng, dtype, kept, columns)
        rows = chosen_rows(rng, s, some=some)
        dz = random(rng, dtype, kept if rows is None else len(rows), d)
        before = random(rng, dtype, columns, d) if adds else None
        every = slice(None) if rows is None else rows
        exact = wide(s, columns)[every].T @ dz.astype(float)
        sizes = wide(s, columns, absolute=True)[every].T @ abs(dz.astype(float))
        if before is not None:
            exact, sizes = exact + before, sizes + abs(before)
        # No element of dw is a sum of more products than there are elements.
        bound = (len(s[1]) * (2 if some else 1) + 8) * epsilon(dtype) * sizes
        dw = tables.sparse_gradient(s, dz, inputs=columns, rows=rows, add_to=before)
        assert_within(dw, exact, bound, message=f"{(kept, columns, d)}")


def test_both_are_as_specified_on_three_threads(tables: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    s = rows_of(rng, dtype, 101, 20)
    rows = rng.permutation(101)[:70].astype(np.int32)
    calls: list[tuple[str, Array, dict[str, Any]]] = [
        ("sparse_product", random(rng, dtype, 20, 45), {"bias": random(rng, dtype, 45), "activation": "tanh"}),
        ("sparse_gradient", random(rng, dtype, 70, 45), {"inputs": 20, "add_to": random(rng, dtype, 20, 45)}),
    ]
    for name, other, options in calls:
        one, _, three = (getattr(team, name)(s, other, rows=rows, **options) for team in tables.teams)
        assert as_bytes(three) == as_bytes(one), name
        specified = getattr(reference, name)(s, other, rows=rows, **options)
        assert_allclose(one, specified, rtol=0, atol=2000 * epsilon(dtype), err_msg=name)


def test_any_layout_and_offsets_of_either_size(tables: EveryTeam, dtype: str, rng: np.random.Generator) -> None:
    s, w = rows_of(rng, dtype, 6, 5), random(rng, dtype, 5, 7)
    expected = tables.sparse_product(s, w)
    twice = (s[0].astype(np.int32), np.repeat(s[1].astype(np.int64), 2)[::2], np.repeat(s[2], 2)[::2])
    assert as_bytes(tables.sparse_product(twice, np.asfortranarray(w))) == as_bytes(expected)
    longer = (s[0], np.append(s[1], -9).astype(np.int32), np.append(s[2], np.nan).astype(dtype))
    assert as_bytes(tables.sparse_product(longer, w)) == as_bytes(expected)  # what is behind the last row is nobody's


@pytest.mark.parametrize("longest_row", [False, True])
def test_gradient_of_more_elements_than_a_member_can_turn_at_once(
    longest_row: bool, tables: EveryTeam, dtype: str, rng: np.random.Generator
) -> None:
    # What a member takes of its scratch, 1 MiB, has room for 131,000 elements in float32; a single row may have more.
    counts = np.array([140_000, 7, 0]) if longest_row else rng.integers(30, 65, 3100)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    s = offsets, rng.integers(0, 64, offsets[-1]).astype(np.int32), random(rng, dtype, int(offsets[-1]))
    dz = random(rng, dtype, len(counts), 5)
    exact = wide(s, 64).T @ dz.astype(float)
    sizes = wide(s, 64, absolute=True).T @ abs(dz.astype(float))
    assert_within(tables.sparse_gradient(s, dz, inputs=64), exact, len(s[1]) * epsilon(dtype) * sizes)


def test_only_what_is_kept_is_multiplied(tables: EveryTeam, dtype: str) -> None:
    # Row 0 has columns 0 and 2, row 1 none, row 2 an explicit 0 in column 1.
    s = np.array([0, 2, 2, 3]), np.array([0, 2, 1], np.int32), np.array([2, 3, 0], dtype)
    w = np.array([[1, 10], [np.nan, np.inf], [4, 40]], dtype)
    assert_array_equal(tables.sparse_product(s, w), np.array([[14, 140], [0, 0], [np.nan, np.nan]], dtype))
    assert_array_equal(reference.sparse_product(s, w), np.array([[14, 140], [0, 0], [np.nan, np.nan]], dtype))
    dz = np.array([[1, np.inf], [np.nan, np.nan], [5, np.nan]], dtype)
    dw = np.array([[2, np.inf], [0, np.nan], [3, np.inf]], dtype)
    assert_array_equal(tables.sparse_gradient(s, dz, inputs=3), dw)
    assert_array_equal(reference.sparse_gradient(s, dz, inputs=3), dw)


def test_shapes_are_checked(tables: EveryTeam, dtype: str) -> None:
    s, team = (np.array([0, 1]), np.array([4], np.int32), np.ones(1, dtype)), tables.teams[0]
    with pytest.raises(ValueError, match=r"columns\[0\] must be 0 to 3; got 4"):
        team.sparse_product(s, np.ones((4, 2), dtype))
    with pytest.raises(ValueError, match="rows"):
        team.sparse_product(s, np.ones((5, 2), dtype), rows=np.array([1], np.int32))
    with pytest.raises(ValueError, match="dz must have shape"):
        team.sparse_gradient(s, np.ones((2, 2), dtype), inputs=5)
    with pytest.raises(TypeError, match="dtype"):
        team.sparse_product(
            (*s[:2], np.ones(1, "float32" if dtype == "float64" else "float64")), np.ones((5, 2), dtype)
        )


def test_a_table_without_them_says_so(engine: ModuleType, dtype: str) -> None:
    if not _engine.cuda_available():
        pytest.skip("there is no GPU, nor an emulated one")
    s = np.array([0, 1]), np.array([0], np.int32), np.ones(1, dtype)
    with pytest.raises(ValueError, match="the table cuda has no products of sparse rows"):
        engine.Kernels(isa="cuda").sparse_product(s, np.ones((1, 1), dtype))
