"""What somebody's own activation or loss must hold, tried out before it is used: numbers, gradients, their bounds.

Nothing here trains. A native function is called as the engine calls it. It is not proven right: it is tried at some
points, and what it does elsewhere is its own business.

A derivative is compared with difference quotients of the function itself::

    left = (g(z) - g(z - d)) / d        right = (g(z + d) - g(z)) / d

It must lie between the two, or no further outside than rounding explains: where there is no kink they agree, and at a
kink, as that of ReLU at 0, any value between them is a subgradient. d is the cube root of the precision's epsilon,
which balances the error of the quotient (d^2) against that of rounding (eps / d), times |z| where that is above 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import data
from .native import Function, NativeFunction

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# Of arrays: nothing, one element, below any register, and above a block of registers with some left over.
SIZES = (0, 1, 7, 1000)
# How far a derivative may lie outside of its quotients, as a share of the numbers involved where those are above 1.
# Where the second derivative jumps, as that of softsign at 0, both quotients are off by d/2 of it, 3e-6 and 2.5e-3;
# what is left is for curvature, and for functions that are themselves only some digits exact.
SLACK = {"float64": 1e-4, "float32": 5e-2}
# How far single precision may be from double, likewise: many roundings of 6e-8 in a function that is not steep.
AGREE = 1e-3
# How far the same element may differ with other neighbours: some roundings of a vectorized function.
ALIKE = {"float64": 1e-12, "float32": 1e-4}
# Stands around every result: a function that writes beyond its array is found out.
GUARD, MARK = 64, 12345.0

Forward = Callable[["Array"], "Array"]
Backward = Callable[["Array", "Array", "Array"], "Array"]
RowLosses = Callable[["Array", "Array"], "tuple[Array, Array]"]


# Functions of arrays, from whatever was given ----------------------------------------------------------------------


class Guarded:
    """An array that a native function writes to, with marked elements around it."""

    def __init__(self, size: int, dtype: str) -> None:
        self._all = np.full(size + 2 * GUARD, MARK, dtype)
        self.array: Array = self._all[GUARD : GUARD + size]

    def written(self, name: str) -> Array:
        """Return the array; ValueError where something beside it was written."""
        if (self._all[:GUARD] != MARK).any() or (self._all[GUARD + self.array.size :] != MARK).any():
            raise ValueError(f"{name} writes outside of its {self.array.size} elements")
        return self.array


def called(name: str, function: NativeFunction, kind: str, size: int, inputs: tuple[Array, ...]) -> tuple[Any, Array]:
    """Return what a native function returns and writes for `inputs`, which it must leave as they are."""
    copies = [np.ascontiguousarray(one, function.dtype) for one in inputs]
    kept = [one.copy() for one in copies]
    out = Guarded(size, function.dtype)
    value = function.call(kind, size, *(one.ctypes.data for one in copies), out.array.ctypes.data)
    if any((one.view(np.uint8) != before.view(np.uint8)).any() for one, before in zip(copies, kept, strict=True)):
        raise ValueError(f"{name} writes to an array that it may only read")
    return value, out.written(name)


def python_result(name: str, value: object, shape: tuple[int, ...], dtype: str) -> Array:
    """Return what a Python function returned; TypeError or ValueError where the engine could not take it."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        came = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise TypeError(f"{name} must return an array of {dtype}, as what it is given; got {came}")
    if value.shape != shape:
        raise ValueError(f"{name} must return an array of shape {shape}; got {value.shape}")
    return value


def forward_of(function: Function, dtype: str) -> Forward:
    """Return forward(z) of arrays (n); one of Python sees matrices."""
    if isinstance(function, NativeFunction):
        return lambda z: called("forward", function, "forward", z.size, (z,))[1]
    return lambda z: python_result("forward", function(z.reshape(1, -1).copy()), (1, z.size), dtype).reshape(-1)


def backward_of(function: Function, dtype: str) -> Backward:
    """Return backward(z, h, dh) of arrays (n); one of Python sees matrices."""
    if isinstance(function, NativeFunction):
        return lambda z, h, dh: called("backward", function, "backward", z.size, (z, h, dh))[1]

    def backward(*arrays: Array) -> Array:
        given = [one.reshape(1, -1).copy() for one in arrays]
        return python_result("backward", function(*given), given[0].shape, dtype).reshape(-1)

    return backward


