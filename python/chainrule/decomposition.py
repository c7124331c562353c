"""Bias and variance: what part of an error stays on average over many trainings, and what part is chance.

A model is trained again and again, each time on another bootstrap set: as many rows as there are, drawn with
replacement. "High bias, low variance algorithms train models that are consistent, but inaccurate on average. High
variance, low bias algorithms train models that are accurate on average, but inconsistent" [003]. `bias_variance`
trains, `decomposed` does the sums for predictions from wherever. Nothing is said here about what to change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data, losses, plots, sparse, training_rows
from .repeated_fits import checked_builder, fit_diverges, made
from .trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from .losses import Loss
    from .network import Network
    from .optimizers import Optimizer
    from .penalties import Penalty

    Array = npt.NDArray[Any]
    Floats = npt.NDArray[np.float64]

KINDS = ("numbers", "classes")


@dataclass(frozen=True, eq=False, repr=False)
class BiasVariance:
    """The parts of an error; means over N test rows and R runs.

    Attributes
    ----------
    kind : {"numbers", "classes"}
        Whether errors are squared differences, or 0 and 1.
    error : float
        What is taken apart: `bias + variance + noise + remainder`, up to rounding.
    bias : float
        For numbers the squared bias, (mean of the runs - truth)^2. For classes the share of rows whose main prediction,
        that of most runs, is wrong. Where the truth is not known, the targets take its place, noise and all.
    variance : float
        For numbers the mean of (prediction - mean of the runs)^2. For classes what the runs that depart from the main
        prediction add to the error: `harmful - helpful`, which may be below 0.
    noise : float or None
        Error of the truth itself; None where it is not known.
    remainder : float
        0 where the truth is not known. Else what the noise of these very test rows has in common with the model's
        errors by chance: its expectation is 0 for numbers. For classes, where noise may also mend errors, it is what
        does not add up.
    harmful, helpful : float
        For classes: the share of predictions that depart from the main one where that is right, and the share that are
        right where the main one is wrong. For numbers `variance` and 0: all variance harms there.
    spread : float
        For classes the share of predictions that depart from the main one; for numbers `variance`.
    bias_of_rows, variance_of_rows : ndarray of shape (N,)
        `bias` and `variance` row by row; over the outputs they are means.
    predictions : ndarray
        Of each run: numbers (R, N, K), or classes (R, N).
    diverged : int
        Runs that diverged; they predict with their last good weights.
    """

    kind: str
    error: float
    bias: float
    variance: float
    noise: float | None
    remainder: float
    harmful: float
    helpful: float
    spread: float
    bias_of_rows: Floats
    variance_of_rows: Floats
    predictions: Array
    diverged: int = 0

    def __repr__(self) -> str:
        """Return the sum in a line."""
        name = "bias^2" if self.kind == "numbers" else "bias"
        parts = f"{self.bias:.4g} {name} + {self.variance:.4g} variance"
        if self.noise is not None:
            parts += f" + {self.noise:.4g} noise + {self.remainder:.2g} remainder"
        diverged = f"; {self.diverged} of {len(self.predictions)} runs diverged" if self.diverged else ""
        return f"<BiasVariance of {len(self.predictions)} runs: error {self.error:.4g} = {parts}{diverged}>"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the parts as a bar, and return the Axes; `chainrule.plots.bias_variance` draws several models.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. By default a new figure is made.

        Returns
        -------
        matplotlib Axes
            Where it was drawn; `axes.figure` is the figure.
        """
        noise, error = self.noise or 0.0, [self.error]
        return plots.bias_variance(
            ["model"], [self.bias], [self.variance], noise=noise, error=error, kind=self.kind, ax=ax
        )


def decomposed(
    predictions: npt.ArrayLike, y: npt.ArrayLike, truth: npt.ArrayLike | None = None, *, kind: str
) -> BiasVariance:
    """Take the error of several models on the same rows apart.

    ::

        numbers   E[(f - y)^2] = (E[f] - t)^2 + E[(f - E[f])^2] + (y - t)^2 + 2 (E[f] - t) (t - y)
                   error          bias^2         variance          noise        remainder
        classes   P(f != y) = [m != y] + [m = y] P(f != m) - [m != y] P(f = y),      m the class of most runs

    E and P go over the runs; t is the truth, or y where it is not known. The first is exact for any numbers. The
    second is Domingos's of 2000, for the 0-1 loss and any number of classes: variance adds to the error where the main
    prediction is right and may take from it where it is wrong.

    Parameters
    ----------
    predictions : array of shape (R, N, K) or (R, N)
        Of R models, at least two: numbers, or class numbers (R, N).
    y : array of shape (N, K) or (N,)
        Targets, as they were observed.
    truth : array like `y`, optional
        What y would be without noise: the expected number, or the likeliest class.
    kind : {"numbers", "classes"}

    Returns
    -------
    BiasVariance
        The parts on average and by row.

    Raises
    ------
    ValueError, TypeError
        If shapes do not suit, or numbers are not finite.

    Examples
    --------
    >>> cr.decomposed([[1.0], [3.0]], y=[0.0], kind="numbers")
    <BiasVariance of 2 runs: error 5 = 4 bias^2 + 1 variance>
    """
    checks.word("kind", kind, KINDS)
    if kind == "classes":
        return _of_classes(*_checked(predictions, y, truth, "iub", 2))
    return _of_numbers(*_checked(predictions, y, truth, "iubf", 3))


