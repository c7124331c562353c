"""The layers that there are, by name; and those of one value at a time, Activation and BatchNorm.

Layers with weights are in affine.py, those that disturb in noise.py, the one for raw inputs in standardize.py, what all
share in layer.py. The maths is in csrc/nn/layers/. Adding a layer: docs/adding_a_layer.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from . import activations, checks
from .activations import ActivationFunction, Identity
from .affine import Dense as Dense
from .affine import DropConnect as DropConnect
from .affine import Maxout as Maxout
from .layer import Layer as Layer
from .layer import Shapes
from .noise import Dropout as Dropout
from .noise import GaussianNoise as GaussianNoise
from .standardize import Standardize as Standardize

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._engine.float32 import Layer as CoreLayer

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Activation(Layer):
    """An activation function as a layer of its own: h = g(x).

    Parameters
    ----------
    kind : str or ActivationFunction
        The function g.
    """

    kind: str | ActivationFunction

    def __post_init__(self) -> None:
        """Check the options."""
        activations.resolve("kind", self.kind)

    def activation_function(self) -> ActivationFunction:
        """Return g."""
        return activations.resolve("kind", self.kind)

    def label(self) -> str:
        """Name the layer and g."""
        return f"Activation {self.activation_function().word}"

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        return self.activation_function().layer(engine)


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalization: each column of x (B, inputs) is brought to mean 0 and variance 1, then scaled and shifted.

    ::

        training    mu = 1/B sum x      s2 = 1/B sum (x - mu)^2      ("biased": over B, not B - 1)
                    xhat = (x - mu) / sqrt(s2 + eps)                 h = gamma xhat + beta
        prediction  the same with running_mean and running_variance for mu and s2

    Algorithm 1 of Ioffe and Szegedy 2015, as in lecture [002]. gamma (starts at 1) and beta (at 0) are learned; weight
    penalties do not count them. What prediction needs is on no slide; it follows the paper's algorithm 2 and PyTorch::

        running_mean     <- (1 - momentum) running_mean     + momentum mu
        running_variance <- (1 - momentum) running_variance + momentum s2 B / (B - 1)

    from 0 and 1, in every training step of at least two rows. A step of one row has variance 0: it leaves them alone,
    and gives h = beta; a `Trainer` refuses to fit with such steps alone. A frozen layer (`net.freeze`) uses its running
    statistics in training too, and keeps them.

    Where it stands is yours to say: before the activation ([000]; the paper), as in
    [Dense(64), BatchNorm(), Activation("relu")]; after it; or first of all, on the inputs ([002]). A bias right before
    it is undone by the mean, and may be left out: Dense(64, bias=False).

    Parameters
    ----------
    eps : float, default 1e-5
        Keeps the division finite, above 0.
    momentum : float, default 0.1
        Share of the new batch in the running statistics, from 0 to 1. Other libraries call 1 - momentum so.
    """

    _: KW_ONLY
    eps: float = 1e-5
    momentum: float = 0.1

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "eps", checks.number, above=0)
        checks.option(self, "momentum", checks.number, least=0, most=1)

    def parameter_shapes(self, inputs: int) -> Shapes:
        """Return {"gamma": (inputs,), "beta": (inputs,)}."""
        return {"gamma": (inputs,), "beta": (inputs,)}

    def statistic_shapes(self, inputs: int) -> Shapes:
        """Return {"running_mean": (inputs,), "running_variance": (inputs,)}."""
        return {"running_mean": (inputs,), "running_variance": (inputs,)}

    def activation_function(self) -> ActivationFunction:
        """Return the identity: whatever came in, any number may come out."""
        return Identity()

    def kept(self) -> str:
        """Name the outputs, and the moments of the batch."""
        return "h, mu, s2"

    def start(self) -> str:
        """Say how gamma and beta start."""
        return "gamma 1, beta 0"

    def flaw(self, name: str, value: Array) -> str:
        """Say where a running variance is below 0; "" for nowhere."""
        if name != "running_variance" or not (value < 0).any():
            return ""
        place = int((value < 0).argmax())
        return f"must be at least 0; [{place}] is {value[place]}"

    def differs_in_training(self) -> bool:
        """Return whether the layer gives other outputs in training mode than in evaluation mode."""
        return True

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        built: CoreLayer = engine.BatchNorm(self.eps, self.momentum)
        return built


KNOWN: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (Dense, DropConnect, Maxout, BatchNorm, Standardize, Activation, Dropout, GaussianNoise)
}


def started(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers as they are built: where nothing else was asked for, weights start as suits what follows them.

    What follows is the next activation function before the next layer with weights; `BatchNorm` and layers that
    disturb are looked through. Without one it is the identity.
    """
    following: ActivationFunction = Identity()
    found = []
    for layer in reversed(layers):
        found.append(layer.before(following))
        function = layer.activation_function()
        if "weight" in layer.parameter_shapes(1):
            following = Identity()
        elif function is not None and function != Identity():
            following = function
    return found[::-1]


class NetworkShapes(NamedTuple):
    """The shapes of all arrays of a network, by names such as "0.weight"."""

    parameters: Shapes  # what is learned
    statistics: Shapes  # what is counted along


def shapes(layers: Iterable[Layer], inputs: int) -> NetworkShapes:
    """Return the shapes of all parameters and statistics of a network.

    Raises
    ------
    ValueError
        If a layer cannot take what the one before it gives.
    """
    found = NetworkShapes({}, {})
    for number, layer in enumerate(layers):
        try:
            outputs = layer.outputs(inputs)
        except ValueError as error:
            raise ValueError(f"layers[{number}]: {error}") from None
        for name, shape in layer.parameter_shapes(inputs).items():
            found.parameters[f"{number}.{name}"] = shape
        for name, shape in layer.statistic_shapes(inputs).items():
            found.statistics[f"{number}.{name}"] = shape
        inputs = outputs
    return found


def parameter_shapes(layers: Iterable[Layer], inputs: int) -> Shapes:
    """Return the shapes of all parameters of a network, by names such as "0.weight"."""
    return shapes(layers, inputs).parameters
