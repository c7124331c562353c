"""Searches over two hyper-parameters, as pictures: where a grid looks, and where random points do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import checks

from .canvas import BLUE, QUIET, VERMILION, Array, columns, new_panels, text, vector

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from .canvas import Panels


def search_layouts(
    grid: npt.ArrayLike,
    random: npt.ArrayLike,
    grid_scores: npt.ArrayLike | None = None,
    random_scores: npt.ArrayLike | None = None,
    *,
    names: Sequence[str] = ("first hyper-parameter", "second hyper-parameter"),
    score: str = "score",
    best: str = "greatest",
    figure: FigureBase | None = None,
) -> Panels:
    """Draw where a grid and a random search look: of each hyper-parameter a grid tries few values ([002]).

    Marks along the axes show the values that are tried; where one hyper-parameter matters little, those of the other
    are all that counts (Bergstra and Bengio 2012).

    Parameters
    ----------
    grid, random : array of shape (trials, 2)
        What was tried, a row a trial.
    grid_scores, random_scores : array of shape (trials,), optional
        What each gave: both or neither. They become colours of one scale, and the best one of each search is ringed.
    names : sequence of two str
        What the hyper-parameters are called.
    score : str, default "score"
        What the scores are called.
    best : {"greatest", "least"}
        Which score is the best.
    figure : matplotlib Figure or SubFigure, optional
        Where to put the panels. By default a new figure is made.

    Returns
    -------
    ndarray of matplotlib Axes, shape (2,)
        The grid and the random search. An axis is logarithmic where all values are above 0 and span a factor of 100.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit.
    """
    trials = {"grid": columns("grid", grid, 2), "random": columns("random", random, 2)}
    if (grid_scores is None) != (random_scores is None):
        raise ValueError("grid_scores and random_scores must be given both, or neither")
    scores: dict[str, Array] = {}
    if grid_scores is not None:
        scores["grid"] = vector("grid_scores", grid_scores, length=len(trials["grid"]))
        scores["random"] = vector("random_scores", random_scores, length=len(trials["random"]))
    if not isinstance(names, (list, tuple)) or len(names) != 2:
        raise TypeError(f"names must be two names; got {checks.shown(names)}")
    titles = [text(f"names[{i}]", name) for i, name in enumerate(names)]
    score = text("score", score)
    pick = {"greatest": np.argmax, "least": np.argmin}[checks.word("best", best, ("greatest", "least"))]
    size = (4.0, 3.6) if scores else (3.6, 3.4)
    panels: Panels = new_panels("layouts of searches", 2, figure, size=size, sharex=True, sharey=True)[0]
    together = np.concatenate(list(trials.values()))
    for axis, values in zip(("x", "y"), together.T, strict=True):
        if values.min() > 0 and values.max() >= 100 * values.min():
            panels[0].set(**{f"{axis}scale": "log"})
    for panel, (name, points) in zip(panels, trials.items(), strict=True):
        tried = [len(np.unique(column)) for column in points.T]
        each = f"{tried[0]} values of each" if tried[0] == tried[1] else f"{tried[0]} and {tried[1]} values"
        panel.set(title=f"{name}: {len(points)} trials, {each}", xlabel=titles[0])
        _marks(panel, points)
        panel.spines[["top", "right"]].set_visible(False)
        # The marks of what was tried are enough.
        panel.tick_params(which="both", length=0, pad=8)
    panels[0].set_ylabel(titles[1])
    _points(panels, trials, scores, score, pick)
    return panels


def _marks(ax: Axes, points: Array) -> None:
    """Draw a mark for each value along both axes."""
    across, upwards = (np.unique(column) for column in points.T)
    look: dict[str, Any] = {"color": QUIET, "linestyle": "", "markersize": 9, "markeredgewidth": 1.2, "clip_on": False}
    ax.plot(across, np.zeros(len(across)), marker="|", transform=ax.get_xaxis_transform(), **look)
    ax.plot(np.zeros(len(upwards)), upwards, marker="_", transform=ax.get_yaxis_transform(), **look)


def _points(panels: Panels, trials: dict[str, Array], scores: dict[str, Array], title: str, pick: Any) -> None:
    """Draw the trials, with one scale of colours where there are scores."""
    if not scores:
        for panel, points in zip(panels, trials.values(), strict=True):
            panel.scatter(*points.T, s=40, color=BLUE, zorder=3)
        return
    every = np.concatenate(list(scores.values()))
    for panel, (name, points) in zip(panels, trials.items(), strict=True):
        look: dict[str, Any] = {
            "vmin": every.min(),
            "vmax": every.max(),
            "cmap": "cividis",
            "edgecolor": "0.3",
            "linewidth": 0.5,
        }
        drawn = panel.scatter(*points.T, c=scores[name], s=50, zorder=3, **look)
        chosen = pick(scores[name])
        ring = {"s": 150, "facecolor": "none", "edgecolor": VERMILION, "linewidth": 2, "zorder": 4}
        panel.scatter(*points[chosen], **ring)
    panels[0].figure.colorbar(drawn, ax=list(panels), label=f"{title}; ringed: the best")
