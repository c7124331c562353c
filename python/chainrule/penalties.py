"""Penalties on the parameters: terms of the objective, reported beside the loss of the data; and decay beside them.

A `Trainer` takes them as they are. In the loop by hand they stand around the update::

    loss.backward()
    penalty.add_gradient(net)
    penalty.before_step(net, lr)
    optimizer.step(net)
    penalty.after_step(net, lr)

Most need the first alone; before_step() is for decoupled decay, after_step() for proximal steps. Counted are the
parameters named "weight", and apart from them those named "bias"; scale and shift of a normalization never are. The
maths stands in csrc/nn/penalties/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from . import checks, options

if TYPE_CHECKING:
    from ._engine.float32 import Penalty as CorePenalty
    from .network import Network

# What a penalty is multiplied by: a factor, and whether it is divided by m.
SCALES = {"1": (1.0, False), "1/2": (0.5, False), "1/m": (1.0, True), "1/2m": (0.5, True)}
MEANINGS_OF_M = ("data", "batch")
COMMON = ("scale", "m", "layers")


@dataclass(frozen=True, repr=False)
class Penalty:
    """What all penalties share. Use one of the classes derived from it.

    Parameters
    ----------
    scale : {"1", "1/2", "1/m", "1/2m"}
        What the whole is multiplied by.
    m : {"data", "batch"}
        What m is, where the scale has one: the rows of the training set, as in [002]; or the rows of the batch, as
        scikit-learn has it, so that smaller batches are penalised more.
    layers : sequence of int, optional
        Numbers of the layers whose parameters are counted; all if None. For a strength of their own in each layer give
        several penalties.
    """

    _: KW_ONLY
    scale: str = "1"
    m: str = "data"
    layers: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        checks.word("scale", self.scale, SCALES)
        checks.word("m", self.m, MEANINGS_OF_M)
        checks.option(self, "layers", options.layer_numbers)

    def __repr__(self) -> str:
        """Return what makes an equal penalty."""
        return options.written(self, COMMON)

    @property
    def has_kink(self) -> bool:
        """Whether the value has a kink where a weight is 0, at which there is no gradient."""
        return False

    @property
    def acts_by_gradient(self) -> bool:
        """Whether it acts by its gradient alone; otherwise before_step() or after_step() changes the parameters."""
        return True

    def value(self, net: Network, m: int | None = None, batch: int | None = None) -> float:
        """Return the penalty of the parameters of `net` as they are now.

        Parameters
        ----------
        net : Network
            Whose parameters are counted.
        m : int, optional
            Rows of the training set; needed where the scale divides by them.
        batch : int, optional
            Rows of the batch; needed where the scale divides by them.

        Returns
        -------
        float
            In the units of the loss.

        Raises
        ------
        ValueError
            If a number of rows is needed and not given, or `layers` names no layer of `net`.
        """
        rows = self._rows(net, m, batch)
        return sum(one.value(net.core, *rows) for one in self.build(net.engine))

    def add_gradient(self, net: Network, m: int | None = None, batch: int | None = None) -> None:
        """Add the penalty's gradient to those of the parameters of `net`.

        Parameters
        ----------
        net : Network
            Whose parameters are counted.
        m, batch : int, optional
            As for `value`.
        """
        rows = self._rows(net, m, batch)
        for one in self.build(net.engine):
            one.add_gradient(net.core, *rows)

    def before_step(self, net: Network, lr: float, m: int | None = None, batch: int | None = None) -> None:
        """Do what comes before an update with the learning rate `lr`: decoupled decay.

        Constraints on weights wait for optimizer.step(), which sees to them. `lr` holds for all layers that are
        counted. Where an optimizer has `layer_lr`, give a penalty with `layers=` for each factor, and the rate of those
        layers; a `Trainer` takes the rate of each layer by itself.

        Parameters
        ----------
        net : Network
            Whose parameters are counted.
        lr : float
            The learning rate of the update.
        m, batch : int, optional
            As for `value`.
        """
        rows = self._rows(net, m, batch)
        rate = checked_rate(lr, net)
        self.check_decay(rate)
        if not self.acts_by_gradient:
            net.parameter_changes += 1
            for one in self.build(net.engine):
                one.before_step(net.core, rate, *rows)

    def after_step(self, net: Network, lr: float, m: int | None = None, batch: int | None = None) -> None:
        """Do what comes after an update with the learning rate `lr`: a proximal step.

        `lr` holds for all layers that are counted, as in before_step(). Constraints on weights, which optimizer.step()
        sees to, come before it; a `Trainer` applies them last.

        Parameters
        ----------
        net : Network
            Whose parameters are counted.
        lr : float
            The learning rate of the update.
        m, batch : int, optional
            As for `value`.
        """
        rows = self._rows(net, m, batch)
        rate = checked_rate(lr, net)
        if not self.acts_by_gradient:
            net.parameter_changes += 1
            for one in self.build(net.engine):
                one.after_step(net.core, rate, *rows)

    def build(self, engine: ModuleType) -> list[CorePenalty]:
        """Return the engine's objects, whose sum this is."""
        raise NotImplementedError

    def check_layers(self, net: Network) -> None:
        """Raise ValueError where `layers` names one that `net` does not have, or none that has weights or biases."""
        if self.layers is None:
            return
        options.check_depth("layers", self.layers, net)
        counted = {f"{layer}.{name}" for layer in self.layers for name in ("weight", "bias")}
        if counted.isdisjoint(net.core.parameters()):
            raise ValueError(f"layers={self.layers} have neither weights nor biases: {self!r} would do nothing")

    def check_decay(self, lr: float) -> None:
        """Raise ValueError where decay with the learning rate `lr` turns a weight to 0, or beyond, in one step."""

    # How the engine is told ------------------------------------------------------------------------------------------

    def _factor(self) -> float:
        """Return the scale without m."""
        return SCALES[self.scale][0]

    def _per(self) -> str:
        """Return by what rows the engine divides: "one", "data", "batch"."""
        return self.m if SCALES[self.scale][1] else "one"

    def _rows(self, net: Network, m: object, batch: object) -> tuple[int, int]:
        """Return the rows of the training set and of the batch, 1 where they are not needed."""
        self.check_layers(checks.network("net", net))
        per = self._per()
        if per == "data" and m is None:
            raise ValueError(f"m, the rows of the training set, must be given: {self!r} divides by it")
        if per == "batch" and batch is None:
            raise ValueError(f"batch, the rows of the batch, must be given: {self!r} divides by it")
        data_rows = 1 if m is None else checks.whole("m", m)
        return data_rows, 1 if batch is None else checks.whole("batch", batch)


