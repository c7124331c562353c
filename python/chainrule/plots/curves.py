"""Figures of runs over their epochs, and errors over the size of a model or of its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import checks
from chainrule.history import ABOUT_THE_RUN, History

from .canvas import (
    BLUE,
    QUIET,
    VERMILION,
    Array,
    columns,
    legend,
    legend_beside,
    log_scale,
    named,
    new_axes,
    new_panels,
    numbers,
    plain,
    styles,
    text,
    vector,
    whole_numbers_across,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from .canvas import Panels

_NOT_METRICS = ("loss", "penalty", *ABOUT_THE_RUN)
# Beside each other; more metrics go into further rows.
_COLUMNS = 3
# What is drawn of several repeats.
_SPREADS = {"range": "mean and range", "quartiles": "median and quartiles"}


def learning_curves(history: History, ax: Axes | None = None) -> Panels:
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
    ndarray of matplotlib Axes, shape (1 + metrics,)
        The panels, that of the losses first; with `ax`, that alone.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit, or the history holds no epoch.
    """
    _check_history("history", history)
    if history.epochs == 0:
        raise ValueError("history holds no finished epoch; there is nothing to draw")
    names = ["loss"] + [name for name in history if name not in _NOT_METRICS and not name.startswith("val_")]
    if ax is not None:
        names, panels = names[:1], np.array([new_axes("learning curves", ax)], dtype=object)
    else:
        across = min(len(names), _COLUMNS)
        made = new_panels("learning curves", across, rows=-(-len(names) // across), size=(4.2, 3.2)).reshape(-1)
        panels = made[: len(names)]
        for unused in made[len(names) :]:
            unused.remove()
    for panel, name in zip(panels, names, strict=True):
        _panel(panel, history, name)
    return panels


def compared_curves(histories: Mapping[str, History], name: str = "loss", ax: Axes | None = None) -> Axes:
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
    matplotlib Axes
        `ax`, or those of the new figure.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If `histories` is no mapping from names to histories, holds no run, or none with an epoch that has the figure.
    KeyError
        If a history does not have the name.
    """
    runs = named("histories", histories, "histories")
    for run, history in runs.items():
        _check_history(f"histories[{run!r}]", history)
    if not any(history.epochs for history in runs.values()):
        raise ValueError("histories hold no finished epoch; there is nothing to draw")
    looks = {run: history.measured(name) for run, history in runs.items()}
    if not any(looks.values()):
        raise ValueError(f"histories hold no epoch after which {name} was measured; there is nothing to draw")
    # Of a height for all names.
    ax = new_axes("compared curves", ax, (7.0, max(3.6, 0.26 * len(runs))))
    for (run, history), style in zip(runs.items(), styles(), strict=False):
        _line(ax, history, name, label=run, **style)
    if name.endswith("loss") and all(value > 0 for measured in looks.values() for _, value in measured):
        log_scale(ax, "y")
    plain(ax, "epoch", name)
    whole_numbers_across(ax)
    legend_beside(ax)
    return ax


def error_curve(
    sizes: npt.ArrayLike | Sequence[str],
    training: npt.ArrayLike,
    validation: npt.ArrayLike,
    *,
    across: str = "number of parameters",
    error: str = "error",
    spread: str = "range",
    mark_best: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the errors of training and validation against the complexity of the model ([004]), or the rows of data.

    Where the validation error is least, the model is complex enough; to the left it underfits, to the right it
    overfits. Against rows of data, `mark_best=False`, the gap between both lines is what more data may close.

    Parameters
    ----------
    sizes : array of shape (n,), or sequence of str
        Above 0, ascending; drawn on a logarithmic axis if they span more than a factor of 10. Or names, evenly spaced.
    training, validation : array of shape (n,) or (n, repeats)
        Errors of each size. Where runs diverged they may be infinite or NaN.
    across, error : str
        What the axes are called.
    spread : {"range", "quartiles"}
        What is drawn of several repeats: the mean, and a band from the least to the greatest; or the median, and a band
        between the quartiles.
    mark_best : bool, default True
        Whether the least point of the validation line is marked, and both sides of it are named.
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
        If an argument does not suit.

    Notes
    -----
    A few bad runs must not make the rest flat: the greatest point of a line lies at three fifths of the height, or
    above, and a band that reaches further leaves the picture.
    """
    found, names = _sizes(sizes)
    word = checks.word("spread", spread, _SPREADS)
    both = {"training": _repeats("training", training, len(found))}
    both["validation"] = _repeats("validation", validation, len(found))
    bands = {name: _band(name, errors, word) for name, errors in both.items()}
    across, error = text("across", across), text("error", error)
    mark_best = checks.flag("mark_best", mark_best)
    ax = new_axes("error curves", ax)
    for (name, (low, middle, high)), colour in zip(bands.items(), (BLUE, VERMILION), strict=True):
        several = both[name].shape[1] > 1
        label = f"{name}, {_SPREADS[word]}" if several else name
        ax.plot(found, middle, color=colour, marker="o", markersize=4, label=label)
        if several:
            ax.fill_between(found, low, high, color=colour, alpha=0.2, linewidth=0)
    _limit_height(ax, np.array(list(bands.values())))
    if names is not None:
        ax.set_xticks(found, names)
    elif found[-1] > 10 * found[0]:
        log_scale(ax, "x")
    if mark_best:
        line = bands["validation"][1]
        best = int(np.where(np.isfinite(line), line, np.inf).argmin())
        known = f"{found[best]:g}" if names is None else names[best]
        ax.axvline(found[best], color=QUIET, linewidth=1, linestyle=":", zorder=0)
        ax.plot([found[best]], [line[best]], "o", color=QUIET, zorder=4, label=f"best: {known}")
        ax.set_title("← underfits", loc="left", color=QUIET)
        ax.set_title("overfits →", loc="right", color=QUIET)
    plain(ax, across, error)
    legend(ax)
    return ax


def _sizes(value: object) -> tuple[Array, list[str] | None]:
    """Return where sizes are drawn, and their names if they are names."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, str) for one in value):
        return np.arange(len(value), dtype=np.float64), list(value)
    found = vector("sizes", value, least=2)
    if found[0] <= 0 or (np.diff(found) <= 0).any():
        raise ValueError(f"sizes must be above 0 and ascend; got {checks.shown(value)}")
    return found, None


def _repeats(argument: str, value: object, rows: int) -> Array:
    """Return errors as (rows, repeats)."""
    found = numbers(argument, value, False)
    checked = columns(argument, found[:, None] if found.ndim == 1 else found, finite=False)
    if len(checked) != rows:
        raise ValueError(f"{argument} must have an error for each of the {rows} sizes; got shape {found.shape}")
    return checked


def _band(argument: str, errors: Array, spread: str) -> Array:
    """Return where the band of each size begins, where the line is, and where the band ends, (3, rows)."""
    with np.errstate(invalid="ignore"):  # infinity less infinity
        if spread == "quartiles":
            low, high = np.quantile(errors, [0.25, 0.75], axis=1)
            middle = np.median(errors, axis=1)
        else:
            low, middle, high = errors.min(axis=1), errors.mean(axis=1), errors.max(axis=1)
    if not np.isfinite(middle).any():
        raise ValueError(f"{argument} must have finite errors at one size at least; there is none")
    return np.array([low, middle, high])


def _limit_height(ax: Axes, bands: Array) -> None:
    """Let the axis end where a few bad runs do not make the rest flat, by the bands of both parts (2, 3, rows)."""
    low, line, high = (part[np.isfinite(part)] for part in (bands[:, :2], bands[:, 1], bands))
    height = min(high.max() - low.min(), (line.max() - low.min()) * 5 / 3)
    if height > 0:
        ax.set_ylim(low.min() - 0.05 * height, low.min() + 1.05 * height)


def _check_history(argument: str, value: object) -> None:
    """Raise TypeError unless `value` is a history."""
    if not isinstance(value, History):
        raise TypeError(f"{argument} must be a History, which Trainer.fit returns; got {checks.shown(value)}")


def _panel(ax: Axes, history: History, name: str) -> None:
    """Draw one figure of the run over its epochs."""
    _line(ax, history, name, color=BLUE, label="training")
    known = dict(history.measured(name))
    validated = dict(history.measured(f"val_{name}")) if f"val_{name}" in history else {}
    if validated:  # a run may have been stopped before its first validation
        _line(ax, history, f"val_{name}", color=VERMILION, label="validation")
    # A callback that looks at the training part may find an epoch best that was not validated.
    known |= validated
    best = history.best_epoch
    if best is not None:
        value = known[best]
        ax.axvline(best, color=QUIET, linewidth=1, linestyle=":", zorder=0)
        ax.plot([best], [value], "o", color=QUIET, label=f"best epoch: {best} ({value:.4g})")
    plain(ax, "epoch", name)
    whole_numbers_across(ax)
    legend(ax)


def _line(ax: Axes, history: History, name: str, **look: Any) -> None:
    """Draw a figure at the epochs that have it: what is validated now and then is a line too, with a dot at each."""
    looks = history.measured(name)
    # A line through a single epoch would not be seen.
    marker = "o" if len(looks) == 1 or len(looks) < history.epochs else ""
    ax.plot([epoch for epoch, _ in looks], [value for _, value in looks], marker=marker, markersize=4, **look)
