"""Penalties on the parameters, added to the loss of the data and reported beside it.

A `Trainer` takes them as they are. In the loop by hand, `penalty.add_gradient(net)` stands after `loss.backward()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from . import checks

if TYPE_CHECKING:
    from ._engine.float32 import Penalty as CorePenalty
    from .network import Network


@dataclass(frozen=True)
class Penalty:
    """What all penalties share. Use one of the classes derived from it."""

    def value(self, net: Network) -> float:
        """Return the penalty of the parameters of `net` as they are now."""
        checks.network("net", net)
        return self.build(net.engine).value(net.core)

    def add_gradient(self, net: Network) -> None:
        """Add the penalty's gradient to those of the parameters of `net`."""
        checks.network("net", net)
        self.build(net.engine).add_gradient(net.core)

    def build(self, engine: ModuleType) -> CorePenalty:
        """Return the engine's object."""
        raise NotImplementedError


@dataclass(frozen=True)
class L2(Penalty):
    """strength / 2 * the sum of w^2, so each gradient gains strength * w (the coupled reading with the half).

    It is not divided by the number of rows, neither of the data nor of a batch. Where a formula reads
    lambda / (2 m) * the sum of w^2, give strength = lambda / m.

    Parameters
    ----------
    strength : float
        lambda, at least 0.
    biases : bool, default False
        Whether biases are counted too.
    """

    strength: float
    _: KW_ONLY
    biases: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "strength", checks.number, least=0)
        checks.option(self, "biases", checks.flag)

    def build(self, engine: ModuleType) -> CorePenalty:
        """Return the engine's object."""
        built: CorePenalty = engine.L2(self.strength, self.biases)
        return built


def resolve(argument: str, value: object) -> tuple[Penalty, ...]:
    """Return the penalties that `value` (None, one, or several) means."""
    if value is None:
        return ()
    several = (value,) if isinstance(value, Penalty) else value
    if not isinstance(several, Sequence) or isinstance(several, str):
        raise TypeError(f"{argument} must be a Penalty, such as L2(1e-5), or a list of them; got {checks.shown(value)}")
    for one in several:
        if not isinstance(one, Penalty):
            raise TypeError(f"{argument} must hold Penalty objects, such as L2(1e-5); got {checks.shown(one)}")
    return tuple(several)
