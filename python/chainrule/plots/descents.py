"""Descents as pictures: paths over contour lines, and what a learning rate does to steps on a parabola."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from chainrule import checks, data

from .canvas import BLUE, QUIET, VERMILION, legend_beside, named, new_axes, new_panels, plain, styles

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from chainrule.playground import Landscape

    from .canvas import Panels

# On J(w) = w^2 / 2 a step multiplies w by 1 - rate: below 1 it creeps, near 1 it arrives, above 2 it runs away.
_RATES = {"too small": 0.1, "good": 0.7, "too large": 2.1}


def trajectories(function: str | Landscape, paths: Mapping[str, npt.ArrayLike], ax: Axes | None = None) -> Axes:
    """Draw the contour lines of a function of two variables, and the paths of descents on it.

    Parameters
    ----------
    function : str or Landscape
        As for `descend`.
    paths : mapping of str to array of shape (steps + 1, 2)
        The paths by name; rows of NaN are left out. What leaves the function's `view` is not seen.
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure is made.

    Returns
    -------
    matplotlib Axes
        `ax`, or those of the new figure.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If `paths` is no mapping from names to arrays of real numbers, or a path has another shape.
    """
    from chainrule.playground import landscape_of

    landscape = landscape_of("function", function)
    given = named("paths", paths, "arrays (points, 2)")
    arrays = {name: data.real(f"paths[{name!r}]", path).astype(np.float64) for name, path in given.items()}
    for name, array in arrays.items():
        if array.ndim != 2 or array.shape[1] != 2:
            raise ValueError(f"paths[{name!r}] must have shape (points, 2); got {array.shape}")
    ax = new_axes("trajectories", ax, (7.0, 4.2))
    _contours(ax, landscape)
    lengths = {name: np.nansum(np.abs(np.diff(array, axis=0))) for name, array in arrays.items()}
    for (name, array), style in zip(arrays.items(), styles(), strict=False):
        # Steps are seen one by one where they are few. A noisy path lies below a smooth one, which it would hide.
        marker = "." if len(array) <= 100 else ""
        above = 2 + sum(other > lengths[name] for other in lengths.values()) / 100
        ax.plot(*array.T, label=name, linewidth=1.2, marker=marker, markersize=4, zorder=above, **style)
    starts = np.array([array[0] for array in arrays.values() if len(array)]).reshape(-1, 2)
    ax.plot(*starts.T, "o", color=QUIET, zorder=4, label="start")
    minima = np.array(landscape.minima).reshape(-1, 2)
    label = "minimum" if len(minima) == 1 else "minima"
    ax.plot(*minima.T, "*", color="black", markeredgecolor="white", markersize=12, zorder=4, label=label)
    legend_beside(ax)
    return ax


def _contours(ax: Axes, landscape: Landscape) -> None:
    """Draw the contour lines of the part in view."""
    left, right, bottom, top = landscape.view
    x, y = np.meshgrid(np.linspace(left, right, 201), np.linspace(bottom, top, 201))
    values = landscape.value(np.stack([x, y], axis=-1))
    # The lines lie close where the function is low, which is where descents end: cubes of even steps.
    levels = values.min() + (values.max() - values.min()) * np.linspace(0.04, 1, 18) ** 3
    ax.contour(x, y, values, levels=levels, colors="0.75", linewidths=0.7, linestyles="solid", zorder=0)
    across, upwards = landscape.variables
    ax.set(xlim=(left, right), ylim=(bottom, top), title=landscape.name, xlabel=across, ylabel=upwards)
    ax.spines[["top", "right"]].set_visible(False)


def descent_rates(
    rates: Mapping[str, float] | None = None, *, start: float = -2.0, steps: int = 8, figure: FigureBase | None = None
) -> Panels:
    """Draw steps of gradient descent on J(w) = w^2 / 2, a panel a learning rate: too small, good, too large.

    A step is w <- w - rate * w. It goes towards the minimum for rates below 2, across it above 1 ([002], [003], [004]:
    too low is slow, too high overshoots).

    Parameters
    ----------
    rates : mapping of str to float, optional
        Learning rates above 0 by what is to be said of them; {"too small": 0.1, "good": 0.7, "too large": 2.1} if None.
    start : float, default -2.0
        Where w begins, not 0.
    steps : int, default 8
        How many of each rate, at most 1,000.
    figure : matplotlib Figure or SubFigure, optional
        Where to put the panels. By default a new figure is made.

    Returns
    -------
    ndarray of matplotlib Axes, shape (rates,)
        A panel for each rate.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit.
    """
    given = named("rates", _RATES if rates is None else rates, "learning rates", least=1)
    known = {name: checks.number(f"rates[{name!r}]", rate, above=0, most=100) for name, rate in given.items()}
    begin = checks.number("start", start)
    if begin == 0:
        raise ValueError("start must not be 0, where the minimum is")
    count = checks.whole("steps", steps, most=1000)
    panels: Panels = new_panels("descents", len(known), figure, size=(2.7, 3.2), sharex=True, sharey=True)[0]
    # What runs away is seen to do so, and the others stay large enough to be seen.
    half = 2.2 * abs(begin)
    curve = np.linspace(-half, half, 201)
    for panel, (name, rate) in zip(panels, known.items(), strict=True):
        with np.errstate(over="ignore"):
            path = begin * (1 - rate) ** np.arange(count + 1)
            values = path**2 / 2
        panel.plot(curve, curve**2 / 2, color="0.75", zorder=1)
        colour = VERMILION if abs(path[-1]) > abs(begin) else BLUE
        panel.plot(path, values, color=colour, marker="o", markersize=4, linewidth=1.2)
        panel.plot(path[:1], values[:1], "o", color=QUIET, zorder=4)
        plain(panel, "w", "J(w)" if panel is panels[0] else "")
        panel.set(xlim=(-half, half), ylim=(-0.04 * half**2, half**2 / 2), title=f"{name}: η = {rate:g}")
    return panels