DECAYS = ("coupled", "decoupled", "decoupled_raw")


@dataclass(frozen=True, repr=False)
class L2(Penalty):
    """The sum of squares, strength * scale * sum w^2, or weight decay instead of it.

    The lectures write L2 in four ways; with c = 2 * scale * strength:

    ==============================  ===============================  =============================================
    reading                         effect on a weight               source
    ==============================  ===============================  =============================================
    L2(s)                           gradient + s w                   s/2 sum w^2: [000], [004]; PyTorch's SGD
    L2(s, scale="1/2m")             gradient + s/m w                 s/(2m) sum w^2: [002]; with m="batch"
                                                                     scikit-learn's MLP
    L2(s, scale="1")                gradient + 2 s w                 sum w^2: [003]; Keras
    L2(s, decay="decoupled")        w <- w - lr c w before the       Loshchilov and Hutter 2019 (AdamW); with plain
                                    update                           descent the same as the coupled one
    L2(s, decay="decoupled_raw")    w <- w - c w before the update   [000] prints the update so: without the learning
                                                                     rate, at odds with its own s/2 sum w^2
    ==============================  ===============================  =============================================

    Decoupled decay is no term of the objective, and passes no optimizer's memory: its value and its gradient are 0. A
    step takes the share lr c, or c, of each weight; where the scale has no m it is checked to be below 1.

    Lecture [003] asks which weights of (0, 3/4, 0) and (1/4, 1/2, 1/4), which say the same of (1, 2, 1), are cheaper:
    by squares the latter, 0.375 against 0.5625 (the slide cuts them to 0.37 and 0.56); by `L1` the former.

    Parameters
    ----------
    strength : float
        lambda for weights, at least 0. [000] recommends about 1e-5, [002] 0.01 to 0.4 over m.
    bias_strength : float, default 0.0
        lambda for biases, at least 0.
    scale : {"1/2", "1", "1/m", "1/2m"}
        What the sum is multiplied by.
    m, layers : optional
        What m is, and which layers are counted; see `Penalty`.
    decay : {"coupled", "decoupled", "decoupled_raw"}
        Whether it is a term of the objective, or decay beside it.
    """

    strength: float
    _: KW_ONLY
    bias_strength: float = 0.0
    scale: str = "1/2"
    decay: str = "coupled"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "strength", checks.number, least=0)
        checks.option(self, "bias_strength", checks.number, least=0)
        checks.word("decay", self.decay, DECAYS)
        super().__post_init__()
        if self.decay == "decoupled_raw":
            self.check_decay(1.0)

    @property
    def acts_by_gradient(self) -> bool:
        """Whether it acts by its gradient alone; otherwise before_step() or after_step() changes the parameters."""
        return self.decay == "coupled"

    def check_decay(self, lr: float) -> None:
        """Raise ValueError where decay with the learning rate `lr` turns a weight to 0, or beyond, in one step."""
        if self.decay == "coupled" or self._per() != "one":
            return
        rate = lr if self.decay == "decoupled" else 1.0
        for name in ("strength", "bias_strength"):
            share = rate * 2 * self._factor() * getattr(self, name)
            if share >= 1:
                times_rate = f" at the learning rate {lr:g}" if self.decay == "decoupled" else ""
                raise ValueError(
                    f"{name}={getattr(self, name):g}{times_rate} makes a step of {self!r} take {share:g} of what it "
                    "counts; that must be below 1"
                )

    def build(self, engine: ModuleType) -> list[CorePenalty]:
        """Return the engine's objects, whose sum this is."""
        numbers = (self.strength, self.bias_strength, self._factor(), self._per())
        if self.decay == "coupled":
            return [engine.PowerPenalty("square", 2.0, *numbers, False, self.layers)]
        return [engine.DecoupledDecay(*numbers, self.decay == "decoupled_raw", self.layers)]