def losses_of(function: Function, dtype: str) -> RowLosses:
    """Return the losses (B) of rows p, y (B, K), and their gradients (B, K)."""

    def native(p: Array, y: Array) -> tuple[Array, Array]:
        assert isinstance(function, NativeFunction)
        rows = [called("function", function, "function", p.shape[1], pair) for pair in zip(p, y, strict=True)]
        return np.array([value for value, _ in rows]), np.array([gradient for _, gradient in rows])

    def python(p: Array, y: Array) -> tuple[Array, Array]:
        assert not isinstance(function, NativeFunction)
        both = function(p.copy(), y.copy())
        if not isinstance(both, tuple) or len(both) != 2:
            raise TypeError("function must return two arrays, the losses of the rows and their gradient")
        values = python_result("function", both[0], p.shape[:1], dtype)
        return values, python_result("function", both[1], p.shape, dtype)

    return native if isinstance(function, NativeFunction) else python


# What must hold ----------------------------------------------------------------------------------------------------


def check_activation(forward: Forward, backward: Backward, dtype: str, domain: tuple[float, float]) -> None:
    """Raise ValueError where a function is not one of single elements, or `backward` is not its derivative."""
    rng = np.random.default_rng(0)
    for size in SIZES:
        z = points(size, domain, dtype)
        h = forward(z)
        slope = backward(z, h, np.ones_like(z))
        refuse_non_finite("forward", h, z)
        refuse_non_finite("backward", slope, z)
        order = rng.permutation(size)
        check_elements("forward", forward, (z,), h, order, dtype)
        check_slopes(forward, z, h, slope, dtype)
        # By any other gradient from above it is multiplied.
        dh = rng.normal(size=size).astype(dtype)
        dz = backward(z, h, dh)
        wrong = np.flatnonzero(~near(dz, dh * slope, dtype))
        if wrong.size:
            i = int(wrong[0])
            raise ValueError(
                f"backward must multiply by dh: at z = {z[i]} it makes {dz[i]} of dh = {dh[i]}, {slope[i]} of dh = 1"
            )
        check_elements("backward", backward, (z, h, dh), dz, order, dtype)


def check_agreement(
    single: tuple[Forward, Backward], double: tuple[Forward, Backward], domain: tuple[float, float]
) -> None:
    """Raise ValueError where the functions of the two precisions are not the same."""
    z = points(SIZES[-1], domain, "float32")
    wide = z.astype(np.float64)
    h, expected = single[0](z), double[0](wide)
    slopes = single[1](z, h, np.ones_like(z)), double[1](wide, expected, np.ones_like(wide))
    for name, one, other in (("forward", h, expected), ("backward", *slopes)):
        wrong = np.flatnonzero(~(np.abs(one - other) <= AGREE * np.maximum(1, np.abs(other))))
        if wrong.size:
            i = int(wrong[0])
            raise ValueError(
                f"{name} differs between the precisions: at z = {z[i]:g} it gives {one[i]:g} and {other[i]:g}"
            )


def points(size: int, domain: tuple[float, float], dtype: str) -> Array:
    """Return `size` numbers spread over the domain, 0 among them if it is there."""
    low, high = domain
    z = np.linspace(low, high, size) if size > 1 else np.full(size, (low + high) / 2)
    if size and low <= 0 <= high:
        z[np.abs(z).argmin()] = 0
    return z.astype(dtype)


def refuse_non_finite(name: str, value: Array, z: Array) -> None:
    """Raise ValueError where there is a result that is not finite."""
    wrong = np.flatnonzero(~np.isfinite(value))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(
            f"{name} gives {value[i]} at z = {z[i]}; a domain that leaves that out is given by domain=(low, high)"
        )


def check_slopes(forward: Forward, z: Array, h: Array, slope: Array, dtype: str) -> None:
    """Raise ValueError where the slopes at z lie outside of the difference quotients."""
    below, above = around(z, dtype)
    refuted = first_outside((below, z, above), (forward(below), h, forward(above)), slope, dtype)
    if refuted is not None:
        i, numeric = refuted
        raise ValueError(
            f"backward is not the derivative of forward in {dtype}: at z = {z[i]:g} it gives {slope[i]:.6g}, "
            f"central differences give {numeric:.6g}"
        )


def around(z: Array, dtype: str) -> tuple[Array, Array]:
    """Return the points beside z at which quotients are taken."""
    step = np.finfo(dtype).eps ** (1 / 3) * np.maximum(1, np.abs(z.astype(np.float64)))
    return (z - step).astype(dtype), (z + step).astype(dtype)


