"""What all optimizers share, and the two that do not adapt to the gradients' size: plain descent and momentum.

Described here are rules and numbers; the maths of one parameter stands in csrc/formulas/updates.h. In the loop by hand
an optimizer steps one network and keeps the state for it. A `Trainer` takes the description only and keeps a state of
its own. Words and the list of all optimizers are in `optimizers.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from . import checks, options
from .schedules import Rate, Schedule, checked_rate

if TYPE_CHECKING:
    from ._engine.float32 import Optimizer as CoreOptimizer
    from .network import Network

LayerRates: TypeAlias = Mapping[int, float] | tuple[tuple[int, float], ...]
# Options of every optimizer; a repr leaves them out where they are not set.
COMMON = ("layer_lr", "clip_norm", "clip_value")


@dataclass(frozen=True, repr=False)
class Optimizer:
    """What all optimizers share. Use one of the classes derived from it.

    A step clips the gradients by value and then by norm; decoupled decay comes next, where there is some, and then the
    rule.

    Parameters
    ----------
    lr : float, Schedule or callable
        Learning rate: a number above 0; a schedule, evaluated before each step; or a function of the epoch's number, 0
        for the first, which returns a number of at least 0.
    layer_lr : mapping, optional
        Factors of the learning rate by layer number, above 0; 1 for layers that it does not name. Small factors for
        early layers fine-tune a network that has learned something else before. Kept as a tuple of pairs.
    clip_norm : float, optional
        Largest Euclidean norm of all gradients together: g <- g min(1, clip_norm / (norm + 1e-6)), as Pascanu et al.
        2013; the 1e-6 is PyTorch's.
    clip_value : float, optional
        Largest size of each element of the gradients.
    """

    word: ClassVar[str]
    # The network that step() was called for, and the engine's state for it. No option, and so no field.
    _bound: ClassVar[tuple[Network, CoreOptimizer] | None] = None

    lr: Rate = 0.01
    _: KW_ONLY
    layer_lr: LayerRates | None = None
    clip_norm: float | None = None
    clip_value: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "lr", checked_rate)
        checks.option(self, "layer_lr", options.layer_factors)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                checks.option(self, name, checks.number, above=0)

    def __repr__(self) -> str:
        """Return what makes an equal optimizer: its own options, then the common ones that are set."""
        return options.written(self, COMMON)

    # The learning rate -----------------------------------------------------------------------------------------------

    @property
    def is_scheduled(self) -> bool:
        """Whether the learning rate changes by a plan of its own; then nobody else may set it."""
        return not isinstance(self.lr, float)

    def rate_of_epoch(self, epoch: int) -> float | None:
        """Return the rate of an epoch, 0 being the first, where `lr` is a function of it; None elsewhere."""
        if isinstance(self.lr, (float, Schedule)):
            return None
        return checks.number(f"lr({epoch})", self.lr(epoch), least=0)

    def _of_rule(
        self,
        engine: ModuleType,
        rule: str,
        *,
        beta1: float = 0.0,
        beta2: float = 0.0,
        eps: float = 0.0,
        bias_correction: bool = False,
    ) -> CoreOptimizer:
        """Return the engine's object of a rule of csrc/formulas/updates.h, with the numbers that it names."""
        built: CoreOptimizer = engine.RuleOptimizer(self.first_rate(), rule, beta1, beta2, eps, bias_correction)
        return built

    def first_rate(self) -> float:
        """Return the rate that the engine's object is made with: of a Schedule, the greatest that it has."""
        if isinstance(self.lr, Schedule):
            return self.lr.lr
        # A function of the epoch is asked when the epoch is known.
        return self.lr if isinstance(self.lr, float) else 0.0

    # The engine ------------------------------------------------------------------------------------------------------

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object of the rule alone, with no state yet."""
        raise NotImplementedError

    def decoupled_decay(self) -> tuple[float, bool]:
        """Return the decoupled decay, and whether all that is learned decays, not the weights alone."""
        return 0.0, False

    def greatest_rate(self, net: Network, lr: float, layers: Collection[int] | None = None) -> float:
        """Return the greatest learning rate of some layers of `net`, of all if None, where `lr` is that of the step."""
        factors = dict(self.layer_lr or ())
        return lr * max(factors.get(layer, 1.0) for layer in (range(len(net.layers)) if layers is None else layers))

    def check_decay(self, net: Network, lr: float) -> None:
        """Raise ValueError where decoupled decay with the learning rate `lr` takes a whole weight in one step."""
        decay, rate = self.decoupled_decay()[0], self.greatest_rate(net, lr)
        if decay * rate >= 1:
            raise ValueError(
                f"weight_decay={decay:g} at the learning rate {rate:g} makes a step take {decay * rate:g} of each "
                "weight; that must be below 1"
            )

    def prepared(self, net: Network) -> CoreOptimizer:
        """Return an engine's object for `net` with all options, and no state yet.

        Raises
        ------
        ValueError
            If `layer_lr` names a layer that `net` does not have, or decoupled decay takes a whole weight in one step.
        """
        factors = dict(self.layer_lr or ())
        options.check_depth("layer_lr", factors, net)
        self.check_decay(net, self.first_rate())
        core = self.build(net.engine)
        schedule = self.lr.build(net.engine) if isinstance(self.lr, Schedule) else None
        core.configure(schedule, factors, self.clip_norm or 0.0, self.clip_value or 0.0, *self.decoupled_decay())
        return core

    def step(self, net: Network, epoch: float | None = None) -> None:
        """Update the parameters of `net` by its gradients.

        Parameters
        ----------
        net : Network
            Whose gradients are there: after backward().
        epoch : float, optional
            How many epochs are over, 0 in the first one. Needed where the learning rate depends on it; a schedule that
            changes with each step then counts an epoch as one step, or is given `steps=` instead.

        Raises
        ------
        RuntimeError
            If this optimizer has stepped another network before: its state belongs to that one.
        ValueError
            If the learning rate depends on the epoch and none is given.
        """
        checks.network("net", net)
        at = 0.0 if epoch is None else checks.number("epoch", epoch, least=0)
        if epoch is None and (self.lr.counts_epochs if isinstance(self.lr, Schedule) else self.is_scheduled):
            raise ValueError(f"epoch must be given, as in step(net, epoch=0): lr={self.lr!r} depends on it")
        rate = self.rate_of_epoch(int(at))
        if self._bound is None:
            object.__setattr__(self, "_bound", (net, self.prepared(net)))
        assert self._bound is not None
        owner, core = self._bound
        if owner is not net:
            raise RuntimeError("this optimizer keeps the state of another network; make one optimizer for each network")
        if rate is not None:
            self.check_decay(net, rate)
            core.rate = rate
        net.parameter_changes += 1
        core.step(net.core, at)

    def state_of(self, net: Network) -> CoreOptimizer:
        """Return the engine's object with the state for `net`, which step() has been called for."""
        if self._bound is None or self._bound[0] is not net:
            raise RuntimeError("this optimizer has not stepped this network")
        return self._bound[1]

    def __getstate__(self) -> dict[str, Any]:
        """Return the options, for pickle and copy: a copy has no state yet, and may step another network."""
        return {name: value for name, value in vars(self).items() if name != "_bound"}


