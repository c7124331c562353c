"""What the files of the specification share: the kinds of arrays, the maths of one element, looking up a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]  # float32 or float64
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Anything = TypeVar("Anything")


class Formula(NamedTuple):
    """The maths of one element: its value and the slope of that.

    An activation h = g(z, a) with g' in terms of h, a loss l(p, y, a) with dl/dp, or a penalty's term r(w, p) with
    dr/dw; a and p are the parameter, for those that take one.
    """

    value: Callable[..., Array]
    slope: Callable[..., Array]


def known(what: str, name: str, table: Mapping[str, Anything]) -> Anything:
    """Return the entry of a table.

    Raises
    ------
    ValueError
        Where there is none; the message lists the names that there are.
    """
    if name not in table:
        raise ValueError(f"{what} must be one of {', '.join(table)}; got {name!r}")
    return table[name]
