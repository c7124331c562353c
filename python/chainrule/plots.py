"""Pictures of training runs and of descents. They are made with matplotlib's objects and never touch pyplot's state.

Only figures are made: showing and saving them is the caller's business. matplotlib is imported when one is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, data
from .history import ABOUT_THE_RUN, History

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from .playground import Landscape

__all__ = ["compared_curves", "learning_curves", "trajectories"]

# Blue and vermilion of Okabe and Ito's palette, which colour-blind readers tell apart.
_TRAINING, _VALIDATION, _QUIET = "#0072B2", "#D55E00", "0.45"
# Okabe and Ito's colours that show on white; a second round of them is dashed, a third dotted.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "black")
_DASHES = ("-", "--", ":")
_NOT_METRICS = ("loss", "penalty", *ABOUT_THE_RUN)


def learning_curves(history: History, ax: Axes | None = None) -> Any:
    """Draw the loss, and each metric, over the epochs, for training and validation; mark the best epoch.

    Parameters
    ----------
    history : History
        What `Trainer.fit` returned.
    ax : matplotlib Axes, optional
        Where to draw the losses, and nothing else. By default a new figure is made, with a panel for the losses and
        one for each metric.

    Returns
    -------
    matplotlib Figure
        The new figure, or the one that `ax` belongs to.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If `history` is no History, or holds no epoch.
    """
    new_figure = _figures("learning curves")
    _check_history("history", history)
    if history.epochs == 0:
        raise ValueError("history holds no finished epoch; there is nothing to draw")
    if ax is not None:
        _panel(ax, history, "loss")
        return ax.figure
    names = ["loss"] + [name for name in history if name not in _NOT_METRICS and not name.startswith("val_")]
    figure = new_figure(figsize=(4.8 * len(names), 3.6), layout="constrained")
    for i, name in enumerate(names):
        _panel(figure.add_subplot(1, len(names), i + 1), history, name)
    return figure


def compared_curves(histories: Mapping[str, History], name: str = "loss", ax: Axes | None = None) -> Any:
    """Draw one figure of several runs over their epochs, a line a run; losses on a logarithmic axis.

    Parameters
    ----------
    histories : mapping of str to History
        The runs by name, as `Comparison.histories` has them.
    name : str, default "loss"
        What to draw: a name that each history has.
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure is made.

    Returns
    -------
    matplotlib Figure
        The new figure, or the one that `ax` belongs to.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If `histories` is no mapping from names to histories, holds no run, or none with a finished epoch.
    KeyError
        If a history does not have the name.
    """
    new_figure = _figures("compared curves")
    _check_mapping("histories", histories, "histories")
    for run, history in histories.items():
        _check_history(f"histories[{run!r}]", history)
    if not any(history.epochs for history in histories.values()):
        raise ValueError("histories hold no finished epoch; there is nothing to draw")
    if ax is None:
        # Of a height for all names.
        ax = new_figure(figsize=(8.0, max(4.2, 0.26 * len(histories))), layout="constrained").add_subplot()
    for (run, history), style in zip(histories.items(), _styles(), strict=False):
        epochs = range(history.first_epoch, history.first_epoch + history.epochs)
        marker = "o" if history.epochs == 1 else ""
        ax.plot(epochs, history[name], label=run, marker=marker, **style)
    if name.endswith("loss") and all(value > 0 for history in histories.values() for value in history[name]):
        ax.set_yscale("log")
    _plain_axes(ax, "epoch", name)
    _legend_beside(ax)
    return ax.figure


def trajectories(function: str | Landscape, paths: Mapping[str, npt.ArrayLike], ax: Axes | None = None) -> Any:
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
    matplotlib Figure
        The new figure, or the one that `ax` belongs to.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If `paths` is no mapping from names to arrays of real numbers, or a path has another shape.
    """
    from .playground import landscape_of

    new_figure = _figures("trajectories")
    landscape = landscape_of("function", function)
    _check_mapping("paths", paths, "arrays (points, 2)")
    arrays = {name: data.real(f"paths[{name!r}]", path).astype(np.float64) for name, path in paths.items()}
    for name, array in arrays.items():
        if array.ndim != 2 or array.shape[1] != 2:
            raise ValueError(f"paths[{name!r}] must have shape (points, 2); got {array.shape}")
    if ax is None:
        ax = new_figure(figsize=(8.0, 4.8), layout="constrained").add_subplot()
    _contours(ax, landscape)
    lengths = {name: np.nansum(np.abs(np.diff(array, axis=0))) for name, array in arrays.items()}
    for (name, array), style in zip(arrays.items(), _styles(), strict=False):
        # Steps are seen one by one where they are few. A noisy path lies below a smooth one, which it would hide.
        marker = "." if len(array) <= 100 else ""
        above = 2 + sum(other > lengths[name] for other in lengths.values()) / 100
        ax.plot(*array.T, label=name, linewidth=1.2, marker=marker, markersize=4, zorder=above, **style)
    starts = np.array([array[0] for array in arrays.values() if len(array)]).reshape(-1, 2)
    ax.plot(*starts.T, "o", color=_QUIET, zorder=4, label="start")
    minima = np.array(landscape.minima).reshape(-1, 2)
    label = "minimum" if len(minima) == 1 else "minima"
    ax.plot(*minima.T, "*", color="black", markeredgecolor="white", markersize=12, zorder=4, label=label)
    _legend_beside(ax)
    return ax.figure


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


def _styles() -> Any:
    """Return line styles without end: each colour, then each again with other dashes."""
    return cycle([{"color": colour, "linestyle": dash} for dash in _DASHES for colour in _COLOURS])


def _legend_beside(ax: Axes) -> None:
    """Put the names to the right of the axes, where they hide no line."""
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")


def _check_mapping(argument: str, value: object, values: str) -> None:
    """Raise TypeError unless `value` maps names to something."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"{argument} must be a mapping from names to {values}; got {checks.shown(value)}")


def _check_history(argument: str, value: object) -> None:
    """Raise TypeError unless `value` is a history."""
    if not isinstance(value, History):
        raise TypeError(f"{argument} must be a History, which Trainer.fit returns; got {checks.shown(value)}")


def _figures(what: str) -> Any:
    """Return matplotlib's class of figures; ImportError that names the extra where there is none."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'{what} need matplotlib: pip install "chainrule[plot]"') from error
    return Figure


def _panel(ax: Axes, history: History, name: str) -> None:
    """Draw one figure of the run over its epochs."""
    epochs = range(history.first_epoch, history.first_epoch + history.epochs)
    # A single epoch is a point: a line through it would not be seen.
    marker = "o" if history.epochs == 1 else ""
    ax.plot(epochs, history[name], color=_TRAINING, marker=marker, label="training")
    marked = name
    if f"val_{name}" in history:
        marked = f"val_{name}"
        ax.plot(epochs, history[marked], color=_VALIDATION, marker=marker, label="validation")
    best = history.best_epoch
    if best is not None:
        value = history[marked][best - history.first_epoch]
        ax.axvline(best, color=_QUIET, linewidth=1, linestyle=":", zorder=0)
        ax.plot([best], [value], "o", color=_QUIET, label=f"best epoch: {best} ({value:.4g})")
    _plain_axes(ax, "epoch", name)
    ax.legend(frameon=False)


def _plain_axes(ax: Axes, across: str, upwards: str) -> None:
    """Name the axes, with whole numbers across, and take away what carries no information."""
    from matplotlib.ticker import MaxNLocator

    ax.set(xlabel=across, ylabel=upwards)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