def _checked(
    predictions: object, y: object, truth: object, dtypes: str, most: int
) -> tuple[Array, Array, Array | None]:
    """Return the arrays, y and truth of the shape of one run's predictions."""
    known = data.real("predictions", predictions)
    if known.ndim not in range(2, most + 1) or known.shape[0] < 2 or 0 in known.shape:
        shapes = "(runs, rows)" if most == 2 else "(runs, rows) or (runs, rows, outputs)"
        raise ValueError(f"predictions must have shape {shapes}, at least two runs and one row; got {known.shape}")
    arrays = {"predictions": known, "y": data.real("y", y)}
    if truth is not None:
        arrays["truth"] = data.real("truth", truth)
    for name, array in arrays.items():
        if array.dtype.kind not in dtypes:
            raise TypeError(f"{name} must hold class numbers for kind='classes'; got {array.dtype}")
        if not data.all_finite(array):
            raise ValueError(f"{name} must be finite; it has NaN or infinity")
        # A single output may have a column of its own or not.
        own, shape = known.shape[1:], array.shape
        if name != "predictions" and own not in (shape, (*shape, 1)) and shape != (*own, 1):
            raise ValueError(f"{name} must have shape {own}, as each run's predictions; got {shape}")
    y_, true = arrays["y"].reshape(known.shape[1:]), arrays.get("truth")
    return known, y_, None if true is None else true.reshape(known.shape[1:])


def _of_numbers(predictions: Array, y: Array, truth: Array | None) -> BiasVariance:
    """Take squared errors apart."""
    runs = predictions.astype(np.float64).reshape(*predictions.shape[:2], -1)  # (R, N, K)
    y, true = (one.astype(np.float64).reshape(runs.shape[1:]) for one in (y, y if truth is None else truth))
    mean = runs.mean(axis=0)
    bias, variance = ((mean - true) ** 2).mean(axis=1), ((runs - mean) ** 2).mean(axis=(0, 2))
    spread = float(variance.mean())
    return BiasVariance(
        kind="numbers",
        error=float(((runs - y) ** 2).mean()),
        bias=float(bias.mean()),
        variance=spread,
        noise=None if truth is None else float(((y - true) ** 2).mean()),
        remainder=float((2 * (mean - true) * (true - y)).mean()),
        harmful=spread,
        helpful=0.0,
        spread=spread,
        bias_of_rows=bias,
        variance_of_rows=variance,
        predictions=predictions,
    )


def _of_classes(predictions: Array, y: Array, truth: Array | None) -> BiasVariance:
    """Take errors of 0 and 1 apart."""
    true = y if truth is None else truth
    known = np.unique(predictions)
    votes = np.stack([(predictions == one).sum(axis=0) for one in known])  # (classes, N)
    # Of classes with as many votes the first one is taken.
    main = known[votes.argmax(axis=0)]
    departs = (predictions != main).mean(axis=0)
    biased = main != true
    harmful = np.where(biased, 0.0, departs)
    helpful = np.where(biased, (predictions == true).mean(axis=0), 0.0)
    error, bias = float((predictions != y).mean()), float(biased.mean())
    variance = float((harmful - helpful).mean())
    noise = None if truth is None else float((y != true).mean())
    return BiasVariance(
        kind="classes",
        error=error,
        bias=bias,
        variance=variance,
        noise=noise,
        remainder=0.0 if noise is None else error - bias - variance - noise,
        harmful=float(harmful.mean()),
        helpful=float(helpful.mean()),
        spread=float(departs.mean()),
        bias_of_rows=biased.astype(np.float64),
        variance_of_rows=harmful - helpful,
        predictions=predictions,
    )


