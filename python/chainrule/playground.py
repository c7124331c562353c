"""Descent in two dimensions, where it can be drawn: test functions, and linear regression with two weights.

The optimizers are those that train networks: the point is the weight of a network of one layer, in float64. For looking
and teaching; nothing here trains anything else, and a function of more than two variables is no matter for a picture.
Lectures [002] and [004] show such paths: convex or not, smooth or noisy, with momentum and without.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from . import checks, data, optimizers
from .layers import Dense
from .losses import MeanSquaredError
from .network import Network
from .optimizers import Optimizer
from .summary import size
from .trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

# Landscapes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Landscape:
    """A function of two variables, with its gradient.

    Parameters
    ----------
    name : str
        What it is called.
    value : callable
        f of points (..., 2), as an array (...).
    gradient : callable
        The gradient at points (..., 2), as an array (..., 2).
    view : tuple of float
        Left, right, bottom and top of the part that is worth a look.
    minima : sequence of pairs, or array of shape (n, 2)
        Where the minima are, the lowest first. Kept as a tuple of pairs.
    convex : bool
        Whether f is convex; then descent cannot end in the wrong place.
    variables : pair of str, default ("x", "y")
        What the axes are called.
    """

    name: str
    value: Callable[[Array], Array] = field(repr=False)
    gradient: Callable[[Array], Array] = field(repr=False)
    view: tuple[float, float, float, float]
    minima: tuple[tuple[float, float], ...]
    convex: bool
    variables: tuple[str, str] = ("x", "y")

    def __post_init__(self) -> None:
        """Check what a picture and a descent rely on."""
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a str; got {checks.shown(self.name)}")
        for name in ("value", "gradient"):
            if not callable(getattr(self, name)):
                raise TypeError(
                    f"{name} must be a function of points (..., 2); got {checks.shown(getattr(self, name))}"
                )
        checks.option(self, "view", checked_view)
        checks.option(self, "minima", checked_minima)
        checks.option(self, "convex", checks.flag)
        variables = self.variables
        is_pair = isinstance(variables, (list, tuple)) and len(variables) == 2
        if not is_pair or not all(isinstance(one, str) for one in variables):
            raise TypeError(f"variables must be a pair of str, such as ('x', 'y'); got {checks.shown(variables)}")
        object.__setattr__(self, "variables", tuple(variables))


def checked_view(argument: str, value: object) -> tuple[float, ...]:
    """Return `value` as (left, right, bottom, top)."""
    view = data.real(argument, value)
    if view.shape != (4,) or not np.isfinite(view).all() or not (view[0] < view[1] and view[2] < view[3]):
        raise ValueError(f"{argument} must be (left, right, bottom, top), ascending; got {checks.shown(value)}")
    return tuple(float(one) for one in view)


def checked_minima(argument: str, value: object) -> tuple[tuple[float, float], ...]:
    """Return `value`, pairs of numbers in whatever form, as a tuple of pairs."""
    minima = data.real(argument, value)
    if minima.size and (minima.ndim != 2 or minima.shape[1] != 2 or not np.isfinite(minima).all()):
        raise ValueError(f"{argument} must be pairs of finite numbers; got {checks.shown(value)}")
    return tuple((float(x), float(y)) for x, y in minima.reshape(-1, 2))


def _both(dx: Array, dy: Array) -> Array:
    """Return two derivatives as gradients (..., 2)."""
    return np.stack([dx, dy], axis=-1)


def _valley(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    value: Array = (x**2 + 25 * y**2) / 2
    return value


def _valley_gradient(p: Array) -> Array:
    return p * [1.0, 25.0]


def _rosenbrock(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    value: Array = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    return value


def _rosenbrock_gradient(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    return _both(-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2))


def _himmelblau(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    value: Array = (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2
    return value


def _himmelblau_gradient(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    a, b = x**2 + y - 11, x + y**2 - 7
    return _both(4 * x * a + 2 * b, 2 * a + 4 * y * b)


def _saddle(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    value: Array = x**2 / 2 - y**2 / 2 + y**4 / 4
    return value


def _saddle_gradient(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    return _both(x, y**3 - y)


def _wells(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    value: Array = (x**2 - 1) ** 2 + 0.3 * x + y**2
    return value


def _wells_gradient(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    return _both(4 * x * (x**2 - 1) + 0.3, 2 * y)


# Where the derivative 4 x^3 - 4 x + 0.3 of the wells is 0 and rises; the lower well is the left one.
_LEFT_WELL, _RIGHT_WELL = -1.0355787140888537, 0.9601495555191055
_HIMMELBLAU_MINIMA = (
    (3.0, 2.0),
    (-2.805118086952745, 3.131312518250573),
    (-3.779310253377747, -3.283185991286170),
    (3.584428340330492, -1.848126526964404),
)

LANDSCAPES = {
    landscape.name: landscape
    for landscape in (
        # (x^2 + 25 y^2) / 2: steep across, flat along, so that plain descent swings from side to side [002].
        Landscape("valley", _valley, _valley_gradient, (-11.0, 3.0, -2.0, 2.0), ((0.0, 0.0),), True),
        # (1 - x)^2 + 100 (y - x^2)^2, a bent valley (Rosenbrock 1960).
        Landscape("rosenbrock", _rosenbrock, _rosenbrock_gradient, (-2.0, 2.0, -1.0, 3.0), ((1.0, 1.0),), False),
        # (x^2 + y - 11)^2 + (x + y^2 - 7)^2, with four minima of the same depth 0 (Himmelblau 1972).
        Landscape("himmelblau", _himmelblau, _himmelblau_gradient, (-5.0, 5.0, -5.0, 5.0), _HIMMELBLAU_MINIMA, False),
        # x^2 / 2 - y^2 / 2 + y^4 / 4: on the line y = 0 descent ends at the saddle point (0, 0), which is no minimum.
        Landscape("saddle", _saddle, _saddle_gradient, (-2.0, 2.0, -1.7, 1.7), ((0.0, -1.0), (0.0, 1.0)), False),
        # (x^2 - 1)^2 + 0.3 x + y^2: a local minimum on the right, the global one on the left.
        Landscape(
            "wells", _wells, _wells_gradient, (-1.8, 1.8, -1.0, 1.0), ((_LEFT_WELL, 0.0), (_RIGHT_WELL, 0.0)), False
        ),
    )
}


def landscape_of(argument: str, value: object) -> Landscape:
    """Return the landscape that `value`, a word or an object, means."""
    if isinstance(value, Landscape):
        return value
    return LANDSCAPES[checks.word(argument, value, LANDSCAPES)]


# Descent --------------------------------------------------------------------------------------------------------------


class Descent(NamedTuple):
    """The way of a descent: its points (steps + 1, 2), the start first, and the function's values there (steps + 1)."""

    path: Array
    values: Array


