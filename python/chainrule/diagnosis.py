"""`diagnose`: what is wrong with a run of training, by all that it is given. The rules stand beside it, by subject.

It names what the lectures name, each with its evidence, and says what it did not look at. It changes nothing, and it
tries nothing out: how a run would have gone with another rate, `compare` and the learning-rate range test tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, curve_rules, data, sparse, training_rows
from .curve_rules import FEWEST_EPOCHS
from .findings import Diagnosis, Finding
from .flow_of_errors import PARTS, Measured, deviation_of_share, flow_findings, is_higher, mean_loss, scale
from .history import History
from .layer_units import FEWEST_ROWS, gradient_findings, layer_report, unit_findings
from .network import Network
from .starts import start_of
from .trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt

# "Significantly higher" [004]: an accuracy this much lower on validation than in training ...
GAP_OF_ACCURACY = 0.1
# ... or a loss higher by this share of what the best constant answer loses: a fifth of all that there is to learn.
GAP_OF_LOSS = 0.2
# ... each more than three times what chance makes: nobody said what is high, so that it is looked for everywhere.
SURE = 3.0
# The first epoch's loss over that of the start: above it the steps led up, not down.
OVERSHOT = 2.0
# "Training loss still high" [000]: less than a tenth better than the best constant answer.
LEARNED = 0.1


def diagnose(
    history: History,
    *,
    trainer: Trainer | Network | None = None,
    X: npt.ArrayLike | None = None,
    y: npt.ArrayLike | None = None,
    training_dev: object = None,
    validation: object = None,
    test: object = None,
    target: float | None = None,
    monitor: str = "loss",
) -> Diagnosis:
    """Say what is wrong with a run of training: each thing with its evidence, the lectures' remedies, and the slide.

    The history alone shows a learning rate that is too high or too low, overfitting, and a fit that ended too early.
    With the trainer and its training rows, also dead and saturated units, vanishing and exploding gradients, and
    whether anything was learned; with `target`, also the four questions of lecture [003]: bias, variance, train-test
    mismatch, an overfitted validation set. What could not be judged is in `not_looked_at`, with what to give for it.

    Where the learning rate, units or gradients explain why little is learned, underfitting is not named beside them:
    its remedies, such as a larger model, would not help. Curves alone cannot tell these causes apart where nothing
    moves. If `EarlyStopping` brought the best weights back, those are judged. Where a fit went on from
    learned weights, no rate is called too low, and one too high by the history alone only if the loss exploded.

    Parameters
    ----------
    history : History
        What `fit` returned.
    trainer : Trainer or Network, optional
        Whose weights are looked at, as they are after that fit; a Network shows units only.
    X, y : arrays, optional
        Training rows, dense or sparse, and their targets. Of rows on a GPU, here and below, a copy is made in this
        process's memory.
    training_dev, validation, test : optional
        Results on those parts: a number (of `monitor`), what `trainer.evaluate` returned, or the rows (X, y)
        themselves, which the trainer then measures; only then, or with accuracies of the history, is it known how far
        chance may have moved them. Where the loss is a sum over rows, only the rows are taken. Validation is otherwise
        the history's last look at it.
    target : float, optional
        The value of `monitor` that is acceptable: a loss a row, or an accuracy.
    monitor : {"loss", "accuracy"}
        What `target` and the results are.

    Returns
    -------
    Diagnosis
        The findings, causes first, and what was looked at and what not; it prints as text.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or what it needs is missing, such as a trainer for rows.
    RuntimeError
        If a `Standardize` of the network has no mean and scale: it has not been trained.

    Examples
    --------
    >>> history = trainer.fit(X, y, epochs=50, validation_split=0.2)
    >>> print(cr.diagnose(history, trainer=trainer, X=X, y=y))
    """
    if not isinstance(history, History):
        raise TypeError(f"history must be a History, what fit() returns; got {checks.shown(history)}")
    checks.word("monitor", monitor, ("loss", "accuracy"))
    given = {"training_dev": training_dev, "validation": validation, "test": test}
    X = None if X is None else sparse.as_given("X", X)
    y = None if y is None else data.real("y", y)
    case = Case(history, trainer, X, y, None if target is None else checks.number("target", target), monitor)
    results = {name: case.result(name, value) for name, value in given.items() if value is not None}
    return case.diagnosis(results)


@dataclass(frozen=True)
class Case:
    """What `diagnose` was given, checked."""

    history: History
    model: Trainer | Network | None
    X: Any
    y: Any
    target: float | None
    monitor: str

    def __post_init__(self) -> None:
        """Check that what needs each other is there."""
        if self.model is not None and not isinstance(self.model, Trainer):
            checks.network("trainer", self.model)
        if self.X is not None and self.model is None:
            raise ValueError("X needs trainer=, whose network the rows go through")
        if self.y is not None and (self.X is None or self.trainer is None):
            raise ValueError("y needs X and trainer=, a Trainer, whose loss it goes into")
        if self.monitor == "accuracy" and "accuracy" not in self.history:
            raise ValueError(f"monitor='accuracy' is not in the history, which has {', '.join(self.history)}")
        if self.monitor == "accuracy" and self.trainer is not None and "accuracy" not in self.trainer.metrics:
            raise ValueError("monitor='accuracy' is no metric of the trainer; make it with metrics=['accuracy']")

    @property
    def trainer(self) -> Trainer | None:
        """The trainer, None where a Network or nothing was given."""
        return self.model if isinstance(self.model, Trainer) else None

    # What was measured -----------------------------------------------------------------------------------------------

    def result(self, name: str, value: Any) -> Measured:
        """Return a result that was given, as an error."""
        if isinstance(value, Mapping):
            if self.monitor not in value:
                raise ValueError(f"{name} must have {self.monitor!r}; it has {', '.join(map(str, value))}")
            value = value[self.monitor]
        if isinstance(value, (tuple, list)):
            if len(value) != 2 or self.trainer is None:
                expected = "a number, what trainer.evaluate returned, or rows (X, y) together with trainer="
                raise ValueError(f"{name} must be {expected}; got {checks.shown(value)}")
            X, y = sparse.as_given(f"{name} X", value[0]), data.real(f"{name} y", value[1])
            rows = training_rows.checked_rows(
                self.trainer.net, self.trainer.loss, X, y, None, f"{name} ", takes_sparse=True
            )
            return self.measured(self.trainer, X, rows.y, self.monitor)
        if self.history.summed and self.monitor == "loss":
            raise ValueError(
                f"{name} must be rows (X, y): the loss is a sum over rows, and a number does not tell over how many; "
                f"got {checks.shown(value)}"
            )
        return Measured(self.error(checks.number(name, value)))

    def error(self, value: float) -> float:
        """Return a figure of `monitor` as an error, the less the better."""
        return 1 - value if self.monitor == "accuracy" else value

    def measured(self, trainer: Trainer, X: Any, y: Any, monitor: str) -> Measured:
        """Return the error of the present weights on rows."""
        if monitor == "accuracy":
            wrong = 1 - trainer.evaluate(X, y, allow_seen=True)["accuracy"]
            return Measured(wrong, deviation_of_share("accuracy", wrong, X.shape[0]))
        return mean_loss(trainer.loss, trainer.net.predict(X), y)

    def from_history(self, name: str) -> Measured | None:
        """Return the last error that was measured up to the epoch of the present weights; None where there is none."""
        end = self.history.first_epoch + curve_rules.judged_epochs(self.history)
        count = sum(number < end for number, _ in self.history.measured(name)) if name in self.history else 0
        if not count:
            return None
        error = self.error(float(curve_rules.per_row(self.history, name)[count - 1]))
        counts = self.history.rows and self.monitor == "accuracy" and not self.history.weighted
        rows = self.history.rows[name.startswith("val_")] if self.history.rows and counts else None
        return Measured(error, deviation_of_share(name, error, rows))

    # What is wrong ---------------------------------------------------------------------------------------------------

    def diagnosis(self, results: dict[str, Measured]) -> Diagnosis:
        """Apply the rules in the order of causes."""
        causes = list(self.causes())
        looked, missing = self.coverage(results)
        findings = causes + list(self.fit(results, bool(causes)))
        if self.target is not None:
            errors = self.errors(results)
            missing += [f"{part.replace('_', '-')} error: give {part}=" for part in PARTS if part not in errors]
            looked += [f"{part.replace('_', '-')} error {value}" for part, value in errors.items()]
            if "training" in errors:
                findings += flow_findings(errors, self.error(self.target))
        return Diagnosis(tuple(findings), tuple(looked), tuple(missing))

    def causes(self) -> Iterator[Finding]:
        """Yield what hinders learning: the learning rate, units, gradients."""
        inside: list[Finding] = []
        if self.model is not None and self.X is not None:
            report = layer_report(self.model, self.X, self.y)
            # What is dead or flat lets no gradient back: that is one finding, not two.
            inside = list(unit_findings(report)) or list(gradient_findings(report))
        known = None if self.history.weighted else self.scaled
        to_learn = None if known is None else known[1] - known[2]
        yield from list(curve_rules.too_high(self.history, to_learn)) or list(self.overshot())
        if not inside:
            yield from curve_rules.too_low(self.history)
        yield from inside

    def overshot(self) -> Iterator[Finding]:
        """Yield that the first epoch's loss lies far above that of the start, if the network's seed gives it again."""
        history = self.history
        if self.trainer is None or self.y is None or not history.from_start or not history.epochs or history.weighted:
            return
        start = start_of(self.trainer.net)
        before = mean_loss(self.trainer.loss, start.predict(self.X), self.y).error
        first = float(curve_rules.per_row(history, "loss")[0])
        if before > 0 and first > OVERSHOT * before:
            text = f"the loss was {before:.4g} at the start and {first:.4g} in the first epoch: the steps led up"
            yield Finding("learning rate too high", text, {"start": before, "first": first})

    def fit(self, results: dict[str, Measured], explained: bool) -> Iterator[Finding]:
        """Yield how the fit is: over, under, or neither; not under where a cause of it was found."""
        nothing = list(self.learned_nothing())
        over = list(curve_rules.overfitting(self.history, curve_rules.judged_epochs(self.history)))
        over = over or list(self.gap_of_accuracy()) or list(self.gap_of_loss(results))
        if over and not nothing and not self.is_elsewhere(results):
            yield from over
        elif not explained:
            under = list(self.ended_early()) or nothing or list(curve_rules.never_fell(self.history))
            yield from under

    def is_elsewhere(self, results: dict[str, Measured]) -> bool:
        """Return whether rows like those of training do as well as these: then what validation lacks is likeness."""
        errors = self.errors(results)
        both = "training" in errors and "training_dev" in errors
        return both and not is_higher(errors["training_dev"], errors["training"])

    def ended_early(self) -> Iterator[Finding]:
        """Yield that the losses still fall, unless they need not."""
        errors = self.errors({})
        if self.target is not None and errors and list(errors.values())[-1].error <= self.error(self.target):
            return
        yield from curve_rules.still_falling(self.history)

    def gap_of_accuracy(self) -> Iterator[Finding]:
        """Yield that the history's accuracy is much lower on the validation part than in training."""
        history, epochs = self.history, curve_rules.judged_epochs(self.history)
        looks = curve_rules.looks(history, epochs)
        if history.rows is None or history.weighted or "val_accuracy" not in history:
            return
        if epochs < FEWEST_EPOCHS or not looks:
            return
        training, validation = history["accuracy"][looks[-1]], history["val_accuracy"][looks[-1]]
        chance = np.hypot(
            deviation_of_share("accuracy", training, history.rows[0]),
            deviation_of_share("val_accuracy", validation, history.rows[1]),
        )
        if training - validation > max(GAP_OF_ACCURACY, SURE * float(chance)):
            text = f"the accuracy is {training:.3f} in training and {validation:.3f} on the validation part"
            yield Finding("overfitting", text, {"accuracy": training, "val_accuracy": validation})

    def gap_of_loss(self, results: dict[str, Measured]) -> Iterator[Finding]:
        """Yield that the loss is much higher on validation rows than on training rows, where both were given."""
        validation = results.get("validation")
        known = self.scaled
        if self.monitor != "loss" or known is None or validation is None or np.isnan(validation.deviation):
            return
        training, guess, floor = known
        gap = validation.error - training.error
        chance = SURE * float(np.hypot(validation.deviation, np.nan_to_num(training.deviation)))
        if gap > max(GAP_OF_LOSS * (guess - floor), chance):
            text = (
                f"the loss is {training} on training rows and {validation} on validation rows, where the best constant "
                f"answer loses {guess:.4g}"
            )
            numbers = {"loss": training.error, "val_loss": validation.error, "guess": guess}
            yield Finding("overfitting", text, numbers)

    def learned_nothing(self) -> Iterator[Finding]:
        """Yield that the loss on training rows is hardly below that of a constant answer."""
        known = self.scaled
        if known is None:
            return
        training, guess, floor = known
        learned = (guess - training.error) / (guess - floor) if guess > floor else 1.0
        if learned < LEARNED:
            text = (
                f"the training loss is still high: {training} on training rows, where the best constant answer loses "
                f"{guess:.4g}"
            )
            yield Finding("underfitting", text, {"loss": training.error, "guess": guess, "learned": learned})

    @cached_property
    def scaled(self) -> tuple[Measured, float, float] | None:
        """Return the loss on the training rows, and the two it is measured by; None where they are not given."""
        if self.trainer is None or self.y is None:
            return None
        training = self.measured(self.trainer, self.X, self.y, "loss")
        return training, *scale(self.trainer.loss, self.y, self.trainer.net.outputs)

    def errors(self, results: dict[str, Measured]) -> dict[str, Measured]:
        """Return the errors of the parts that are known, in the order of the flow."""
        validation = results.get("validation") or self.from_history(f"val_{self.monitor}")
        training = self.from_history(self.monitor)
        if self.trainer is not None and self.y is not None:
            training = self.measured(self.trainer, self.X, self.y, self.monitor)
        elif training and validation:
            # The history's is a mean over an epoch in which the weights changed, with dropout on: what comes after it
            # and is lower is the better measure.
            training = min(training, validation, key=lambda one: one.error)
        known = {"training": training, **results, "validation": validation}
        return {part: one for part in PARTS if (one := known.get(part)) is not None}

    def coverage(self, results: Collection[str]) -> tuple[list[str], list[str]]:
        """Return what is looked at, and what is not and why."""
        looked, missing = [], []
        history, epochs = self.history, curve_rules.judged_epochs(self.history)
        looks = len(curve_rules.looks(history, epochs))
        if history.epochs < FEWEST_EPOCHS:
            missing.append(f"the shape of the curves: {history.epochs} epochs, and {FEWEST_EPOCHS} are needed")
        else:
            back = "" if epochs == history.epochs else f"; early stopping went back to number {epochs}"
            looked.append(f"learning curves of {history.epochs} epochs{back}")
        if "val_loss" not in history:
            missing.append(
                "overfitting, and a fit that ended too early: fit with validation_split= or validation_data="
            )
        elif looks < FEWEST_EPOCHS <= epochs:
            missing.append(
                f"overfitting, and a fit that ended too early, by the shape of the curves: {looks} looks at the "
                f"validation part, and {FEWEST_EPOCHS} are needed: fit with a smaller validation_freq="
            )
        if curve_rules.goes_on(history):
            missing.append(
                "a learning rate that is too low: the fit went on from an earlier one, or from other weights"
            )
            if self.y is None or history.weighted:
                why = "its rows had weights" if history.weighted else "give trainer=, X= and y="
                missing.append(f"a learning rate that is too high, unless the loss exploded: {why}")
        if self.X is None:
            missing.append("dead and saturated units: give trainer= and X=, training rows")
        elif self.X.shape[0] < FEWEST_ROWS:
            missing.append(f"dead and saturated units: X has {self.X.shape[0]} rows, and {FEWEST_ROWS} are needed")
        else:
            looked.append(f"units on {self.X.shape[0]:,} rows")
        if self.y is None:
            missing.append("gradients, and whether anything was learned: give trainer=, X= and y=")
        else:
            looked += ["gradients", "the training loss beside that of a constant answer"]
        if "val_loss" in history and not {"validation", "training_dev"} <= set(results):
            missing.append(
                "how far chance moves the validation loss, and whether its rows are like those of training: "
                "give validation= and training_dev=, rows"
            )
        if self.target is None:
            missing.append("bias, variance, train-test mismatch, an overfitted validation set: give target=")
        return looked, missing
