"""What scikit-learn does after each iteration of its stochastic solvers: figures, stopping, the rate's changes.

An iteration is an epoch. Without improvement by `tol` in `n_iter_no_change` iterations one after the other training
stops, or, where learning_rate="adaptive", the rate is divided by 5 until it is 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..callbacks import Callback
from ..descent import Momentum

if TYPE_CHECKING:
    from .._engine.float32 import RunState
    from ..trainer import Trainer
    from .base import BaseMLP

# scikit-learn's: what "adaptive" divides the rate by, and where it gives up.
DIVISOR, LEAST_RATE = 5.0, 1e-6


class Iterations(Callback):
    """Write down an estimator's figures after each epoch, and stop as scikit-learn does.

    Parameters
    ----------
    est : BaseMLP
    rows : int
        That are trained on.
    scale, of_held_out : tuple of two floats, and the same or None
        By what the loss of the rows that are trained on, and of those that are not, is multiplied, and what is added,
        to be scikit-learn's.
    score : callable or None
        Of no argument: the score on the validation part, where it decides.
    best : RunState or None
        Where to keep what had the best score.

    Attributes
    ----------
    improved : bool
        Whether a score was above all those before, also of earlier fits: then `best` has what is to be gone back to.
    """

    def __init__(
        self,
        est: BaseMLP,
        rows: int,
        scale: tuple[float, float],
        of_held_out: tuple[float, float] | None,
        score: Callable[[], float] | None,
        best: RunState | None,
    ) -> None:
        self._est, self._rows, self._score, self._best = est, rows, score, best
        self._scale, self._of_held_out = scale, of_held_out
        self.improved = False

    def epochs_at_once(self) -> float:
        """Return after how many epochs the fit can end at the earliest, where nothing else changes by then."""
        est = self._est
        if est.verbose or self._score is not None or (est.solver == "sgd" and est.learning_rate == "invscaling"):
            return 1
        return est.n_iter_no_change + 1 - est._no_improvement_count

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Note the figures, and decide."""
        est = self._est
        est.n_iter_ += 1
        est.t_ += self._rows
        factor, offset = self._scale
        est.loss_ = logs["loss"] * factor + logs.get("penalty", 0.0) + offset
        est.loss_curve_.append(est.loss_)
        if self._of_held_out is not None:
            factor, offset = self._of_held_out
            est.validation_curve_.append(logs["val_loss"] * factor + offset)
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        if self._score is None:
            self._judge_loss(est)
        else:
            self._judge_score(est, self._score())
        if est.solver == "sgd" and est.learning_rate == "invscaling":
            change_rate(self.trainer, float(est.learning_rate_init) / (est.t_ + 1) ** est.power_t)
        if est._no_improvement_count > est.n_iter_no_change:
            self._give_up(est)

    def _judge_loss(self, est: BaseMLP) -> None:
        assert est.best_loss_ is not None
        est._no_improvement_count = est._no_improvement_count + 1 if est.loss_ > est.best_loss_ - est.tol else 0
        est.best_loss_ = min(est.best_loss_, est.loss_)

    def _judge_score(self, est: BaseMLP, score: float) -> None:
        assert est.validation_scores_ is not None
        assert est.best_validation_score_ is not None
        est.validation_scores_.append(score)
        if est.verbose:
            print(f"Validation score: {score:f}")
        worse = score < est.best_validation_score_ + est.tol
        est._no_improvement_count = est._no_improvement_count + 1 if worse else 0
        if score > est.best_validation_score_:
            est.best_validation_score_ = score
            self.improved = True
            if self._best is not None:
                self._best.keep()

    def _give_up(self, est: BaseMLP) -> None:
        what = "Training loss" if self._score is None else "Validation score"
        said = f"{what} did not improve more than tol={est.tol:f} for {est.n_iter_no_change} consecutive epochs."
        if est.solver != "sgd" or est.learning_rate != "adaptive":
            said += " Stopping."
        elif self.trainer.learning_rate <= LEAST_RATE:
            said += " Learning rate too small. Stopping."
        else:
            change_rate(self.trainer, self.trainer.learning_rate / DIVISOR)
            est._no_improvement_count = 0
            said += f" Setting learning rate to {self.trainer.learning_rate:f}"
        if est.verbose:
            print(said)
        if said.endswith("Stopping."):
            self.trainer.stop(said)


def change_rate(trainer: Trainer, rate: float) -> None:
    """Change the learning rate for the steps to come, not for what momentum remembers of those that are done.

    scikit-learn's velocity u is made of steps, chainrule's v of gradients: u = -rate v. Where the rate changes and u
    does not, v becomes v old / new.
    """
    old = trainer.learning_rate
    trainer.learning_rate = rate
    if not isinstance(trainer.optimizer, Momentum) or rate in (0, old):
        return
    net = trainer.net
    state = net.engine.RunState(net.core, trainer.core_optimizer)
    state.keep()
    content = state.content()
    for velocity in content["states"]:
        velocity *= old / rate
    state.take(**content)
    state.restore()


def begin(est: BaseMLP) -> None:
    """Set an estimator's figures to those before the first iteration."""
    est.t_ = 0
    est.loss_ = math.nan
    est.loss_curve_ = []
    est.validation_curve_ = []
    est._no_improvement_count = 0
    est.best_loss_ = None if est.early_stopping else math.inf
    est.validation_scores_ = [] if est.early_stopping else None
    est.best_validation_score_ = -math.inf if est.early_stopping else None


def go_on(est: BaseMLP) -> None:
    """Add the figures that a fit lacks which goes on from one without early stopping, or from one with it."""
    if est.early_stopping and est.validation_scores_ is None:
        est.validation_scores_, est.best_validation_score_ = [], -math.inf
    if not est.early_stopping and est.best_loss_ is None:
        est.best_loss_ = math.inf
