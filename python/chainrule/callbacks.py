"""Callbacks: what is called between epochs. Steps run in the engine, so there are no hooks for batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import checks
from .metrics import large_is_good

if TYPE_CHECKING:
    from ._engine.float32 import RunState
    from .history import History
    from .trainer import Trainer

HOOKS = ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end")


class Callback:
    """Base of callbacks, with the names of Keras's hooks. Derive from it and override what you need.

    `self.trainer` is the running trainer: `self.trainer.net`, `self.trainer.history`, `self.trainer.learning_rate`
    (may be set), and `self.trainer.stop(reason)` are there to be used. Epochs count from 1 and go on in a
    second fit of the same trainer.
    """

    trainer: Trainer

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse hooks that would never be called."""
        super().__init_subclass__(**options)
        unknown = [name for name in vars(cls) if name.startswith("on_") and name not in HOOKS]
        if unknown:
            raise TypeError(f"{cls.__name__}.{unknown[0]} would never be called; the hooks are {', '.join(HOOKS)}")

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes but the trainer, for pickle and copy: a trainer can be neither."""
        return {name: value for name, value in vars(self).items() if name != "trainer"}

    def chooses_by(self) -> tuple[str, ...]:
        """Return the figures by which the callback ends a fit or keeps an epoch; whose rows then test no more."""
        return ()

    def epochs_at_once(self) -> float:
        """Return how many epochs may pass before this callback has to see the network; asked before an epoch.

        Where all callbacks let several pass, and nothing else looks between them (a validation part, a progress bar, a
        schedule in Python, snapshots), the engine may run them in one go, which makes short epochs shorter.
        `on_epoch_begin` is then called before the first of them, and `on_epoch_end` for each, with its figures but
        with the network after the last; what it changes holds from there on, and `trainer.stop` ends the fit there.

        Returns
        -------
        float
            1, where this is not overridden; `math.inf` for any number.
        """
        return 1

    def state_dict(self) -> dict[str, Any]:
        """Return what the callback has found so far, for snapshots: numbers, strings, lists, dicts, arrays by name.

        Override it, and `load_state_dict`, where what the callback does depends on earlier epochs.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave; called after `on_train_begin` where a fit goes on from a snapshot.

        Parameters
        ----------
        state : mapping
            From a file: it has been read, and not been believed.
        """

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Before the first epoch; before the next one, where a fit goes on from a snapshot.

        Parameters
        ----------
        logs : mapping
            Empty.
        """

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Before an epoch.

        Parameters
        ----------
        epoch : int
            Its number; that of a trainer's first epoch is 1.
        logs : mapping
            Empty.
        """

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """After an epoch. Not called for an epoch in which the loss diverged.

        The loss of an epoch's last update is first seen in the next epoch. Where it is not finite, the trainer takes
        back an epoch for which this was called.

        Parameters
        ----------
        epoch : int
            Its number; that of a trainer's first epoch is 1.
        logs : mapping of str to float
            What the history got. Figures of the validation part are missing where `validation_freq` passes an epoch
            over.
        """

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """After the last epoch, also if the loss diverged, not after an exception.

        Parameters
        ----------
        logs : mapping of str to float
            The last epoch's.
        """


# What is monitored ----------------------------------------------------------------------------------------------------

MODES = ("auto", "min", "max")
KEEPS = ("best", "improved")


def check_monitored(monitor: str, history: History) -> None:
    """Raise ValueError where the history will have no figure of that name."""
    if monitor not in history:
        names = ", ".join(history)
        hint = "; give validation_split or validation_data" if monitor.startswith("val_") else ""
        raise ValueError(f"monitor={monitor!r} is not in the history, which has {names}{hint}")


def is_better(value: float, best: float | None, monitor: str, mode: str, min_delta: float) -> bool:
    """Return whether a figure is better than the best so far by more than `min_delta`; NaN never is."""
    if best is None:
        return value == value
    upwards = mode == "max" or (mode == "auto" and large_is_good(monitor))
    return (value - best if upwards else best - value) > min_delta


# What a snapshot has of a callback is believed only after it has been checked: an error would come within the training
# else, after the weights have changed.


def kept_figure(name: str, value: object) -> float:
    """Return a figure that a callback keeps; ValueError where it is none. A loss may be infinite; NaN is never kept."""
    if not isinstance(value, float) or value != value:
        raise ValueError(f"{name} must be a figure of an epoch; got {checks.shown(value)}")
    return float(value)


def kept_best(value: object) -> float | None:
    """Return the best figure that a callback keeps; None before there was one."""
    return None if value is None else kept_figure("best", value)


def kept_epoch(name: str, value: object, history: History) -> int:
    """Return the number of an epoch that a callback keeps, which the history must have."""
    return checks.whole(name, value, least=history.first_epoch, most=history.first_epoch + history.epochs - 1)


class Kept(NamedTuple):
    """An epoch whose weights may be wanted back."""

    value: float
    epoch: int
    weights: RunState | None  # at its end, where the network is; None where they are not to be restored

    def state_dict(self) -> dict[str, Any]:
        """Return it with the weights as arrays."""
        weights = None if self.weights is None else self.weights.content()
        return {"value": self.value, "epoch": self.epoch, "weights": weights}


@dataclass
class EarlyStopping(Callback):
    """Stop when the monitored figure has not improved for `patience` epochs, and take the best weights back.

    The three elements of [002]: what is monitored, what triggers the stop, which model is kept. Monitor the validation
    part, as [000], [001] and [002] say, and never the test set, as [004] has it: a test set that chose the epoch no
    longer tests.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the history.
    patience : int
        Epochs without improvement after which to stop, at least 1.
    min_delta : float, default 0.0
        Less than this is no improvement; at least 0.
    mode : {"auto", "min", "max"}
        Whether small or large is good; "auto" knows: accuracy, precision, recall and F1 up, all else down.
    restore_best_weights : bool, default True
        Whether the network has the weights of the best epoch at the end, also where all epochs were done.
    keep : {"best", "improved"}
        Which epoch that is: the best of all; or, as [002] has it, the last one that was better than the epoch before
        it, which may be worse than an earlier one.
    """

    monitor: str = "val_loss"
    _: KW_ONLY
    patience: int
    min_delta: float = 0.0
    mode: str = "auto"
    restore_best_weights: bool = True
    keep: str = "best"
    _best: tuple[float, int] | None = field(default=None, init=False, repr=False, compare=False)  # value and epoch
    _before: float | None = field(default=None, init=False, repr=False, compare=False)  # the value an epoch ago
    _kept: Kept | None = field(default=None, init=False, repr=False, compare=False)
    _second: Kept | None = field(default=None, init=False, repr=False, compare=False)  # what was kept before

    def __post_init__(self) -> None:
        """Check the options."""
        self.monitor = checked_monitor("monitor", self.monitor)
        self.patience = checks.whole("patience", self.patience)
        self.min_delta = checks.number("min_delta", self.min_delta, least=0)
        checks.word("mode", self.mode, MODES)
        self.restore_best_weights = checks.flag("restore_best_weights", self.restore_best_weights)
        checks.word("keep", self.keep, KEEPS)

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Check that the figure will be there, and forget earlier runs."""
        check_monitored(self.monitor, self.trainer.history)
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Keep the weights if this is the best epoch so far; stop if the best lies too far back."""
        if self.monitor not in logs:
            return  # not validated after this epoch
        value = logs[self.monitor]
        best = None if self._best is None else self._best[0]
        improves = is_better(value, best, self.monitor, self.mode, self.min_delta)
        if improves:
            self._best = value, epoch
        if self.keep == "improved":
            improves = is_better(value, self._before, self.monitor, self.mode, self.min_delta)
            self._before = value if value == value else None
        if improves:
            self._kept, self._second = Kept(value, epoch, self._weights()), self._kept
        since = self.trainer.history.first_epoch - 1 if self._best is None else self._best[1]
        if epoch - since >= self.patience:
            found = "never a number" if self._best is None else f"best in epoch {since}, {self._best[0]:g}"
            self.trainer.stop(f"{self.monitor} has not improved for {self.patience} epochs ({found})")

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """Take the best weights back."""
        history = self.trainer.history
        # Weights of an epoch that the trainer took back give no finite loss, however good its figures were.
        taken_back = self._kept is not None and self._kept.epoch >= history.first_epoch + history.epochs
        kept = self._second if taken_back else self._kept
        if kept is not None:
            history.best_epoch = kept.epoch
            if kept.weights is not None:
                self.trainer.net.parameter_changes += 1
                kept.weights.restore()
                history.restored_epoch = kept.epoch
        self._forget()

    def chooses_by(self) -> tuple[str, ...]:
        """Return the monitored figure."""
        return (self.monitor,)

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure and the weights that may be wanted back."""
        kept = {name: one and one.state_dict() for name, one in (("kept", self._kept), ("second", self._second))}
        return {"best": self._best, "before": self._before, **kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what an earlier run has found."""
        best, before = state["best"], state["before"]
        if best is not None:
            value, epoch = best
            best = kept_figure("best", value), kept_epoch("the epoch of best", epoch, self.trainer.history)
        if before is not None:
            before = kept_figure("before", before)
        kept, second = (self._taken(name, state[name]) for name in ("kept", "second"))
        # The first figure that is a number is the best, and its epoch is kept.
        if (best is None) != (kept is None):
            raise ValueError("EarlyStopping must have kept an epoch if, and only if, there was a best figure")
        self._best, self._before, self._kept, self._second = best, before, kept, second

    def _taken(self, name: str, state: Mapping[str, Any] | None) -> Kept | None:
        """Return an epoch of an earlier run."""
        if state is None:
            return None
        value = kept_figure(f"the value of {name}", state["value"])
        epoch = kept_epoch(f"the epoch of {name}", state["epoch"], self.trainer.history)
        content, weights = state["weights"], self._weights()
        if weights is not None:
            if content is None:
                raise ValueError("EarlyStopping kept no weights, which restore_best_weights=True will want back")
            if not np.isfinite(content["arena"]).all():
                raise ValueError("weights that EarlyStopping kept have NaN or infinity")
            weights.take(**content)
        return Kept(value, epoch, weights)

    def __getstate__(self) -> dict[str, Any]:
        """Return the options: what a run has found so far belongs to its network."""
        return super().__getstate__() | dict.fromkeys(("_best", "_before", "_kept", "_second"))

    def _forget(self) -> None:
        """Forget what a run has found."""
        self._best = self._before = self._kept = self._second = None

    def _weights(self) -> RunState | None:
        """Return the weights as they are now, if they may be wanted back."""
        if not self.restore_best_weights:
            return None
        net = self.trainer.net
        kept: RunState = net.engine.RunState(net.core)
        kept.keep()
        return kept


@dataclass
class ReduceLROnPlateau(Callback):
    """Lower the learning rate when the monitored figure has not improved for `patience` epochs.

    ::

        lr <- max(factor lr, min_lr)

    When to decay? When the "loss has stopped decreasing" [003]. The learning rate must be a number: a schedule would
    not heed it. Names and counting are Keras's, but for `cooldown`: exactly so many epochs are not counted, as in
    PyTorch, whose own `patience` however waits for one epoch more. Any improvement counts by default; Keras's and
    PyTorch's default is 1e-4, in PyTorch as a share of the best.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the history.
    factor : float, default 0.1
        By what the rate is multiplied, above 0 and below 1.
    patience : int, default 10
        Epochs without improvement after which to lower it, at least 1; those that were not validated do not count.
    min_delta : float, default 0.0
        Less than this is no improvement; at least 0.
    cooldown : int, default 0
        Epochs after a reduction that are not counted, at least 0.
    min_lr : float, default 0.0
        The rate is not lowered further; at least 0.
    mode : {"auto", "min", "max"}
        Whether small or large is good; "auto" knows: accuracy, precision, recall and F1 up, all else down.
    """

    monitor: str = "val_loss"
    _: KW_ONLY
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 0.0
    cooldown: int = 0
    min_lr: float = 0.0
    mode: str = "auto"
    _best: float | None = field(default=None, init=False, repr=False, compare=False)
    _waited: int = field(default=0, init=False, repr=False, compare=False)
    _cooling: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the options."""
        self.monitor = checked_monitor("monitor", self.monitor)
        self.factor = checks.number("factor", self.factor, above=0, below=1)
        self.patience = checks.whole("patience", self.patience)
        self.min_delta = checks.number("min_delta", self.min_delta, least=0)
        self.cooldown = checks.whole("cooldown", self.cooldown, least=0)
        self.min_lr = checks.number("min_lr", self.min_lr, least=0)
        checks.word("mode", self.mode, MODES)

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Check that there is a figure to monitor and a rate to lower, and forget earlier runs."""
        check_monitored(self.monitor, self.trainer.history)
        optimizer = self.trainer.optimizer
        if optimizer.is_scheduled:
            raise ValueError(f"ReduceLROnPlateau needs an lr that is a number; lr={optimizer.lr!r} goes its own way")
        self._best, self._waited, self._cooling = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Count the epochs without improvement, and lower the rate after enough of them."""
        if self.monitor not in logs:
            return  # not validated after this epoch
        value = logs[self.monitor]
        better = is_better(value, self._best, self.monitor, self.mode, self.min_delta)
        if better:
            self._best = value
        self._waited = 0 if better or self._cooling else self._waited + 1
        self._cooling = max(self._cooling - 1, 0)
        if self._waited >= self.patience:
            rate = self.trainer.learning_rate
            lower = max(rate * self.factor, self.min_lr)
            if 0 < lower < rate:
                self.trainer.learning_rate = lower
            self._waited, self._cooling = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure and the counts."""
        return {"best": self._best, "waited": self._waited, "cooling": self._cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what an earlier run has found."""
        best = kept_best(state["best"])
        waited, cooling = (checks.whole(name, state[name], least=0) for name in ("waited", "cooling"))
        self._best, self._waited, self._cooling = best, waited, cooling


def checked_monitor(argument: str, value: object) -> str:
    """Return the name of a figure."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a name in the history; got {checks.shown(value)}")
    return value


def checked(argument: str, value: object) -> tuple[Callback, ...]:
    """Return the callbacks of a list."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{argument} must be a list of callbacks; got {checks.shown(value)}")
    for one in value:
        if not isinstance(one, Callback):
            raise TypeError(f"{argument} must hold Callback objects; got {checks.shown(one)}")
    return tuple(value)
