"""A network as prediction has it, in steps that any other library knows; what is written elsewhere is made of these.

::

    Affine       z = x W + b                                   Dense, DropConnect, Maxout
                 of several pieces the greatest one            Maxout
    Columns      h = (x - mean) scale                          Standardize, Dropout(variant="classic")
    Normalized   h = (x - mean) / sqrt(variance + eps) gamma + beta                             BatchNorm
    g            an ActivationFunction

x (B, inputs), W (inputs, columns), all else one number a column. What only training has (masks, noise, batch
statistics) is gone. Nothing is computed on rows here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import data
from .activations import ActivationFunction, Identity
from .affine import Dense, DropConnect, Maxout
from .layers import Activation, BatchNorm
from .noise import Dropout, GaussianNoise, dropped_share
from .standardize import Standardize

if TYPE_CHECKING:
    import numpy.typing as npt

    from .layer import Layer
    from .network import Network

    Array = npt.NDArray[Any]

# What folding may add to a standardized number: (x - mean) is exact where x lies near the mean, x scale - mean scale is
# rounded at the size of mean scale. At 2^-20 = 1e-6, float32 may have means of up to 8 deviations, float64 of any size
# met in practice (4e9).
MOST_ROUNDING = 2.0**-20


@dataclass(frozen=True)
class Affine:
    """z = x W + b; of several pieces, columns j, units + j, 2 units + j, ..., the greatest. All in float64."""

    name: str  # of its arrays: the layer's number in the network
    weight: Array  # (inputs, columns)
    bias: Array | None  # (columns,)
    pieces: int = 1

    def before(self, step: Columns | Normalized) -> Affine:
        """Return this step and the one behind it as one."""
        scale, shift = step.factors()
        bias = shift if self.bias is None else self.bias * scale + shift
        return replace(self, weight=self.weight * scale, bias=bias)

    def behind(self, step: Columns | Normalized) -> Affine:
        """Return the step in front of this one and this one as one."""
        scale, shift = step.factors()
        bias = shift @ self.weight
        return replace(self, weight=self.weight * scale[:, None], bias=bias if self.bias is None else bias + self.bias)


@dataclass(frozen=True)
class Columns:
    """h = (x - mean) scale, all in float64."""

    name: str  # as above, or that of a scaler in front of the network (scalers.py)
    mean: Array  # (inputs,)
    scale: Array  # (inputs,)

    def factors(self) -> tuple[Array, Array]:
        """Return s and t of h = x s + t."""
        return self.scale, -self.mean * self.scale


@dataclass(frozen=True)
class Normalized:
    """h = (x - mean) / sqrt(variance + eps) gamma + beta, all in float64."""

    name: str
    gamma: Array  # (inputs,), as are the next three
    beta: Array
    mean: Array
    variance: Array
    eps: float

    def factors(self) -> tuple[Array, Array]:
        """Return s and t of h = x s + t."""
        scale = self.gamma / np.sqrt(self.variance + self.eps)
        return scale, self.beta - self.mean * scale


InferenceStep: TypeAlias = Affine | Columns | Normalized | ActivationFunction


def inference_steps(net: Network, *, fold: bool, before: Iterable[InferenceStep] = ()) -> list[InferenceStep]:
    """Return the steps of a network.

    Parameters
    ----------
    net : Network
    fold : bool
        Whether what scales and shifts columns becomes a part of the affine step before it, or else behind it, where
        rounding allows.
    before : iterable of steps
        What rows go through before they come to the network.

    Raises
    ------
    ValueError
        If a parameter or a statistic is not finite.
    RuntimeError
        If a `Standardize` has no figures yet.
    """
    net.check_measured()
    state = net.state_dict()
    data.check_finite(state, "exported")
    steps: list[InferenceStep] = [*before]
    width = net.inputs
    for number, layer in enumerate(net.layers):
        own = {name: state[f"{number}.{name}"].astype(np.float64) for name in arrays_of(layer, width)}
        steps += of_layer(number, layer, own, width)
        width = layer.outputs(width)
    return folded(steps, net.dtype) if fold else steps


def arrays_of(layer: Layer, inputs: int) -> Iterable[str]:
    """Return the names of a layer's arrays."""
    return (*layer.parameter_shapes(inputs), *layer.statistic_shapes(inputs))


def of_layer(number: int, layer: Layer, arrays: dict[str, Array], inputs: int) -> list[InferenceStep]:
    """Return the steps of one layer, in evaluation mode."""
    name = str(number)
    if isinstance(layer, (Dense, DropConnect, Maxout)):
        weight = arrays["weight"]
        if isinstance(layer, DropConnect) and layer.variant == "classic":
            weight = weight * (1 - dropped_share(layer.rate, layer.keep_prob))
        pieces = layer.pieces if isinstance(layer, Maxout) else 1
        return [Affine(name, weight, arrays.get("bias"), pieces), *function(layer.activation_function())]
    if isinstance(layer, BatchNorm):
        mean, variance = arrays["running_mean"], arrays["running_variance"]
        return [Normalized(name, arrays["gamma"], arrays["beta"], mean, variance, layer.eps)]
    if isinstance(layer, Standardize):
        return [Columns(name, arrays["mean"], arrays["inverse_scale"])]
    if isinstance(layer, Activation):
        return function(layer.activation_function())
    if isinstance(layer, Dropout):
        share = dropped_share(layer.rate, layer.keep_prob)
        if layer.variant != "classic" or share == 0:
            return []
        return [Columns(name, np.zeros(inputs), np.full(inputs, 1 - share))]
    if isinstance(layer, GaussianNoise):
        return []
    raise TypeError(f"layers[{number}], a {layer.label()}, is none that can be written for other libraries")


def function(activation: ActivationFunction) -> list[InferenceStep]:
    """Return an activation as a step, or none where it does nothing."""
    return [] if activation == Identity() else [activation]


# Folding -------------------------------------------------------------------------------------------------------------


def folded(steps: Sequence[InferenceStep], dtype: np.dtype[Any]) -> list[InferenceStep]:
    """Return fewer steps that compute the same up to rounding: columns are scaled and shifted by weights."""
    done: list[InferenceStep] = []
    for step in steps:
        last = done[-1] if done else None
        # The greatest of several pieces, scaled by less than 0, is no longer the greatest.
        if isinstance(step, (Columns, Normalized)) and isinstance(last, Affine) and last.pieces == 1:
            made = last.before(step)
            if fits(made, dtype):
                done[-1] = made
                continue
        if isinstance(step, Affine):
            while done and isinstance(done[-1], (Columns, Normalized)) and is_near(done[-1], dtype):
                made = step.behind(done[-1])
                if not fits(made, dtype):
                    break
                step = made
                done.pop()
        done.append(step)
    return done


def is_near(step: Columns | Normalized, dtype: np.dtype[Any]) -> bool:
    """Return whether the means of all columns are near enough to 0 to be subtracted after the scaling."""
    distance = np.abs(step.mean * step.factors()[0])
    return bool((distance * np.finfo(dtype).eps <= MOST_ROUNDING).all())


def fits(step: Affine, dtype: np.dtype[Any]) -> bool:
    """Return whether the arrays of a step are finite in the network's dtype."""
    with np.errstate(over="ignore"):
        arrays = [step.weight.astype(dtype), *([] if step.bias is None else [step.bias.astype(dtype)])]
    return all(bool(np.isfinite(one).all()) for one in arrays)
