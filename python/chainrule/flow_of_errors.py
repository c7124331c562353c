"""The flow of errors of lecture [003]: training, training-dev, validation, test, and at which of them the error rises.

::

    training error high?                -> bias
    training-dev error higher than it   -> variance                  (or validation, where there is no training-dev)
    validation error higher than it     -> train-test mismatch
    test error higher than it           -> overfitted validation set

It judges numbers: how they were measured is not its matter, but for how far chance alone may have moved them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import checks, data
from .findings import Diagnosis, Finding

if TYPE_CHECKING:
    import numpy.typing as npt

    from .losses import Loss

    Array = npt.NDArray[np.float64]

PARTS = ("training", "training_dev", "validation", "test")
# An error is higher than the one before it if it is by this share: less comes from any part that was not learned from.
HIGHER = 0.25
# ... and by this many standard errors of the difference, where they are known. A choice by the validation part finds an
# error that is low by chance, and the best of some dozens lies two standard errors low, not three: there it is enough
# that chance alone would do it once in twenty times.
SURE = 3.0
SURE_OF_TEST = 1.645
# An error is above the target if it is so by as many: 1 of 40 that lie on it are called high.
SURE_OF_TARGET = 2.0
# Groups into which rows are cut to see how much a mean over them varies: their means are some twenty numbers.
GROUPS = 20


class Measured(NamedTuple):
    """An error, and its standard error: how far it may be off because there are no more rows; NaN where not known."""

    error: float
    deviation: float = math.nan

    def __str__(self) -> str:
        """Return both."""
        return f"{self.error:.4g}" + ("" if math.isnan(self.deviation) else f" ± {self.deviation:.2g}")


def error_flow(
    training: float,
    *,
    training_dev: float | None = None,
    validation: float | None = None,
    test: float | None = None,
    target: float,
    rows: Mapping[str, int] | None = None,
) -> Diagnosis:
    """Ask the four questions of lecture [003] and return what they name, with the lecture's remedies.

    An error is high if it is above `target`; that of training is then bias. Each of the others is laid to its own cause
    only if it is also a quarter above those before it, since else it was high already. Mend the first finding first,
    as the lecture's arrows do, and measure again. [003] says "training and validation" at the second question; it is
    the recipe with a part of its own there, rows like those of training that are not learned from (`split` makes it).
    Without that part the step from training to validation is called variance, and may be mismatch.

    Parameters
    ----------
    training : float
        Error on the training rows: a loss, or a share of wrong answers; the less the better.
    training_dev, validation, test : float, optional
        The same on the other parts; what is left out is not asked about.
    target : float
        The error that is acceptable.
    rows : mapping of str to int, optional
        Rows of the parts by name, where errors are shares of wrong answers: then a difference counts only if it is
        twice what chance makes, sqrt(e (1 - e) / rows) for each.

    Returns
    -------
    Diagnosis
        A finding for each question that is answered with yes; it prints as text.

    Raises
    ------
    ValueError, TypeError
        If a number is not finite, `rows` names an unknown part, or is given for an error above 1.

    Examples
    --------
    >>> cr.error_flow(0.02, training_dev=0.03, validation=0.11, test=0.12, target=0.05).names
    ('train-test mismatch',)
    """
    given = {"training": training, "training_dev": training_dev, "validation": validation, "test": test}
    errors = {
        name: checks.number(name, value) for name, value in given.items() if name == "training" or value is not None
    }
    counts = {} if rows is None else checked_rows(rows)
    parts = {name: Measured(error, deviation_of_share(name, error, counts.get(name))) for name, error in errors.items()}
    limit = checks.number("target", target)
    looked = tuple(f"{name.replace('_', '-')} error {value}" for name, value in parts.items())
    missing = tuple(f"{name.replace('_', '-')} error: give {name}=" for name in PARTS if name not in parts)
    return Diagnosis(tuple(flow_findings(parts, limit)), (*looked, f"target {limit:.4g}"), missing)


def checked_rows(rows: object) -> dict[str, int]:
    """Return the numbers of rows by part."""
    if not isinstance(rows, Mapping):
        raise TypeError(f"rows must map names of parts to numbers of rows; got {checks.shown(rows)}")
    return {checks.word("rows", name, PARTS): checks.whole(f"rows[{name!r}]", count) for name, count in rows.items()}


def deviation_of_share(name: str, share: float, rows: int | None) -> float:
    """Return the standard error of a share of so many rows.

    One row is added each way (Agresti and Coull's remedy): none wrong of ten does not mean that none can be.
    """
    if rows is None:
        return math.nan
    share = checks.number(f"{name}, with rows, a share of wrong answers,", share, least=0, most=1)
    middle = (share * rows + 1) / (rows + 2)
    return math.sqrt(middle * (1 - middle) / (rows + 2))


def flow_findings(parts: Mapping[str, Measured], target: float) -> Iterator[Finding]:
    """Yield the answers to the four questions, for the parts that there are, in their order."""
    names = {"training_dev": "variance", "validation": "train-test mismatch", "test": "overfitted validation set"}
    if "training_dev" not in parts:
        names["validation"] = "variance"
    highest: str | None = None
    for part in PARTS:
        if part not in parts:
            continue
        now = parts[part]
        told = f"the {part.replace('_', '-')} error is {now}, above the target of {target:.4g}"
        is_high = now.error - target > (0.0 if math.isnan(now.deviation) else SURE_OF_TARGET * now.deviation)
        if highest is None:
            if is_high:
                yield Finding("bias", told, {part: now.error, "target": target})
        elif is_high and is_higher(now, parts[highest], SURE_OF_TEST if part == "test" else SURE):
            text = f"{told}, and the {highest.replace('_', '-')} error only {parts[highest]}"
            if part == "validation" and "training_dev" not in parts:
                text += " (without training_dev= it may be train-test mismatch)"
            numbers = {part: now.error, highest: parts[highest].error, "target": target}
            yield Finding(names[part], text, numbers)
        # By chance a later part may have less: what is compared with is the highest so far.
        if highest is None or now.error > parts[highest].error or part == "validation":
            highest = part


def is_higher(now: Measured, before: Measured, sure: float = SURE) -> bool:
    """Return whether one error is above another by more than is usual, and than chance makes."""
    difference = now.error - before.error
    chance = math.hypot(*(0.0 if math.isnan(one.deviation) else one.deviation for one in (now, before)))
    return difference > max(HIGHER * abs(before.error), sure * chance)


# ---------------------------------------------------------------------------------------------------- Errors from rows


def mean_loss(loss: Loss, p: Array, y: Array) -> Measured:
    """Return the loss of outputs p (N, K) a row, and its standard error from the losses of groups of rows.

    Where the loss is a sum over rows it is divided by them, so that parts of different sizes can be compared.
    """
    rows = len(p)
    if not data.all_finite(p):
        return Measured(math.inf)
    groups = [np.arange(start, rows, GROUPS) for start in range(min(GROUPS, rows))]
    values = [float(loss(p[group], y[group])) / (len(group) if loss.is_sum else 1) for group in groups]
    mean = float(np.average(values, weights=[len(group) for group in groups]))
    if len(values) == 1 or not math.isfinite(mean):
        return Measured(mean)
    return Measured(mean, float(np.std(values, ddof=1)) / math.sqrt(len(values)))


def scale(loss: Loss, y: Array, outputs: int) -> tuple[float, float]:
    """Return two losses a row to measure others by: of the best answer that does not look at the row, and of the best.

    For the first, the means of the targets are tried, as logarithms and logits where the loss takes such, and where
    numbers are learned their quantiles: the best constants of cross-entropies, squared and absolute error, Poisson's
    and the pinball loss, and near the best of Huber's. The second is 0 for all losses but Poisson's, which is less.
    """
    targets = np.asarray(loss.targets("y", y, len(y), outputs, np.dtype(np.float64)))
    shares = np.eye(outputs)[targets] if targets.ndim == 1 else targets
    mean = shares.mean(axis=0)
    constants, best = [mean], shares
    with np.errstate(divide="ignore"):
        if getattr(loss, "from_logits", False):
            constants, best = [np.log(mean), np.log(mean) - np.log(1 - mean)], np.log(shares)
        elif getattr(loss, "from_log", False):
            constants, best = [np.log(mean)], np.log(shares)
        elif loss.memberships(targets) is None:
            constants += list(np.quantile(shares, np.linspace(0.05, 0.95, 19), axis=0))
    guess = min(loss_of(loss, np.broadcast_to(one, shares.shape), targets) for one in constants)
    return guess, min(0.0, loss_of(loss, best, targets))


def loss_of(loss: Loss, p: Array, targets: Array) -> float:
    """Return the loss a row of outputs p (N, K) that may have logarithms of 0: -1000 does as well."""
    return mean_loss(loss, np.nan_to_num(p, nan=0.0, posinf=1e3, neginf=-1e3), targets).error
