"""Trials: one setting of the hyper-parameters, trained on one part of the rows and measured on another, or on K folds.

`search` and `cross_validate` try settings; this file says what a try is and how rows are cut for it. It chooses
nothing, and it never sees a test set.
"""

from __future__ import annotations

import math
import statistics
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import callbacks as callbacks_
from . import checks, data, sparse, training_rows
from .callbacks import Callback, EarlyStopping
from .complexity import table
from .folding import folds as cut_folds
from .history import History
from .repeated_fits import checked_builder, fit_diverges
from .spaces import FIT_OPTIONS, Settings, point_text
from .trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt

    from .losses import Loss
    from .network import Network

    Array = npt.NDArray[Any]

Rows: TypeAlias = "tuple[Any, Array, Array | None]"  # inputs (sparse.as_given), targets, weights

# What `grow` takes, and in the middle of lecture [000]'s 10 to 30 %.
VALIDATION_SPLIT = 0.2
# In the order of a ranking; of the runs of one trial the last one counts.
OUTCOMES = ("done", "undefined", "diverged", "pruned")
UNDEFINED = (
    "perhaps no row was predicted to be of some class, or none is. Monitor a figure that is always defined, such as "
    "'val_loss', or train for longer"
)
# A table has no more lines than fit a screen.
SHOWN_TRIALS = 20


@dataclass(frozen=True)
class Trial:
    """A setting that was tried.

    Attributes
    ----------
    number : int
        From 0, in the order in which they were tried.
    settings : dict
        What `make_trainer` got.
    score : float
        The mean of `scores`; infinity (minus infinity, where large is good) if a run diverged, NaN if the figure of one
        is undefined.
    scores : tuple of float
        The monitored figure of each validation part, measured after the training.
    epochs : tuple of int
        The epoch whose weights each run ended with.
    seconds : float
        Of all runs, by the clock.
    outcome : {"done", "undefined", "diverged", "pruned"}
        Whether all went as planned, else why not, in the order of a ranking. Only what is done can be chosen. Undefined
        is a figure that is NaN while the loss is finite: precision, where no row was predicted to be of a class.
    reason : str
        What happened, where not all is done; else empty.
    histories : tuple of History
        Of each run, for a closer look: `plots.compared_curves` draws several.
    """

    number: int
    settings: Settings
    score: float
    scores: tuple[float, ...]
    epochs: tuple[int, ...]
    seconds: float
    outcome: str = "done"
    reason: str = ""
    histories: tuple[History, ...] = field(default=(), repr=False, compare=False)

    @property
    def std(self) -> float:
        """Standard deviation of the scores over the folds (over K, not K - 1); NaN where one is not finite."""
        return float(np.std(self.scores)) if np.isfinite(self.scores).all() else math.nan


@dataclass(frozen=True)
class Plan:
    """How rows are cut for trials: by one of the first three; without any, a fifth of the rows validates."""

    validation_split: float | None = None
    validation_data: Sequence[Any] | None = None
    folds: object = None
    groups: object = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what can be checked without the rows."""
        names = ("validation_split", "validation_data", "folds")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; give one")
        if self.validation_split is not None:
            checks.option(self, "validation_split", checks.number, above=0, below=1)
        if self.groups is not None and not is_splitter(self.folds):
            raise ValueError("groups need folds that heed them, such as folds=sklearn.model_selection.GroupKFold(5)")
        checks.option(self, "seed", checks.seed)

    def pairs(self, trainer: Trainer, rows: Rows) -> Sequence[tuple[Array, Array] | None]:
        """Return the numbers of the rows to train on and to validate with, by part; None for `validation_data`."""
        checked = training_rows.checked_rows(trainer.net, trainer.loss, *rows, takes_sparse=True)
        if self.validation_data is not None:
            # For its errors.
            training_rows.validated_apart(trainer.net, trainer.loss, checked, 0.0, self.validation_data, self.seed)
            return [None]
        if self.folds is not None:
            return self.fold_pairs(trainer.loss, checked.y, rows)
        share = VALIDATION_SPLIT if self.validation_split is None else self.validation_split
        return [training_rows.split_rows(trainer.loss, checked.y, share, self.seed)]

    def fold_pairs(self, loss: Loss, targets: Array, rows: Rows) -> list[tuple[Array, Array]]:
        """Return the row numbers of each fold."""
        if isinstance(self.folds, (int, np.integer)):
            k = checks.whole("folds", self.folds, least=2, most=len(targets))
            return cut_folds(len(targets), k, stratify=training_rows.strata(loss, targets), seed=self.seed)
        given: Any = self.folds
        if is_splitter(given):
            given = given.split(rows[0], rows[1], self.groups)
        elif not isinstance(given, Iterable) or isinstance(given, (str, Mapping)):
            raise TypeError(
                "folds must be a whole number, a splitter of scikit-learn, or a list of pairs of row numbers; "
                f"got {checks.shown(self.folds)}"
            )
        pairs = [checked_pair(number, pair, len(targets)) for number, pair in enumerate(given)]
        if not pairs:
            raise ValueError("folds must give at least one pair of row numbers; there is none")
        return pairs


def is_splitter(folds: object) -> bool:
    """Return whether folds are scikit-learn's kind of object; a string has a split() of its own."""
    return hasattr(folds, "split") and not isinstance(folds, str)


