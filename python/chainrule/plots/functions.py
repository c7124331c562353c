"""Formulas as pictures: activations with their derivatives, where a sigmoid saturates, what cross-entropy charges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chainrule import activations as kinds
from chainrule import checks
from chainrule.activations import ActivationFunction, Softmax

from .canvas import (
    BLUE,
    QUIET,
    VERMILION,
    Array,
    legend,
    legend_beside,
    new_axes,
    new_panels,
    plain,
    whole_numbers_across,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from .canvas import Panels

_SHOWN = ("step", "sigmoid", "tanh", "relu", kinds.LeakyReLU(slope=0.1), "elu")
_COLUMNS = 3
# Even, so that 0, where some derivatives jump, is none of them.
_POINTS = 400


def activations(
    functions: Sequence[str | ActivationFunction] = _SHOWN, *, limit: float = 4.0, figure: FigureBase | None = None
) -> Panels:
    """Draw activation functions g with their derivatives g', a panel each ([003], [004]).

    Parameters
    ----------
    functions : sequence of str or ActivationFunction
        At least one, no softmax: that is no function of one number. By default those of the lectures.
    limit : float, default 4.0
        They are drawn from -limit to limit.
    figure : matplotlib Figure or SubFigure, optional
        Where to put the panels. By default a new figure is made.

    Returns
    -------
    ndarray of matplotlib Axes, shape (functions,)
        A panel for each function.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit.
    """
    if not isinstance(functions, (list, tuple)) or not functions:
        raise TypeError(f"functions must be a list of activations, at least one; got {checks.shown(functions)}")
    known = [_elementwise(f"functions[{i}]", one) for i, one in enumerate(functions)]
    end = checks.number("limit", limit, above=0)
    across = min(len(known), _COLUMNS)
    made = new_panels("activations", across, figure, rows=-(-len(known) // across), size=(2.7, 2.1), sharex=True)
    panels = made.reshape(-1)
    for unused in panels[len(known) :]:
        unused.remove()
    panels = panels[: len(known)]
    for panel, g in zip(panels, known, strict=True):
        z, value, slope = _drawn(g, end)
        panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        panel.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        panel.plot(z, value, color=BLUE, label="g(z)")
        panel.plot(z, slope, color=VERMILION, linestyle="--", label="g′(z)")
        panel.set_title(g.word.replace("_", " "))
        panel.spines[["top", "right"]].set_visible(False)
        if panel is panels[0]:
            panel.legend(frameon=False, loc="upper left")
        panel.set_xlabel("z" if len(known) - across <= list(panels).index(panel) else "")
        panel.tick_params(labelbottom=True)
    return panels


def saturation(function: str | ActivationFunction = "sigmoid", *, limit: float = 8.0, ax: Axes | None = None) -> Axes:
    """Draw where the slope of an activation dies: far from 0 the sigmoid's gradient is almost 0 ([004]).

    Parameters
    ----------
    function : str or ActivationFunction, default "sigmoid"
        No softmax.
    limit : float, default 8.0
        It is drawn from -limit to limit.
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
    Shaded is where g' is below a tenth of the greatest g' that is drawn.
    """
    g = _elementwise("function", function)
    z, value, slope = _drawn(g, checks.number("limit", limit, above=0))
    ax = new_axes("saturation", ax)
    greatest = float(np.nanmax(slope))
    is_flat = slope < greatest / 10
    ax.fill_between(
        z,
        0,
        1,
        where=is_flat.tolist(),
        transform=ax.get_xaxis_transform(),
        color="0.9",
        linewidth=0,
        zorder=0,
        label="g′ below a tenth\nof its greatest",
    )
    ax.plot(z, value, color=BLUE, label=f"g, {g.word.replace('_', ' ')}")
    ax.plot(z, slope, color=VERMILION, linestyle="--", label=f"g′, at most {greatest:.2g}")
    plain(ax, "z", "g(z), g′(z)")
    whole_numbers_across(ax)
    ax.set_xlim(z[0], z[-1])
    legend_beside(ax)
    return ax


def cross_entropy(ax: Axes | None = None) -> Axes:
    """Draw what binary cross-entropy charges for a prediction f: -log f if y = 1, -log(1 - f) if y = 0 ([000], [004]).

    Parameters
    ----------
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
    TypeError
        If `ax` is no Axes.
    """
    ax = new_axes("the curves of cross-entropy", ax)
    f = np.linspace(0, 1, 401)[1:-1]
    ax.plot(f, -np.log(f), color=BLUE, label="y = 1: −log f")
    ax.plot(f, -np.log1p(-f), color=VERMILION, linestyle="--", label="y = 0: −log(1 − f)")
    ax.plot([0.5], [np.log(2)], "o", color=QUIET, label="undecided: log 2 = 0.69")
    plain(ax, "predicted probability f", "cross-entropy")
    ax.set(xlim=(0, 1), ylim=(0, 5))
    legend(ax, loc="upper center")
    return ax


def _elementwise(argument: str, value: object) -> ActivationFunction:
    """Return an activation function of one number."""
    g = kinds.resolve(argument, value)
    if isinstance(g, Softmax):
        raise ValueError(f"{argument} must be a function of one number; softmax is one of a whole row")
    return g


def _drawn(g: ActivationFunction, limit: float) -> tuple[Array, Array, Array]:
    """Return z, g(z) and g'(z) from -limit to limit; with NaN at 0 where g has a kink, so that no line spans a jump."""
    from chainrule import reference

    z = np.linspace(-limit, limit, _POINTS)
    value = np.asarray(reference.activation_forward(z, activation=g.word, parameter=g.parameter()), dtype=np.float64)
    back = reference.activation_backward(value, np.ones_like(z), activation=g.word, parameter=g.parameter())
    slope = np.asarray(back, dtype=np.float64)
    if not g.has_kink:
        return z, value, slope
    middle = _POINTS // 2
    return np.insert(z, middle, 0.0), np.insert(value, middle, np.nan), np.insert(slope, middle, np.nan)
