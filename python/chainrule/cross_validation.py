"""K-fold cross-validation as [001] and [004] have it: settings judged by folds, chosen by vote, refitted on all rows.

The folds, and the training and measuring of each, are those of `trials`; this file counts the votes. The test set has
no place here: it comes once, after all is chosen.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import checks
from .progress import is_wanted
from .spaces import Settings, Space, grid_points
from .trials import Plan, Runner, Trial, checked_best, told, trials_table

if TYPE_CHECKING:
    import numpy.typing as npt

    from .callbacks import Callback
    from .trainer import Trainer

CHOICES = ("vote", "mean")


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """What `cross_validate` measured and chose; its repr is a table, the best setting first.

    Attributes
    ----------
    trials : tuple of Trial
        The settings in their order, each with its score in every fold.
    ranking : tuple of Trial
        The best first, as `choose` says; last what diverged in some fold, or has no figure there.
    choices : tuple of int or None
        By fold, the number of the trial that it votes for; None where no setting ended well in all.
    choose, monitor : str
        What the best was chosen by, and what was measured.
    trainer : Trainer or None
        Of the best setting, trained anew on all rows; None without `refit`, or where nothing ended well.
    """

    trials: tuple[Trial, ...]
    ranking: tuple[Trial, ...]
    choices: tuple[int | None, ...]
    choose: str
    monitor: str
    trainer: Trainer | None

    @property
    def votes(self) -> dict[int, int]:
        """How many folds vote for each trial that has a vote, by its number."""
        return dict(Counter(number for number in self.choices if number is not None))

    @property
    def best(self) -> Trial:
        """The setting that was chosen, with its scores.

        Raises
        ------
        ValueError
            If none ended well in all folds.
        """
        return checked_best(self.ranking, "settings ended well in all folds")

    def __repr__(self) -> str:
        """Return a table, a setting a line, and how was chosen."""
        by = "majority vote" if self.choose == "vote" else "mean"
        last = f"{len(self.choices)} folds, chosen by {by}"
        return "\n".join([*trials_table(self.ranking, self.monitor, self.votes), last])


def cross_validate(
    make_trainer: Callable[[Settings], Trainer],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    settings: Space | Sequence[Mapping[str, Any]] | None = None,
    folds: Any = 5,
    groups: npt.ArrayLike | None = None,
    choose: str = "vote",
    refit: bool = True,
    monitor: str = "val_loss",
    mode: str = "auto",
    epochs: int = 10,
    batch_size: int = 32,
    callbacks: Sequence[Callback] = (),
    sample_weight: npt.ArrayLike | None = None,
    class_weight: str | Mapping[int, float] | None = None,
    seed: int = 0,
    verbose: bool | int | str = "auto",
) -> CrossValidation:
    """Measure settings by K-fold cross-validation, choose one by majority vote, and train it on all rows.

    Lecture [001]: "divide it into N equal parts; use one of the parts as validation data set; perform whatever
    performance tuning needed using the other N - 1 parts as the training set [...]. Do this N times. Choose optimal
    parameters by eg. majority vote, train the system using all available data and test on the test set." Lecture [004]
    takes it "when amount of data is small": every row judges once, and none is lost for training. It takes K times as
    long as one validation part.

    Each fold votes for the setting of its best score; where two are equal there, for the one with the better mean over
    all folds. The most votes win; of equally many the better mean decides, and then the earlier setting. A setting that
    diverged in some fold gets no vote, nor does one whose figure is undefined there.

    Parameters
    ----------
    make_trainer : callable
        Makes a new `Trainer` of a new `Network` from a dict of settings; see `search`.
    X, y : array
        As in `Trainer.fit`: all rows but those of the test set.
    settings : mapping or sequence of mappings, optional
        What to choose from: a space of lists, whose grid is tried, or a list of settings. None: one setting, an empty
        dict, for a mere measurement.
    folds : int, splitter or sequence, default 5
        How many parts, drawn at random, of classes the same share each; a splitter of scikit-learn, such as
        `StratifiedKFold(5)`, `GroupKFold(5)` or `TimeSeriesSplit(5)`; or a list of pairs of row numbers.
    groups : array of shape (N,), optional
        For splitters that keep groups together.
    choose : {"vote", "mean"}
        Whether the majority of the folds chooses, or the mean over them.
    refit : bool, default True
        Whether the chosen setting is trained anew on all rows: for as many epochs as its folds kept, which is their
        median, and without callbacks, since no row is left to validate with.
    monitor, mode, epochs, batch_size, callbacks, sample_weight, class_weight, verbose : as for `search`
        The same for every fold.
    seed : int, default 0
        Key of the folds that a number asks for.

    Returns
    -------
    CrossValidation
        The choice, the scores of every setting, and the trainer of all rows; it prints as a table.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.

    Notes
    -----
    Folds train on parts that overlap, so that their scores hang together: their standard deviation says too little of
    how sure the mean is. And the score of what was chosen among many is too good; a test set is asked once, at the end.

    Examples
    --------
    >>> result = cr.cross_validate(make_trainer, X, y, settings={"units": [8, 16, 32], "rate": [0.1, 0.01]}, folds=5)
    >>> print(result)
    >>> result.trainer.evaluate(X_test, y_test)  # once

    How good is one setting?

    >>> result = cr.cross_validate(lambda _: cr.Trainer(make_network(), loss="mse"), X, y, folds=10)
    >>> result.best.score, result.best.std
    """
    points = checked_settings(settings)
    checks.word("choose", choose, CHOICES)
    refit = checks.flag("refit", refit)
    if folds is None:
        raise TypeError("folds must be a whole number, a splitter of scikit-learn, or a list of pairs; got None")
    runner = Runner(
        make_trainer,
        X,
        y,
        sample_weight,
        plan=Plan(folds=folds, groups=groups, seed=seed),
        monitor=monitor,
        mode=mode,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=callbacks,
        class_weight=class_weight,
    )
    shown = is_wanted(verbose)
    trials = []
    for number, point in enumerate(points):
        trials.append(runner.run(number, point)[0])
        if shown:
            print(told(trials[-1], runner.monitor), file=sys.stderr)
    by_mean = runner.ranking(trials)
    choices = voted(by_mean, runner.large_is_good)
    ranking = by_mean if choose == "mean" else by_votes(by_mean, choices)
    wanted = refit and ranking[0].outcome == "done"
    trainer = runner.refitted(ranking[0]) if wanted else None
    return CrossValidation(tuple(trials), tuple(ranking), choices, choose, runner.monitor, trainer)


def checked_settings(settings: object) -> list[Settings]:
    """Return the settings to choose from, at least one."""
    if settings is None:
        return [{}]
    if isinstance(settings, Mapping):
        return list(grid_points(settings))
    if not isinstance(settings, (list, tuple)) or not all(isinstance(one, Mapping) for one in settings):
        shown = checks.shown(settings)
        raise TypeError(f"settings must be a dict of lists, or a list of dicts such as [{{'units': 8}}]; got {shown}")
    if not settings:
        raise ValueError("settings must hold at least one setting; it is empty")
    return [dict(one) for one in settings]


def voted(by_mean: Sequence[Trial], large_is_good: bool) -> tuple[int | None, ...]:
    """Return for which trial each fold votes, of those that ended well; equal ones in the order of their means."""
    best = max if large_is_good else min
    good = [one for one in by_mean if one.outcome == "done"]
    if not good:
        return (None,) * len(by_mean[0].scores)
    # Of equal ones index() finds the first, which has the better mean.
    return tuple(good[scores.index(best(scores))].number for scores in zip(*(one.scores for one in good), strict=True))


def by_votes(by_mean: Sequence[Trial], choices: Sequence[int | None]) -> list[Trial]:
    """Return the trials by their votes, equal ones in the order of their means; what cannot be chosen stays last."""
    votes = Counter(choices)
    return sorted(by_mean, key=lambda one: (one.outcome != "done", -votes[one.number]))
