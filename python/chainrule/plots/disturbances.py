"""What regularization does to a network and its data, as pictures: dropout, batch normalization, noise on examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from chainrule import checks

from .canvas import BLUE, DASHES, VERMILION, Array, columns, named, new_panels, numbers, styles

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from .canvas import Panels

    Mask = npt.NDArray[np.bool_]

# More columns than this would be a tangle of lines.
_MOST_COLUMNS = 7
_BINS = 40


def dropout_network(
    sizes: Sequence[int],
    masks: Sequence[npt.ArrayLike] | None = None,
    *,
    rate: float = 0.5,
    seed: int = 0,
    figure: FigureBase | None = None,
) -> Panels:
    """Draw a network before and after dropout: the units that a step leaves out, and their connections ([000], [001]).

    Parameters
    ----------
    sizes : sequence of int
        Inputs, units of each hidden layer, outputs: at least three numbers, each at most 16, or they would overlap.
    masks : sequence of bool arrays, optional
        For each hidden layer, (units,): which units stay. Drawn if None.
    rate : float, default 0.5
        With which probability a hidden unit goes where masks are drawn; at least 0 and below 1.
    seed : int, default 0
        Key of what is drawn.
    figure : matplotlib Figure or SubFigure, optional
        Where to put the panels. By default a new figure is made.

    Returns
    -------
    ndarray of matplotlib Axes, shape (2,)
        Before and after.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit.
    """
    if not isinstance(sizes, (list, tuple)) or len(sizes) < 3:
        raise ValueError(f"sizes must be a list of at least three layers; got {checks.shown(sizes)}")
    units = [checks.whole(f"sizes[{i}]", one, most=16) for i, one in enumerate(sizes)]
    share = checks.number("rate", rate, least=0, below=1)
    rng = np.random.default_rng(checks.seed("seed", seed))
    hidden = [rng.random(count) >= share for count in units[1:-1]] if masks is None else _masks(masks, units[1:-1])
    full = [np.ones(count, dtype=bool) for count in units]
    panels: Panels = new_panels("networks", 2, figure, size=(3.6, 3.2))[0]
    _network(panels[0], full)
    _network(panels[1], [full[0], *hidden, full[-1]])
    gone, of = sum(int((~mask).sum()) for mask in hidden), sum(units[1:-1])
    panels[0].set_title("prediction: all units")
    panels[1].set_title(f"a step of training: {gone} of {of} gone")
    return panels


def _masks(masks: object, units: list[int]) -> list[Mask]:
    """Return which hidden units stay, checked."""
    if not isinstance(masks, (list, tuple)) or len(masks) != len(units):
        raise ValueError(f"masks must be a list of {len(units)} arrays, one a hidden layer; got {checks.shown(masks)}")
    found: list[Mask] = []
    for i, (mask, count) in enumerate(zip(masks, units, strict=True)):
        array = np.asarray(mask)
        if array.dtype != bool or array.shape != (count,):
            raise ValueError(f"masks[{i}] must be bools of shape ({count},); got {checks.shown(mask)}")
        found.append(array)
    return found


def _network(ax: Axes, masks: list[Mask]) -> None:
    """Draw the units of all layers, crossed out where they are gone, and the connections between those that are not."""
    from matplotlib.collections import LineCollection

    # (units, 2) each, centred.
    places = [
        np.stack([np.full(len(mask), i), np.arange(len(mask)) - (len(mask) - 1) / 2], axis=1)
        for i, mask in enumerate(masks)
    ]
    lines = [(a, b) for i in range(len(masks) - 1) for a in places[i][masks[i]] for b in places[i + 1][masks[i + 1]]]
    ax.add_collection(LineCollection(lines, colors="0.7", linewidths=0.7, zorder=1))
    dots, stay = np.concatenate(places), np.concatenate(masks)
    size = min(180.0, 1500 / max(map(len, masks)))
    ax.scatter(dots[stay, 0], dots[stay, 1], s=size, color=BLUE, zorder=2)
    ax.scatter(dots[~stay, 0], dots[~stay, 1], s=size, facecolor="white", edgecolor="0.6", zorder=2)
    ax.scatter(dots[~stay, 0], dots[~stay, 1], s=size / 3, marker="x", color=VERMILION, zorder=3)
    ax.set_axis_off()
    ax.margins(0.12)


def batch_normalization(
    before: npt.ArrayLike, after: npt.ArrayLike | None = None, *, figure: FigureBase | None = None
) -> Panels:
    """Draw how activations are spread, before and after batch normalization ([002]).

    Parameters
    ----------
    before : array of shape (B, units)
        At least two rows; at most seven units, a line each.
    after : array of the same shape, optional
        None: xhat = (x - mu) / sqrt(s2 + 1e-5), with mean and biased variance of the columns, as in `BatchNorm` before
        gamma and beta.
    figure : matplotlib Figure or SubFigure, optional
        Where to put the panels. By default a new figure is made.

    Returns
    -------
    ndarray of matplotlib Axes, shape (2,)
        Before and after, with one axis for the values.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit.
    """
    x = columns("before", before)
    if len(x) < 2 or x.shape[1] > _MOST_COLUMNS:
        raise ValueError(f"before must have at least 2 rows and at most {_MOST_COLUMNS} columns; got {x.shape}")
    # The eps of BatchNorm.
    y = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) if after is None else columns("after", after)
    if y.shape != x.shape:
        raise ValueError(f"after must have shape {x.shape}, as before; got {y.shape}")
    panels: Panels = new_panels("activations", 2, figure, size=(4.0, 3.2), sharex=True, sharey=True)[0]
    edges = np.linspace(min(x.min(), y.min()), max(x.max(), y.max()), _BINS + 1)
    if edges[0] == edges[-1]:  # all are one number
        edges = np.linspace(edges[0] - 0.5, edges[0] + 0.5, _BINS + 1)
    for panel, values, title in ((panels[0], x, "before"), (panels[1], y, "after")):
        for (unit, column), style in zip(enumerate(values.T), styles(), strict=False):
            # Filled, so that two that lie on each other are seen; other dashes, so that nobody needs the colours.
            look = {"color": style["color"], "linestyle": DASHES[unit % len(DASHES)], "linewidth": 1.6}
            label = f"unit {unit}: {column.mean():.1f} ± {column.std():.1f}".replace("-0.0", "0.0").replace("-", "−")
            panel.stairs(np.histogram(column, edges)[0] / len(column), edges, label=label, **look)
        panel.set(title=title, xlabel="activation", ylabel="share of the rows" if panel is panels[0] else "")
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, title="mean ± std")
    return panels


def noise_examples(
    pictures: npt.ArrayLike, noisy: Mapping[str, npt.ArrayLike], *, figure: FigureBase | None = None
) -> Panels:
    """Draw pictures and, below each, what noise makes of it: the examples that a network then has to fit ([001]).

    Parameters
    ----------
    pictures : array of shape (n, height, width)
        At least one; the least number is drawn white, the greatest black.
    noisy : mapping of str to array of the same shape
        The same pictures with noise, by what is to be said of it; at least one.
    figure : matplotlib Figure or SubFigure, optional
        Where to put the panels. By default a new figure is made.

    Returns
    -------
    ndarray of matplotlib Axes, shape (1 + len(noisy), n)
        A row for the pictures, and one for each kind of noise.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError, TypeError
        If an argument does not suit.
    """
    first = numbers("pictures", pictures, True)
    if first.ndim != 3 or 0 in first.shape:
        raise ValueError(f"pictures must have shape (n, height, width), none of them 0; got {first.shape}")
    rows: dict[str, Array] = {"original": first}
    for name, given in named("noisy", noisy, "arrays of the shape of pictures", least=1).items():
        rows[name] = numbers(f"noisy[{name!r}]", given, True)
        if rows[name].shape != first.shape:
            raise ValueError(f"noisy[{name!r}] must have shape {first.shape}, as pictures; got {rows[name].shape}")
    panels = new_panels("examples", len(first), figure, rows=len(rows), size=(1.1, 1.1))
    for line, (name, shown) in zip(panels, rows.items(), strict=True):
        for panel, picture in zip(line, shown, strict=True):
            panel.imshow(picture, cmap="gray_r", vmin=first.min(), vmax=first.max(), interpolation="nearest")
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_color("0.8")
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    return panels
