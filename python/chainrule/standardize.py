"""Standardize: a layer that brings columns to mean 0 and deviation 1, and how it gets its figures.

They are measured here, once, from the rows to train on; the engine applies them (csrc/nn/layers/standardize.h). Groups
of rows with figures of their own are no layer: see groups.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data, sparse
from ._engine import DeviceArray, SparseRows
from .activations import ActivationFunction, Identity
from .layer import Layer, Shapes
from .moments import Moments, moments

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine.float32 import Layer as CoreLayer
    from .network import Network

    Array = npt.NDArray[Any]

# A column is warned of whose numbers have steps of more than a hundredth of its deviation: rounding then adds to it a
# noise of up to 0.3 % of the deviation (a step over the root of 12).
COARSEST_STEP = 0.01


class StandardizeWarning(UserWarning):
    """The network's dtype is too coarse for a column, which lies far from 0 and deviates little from there."""


@dataclass(frozen=True)
class Standardize(Layer):
    """Global normalization: each column of x (B, inputs) gets mean 0 and deviation 1, by figures of the training rows.

    ::

        x' = (x - mean) / scale                                              [001]

    with the mean and the standard deviation (over N, not N - 1) of the column; the scale of a column of equal numbers
    is 1. The statistics "mean" and "inverse_scale" (1 / scale; 0 while nothing is known) are measured once and then
    stay: nothing learns them. They are part of the network, in files and copies too, so that it takes rows as they come
    from the world, wherever it is used.

    "Same scale" [004]; to forget it is a common mistake [003]. Put it first. `Trainer.fit` measures the rows that it
    trains on, before the first step, if that has not been done, and never those of the validation part: what is known
    of them must not shape the training. A row counts by its `sample_weight` (a weight of 2 is the row twice), not by
    `class_weight`. For a loop by hand call `net.adapt`. Until then the network refuses to predict.

    Behind other layers it standardizes what they give when it is measured, which suits frozen ones; behind layers that
    learn take `BatchNorm`, which keeps up.

    Parameters
    ----------
    shared : bool, default False
        Whether all columns have one mean and one scale: for the pixels of pictures, where a scale of its own would blow
        up a pixel that hardly ever shows anything.

    Notes
    -----
    Rows are of the network's dtype before they come here. float32 keeps 24 bits of a number: of a column around 1e9,
    steps of 64. What is lost by that, no figures bring back, and where the steps are more than 1 % of the deviation, a
    `StandardizeWarning` says so. Then take `dtype="float64"`, or subtract something near the mean before (a year as
    years since 2000). A year itself, 1999.25, is harmless: float32 has steps of 0.0001 there.
    """

    _: KW_ONLY
    shared: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "shared", checks.flag)

    def statistic_shapes(self, inputs: int) -> Shapes:
        """Return {"mean": (inputs,), "inverse_scale": (inputs,)}."""
        return {"mean": (inputs,), "inverse_scale": (inputs,)}

    def activation_function(self) -> ActivationFunction:
        """Return the identity: whatever came in, any number may come out."""
        return Identity()

    def start(self) -> str:
        """Say where the figures come from."""
        return "measured before training"

    def flaw(self, name: str, value: Array) -> str:
        """Say where an inverse scale is not above 0; "" for nowhere, or where all are 0: not measured yet."""
        if name != "inverse_scale" or (value > 0).all() or not value.any():
            return ""
        place = int((~(value > 0)).argmax())
        return f"must be above 0, or 0 everywhere; [{place}] is {value[place]}"

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        built: CoreLayer = engine.Standardize()
        return built


def places(layers: Sequence[Layer]) -> tuple[int, ...]:
    """Return the numbers of the layers that standardize."""
    return tuple(number for number, layer in enumerate(layers) if isinstance(layer, Standardize))


def unmeasured(net: Network) -> tuple[int, ...]:
    """Return the numbers of the layers that have no figures yet."""
    numbers = places(net.layers)
    statistics = net.statistics() if numbers else {}
    return tuple(number for number in numbers if not statistics[f"{number}.inverse_scale"].any())


class Unmeasured:
    """Stands in the place of a network's quick predictor until it is known that all figures are there.

    So a network that has them, or needs none, is never asked.
    """

    def __init__(self, net: Network) -> None:
        self._net = net

    def __call__(self, X: object, out: object) -> Array | None:
        """Predict as the quick predictor does, which takes this one's place; RuntimeError where figures are missing."""
        self._net.check_measured()
        return self._net.predict_as_is(X, out)

    def measured(self) -> Callable[[object, object], Array | None]:
        """Return the quick predictor; RuntimeError where figures are missing."""
        missing = unmeasured(self._net)
        if missing:
            raise RuntimeError(
                f"layers[{missing[0]}], a Standardize, has no mean and scale yet: Trainer.fit measures the rows that "
                "it trains on; for a loop by hand call net.adapt(X) with them"
            )
        return self._net.core.predictor()


