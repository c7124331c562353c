"""What lecture [003] says of the learning rate of a running fit, made to run: when to lower it, when to raise it.

::

    DecayRate     "When to decay? Loss is exploding or fluctuating. Loss has stopped decreasing" [003]
    IncreaseRate  "When to increase? Decreasing, but very slowly. Overfitting. Jump out of local minima" [003]

The slides give no numbers for "slowly" or "fluctuating"; those here are options. These are rules of thumb: none of them
knows whether a change helped. Plans that look at nothing are in `schedules`, rates to begin with in `first_rates`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any

import numpy as np

from . import checks
from .callbacks import Callback, check_monitored, checked_monitor, kept_epoch


@dataclass(frozen=True)
class RateDecision:
    """One change of a learning rate.

    Attributes
    ----------
    epoch : int
        After which epoch of the trainer; 0 before the first.
    reason : str
        Why, with the figures.
    old, new : float
        The rate before and after it.
    """

    epoch: int
    reason: str
    old: float
    new: float


@dataclass
class _RatePolicy(Callback):
    """What both callbacks share: what they look at, and that each change is written down."""

    monitor: str = "loss"
    _: KW_ONLY
    when: Sequence[str] = ()
    factor: float = 0.0
    window: int = 5
    _decisions: list[RateDecision] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def decisions(self) -> tuple[RateDecision, ...]:
        """What was changed in the running or the last fit."""
        return tuple(self._decisions)

    def _check(self, known: Sequence[str]) -> None:
        """Check the common options."""
        self.monitor = checked_monitor("monitor", self.monitor)
        if not isinstance(self.when, (list, tuple)) or not self.when:
            raise TypeError(f"when must be a list of {', '.join(map(repr, known))}; got {checks.shown(self.when)}")
        self.when = tuple(checks.word("when", one, known) for one in self.when)
        self.window = checks.whole("window", self.window, least=2)

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Check that there is a figure to look at and a rate to change, and forget earlier runs."""
        check_monitored(self.monitor, self.trainer.history)
        optimizer = self.trainer.optimizer
        if optimizer.is_scheduled:
            name = type(self).__name__
            raise ValueError(f"{name} needs an lr that is a number; lr={optimizer.lr!r} goes its own way")
        self._decisions = []

    def state_dict(self) -> dict[str, Any]:
        """Return what was decided."""
        return {"decisions": [asdict(one) for one in self._decisions]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what an earlier run has decided."""
        decisions = state["decisions"]
        if not isinstance(decisions, list):
            raise ValueError(f"decisions must be a list; got {checks.shown(decisions)}")
        self._decisions = [self._taken(one) for one in decisions]

    def _taken(self, state: Mapping[str, Any]) -> RateDecision:
        """Return a decision of an earlier run."""
        one = RateDecision(**state)
        if not isinstance(one.reason, str):
            raise ValueError(f"reason must be a string; got {checks.shown(one.reason)}")
        epoch = kept_epoch("epoch", one.epoch, self.trainer.history)
        old, new = (checks.number(name, getattr(one, name), above=0) for name in ("old", "new"))
        return RateDecision(epoch, one.reason, old, new)

    def _looks(self, name: str) -> list[tuple[int, float]]:
        """Return a figure and its epochs since the rate changed last: before that, another rate was at work."""
        history = self.trainer.history
        rates = history["learning_rate"]
        since = next((n for n in range(len(rates), 0, -1) if rates[n - 1] != rates[-1]), 0)
        return [look for look in history.measured(name) if look[0] >= history.first_epoch + since]

    def _change(self, epoch: int, rate: float, reason: str) -> bool:
        """Set the rate, unless another callback has just done so; return whether it was changed."""
        old = self.trainer.learning_rate
        if rate == old or old != self.trainer.history["learning_rate"][-1]:
            return False
        self.trainer.learning_rate = rate
        self._decisions.append(RateDecision(epoch, reason, old, self.trainer.learning_rate))
        return True


DECAYS = ("exploding", "fluctuating", "stalled")


@dataclass
class DecayRate(_RatePolicy):
    """Lower the learning rate when the loss explodes, fluctuates or has stopped decreasing [003].

    ::

        exploding     loss > exploded * least loss so far, and greater than in the epoch before, at the same rate
        fluctuating   over the window, |last - first| < steady * sum of |changes|, with at least one rise and one fall
        stalled       no loss of the window is below the least one before it

    The last two look at epochs since the rate changed last, and wait for `window` of them and one before. With
    `validation_freq` above 1, only epochs after which `monitor` was measured count. The rate must be a number: a
    schedule would not heed it. `ReduceLROnPlateau` is the third rule alone, with Keras's options.

    Parameters
    ----------
    monitor : str, default "loss"
        A name in the history, of which small is good: "loss" or "val_loss".
    when : sequence of str, default all three
        Which of "exploding", "fluctuating" and "stalled" lower the rate.
    factor : float, default 0.5
        By what it is multiplied, above 0 and below 1.
    window : int, default 5
        Epochs, at least 2.
    exploded : float, default 2.0
        Above 1. Losses below 0 never explode.
    steady : float, default 0.3
        What share of the way up and down must be progress, above 0 and below 1.
    min_lr : float, default 0.0
        The rate is not lowered further; at least 0.

    Attributes
    ----------
    decisions : tuple of RateDecision
        What was changed in the running or the last fit, with the reason.
    """

    _: KW_ONLY
    when: Sequence[str] = DECAYS
    factor: float = 0.5
    exploded: float = 2.0
    steady: float = 0.3
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        """Check the options."""
        self._check(DECAYS)
        self.factor = checks.number("factor", self.factor, above=0, below=1)
        self.exploded = checks.number("exploded", self.exploded, above=1)
        self.steady = checks.number("steady", self.steady, above=0, below=1)
        self.min_lr = checks.number("min_lr", self.min_lr, least=0)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Lower the rate if a rule says so; the first that does gives the reason."""
        if self.monitor not in logs:
            return  # not validated after this epoch
        rules = {"exploding": self._exploding, "fluctuating": self._fluctuating, "stalled": self._stalled}
        reason = next(filter(None, (rules[one]() for one in DECAYS if one in self.when)), None)
        if reason is not None:
            old = self.trainer.learning_rate
            lower = max(old * self.factor, self.min_lr)
            if 0 < lower < old:
                self._change(epoch, lower, reason)

    def _exploding(self) -> str | None:
        """Return whether the loss is far above its least, and rising."""
        history = self.trainer.history
        looks = history.measured(self.monitor)
        # The first figure of a rate begins where the one before it has led, and shows that one's fault.
        if len(looks) < 2 or len(set(history["learning_rate"][looks[-2][0] - history.first_epoch :])) > 1:
            return None
        values = [value for _, value in looks]
        least, before, now = min(values[:-1]), values[-2], values[-1]
        if not (now > before and now > self.exploded * least > 0):
            return None
        return f"exploding: {self.monitor} is {now:.4g}, after {least:.4g}"

    def _fluctuating(self) -> str | None:
        """Return whether the loss goes up and down and gets nowhere."""
        looks = self._looks(self.monitor)
        if len(looks) <= self.window:
            return None
        seen = looks[-1 - self.window :]
        changes, epochs = np.diff([value for _, value in seen]), seen[-1][0] - seen[0][0]
        way, progress = float(np.abs(changes).sum()), abs(float(changes.sum()))
        if not ((changes > 0).any() and (changes < 0).any() and progress < self.steady * way):
            return None
        return f"fluctuating: {self.monitor} went {way:.4g} up and down, and {progress:.4g} on, in {epochs} epochs"

    def _stalled(self) -> str | None:
        """Return whether the loss has stopped decreasing."""
        return _stalled(self.monitor, self._looks(self.monitor), self.window)


def _stalled(monitor: str, looks: Sequence[tuple[int, float]], window: int) -> str | None:
    """Return whether a window of losses has none below the least before it."""
    if len(looks) <= window:
        return None
    values = [value for _, value in looks]
    least, since = min(values[:-window]), min(values[-window:])
    if since < least:
        return None
    return f"stalled: {monitor} is not below {least:.4g} for {looks[-1][0] - looks[-1 - window][0]} epochs"


INCREASES = ("slow", "overfitting", "minimum")


@dataclass
class IncreaseRate(_RatePolicy):
    """Raise the learning rate when the loss decreases very slowly, at overfitting, or to jump out of a minimum [003].

    ::

        slow          over the window the loss fell in each epoch, by less than `slow` of itself an epoch
        overfitting   over the window val_loss rose and loss fell
        minimum       no loss of the window is below the least one before it: a jump

    They look at epochs since the rate changed last, and wait for `window` of them and one before. With
    `validation_freq` above 1, only epochs after which their figures were measured count. The first two raise the rate
    for good. A jump raises it for `jump_epochs`, after which the rate is what it was: what lies in another
    valley then descends there; without the noise of batches a minimum has no gradient to jump by. "Loss has stopped
    decreasing" is the slide's reason to decay too (`DecayRate`), so jumps are made only where they are asked for. The
    rate must be a number: a schedule would not heed it.

    Parameters
    ----------
    monitor : str, default "loss"
        A name in the history, of which small is good, for "slow" and "minimum".
    when : sequence of str, default ("slow",)
        Which of "slow", "overfitting" and "minimum" raise the rate. "overfitting" needs a validation part.
    factor : float, default 2.0
        By what it is multiplied, above 1.
    window : int, default 5
        Epochs, at least 2.
    slow : float, default 0.01
        Above 0: with 0.01 a loss that falls by less than 1 % an epoch falls slowly.
    jump : float, default 10.0
        By what a jump multiplies the rate, above 1.
    jump_epochs : int, default 1
        How many epochs a jump lasts.
    max_lr : float, default 1.0
        The rate is not raised further; above 0.

    Attributes
    ----------
    decisions : tuple of RateDecision
        What was changed in the running or the last fit, with the reason.
    """

    _: KW_ONLY
    when: Sequence[str] = INCREASES[:1]
    factor: float = 2.0
    slow: float = 0.01
    jump: float = 10.0
    jump_epochs: int = 1
    max_lr: float = 1.0
    _landing: tuple[int, float, float] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the options."""
        self._check(INCREASES)
        self.factor = checks.number("factor", self.factor, above=1)
        self.slow = checks.number("slow", self.slow, above=0)
        self.jump = checks.number("jump", self.jump, above=1)
        self.jump_epochs = checks.whole("jump_epochs", self.jump_epochs)
        self.max_lr = checks.number("max_lr", self.max_lr, above=0)

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Check what will be looked at, and forget earlier runs."""
        super().on_train_begin(logs)
        if "overfitting" in self.when:
            check_monitored("val_loss", self.trainer.history)
        self._landing = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Raise the rate if a rule says so, or end a jump."""
        rate = self.trainer.learning_rate
        if self._landing is not None:
            last, during, back = self._landing
            if epoch >= last or rate != during:  # or somebody else has changed it, whose rate then holds
                self._landing = None
                if rate == during:
                    self._change(epoch, back, "the jump is over")
            return
        if self.monitor not in logs or ("overfitting" in self.when and "val_loss" not in logs):
            return  # not validated after this epoch
        rules = {"slow": self._slowly, "overfitting": self._overfitting, "minimum": self._in_minimum}
        name, reason = next(
            ((one, why) for one in INCREASES if one in self.when and (why := rules[one]()) is not None), (None, None)
        )
        if reason is None:
            return
        higher = min(rate * (self.jump if name == "minimum" else self.factor), self.max_lr)
        if higher > rate and self._change(epoch, higher, reason) and name == "minimum":
            self._landing = epoch + self.jump_epochs, self.trainer.learning_rate, rate

    def state_dict(self) -> dict[str, Any]:
        """Return what was decided, and whether a jump is on its way."""
        return {**super().state_dict(), "landing": self._landing}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what an earlier run has decided."""
        landing = state["landing"]
        if landing is not None:
            last, during, back = landing
            last = checks.whole("the end of the jump", last, most=2 * checks.MOST)
            during = checks.number("the rate of the jump", during, above=0)
            # No higher, or setting it could be refused when the jump is over.
            landing = last, during, checks.number("the rate after the jump", back, above=0, most=during)
        super().load_state_dict(state)
        self._landing = landing

    def _slowly(self) -> str | None:
        """Return whether the loss decreases, but very slowly."""
        looks = self._looks(self.monitor)
        if len(looks) <= self.window:
            return None
        (first, before), (last, now) = looks[-1 - self.window], looks[-1]
        fell = all(later < one for (_, one), (_, later) in itertools.pairwise(looks[-1 - self.window :]))
        share = (before - now) / abs(before) / (last - first) if before else math.inf
        if not (fell and share < self.slow):
            return None
        return f"slow: {self.monitor} fell by {share:.2%} an epoch, less than {self.slow:.2%}"

    def _overfitting(self) -> str | None:
        """Return whether the validation loss rises while that of training falls."""
        looks = self._looks("val_loss")
        if len(looks) <= self.window:
            return None
        (first, val_before), (last, val_now) = looks[-1 - self.window], looks[-1]
        training = dict(self._looks("loss"))
        before, now = training[first], training[last]
        if not (now < before and val_now > val_before):
            return None
        return f"overfitting: loss {before:.4g} to {now:.4g}, val_loss {val_before:.4g} to {val_now:.4g}"

    def _in_minimum(self) -> str | None:
        """Return whether the loss stays where it is."""
        reason = _stalled(self.monitor, self._looks(self.monitor), self.window)
        return None if reason is None else f"a jump, {reason}"
