"""Searches for hyper-parameters: grid, random, and Bayesian by Optuna ([002]). The test set has no place here.

Settings are chosen by a validation part, or by folds of the rows that are given. Rows of a test set that are given too
would choose, and then test nothing any more: keep them out of `X` ("Use test data set for hyperparameter tuning!" is
on [003]'s list of mistakes).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import bayesian, checks
from .bayesian import OptunaPruning
from .progress import is_wanted
from .spaces import (
    Settings,
    Space,
    checked_space,
    grid_points,
    grid_size,
    is_distribution,
    random_points,
    sizes_text,
)
from .trainer import Trainer
from .trials import Plan, Runner, Trial, checked_best, told, trials_table

if TYPE_CHECKING:
    import numpy.typing as npt

    from .callbacks import Callback

METHODS = ("grid", "random", "optuna")
# Sixty points at random hit the best 5 % of a space with a chance of 1 - 0.95^60 = 95 %; twenty, the best 14 %.
TRIALS = 20


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult:
    """What `search` tried and found; its repr is a table, the best trial first.

    Attributes
    ----------
    trials : tuple of Trial
        In the order in which they were tried.
    ranking : tuple of Trial
        The best first; equal ones in the order in which they were tried. Behind them, in this order, those whose figure
        is undefined, that diverged, and that were pruned.
    method, monitor : str
        How was searched, and by what the trials are judged.
    points : int or None
        How many points the grid of the space has; None where it has a distribution.
    trainer : Trainer or None
        Of the best trial, trained. Where there were folds, trained anew on all rows, as no network of a fold has seen
        them all. None where no trial ended well.
    """

    trials: tuple[Trial, ...]
    ranking: tuple[Trial, ...]
    method: str
    monitor: str
    points: int | None
    trainer: Trainer | None

    @property
    def best(self) -> Trial:
        """The trial of the best score.

        Raises
        ------
        ValueError
            If no trial ended well.
        """
        return checked_best(self.ranking, "trials ended well")

    def __repr__(self) -> str:
        """Return a table, a trial a line, and what the space had to offer."""
        count = "a space with distributions" if self.points is None else f"a grid of {self.points:,} points"
        last = f"{self.method}: {len(self.trials)} trials of {count}"
        return "\n".join([*trials_table(self.ranking, self.monitor), last])


def search(
    make_trainer: Callable[[Settings], Trainer],
    space: Space,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    method: str = "random",
    trials: int | None = None,
    monitor: str = "val_loss",
    mode: str = "auto",
    epochs: int = 10,
    batch_size: int = 32,
    validation_split: float | None = None,
    validation_data: Sequence[npt.ArrayLike] | None = None,
    folds: Any = None,
    groups: npt.ArrayLike | None = None,
    callbacks: Sequence[Callback] = (),
    sample_weight: npt.ArrayLike | None = None,
    class_weight: str | Mapping[int, float] | None = None,
    prune: bool = False,
    study: Any = None,
    seed: int = 0,
    verbose: bool | int | str = "auto",
) -> SearchResult:
    """Try settings of the hyper-parameters, each with a new network, and keep what does best on rows not trained on.

    Lecture [002] has three ways, beside trying by hand:

    - "grid": every point of the product of the lists. Finds the best of them, and their number is the product of the
      lists' lengths: the "curse of dimensionality".
    - "random": points drawn from the space. No such guarantee, but "good on high spaces": where one hyper-parameter
      hardly matters, a grid tries few values of the others, and as many random points try as many (Bergstra and
      Bengio 2012). [000]: "randomized search tends to work well".
    - "optuna": Bayesian optimization; each new guess comes from all trials before. By Optuna's TPE.

    A trial that diverges is a result: its score is the worst there is, and the search goes on. So it does where the
    figure is undefined, as precision is where no row was predicted to be of a class; Optuna is then told the worst
    score, too. Neither can be chosen. An exception from `make_trainer` or a callback ends the search.

    Parameters
    ----------
    make_trainer : callable
        Makes a new `Trainer` of a new `Network` from a dict of settings, a value for each name of the space, such as
        `lambda settings: trainer_for(settings, X, y)`. The names "epochs" and "batch_size" are handed to the fit.
    space : mapping of str to list or distribution
        See `search_space` and `Between`.
    X, y : array
        As in `Trainer.fit`: the rows to train and to validate with, and never those of the test set.
    method : {"random", "grid", "optuna"}
    trials : int, optional
        How many points are tried at random or by Optuna, 20 if None; where there are only lists, "random" tries none
        twice. For a grid the most that may be tried, without limit if None: a larger grid is an error that tells its
        size, before anything is trained.
    monitor : str, default "val_loss"
        What a trial is judged by: "val_" and the loss or a metric of the trainers, measured after the training.
    mode : {"auto", "min", "max"}
        Whether small or large is good; "auto" knows: accuracy up, all else down.
    epochs, batch_size : int
        Of a fit, where the space does not have them.
    validation_split, validation_data, folds : optional
        What judges, one of: a share of the rows, 0.2 if none is given, of classes the same share each; rows of their
        own, (X, y) or (X, y, sample_weight); or K folds, of which the mean counts: a number, a splitter of
        scikit-learn, or a list of pairs of row numbers.
    groups : array of shape (N,), optional
        For splitters that keep groups together.
    callbacks, sample_weight, class_weight : as for `Trainer.fit`
        The same for every fit. With `EarlyStopping` the best epoch of each is measured.
    prune : bool, default False
        Whether Optuna ends trials that look hopeless: by default, whose figure is worse than the median of earlier
        trials at that epoch. Not with folds.
    study : optuna.Study, optional
        A study of one's own, with its sampler, pruner and storage, so that a search can go on another day; `seed`
        then does not count for its sampler.
    seed : int, default 0
        Key of the drawn points, of the parts and of Optuna's sampler.
    verbose : {"auto", True, False}
        Whether to say on standard error how many points there are, before the first is tried, and how each did; "auto"
        where somebody can see it.

    Returns
    -------
    SearchResult
        Every trial, the best of them, and its trainer; it prints as a table.

    Raises
    ------
    ImportError
        If the method is "optuna", and Optuna is missing.
    ValueError, TypeError
        If an argument does not suit.

    Notes
    -----
    The best score is that of the best of many, and so better than what new rows will give: the validation part has
    chosen. How good the choice is, a test set says, once.

    Examples
    --------
    >>> def make_trainer(settings):
    ...     net = cr.Network([cr.Dense(settings["units"], activation="relu"), cr.Dense(10)], inputs=64)
    ...     return cr.Trainer(net, loss="cross_entropy", optimizer=cr.Adam(settings["lr"]), metrics=["accuracy"])
    >>> space = {"lr": cr.Between(1e-4, 1e-1, scale="log"), "units": [16, 32, 64], "epochs": [10, 20]}
    >>> result = cr.search(make_trainer, space, X, y, trials=10, monitor="val_accuracy")
    >>> print(result)
    >>> result.best.settings
    >>> result.trainer.evaluate(X_test, y_test)
    """
    known = checked_space("space", space)
    checks.word("method", method, METHODS)
    points = None if any(map(is_distribution, known.values())) else grid_size(known)
    prune = checks.flag("prune", prune)
    if method != "optuna" and (prune or study is not None):
        raise ValueError(f'prune and study are for method="optuna"; got method={method!r}')
    if prune and folds is not None:
        raise ValueError("prune needs a single validation part; folds report an epoch several times")
    runner = Runner(
        make_trainer,
        X,
        y,
        sample_weight,
        plan=Plan(validation_split, validation_data, folds, groups, seed),
        monitor=monitor,
        mode=mode,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=callbacks,
        class_weight=class_weight,
    )
    shown = is_wanted(verbose)
    if method == "optuna":
        count = TRIALS if trials is None else checks.whole("trials", trials)
        tried = asked(runner, known, count, study, prune, seed)
    else:
        count, listed = chosen_points(known, method, trials, seed)
        tried = (runner.run(number, settings) for number, settings in enumerate(listed))
    if shown:
        of = "a space with distributions" if points is None else f"the grid {sizes_text(known)}"
        print(f"{method} search: {count:,} trials of {of}", file=sys.stderr)
    return found(runner, tried, shown, method, points)


def chosen_points(
    space: Mapping[str, Any], method: str, trials: int | None, seed: int
) -> tuple[int, Iterable[Settings]]:
    """Return how many points are tried, and the points; ValueError for a grid of more than may be tried."""
    if method == "random":
        drawn = random_points(space, TRIALS if trials is None else trials, seed)
        return len(drawn), drawn
    count = grid_size(space)
    if trials is not None and count > checks.whole("trials", trials):
        raise ValueError(
            f"the grid has {sizes_text(space)} points, and trials={trials}: the number of points is the product of the "
            'lists\' lengths. Take shorter lists or fewer names, or method="random", which tries some of the points'
        )
    return count, grid_points(space)


def asked(
    runner: Runner, space: Mapping[str, Any], count: int, study: Any, prune: bool, seed: int
) -> Iterator[tuple[Trial, Trainer]]:
    """Return the trials that Optuna asks for, each told to it before the next is asked."""
    optuna = bayesian.needs_optuna('method="optuna"')
    if study is None:
        study = bayesian.new_study(runner.large_is_good, checks.seed("seed", seed))
    else:
        bayesian.check_study(study, runner.large_is_good)
    return told_to(study, optuna.trial.TrialState, runner, space, count, prune)


def told_to(
    study: Any, states: Any, runner: Runner, space: Mapping[str, Any], count: int, prune: bool
) -> Iterator[tuple[Trial, Trainer]]:
    """Ask a study, try, and tell it."""
    for number in range(count):
        asked_for = study.ask()
        pruning = [OptunaPruning(asked_for, runner.monitor)] if prune else []
        try:
            trial, trainer = runner.run(number, bayesian.suggested(asked_for, space), pruning)
        except BaseException:
            # A study that is kept in a file must not wait for it for ever.
            study.tell(asked_for, state=states.FAIL)
            raise
        if trial.outcome == "done" and any(one.pruned for one in pruning):
            trial = replace(trial, outcome="pruned", reason=str(trainer.history.stop_reason))
            study.tell(asked_for, state=states.PRUNED)
        else:
            study.tell(asked_for, runner.worst if trial.outcome == "undefined" else trial.score)
        yield trial, trainer


def found(
    runner: Runner, tried: Iterable[tuple[Trial, Trainer]], shown: bool, method: str, points: int | None
) -> SearchResult:
    """Try everything; keep the trials, and the trainer of the best."""
    trials: list[Trial] = []
    best: tuple[Trial, Trainer] | None = None
    for trial, trainer in tried:
        trials.append(trial)
        if best is None or runner.ranking([best[0], trial])[0] is trial:
            best = trial, trainer
        if shown:
            print(told(trial, runner.monitor), file=sys.stderr)
    assert best is not None
    trainer_kept: Trainer | None = best[1]
    if best[0].outcome != "done":
        trainer_kept = None
    elif runner.plan.folds is not None:
        trainer_kept = runner.refitted(best[0])
    return SearchResult(tuple(trials), tuple(runner.ranking(trials)), method, runner.monitor, points, trainer_kept)
