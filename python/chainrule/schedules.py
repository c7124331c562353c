"""Schedules, described: the learning rate as a function of the epoch or the step. The engine evaluates its own.

Each is given to an optimizer in place of a number: `SGD(lr=StepDecay(0.1, drop=0.5, every=10))`. Whatever is counted
counts from 0, so that the first epoch or step has `lr` itself. The engine evaluates a schedule before every step
(csrc/nn/schedules/); `rate` is the same formula in Python. A rate that follows what training finds is a callback:
`ReduceLROnPlateau`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from . import checks

if TYPE_CHECKING:
    from ._engine.float32 import Schedule as CoreSchedule

UNITS = ("epoch", "iteration")


@dataclass(frozen=True)
class Schedule:
    """What all schedules share. Use one of the classes derived from it.

    Parameters
    ----------
    lr : float
        The learning rate to start from, or to rise to; above 0.
    """

    lr: float

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "lr", checks.number, above=0)

    @property
    def counts_epochs(self) -> bool:
        """Whether epochs are counted; otherwise steps."""
        return False

    def rate(self, step: float, epoch: float | None = None, steps_per_epoch: float | None = None) -> float:
        """Return the learning rate of a step.

        Parameters
        ----------
        step : float
            Steps done before, in all epochs; at least 0.
        epoch : float, optional
            Epochs done before, with the part of the running one; step / steps_per_epoch if None.
        steps_per_epoch : float, optional
            For schedules that count epochs and yet change with each step (CosineDecay, OneCycle). Without it an
            epoch counts as one step, as in a loop by hand.

        Returns
        -------
        float
            The rate, as the engine computes it for this step, in float64.
        """
        x = checks.number("step", step, least=0)
        if not self.counts_epochs:
            return self._rate(x, 1.0)
        steps = 1.0 if steps_per_epoch is None else checks.number("steps_per_epoch", steps_per_epoch, above=0)
        if epoch is not None:
            return self._rate(checks.number("epoch", epoch, least=0), steps)
        if x > 0 and steps_per_epoch is None:
            raise ValueError(f"epoch, or steps_per_epoch, must be given: {self!r} counts epochs")
        return self._rate(x / steps, steps)

    def _rate(self, t: float, scale: float) -> float:
        """Return the rate at t, in units of the schedule, of which one is `scale` steps."""
        raise NotImplementedError

    def build(self, engine: ModuleType) -> CoreSchedule:
        """Return the engine's object."""
        raise NotImplementedError


@dataclass(frozen=True)
class ConstantRate(Schedule):
    """The same rate always, as a plain number is: lr(t) = lr.

    Parameters
    ----------
    lr : float
        The learning rate, above 0.
    """

    def _rate(self, t: float, scale: float) -> float:
        return self.lr

    def build(self, engine: ModuleType) -> CoreSchedule:
        """Return the engine's object."""
        built: CoreSchedule = engine.TimeDecay(self.lr, 0.0, False)
        return built


# Decays ---------------------------------------------------------------------------------------------------------------


class PerUnit:
    """What the decays share: t counts epochs or steps, by the option `per`. No schedule itself."""

    per: str

    def check_unit(self) -> None:
        """Check the option `per`."""
        checks.word("per", self.per, UNITS)

    @property
    def counts_epochs(self) -> bool:
        """Whether epochs are counted; otherwise steps."""
        return self.per == "epoch"


@dataclass(frozen=True)
class TimeDecay(PerUnit, Schedule):
    """Time-based decay: lr(t) = lr / (1 + decay t), of lecture [002].

    ===========  =======================  ==========================================================
    per          t counts                 source
    ===========  =======================  ==========================================================
    epoch        epochs                   [002], "time-based decay"
    iteration    steps, in all epochs     [002], "Keras's implementation": the option `decay` of its
                                          optimizers, which Keras has since taken away
    ===========  =======================  ==========================================================

    With decay 0.5 per epoch, a rate of 0.1 has come down to 0.04 in epoch t = 3.

    Parameters
    ----------
    lr : float
        Learning rate at t = 0, above 0.
    decay : float
        At least 0.
    per : {"epoch", "iteration"}
        What t counts.
    """

    _: KW_ONLY
    decay: float
    per: str = "epoch"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.option(self, "decay", checks.number, least=0)
        self.check_unit()

    def _rate(self, t: float, scale: float) -> float:
        return self.lr / (1 + self.decay * math.floor(t))

    def build(self, engine: ModuleType) -> CoreSchedule:
        """Return the engine's object."""
        built: CoreSchedule = engine.TimeDecay(self.lr, self.decay, self.counts_epochs)
        return built


