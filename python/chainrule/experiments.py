"""Two curves that say what a model lacks: its error over its size, and its error over the number of training rows.

Each point is trained several times, from other starts and with other validation parts, so that chance is seen. Which
size is taken is the caller's choice; `one_se_rule` is the lecture's advice made exact. `grow` trains each size once and
stops by itself; scikit-learn's `validation_curve` and `learning_curve` do for its estimators what is done here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data, topology, training_rows
from ._engine import shuffled_order
from .losses import Loss
from .plots import canvas, error_curve
from .repeated_fits import Setup, checked_builder, made, noted
from .trials import taken

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from .callbacks import Callback
    from .network import Network
    from .optimizers import Optimizer
    from .penalties import Penalty
    from .trials import Rows

    Array = npt.NDArray[Any]
    Floats = npt.NDArray[np.float64]

# The shares of the training rows that are tried where none are named: doubling shows whether doubling helps.
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
# The shuffle in whose order rows are added: an epoch number that no run reaches, and not that of the validation part.
GROWTH_EPOCH = data.SPLIT_EPOCH + 1


def one_se_rule(errors: npt.ArrayLike, complexity: npt.ArrayLike) -> int:
    """Return the number of the simplest model whose mean error is within one standard error of the best.

    ::

        mean_s <= mean_b + sd_b / sqrt(R),      b the model of the least mean, sd_b over its R errors

    "The simplest model which explains the majority of the data is usually the best" [004], Occam's razor. Source of the
    rule: Breiman, Friedman, Olshen and Stone 1984; see Hastie, Tibshirani and Friedman, section 7.10.

    Parameters
    ----------
    errors : array of shape (S, R)
        R errors of each of S models, at least one model and two errors: of folds, or of repeated runs. A model with an
        error that is not finite is never chosen.
    complexity : array of shape (S,)
        How complex the models are, such as their numbers of parameters. Of equally simple ones the better is taken.

    Returns
    -------
    int
        From 0 to S - 1.

    Raises
    ------
    ValueError, TypeError
        If shapes do not suit, or no model has finite errors alone.

    Examples
    --------
    >>> cr.one_se_rule([[0.40, 0.42], [0.30, 0.34], [0.29, 0.33]], complexity=[10, 20, 40])
    1
    """
    known: Floats = np.asarray(errors, dtype=np.float64)
    complex_: Floats = np.asarray(complexity, dtype=np.float64)
    if known.ndim != 2 or known.shape[0] < 1 or known.shape[1] < 2:
        raise ValueError(f"errors must have shape (models, runs), at least 1 and 2; got {known.shape}")
    if complex_.shape != known.shape[:1] or np.isnan(complex_).any():
        raise ValueError(f"complexity must be {len(known)} numbers, one for each model; got {checks.shown(complexity)}")
    finite = np.array([bool(np.isfinite(one).all()) for one in known])
    if not finite.any():
        raise ValueError("errors must be finite for at least one model")
    means = np.where(finite, np.where(finite[:, np.newaxis], known, 0).mean(axis=1), np.inf)
    best = int(means.argmin())
    limit = means[best] + standard_error(known[best])
    return min(map(int, np.flatnonzero(means <= limit)), key=lambda model: (complex_[model], means[model]))


def standard_error(errors: Floats) -> float:
    """Return sd / sqrt(R) of R errors, sd with R - 1 below."""
    with np.errstate(over="ignore"):  # of runs that diverged, squares may be infinite
        return float(errors.std(ddof=1) / math.sqrt(len(errors)))


@dataclass(frozen=True, eq=False, repr=False)
class ErrorCurve:
    """Errors of S points, R runs each: what both curves share. They describe its attributes."""

    training: Floats
    validation: Floats
    parameters: tuple[int, ...]
    diverged: npt.NDArray[np.bool_]
    measure: str

    @property
    def training_median(self) -> Floats:
        """Median of each point's training errors, (S,)."""
        middle: Floats = np.median(self.training, axis=1)
        return middle

    @property
    def validation_median(self) -> Floats:
        """Median of each point's validation errors, (S,)."""
        middle: Floats = np.median(self.validation, axis=1)
        return middle

    @property
    def validation_quartiles(self) -> Floats:
        """First and third quartile of each point's validation errors, (2, S)."""
        quartiles: Floats = np.quantile(self.validation, [0.25, 0.75], axis=1)
        return quartiles

    def _table(self, heads: Sequence[str], points: Sequence[Any], marks: Mapping[int, str]) -> list[str]:
        """Return a table, a point a line."""
        rows = []
        for s, (low, high) in enumerate(self.validation_quartiles.T):
            figures = f"{self.training_median[s]:.4g}", f"{self.validation_median[s]:.4g}", f"{low:.4g} to {high:.4g}"
            rows.append((str(points[s]), f"{self.parameters[s]:,}", *figures))
        heads = *heads, f"training {self.measure}", f"validation {self.measure}", "quartiles"
        lines = noted(heads, rows, [marks.get(s, "") for s in range(len(rows))])
        count = int(self.diverged.sum())
        return [*lines, *([f"{count} of {self.diverged.size} runs diverged"] if count else [])]

    def _drawn(self, sizes: Any, across: str, ax: Axes | None) -> Axes:
        """Draw medians and quartiles of both parts."""
        options: dict[str, Any] = {"across": across, "error": self.measure, "spread": "quartiles", "mark_best": False}
        return error_curve(sizes, self.training, self.validation, **options, ax=ax)


