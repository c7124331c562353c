"""What the tests of the operations share: teams of several sizes that must agree, and comparisons that NaN fails."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.testing import assert_array_equal

# Lengths of flat arrays: none, one, odd, and around the widths of vectors, of unrolled loops, of blocks of a split sum.
SIZES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 257, 1000, 4095, 4101, 10007)

# (B, K) of row-wise operations.
ROW_SHAPES = (
    (0, 3),
    (1, 1),
    (1, 10),
    (2, 2),
    (3, 7),
    (5, 16),
    (17, 17),
    (33, 9),
    (64, 10),
    (7, 100),
    (130, 33),
    (3, 1000),
    (131, 1),
)


class EveryTeam:
    """The operations of the engine, each called on teams of several sizes, which must give the same bytes.

    Teams of 1 and 2 threads, for the matrix product also of 3: it cuts both rows and columns, the others cut one. More
    threads than cores make every call slow; test_all_on_three_threads in test_kernels.py calls each operation once.
    """

    def __init__(self, engine: ModuleType, isa: str, dtype: str) -> None:
        self.teams = [engine.Kernels(isa=isa, threads=threads) for threads in (1, 2, 3)]
        assert all(team.isa == isa for team in self.teams)
        self.dtype = np.dtype(dtype)

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            teams = self.teams if operation == "matmul" else self.teams[:2]
            first, *others = (getattr(team, operation)(*arguments, **options) for team in teams)
            for other in others:
                assert as_bytes(other) == as_bytes(first), f"{operation} depends on the number of threads"
            for array in first if isinstance(first, tuple) else (first,):
                others = (np.int32, np.float64) if operation == "count_classes" else (np.int32,)
                assert not isinstance(array, np.ndarray) or array.dtype in (self.dtype, *others)
            return first

        return call


def as_bytes(result: Any) -> list[bytes]:
    return [np.asarray(array).tobytes() for array in (result if isinstance(result, tuple) else (result,))]


def random(rng: np.random.Generator, dtype: str, *shape: int) -> npt.NDArray[Any]:
    return rng.standard_normal(shape).astype(dtype)


def epsilon(dtype: str) -> float:
    """Return the distance from 1 to the next number: twice the greatest relative error of one rounding."""
    return float(np.finfo(dtype).eps)


def assert_within(actual: npt.NDArray[Any], expected: npt.ArrayLike, bound: npt.ArrayLike, message: str = "") -> None:
    """Require |actual - expected| <= bound where expected is finite, and the same infinity or NaN elsewhere.

    `expected` and `bound` are float64 or wider. A result below the smallest normal number may be flushed to zero.
    """
    assert actual.shape == np.shape(expected), message
    expected, bound = np.broadcast_arrays(expected, bound)
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(expected.astype(actual.dtype))
        assert_array_equal(actual[~finite], expected.astype(actual.dtype)[~finite], err_msg=message)
        error = abs(actual[finite] - expected[finite])
    allowed = bound[finite] + float(np.finfo(actual.dtype).tiny)
    if not (error <= allowed).all():  # NaN fails
        worst = np.nan_to_num(error / allowed, nan=np.inf).argmax()
        place = tuple(int(i[worst]) for i in np.nonzero(finite))
        raise AssertionError(
            f"{message} at {place} of {actual.shape}: {actual[place]!r} instead of {expected[place]!r}, "
            f"an error of {error[worst]:.3g} where {allowed[worst]:.3g} is allowed"
        )


def ulps(actual: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Return the greatest error in units in the last place; infinite where one is NaN or infinite and the other not.

    Expected values below the smallest normal number are left to `assert_within`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = expected.astype(actual.dtype)
        normal = np.isfinite(rounded) & (abs(rounded) >= np.finfo(actual.dtype).tiny)
        error = abs(actual - expected)[normal] / np.spacing(abs(rounded[normal]))
    return float(np.nan_to_num(error, nan=np.inf).max(initial=0))
