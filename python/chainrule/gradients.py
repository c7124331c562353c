"""Gradient check: the chain rule against central differences, in float64.

::

    numeric = (J(w + eps) - J(w - eps)) / (2 eps)
    error of a parameter = max |analytic - numeric| / max(max |analytic|, max |numeric|, floor)

The maxima run over the parameter's entries, so that entries near zero are judged by the size of their neighbours.
`floor` is 1e-6 * max(1, |J|): rounding alone makes a numeric gradient of about 1e-16 |J| / eps = 1e-12 |J|, and a
gradient that small cannot be told from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import checks, data, losses, penalties
from .activations import ActivationFunction

if TYPE_CHECKING:
    from .losses import Loss
    from .network import Network
    from .penalties import Penalty

Array = npt.NDArray[np.float64]


class Kink(NamedTuple):
    """An entry of a parameter within eps of a kink of an activation: differences are wrong there."""

    parameter: str
    entry: tuple[int, ...]
    layer: int  # the first layer, counted from 0, whose pattern of signs changes


@dataclass(frozen=True)
class GradientCheck:
    """What a gradient check found.

    Attributes
    ----------
    errors : dict of str to float
        Relative error of each parameter; NaN where every entry lay at a kink, so nothing was checked, or where a
        gradient or a difference is not a number.
    checked : dict of str to int
        How many entries of each parameter were compared.
    kinks : list of Kink
        Entries left out.
    """

    errors: dict[str, float]
    checked: dict[str, int]
    kinks: list[Kink]

    @property
    def max_error(self) -> float:
        """The largest relative error; NaN if one is NaN; 0 for a network without parameters."""
        return float(np.max(list(self.errors.values()), initial=0.0))

    def passed(self, tolerance: float = 1e-6) -> bool:
        """Return whether every parameter was checked and no error is above `tolerance`."""
        return self.max_error <= checks.number("tolerance", tolerance, above=0)

    def __repr__(self) -> str:
        """Return a table, a parameter a line."""
        width = max([len("parameter"), *map(len, self.errors)])
        lines = [f"{'parameter':{width}}  relative error  entries checked  at kinks"]
        for name, error in self.errors.items():
            kinks = sum(kink.parameter == name for kink in self.kinks)
            lines.append(f"{name:{width}}  {error:14.2e}  {self.checked[name]:15,}  {kinks:8,}")
        return "\n".join(lines)


def check_gradients(
    net: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: str | Loss,
    penalty: Penalty | Sequence[Penalty] | None = None,
    eps: float = 1e-4,
    samples: int | None = None,
) -> GradientCheck:
    """Compare the gradients of the engine with central differences, on a float64 copy of `net`.

    The copy runs in training mode, with the same dropout masks in every pass. `net` itself does not change.

    Parameters
    ----------
    net : Network
    X : array of shape (B, inputs)
        A few rows are enough; the cost is two passes for each entry of each parameter.
    y : array
        Targets; see the loss.
    loss : str or Loss
    penalty : Penalty or sequence of Penalty, optional
    eps : float, default 1e-4
        Half the distance of the differences.
    samples : int, optional
        Check only so many entries of each parameter, chosen at random (always the same ones).

    Returns
    -------
    GradientCheck
        Its `passed()` is what to assert; an error below 1e-6 is expected where everything is smooth.
    """
    checks.network("net", net)
    eps = checks.number("eps", eps, above=0, below=1)
    most = checks.MOST if samples is None else checks.whole("samples", samples)
    objective = Objective(net, X, y, losses.resolve("loss", loss), penalties.resolve("penalty", penalty))
    analytic = objective.gradients()
    floor = 1e-6 * max(1.0, abs(objective.value()))

    errors, checked, kinks = {}, {}, []
    for name, parameter in objective.parameters().items():
        numeric, compared = np.zeros(parameter.shape), np.zeros(parameter.shape, dtype=bool)
        for index in chosen(parameter, most):
            difference, kinked = objective.difference(parameter, index, eps)
            if kinked is None:
                numeric[index], compared[index] = difference, True
            else:
                kinks.append(Kink(name, index, kinked))
        errors[name] = relative_error(analytic[name][compared], numeric[compared], floor)
        checked[name] = int(compared.sum())
    return GradientCheck(errors, checked, kinks)


def relative_error(analytic: Array, numeric: Array, floor: float) -> float:
    """Return the largest difference over the largest gradient; NaN for no entries, and where one is not finite."""
    if not (analytic.size and data.all_finite(analytic) and data.all_finite(numeric)):
        return math.nan
    scale = max(np.abs(analytic).max(), np.abs(numeric).max(), floor)
    return float(np.abs(analytic - numeric).max() / scale)


def chosen(parameter: Array, most: int) -> Iterator[tuple[int, ...]]:
    """Yield the indices to check: all, or `most` of them at random."""
    if most >= parameter.size:
        yield from np.ndindex(parameter.shape)
        return
    for place in np.random.default_rng(0).choice(parameter.size, most, replace=False):
        yield tuple(int(i) for i in np.unravel_index(place, parameter.shape))


class Objective:
    """J: loss and penalties of one batch as a function of the parameters of a float64 copy."""

    def __init__(self, net: Network, X: object, y: object, loss: Loss, penalty: tuple[Penalty, ...]) -> None:
        loss.check_head(net)
        self._copy = net.copy(dtype="float64")
        self._core: Any = self._copy.core
        self._steps = self._core.steps
        self._x: Any = np.ascontiguousarray(data.features("X", X, net.inputs, self._copy.dtype))
        if not len(self._x):
            raise ValueError(f"X must have at least one row; got shape {self._x.shape}")
        self._y: Any = loss.targets("y", y, len(self._x), net.outputs, self._copy.dtype)
        self._loss: Any = loss.build(self._copy.engine)
        self._penalties = penalty
        self._kinked = [n for n, layer in enumerate(net.layers) if has_kink(layer.activation_function())]

    def parameters(self) -> dict[str, Array]:
        """Return views of the copy's parameters."""
        return self._copy.parameters()

    def forward(self) -> tuple[float, Any]:
        """Return the loss of the data and its gradient by the outputs."""
        self._core.steps = self._steps  # the same dropout masks every time
        result: tuple[float, Any] = self._loss.value(self._core.forward(self._x, True), self._y, None)
        return result

    def value(self) -> float:
        """Return J."""
        return self.forward()[0] + sum(one.value(self._copy) for one in self._penalties)

    def gradients(self) -> dict[str, Array]:
        """Return the analytic gradients of J."""
        self._core.zero_grad()
        self._core.backward(self.forward()[1])
        for one in self._penalties:
            one.add_gradient(self._copy)
        return {name: gradient.copy() for name, gradient in self._core.gradients().items()}

    def difference(self, parameter: Array, index: tuple[int, ...], eps: float) -> tuple[float, int | None]:
        """Return the central difference by one entry, and the first layer with a kink between its two ends, or None."""
        start = parameter[index]
        ends = []
        for moved in (start + eps, start - eps):
            parameter[index] = moved
            ends.append((moved, self.value(), self._signs()))
        parameter[index] = start
        (above, upper, signs_above), (below, lower, signs_below) = ends
        crossed = [n for n in self._kinked if not np.array_equal(signs_above[n], signs_below[n])]
        # above - below is 2 eps as it was rounded when added to the entry.
        return (upper - lower) / (above - below), crossed[0] if crossed else None

    def _signs(self) -> dict[int, npt.NDArray[np.bool_]]:
        """Return on which side of the kink each output of the kinked layers lies."""
        if not self._kinked:
            return {}
        outputs = self._core.layer_outputs()
        return {n: outputs[n] > 0 for n in self._kinked}


def has_kink(activation: object) -> bool:
    """Return whether differences can go wrong at an activation."""
    return isinstance(activation, ActivationFunction) and activation.has_kink