@dataclass(frozen=True)
class StepDecay(PerUnit, Schedule):
    """Step decay: lr(t) = lr * drop^floor(t / every), or without the floor.

    ======  ======================  ==================================================================
    floor   exponent                source
    ======  ======================  ==================================================================
    True    floor(t / every)        what "step-based" means: the rate falls once in `every` epochs.
                                    [000]: a tenth every 1 to 10 epochs, drop=0.1
    False   t / every               [002], as printed: the rate falls with each epoch, as
                                    ExponentialDecay(k=-log(drop) / every)
    ======  ======================  ==================================================================

    With drop 0.5 every 10 epochs, a rate of 0.1 is 0.05 in epoch t = 15, and 0.0354 without the floor.

    Parameters
    ----------
    lr : float
        Learning rate at t = 0, above 0.
    drop : float
        Factor of each drop, above 0 and at most 1.
    every : float
        Epochs, or steps, from one drop to the next; above 0.
    floor : bool, default True
        Whether the exponent is rounded down.
    per : {"epoch", "iteration"}
        What t counts.
    """

    _: KW_ONLY
    drop: float
    every: float
    floor: bool = True
    per: str = "epoch"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.option(self, "drop", checks.number, above=0, most=1)
        checks.option(self, "every", checks.number, above=0)
        checks.option(self, "floor", checks.flag)
        self.check_unit()

    def _rate(self, t: float, scale: float) -> float:
        drops = math.floor(t) / self.every  # infinitely many where `every` is tiny
        return self.lr * self.drop ** (math.floor(drops) if self.floor and math.isfinite(drops) else drops)

    def build(self, engine: ModuleType) -> CoreSchedule:
        """Return the engine's object."""
        built: CoreSchedule = engine.StepDecay(self.lr, self.drop, self.every, self.floor, self.counts_epochs)
        return built


@dataclass(frozen=True)
class ExponentialDecay(PerUnit, Schedule):
    """Exponential decay: lr(t) = lr e^(-k t), of lecture [002].

    With k = 0.1, a rate of 0.1 is 0.0368 in epoch t = 10. PyTorch's `gamma` is e^(-k).

    Parameters
    ----------
    lr : float
        Learning rate at t = 0, above 0.
    k : float
        At least 0.
    per : {"epoch", "iteration"}
        What t counts.
    """

    _: KW_ONLY
    k: float
    per: str = "epoch"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.option(self, "k", checks.number, least=0)
        self.check_unit()

    def _rate(self, t: float, scale: float) -> float:
        return self.lr * math.exp(-self.k * math.floor(t))

    def build(self, engine: ModuleType) -> CoreSchedule:
        """Return the engine's object."""
        built: CoreSchedule = engine.ExponentialDecay(self.lr, self.k, self.counts_epochs)
        return built


# Cosines --------------------------------------------------------------------------------------------------------------


class WholeLength:
    """What the cosines share: a length that is known beforehand, in epochs or in steps. No schedule itself."""

    epochs: float | None
    steps: float | None

    def check_length(self) -> None:
        """Check that one length is given, above 0."""
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                "exactly one of epochs and steps must be given; got "
                f"epochs={checks.shown(self.epochs)}, steps={checks.shown(self.steps)}"
            )
        checks.option(self, "steps" if self.epochs is None else "epochs", checks.number, above=0)

    @property
    def counts_epochs(self) -> bool:
        """Whether epochs are counted; otherwise steps."""
        return self.epochs is not None

    @property
    def length(self) -> float:
        """`epochs` or `steps`, whichever was given."""
        return (self.steps if self.epochs is None else self.epochs) or 0.0


