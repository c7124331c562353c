"""The learning-rate range test: rates rise from step to step, and the loss tells which of them are of use.

One run of a few hundred steps on a copy of the network; what it was made from stays as it is. It suggests where to
begin and chooses nothing: a suggestion is tried, see `lr_policies`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from . import checks, data, sparse, standardize, training_rows
from .adaptive import Rprop
from .plots import learning_rate_range
from .trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from .data import Rows
    from .network import Network
    from .penalties import Penalty

    Floats = npt.NDArray[np.float64]

# A slope is that of a straight line through this share of the steps: of two neighbours it would be that of the noise.
SLOPE_SHARE = 0.15


@dataclass(frozen=True, eq=False, repr=False)
class RateRange:
    """What `lr_range_test` saw, and what follows from it; K steps were made.

    Attributes
    ----------
    rates : ndarray of shape (K,)
        The learning rate of each step, the one before it times the same factor.
    losses : ndarray of shape (K,)
        The loss of each step's batch, before its update; the last one may be infinite or NaN.
    smoothed : ndarray of shape (K,)
        Its running mean, see `lr_range_test`.
    diverged : bool
        Whether the test ended because the loss diverged; else all rates were tried.
    """

    rates: Floats
    losses: Floats
    smoothed: Floats
    diverged: bool

    @property
    def least(self) -> float | None:
        """The rate at which the smoothed loss was least; None where it never fell below its start."""
        place = self._place_of_least()
        return None if place is None else float(self.rates[place])

    @property
    def tenth_of_least(self) -> float | None:
        """A tenth of `least`: there the loss still falls, and it is far from where it rises. None as for `least`."""
        return None if self.least is None else self.least / 10

    @property
    def steepest(self) -> float | None:
        """The rate at which the smoothed loss fell fastest over log(rate), by straight lines; None as for `least`.

        Looked for between the last step at which the loss was above its median until then, and `least`. Where `least`
        comes after a few steps only, it is the rate halfway to it.
        """
        end = self._place_of_least()
        if end is None:
            return None
        half = max(round(SLOPE_SHARE * len(self.rates) / 2), 1)
        if end < 2 * half:
            return float(self.rates[end // 2])
        seen = self.smoothed[: end + 1]
        # Rates rise by the same factor in each step, so a slope over steps is one over log(rate).
        slopes = np.correlate(seen, np.arange(-half, half + 1), mode="valid")  # of the steps from `half` on
        # Before the fall the loss goes up and down by chance, by as much as it falls where it falls little.
        begin = int(np.flatnonzero(seen >= np.median(seen))[-1])
        first = min(max(begin - half, 0), len(slopes) - 1)
        return float(self.rates[half + first + int(slopes[first:].argmin())])

    @property
    def suggestion(self) -> float | None:
        """The smaller of `steepest` and `tenth_of_least`: a rate to begin with. None where no rate was of use."""
        if self.steepest is None or self.tenth_of_least is None:
            return None
        return min(self.steepest, self.tenth_of_least)

    @property
    def suggested_by(self) -> str | None:
        """Which of the two `suggestion` is: "steepest" or "tenth_of_least"."""
        if self.suggestion is None:
            return None
        return "steepest" if self.suggestion == self.steepest else "tenth_of_least"

    def _place_of_least(self) -> int | None:
        """Return the step of the least smoothed loss, the last of equal ones; None where that is the first step."""
        known = np.where(np.isfinite(self.smoothed), self.smoothed, np.inf)
        place = len(known) - 1 - int(np.argmin(known[::-1]))
        return place if known[place] < known[0] else None

    def __repr__(self) -> str:
        """Return the suggestion, and how the test went."""
        tried = f"rates {self.rates[0]:.3g} to {self.rates[-1]:.3g} in {len(self.rates)} steps"
        end = "then the loss diverged" if self.diverged else "without divergence"
        if not self.diverged and self.smoothed[-1] < self.smoothed[0]:
            end += ": a greater `max_lr` may show more"
        if self.suggestion is None:
            return f"<RateRange: {tried}, {end}; the loss never fell: no suggestion>"
        return (
            f"<RateRange: {tried}, {end}; suggestion {self.suggestion:.3g} ({self.suggested_by}); "
            f"steepest fall at {self.steepest:.3g}, least loss at {self.least:.3g}>"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the losses, as they were and smoothed, with both rates; see `chainrule.plots.learning_rate_range`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. By default a new figure is made.

        Returns
        -------
        matplotlib Axes
            Where it was drawn; `axes.figure` is the figure.
        """
        marks = {"steepest fall": self.steepest, "a tenth of the least loss's": self.tenth_of_least}
        known = {name: rate for name, rate in marks.items() if rate is not None}
        return learning_rate_range(self.rates, self.smoothed, known, ax, unsmoothed=self.losses)