def bias_variance(
    make_network: Callable[[int], Network],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    X_test: npt.ArrayLike,
    y_test: npt.ArrayLike,
    *,
    loss: str | Loss,
    truth: npt.ArrayLike | None = None,
    optimizer: str | Optimizer = "adam",
    penalty: Penalty | Sequence[Penalty] | None = None,
    repeats: int = 20,
    epochs: int = 10,
    batch_size: int = 32,
    vary_start: bool = True,
    seed: int = 0,
) -> BiasVariance:
    """Train on bootstrap sets, and take the error on the test rows apart into bias, variance and noise [003].

    Parameters
    ----------
    make_network : callable
        Makes a network from a seed: `lambda seed: Network([Dense(16), Dense(1)], inputs=4, seed=seed)`.
    X, y : array
        Rows to draw from, targets as in `Trainer.fit`.
    X_test, y_test : array
        Other rows, on which the networks are judged.
    loss, optimizer, penalty : as for `Trainer`
        For each network. Where the loss has classes, errors are 0 and 1, otherwise squared differences of
        the network's outputs.
    truth : array like `y_test`, optional
        The targets without their noise, where they are known, as in a simulation. Without it noise counts as bias.
    repeats : int, default 20
        Bootstrap sets, at least 2.
    epochs, batch_size : int, default 10 and 32
        As in `Trainer.fit`.
    vary_start : bool, default True
        Whether each network starts from a seed of its own, `seed + r`; otherwise all start alike, from `seed`, and
        variance comes from the rows and their order alone.
    seed : int, default 0
        Key of the bootstrap sets, the shuffles and the starts.

    Returns
    -------
    BiasVariance
        The parts on average and by row; it prints as a table and has `plot`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or `make_network` does not hand the seed on.

    Notes
    -----
    A bootstrap set has about 63 % of the rows, some of them several times: its networks are somewhat worse than one
    trained on all rows, and their variance is an estimate of what new rows would cause. Where new rows can be drawn,
    train on them and give the predictions to `decomposed`.

    Examples
    --------
    >>> result = cr.bias_variance(make_network, X, y, X_test, y_test, loss="mse", epochs=200)
    >>> result.bias, result.variance
    """
    checked_builder("make_network", make_network, "a seed that returns a Network")
    known_loss = losses.resolve("loss", loss)
    repeats = checks.whole("repeats", repeats, least=2)
    vary_start, seed = checks.flag("vary_start", vary_start), checks.seed("seed", seed)
    predictions, diverged = [], 0
    for r in range(repeats):
        own = (seed + r) % 2**64
        net = made(make_network, own if vary_start else seed)
        if r == 0:
            kind = _kind(known_loss, net)
            # As they were given: other networks may have another precision.
            x, x_test = sparse.as_given("X", X), sparse.as_given("X_test", X_test)
            targets = _targets(net, known_loss, x, y)
            asked = _targets(net, known_loss, x_test, y_test, "test: ")
            true = None if truth is None else known_loss.targets("truth", truth, len(asked), net.outputs, net.dtype)
        drawn = np.random.default_rng([seed, r]).integers(0, len(targets), len(targets))
        trainer = Trainer(net, loss=known_loss, optimizer=optimizer, penalty=penalty, seed=own)
        diverged += fit_diverges(trainer, x[drawn], targets[drawn], epochs=epochs, batch_size=batch_size)
        out = net.predict(x_test)
        predictions.append(out if kind == "numbers" else _answers(known_loss, out))
    if kind == "classes":
        asked, true = _labels(known_loss, asked), None if true is None else _labels(known_loss, true)
    return dataclasses.replace(decomposed(np.stack(predictions), asked, true, kind=kind), diverged=diverged)


def _targets(net: Network, loss: Loss, X: Any, y: object, prefix: str = "") -> Array:
    """Return the targets of rows, both checked."""
    return training_rows.checked_rows(net, loss, X, y, None, prefix, takes_sparse=True).y


def _kind(loss: Loss, net: Network) -> str:
    """Return what a network gives under a loss: numbers, or classes."""
    metrics = loss.metrics(net.outputs)
    if not {"mse", "accuracy"} & set(metrics):
        raise ValueError(f"loss must have numbers or classes that exclude each other as targets; got {loss!r}")
    return "numbers" if "mse" in metrics else "classes"


def _answers(loss: Loss, out: Array) -> Array:
    """Return the classes (N,) that outputs (N, K) stand for."""
    answers: Array = out.argmax(axis=1) if out.shape[1] > 1 else (out[:, 0] > loss.threshold()).astype(np.int64)
    return answers


def _labels(loss: Loss, targets: Array) -> Array:
    """Return the classes (N,) of targets; of shares the greatest."""
    members = loss.memberships(targets)
    assert members is not None
    return members if members.ndim == 1 else members.argmax(axis=1)