UPDATES = ("subgradient", "proximal")


@dataclass(frozen=True, repr=False)
class L1(Penalty):
    """The sum of absolute values, strength * scale * sum |w|, which drives weights to 0.

    ===========  ===============================================================  ==================================
    update       effect on a weight, c = strength * scale                         source
    ===========  ===============================================================  ==================================
    subgradient  gradient + c sign(w), sign(0) = 0; weights jump about 0          [001], [002], [003]
    proximal     after the update w <- sign(w) max(abs(w) - lr c, 0)              the soft threshold of Daubechies et
                                                                                  al. 2004
    ===========  ===============================================================  ==================================

    Lecture [002] says that L1 "can completely eliminate parameters": by its gradient they only come close to 0, by the
    proximal step they are exactly 0. Its scale is "1/2m", that of [001] and [003] "1"; its words, "sum of the weights",
    leave out that absolute values are meant.

    Lecture [003] asks which weights of (0, 3/4, 0) and (1/4, 1/2, 1/4), which say the same of (1, 2, 1), are cheaper:
    by absolute values the former, 0.75 against 0.25 + 0.5 + 0.25 = 1 (the slide adds 0.5 twice); by `L2` the latter.

    Parameters
    ----------
    strength : float
        lambda for weights, at least 0.
    bias_strength : float, default 0.0
        lambda for biases, at least 0.
    scale : {"1", "1/2", "1/m", "1/2m"}
        What the sum is multiplied by.
    m, layers : optional
        What m is, and which layers are counted; see `Penalty`.
    update : {"subgradient", "proximal"}
        How it acts.
    """

    strength: float
    _: KW_ONLY
    bias_strength: float = 0.0
    update: str = "subgradient"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "strength", checks.number, least=0)
        checks.option(self, "bias_strength", checks.number, least=0)
        checks.word("update", self.update, UPDATES)
        super().__post_init__()

    @property
    def has_kink(self) -> bool:
        """Whether the value has a kink where a weight is 0, at which there is no gradient."""
        return True

    @property
    def acts_by_gradient(self) -> bool:
        """Whether it acts by its gradient alone; otherwise before_step() or after_step() changes the parameters."""
        return self.update == "subgradient"

    def build(self, engine: ModuleType) -> list[CorePenalty]:
        """Return the engine's objects, whose sum this is."""
        numbers = (self.strength, self.bias_strength, self._factor(), self._per())
        if self.update == "subgradient":
            return [engine.PowerPenalty("absolute", 1.0, *numbers, False, self.layers)]
        return [engine.ProximalL1(*numbers, self.layers)]


