"""Activation functions: the words and their options. The maths stands in csrc/formulas/activations.h.

An activation goes into `Dense(..., activation=...)` or stands alone as the layer `Activation(...)`. Tags such as [004]
name lectures; docs/catalogue.md lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from . import checks
from .registry import find

if TYPE_CHECKING:
    from ._engine.float32 import Layer as CoreLayer

# What the engine takes; far beyond any use.
MOST_PARAMETER = 1e6


@dataclass(frozen=True)
class ActivationFunction:
    """What all activation functions share. Use one of the classes derived from it."""

    word: ClassVar[str]
    # A derivative that jumps (or nearly so): gradient checks by differences are wrong within reach of it.
    has_kink: ClassVar[bool] = False
    # Whether it stands in layers of its own alone, as its derivative is no function of its value.
    needs_layer: ClassVar[bool] = False

    def parameter(self) -> float:
        """Return the number that the engine's formula takes, 0 where it takes none."""
        return 0.0

    def layer(self, engine: ModuleType) -> CoreLayer:
        """Return the engine's layer that does this alone."""
        built: CoreLayer = engine.ActivationLayer(self.word, self.parameter())
        return built


@dataclass(frozen=True)
class Identity(ActivationFunction):
    """g(z) = z: a linear output."""

    word = "identity"


@dataclass(frozen=True)
class Step(ActivationFunction):
    """g(z) = 1 if z >= 0, else 0: the threshold of the perceptron ([004]).

    Parameters
    ----------
    straight_through : bool, default False
        What the way back takes for the derivative. False: 0, which it is almost everywhere, so that nothing in front
        of a step learns by gradients. True: 1, as if the step were not there (Hinton 2012; Bengio et al. 2013). A
        Dense layer that ends with such a step, trained with MeanSquaredError(reduction="sum", half=True), follows the
        perceptron rule: w <- w + lr (y - h) x. As that is no derivative, a gradient check refutes it.
    """

    word = "step"
    has_kink = True
    straight_through: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "straight_through", checks.flag)

    def parameter(self) -> float:
        """Return the slope on the way back."""
        return 1.0 if self.straight_through else 0.0


@dataclass(frozen=True)
class Sigmoid(ActivationFunction):
    """g(z) = 1 / (1 + exp(-z))."""

    word = "sigmoid"


@dataclass(frozen=True)
class Tanh(ActivationFunction):
    """g(z) = tanh(z) = (1 - exp(-2 z)) / (1 + exp(-2 z)).

    One lecture ([004]) prints it with a brace, as if it had cases; it has none.
    """

    word = "tanh"


@dataclass(frozen=True)
class ReLU(ActivationFunction):
    """g(z) = max(0, z)."""

    word = "relu"
    has_kink = True


@dataclass(frozen=True)
class LeakyReLU(ActivationFunction):
    """g(z) = z if z > 0, else slope * z.

    Parameters
    ----------
    slope : float, default 0.01
        From 0 to 1e6. The default is that of Maas et al. 2013; lecture [003] uses 0.1, max(0.1 z, z). Lecture [004]
        prints max(z, 0) under this name, which is a slip: that is ReLU.
    """

    word = "leaky_relu"
    has_kink = True
    slope: float = 0.01

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "slope", checks.number, least=0, most=MOST_PARAMETER)

    def parameter(self) -> float:
        """Return the slope."""
        return self.slope


@dataclass(frozen=True)
class ELU(ActivationFunction):
    """g(z) = z if z > 0, else alpha * (exp(z) - 1).

    Parameters
    ----------
    alpha : float, default 1.0
        From 0 to 1e6.
    """

    word = "elu"
    has_kink = True  # at alpha = 1 only the second derivative jumps; central differences feel that too
    alpha: float = 1.0

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "alpha", checks.number, least=0, most=MOST_PARAMETER)

    def parameter(self) -> float:
        """Return alpha."""
        return self.alpha


@dataclass(frozen=True)
class Softmax(ActivationFunction):
    """h_i = exp(z_i) / sum over j of exp(z_j), in each row: probabilities of classes that exclude each other.

    Both i and j run over all classes (lecture [004] starts one at 1 and the other at 0). The greatest z of a row is
    subtracted first, which changes nothing and keeps exp from overflowing. It belongs to the last layer, and questions
    that do not exclude each other take sigmoids; see `CrossEntropy`.
    """

    word = "softmax"


KNOWN: dict[str, type[ActivationFunction]] = {
    kind.word: kind for kind in (Identity, Step, Sigmoid, Tanh, ReLU, LeakyReLU, ELU, Softmax)
}


def resolve(argument: str, value: object) -> ActivationFunction:
    """Return the activation function that `value`, a word or an object, means."""
    return find(argument, value, ActivationFunction, KNOWN)