def checked_pair(number: int, pair: object, rows: int) -> tuple[Array, Array]:
    """Return the row numbers of one fold, checked: whole, in range, and no row on both sides."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"fold {number} must be a pair (training, validation) of row numbers; got {checks.shown(pair)}")
    sides = []
    for name, side in zip(("training", "validation"), pair, strict=True):
        places = np.asarray(side)
        if places.ndim != 1 or places.size == 0 or places.dtype.kind not in "iu":
            raise ValueError(
                f"fold {number}: {name} must be row numbers, at least one; got {places.dtype} of shape {places.shape}"
            )
        if places.min() < 0 or places.max() >= rows:
            raise ValueError(
                f"fold {number}: {name} must number rows from 0 to {rows - 1}; got {places.min()} to {places.max()}"
            )
        sides.append(places)
    both = np.intersect1d(sides[0], sides[1])
    if len(both):
        raise ValueError(f"fold {number} trains on rows that it validates with: row {both[0]}, {len(both)} in all")
    return sides[0], sides[1]


def given_rows(X: object, y: object, sample_weight: object = None) -> Rows:
    """Return arrays as they were given: networks of different trials may have different precisions."""
    x, targets = sparse.as_given("X", X), data.real("y", y)
    weight = None if sample_weight is None else data.real("sample_weight", sample_weight)
    return x, targets, weight


def taken(rows: Rows, places: Array) -> Rows:
    """Return some of the rows."""
    x, y, weight = rows
    return x[places], y[places], None if weight is None else weight[places]


def new_trainer(call: str, trainer: object, seen: weakref.WeakSet[Network]) -> Trainer:
    """Return what a call of `make_trainer` returned, if it is a trainer of a network not seen before; note that."""
    if not isinstance(trainer, Trainer):
        raise TypeError(f"{call} must return a Trainer; got {checks.shown(trainer)}")
    if trainer.epochs_done or trainer.net in seen:
        raise ValueError(
            "make_trainer must return a new Trainer of a new Network at each call; this one has been trained before, "
            "perhaps on rows that it is now to be judged by"
        )
    seen.add(trainer.net)
    return trainer


class Runner:
    """Trains and measures settings, all in the same way on the same parts of the rows.

    Parameters
    ----------
    make_trainer : callable
        Makes a new trainer from a setting.
    X, y, sample_weight : array
        All rows there are to train and to validate with.
    plan : Plan
        How they are cut.
    monitor, mode : str
        What a trial is judged by, and whether large is good.
    epochs, batch_size, callbacks, class_weight
        Of every fit, where the setting does not say otherwise.
    """

    def __init__(
        self,
        make_trainer: Callable[[Settings], Trainer],
        X: object,
        y: object,
        sample_weight: object,
        *,
        plan: Plan,
        monitor: str,
        mode: str,
        epochs: int,
        batch_size: int,
        callbacks: Sequence[Callback],
        class_weight: str | Mapping[int, float] | None,
    ) -> None:
        self.make_trainer = checked_builder("make_trainer", make_trainer, "a dict of settings that returns a Trainer")
        self.plan = plan
        self.rows = given_rows(X, y, sample_weight)
        self.monitor = callbacks_.checked_monitor("monitor", monitor)
        if not self.monitor.startswith("val_"):
            raise ValueError(f"monitor must be a figure of the validation part, such as 'val_loss'; got {monitor!r}")
        checks.word("mode", mode, callbacks_.MODES)
        self.large_is_good = callbacks_.is_better(1.0, 0.0, monitor, mode, 0.0)
        self.worst = -math.inf if self.large_is_good else math.inf
        self.fit_options = {
            "epochs": checks.whole("epochs", epochs),
            "batch_size": checks.whole("batch_size", batch_size),
        }
        self.callbacks = callbacks_.checked("callbacks", callbacks)
        self.class_weight = class_weight
        self.pairs: Sequence[tuple[Array, Array] | None] = ()
        self._loss: Loss | None = None
        self._seen: weakref.WeakSet[Network] = weakref.WeakSet()

    def trainer(self, settings: Settings) -> Trainer:
        """Return a new trainer for a setting, checked to be new and to have the figure."""
        trainer = new_trainer(f"make_trainer({point_text(settings)})", self.make_trainer(dict(settings)), self._seen)
        known = [f"val_{name}" for name in ("loss", *trainer.metrics)]
        if self.monitor not in known:
            raise ValueError(f"monitor={self.monitor!r} is not measured by the trainer, which has {', '.join(known)}")
        if self.monitor == "val_loss" and self._loss not in (None, trainer.loss):
            raise ValueError(
                f"values of different losses cannot be compared: {self._loss!r} and {trainer.loss!r}. Give monitor= a "
                "metric that all trainers have, such as 'val_accuracy'"
            )
        self._loss = trainer.loss
        return trainer

    def options(self, settings: Settings) -> dict[str, Any]:
        """Return the options of a fit: those of the setting go first."""
        return self.fit_options | {name: settings[name] for name in FIT_OPTIONS if name in settings}

    def run(self, number: int, settings: Settings, called: Sequence[Callback] = ()) -> tuple[Trial, Trainer]:
        """Train a setting on every part; return what was found, and the last part's trainer."""
        trainer = self.trainer(settings)
        # Only now: which rows are of one class, the loss of a trainer knows.
        self.pairs = self.pairs or self.plan.pairs(trainer, self.rows)
        scores, ends, kept, seconds, histories = [], [], [], 0.0, []
        for place, pair in enumerate(self.pairs):
            training, validation = self.part(pair)
            trainer = trainer if place == 0 else self.trainer(settings)
            start = time.perf_counter()
            score, *end = self.measured(trainer, settings, training, validation, called)
            seconds += time.perf_counter() - start
            scores.append(score)
            ends.append(end)
            kept.append(self.kept_epoch(trainer))
            histories.append(trainer.history)
        # Of several parts, the first of those that went worst.
        outcome, reason = max(ends, key=lambda one: OUTCOMES.index(one[0]))
        trial = Trial(
            number=number,
            settings=settings,
            score=self.worst if outcome == "diverged" else statistics.fmean(scores),
            scores=tuple(scores),
            epochs=tuple(kept),
            seconds=seconds,
            outcome=outcome,
            reason=reason,
            histories=tuple(histories),
        )
        return trial, trainer

    def part(self, pair: tuple[Array, Array] | None) -> tuple[Rows, Rows]:
        """Return the rows to train on and those to validate with; cut anew each time, so that no fold keeps a copy."""
        if pair is None:
            assert self.plan.validation_data is not None
            X, y, *weight = self.plan.validation_data
            return self.rows, given_rows(X, y, *weight)
        return taken(self.rows, pair[0]), taken(self.rows, pair[1])

    def measured(
        self, trainer: Trainer, settings: Settings, training: Rows, validation: Rows, called: Sequence[Callback]
    ) -> tuple[float, str, str]:
        """Train on a part and measure on another; return the score, the outcome and the reason."""
        diverged = fit_diverges(
            trainer,
            training[0],
            training[1],
            **self.options(settings),
            validation_data=[one for one in validation if one is not None],
            callbacks=[*self.callbacks, *called],
            sample_weight=training[2],
            class_weight=self.class_weight,
        )
        figures = trainer.evaluate(*validation, allow_seen=True)
        score = figures[self.monitor.removeprefix("val_")]
        if diverged:
            return self.worst, "diverged", str(trainer.history.stop_reason)
        if math.isfinite(score):
            return score, "done", ""
        if math.isnan(score) and math.isfinite(figures["loss"]):
            return score, "undefined", f"{self.monitor} is nan, though the loss is finite: {UNDEFINED}"
        return self.worst, "diverged", f"{self.monitor} is {score}"

    def kept_epoch(self, trainer: Trainer) -> int:
        """Return the epoch whose weights a trainer ended with."""
        best = trainer.history.best_epoch
        restored = any(isinstance(one, EarlyStopping) and one.restore_best_weights for one in self.callbacks)
        return best if restored and best is not None else trainer.epochs_done

    def refitted(self, trial: Trial) -> Trainer:
        """Return a new trainer of a trial's setting, trained on all rows for as many epochs as its folds kept.

        That is the median over the folds, of an even number the lower one of the middle two, and at least 1. No
        callbacks: there is no validation part that they could look at.
        """
        trainer = self.trainer(trial.settings)
        X, y, sample_weight = self.rows
        epochs = max(statistics.median_low(trial.epochs), 1)
        options = self.options(trial.settings) | {"epochs": epochs}
        trainer.fit(X, y, **options, sample_weight=sample_weight, class_weight=self.class_weight, verbose=False)
        return trainer

    def ranking(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the trials, the best first, earlier ones first where they are equal; what is not done comes behind."""
        sign = -1 if self.large_is_good else 1

        def place(one: Trial) -> tuple[int, float]:
            return OUTCOMES.index(one.outcome), 0.0 if math.isnan(one.score) else sign * one.score

        return sorted(trials, key=place)


def checked_best(ranking: Sequence[Trial], ended: str) -> Trial:
    """Return the first of a ranking, if it may be chosen; `ended` says what else did not happen, for the message."""
    first = ranking[0]
    if first.outcome != "done":
        words = "diverged" if first.outcome == "diverged" else f"is {first.outcome}"
        raise ValueError(f"none of {len(ranking)} {ended}; the first {words}: {first.reason}")
    return first


def told(trial: Trial, monitor: str) -> str:
    """Return a trial as a line."""
    outcome = "" if trial.outcome == "done" else f" {trial.outcome}"
    return f"{trial.number}: {point_text(trial.settings)}: {monitor}={trial.score:.4g}{outcome}"


def trials_table(trials: Sequence[Trial], monitor: str, votes: Mapping[int, int] | None = None) -> list[str]:
    """Return the lines of a table of trials, a trial a line, in the order in which they come."""
    head = ["settings", "trial", monitor, *(["std"] if len(trials[0].scores) > 1 else []), "epochs", "seconds"]
    head += ([] if votes is None else ["votes"]) + [""]
    lines = []
    for one in trials[:SHOWN_TRIALS]:
        epochs = f"{one.epochs[0]}" if len(set(one.epochs)) == 1 else f"{min(one.epochs)} to {max(one.epochs)}"
        cells = [point_text(one.settings), str(one.number), f"{one.score:.4g}"]
        if len(one.scores) > 1:
            cells.append(f"{one.std:.2g}")
        cells += [epochs, f"{one.seconds:.3f}"] + ([] if votes is None else [str(votes.get(one.number, 0))])
        lines.append([*cells, "" if one.outcome == "done" else one.outcome])
    left = len(trials) - SHOWN_TRIALS
    return table(head, lines) + ([f"and {left} more"] if left > 0 else [])
