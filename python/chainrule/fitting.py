"""One fit: the walk over its epochs, between the callbacks' first and last hook. Arguments are checked by the trainer.

An epoch runs in the engine; then come validation, history and callbacks, and last a snapshot where one is asked for.
Whether the run has diverged is decided here; what it goes back to is kept in divergence.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from . import checks, metrics, starts
from .divergence import LastGood, updates_went_wrong, went_wrong, whole_sentence

if TYPE_CHECKING:
    from ._engine import EpochDone, EpochRecord
    from ._engine.float32 import Evaluation as CoreEvaluation
    from ._engine.float32 import Fit as CoreFit
    from .callbacks import Callback
    from .fit_options import FitOptions
    from .progress import Progress
    from .snapshots import Snapshot, Writer
    from .trainer import Trainer

# Rows on which the last update of a fit is judged: enough to see an overflow, too few to take time.
JUDGED_ROWS = 64


class Parts(NamedTuple):
    """What the engine has of a fit."""

    run: CoreFit
    judged: CoreEvaluation  # a few rows, on which the last update is judged
    validation: CoreEvaluation | None


class Fitting:
    """A fit of a trainer, whose history it fills."""

    def __init__(
        self,
        trainer: Trainer,
        parts: Parts,
        options: FitOptions,
        called: Sequence[Callback],
        progress: Progress,
        writer: Writer | None,
    ) -> None:
        self._trainer = trainer
        self._history = trainer.history
        self._run, self._judged, self._validation = parts
        self._epochs, self._validation_freq = options.epochs, options.validation_freq
        self._called = called
        self._progress = progress
        self._writer = writer
        self._good = LastGood(trainer.net.engine, trainer.net.core, trainer.core_optimizer)

    def run(self) -> bool:
        """Walk the epochs; return whether the loss diverged."""
        self._trainer.asked_to_stop = None
        self._begin_callbacks()
        # What a callback set before the first epoch is part of the start.
        self._good.start()
        self._history.from_start = self._history.first_epoch == 1 and starts.is_at_start(self._trainer.net)
        return self._finish(self._walk(0))

    def resume(self, snapshot: Snapshot) -> bool:
        """Walk the epochs that are left; return whether the loss diverged."""
        assert self._writer is not None  # to the same file
        trainer, state, place = self._trainer, self._writer.state, snapshot.place
        now, good, before = snapshot.document["states"]
        layers = len(trainer.net.layers)
        trainer.asked_to_stop = None
        self._begin_callbacks()
        with snapshot.believed():
            for callback, kept in zip(self._called, snapshot.document["callbacks"], strict=True):
                callback.load_state_dict(kept["state"])
            state.take(**now)
            self._good.take(good, before)
            self._run.begin(place.epochs_done, place.steps, place.totals, place.seconds)
            frozen = [checks.whole("frozen", one, least=0, most=layers - 1) for one in snapshot.document["frozen"]]
        trainer.asked_to_stop = snapshot.document["stop"]
        trainer.epochs_done = place.epochs_done
        trainer.net.parameter_changes += 1
        trainer.net.unfreeze()  # a callback may have frozen others since
        if frozen:
            trainer.net.freeze(*frozen)
        state.restore()
        self._progress.skip(self._history.epochs)
        return self._finish(self._walk(place.steps))

    def _begin_callbacks(self) -> None:
        for callback in self._called:
            callback.trainer = self._trainer
            callback.on_train_begin({})

    def _finish(self, what: str | None) -> bool:
        """Say why the walk ended, and let the callbacks end; return whether it diverged, `what` saying how."""
        trainer, history = self._trainer, self._history
        done = "the one epoch done" if self._epochs == 1 else f"all {self._epochs} epochs done"
        history.stop_reason = what or trainer.asked_to_stop or done
        for callback in self._called:
            callback.on_train_end(history.last())
        if what:
            # Only now: a callback may have set other weights at the end.
            history.stop_reason = whole_sentence(what, trainer.epochs_done, history.epochs, self._good.is_here())
        return what is not None

    def _walk(self, steps: int) -> str | None:
        """Return None, or what happened if the loss diverged, with the last good state restored.

        The first epoch has been begun already where some `steps` of it are done.
        """
        trainer, history = self._trainer, self._history
        last = history.first_epoch + self._epochs - 1
        over = history.epochs > 0 and steps == 0 and trainer.asked_to_stop is not None
        while trainer.epochs_done < last and not over:
            first = trainer.epochs_done + 1
            count = 1 if steps else self._epochs_at_once(first, last)
            done = [self._epoch(first, steps, last)] if count == 1 else self._several(first, count, last)
            steps = 0
            what = self._report(first, done)
            if what:
                return what
            over = trainer.epochs_done == last or trainer.asked_to_stop is not None
            if over and self._validation is not None:
                looked = {number for number, _ in history.measured("val_loss")}
                if trainer.epochs_done not in looked:
                    history.complete_last(self._measured(self._validation))
            if self._writer and (over or history.epochs % self._writer.where.every_epochs == 0):
                self._writer.write((trainer.epochs_done, 0, (), 0.0), self._good, self._called)
        # No further step judges the last update.
        if math.isfinite(self._judged.run()["loss"]):
            return None
        return self._back_before_last(f"at the end of epoch {trainer.epochs_done}")

    def _epochs_at_once(self, first: int, last: int) -> int:
        """Return how many epochs from `first` to `last` nobody needs to look at one by one."""
        if self._validation or self._writer or self._progress.shows or callable(self._trainer.optimizer.lr):
            return 1
        least: float = last - first + 1
        for callback in self._called:
            asked = callback.epochs_at_once()
            if asked != math.inf:
                least = min(least, checks.number(f"{type(callback).__name__}.epochs_at_once()", asked))
        return max(1, int(least))

    def _several(self, first: int, count: int, last: int) -> list[EpochDone]:
        """Train epochs, `count` or as many as take a while; return what became of each."""
        for callback in self._called:
            callback.on_epoch_begin(first, {})
        self._parameters_change()
        try:
            return self._good.run_epochs(self._run, first, count, last)
        except BaseException:
            self._report(first, self._run.records())  # those before
            raise

    def _report(self, first: int, done: Sequence[EpochDone]) -> str | None:
        """Tell history, bar and callbacks of epochs that were run; return what happened if the last went wrong."""
        trainer = self._trainer
        try:
            for number, (record, rate, good) in enumerate(done, first):
                if not good:
                    return self._go_back(number, record, rate)
                self._tell(number, record, rate)
        except BaseException as error:
            # The network has been trained in the others too. Ctrl-C was not meant for those who hear of them; but it
            # may have ended a look at the validation part, which is not taken again.
            hear = self._tell if isinstance(error, KeyboardInterrupt) else self._note
            rest = [] if self._validation is not None else done[trainer.epochs_done + 1 - first :]
            for record, rate, good in rest:
                if good:
                    hear(trainer.epochs_done + 1, record, rate)
            raise
        return None

    def _tell(self, number: int, record: EpochRecord, rate: float) -> None:
        """Tell everybody of an epoch that is done."""
        logs = self._note(number, record, rate)
        self._progress.epoch(number, logs)
        for callback in self._called:
            callback.on_epoch_end(number, logs)

    def _go_back(self, number: int, record: EpochRecord, rate: float) -> str:
        """Go back to the last good state from an epoch that went wrong; return what happened."""
        at = f"in epoch {number}, step {record['steps']}"
        if record["steps"] == 1 and not record["finished"]:
            return self._back_before_last(at)
        self._good.restore()
        return went_wrong(at, record["finished"] and math.isfinite(record["loss"]), rate)

    def _parameters_change(self) -> None:
        self._trainer.net.parameter_changes += 1
        self._trainer.net.gradients_of = 0  # the steps leave gradients, of parameters before these

    def _epoch(self, number: int, done: int, last: int) -> EpochDone:
        """Train an epoch, or what is left of one that was begun, with `done` steps; return what became of it."""
        trainer, run = self._trainer, self._run
        if done == 0:
            for callback in self._called:
                callback.on_epoch_begin(number, {})
            trainer.plan_epoch(number - 1)
            run.begin(number - 1)
        self._parameters_change()
        pause = (self._writer and self._writer.where.every_steps) or run.steps_per_epoch
        while not run.advance((done // pause + 1) * pause, self._progress.step):
            done, totals, seconds = run.so_far()
            # Else nothing pauses. Of parameters that are not finite the next step will tell; nobody goes on from them.
            if self._writer is not None and trainer.net.core.is_finite():
                self._writer.write((number - 1, done, totals, seconds), self._good, self._called)
        record = run.record()
        at_the_end = number == last and self._writer is None  # a snapshot holds the good state too
        # As the engine decides where it runs several.
        good = record["finished"] and math.isfinite(record["loss"]) and self._good.keep(at_the_end=at_the_end)
        return record, trainer.core_optimizer.rate, good

    def _back_before_last(self, place: str) -> str:
        """Take the last epoch back, whose weights give no finite loss; return what happened."""
        trainer, history = self._trainer, self._history
        if not history.epochs:
            self._good.restore()
            return f"the loss was not finite {place}, before any update of this fit"
        bad, rate = trainer.epochs_done, history["learning_rate"][-1]
        self._good.forget_last()
        self._good.restore()
        history.drop_last()
        trainer.epochs_done -= 1
        return updates_went_wrong(place, bad, rate)

    def _note(self, number: int, record: EpochRecord, rate: float) -> dict[str, float]:
        """Count an epoch that is done; return what the history gets of it."""
        logs = self._logs(number, record, rate)
        self._history.add(logs)
        self._trainer.epochs_done = number
        return logs

    def _logs(self, number: int, record: EpochRecord, rate: float) -> dict[str, float]:
        """Return what the history gets of an epoch."""
        logs = {"loss": record["loss"]}
        if self._trainer.metrics:
            logs.update(metrics.figures(self._trainer.metrics, record))
        if self._trainer.penalty:
            logs["penalty"] = record["penalty"]
        done = number - self._history.first_epoch + 1
        if self._validation is not None and (done % self._validation_freq == 0 or done == self._epochs):
            logs.update(self._measured(self._validation))
        seconds = record["seconds"]
        logs["learning_rate"] = rate
        logs["gradient_norm"] = record["gradient_norm"]
        logs["samples_per_second"] = record["rows"] / seconds if seconds > 0 else math.inf
        logs["seconds"] = seconds
        return logs

    def _measured(self, validation: CoreEvaluation) -> dict[str, float]:
        """Return the figures of the validation part."""
        record = validation.run()
        scores = metrics.figures(self._trainer.metrics, record)
        return {"val_loss": record["loss"], **{f"val_{name}": score for name, score in scores.items()}}