def descend(
    function: str | Landscape,
    start: npt.ArrayLike,
    optimizer: str | Optimizer,
    steps: int,
    *,
    noise: float = 0.0,
    seed: int = 0,
) -> Descent:
    """Walk downhill on a function of two variables with one of the optimizers.

    Parameters
    ----------
    function : str or Landscape
        "valley" (convex), "rosenbrock", "himmelblau", "saddle", "wells", or one of your own.
    start : array of shape (2,)
        Where the path begins.
    optimizer : str or Optimizer
        Its description; a state it may have already is neither used nor changed. For a schedule each step is an epoch.
    steps : int
        How many.
    noise : float, default 0.0
        Jitter: the standard deviation of normal numbers that are added to each entry of the gradient. It stands for
        the noise of single examples, which helps to leave local minima and saddle points [004].
    seed : int, default 0
        Of the noise.

    Returns
    -------
    Descent
        `path` (steps + 1, 2) and `values` (steps + 1). If the descent diverges, until the gradient is no longer
        finite, the rest is NaN.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, or a landscape of your own gives values or gradients of another shape.

    Examples
    --------
    >>> path, values = descend("valley", (-10, 1), Momentum(lr=0.02), steps=100)
    """
    landscape = landscape_of("function", function)
    described = copy.copy(optimizers.resolve("optimizer", optimizer))  # a copy has no state
    steps = checks.whole("steps", steps)
    noise = checks.number("noise", noise, least=0)
    random = np.random.default_rng(checks.seed("seed", seed))
    net = linear_network(point("start", start))
    # Views of the engine's numbers, (2, 1).
    weight, gradient = net.parameters()["0.weight"], net.gradients()["0.weight"]
    path = np.full((steps + 1, 2), np.nan)
    path[0] = weight[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            slope = np.asarray(landscape.gradient(path[step]))
            if slope.shape != (2,):
                raise ValueError(f"function must have a gradient of shape (2,); that of {landscape} is {slope.shape}")
            if not np.isfinite(slope).all():
                break
            gradient[:, 0] = slope + noise * random.normal(size=2)
            described.step(net, epoch=step)
            path[step + 1] = weight[:, 0]
        values = np.asarray(landscape.value(path))
    if values.shape != (steps + 1,):
        raise ValueError(f"function must have values of shape (n,) at points (n, 2); those of {landscape} do not")
    return Descent(path, values)


def point(argument: str, value: object) -> Array:
    """Return `value` as a point (2,) of finite numbers."""
    array = data.real(argument, value)
    if array.shape != (2,):
        raise ValueError(f"{argument} must have shape (2,); got {array.shape}")
    converted: Array = data.converted(argument, array, np.dtype(np.float64))
    return converted


def linear_network(start: Array) -> Network:
    """Return the network h = w1 x1 + w2 x2 in float64, its weights at `start`."""
    net = Network([Dense(1, bias=False, weight_init="zeros")], inputs=2, dtype="float64")
    net.load_state_dict({"0.weight": start[:, None]})
    return net


# Batch, mini-batch and stochastic descent ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Gradient descent on a linear regression with two weights, with batches of one size.

    Attributes
    ----------
    batch_size : int
    name : str
        "batch", "mini-batch of 16" or "stochastic".
    path : array of shape (steps + 1, 2)
        The weights, the start first.
    values : array of shape (steps + 1,)
        J there, over all rows.
    noise : float
        Root mean square, over the steps, of how far the batch's gradient is from that of all rows.
    step_bytes : int
        Memory that a training step needs beside parameters, gradients and optimizer state.
    seconds : float
        What the engine needs for an epoch, as measured.
    """

    batch_size: int
    name: str
    path: Array = field(repr=False)
    values: Array = field(repr=False)
    noise: float
    step_bytes: int
    seconds: float

    @property
    def steps(self) -> int:
        """How many steps were done."""
        return len(self.path) - 1

    @property
    def length(self) -> float:
        """Length of the path, step by step."""
        return float(np.linalg.norm(np.diff(self.path, axis=0), axis=1).sum())

    @property
    def detour(self) -> float:
        """Length of the path by the distance between its ends: 1 for a straight line; NaN where the ends coincide."""
        distance = float(np.linalg.norm(self.path[-1] - self.path[0]))
        return self.length / distance if distance else float("nan")

    @property
    def uphill(self) -> float:
        """Share of the steps after which J was higher than before."""
        return float((np.diff(self.values) > 0).mean())


@dataclass(frozen=True, eq=False, repr=False)
class Trajectories:
    """The table of lecture [002] on batch, mini-batch and stochastic descent, in numbers; its repr is the table.

    Attributes
    ----------
    landscape : Landscape
        J(w) = 1/2N sum (y - w1 x1 - w2 x2)^2; its minimum is that of least squares.
    variants : tuple of Trajectory
        In the order of `batch_sizes`.
    """

    landscape: Landscape
    variants: tuple[Trajectory, ...]

    def __repr__(self) -> str:
        """Return a table, a batch size a line."""
        width = max(len(one.name) for one in self.variants)
        lines = [
            f"{'':{width}}  steps  J at the end  path length  detour  steps uphill      noise  memory of a step"
            "  time of an epoch"
        ]
        for one in self.variants:
            lines.append(
                f"{one.name:{width}}  {one.steps:5}  {one.values[-1]:12.6g}  {one.length:11.4g}  {one.detour:6.2f}"
                f"  {one.uphill:12.1%}  {one.noise:9.2g}  {size(one.step_bytes):>16}  {one.seconds * 1e6:13,.0f} µs"
            )
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the paths over the contour lines of J; see `chainrule.plots.trajectories`."""
        from .plots import trajectories

        return trajectories(self.landscape, {one.name: one.path for one in self.variants}, ax)


def descent_trajectories(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    batch_sizes: Sequence[int],
    *,
    optimizer: str | Optimizer = "sgd",
    epochs: int = 20,
    start: npt.ArrayLike = (0.0, 0.0),
    seed: int = 0,
) -> Trajectories:
    """Train h = w1 x1 + w2 x2 with batches of several sizes, and return each path and what it cost.

    Lecture [002] compares in words: batch descent goes straight, and needs all rows in memory; stochastic descent is
    noisy and has many steps. Here these are numbers of one problem, to be judged by: they differ with the data.

    Parameters
    ----------
    X : array of shape (N, 2)
        Two columns that do not depend on each other.
    y : array of shape (N,)
        Targets.
    batch_sizes : sequence of int
        Each from 1 (stochastic) to N (batch).
    optimizer : str or Optimizer, default "sgd"
        What makes the steps.
    epochs : int, default 20
        Of each descent.
    start : array of shape (2,), default (0, 0)
        Both weights at first.
    seed : int, default 0
        Of the shuffles.

    Returns
    -------
    Trajectories
        A `Trajectory` for each batch size: path, losses, noise, memory and time; it prints as a table and has `plot`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit, the columns of X depend on each other, or a path diverges.
    """
    inputs = np.ascontiguousarray(data.features("X", X, 2, np.dtype(np.float64)))
    rows = len(inputs)
    loss = MeanSquaredError(half=True)
    targets = loss.targets("y", y, rows, 1, inputs.dtype)
    if np.linalg.matrix_rank(inputs) < 2:
        raise ValueError("X must have two columns that do not depend on each other; there is no single minimum")
    if not isinstance(batch_sizes, (list, tuple)) or not batch_sizes:
        raise TypeError(f"batch_sizes must be a list of sizes, such as [100, 10, 1]; got {checks.shown(batch_sizes)}")
    sizes = [checks.whole(f"batch_sizes[{i}]", one, most=rows) for i, one in enumerate(batch_sizes)]
    described = optimizers.resolve("optimizer", optimizer)
    epochs = checks.whole("epochs", epochs)
    seed = checks.seed("seed", seed)
    first = point("start", start)
    variants = tuple(_trajectory(inputs, targets, one, described, epochs, first, seed) for one in sizes)
    return Trajectories(_least_squares(inputs, targets, [one.path for one in variants]), variants)


def _trajectory(
    X: Array, y: Array, batch_size: int, optimizer: Optimizer, epochs: int, start: Array, seed: int
) -> Trajectory:
    """Walk with batches of one size; X is (N, 2), y is (N, 1)."""
    loss, described = MeanSquaredError(half=True), copy.copy(optimizer)
    net = linear_network(start)
    weight, gradient = net.parameters()["0.weight"], net.gradients()["0.weight"]
    per_epoch = -(-len(X) // batch_size)
    path, deviations = [start], []
    for epoch in range(epochs):
        batches = data.batches(X, y, batch_size=batch_size, seed=seed, epoch=epoch)
        for step, (xb, yb) in enumerate(batches):
            net.zero_grad()
            loss(net(xb), yb).backward()
            deviations.append(np.sum((gradient - X.T @ (X @ weight - y) / len(X)) ** 2))
            described.step(net, epoch=epoch + step / per_epoch)
            if not np.abs(weight).max() < 1e100:  # far from the largest number, so that its square is one, too
                raise ValueError(f"optimizer={optimizer!r} diverges with batches of {batch_size}; lower its lr")
            path.append(weight[:, 0].copy())
    points = np.array(path)
    # The same steps again, by whole epochs in the engine, for their time.
    trainer = Trainer(linear_network(start), loss=loss, optimizer=optimizer, seed=seed)
    history = trainer.fit(X, y, epochs=epochs, batch_size=batch_size, verbose=False)
    return Trajectory(
        batch_size=batch_size,
        name={len(X): "batch", 1: "stochastic"}.get(batch_size, f"mini-batch of {batch_size}"),
        path=points,
        values=np.mean((points @ X.T - y[:, 0]) ** 2, axis=1) / 2,
        noise=float(np.sqrt(np.mean(deviations))),
        step_bytes=net.core.step_bytes(batch_size),
        seconds=sum(history["seconds"]) / epochs,
    )


def _least_squares(X: Array, y: Array, paths: Sequence[Array]) -> Landscape:
    """Return J(w) = 1/2N |X w - y|^2 as a landscape whose view has the paths and the minimum in it."""
    curvature, pull, rest = X.T @ X / len(X), (X.T @ y)[:, 0] / len(X), float(np.mean(y**2))

    def value(p: Array) -> Array:
        found: Array = (np.sum(p @ curvature * p, axis=-1) - 2 * p @ pull + rest) / 2
        return found

    def gradient(p: Array) -> Array:
        found: Array = p @ curvature - pull
        return found

    least = np.linalg.solve(curvature, pull)
    seen = np.concatenate([*paths, least[None, :]])
    low, high = seen.min(axis=0), seen.max(axis=0)
    # At least a little room, also where a path runs along an axis.
    margin = 0.15 * (high - low) + 0.05 * max(float((high - low).max()), 1e-6)
    left, bottom = (low - margin).tolist()
    right, top = (high + margin).tolist()
    minimum = (float(least[0]), float(least[1]))
    return Landscape("least squares", value, gradient, (left, right, bottom, top), (minimum,), True, ("w1", "w2"))