# ------------------------------------------------------------------------------------------- Plain descent and momentum


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Gradient descent: w <- w - lr g.

    With all rows in a batch it is batch descent, with one row stochastic descent, with some rows mini-batch descent;
    `Trainer.fit(batch_size=)` says which.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.01
        Learning rate.
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "sgd"

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object of the rule alone, with no state yet."""
        return self._of_rule(engine, "gradient_descent")


STYLES = ("heavy_ball", "ema", "nesterov", "torch_dampening")


@dataclass(frozen=True, repr=False)
class Momentum(Optimizer):
    """Gradient descent with a memory v of the gradients g; v starts at 0.

    ================  ==========================  =========================  ======================================
    style             memory                      update                     source
    ================  ==========================  =========================  ======================================
    heavy_ball        v <- beta v + g             w <- w - lr v              Polyak 1964; PyTorch, Keras
    ema               v <- beta v + (1 - beta) g  w <- w - lr v              [002]; heavy_ball at lr (1 - beta)
    nesterov          v <- beta v + g             w <- w - lr (g + beta v)   Nesterov 1983, as in Sutskever et al. 2013;
                                                                             named in [001], [003]
    torch_dampening   v <- beta v + (1 - beta) g  w <- w - lr v              PyTorch's SGD with dampening = beta; the
                      but v = g in step 1                                    same as ema only after that step
    ================  ==========================  =========================  ======================================

    Keras keeps the learning rate in its memory, v <- beta v - lr g with w <- w + v, and its Nesterov step likewise: the
    same while the rate does not change. When it does, the steps here heed it at once, there only as v forgets.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.01
        Learning rate.
    beta : float, default 0.9
        Decay of the memory, at least 0 and below 1.
    style : {"heavy_ball", "ema", "nesterov", "torch_dampening"}
        The reading of momentum.
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "momentum"
    _: KW_ONLY
    beta: float = 0.9
    style: str = "heavy_ball"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.option(self, "beta", checks.number, least=0, below=1)
        checks.word("style", self.style, STYLES)

    @classmethod
    def lecture(cls, lr: Rate) -> Momentum:
        """Return momentum as [002] writes it: v <- 0.9 v + 0.1 g, w <- w - lr v.

        Parameters
        ----------
        lr : float, Schedule or callable
            The learning rate, as for the class.

        Returns
        -------
        Momentum
            With beta 0.9 and style "ema".
        """
        return cls(lr, beta=0.9, style="ema")

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object of the rule alone, with no state yet."""
        built: CoreOptimizer = engine.Momentum(self.first_rate(), self.beta, self.style)
        return built
