"""Layers, described: sizes, words and options. Their maths is in csrc/nn/layers/.

A description holds no weights. The same one may stand in several networks; each network has its own parameters.
Adding a layer: docs/adding_a_layer.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from . import activations, checks, initializers
from .activations import ELU, ActivationFunction, LeakyReLU, ReLU
from .initializers import GlorotUniform, HeNormal, Initializer

if TYPE_CHECKING:
    from ._engine.float32 import Layer as CoreLayer


@dataclass(frozen=True)
class Layer:
    """What all layers share. Use one of the classes derived from it."""

    def outputs(self, inputs: int) -> int:
        """Return how many outputs the layer has for so many inputs."""
        return inputs

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the layer's parameters by name, for so many inputs."""
        return {}

    def activation_function(self) -> ActivationFunction | None:
        """Return what shapes the layer's outputs, or None where the layer leaves that to the one before it."""
        return None

    def start(self) -> str:
        """Name the initializer of the weights, "" where there are none."""
        return ""

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        raise NotImplementedError


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected: h = g(x W + b), x (B, inputs), W (inputs, units), b (units).

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or ActivationFunction, default "identity"
        g.
    bias : bool, default True
        Whether there is a b.
    weight_init : str or Initializer, optional
        How W starts. None: He normal before ReLU, LeakyReLU and ELU, which pass about half of what comes in;
        Glorot uniform otherwise.
    bias_init : str or Initializer, default "zeros"
        How b starts.
    """

    units: int
    _: KW_ONLY
    activation: str | ActivationFunction = "identity"
    bias: bool = True
    weight_init: str | Initializer | None = None
    bias_init: str | Initializer = "zeros"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "units", checks.whole)
        checks.option(self, "bias", checks.flag)
        activations.resolve("activation", self.activation)
        if self.weight_init is not None:
            initializers.resolve("weight_init", self.weight_init)
        initializers.resolve("bias_init", self.bias_init)

    def outputs(self, inputs: int) -> int:
        """Return the units."""
        return self.units

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return {"weight": (inputs, units), "bias": (units,)}."""
        weight = {"weight": (inputs, self.units)}
        return {**weight, "bias": (self.units,)} if self.bias else {**weight}

    def activation_function(self) -> ActivationFunction | None:
        """Return g."""
        return activations.resolve("activation", self.activation)

    def weight_initializer(self) -> Initializer:
        """Return how W starts: what was asked for, or what suits g."""
        if self.weight_init is not None:
            return initializers.resolve("weight_init", self.weight_init)
        passes_half = isinstance(self.activation_function(), (ReLU, LeakyReLU, ELU))
        return HeNormal() if passes_half else GlorotUniform()

    def start(self) -> str:
        """Name the initializer of W."""
        return self.weight_initializer().word

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        g = activations.resolve("activation", self.activation)
        built: CoreLayer = engine.Dense(
            self.units,
            g.word,
            g.parameter(),
            self.bias,
            self.weight_initializer().build(engine),
            initializers.resolve("bias_init", self.bias_init).build(engine),
        )
        return built


@dataclass(frozen=True)
class Activation(Layer):
    """An activation function as a layer of its own: h = g(x).

    Parameters
    ----------
    kind : str or ActivationFunction
        g.
    """

    kind: str | ActivationFunction

    def __post_init__(self) -> None:
        """Check the options."""
        activations.resolve("kind", self.kind)

    def activation_function(self) -> ActivationFunction | None:
        """Return g."""
        return activations.resolve("kind", self.kind)

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        g = activations.resolve("kind", self.kind)
        built: CoreLayer = engine.ActivationLayer(g.word, g.parameter())
        return built


@dataclass(frozen=True)
class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014): in training mode, y = x * mask / (1 - rate), P(mask = 0) = rate.

    In evaluation mode y = x.

    Parameters
    ----------
    rate : float
        The share that is switched off, at least 0 and below 1. There is no default, so that it cannot be forgotten.
    """

    _: KW_ONLY
    rate: float

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "rate", checks.number, least=0, below=1)

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        built: CoreLayer = engine.Dropout(self.rate)
        return built


KNOWN: dict[str, type[Layer]] = {kind.__name__: kind for kind in (Dense, Activation, Dropout)}


def parameter_shapes(layers: Iterable[Layer], inputs: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all parameters of a network, by names such as "0.weight"."""
    shapes = {}
    for number, layer in enumerate(layers):
        for name, shape in layer.parameter_shapes(inputs).items():
            shapes[f"{number}.{name}"] = shape
        inputs = layer.outputs(inputs)
    return shapes