@dataclass(frozen=True, eq=False, repr=False)
class ComplexityCurve(ErrorCurve):
    """What `complexity_curve` found; its repr is a table, a size a line.

    Attributes
    ----------
    sizes : tuple
        The S sizes that were tried, R times each.
    training, validation : ndarray of shape (S, R)
        The error on both parts after training, in evaluation mode.
    parameters : tuple of int
        How many numbers the network of each point learned.
    diverged : ndarray of bool, shape (S, R)
        Which runs diverged; their errors are those of the last good weights.
    measure : str
        What the error is: "loss", "error" (share of wrong classes), "mae" or "mse".
    """

    sizes: tuple[Any, ...]

    @property
    def best(self) -> Any:
        """The size of the least mean validation error; the first of equal ones."""
        means = self.validation.mean(axis=1)
        return self.sizes[int(np.where(np.isnan(means), np.inf, means).argmin())]

    @property
    def simplest(self) -> Any:
        """The size with the fewest parameters within one standard error of the best, see `one_se_rule`."""
        return self.sizes[one_se_rule(self.validation, self.parameters)]

    def __repr__(self) -> str:
        """Return a table."""
        best, simplest = self.sizes.index(self.best), self.sizes.index(self.simplest)
        marks = {best: "best", simplest: "simplest within one standard error"}
        if best == simplest:
            marks = {best: "best, and the simplest within one standard error"}
        return "\n".join(self._table(("size", "parameters"), self.sizes, marks))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the errors over the sizes, and return the Axes.

        Medians and quartiles of both parts, the least mean validation error plus one standard error, and the simplest
        size below that. ImportError if matplotlib is missing.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. By default a new figure is made.

        Returns
        -------
        matplotlib Axes
            Where it was drawn; `axes.figure` is the figure.
        """
        ax = self._drawn([str(size) for size in self.sizes], "size of the model", ax)
        chosen = self.sizes.index(self.simplest)
        of_best = self.validation[self.sizes.index(self.best)]
        limit = float(of_best.mean()) + standard_error(of_best)
        ax.axhline(limit, color=canvas.QUIET, linewidth=1, linestyle=":", label="best mean + one standard error")
        ax.axvline(chosen, color=canvas.GREEN, linewidth=1.2, linestyle="--", label=f"simplest: {self.simplest}")
        canvas.legend(ax)
        return ax


@dataclass(frozen=True, eq=False, repr=False)
class DataSizeCurve(ErrorCurve):
    """What `data_size_curve` found; its repr is a table, a number of rows a line.

    Attributes
    ----------
    rows : tuple of int
        The S numbers of training rows, ascending, R runs each.
    training, validation : ndarray of shape (S, R)
        The error on both parts after training, in evaluation mode.
    parameters : tuple of int
        How many numbers the network of each point learned.
    diverged : ndarray of bool, shape (S, R)
        Which runs diverged; their errors are those of the last good weights.
    measure : str
        What the error is: "loss", "error" (share of wrong classes), "mae" or "mse".
    """

    rows: tuple[int, ...]

    @property
    def gap(self) -> Floats:
        """Validation error less training error, mean over the runs of each point, (S,)."""
        between: Floats = (self.validation - self.training).mean(axis=1)
        return between

    @property
    def last_gain(self) -> float:
        """How much the mean validation error fell from the last point but one to the last."""
        before, now = self.validation[-2:].mean(axis=1)
        return float(before - now)

    @property
    def last_gain_error(self) -> float:
        """Standard error of `last_gain`: both points were measured on the same validation parts, run by run."""
        return standard_error(self.validation[-2] - self.validation[-1])

    @property
    def more_would_help(self) -> bool:
        """Whether the error still fell at the end, by more than twice the standard error of that: find more data."""
        return self.last_gain > 2 * self.last_gain_error

    def __repr__(self) -> str:
        """Return a table, and what the last rows brought."""
        lines = self._table(("rows", "parameters"), self.rows, {})
        fell = f"{self.last_gain:.4g} +- {self.last_gain_error:.2g}"
        verdict = "more data would help" if self.more_would_help else "more of such data would hardly help"
        return "\n".join([*lines, f"from {self.rows[-2]} to {self.rows[-1]} rows the error fell by {fell}: {verdict}"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the errors over the number of training rows, and return the Axes; ImportError without matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. By default a new figure is made.

        Returns
        -------
        matplotlib Axes
            Where it was drawn; `axes.figure` is the figure.
        """
        ax = self._drawn(self.rows, "training rows", ax)
        ax.set_xscale("log")
        ax.set_xticks(self.rows, [str(count) for count in self.rows])
        ax.minorticks_off()
        return ax


