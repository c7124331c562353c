"""How parameters start. The draws themselves are the engine's: counted random numbers, keyed by seed and layer.

fan_in and fan_out are a layer's inputs and outputs. A bias takes the fans of its layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from . import checks
from .registry import find

if TYPE_CHECKING:
    from ._engine.float32 import Initializer as CoreInitializer


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
class Normal(Initializer):
    """Normal with mean 0 and standard deviation `std`, at least 0."""

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
    """Uniform on [-limit, limit], limit at least 0."""

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
    """Every parameter starts at `value`. As weights of a hidden layer it keeps all units alike for ever."""

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
    """Every parameter starts at 0: right for biases; weights of hidden layers would stay alike for ever."""

    word = "zeros"

    def engine_form(self) -> tuple[str, float]:
        """Return the engine's kind and number."""
        return "constant", 0.0


KNOWN: dict[str, type[Initializer]] = {
    kind.word: kind for kind in (GlorotUniform, GlorotNormal, HeUniform, HeNormal, Normal, Uniform, Constant, Zeros)
}


def resolve(argument: str, value: object) -> Initializer:
    """Return the initializer that `value`, a word or an object, means."""
    return find(argument, value, Initializer, KNOWN)
