"""How parameters start. The draws themselves are the engine's: counted random numbers, keyed by seed and layer.

fan_in and fan_out are a layer's inputs and units, also where a unit has several pieces (`Maxout`) or is not connected
with all inputs (`Dense(connections=)`). A bias takes the fans of its layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from . import checks
from .registry import find

if TYPE_CHECKING:
    from ._engine import Initializer as CoreInitializer


@dataclass(frozen=True)
class Initializer:
    """What all initializers share. Use one of the classes derived from it."""

    word: ClassVar[str]

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        raise NotImplementedError

    def build(self, engine: ModuleType) -> CoreInitializer:
        """Return the engine's object."""
        kind, amount = self.engine_form()
        built: CoreInitializer = engine.Initializer(kind, amount)
        return built


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform on +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010; "Xavier")."""

    word = "glorot_uniform"

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "fan_avg_uniform", 1.0


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010; "Xavier")."""

    word = "glorot_normal"

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "fan_avg_normal", 1.0


@dataclass(frozen=True)
class HeUniform(Initializer):
    """Uniform on +-sqrt(6 / fan_in) (He et al. 2015)."""

    word = "he_uniform"

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "fan_in_uniform", 2.0


@dataclass(frozen=True)
class HeNormal(Initializer):
    """Normal with variance 2 / fan_in (He et al. 2015)."""

    word = "he_normal"

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "fan_in_normal", 2.0


@dataclass(frozen=True)
class LectureNormal(Initializer):
    """Normal with standard deviation 2 / sqrt(fan_in), as lecture [004] prints the rule: to compare, not to use.

    With it fan_in * variance is 4 where it should be about 1: the outputs of a linear layer have four times the mean
    square of its inputs, those of ReLU layers twice, and activations and gradients grow with every layer. He's rule,
    sqrt(2 / fan_in), is what was meant (`HeNormal`); and n counts the inputs of a layer, not layers.
    """

    word = "lecture_normal"

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "fan_in_normal", 4.0


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal with mean 0 and standard deviation `std`, at least 0.

    Parameters
    ----------
    std : float
        Standard deviation, at least 0.
    """

    word = "normal"
    std: float

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "std", checks.number, least=0)

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "normal", self.std


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform on [-limit, limit], limit at least 0.

    Parameters
    ----------
    limit : float
        At least 0.
    """

    word = "uniform"
    limit: float

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "limit", checks.number, least=0)

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "uniform", self.limit


@dataclass(frozen=True)
class Constant(Initializer):
    """Every parameter starts at `value`. As weights of a hidden layer it keeps all units alike for ever.

    Parameters
    ----------
    value : float
        A finite number.
    """

    word = "constant"
    value: float

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "value", checks.number)

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "constant", self.value


@dataclass(frozen=True)
class Zeros(Initializer):
    """Every parameter starts at 0: right for biases, and for the weights of a network without hidden layers.

    Lecture [003] says of weights of 0 that all activations, the loss and all gradients are then 0. Of hidden layers of
    ReLU or tanh the activations are, and with them all gradients but those of the last bias. Sigmoids give 1/2, so that
    the last layer learns; but all units of a layer stay alike for ever. Nor is the loss 0: cross-entropy over K classes
    starts at log K.
    """

    word = "zeros"

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "constant", 0.0


KNOWN: dict[str, type[Initializer]] = {
    kind.word: kind
    for kind in (GlorotUniform, GlorotNormal, HeUniform, HeNormal, LectureNormal, Normal, Uniform, Constant, Zeros)
}


def resolve(argument: str, value: object) -> Initializer:
    """Return the initializer that `value`, a word or an object, means."""
    return find(argument, value, Initializer, KNOWN)