def predictor(net: Network) -> Callable[[object, object], Array | None]:
    """Return the quick predictor of a network, or what looks for its figures first."""
    return Unmeasured(net) if places(net.layers) else net.core.predictor()


def measure(
    net: Network,
    x: Array | DeviceArray | SparseRows,
    weight: Array | None,
    numbers: Sequence[int],
    stacklevel: int | None,
) -> None:
    """Give some layers the figures of rows.

    Parameters
    ----------
    net : Network
    x : array of shape (N, inputs), or sparse rows
        Checked, of the network's dtype.
    weight : array of shape (N,), optional
        How often each row counts, not all 0.
    numbers : sequence of int
        Which layers, in ascending order: a later one is measured with the figures of those before it.
    stacklevel : int or None
        As that of `warnings.warn`, seen from the caller; None for no warning.

    Raises
    ------
    ValueError
        If there are no rows, or a column's numbers are too large or its deviation too small. Then nothing has changed.
    """
    new: dict[str, Array] = {}
    host = x.numpy() if isinstance(x, DeviceArray) else x
    for number in numbers:
        layer = net.layers[number]
        assert isinstance(layer, Standardize)
        found = moments(given_to(net, number, host, new), shared=layer.shared, weight=weight)
        new[f"{number}.mean"] = found.means.astype(net.dtype)
        new[f"{number}.inverse_scale"] = inverse_scales(net, number, found)
        if stacklevel is not None:
            warn_of_coarse_steps(net, number, found, stacklevel + 1)
    net.parameter_changes += 1
    net.core.assign(new)


def given_to(net: Network, number: int, x: Array | SparseRows, new: dict[str, Array]) -> Array:
    """Return what a layer is given for the rows x, with some statistics replaced by `new` ones."""
    if number == 0:
        assert isinstance(x, np.ndarray)  # sparse rows come to a Dense
        return x
    from .network import Network

    before = Network.remade(net.layers[:number], **net.options())
    state = {**net.state_dict(), **new}
    before.load_state_dict({name: state[name] for name in before.state_dict()})
    return before.core.predict(x)


def inverse_scales(net: Network, number: int, found: Moments) -> Array:
    """Return 1 / scale in the network's dtype."""
    with np.errstate(over="ignore", under="ignore"):
        inverse: Array = (1 / found.scales).astype(net.dtype)
    wrong = ~np.isfinite(inverse) | (inverse == 0) | ~np.isfinite(found.means.astype(net.dtype))
    if wrong.any():
        column = int(wrong.argmax())
        raise ValueError(
            f"column {column} of what comes to layers[{number}], a Standardize, has a scale of "
            f"{found.scales[column]:.3g}, whose inverse does not fit into {net.dtype}: multiply the column by a number"
        )
    return inverse


def warn_of_coarse_steps(net: Network, number: int, found: Moments, stacklevel: int) -> None:
    """Warn of columns whose numbers, in the network's dtype, have steps that are large beside their deviation."""
    steps = np.spacing(np.abs(found.means).astype(net.dtype)).astype(np.float64) / found.scales
    coarse = (steps > COARSEST_STEP) & ~found.constant
    if coarse.any():
        column = int(coarse.argmax())
        warnings.warn(
            f"column {column} of what comes to layers[{number}], a Standardize, lies around {found.means[column]:.4g} "
            f"and deviates by {found.scales[column]:.4g}; {net.dtype} has steps of {steps[column]:.1%} of that there, "
            'which blur it. Subtract a number near the mean before, or take dtype="float64"',
            StandardizeWarning,
            stacklevel=stacklevel + 1,
        )


def measure_missing(
    net: Network, x: Array | DeviceArray | SparseRows, weight: Array | None, stacklevel: int | None
) -> Callable[[], None]:
    """Give the layers that have no figures yet those of the rows to train on, as `measure` does.

    Returns
    -------
    callable
        Takes the figures back, for a fit that is refused before its first step.
    """
    missing = unmeasured(net)
    before = {name: array.copy() for name, array in net.statistics().items()} if missing else {}
    if missing:
        measure(net, x, weight, missing, None if stacklevel is None else stacklevel + 1)

    def take_back() -> None:
        if missing:
            net.parameter_changes += 1
            net.core.assign({**net.core.parameters(), **before})
            net.predict_as_is = predictor(net)

    return take_back


def adapt(net: Network, X: object, sample_weight: object) -> None:
    """Measure all layers that standardize; see `Network.adapt`."""
    numbers = places(net.layers)
    if not numbers:
        raise ValueError("adapt() is for networks with a Standardize; this one has none")
    x = sparse.or_any_layout("X", X, net)
    if len(x) == 0:
        raise ValueError(f"X must have at least one row; got shape {x.shape}")
    weight = None if sample_weight is None else data.weights("sample_weight", sample_weight, len(x), net.dtype)
    measure(net, x, weight, numbers, stacklevel=3)
