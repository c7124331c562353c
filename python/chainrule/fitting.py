"""One fit: the walk over its epochs, between the callbacks' first and last hook. Arguments are checked by the trainer.

An epoch runs in the engine; then come validation, history and callbacks. Whether the run has diverged is decided here,
and what it goes back to is kept in divergence.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .divergence import LastGood, updates_went_wrong, went_wrong, whole_sentence

if TYPE_CHECKING:
    from ._engine.float32 import EpochRecord
    from ._engine.float32 import Evaluation as CoreEvaluation
    from ._engine.float32 import Fit as CoreFit
    from .callbacks import Callback
    from .progress import Progress
    from .trainer import Trainer


class Parts(NamedTuple):
    """What the engine has of a fit."""

    run: CoreFit
    judged: CoreEvaluation  # a few rows, on which the last update is judged
    validation: CoreEvaluation | None
    validation_freq: int  # in epochs


class Fitting:
    """A fit of a trainer, whose history it fills."""

    def __init__(
        self, trainer: Trainer, parts: Parts, epochs: int, called: Sequence[Callback], progress: Progress
    ) -> None:
        self._trainer = trainer
        self._history = trainer.history
        self._run, self._judged, self._validation, self._validation_freq = parts
        self._epochs = epochs
        self._called = called
        self._progress = progress

    def run(self) -> bool:
        """Walk the epochs; return whether the loss diverged."""
        trainer, history = self._trainer, self._history
        trainer.asked_to_stop = None
        for callback in self._called:
            callback.trainer = trainer
            callback.on_train_begin({})
        good = LastGood(trainer.net.engine, trainer.net.core, trainer.core_optimizer)
        what = self._walk(good)
        done = "the one epoch done" if self._epochs == 1 else f"all {self._epochs} epochs done"
        history.stop_reason = what or trainer.asked_to_stop or done
        for callback in self._called:
            callback.on_train_end(history.last())
        if what:
            # Only now: a callback may have set other weights at the end.
            history.stop_reason = whole_sentence(what, trainer.epochs_done, history.epochs, good.is_here())
        return what is not None

    def _walk(self, good: LastGood) -> str | None:
        """Return None, or what happened if the loss diverged, with the last good state restored."""
        trainer, history = self._trainer, self._history
        for number in range(history.first_epoch, history.first_epoch + self._epochs):
            for callback in self._called:
                callback.on_epoch_begin(number, {})
            trainer.plan_epoch(number - 1)
            trainer.net.parameter_changes += 1
            record = self._run.run(number - 1, self._progress.step)
            rate = trainer.core_optimizer.rate  # of the last step
            if not (record["finished"] and np.isfinite(record["loss"]) and good.take()):
                place = f"in epoch {number}, step {record['steps']}"
                if record["steps"] == 1 and not record["finished"]:
                    return self._back_before_last(good, place)
                good.restore()
                return went_wrong(place, bool(record["finished"] and np.isfinite(record["loss"])), rate)
            logs = self._logs(record, rate, number)
            history.add(logs)
            trainer.epochs_done = number
            self._progress.epoch(number, logs)
            for callback in self._called:
                callback.on_epoch_end(number, logs)
            if trainer.asked_to_stop:
                break
        # No further step judges the last update.
        if np.isfinite(self._judged.run()["loss"]):
            return None
        return self._back_before_last(good, f"at the end of epoch {trainer.epochs_done}")

    def _back_before_last(self, good: LastGood, place: str) -> str:
        """Take the last epoch back, whose weights give no finite loss; return what happened."""
        trainer, history = self._trainer, self._history
        if not history.epochs:
            good.restore()
            return f"the loss was not finite {place}, before any update of this fit"
        bad, rate = trainer.epochs_done, history["learning_rate"][-1]
        good.forget_last()
        good.restore()
        history.drop_last()
        trainer.epochs_done -= 1
        return updates_went_wrong(place, bad, rate)

    def _logs(self, record: EpochRecord, rate: float, number: int) -> dict[str, float]:
        """Return what the history gets of an epoch."""
        logs = {"loss": record["loss"], **record["scores"]}
        if self._trainer.penalty:
            logs["penalty"] = record["penalty"]
        done = number - self._history.first_epoch + 1
        if self._validation is not None and (done % self._validation_freq == 0 or done == self._epochs):
            measured = self._validation.run()
            logs["val_loss"] = measured["loss"]
            logs.update({f"val_{name}": score for name, score in measured["scores"].items()})
        seconds = record["seconds"]
        return {
            **logs,
            "learning_rate": rate,
            "gradient_norm": record["gradient_norm"],
            "samples_per_second": record["rows"] / seconds if seconds > 0 else float("inf"),
            "seconds": seconds,
        }
