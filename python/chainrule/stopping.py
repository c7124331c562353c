"""Stopping rules: when a fit has gone on for long enough. They look at the history and at nothing else.

The four of [004]::

    Stagnates      the error fails to improve
    ImprovesSlowly the rate of improvement drops below a certain level
    Reaches        the error reaches an acceptable level
    Lasts          a certain number of epochs have passed

They combine: `a | b` where either is enough, `a & b` where both must hold at the end of the same epoch. A rule keeps no
state, so it may serve several fits, and a fit that goes on from a file finds it as it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

from . import checks
from .callbacks import MODES, Callback, check_monitored, checked_monitor, is_better
from .history import History


class StoppingRule(ABC):
    """What may end a fit. Derive from it for a rule of your own: `reason` is all that it needs."""

    @abstractmethod
    def reason(self, history: History) -> str | None:
        """Return why a fit with this history should end, a clause without a capital; None while it should not.

        Parameters
        ----------
        history : History
            Of the running fit, up to the epoch that has just ended.

        Returns
        -------
        str or None
            The reason.
        """

    def check(self, history: History) -> None:
        """Raise ValueError where the history will not have what the rule looks at; called before the first epoch."""
        del history

    def monitored(self) -> tuple[str, ...]:
        """Return the names in the history that the rule looks at."""
        return ()

    def __and__(self, other: object) -> StoppingRule:
        """Return the rule that holds where both do."""
        return AllOf(self, other) if isinstance(other, StoppingRule) else NotImplemented

    def __or__(self, other: object) -> StoppingRule:
        """Return the rule that holds where either does."""
        return AnyOf(self, other) if isinstance(other, StoppingRule) else NotImplemented


@dataclass(frozen=True)
class _Pair(StoppingRule):
    """Two rules in one."""

    first: StoppingRule
    second: StoppingRule

    def check(self, history: History) -> None:
        """Check both."""
        self.first.check(history)
        self.second.check(history)

    def monitored(self) -> tuple[str, ...]:
        """Return the names of both."""
        return (*self.first.monitored(), *self.second.monitored())


@dataclass(frozen=True)
class AllOf(_Pair):
    """Both rules hold: what `a & b` makes."""

    def reason(self, history: History) -> str | None:
        """Return both reasons."""
        reasons = [self.first.reason(history), self.second.reason(history)]
        return None if None in reasons else " and ".join(map(str, reasons))


@dataclass(frozen=True)
class AnyOf(_Pair):
    """One of two rules holds: what `a | b` makes."""

    def reason(self, history: History) -> str | None:
        """Return the first reason that there is."""
        return self.first.reason(history) or self.second.reason(history)


@dataclass(frozen=True)
class _Monitoring(StoppingRule):
    """A rule about one figure."""

    monitor: str = "val_loss"
    _: KW_ONLY
    mode: str = "auto"

    def __post_init__(self) -> None:
        """Check the options."""
        checked_monitor("monitor", self.monitor)
        checks.word("mode", self.mode, MODES)

    def check(self, history: History) -> None:
        """Check that the figure will be there."""
        check_monitored(self.monitor, history)

    def _looks(self, history: History) -> list[tuple[int, float]]:
        """Return the epochs that have the figure, with it; none where the last epoch has it not."""
        looks = history.measured(self.monitor)
        return looks if looks and looks[-1][0] == history.first_epoch + history.epochs - 1 else []

    def monitored(self) -> tuple[str, ...]:
        """Return the name."""
        return (self.monitor,)

    def _better(self, value: float, than: float | None, by: float = 0.0) -> bool:
        return is_better(value, than, self.monitor, self.mode, by)


@dataclass(frozen=True)
class Stagnates(_Monitoring):
    """The figure has not been better than its best for some epochs: "the error fails to improve" [004].

    With `epochs=1` that is "stop training if the loss increase[s]" [002]; more where "validation loss go[es] up and
    down many times".

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the history.
    mode : {"auto", "min", "max"}
        Whether small or large is good; "auto" knows: accuracy, precision, recall and F1 up, all else down.
    epochs : int, default 1
        At least 1.
    min_delta : float, default 0.0
        Less than this is no improvement.
    """

    _: KW_ONLY
    epochs: int = 1
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.whole("epochs", self.epochs)
        checks.number("min_delta", self.min_delta, least=0)

    def reason(self, history: History) -> str | None:
        """Return for how long there was no better figure."""
        looks = self._looks(history)
        if not looks:
            return None
        best: float | None = None
        best_epoch = history.first_epoch - 1
        for epoch, value in looks:
            if self._better(value, best, self.min_delta):
                best, best_epoch = value, epoch
        since = looks[-1][0] - best_epoch
        if since < self.epochs:
            return None
        return f"{self.monitor} has not improved for {since} epoch{'s' * (since > 1)}"


@dataclass(frozen=True)
class ImprovesSlowly(_Monitoring):
    """The figure improves by less than a share of itself an epoch: "the rate of improvement drops" [004].

    ::

        (before - now) / |before| / epochs < rate,      before being the figure `epochs` epochs ago

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the history.
    mode : {"auto", "min", "max"}
        Whether small or large is good; "auto" knows: accuracy, precision, recall and F1 up, all else down.
    rate : float
        Share an epoch, above 0: 0.01 stops where less than 1 % an epoch is gained.
    epochs : int, default 1
        Over how many, or a few more where not every epoch is validated, the rate is taken; before so many have
        passed, the rule does not hold.
    """

    _: KW_ONLY
    rate: float
    epochs: int = 1

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.number("rate", self.rate, above=0)
        checks.whole("epochs", self.epochs)

    def reason(self, history: History) -> str | None:
        """Return the rate."""
        looks = self._looks(history)
        earlier = [look for look in looks if look[0] <= looks[-1][0] - self.epochs]
        if not earlier:
            return None
        (then, before), (epoch, now) = earlier[-1], looks[-1]
        gain = now - before if self._better(1.0, 0.0) else before - now
        rate = gain / abs(before) / (epoch - then) if before else 0.0 if gain == 0 else gain * float("inf")
        if rate >= self.rate:
            return None
        # Also where it is not a number: that is no improvement.
        return f"{self.monitor} improved by {rate:.2%} an epoch, less than {self.rate:.2%}"


@dataclass(frozen=True)
class Reaches(_Monitoring):
    """The figure is as good as it needs to be: "the error reaches an acceptable level" [004].

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the history.
    goal : float
        What is good enough.
    mode : {"auto", "min", "max"}
        Whether small or large is good; "auto" knows: accuracy, precision, recall and F1 up, all else down.
    """

    _: KW_ONLY
    goal: float

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.number("goal", self.goal)

    def reason(self, history: History) -> str | None:
        """Return the figure."""
        looks = self._looks(history)
        if not looks or not (looks[-1][1] == self.goal or self._better(looks[-1][1], self.goal)):
            return None
        return f"{self.monitor} has reached {looks[-1][1]:g}, the goal being {self.goal:g}"


@dataclass(frozen=True)
class Lasts(StoppingRule):
    """So many epochs have passed in this fit, or so many seconds of training.

    Parameters
    ----------
    epochs : int, optional
        "A certain number of epochs have passed" [004]. `Trainer.fit` has `epochs` too; here it can be part of a rule.
    seconds : float, optional
        Of training, without validation. At least one of the two is given; the one that comes first counts.
    """

    epochs: int | None = None
    _: KW_ONLY
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        if self.epochs is None and self.seconds is None:
            raise ValueError("Lasts needs epochs or seconds")
        if self.epochs is not None:
            checks.whole("epochs", self.epochs)
        if self.seconds is not None:
            checks.number("seconds", self.seconds, above=0)

    def reason(self, history: History) -> str | None:
        """Return what has passed."""
        if self.epochs is not None and history.epochs >= self.epochs:
            return f"it has lasted {history.epochs} epoch{'s' * (history.epochs > 1)}"
        spent = sum(history["seconds"])
        if self.seconds is not None and spent >= self.seconds:
            return f"it has lasted {spent:.3g} seconds"
        return None


@dataclass
class StopWhen(Callback):
    """End a fit when a rule holds at the end of an epoch; the history's `stop_reason` says which one did.

    The network keeps the weights of that epoch: `EarlyStopping` beside it, with more patience than the fit has epochs,
    brings the best ones back.

    Parameters
    ----------
    rule : StoppingRule
        One of the rules, or several joined by & and |.

    Examples
    --------
    >>> rule = cr.Reaches("val_accuracy", goal=0.99) | cr.Stagnates(epochs=5) & cr.ImprovesSlowly("loss", rate=0.01)
    >>> trainer.fit(X, y, epochs=1000, validation_split=0.2, callbacks=[cr.StopWhen(rule)])
    """

    rule: StoppingRule

    def __post_init__(self) -> None:
        """Check the rule."""
        if not isinstance(self.rule, StoppingRule):
            raise TypeError(f"rule must be a StoppingRule, such as Stagnates(); got {checks.shown(self.rule)}")

    def chooses_by(self) -> tuple[str, ...]:
        """Return the figures of the rule."""
        return self.rule.monitored()

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Check that what the rule looks at will be there."""
        self.rule.check(self.trainer.history)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Stop if the rule holds."""
        why = self.rule.reason(self.trainer.history)
        if why is not None:
            self.trainer.stop(why)