def lr_range_test(
    trainer: Trainer,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    min_lr: float = 1e-6,
    max_lr: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    smoothing: float = 0.8,
    exploded: float = 4.0,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: str | Mapping[int, float] | None = None,
) -> RateRange:
    """Train a copy with a rate that rises from step to step, and look where the loss falls and where it rises.

    Lectures [003] and [004]: too low a rate is slow, too high a rate diverges; between them the loss falls::

        rate of step k = min_lr (max_lr / min_lr)^(k / (steps - 1)),    k = 0, 1, ..., steps - 1

    The smoothed loss is the mean of all losses so far, in which a loss of j steps ago counts smoothing^j. The loss has
    diverged when it is not finite, or the smoothed one has risen above its least by `exploded` - 1 times the larger
    of that least's size and what was gained until then: for a loss that stays near its start that is `exploded`
    times the loss. Source of the test: Smith 2017, "Cyclical learning rates for training neural networks".

    Parameters
    ----------
    trainer : Trainer
        Network, loss, penalties and optimizer to test; the optimizer's `lr`, a schedule too, gives way to the rising
        rate, and its memory starts empty. Nothing of the trainer and its network changes, not one bit: a
        `Standardize` that has no figures yet gets those of `X` in the copy.
    X, y : array
        As in `Trainer.fit`: rows to train on.
    min_lr, max_lr : float, default 1e-6 and 10.0
        First and last rate, above 0.
    steps : int, default 100
        At least 2. Where an epoch has fewer, another one follows, in another order.
    batch_size : int, default 32
        Rows of a step; a last step of an epoch with fewer is left out, since its loss is another.
    smoothing : float, default 0.8
        At least 0, which smooths nothing, and below 1. The smoothed loss lags about smoothing / (1 - smoothing) steps.
    exploded : float, default 4.0
        Above 1.
    sample_weight, class_weight : optional
        As in `Trainer.fit`.

    Returns
    -------
    RateRange
        Rates, losses and a suggestion; it has `plot`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit; with `Rprop`, whose steps soon depend on no rate; or where decoupled decay would
        take a whole weight in a step of the rate `max_lr`.

    Examples
    --------
    >>> tested = cr.lr_range_test(trainer, X, y)
    >>> tested.suggestion, tested.suggested_by
    >>> tested.plot().figure.savefig("rates.png")
    """
    if not isinstance(trainer, Trainer):
        raise TypeError(f"trainer must be a Trainer; got {checks.shown(trainer)}")
    if isinstance(trainer.optimizer, Rprop):
        raise ValueError("trainer must have an optimizer that heeds its rate in each step; Rprop does in the first")
    min_lr = checks.number("min_lr", min_lr, above=0)
    max_lr = checks.number("max_lr", max_lr, above=min_lr, most=float(np.finfo(trainer.net.dtype).max))
    if not math.isfinite(max_lr / min_lr):
        raise ValueError(f"max_lr / min_lr must be a finite number; got {max_lr:g} / {min_lr:g}")
    steps = checks.whole("steps", steps, least=2)
    batch_size = checks.whole("batch_size", batch_size)
    smoothing = checks.number("smoothing", smoothing, least=0, below=1)
    exploded = checks.number("exploded", exploded, above=1)
    data.check_finite(trainer.net.core.parameters(), "tested")
    # Batches are taken one by one, which is done on the host.
    rows = training_rows.checked_rows(
        trainer.net, trainer.loss, sparse.as_given("X", X), y, sample_weight, takes_sparse=True
    )
    counted = rows.weight
    rows = training_rows.with_class_weight(trainer.net, trainer.loss, rows, class_weight)
    training_rows.check_steps(trainer.net, len(rows.x), batch_size, False)
    rates = min_lr * (max_lr / min_lr) ** (np.arange(steps) / (steps - 1))
    stepper = _Stepper(trainer, rates, len(rows.x))
    standardize.measure_missing(stepper.net, rows.x, counted, stacklevel=2)

    losses: list[float] = []
    smoothed: list[float] = []
    mean = weight = 0.0
    diverged = False
    for step, batch in zip(range(steps), _batches(rows, batch_size, trainer.seed), strict=False):
        losses.append(stepper.step(step, batch))
        weight = smoothing * weight + 1
        # Of equal losses exactly these; where nothing is smoothed, exactly the loss.
        mean = losses[-1] if weight == 1 else mean + (losses[-1] - mean) / weight
        smoothed.append(mean)
        lowest = min(smoothed)
        limit = lowest + (exploded - 1) * max(abs(lowest), smoothed[0] - lowest)
        # Also where it is not a number.
        if not (math.isfinite(losses[-1]) and smoothed[-1] <= limit):
            diverged = True
            break
    done = len(losses)
    return RateRange(rates[:done], np.array(losses), np.array(smoothed), diverged)


