"""Which learning rate to begin with, by training anew until one works: two rules of thumb of the lectures, made to run.

::

    try_rates   "Try 0.1 for the learning rate. If this doesn't work, divide by 3. Repeat." [000]
    cut_rates   "Start from a high value and keep cutting by half if model diverges. If diverges too quickly, reduce
                by a factor of 10" [003]

The rate found works; that it is the best of all, nobody says. For a look at all rates see `lr_range`, for changes
during a fit `lr_policies`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import checks, standardize, training_rows
from .callbacks import Callback, checked
from .lr_policies import RateDecision
from .repeated_fits import checked_builder, fit_diverges, noted
from .trainer import Trainer
from .trials import new_trainer

if TYPE_CHECKING:
    import numpy.typing as npt

    from .data import Rows
    from .history import History
    from .network import Network


@dataclass(frozen=True, eq=False, repr=False)
class RateTrials:
    """What `try_rates` and `cut_rates` did; the repr is a table, a rate a line.

    Attributes
    ----------
    rates : tuple of float
        The rates that were tried, in order.
    histories : tuple of History
        Of each trial.
    decisions : tuple of RateDecision
        Why each rate but the last was given up.
    works : bool
        Whether the last rate works; otherwise all trials are used up.
    trainer : Trainer
        Of the last trial, its network trained.
    """

    rates: tuple[float, ...]
    histories: tuple[History, ...]
    decisions: tuple[RateDecision, ...]
    works: bool
    trainer: Trainer

    @property
    def rate(self) -> float:
        """The rate that was tried last."""
        return self.rates[-1]

    @property
    def net(self) -> Network:
        """The network of the last trial."""
        return self.trainer.net

    def __repr__(self) -> str:
        """Return a table."""
        reasons = [*(one.reason for one in self.decisions), "works" if self.works else ""][: len(self.rates)]
        trials = zip(self.rates, self.histories, strict=True)
        rows = [(f"{rate:.4g}", str(history.epochs)) for rate, history in trials]
        return "\n".join(noted(("rate", "epochs"), rows, reasons))


def try_rates(
    make_trainer: Callable[[float], Trainer],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    start: float = 0.1,
    divide_by: float = 3.0,
    trials: int = 8,
    works: Callable[[Trainer], bool] | None = None,
    **fit: Any,
) -> RateTrials:
    """Train with a rate, anew with a third of it if that does not work, and so on [000].

    "Try 0.1 for the learning rate. If this doesn't work, divide by 3. Repeat."

    Parameters
    ----------
    make_trainer : callable
        Makes a trainer with a new network from a rate: `lambda lr: Trainer(make_network(), loss="mse",
        optimizer=SGD(lr))`. Each trial starts from what it makes.
    X, y : array
        As in `Trainer.fit`.
    start : float, default 0.1
        The first rate.
    divide_by : float, default 3.0
        Above 1.
    trials : int, default 8
        How many rates are tried at most.
    works : callable, optional
        Says of a trainer after its fit whether the rate works. By default it does if the fit did not diverge and the
        loss on `X` and `y`, in evaluation mode, weights of rows and classes counted, is lower than before. A fit that
        diverged never works.
    **fit
        Further arguments of `Trainer.fit`: epochs, batch_size, validation_split, callbacks and the rest.

    Returns
    -------
    RateTrials
        The rates tried, whether the last one works, its trainer, and each decision with its reason.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or `make_trainer` returns a trainer with another rate, the same network again, or
        a trainer that has been trained before.

    Examples
    --------
    >>> tried = cr.try_rates(make_trainer, X, y, epochs=5)
    >>> tried.rate
    """
    divide_by = checks.number("divide_by", divide_by, above=1)
    if works is not None and not callable(works):
        raise TypeError(f"works must be a function from a Trainer to True or False; got {checks.shown(works)}")

    def fault(trainer: Trainer, diverged: bool, before: float) -> tuple[str, float] | None:
        if diverged:
            return f"it does not work: {_why(trainer)}", divide_by
        if works is not None:
            return None if works(trainer) else ("it does not work, as `works` says", divide_by)
        after = _loss(trainer, X, y, fit)
        return (
            None if after < before else (f"it does not work: the loss was {before:.4g} and is {after:.4g}", divide_by)
        )

    return _tried(make_trainer, X, y, start, trials, fault, fit)


def cut_rates(
    make_trainer: Callable[[float], Trainer],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    start: float = 10.0,
    trials: int = 20,
    quickly: int = 1,
    exploded: float = 4.0,
    **fit: Any,
) -> RateTrials:
    """Train with a high rate, anew with half of it if the loss diverges, with a tenth if it does so quickly [003].

    "Start from a high value and keep cutting by half if model diverges. If diverges too quickly, reduce by a factor of
    10". Each rate is tried from the start: weights that a rate too high has moved are no start for the next one.

    Parameters
    ----------
    make_trainer : callable
        As for `try_rates`.
    X, y : array
        As in `Trainer.fit`.
    start : float, default 10.0
        The first rate, a high one.
    trials : int, default 20
        How many rates are tried at most.
    quickly : int, default 1
        A loss that diverges in the first so many epochs does so too quickly.
    exploded : float, default 4.0
        The loss diverges where it, or a parameter, is not finite, or where the loss of an epoch is greater than it was
        before training by `exploded` - 1 times its size: four times as great. Units that saturate keep it finite.
    **fit
        Further arguments of `Trainer.fit`: epochs, batch_size, validation_split, callbacks and the rest.

    Returns
    -------
    RateTrials
        The rates tried, whether the last one works, its trainer, and each decision with its reason.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or `make_trainer` returns a trainer with another rate, the same network again, or
        a trainer that has been trained before.

    Examples
    --------
    >>> tried = cr.cut_rates(make_trainer, X, y, start=100.0, epochs=5)
    >>> tried.rate
    """
    quickly = checks.whole("quickly", quickly)
    exploded = checks.number("exploded", exploded, above=1)

    def fault(trainer: Trainer, diverged: bool, before: float) -> tuple[str, float] | None:
        if not diverged:
            return None
        # An epoch in which a loss was not finite is not in the history; one in which it exploded is the last there.
        losses = trainer.history["loss"]
        over = bool(losses) and losses[-1] > _limit(before, exploded)
        epoch = trainer.history.epochs + (not over)
        fast = epoch <= quickly
        return f"{'diverged quickly' if fast else 'diverged'}, in epoch {epoch}: {_why(trainer)}", 10.0 if fast else 2.0

    return _tried(make_trainer, X, y, start, trials, fault, fit, exploded)


Fault = Callable[[Trainer, bool, float], "tuple[str, float] | None"]


def _tried(
    make_trainer: object,
    X: Any,
    y: Any,
    start: object,
    trials: object,
    fault: Fault,
    fit: dict[str, Any],
    exploded: float | None = None,
) -> RateTrials:
    """Try rates until one has no fault; `fault` says what it is, and by what the rate is divided for it."""
    make = checked_builder("make_trainer", make_trainer, "a learning rate that returns a Trainer")
    rate = checks.number("start", start, above=0)
    count = checks.whole("trials", trials)
    given = checked("callbacks", fit.pop("callbacks", ()))
    rates: list[float] = []
    histories: list[History] = []
    decisions: list[RateDecision] = []
    seen: weakref.WeakSet[Network] = weakref.WeakSet()
    while True:
        trainer = _made(make, rate, seen)
        before = _loss(trainer, X, y, fit)
        watch = [] if exploded is None else [_Explosion(_limit(before, exploded))]
        diverged = fit_diverges(trainer, X, y, callbacks=[*given, *watch], **fit) or any(one.seen for one in watch)
        rates.append(rate)
        histories.append(trainer.history)
        found = fault(trainer, diverged, before)
        if found is None or len(rates) == count:
            if found is not None:
                decisions.append(RateDecision(trainer.epochs_done, f"{found[0]}; no trial is left", rate, rate))
            return RateTrials(tuple(rates), tuple(histories), tuple(decisions), found is None, trainer)
        decisions.append(RateDecision(trainer.epochs_done, found[0], rate, rate / found[1]))
        rate /= found[1]


def _made(make: Callable[[float], Any], rate: float, seen: weakref.WeakSet[Network]) -> Trainer:
    """Return a new trainer with a rate."""
    trainer = new_trainer(f"make_trainer({rate:g})", make(rate), seen)
    if trainer.optimizer.lr != rate:
        raise ValueError(
            f"make_trainer({rate:g}) must give the optimizer this rate; it has lr={trainer.optimizer.lr!r}"
        )
    return trainer


def _loss(trainer: Trainer, X: Any, y: Any, fit: Mapping[str, Any]) -> float:
    """Return the loss in evaluation mode, rows weighted as in the fit; the trainer's network stays as it is."""
    rows = training_rows.checked_rows(trainer.net, trainer.loss, X, y, fit.get("sample_weight"), takes_sparse=True)
    if standardize.unmeasured(trainer.net):
        trainer = Trainer(_measured(trainer, rows, fit), loss=trainer.loss)
    rows = training_rows.with_class_weight(trainer.net, trainer.loss, rows, fit.get("class_weight"))
    return trainer.evaluate(X, rows.y, rows.weight, allow_seen=True)["loss"]


def _measured(trainer: Trainer, rows: Rows, fit: Mapping[str, Any]) -> Network:
    """Return a copy of the network whose layers that standardize have the figures which the fit will give them."""
    share, held_out = fit.get("validation_split", 0.0), fit.get("validation_data")
    training, _ = training_rows.validated_apart(trainer.net, trainer.loss, rows, share, held_out, trainer.seed)
    net = trainer.net.copy()
    standardize.measure_missing(net, training.x, training.weight, stacklevel=None)  # the fit warns
    return net


def _limit(before: float, exploded: float) -> float:
    """Return above what a loss has exploded; losses may be below 0."""
    return before + (exploded - 1) * abs(before)


def _why(trainer: Trainer) -> str:
    """Return what a fit stopped for, without the advice."""
    return str(trainer.history.stop_reason).partition(";")[0]


class _Explosion(Callback):
    """Ends a fit when the loss of an epoch is above a limit."""

    def __init__(self, limit: float) -> None:
        self.limit, self.seen = limit, False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Look at the loss."""
        if logs["loss"] > self.limit:
            self.seen = True
            self.trainer.stop(f"the loss is {logs['loss']:.4g}, and {self.limit:.4g} was the limit")
