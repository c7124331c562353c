"""What models do, as pictures: confusion matrices, decision boundaries, fits, bias and variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import checks, data
from chainrule.activations import Sigmoid

from .canvas import (
    BLUE,
    COLOURS,
    MARKERS,
    QUIET,
    VERMILION,
    Array,
    columns,
    legend,
    legend_beside,
    named,
    new_axes,
    new_panels,
    plain,
    vector,
)
from .canvas import text as string

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from chainrule.network import Network

    from .canvas import Panels

# What the bias of errors of a kind is called, and the error.
_KINDS = {"numbers": ("bias²", "expected squared error"), "classes": ("bias", "share of wrong classes")}
# Up to here the numbers fit into the cells, and the shares below them.
_MOST_NUMBERED, _MOST_SHARES = 20, 6
# Points across and up of the regions: with fewer, edges are seen to be steps.
_POINTS = 400


def confusion_matrix(matrix: npt.ArrayLike, labels: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Draw how often which class was taken for which ([001]).

    Parameters
    ----------
    matrix : array of shape (classes, classes)
        Counts, at least 0: rows are true classes, columns predicted ones, as in scikit-learn and `ClassScores`.
    labels : sequence of str, optional
        Names of the classes; their numbers if None.
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
    A cell is the darker the greater its share of the row; a class without rows is white. Cells have their counts where
    there are at most 20 classes, and the shares below where there are at most 6.
    """
    counts = columns("matrix", matrix)
    size = len(counts)
    if counts.shape != (size, size) or (counts < 0).any():
        raise ValueError(f"matrix must hold counts of at least 0, (classes, classes); got {checks.shown(matrix)}")
    if labels is not None and (not isinstance(labels, (list, tuple)) or len(labels) != size):
        raise ValueError(f"labels must be a list of {size} names; got {checks.shown(labels)}")
    names = [str(i) if labels is None else string(f"labels[{i}]", labels[i]) for i in range(size)]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    # A cell is to hold its numbers, up to a poster; beyond, they get smaller.
    side = min(max(3.4, 0.45 * size), 9.0)
    ax = new_axes("confusion matrices", ax, (side + 0.6, side))
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if size <= _MOST_NUMBERED:
        _numbers(ax, counts, shares, totals)
    ax.set(xticks=range(size), yticks=range(size), xticklabels=names, yticklabels=names)
    if max(map(len, names)) * size > 30:
        ax.tick_params(axis="x", rotation=90)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.tick_params(length=0)
    return ax


def _numbers(ax: Axes, counts: Array, shares: Array, totals: Array) -> None:
    """Write the counts into the cells, and the shares where there is room."""
    size = len(counts)
    written = {
        (row, column): f"{counts[row, column]:,.7g}"
        + (f"\n{shares[row, column]:.1%}" if size <= _MOST_SHARES and totals[row, 0] else "")
        for row, column in np.ndindex(counts.shape)
    }
    longest = max(len(line) for lines in written.values() for line in lines.split("\n"))
    # In points; a digit is 0.65 of its height wide, and labels may take a quarter of the figure.
    cell = 0.75 * 72 * ax.get_window_extent().width / ax.figure.dpi / size
    for (row, column), lines in written.items():
        # On the darker half of these blues white is read better.
        colour = "white" if shares[row, column] > 0.7 else "black"
        ax.text(column, row, lines, ha="center", va="center", color=colour, fontsize=min(10, cell / longest / 0.65))