def first_outside(
    at: tuple[Array, Array, Array], values: tuple[Array, Array, Array], analytic: Array, dtype: str
) -> tuple[int, float] | None:
    """Return where a derivative lies outside of its quotients, and the central one there; None for nowhere.

    `at` and `values` are each below, at and above the points.
    """
    left, middle, right = (np.asarray(one, np.float64) for one in at)
    f_left, f_middle, f_right = (np.asarray(one, np.float64) for one in values)
    quotients = (f_middle - f_left) / (middle - left), (f_right - f_middle) / (right - middle)
    low, high = np.minimum(*quotients), np.maximum(*quotients)
    slack = SLACK[dtype] * np.maximum(1, np.maximum(np.abs(f_middle), np.maximum(np.abs(low), np.abs(high))))
    wrong = np.flatnonzero(~((low - slack <= analytic) & (analytic <= high + slack)))
    if not wrong.size:
        return None
    i = int(wrong[0])
    return i, float((f_right[i] - f_left[i]) / (right[i] - left[i]))


def near(value: Array, expected: Array, dtype: str) -> npt.NDArray[np.bool_]:
    """Return where two arrays agree but for some roundings."""
    close: npt.NDArray[np.bool_] = np.abs(value - expected) <= ALIKE[dtype] * np.maximum(1, np.abs(expected))
    return close


def check_elements(
    name: str, function: Callable[..., Array], arrays: tuple[Array, ...], value: Array, order: Array, dtype: str
) -> None:
    """Raise ValueError where an element depends on the others: in another order, or alone in a half."""
    half = value.size // 2
    ways = {
        "in another order": (function(*(one[order] for one in arrays)), value[order], order),
        "without the second half": (function(*(one[:half] for one in arrays)), value[:half], np.arange(half)),
    }
    for how, (found, expected, places) in ways.items():
        wrong = np.flatnonzero(~near(found, expected, dtype))
        if wrong.size:
            i = int(wrong[0])
            raise ValueError(
                f"{name} must compute each element for itself: at z = {arrays[0][places[i]]:g} it gives "
                f"{expected[i]:g}, {how} {found[i]:g}"
            )


def check_loss(losses: RowLosses, p: Array, y: Array, dtype: str) -> None:
    """Raise ValueError where a loss is not finite, mixes rows, or has another gradient than by differences."""
    values, gradient = losses(p, y)
    if not np.isfinite(values).all() or not np.isfinite(gradient).all():
        raise ValueError(
            "function gives a loss or a gradient that is not finite for normally distributed outputs and targets; "
            "outputs and targets that suit it are given by example=(p, y)"
        )
    for i in range(len(p)):
        alone, _ = losses(p[i : i + 1], y[i : i + 1])
        if not near(alone, values[i : i + 1], dtype).all():
            raise ValueError(
                f"function must compute each row for itself: row {i} has the loss {values[i]:g}, alone {alone[0]:g}"
            )
    for j in range(p.shape[1]):
        below, above = p.copy(), p.copy()
        below[:, j], above[:, j] = around(p[:, j], dtype)
        places = (below[:, j], p[:, j], above[:, j])
        refuted = first_outside(places, (losses(below, y)[0], values, losses(above, y)[0]), gradient[:, j], dtype)
        if refuted is not None:
            i, numeric = refuted
            raise ValueError(
                f"function gives a wrong gradient in {dtype}: for p = {row_text(p[i])}, y = {row_text(y[i])} its "
                f"dp[{j}] is {gradient[i, j]:.6g}, central differences give {numeric:.6g}"
            )


def row_text(row: Array) -> str:
    """Return a row as a message shows it."""
    return "[" + ", ".join(f"{one:g}" for one in row[:5]) + (", ..." if row.size > 5 else "") + "]"


def example(argument: str, value: object) -> tuple[Array, Array]:
    """Return outputs and targets to try a loss on, both (B, K)."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"{argument} must be two arrays (p, y) of the same shape (B, K)")
    p, y = (data.real(f"{argument}[{i}]", one) for i, one in enumerate(value))
    if p.ndim != 2 or p.shape != y.shape or p.size == 0:
        raise ValueError(f"{argument} must be two arrays (p, y) of the same shape (B, K); got {p.shape} and {y.shape}")
    return p, y


def examples() -> list[tuple[Array, Array]]:
    """Return outputs and targets of any loss: of one output, of a few, of as many as make vectors."""
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(5, outputs)), rng.normal(size=(5, outputs))) for outputs in (1, 3, 17)]
