"""Layer: what every layer answers about itself. The layers there are stand in layers.py, affine.py and noise.py."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .activations import ActivationFunction

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ._engine.float32 import Layer as CoreLayer

    Array = npt.NDArray[Any]

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layer:
    """What all layers share. Use one of the classes derived from it.

    A description holds no weights. The same one may stand in several networks; each network has its own parameters.
    """

    def outputs(self, inputs: int) -> int:
        """Return how many outputs the layer has for so many inputs; ValueError where it cannot take so many."""
        return inputs

    def parameter_shapes(self, inputs: int) -> Shapes:
        """Return the shapes of what the layer learns by name, for so many inputs."""
        return {}

    def statistic_shapes(self, inputs: int) -> Shapes:
        """Return the shapes of what the layer counts along while training, for so many inputs."""
        return {}

    def activation_function(self) -> ActivationFunction | None:
        """Return what shapes the layer's outputs, or None where the layer leaves that to the one before it."""
        return None

    def kept(self) -> str:
        """Name what a training step keeps of the layer for the way back, as the layer's formula has it."""
        return "h"

    def label(self) -> str:
        """Name the layer for a table."""
        return type(self).__name__

    def start(self) -> str:
        """Say how the layer's weights start, "" where there are none."""
        return ""

    def is_connected(self, name: str) -> npt.NDArray[Any] | None:
        """Return which entries of a parameter may be other than 0, as bools of its shape; None for all."""
        return None

    def flaw(self, name: str, value: Array) -> str:
        """Say what is wrong with `value` as the parameter or statistic `name`, of the right shape; "" for nothing."""
        return ""

    def differs_in_training(self) -> bool:
        """Return whether the layer gives other outputs in training mode than in evaluation mode."""
        return False

    def has_kink(self) -> bool:
        """Return whether the layer's derivative jumps somewhere, where a gradient check by differences is wrong."""
        function = self.activation_function()
        return function is not None and function.has_kink

    def pattern(self, x: Array, h: Array, parameters: Mapping[str, Array]) -> Array:
        """Return what is the same at two points only if no kink lies between them; asked where there are kinks.

        Parameters
        ----------
        x : array of shape (B, inputs)
            What the layer got in a forward pass.
        h : array of shape (B, outputs)
            What it gave.
        parameters : mapping
            What it has learned, by the names of `parameter_shapes`.
        """
        return h > 0

    def before(self, following: ActivationFunction) -> Layer:
        """Return the layer as it is built where `following` is the next function before the next layer with weights.

        A layer whose weights start as suits what they feed answers here; the network asks before it builds.
        """
        return self

    def build(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's object."""
        raise NotImplementedError