def complexity_curve(
    make_network: Callable[[Any, int], Network],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    sizes: Sequence[Any],
    loss: str | Loss,
    optimizer: str | Optimizer = "adam",
    penalty: Penalty | Sequence[Penalty] | None = None,
    measure: str = "loss",
    repeats: int = 5,
    epochs: int = 10,
    batch_size: int = 32,
    validation_split: float = 0.2,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: str | Mapping[int, float] | None = None,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
) -> ComplexityCurve:
    """Train networks of several sizes, each several times, and measure both parts: under- to overfitting [004].

    Run r has the seed `seed + r`: for the start, the shuffles, and the validation part, which all sizes share.

    Parameters
    ----------
    make_network : callable
        Makes a network from a size and a seed:
        `lambda units, seed: Network([Dense(units, activation="tanh"), Dense(1)], inputs=4, seed=seed)`.
    X, y, epochs, batch_size, sample_weight, class_weight, callbacks : as for `Trainer.fit`
        For each network. What is measured counts rows by `sample_weight`, not by `class_weight`.
    sizes : sequence
        No two alike; anything that `make_network` takes, such as (16, 16) for two layers.
    loss, optimizer, penalty : as for `Trainer`
        For each network.
    measure : {"loss", "error", "mae", "mse"}
        What is measured; "error" is the share of rows whose class is wrong.
    repeats : int, default 5
        Runs of each size, at least 2: of one there is no spread.
    validation_split : float, default 0.2
        Share of the rows that is measured and not trained on, above 0 and below 1; of classes the same share each.
    seed : int, default 0
        That of the first run.

    Returns
    -------
    ComplexityCurve
        Errors by size and run, the best size and the simplest as good; it prints as a table and has `plot`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or `make_network` does not hand the seed on.

    Examples
    --------
    >>> curve = cr.complexity_curve(make_network, X, y, sizes=[1, 2, 4, 8, 16, 32], loss="mse", epochs=200)
    >>> curve.simplest
    >>> curve.plot().figure.savefig("complexity.png")
    """
    known = topology.checked_sizes(make_network, sizes)
    setup = Setup(
        loss,
        optimizer=optimizer,
        penalty=penalty,
        measure=measure,
        epochs=epochs,
        batch_size=batch_size,
        class_weight=class_weight,
        callbacks=callbacks,
    )
    share = checks.number("validation_split", validation_split, above=0, below=1)
    seeds = _seeds(seed, repeats)

    found = np.empty((3, len(known), len(seeds)))
    parameters = [0] * len(known)
    for r, own in enumerate(seeds):
        parts: tuple[Rows, Rows] | None = None
        for s, size in enumerate(known):
            net = made(make_network, size, own)
            parts = parts or topology.cut(net, X, y, sample_weight, setup.known_loss, share, own)
            parameters[s] = _learned(net)
            found[:, s, r] = setup.errors(net, *parts, own, setup.epochs)
    return ComplexityCurve(found[0], found[1], tuple(parameters), found[2] > 0, setup.measure, tuple(known))


