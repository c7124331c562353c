"""Optimizers, described: rules and numbers. The maths of one parameter stands in csrc/formulas/updates.h.

In the loop by hand an optimizer steps one network and keeps the state for it. A `Trainer` takes the description only
and keeps a state of its own.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from . import checks
from .registry import find

if TYPE_CHECKING:
    from ._engine.float32 import Optimizer as CoreOptimizer
    from .network import Network


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers share. Use one of the classes derived from it."""

    word: ClassVar[str]
    # The network that step() was called for, and the engine's state for it. No option, and so no field.
    _bound: ClassVar[tuple[Network, CoreOptimizer] | None] = None

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object, with no state yet."""
        raise NotImplementedError

    def step(self, net: Network) -> None:
        """Update the parameters of `net` by its gradients.

        Raises
        ------
        RuntimeError
            If this optimizer has stepped another network before: its state belongs to that one.
        """
        checks.network("net", net)
        if self._bound is None:
            object.__setattr__(self, "_bound", (net, self.build(net.engine)))
        assert self._bound is not None
        owner, core = self._bound
        if owner is not net:
            raise RuntimeError("this optimizer keeps the state of another network; make one optimizer for each network")
        net.parameter_changes += 1
        core.step(net.core)

    def __getstate__(self) -> dict[str, Any]:
        """Return the options, for pickle and copy: a copy has no state yet, and may step another network."""
        return {name: value for name, value in vars(self).items() if name != "_bound"}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: w <- w - lr g.

    Parameters
    ----------
    lr : float, default 0.01
        Learning rate, above 0.
    """

    word = "sgd"
    lr: float = 0.01

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "lr", checks.number, above=0)

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object, with no state yet."""
        built: CoreOptimizer = engine.SGD(self.lr)
        return built


STYLES = ("heavy_ball", "ema", "nesterov")


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with a memory v of the gradients g; v starts at 0.

    ============  ==========================  ===========================  ======================================
    style         memory                      update                       source
    ============  ==========================  ===========================  ======================================
    heavy_ball    v <- beta v + g             w <- w - lr v                Polyak 1964; PyTorch, Keras
    ema           v <- beta v + (1 - beta) g  w <- w - lr v                lectures; heavy_ball at lr (1 - beta)
    nesterov      v <- beta v + g             w <- w - lr (g + beta v)     Nesterov 1983, as in Sutskever et al. 2013
    ============  ==========================  ===========================  ======================================

    Parameters
    ----------
    lr : float, default 0.01
        Learning rate, above 0.
    beta : float, default 0.9
        Decay of the memory, at least 0 and below 1.
    style : {"heavy_ball", "ema", "nesterov"}
        The reading of momentum.
    """

    word = "momentum"
    lr: float = 0.01
    _: KW_ONLY
    beta: float = 0.9
    style: str = "heavy_ball"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "lr", checks.number, above=0)
        checks.option(self, "beta", checks.number, least=0, below=1)
        checks.word("style", self.style, STYLES)

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object, with no state yet."""
        built: CoreOptimizer = engine.Momentum(self.lr, self.beta, self.style)
        return built


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); v and s start at 0, t counts the steps from 1.

    ::

        v <- beta1 v + (1 - beta1) g        s <- beta2 s + (1 - beta2) g^2
        w <- w - lr v' / (sqrt(s') + eps)   v' = v / (1 - beta1^t),  s' = s / (1 - beta2^t)

    Parameters
    ----------
    lr : float, default 0.001
        Learning rate, above 0.
    beta1, beta2 : float, default 0.9 and 0.999
        Decays of the two memories, at least 0 and below 1.
    eps : float, default 1e-8
        Keeps the division finite, above 0.
    bias_correction : bool, default True
        False: v' = v and s' = s, as one lecture writes it; the first step is then 3.16 times as long.
    eps_inside_sqrt : bool, default False
        True: v' / sqrt(s' + eps).
    """

    word = "adam"
    lr: float = 0.001
    _: KW_ONLY
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    bias_correction: bool = True
    eps_inside_sqrt: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "lr", checks.number, above=0)
        checks.option(self, "beta1", checks.number, least=0, below=1)
        checks.option(self, "beta2", checks.number, least=0, below=1)
        checks.option(self, "eps", checks.number, above=0)
        checks.option(self, "bias_correction", checks.flag)
        checks.option(self, "eps_inside_sqrt", checks.flag)

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object, with no state yet."""
        built: CoreOptimizer = engine.Adam(
            self.lr, self.beta1, self.beta2, self.eps, self.bias_correction, self.eps_inside_sqrt
        )
        return built


KNOWN: dict[str, type[Optimizer]] = {kind.word: kind for kind in (SGD, Momentum, Adam)}


def resolve(argument: str, value: object) -> Optimizer:
    """Return the optimizer that `value`, a word or an object, means."""
    return find(argument, value, Optimizer, KNOWN)