@dataclass(frozen=True, repr=False)
class ElasticNet(Penalty):
    """L1 and L2 together, scale * (l1 sum |w| + l2/2 sum w^2); gradient: scale * (l1 sign(w) + l2 w).

    Source: Zou and Hastie 2005. In scikit-learn's words l1 = alpha * l1_ratio, and l2 = alpha * (1 - l1_ratio).

    Parameters
    ----------
    l1, l2 : float
        Strengths for weights, at least 0.
    bias_l1, bias_l2 : float, default 0.0
        Strengths for biases, at least 0.
    scale : {"1", "1/2", "1/m", "1/2m"}
        What both sums are multiplied by.
    m, layers : optional
        What m is, and which layers are counted; see `Penalty`.
    """

    l1: float
    l2: float
    _: KW_ONLY
    bias_l1: float = 0.0
    bias_l2: float = 0.0

    def __post_init__(self) -> None:
        """Check the options."""
        for name in ("l1", "l2", "bias_l1", "bias_l2"):
            checks.option(self, name, checks.number, least=0)
        super().__post_init__()

    @property
    def has_kink(self) -> bool:
        """Whether the value has a kink where a weight is 0, at which there is no gradient."""
        return True

    def build(self, engine: ModuleType) -> list[CorePenalty]:
        """Return the engine's objects, whose sum this is."""
        factor, per = self._factor(), self._per()
        return [
            engine.PowerPenalty("absolute", 1.0, self.l1, self.bias_l1, factor, per, False, self.layers),
            engine.PowerPenalty("square", 2.0, self.l2, self.bias_l2, factor / 2, per, False, self.layers),
        ]


NORMS = ("power", "norm")
# The engine's limit: |w|^32 is a normal number down to |w| = 3e-10; a norm of smaller weights would silently be 0.
MOST_P = 32.0


@dataclass(frozen=True, repr=False)
class Lp(Penalty):
    """The L_p regularization of lecture [001]: lambda_W ||W||_p + lambda_B ||B||_p, of weights W and biases B.

    =======  ================================  ==================================================================
    norm     R of W                            source
    =======  ================================  ==================================================================
    power    sum abs(w)^p                      [001] says that p = 2 "corresponds to sum of squares", and so means
                                               the p-th power of the norm
    norm     (sum abs(w)^p)^(1/p)              [001] as printed; over all weights together, and over all biases
    =======  ================================  ==================================================================

    The gradient of the norm is taken as 0 where all weights are 0.

    Parameters
    ----------
    strength : float
        lambda_W, at least 0.
    p : float
        From 1 to 32; below 1 there is no norm.
    bias_strength : float, default 0.0
        lambda_B, at least 0.
    scale : {"1", "1/2", "1/m", "1/2m"}
        What the whole is multiplied by.
    m, layers : optional
        What m is, and which layers are counted; see `Penalty`.
    norm : {"power", "norm"}
        The reading.
    """

    strength: float
    _: KW_ONLY
    p: float
    bias_strength: float = 0.0
    norm: str = "power"

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "strength", checks.number, least=0)
        checks.option(self, "p", checks.number, least=1, most=MOST_P)
        checks.option(self, "bias_strength", checks.number, least=0)
        checks.word("norm", self.norm, NORMS)
        super().__post_init__()

    @property
    def has_kink(self) -> bool:
        """Whether the value, or its slope, has a kink where a weight is 0."""
        return self.p < 2

    def build(self, engine: ModuleType) -> list[CorePenalty]:
        """Return the engine's objects, whose sum this is."""
        term = {1.0: "absolute", 2.0: "square"}.get(self.p, "power")
        numbers = (self.strength, self.bias_strength, self._factor(), self._per())
        return [engine.PowerPenalty(term, self.p, *numbers, self.norm == "norm", self.layers)]


def checked_rate(lr: object, net: Network) -> float:
    """Return a learning rate that the precision of `net` can hold."""
    return checks.number("lr", lr, least=0, most=float(np.finfo(net.dtype).max))


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