@dataclass(frozen=True)
class CosineDecay(WholeLength, Schedule):
    """A rate that falls along half a cosine, after a linear warm-up if asked.

    ::

        lr(x) = lr (x + 1) / W                                                   before step x = W
        lr(x) = end + (lr - end) / 2 * (1 + cos(pi (x - W) / (N - W)))           from there
        lr(x) = end                                                              from step x = N on

    Source: Loshchilov and Hutter, ICLR 2017, without restarts. The rate changes with each step, also where the lengths
    N (`epochs` or `steps`) and W (`warmup`) are given in epochs: a `Trainer` knows how many steps an epoch has.

    Parameters
    ----------
    lr : float
        The highest rate, above 0.
    epochs, steps : float
        How long it takes, in either unit: exactly one of the two; above 0.
    warmup : float, default 0
        How long the rate rises first, in the same unit; below the whole length.
    end : float, default 0.0
        The rate at the end, at least 0 and at most `lr`.
    """

    _: KW_ONLY
    epochs: float | None = None
    steps: float | None = None
    warmup: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self.check_length()
        checks.option(self, "warmup", checks.number, least=0, below=self.length)
        checks.option(self, "end", checks.number, least=0, most=self.lr)

    def _rate(self, t: float, scale: float) -> float:
        x, warmup, length = t * scale, self.warmup * scale, self.length * scale
        if x < warmup:
            return self.lr * min(1.0, (x + 1) / warmup)
        return fade(self.lr, self.end, (x - warmup) / (length - warmup)) if x < length else self.end

    def build(self, engine: ModuleType) -> CoreSchedule:
        """Return the engine's object."""
        built: CoreSchedule = engine.CosineDecay(self.lr, self.length, self.warmup, self.end, self.counts_epochs)
        return built


@dataclass(frozen=True)
class OneCycle(WholeLength, Schedule):
    """One cycle: half a cosine up to `lr`, and half a cosine down to almost nothing.

    ::

        lr(x) = a + (b - a) / 2 * (1 - cos(pi f))
        a = start_factor lr,  b = lr,               f = x / R                    up to x = R
        a = lr,               b = end_factor lr,    f = (x - R) / (N - 1 - R)    down to x = N - 1, and from there on
        R = max(rise N - 1, 0)

    Where R is 0, the first step has `lr` itself. Source: Smith, arXiv:1803.09820, in the form and with the defaults of
    PyTorch's OneCycleLR. The rate changes with each step, also where the length N is given in epochs. PyTorch's
    `cycle_momentum` is left out.

    Parameters
    ----------
    lr : float
        The highest rate, above 0.
    epochs, steps : float
        How long it takes, in either unit: exactly one of the two; above 0.
    rise : float, default 0.3
        Share of the length in which the rate rises, above 0 and below 1.
    start_factor : float, default 1/25
        Where the rate starts, as a multiple of `lr`; at least 0.
    end_factor : float, default 1/250000
        Where it ends; at least 0.
    """

    _: KW_ONLY
    epochs: float | None = None
    steps: float | None = None
    rise: float = 0.3
    start_factor: float = 1 / 25
    end_factor: float = 1 / 25e4

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self.check_length()
        checks.option(self, "rise", checks.number, above=0, below=1)
        for name in ("start_factor", "end_factor"):
            checks.option(self, name, checks.number, least=0)
            checks.number(f"lr * {name}", self.lr * getattr(self, name))

    def _rate(self, t: float, scale: float) -> float:
        x, length = t * scale, self.length * scale
        start, end = self.lr * self.start_factor, self.lr * self.end_factor
        top, last = max(self.rise * length - 1, 0.0), length - 1
        if x <= top:
            return fade(start, self.lr, x / top if top > 0 else 1.0)
        return fade(self.lr, end, (x - top) / (last - top)) if x < last else end

    def build(self, engine: ModuleType) -> CoreSchedule:
        """Return the engine's object."""
        start, end = self.lr * self.start_factor, self.lr * self.end_factor
        built: CoreSchedule = engine.OneCycle(self.lr, self.length, self.rise, start, end, self.counts_epochs)
        return built


def fade(start: float, end: float, part: float) -> float:
    """Return where half a cosine from `start` to `end` is after a part of its way, 0 to 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


# What an optimizer takes as its learning rate -----------------------------------------------------------------------

Rate: TypeAlias = float | Schedule | Callable[[int], float]  # the function: of the epoch's number, 0 for the first


def checked_rate(argument: str, value: object) -> Rate:
    """Return `value` as a number above 0, a schedule, or a function of the epoch."""
    if isinstance(value, type):
        raise TypeError(f"{argument} must be a number, a Schedule or a function, not the class: {value.__name__}(...)")
    if isinstance(value, Schedule) or callable(value):
        return value
    return checks.number(argument, value, above=0)
