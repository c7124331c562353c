"""One network, trained with several optimizers from the same start: the comparison that lecture [002] shows.

For one problem and one start; which optimizer is best elsewhere does not follow. Nothing is tuned here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import checks, optimizers
from .adaptive import AdaDelta, AdaGrad, Adam, AdamW, AMSGrad, NAdam, RMSprop
from .descent import SGD, Momentum, Optimizer
from .history import ABOUT_THE_RUN, History
from .network import Network
from .repeated_fits import fit_diverges
from .schedules import ExponentialDecay, StepDecay, TimeDecay
from .trainer import Trainer

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from .losses import Loss
    from .penalties import Penalty


def lecture_optimizers(lr: float = 0.1, *, adaptive_lr: float = 0.001) -> dict[str, Optimizer]:
    """Return what lecture [002] compares, schedules and adaptive algorithms, and their modern kin, by name.

    The lecture's own readings bear its tag: RMSprop and Adam without bias correction, and momentum as a mean, which at
    `lr` does the same as the usual momentum at lr / 10.

    Parameters
    ----------
    lr : float, default 0.1
        The rate of plain descent, where schedules start, and of the lecture's momentum; Nesterov's takes a tenth of it,
        since its steps add up to ten times as much.
    adaptive_lr : float, default 0.001
        The rate of the optimizers that divide by the gradient's size, so that a step is about as long as the rate. Ten
        times as much for AdaGrad, whose steps only shrink. AdaDelta has none: its lr is 1.

    Returns
    -------
    dict of str to Optimizer
        A new one at each call, to be edited.
    """
    lr = checks.number("lr", lr, above=0)
    adaptive = checks.number("adaptive_lr", adaptive_lr, above=0, most=sys.float_info.max / 10)
    return {
        "SGD, constant rate": SGD(lr),
        "SGD, time decay": SGD(TimeDecay(lr, decay=0.1)),
        "SGD, step decay": SGD(StepDecay(lr, drop=0.5, every=10)),
        "SGD, exponential decay": SGD(ExponentialDecay(lr, k=0.1)),
        "momentum of [002]": Momentum.lecture(lr),
        "RMSprop of [002]": RMSprop.lecture(adaptive),
        "Adam of [002]": Adam.lecture(adaptive),
        "AdaGrad": AdaGrad(10 * adaptive),
        "AdaDelta": AdaDelta(),
        "Nesterov's momentum": Momentum(lr / 10, style="nesterov"),
        "RMSprop": RMSprop(adaptive),
        "Adam": Adam(adaptive),
        "AdamW": AdamW(adaptive),
        "NAdam": NAdam(adaptive),
        "AMSGrad": AMSGrad(adaptive),
    }


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found; its repr is a table, an optimizer a line.

    Attributes
    ----------
    histories : dict of str to History
        The runs, in the order of the optimizers.
    networks : dict of str to Network
        What was trained.
    """

    histories: dict[str, History]
    networks: dict[str, Network]

    @property
    def judged_by(self) -> str:
        """What the runs are judged by: "val_loss" where there was a validation part, else "loss"."""
        first = next(iter(self.histories.values()))
        return "val_loss" if "val_loss" in first else "loss"

    @property
    def ranking(self) -> list[str]:
        """The names by the last epoch's `judged_by`, the lowest first; runs without a finite one last."""
        last = {name: history.last().get(self.judged_by, math.inf) for name, history in self.histories.items()}
        return sorted(last, key=lambda name: last[name] if math.isfinite(last[name]) else math.inf)

    def __repr__(self) -> str:
        """Return a table of the last epoch, the best epoch, the time, and what ended early."""
        figures = next(iter(self.histories.values()))
        names = [name for name in figures if name not in ("penalty", *ABOUT_THE_RUN)]
        width = max([len("optimizer"), *map(len, self.histories)])
        widths = {name: max(len(name), 9) for name in names}
        head = "".join(f"  {name:>{widths[name]}}" for name in names)
        lines = [f"{'optimizer':{width}}{head}  best epoch  seconds"]
        for optimizer, history in self.histories.items():
            last = history.last()
            cells = "".join(f"  {last.get(name, math.nan):{widths[name]}.4g}" for name in names)
            best = "-" if history.best_epoch is None else history.best_epoch
            early = "" if str(history.stop_reason).endswith("done") else f"  {history.stop_reason}"
            lines.append(f"{optimizer:{width}}{cells}  {best:>10}  {sum(history['seconds']):7.3f}{early}")
        return "\n".join(lines)

    def plot(self, name: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw a figure of the runs, `judged_by` by default, over the epochs; see `chainrule.plots.compared_curves`.

        Parameters
        ----------
        name : str, optional
            What to draw: a name that the histories have; `judged_by` if None.
        ax : matplotlib Axes, optional
            Where to draw. By default a new figure is made.

        Returns
        -------
        matplotlib Axes
            Where it was drawn; `axes.figure` is the figure.
        """
        from .plots import compared_curves

        return compared_curves(self.histories, self.judged_by if name is None else name, ax)


def compare(
    make_network: Callable[[], Network],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: str | Loss,
    optimizers: Mapping[str, str | Optimizer] | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    validation_split: float = 0.0,
    validation_data: Sequence[npt.ArrayLike] | None = None,
    penalty: Penalty | Sequence[Penalty] | None = None,
    metrics: Sequence[str] = (),
    seed: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: str | Mapping[int, float] | None = None,
) -> Comparison:
    """Train the same network with several optimizers: the same start, the same batches in the same order.

    Lecture [002]: "Comparing Performances of Different Learning Rate Schedules and Adaptive Learning Algorithms".

    Parameters
    ----------
    make_network : callable
        Returns a new network at each call, each time with the same start: with the same seed.
    X, y, epochs, batch_size, validation_split, validation_data, sample_weight, class_weight : as for `Trainer.fit`
        The same for every run.
    loss, penalty, metrics, seed : as for `Trainer`
        The same for every run.
    optimizers : mapping of str to Optimizer, optional
        What to compare, by name; `lecture_optimizers()` if None.

    Returns
    -------
    Comparison
        The histories, the networks, a ranking; it prints as a table and has `plot`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or the networks do not start alike.

    Examples
    --------
    >>> def make_network():
    ...     return Network([Dense(32, activation="relu"), Dense(10)], inputs=64, seed=0)
    >>> result = compare(make_network, X, y, loss="cross_entropy", validation_split=0.2)
    >>> print(result)
    >>> result.plot()
    """
    described = _described(lecture_optimizers() if optimizers is None else optimizers)
    networks = _alike(make_network, described)
    trainers = {
        name: Trainer(networks[name], loss=loss, optimizer=one, penalty=penalty, metrics=metrics, seed=seed)
        for name, one in described.items()
    }
    for trainer in trainers.values():
        # A rate that is too high is a result here, and stands in the table.
        fit_diverges(
            trainer,
            X,
            y,
            epochs=epochs,
            batch_size=batch_size,
            validation_split=validation_split,
            validation_data=validation_data,
            sample_weight=sample_weight,
            class_weight=class_weight,
        )
    return Comparison({name: trainer.history for name, trainer in trainers.items()}, networks)


def _described(given: object) -> dict[str, Optimizer]:
    """Return the optimizers by name, words resolved."""
    if not isinstance(given, Mapping) or not given or not all(isinstance(name, str) for name in given):
        shown = checks.shown(given)
        raise TypeError(f"optimizers must map names to optimizers, such as {{'Adam': Adam()}}; got {shown}")
    return {name: optimizers.resolve(f"optimizers[{name!r}]", one) for name, one in given.items()}


def _alike(make_network: object, names: Mapping[str, object]) -> dict[str, Network]:
    """Return a network for each name, checked to be different objects with the same start."""
    if not callable(make_network) or isinstance(make_network, (Network, type)):
        raise TypeError(f"make_network must be a function that returns a Network; got {checks.shown(make_network)}")
    networks = {name: checks.network("make_network()", make_network()) for name in names}
    if len({id(net) for net in networks.values()}) < len(networks):
        raise ValueError("make_network must return a new network at each call; it returned the same object again")
    first, *others = networks.values()
    start = first.state_dict()
    for net in others:
        state = net.state_dict()
        if repr(net) != repr(first) or not all(np.array_equal(state[name], start[name]) for name in start):
            raise ValueError("make_network must return the same network at each call, with the same seed and start")
    return networks
