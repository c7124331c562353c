"""Gradient check: the chain rule against central differences, in float64.

::

    numeric = (J(w + eps) - J(w - eps)) / (2 eps)
    error of a parameter = max |analytic - numeric| / max(max |analytic|, max |numeric|, floor)

The maxima run over the parameter's entries, so that entries near zero are judged by the size of their neighbours.
`floor` is 1e-5 * max(1, |J|): each rounding on the way to J makes a numeric gradient of about 1e-16 |J| / eps =
1e-12 |J|, a sum over rows brings some ten, and a gradient that small cannot be told from them.

Where a derivative jumps, a difference across the jump is wrong, and the entry is left out and named: at kinks of
activations, where another piece of a Maxout becomes the greatest, at kinks of losses and of penalties. Source of the
method: lecture [002], with eps = 1e-4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import checks, data, losses, penalties, training_rows

if TYPE_CHECKING:
    from .losses import Loss
    from .network import Network
    from .penalties import Penalty

Array = npt.NDArray[np.float64]


class Kink(NamedTuple):
    """An entry of a parameter within eps of a kink: differences are wrong there.

    `layer`, counted from 0, is the first one with a kink between the ends of the difference. A kink of the loss counts
    as the last layer's, one of a penalty as that of the layer that has the parameter.
    """

    parameter: str
    entry: tuple[int, ...]
    layer: int


@dataclass(frozen=True)
class GradientCheck:
    """What a gradient check found.

    Attributes
    ----------
    errors : dict of str to float
        Relative error of each parameter; NaN where every entry lay at a kink, so nothing was checked (as biases that
        start at 0 under `L1(bias_strength=)`; the repr says so), or where a gradient or a difference is not a number.
    checked : dict of str to int
        How many entries of each parameter were compared. Statistics and frozen layers are not checked, nor are weights
        where `connections` has a 0.
    kinks : list of Kink
        Entries left out.
    """

    errors: dict[str, float]
    checked: dict[str, int]
    kinks: list[Kink]

    @property
    def max_error(self) -> float:
        """The largest relative error; NaN if one is NaN; 0 where the network learns nothing."""
        return float(np.max(list(self.errors.values()), initial=0.0))

    def passed(self, tolerance: float = 1e-6) -> bool:
        """Return whether every parameter was checked and no error is above `tolerance`.

        Parameters
        ----------
        tolerance : float, default 1e-6
            The greatest relative error that passes.

        Returns
        -------
        bool
            False too where an error is NaN.
        """
        return self.max_error <= checks.number("tolerance", tolerance, above=0)

    def __repr__(self) -> str:
        """Return a table, a parameter a line."""
        width = max([len("parameter"), *map(len, self.errors)])
        lines = [f"{'parameter':{width}}  relative error  entries checked  at kinks"]
        for name, error in self.errors.items():
            kinks = sum(kink.parameter == name for kink in self.kinks)
            nothing = "  nothing checked: all entries at kinks" if kinks and not self.checked[name] else ""
            lines.append(f"{name:{width}}  {error:14.2e}  {self.checked[name]:15,}  {kinks:8,}{nothing}")
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
    sample_weight: npt.ArrayLike | None = None,
) -> GradientCheck:
    """Compare the gradients of the engine with central differences, on a float64 copy of `net` on the CPU.

    The copy runs in training mode, with the same masks and the same noise in every pass. `net` itself does not change.

    Parameters
    ----------
    net : Network
        Not changed.
    X : array of shape (B, inputs)
        A few rows are enough; the cost is two passes for each entry of each parameter.
    y : array
        Targets; see the loss.
    loss : str or Loss
        What is differentiated.
    penalty : Penalty or sequence of Penalty, optional
        The rows of X are both its m and its batch. Those that act otherwise than by a gradient (decoupled decay,
        proximal L1) are left out.
    eps : float, default 1e-4
        Half the distance of the differences.
    samples : int, optional
        Check only so many entries of each parameter, chosen at random (always the same ones).
    sample_weight : array of shape (B,), optional
        Factor of each row, at least 0.

    Returns
    -------
    GradientCheck
        Its `passed()` is what to assert; an error below 1e-6 is expected where everything is smooth.
    """
    checks.network("net", net)
    eps = checks.number("eps", eps, above=0, below=1)
    most = checks.MOST if samples is None else checks.whole("samples", samples)
    resolved = penalties.resolve("penalty", penalty)
    objective = Objective(net, X, y, losses.resolve("loss", loss), resolved, sample_weight)
    analytic = objective.gradients()
    floor = 1e-5 * max(1.0, abs(objective.value()))

    errors, checked, kinks = {}, {}, []
    for name, parameter in objective.parameters().items():
        numeric, compared = np.zeros(parameter.shape), np.zeros(parameter.shape, dtype=bool)
        for index in chosen(objective.free(name), most):
            difference, kinked = objective.difference(name, index, eps)
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


def chosen(free: npt.NDArray[np.bool_], most: int) -> Iterator[tuple[int, ...]]:
    """Yield the indices to check: all that are free, or `most` of them at random."""
    places = np.flatnonzero(free)
    if most < len(places):
        places = places[np.random.default_rng(0).choice(len(places), most, replace=False)]
    for place in places:
        yield tuple(int(i) for i in np.unravel_index(place, free.shape))


class Objective:
    """J: loss and penalties of one batch as a function of the parameters of a float64 copy."""

    def __init__(
        self,
        net: Network,
        X: object,
        y: object,
        loss: Loss,
        penalty: tuple[Penalty, ...] = (),
        sample_weight: object = None,
    ) -> None:
        loss.check_head(net)
        net.check_measured()
        self._copy = net.copy(dtype="float64", device="cpu")
        self._core: Any = self._copy.core
        self._steps = self._core.steps
        rows: tuple[Any, Any, Any] = training_rows.checked_rows(self._copy, loss, X, y, sample_weight)
        self._x, self._y, self._weight = rows
        self._loss, self._core_loss = loss, loss.build(self._copy.engine)
        self._penalties = [one for one in penalty if one.acts_by_gradient]
        self._rows = {"m": len(self._x), "batch": len(self._x)}
        # The layers that have kinks, and their parameters by their own names.
        self._kinked: dict[int, dict[str, Array]] = {n: {} for n, layer in enumerate(net.layers) if layer.has_kink()}
        for name, parameter in self._copy.parameters().items():
            number, own_name = place(name)
            self._kinked.get(number, {})[own_name] = parameter

    def parameters(self) -> dict[str, Array]:
        """Return views of the copy's parameters, but for those of frozen layers."""
        return {name: p for name, p in self._copy.parameters().items() if place(name)[0] not in self._copy.frozen}

    def free(self, name: str) -> npt.NDArray[np.bool_]:
        """Return which entries of a parameter may move."""
        number, own_name = place(name)
        connected = self._copy.layers[number].is_connected(own_name)
        return np.ones(self._copy.parameters()[name].shape, dtype=bool) if connected is None else connected

    def forward(self) -> tuple[float, Any]:
        """Return the loss of the data and its gradient by the outputs."""
        self._core.steps = self._steps  # the same masks and noise every time
        self._p = self._core.forward(self._x, True)
        return self._core_loss.value(self._p, self._y, self._weight)

    def value(self) -> float:
        """Return J."""
        return self.forward()[0] + self._penalty(self._penalties)

    def _penalty(self, some: Sequence[Penalty]) -> float:
        """Return the sum of some penalties."""
        return sum((one.value(self._copy, **self._rows) for one in some), 0.0)

    def gradients(self) -> dict[str, Array]:
        """Return the analytic gradients of J."""
        self._core.zero_grad()
        self._core.backward(self.forward()[1])
        for one in self._penalties:
            one.add_gradient(self._copy, **self._rows)
        return {name: gradient.copy() for name, gradient in self._core.gradients().items()}

    def difference(self, name: str, index: tuple[int, ...], eps: float) -> tuple[float, int | None]:
        """Return the central difference by one entry, and the first layer with a kink between its two ends, or None."""
        parameter = self._copy.parameters()[name]
        start = float(parameter[index])
        ends = []
        for moved in (start + eps, start - eps):
            parameter[index] = moved
            ends.append((moved, self.value(), self._patterns()))
        (above, upper, patterns_above), (below, lower, patterns_below) = ends
        pairs = zip(patterns_above, patterns_below, strict=True)
        crossed = [number for (number, one), (_, other) in pairs if not np.array_equal(one, other)]
        if below < 0 < above and self._penalty_bends(parameter, index, (below, 0.0, above)):
            crossed.append(place(name)[0])
        parameter[index] = start
        # above - below is 2 eps as it was rounded when added to the entry.
        return (upper - lower) / (above - below), min(crossed, default=None)

    def _patterns(self) -> list[tuple[int, Any]]:
        """Return what tells on which side of each kink the last pass went, layer by layer, then of the loss."""
        found: list[tuple[int, Any]] = []
        outputs = [self._x, *self._core.layer_outputs()] if self._kinked else []
        for number, own in self._kinked.items():
            found.append((number, self._copy.layers[number].pattern(outputs[number], outputs[number + 1], own)))
        if self._loss.has_kink:
            found.append((len(self._copy.layers) - 1, self._loss.pattern(self._p, self._y)))
        return found

    def _penalty_bends(self, parameter: Array, index: tuple[int, ...], points: Sequence[float]) -> bool:
        """Return whether a penalty that has a kink at 0 counts this entry: whether its value differs between points."""
        bending = [one for one in self._penalties if one.has_kink]
        values = set()
        for point in points if bending else ():
            parameter[index] = point
            values.add(self._penalty(bending))
        return len(values) > 1


def place(name: str) -> tuple[int, str]:
    """Return the number of the layer and the layer's own name of a parameter: (0, "weight") of "0.weight"."""
    number, own_name = name.split(".")
    return int(number), own_name