def decision_boundary(
    net: Network, X: npt.ArrayLike, y: npt.ArrayLike, *, threshold: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw which class a network with two inputs predicts where, and the rows of data over it.

    Parameters
    ----------
    net : Network
        With 2 inputs. Several outputs: the class of the greatest. One output: class 1 where it is above `threshold`.
    X : array of shape (N, 2)
        At least one row; the picture reaches a tenth beyond them.
    y : array of shape (N,)
        Whole numbers from 0 to 6: no more than seven classes are told apart.
    threshold : float, optional
        For one output: 0.5 behind a sigmoid and 0, that of a logit, else, if None.
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
    """
    checks.network("net", net)
    classes = max(net.outputs, 2)
    if net.inputs != 2 or classes > len(COLOURS):
        came = f"{net.inputs} inputs and {net.outputs} outputs"
        raise ValueError(f"net must have 2 inputs and at most {len(COLOURS)} outputs to be drawn; it has {came}")
    rows = columns("X", X, 2)
    labels = np.asarray(data.real("y", y))
    if labels.shape != (len(rows),):
        raise ValueError(f"y must have shape ({len(rows)},), a class for each row of X; got {labels.shape}")
    labels = data.labels("y", labels, classes)
    limit = (
        (0.5 if isinstance(net.head, Sigmoid) else 0.0) if threshold is None else checks.number("threshold", threshold)
    )
    from matplotlib.colors import ListedColormap, to_rgb

    ax = new_axes("decision boundaries", ax, (4.8, 3.8))
    reach = np.ptp(rows, axis=0)
    # Where all rows have one value there is a width all the same.
    reach = 0.1 * np.where(reach > 0, reach, 1.0)
    (left, bottom), (right, top) = rows.min(axis=0) - reach, rows.max(axis=0) + reach
    # The middle of each dot.
    steps = (np.arange(_POINTS) + 0.5) / _POINTS
    across, upwards = np.meshgrid(left + steps * (right - left), bottom + steps * (top - bottom))
    outputs = net.predict(np.stack([across.reshape(-1), upwards.reshape(-1)], axis=1))
    predicted = outputs.argmax(axis=1) if net.outputs > 1 else (outputs[:, 0] > limit).astype(int)
    # A third of the colour: points of the same class stand out.
    pale = ListedColormap([tuple(1 - (1 - np.array(to_rgb(colour))) / 3) for colour in COLOURS[:classes]])
    regions = predicted.reshape(_POINTS, _POINTS)
    look: dict[str, Any] = {
        "cmap": pale,
        "vmin": -0.5,
        "vmax": classes - 0.5,
        "interpolation": "nearest",
        "aspect": "auto",
    }
    ax.imshow(regions, origin="lower", extent=(left, right, bottom, top), **look)
    for label in range(classes):
        chosen = rows[labels == label]
        edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5, "markersize": 6, "linestyle": ""}
        ax.plot(*chosen.T, color=COLOURS[label], marker=MARKERS[label], label=f"class {label}", **edge)
    ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(left, right), ylim=(bottom, top))
    ax.spines[["top", "right"]].set_visible(False)
    legend_beside(ax)
    return ax


def fits(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    curves: Mapping[str, Sequence[npt.ArrayLike]],
    truth: Sequence[npt.ArrayLike] | None = None,
    *,
    figure: FigureBase | None = None,
) -> Panels:
    """Draw points and what models make of them, a panel a model: underfit, good, overfit ([001], [003], [004]).

    Parameters
    ----------
    x, y : array of shape (n,)
        The points.
    curves : mapping of str to (x, y)
        What each model predicts, two arrays of shape (m,), by what is to be said of it; at least one.
    truth : (x, y), optional
        What the points come from, without their noise.
    figure : matplotlib Figure or SubFigure, optional
        Where to put the panels. By default a new figure is made.

    Returns
    -------
    ndarray of matplotlib Axes, shape (models,)
        A panel for each model.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit.

    Notes
    -----
    The axis of y ends a quarter beyond the points: what overfits may leave it.
    """
    across = vector("x", x)
    upwards = vector("y", y, length=len(across))
    known = named("curves", curves, "pairs of arrays (x, y)", least=1)
    lines = {name: _pair(f"curves[{name!r}]", curve) for name, curve in known.items()}
    real = None if truth is None else _pair("truth", truth)
    panels: Panels = new_panels("fits", len(lines), figure, size=(2.7, 2.9), sharex=True, sharey=True)[0]
    room = 0.25 * np.ptp(upwards) or 1.0
    for panel, (name, line) in zip(panels, lines.items(), strict=True):
        if real is not None:
            panel.plot(*real, color=QUIET, linestyle="--", linewidth=1.2, label="truth")
        panel.plot(*line, color=VERMILION, linewidth=2, label="model")
        panel.plot(across, upwards, "o", color=BLUE, markersize=4, label="data")
        plain(panel, "x", "y" if panel is panels[0] else "")
        panel.set_title(name)
        # Narrow panels have no room for more.
        panel.locator_params(axis="x", nbins=3)
    panels[0].set_ylim(upwards.min() - room, upwards.max() + room)
    legend(panels[0])
    return panels


def _pair(argument: str, value: object) -> tuple[Array, Array]:
    """Return two arrays of one length."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise TypeError(f"{argument} must be a pair of arrays (x, y); got {checks.shown(value)}")
    x = vector(f"{argument}[0]", value[0])
    return x, vector(f"{argument}[1]", value[1], length=len(x))


def bias_variance(
    models: Sequence[str],
    bias_squared: npt.ArrayLike,
    variance: npt.ArrayLike,
    *,
    noise: npt.ArrayLike = 0.0,
    error: npt.ArrayLike | None = None,
    kind: str = "numbers",
    ax: Axes | None = None,
) -> Axes:
    """Draw what the error of models is made of: bias^2 + variance, and noise ([003]).

    Parameters
    ----------
    models : sequence of str
        Their names, the simplest first.
    bias_squared, variance : array of shape (models,)
        At least 0. Bias of classes is 0 or 1 in each row, its own square; their variance may be below 0, and then hangs
        below the axis.
    noise : float or array of shape (models,), default 0.0
        The error of the truth itself, which no model takes away: the variance of the noise in the targets.
    error : array of shape (models,), optional
        The whole error, where it was measured: a mark at each bar, since chance makes it another than the sum.
    kind : {"numbers", "classes"}
        Whether errors are squared differences, or 0 and 1.
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

    Examples
    --------
    Of several results of `chainrule.bias_variance`, by name:

    >>> each = results.values()
    >>> parts = [one.bias for one in each], [one.variance for one in each]
    >>> plots.bias_variance(list(results), *parts, error=[one.error for one in each])
    """
    if not isinstance(models, (list, tuple)) or not models:
        raise TypeError(f"models must be a list of names, at least one; got {checks.shown(models)}")
    names = [string(f"models[{i}]", one) for i, one in enumerate(models)]
    called, upwards = _KINDS[checks.word("kind", kind, _KINDS)]
    parts = {
        "bias_squared": vector("bias_squared", bias_squared, length=len(names)),
        "variance": vector("variance", variance, length=len(names)),
        "noise": vector("noise", noise if np.ndim(noise) else [noise] * len(names), length=len(names)),
    }
    for argument, values in parts.items():
        if (values < 0).any() and (argument, kind) != ("variance", "classes"):
            raise ValueError(f"{argument} must be at least 0; got {values.min()}")
    whole = sum(parts.values(), np.zeros(len(names)))
    if error is not None:
        whole = vector("error", error, length=len(names))
    ax = new_axes("bias and variance", ax)
    places, top = np.arange(len(names)), np.zeros(len(names))
    looks: tuple[dict[str, Any], ...] = ({"color": BLUE}, {"color": VERMILION, "hatch": "///"}, {"color": "0.75"})
    for name, values, look in zip((called, "variance", "noise"), parts.values(), looks, strict=True):
        if name != "noise" or values.any():
            floor = np.where(values < 0, 0, top)
            ax.bar(places, values, bottom=floor, width=0.6, label=name, edgecolor="white", linewidth=0, **look)
            top = top + np.maximum(values, 0)
    if error is not None:
        ax.plot(places, whole, "_", color="black", markersize=26, label="error")
    for place, height, total in zip(places, np.maximum(top, whole), whole, strict=True):
        ax.annotate(f"{total:.2g}", (place, height), ha="center", va="bottom")
    plain(ax, "", upwards)
    ax.set_xticks(places, names)
    ax.margins(y=0.1)
    ax.tick_params(axis="x", length=0)
    legend_beside(ax)
    return ax