class _Stepper:
    """Single steps on a copy of a trainer's network, each with a rate of its own."""

    def __init__(self, trainer: Trainer, rates: Floats, rows: int) -> None:
        # A function of the "epoch", which counts the steps here: the optimizer then asks for a rate at each.
        self._optimizer = dataclasses.replace(trainer.optimizer, lr=lambda step: float(rates[step]))
        self._optimizer.check_decay(trainer.net, float(rates[-1]))
        factors = dict(self._optimizer.layer_lr or ())
        self._penalties = [part for one in trainer.penalty for part in _by_factor(one, trainer.net, factors)]
        for penalty, factor in self._penalties:
            penalty.check_decay(factor * float(rates[-1]))
        self.net = trainer.net.copy().train()
        self._loss, self._rates, self._rows = trainer.loss, rates, rows

    def step(self, number: int, batch: Rows) -> float:
        """Do one step; return the loss before it."""
        net, counts = self.net, (self._rows, len(batch.y))
        net.zero_grad()
        loss = self._loss(net(cast(Any, batch.x)), batch.y, batch.weight)
        if not math.isfinite(float(loss)):
            return float(loss)
        loss.backward()
        for penalty, factor in self._penalties:
            penalty.add_gradient(net, *counts)
            penalty.before_step(net, factor * self._rates[number], *counts)
        self._optimizer.step(net, epoch=number)
        for penalty, factor in self._penalties:
            penalty.after_step(net, factor * self._rates[number], *counts)
        return float(loss)


def _by_factor(penalty: Penalty, net: Network, factors: Mapping[int, float]) -> list[tuple[Penalty, float]]:
    """Return a penalty as one for each factor of the learning rate, since what it does by itself takes one rate."""
    counted = range(len(net.layers)) if penalty.layers is None else penalty.layers
    learning = {int(name.split(".")[0]) for name in net.core.parameters()}
    layers = [number for number in counted if number in learning]
    known = sorted({factors.get(number, 1.0) for number in layers})
    if len(known) < 2:
        return [(penalty, factor) for factor in known]
    return [
        (dataclasses.replace(penalty, layers=[n for n in layers if factors.get(n, 1.0) == factor]), factor)
        for factor in known
    ]


def _batches(rows: Rows, batch_size: int, seed: int) -> Any:
    """Yield whole batches without end, epoch after epoch, in the order in which `Trainer.fit` has them."""
    numbers = np.arange(len(rows.x))
    size, epoch = min(batch_size, len(numbers)), 0
    while True:
        for chosen, _ in data.batches(numbers, numbers, batch_size=size, seed=seed, epoch=epoch, drop_last=True):
            yield rows.take(chosen)
        epoch += 1
