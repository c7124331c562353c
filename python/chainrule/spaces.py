"""Search spaces: which hyper-parameters there are, and the values that each may take. Nothing is trained here.

A space is a plain dict from names to values, to be edited as any dict. The values of a name are a list, or a
distribution: an object with `rvs` and `ppf`, such as `Between` or those of scipy.stats. scikit-learn takes the same
dict as `param_grid` (lists alone) or `param_distributions`. What the names mean, the function says that makes a trainer
of them; only those of `FIT_OPTIONS` are handed to the fit.

A grid is the product of its lists, so that its size is the product of their lengths: the curse of dimensionality
([002]). Points are drawn here and not by scikit-learn, whose samplers would be a dependency for a product and a loop.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from . import checks
from .activations import LeakyReLU
from .losses import BinaryCrossEntropy, CrossEntropy

Space = Mapping[str, Any]
Settings = dict[str, Any]

# Names of a space that `Trainer.fit` is given.
FIT_OPTIONS = ("epochs", "batch_size")
SPACES = ("lecture", "recipe")


@dataclass(frozen=True)
class Between:
    """A distribution of numbers from `low` to `high`, for a search that draws its points; scikit-learn takes it too.

    ::

        q(u) = low + u (high - low),  or  low (high / low)^u  with scale="log",   u uniform on [0, 1]

    Rates and strengths matter by their order of magnitude: scale="log". Whole numbers are drawn as
    floor(low (((high + 1) / low)^u)) or its linear counterpart, so that on a linear scale each is equally likely.

    Parameters
    ----------
    low, high : float or int
        The least and the greatest, low < high; above 0 on a logarithmic scale.
    scale : {"linear", "log"}
    whole : bool, default False
        Whether only whole numbers are drawn; low and high are whole then, and both may come.
    """

    low: float
    high: float
    _: KW_ONLY
    scale: str = "linear"
    whole: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        checks.option(self, "whole", checks.flag)
        checks.word("scale", self.scale, ("linear", "log"))
        check: Any = checks.number
        bounds: dict[str, float] = {"above": 0} if self.scale == "log" else {}
        if self.whole:
            check, bounds = checks.whole, {"least": 1 if self.scale == "log" else -checks.MOST}
        for name in ("low", "high"):
            checks.option(self, name, check, **bounds)
        if not self.low < self.high:
            raise ValueError(f"low must be below high; got low={self.low:g}, high={self.high:g}")

    def ppf(self, q: float) -> Any:
        """Return the value that a share `q` of all draws does not exceed, q from 0 to 1.

        Parameters
        ----------
        q : float
            The share, from 0 to 1.

        Returns
        -------
        float or int
            From `low` to `high`; an int where `whole` is set.
        """
        share = checks.number("q", q, least=0, most=1)
        end = self.high + 1 if self.whole else self.high
        if self.scale == "log":
            value = math.exp(math.log(self.low) * (1 - share) + math.log(end) * share)
        else:
            value = self.low * (1 - share) + end * share
        value = min(max(value, self.low), self.high)  # a rounding may lie beyond, and so does the end of whole numbers
        return math.floor(value) if self.whole else value

    def rvs(self, random_state: Any = None) -> Any:
        """Draw a value, as a distribution of scipy.stats does.

        Parameters
        ----------
        random_state : numpy.random.Generator, numpy.random.RandomState or int, optional
            What draws; an int is a seed.

        Returns
        -------
        float or int
            From `low` to `high`; an int where `whole` is set.
        """
        if not hasattr(random_state, "uniform"):
            random_state = np.random.default_rng(random_state)
        return self.ppf(float(random_state.uniform()))


def search_space(name: str = "lecture", *, kind: str = "classes") -> Settings:
    """Return a ready-made search space: a dict of lists, to be edited. `trainer_for` makes a trainer of its points.

    "lecture" has every hyper-parameter of [000]'s and [002]'s lists, with their values where they give any: learning
    rates 0.1, 0.01, 0.001, dropout 0.2, 0.4, 0.5, epochs 20, 50, 100, batches of 32 to 256, the four optimizers. Its
    grid has millions of points: draw some of it, or delete most names and keep what matters.

    "recipe" has [000]'s heuristics, from the first to try to the last: 0.1 for the learning rate, divided by 3 each
    time; times 0.1 every 1 to 10 epochs; about 0.00001 as regularization constant; "start smallish, keep adding
    layers and nodes until you overfit too much".

    Parameters
    ----------
    name : {"lecture", "recipe"}
        Which of the two above.
    kind : {"classes", "binary", "labels", "regression"}
        What the targets are, as `head_for` says; which losses there are depends on it. Losses that differ have values
        that cannot be compared: search over them by a metric, such as monitor="val_accuracy".

    Returns
    -------
    dict of str to list
        A new one at each call.

    Examples
    --------
    >>> space = cr.search_space("lecture")
    >>> del space["loss"], space["weight_init"]
    >>> space["learning_rate"] = cr.Between(1e-4, 1e-1, scale="log")
    >>> result = cr.search(lambda settings: cr.trainer_for(settings, X, y), space, X, y, trials=10)
    """
    checks.word("name", name, SPACES)
    checks.word("kind", kind, tuple(LOSSES))
    if name == "recipe":
        return {
            # Five rates: the last is about a hundredth of the first.
            "learning_rate": [0.1 / 3**times for times in range(5)],
            "drop_every": [10, 3, 1],
            "l2": [1e-5],
            "hidden_layers": [1, 2, 3],
            "units": [8, 16, 32, 64],
        }
    return {
        # Of the structure.
        "hidden_layers": [1, 2, 3],  # named in [000] and [002], without values
        "units": [16, 32, 64, 128],  # the same
        "activation": ["relu", LeakyReLU(slope=0.1), "elu", "tanh"],  # in [003]'s order; the sigmoid it advises against
        "weight_init": ["glorot_uniform", "he_uniform", "glorot_normal", "he_normal"],  # [002]: "mostly uniform"
        "dropout": [0.2, 0.4, 0.5],  # [002]
        # Of the training.
        "loss": list(LOSSES[kind]),  # named in [000]
        "optimizer": ["sgd", "momentum", "rmsprop", "adam"],  # [002]
        "learning_rate": [0.1, 0.01, 0.001],  # [002]
        "momentum": [0.5, 0.9, 0.99],  # [002] has 0.9; only the optimizer "momentum" heeds it
        "l2": [1e-5, 1e-4, 1e-3],  # [000]: about 0.00001
        "epochs": [20, 50, 100],  # [002]
        "batch_size": [32, 64, 128, 256],  # [002]
    }


LOSSES: Mapping[str, tuple[Any, ...]] = {
    "classes": ("cross_entropy", CrossEntropy(label_smoothing=0.1)),
    "binary": ("binary_cross_entropy", BinaryCrossEntropy(label_smoothing=0.1)),
    "labels": ("binary_cross_entropy", BinaryCrossEntropy(label_smoothing=0.1)),
    "regression": ("mean_squared_error", "mean_absolute_error", "huber"),
}


# Points --------------------------------------------------------------------------------------------------------------


def checked_space(argument: str, space: object) -> dict[str, Any]:
    """Return a space with its lists as tuples."""
    if not isinstance(space, Mapping) or not space or not all(isinstance(name, str) for name in space):
        shown = checks.shown(space)
        raise TypeError(f"{argument} must map names to lists of values, such as {{'units': [8, 16]}}; got {shown}")
    result = {}
    for name, values in space.items():
        if is_distribution(values):
            result[name] = values
        elif isinstance(values, (list, tuple, range, np.ndarray)):
            result[name] = tuple(values.tolist() if isinstance(values, np.ndarray) else values)
            if not result[name]:
                raise ValueError(f"{argument}[{name!r}] must hold at least one value; it is empty")
        else:
            shown = checks.shown(values)
            raise TypeError(f"{argument}[{name!r}] must be a list of values, or have rvs and ppf; got {shown}")
    return result


def is_distribution(values: object) -> bool:
    """Return whether values are drawn, not listed."""
    return hasattr(values, "rvs") and hasattr(values, "ppf")


def grid_size(space: Space) -> int:
    """Return how many points the grid of a space has, the product of the lengths of its lists.

    Parameters
    ----------
    space : dict of lists
        Values by name.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError, TypeError
        If a name has no list of values.

    Examples
    --------
    Ten names of three values each: the curse of dimensionality.

    >>> cr.grid_size({f"x{i}": [1, 2, 3] for i in range(10)})
    59049
    """
    known = checked_space("space", space)
    for name, values in known.items():
        if is_distribution(values):
            raise ValueError(f"space[{name!r}] is a distribution, of which no grid can be made; list its values")
    return math.prod(map(len, known.values()))


def grid_points(space: Space) -> Iterator[Settings]:
    """Return the points of the grid, the values of the last name changing fastest."""
    grid_size(space)
    known = checked_space("space", space)
    return (dict(zip(known, values, strict=True)) for values in itertools.product(*known.values()))


def random_points(space: Space, count: int, seed: int) -> list[Settings]:
    """Return points drawn from a space; where there are only lists, no point twice, and at most all of them."""
    known = checked_space("space", space)
    count, draw = checks.whole("trials", count), np.random.default_rng(checks.seed("seed", seed))
    listed = not any(map(is_distribution, known.values()))
    wanted = min(count, grid_size(space)) if listed else count
    drawn: list[Settings] = []
    seen: set[tuple[int, ...]] = set()
    while len(drawn) < wanted:
        # A place in a list, or a value.
        point = [
            one.rvs(random_state=draw) if is_distribution(one) else int(draw.integers(len(one)))
            for one in known.values()
        ]
        if listed and tuple(point) in seen:
            continue
        seen.add(tuple(point))
        drawn.append(
            {
                name: plain(at) if is_distribution(known[name]) else known[name][at]
                for name, at in zip(known, point, strict=True)
            }
        )
    return drawn


def plain(value: Any) -> Any:
    """Return a number of NumPy as Python's: a width of a layer is an int."""
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0 else value


def point_text(settings: Mapping[str, Any]) -> str:
    """Return a point as a table shows it."""
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value!r}" for name, value in settings.items()
    )


def sizes_text(space: Space) -> str:
    """Return the size of a grid as the product that it is: "3 x 4 = 12"."""
    lengths: Sequence[int] = [len(values) for values in checked_space("space", space).values()]
    return f"{' x '.join(map(str, lengths))} = {grid_size(space):,}"