def data_size_curve(
    make_network: Callable[[int], Network],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: str | Loss,
    rows: Sequence[int] | None = None,
    optimizer: str | Optimizer = "adam",
    penalty: Penalty | Sequence[Penalty] | None = None,
    measure: str = "loss",
    repeats: int = 5,
    epochs: int = 10,
    batch_size: int = 32,
    same_steps: bool = True,
    validation_split: float = 0.2,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: str | Mapping[int, float] | None = None,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
) -> DataSizeCurve:
    """Train on more and more of the rows, several times each, to see whether more data would help.

    "Find more training data" [000], "more data" [003]: the curve says beforehand what that would bring.
    Run r has the seed `seed + r`: for the start, the shuffles, the validation part, and the order in which rows are
    added. A larger part contains the smaller ones, and of classes each part has its share.

    Parameters
    ----------
    make_network : callable
        Makes a network from a seed: `lambda seed: Network([Dense(16), Dense(1)], inputs=4, seed=seed)`.
    X, y, epochs, batch_size, sample_weight, class_weight, callbacks : as for `Trainer.fit`
        For each network. What is measured counts rows by `sample_weight`, not by `class_weight`.
    loss, optimizer, penalty, measure, validation_split, seed : as for `complexity_curve`
        For each network.
    rows : sequence of int, optional
        How many rows to train on: at least two numbers, ascending, at most what the validation part leaves. None for a
        sixteenth of that, an eighth, a quarter, half and all.
    repeats : int, default 5
        Runs of each number, at least 2.
    same_steps : bool, default True
        Whether small parts get so many more epochs that they make as many steps as the largest does in `epochs`;
        otherwise they would be trained for a shorter time as well, which is another reason for errors.

    Returns
    -------
    DataSizeCurve
        Errors by number of rows and run, and whether more would help; it prints as a table and has `plot`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or `make_network` does not hand the seed on.

    Examples
    --------
    >>> curve = cr.data_size_curve(make_network, X, y, loss="cross_entropy", measure="error")
    >>> curve.more_would_help
    >>> curve.plot().figure.savefig("rows.png")
    """
    checked_builder("make_network", make_network, "a seed that returns a Network")
    setup = Setup(
        loss,
        optimizer=optimizer,
        penalty=penalty,
        measure=measure,
        epochs=epochs,
        batch_size=batch_size,
        class_weight=class_weight,
        callbacks=callbacks,
    )
    share = checks.number("validation_split", validation_split, above=0, below=1)
    same_steps = checks.flag("same_steps", same_steps)
    seeds = _seeds(seed, repeats)

    net = made(make_network, seeds[0])
    training, _ = topology.cut(net, X, y, sample_weight, setup.known_loss, share, seeds[0])
    known = _checked_rows(rows, len(training[1]))
    found = np.empty((3, len(known), len(seeds)))
    for r, own in enumerate(seeds):
        order: Array | None = None
        for s, count in enumerate(known):
            net = made(make_network, own)
            if order is None:
                training, validation = topology.cut(net, X, y, sample_weight, setup.known_loss, share, own)
                order = _growing_order(net, setup.known_loss, training, own)
            chosen = order[:count]
            fewer = taken(training, chosen)
            steps = math.ceil(known[-1] / setup.batch_size) / math.ceil(count / setup.batch_size)
            longer = math.ceil(setup.epochs * steps) if same_steps else setup.epochs
            found[:, s, r] = setup.errors(net, fewer, validation, own, longer)
    parameters = (_learned(net),) * len(known)
    return DataSizeCurve(found[0], found[1], parameters, found[2] > 0, setup.measure, tuple(known))


def _seeds(seed: object, repeats: object) -> list[int]:
    """Return the seeds of the runs."""
    first = checks.seed("seed", seed)
    return [(first + r) % 2**64 for r in range(checks.whole("repeats", repeats, least=2))]


def _learned(net: Network) -> int:
    """Return how many numbers a network learns."""
    return sum(parameter.size for parameter in net.parameters().values())


def _checked_rows(rows: object, most: int) -> list[int]:
    """Return the numbers of rows to train on, ascending."""
    if rows is None:
        known = sorted({max(round(most * share), 1) for share in SHARES})
    elif isinstance(rows, (list, tuple, range)):
        known = [checks.whole("rows", one, most=most) for one in rows]
    else:
        raise TypeError(f"rows must be a list of numbers of rows, such as [50, 100, 200]; got {checks.shown(rows)}")
    if len(known) < 2 or any(later <= one for one, later in itertools.pairwise(known)):
        raise ValueError(f"rows must hold at least two numbers, ascending, at most {most}; got {checks.shown(rows)}")
    return known


def _growing_order(net: Network, loss: Loss, training: Rows, seed: int) -> Array:
    """Return an order of the rows, drawn at random, of whose beginnings each has its share of every class."""
    rows = training_rows.checked_rows(net, loss, *training, takes_sparse=True)
    order = shuffled_order(len(rows.y), seed, GROWTH_EPOCH)
    members = loss.memberships(rows.y)
    if members is None:
        return order
    strata = (members if members.ndim == 1 else members.argmax(axis=1))[order]
    places = np.empty(len(order))
    for one in np.unique(strata):
        own = np.flatnonzero(strata == one)
        # The rows of a class are spread evenly.
        places[own] = (np.arange(len(own)) + 0.5) / len(own)
    evenly: Array = order[np.argsort(places, kind="stable")]
    return evenly
