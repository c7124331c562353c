"""chainrule's estimators beside scikit-learn's, with the same parameters: seconds of a fit, and the score afterwards.

A round is a seed: it splits the rows (a quarter tests), draws the start and the shuffles. Each estimator has
scikit-learn's defaults (100 hidden units, Adam, at most 200 epochs, float64) on standardised columns; pictures of MNIST
are divided by 255, as in scikit-learn's own example. A score counts as no worse where the mean over the seeds is not
below scikit-learn's by more than one standard error of the difference::

    mean(ours) >= mean(theirs) - sqrt((var(ours) + var(theirs)) / seeds)

MNIST's test part, 10,000 pictures, takes part where `--data` names a folder that has it.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .harness import OURS, Turn, contest
from .run import Options, Progress, finish, plan, say, taking_part

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

THEIRS = "sklearn"
TESTED = 0.25


class Problem(NamedTuple):
    """A data set: rows, targets, whether these are classes, and whether the rows are to be standardised."""

    X: Array
    y: Array
    classes: bool
    standardised: bool = True


def main(options: Options) -> dict[str, Any]:
    """Measure, print and store; return what was stored."""
    names, skipped = taking_part("estimators", options)
    for why in skipped.values():
        say(why)
    if set(names) != {OURS, THEIRS}:
        return {}
    known = problems(options)
    found: dict[str, Any] = {}
    with Progress(len(known)) as show:
        for name, problem in known.items():
            show.begin(name, (options.rounds + 1) * 2)
            fits = {one: Fits(one, problem, options.quick) for one in (OURS, THEIRS)}
            result = contest({one: fit.turn for one, fit in fits.items()}, plan(options, show, ceilings=()))
            show.clear()
            scores = {one: fit.scores for one, fit in fits.items()}
            found[name] = {**result, "rows": len(problem.y), "columns": problem.X.shape[1], "scores": scores}
            found[name]["no_worse"] = no_worse(scores[OURS], scores[THEIRS])
            say(line(name, found[name]))
    whole = {"problems": found}
    finish("estimators", options, whole, dtype="float64")
    return whole


class Fits:
    """An estimator's turns on one problem: each call takes the next seed, after a first one that warms up."""

    def __init__(self, engine: str, problem: Problem, quick: bool) -> None:
        self._problem, self._made = problem, maker(engine, problem.classes)
        self._options = {"max_iter": 3} if quick else {}
        self._seed = -1
        self.scores: list[float] = []

    def turn(self) -> Turn:
        """Fit with the next seed, note the score, and return the microseconds of the fit."""
        from sklearn.model_selection import train_test_split

        seed, self._seed = max(self._seed, 0), self._seed + 1
        X, X_test, y, y_test = train_test_split(*self._problem[:2], test_size=TESTED, random_state=seed)
        if self._problem.standardised:
            means, deviations = X.mean(axis=0), X.std(axis=0)
            deviations[deviations == 0] = 1
            X, X_test = (X - means) / deviations, (X_test - means) / deviations
        model = self._made(random_state=seed, **self._options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # neither converges everywhere in 200 epochs
            begin = time.perf_counter()
            model.fit(X, y)
            elapsed = time.perf_counter() - begin
        if self._seed > 0:
            self.scores.append(float(model.score(X_test, y_test)))
        return Turn(elapsed * 1e6)


def maker(engine: str, classes: bool) -> Callable[..., Any]:
    """Return an engine's class of estimators."""
    from sklearn import neural_network as theirs

    from chainrule import sklearn as ours

    module: Any = ours if engine == OURS else theirs
    made: Callable[..., Any] = module.MLPClassifier if classes else module.MLPRegressor
    return made


def problems(options: Options) -> dict[str, Problem]:
    """Return the data sets by name; targets that are numbers are standardised."""
    from sklearn import datasets

    found = {}
    for name in ("iris", "wine", "breast_cancer", "digits"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        found[name.replace("_", " ")] = Problem(X, y, True)
    X, y = datasets.load_diabetes(return_X_y=True)
    found["diabetes"] = Problem(X, (y - y.mean()) / y.std(), False)
    X, y = datasets.make_classification(1000, 20, n_informative=8, n_classes=4, random_state=0)
    found["made classes"] = Problem(X, y, True)
    X, y = datasets.make_friedman1(1000, 10, noise=1.0, random_state=0)
    found["made numbers"] = Problem(X, (y - y.mean()) / y.std(), False)
    if options.data is not None:
        from chainrule import load_idx

        parts = load_idx(options.data)
        X, y = np.concatenate([parts.X_train, parts.X_test]), np.concatenate([parts.y_train, parts.y_test])
        pixels = X[-10_000:].reshape(-1, 784).astype(np.float64)
        found["MNIST-10k"] = Problem(pixels / max(pixels.max(), 1), y[-10_000:], True, standardised=False)
    return found


def no_worse(ours: list[float], theirs: list[float]) -> bool:
    """Return whether the mean score is not below the other one by more than a standard error."""
    error = math.sqrt((statistics.variance(ours) + statistics.variance(theirs)) / len(ours))
    return statistics.fmean(ours) >= statistics.fmean(theirs) - error


def line(name: str, found: dict[str, Any]) -> str:
    """Return the figures of a problem as text."""
    ratio, ours, theirs = found["ratios"][THEIRS], *(found["scores"][one] for one in (OURS, THEIRS))
    seconds = found["engines"][OURS]["median"] / 1e6
    low, high = ratio["range"]
    verdict = "no worse" if found["no_worse"] else "WORSE"
    return (
        f"  {name:14} {seconds:8.4f} s   {ratio['median']:6.1f}x  ({low:.1f} to {high:.1f})   score "
        f"{statistics.fmean(ours):.4f} and {statistics.fmean(theirs):.4f}, {verdict}"
    )
