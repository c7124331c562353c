"""Checks of arguments, shared by all descriptions: they say which argument is wrong, what was expected, what came.

Arrays of data are checked in `data.py`, targets by the losses.
"""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .network import Network

# Rows, units and steps are counted in 32 bits by the engine.
MOST = 2**31 - 1
# Seeds are the 64-bit key of the counted random numbers.
MOST_SEED = 2**64 - 1


def shown(value: object) -> str:
    """Give the value as an error message shows it: short, with its type where that is not plain."""
    try:
        text = reprlib.repr(value)
    except Exception:  # a broken __repr__ must not hide the message
        text = "a value"
    if value is None or isinstance(value, (bool, int, float, str)):
        return text
    return f"{text} of type {type(value).__name__}"


def number(
    argument: str,
    value: object,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """Return `value` as a finite float within the bounds (`above` and `below` exclude the bound itself)."""
    bounds = {"above": above, "at least": least, "below": below, "at most": most}
    limits = " and ".join(f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None)
    expected = f"{argument} must be a finite number {limits}".rstrip()
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{expected}; got {shown(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    inside = (
        math.isfinite(result)
        and (above is None or result > above)
        and (least is None or result >= least)
        and (below is None or result < below)
        and (most is None or result <= most)
    )
    if not inside:
        raise ValueError(f"{expected}; got {shown(value)}")
    return result


def whole(argument: str, value: object, *, least: int = 1, most: int = MOST) -> int:
    """Return `value` as an int from `least` to `most`; floats are refused, also whole ones."""
    expected = f"{argument} must be a whole number from {least} to {most}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{expected}; got {shown(value)}")
    result = int(value)
    if not least <= result <= most:
        raise ValueError(f"{expected}; got {shown(value)}")
    return result


def seed(argument: str, value: object) -> int:
    """Return `value` as a seed, 0 to 2**64 - 1."""
    return whole(argument, value, least=0, most=MOST_SEED)


def flag(argument: str, value: object) -> bool:
    """Return `value` as a bool; numbers are refused."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{argument} must be True or False; got {shown(value)}")
    return bool(value)


def word(argument: str, value: object, known: Collection[str]) -> str:
    """Return `value` if it is one of the `known` words."""
    listed = ", ".join(repr(one) for one in known)
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be one of {listed}; got {shown(value)}")
    if value not in known:
        raise ValueError(f"{argument}={shown(value)} is unknown; known are {listed}")
    return value


def path(argument: str, value: object) -> str:
    """Return a path as text."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{argument} must be a string or a path; got {shown(value)}")
    found = os.fspath(value)
    if not isinstance(found, str) or not found or "\0" in found:
        raise ValueError(f"{argument} must be a path in text; got {shown(found)}")
    return found


def network(argument: str, value: object) -> Network:
    """Return `value` if it is a network."""
    from .network import Network

    if not isinstance(value, Network):
        raise TypeError(f"{argument} must be a Network; got {shown(value)}")
    return value


def option(description: object, name: str, check: Callable[..., object], **bounds: object) -> None:
    """Replace an option of a frozen description by what `check` makes of it."""
    object.__setattr__(description, name, check(name, getattr(description, name), **bounds))


def precision(argument: str, value: object) -> np.dtype[Any]:
    """Return the dtype that `value` ("float32", "float64", or NumPy's types) names."""
    expected = f"{argument} must be 'float32' or 'float64'"
    if value is None:  # NumPy would read None as float64
        raise TypeError(f"{expected}; got None")
    try:
        dtype: np.dtype[Any] = np.dtype(value)  # type: ignore[call-overload]
    except Exception:  # NumPy's TypeError, or what a broken __repr__ raised inside it
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{expected}; got {shown(value)}") from None
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"{expected}; got {shown(value)}")
    return dtype
