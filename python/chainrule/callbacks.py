"""Callbacks: what is called between epochs. Steps run in the engine, so there are no hooks for batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from . import checks

if TYPE_CHECKING:
    import numpy.typing as npt

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

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Before the first epoch. `logs` is empty."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Before an epoch. `logs` is empty."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """After an epoch; `logs` has what the history got. Not called for an epoch in which the loss diverged.

        The loss of an epoch's last update is first seen in the next epoch. Where it is not finite, the trainer takes
        back an epoch for which this was called.
        """

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """After the last epoch, also if the loss diverged, not after an exception. `logs` is the last epoch's."""


class Best(NamedTuple):
    """The best epoch so far."""

    value: float
    epoch: int
    weights: npt.NDArray[Any] | None  # at its end; None where they are not to be restored


@dataclass
class EarlyStopping(Callback):
    """Stop when the monitored figure has not improved for `patience` epochs, and take the best weights back.

    Monitor the validation part, never the test set: a test set that chose the epoch no longer tests.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the history.
    patience : int
        Epochs without improvement after which to stop, at least 1.
    min_delta : float, default 0.0
        Less than this is no improvement; at least 0.
    mode : {"auto", "min", "max"}
        Whether small or large is good; "auto" knows: accuracy up, all else down.
    restore_best_weights : bool, default True
        Whether the network has the weights of the best epoch at the end, also where all epochs were done.
    """

    monitor: str = "val_loss"
    _: KW_ONLY
    patience: int
    min_delta: float = 0.0
    mode: str = "auto"
    restore_best_weights: bool = True
    _best: Best | None = field(default=None, init=False, repr=False, compare=False)
    _second: Best | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the options."""
        if not isinstance(self.monitor, str):
            raise TypeError(f"monitor must be a name in the history; got {checks.shown(self.monitor)}")
        self.patience = checks.whole("patience", self.patience)
        self.min_delta = checks.number("min_delta", self.min_delta, least=0)
        checks.word("mode", self.mode, ("auto", "min", "max"))
        self.restore_best_weights = checks.flag("restore_best_weights", self.restore_best_weights)

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Check that the figure will be there, and forget earlier runs."""
        history = self.trainer.history
        if self.monitor not in history:
            names = ", ".join(history)
            hint = "; give validation_split or validation_data" if self.monitor.startswith("val_") else ""
            raise ValueError(f"monitor={self.monitor!r} is not in the history, which has {names}{hint}")
        self._best = self._second = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Keep the weights if this is the best epoch so far; stop if the best lies too far back."""
        value = logs[self.monitor]
        if self._improves(value):
            weights = self.trainer.net.core.arena().copy() if self.restore_best_weights else None
            self._best, self._second = Best(value, epoch, weights), self._best
        best = self._best
        since = self.trainer.history.first_epoch - 1 if best is None else best.epoch
        if epoch - since >= self.patience:
            found = "never a number" if best is None else f"best in epoch {best.epoch}, {best.value:g}"
            self.trainer.stop(f"{self.monitor} has not improved for {self.patience} epochs ({found})")

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """Take the best weights back."""
        history = self.trainer.history
        # Weights of an epoch that the trainer took back give no finite loss, however good its figures were.
        taken_back = self._best is not None and self._best.epoch >= history.first_epoch + history.epochs
        best = self._second if taken_back else self._best
        if best is not None:
            history.best_epoch = best.epoch
            if best.weights is not None:
                self.trainer.net.core.arena()[...] = best.weights
        self._best = self._second = None

    def _improves(self, value: float) -> bool:
        large_is_good = self.mode == "max" or (self.mode == "auto" and self.monitor.endswith("accuracy"))
        gain = (value if large_is_good else -value) - self.min_delta
        if self._best is None:
            return value == value  # not NaN
        return gain > (self._best.value if large_is_good else -self._best.value)


def checked(argument: str, value: object) -> tuple[Callback, ...]:
    """Return the callbacks of a list."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{argument} must be a list of callbacks; got {checks.shown(value)}")
    for one in value:
        if not isinstance(one, Callback):
            raise TypeError(f"{argument} must hold Callback objects; got {checks.shown(one)}")
    return tuple(value)
